"""Faults that a project of this kind meets, those that no other file of tests holds; docs/reliability.md has the table of all."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from lowerbound import __main__, arrays, cli, sources
from lowerbound.arrays import load_arrays
from lowerbound.comparison import begin
from lowerbound.errors import DivergedError, InputError
from lowerbound.formats import HEADER_LIMIT, JSON_LIMIT, check_like, read_heads, read_json, read_tensors, to_bytes
from lowerbound.likelihood import Laplace, Normal, PixelNormal
from lowerbound.pca import PCA
from lowerbound.plan import Plan
from lowerbound.posterior import DiagonalNormal, FullNormal, IsotropicNormal
from lowerbound.recipes import linear, vae
from lowerbound.settings import Settings
from lowerbound.state import State, in_memory
from lowerbound.storage import Run
from lowerbound.stored import StoredModel
from lowerbound.training import run as train

CPU = torch.device("cpu")
SHAPE = (1, 4, 4)
PIXELS = np.random.default_rng(0).integers(0, 256, (30, *SHAPE)).astype(np.uint8)
STORED = [StoredModel("pca", 2, SHAPE), StoredModel("linear", 2, SHAPE, settings=Settings(epochs=2))]


@pytest.fixture
def run(tmp_path):
    """A complete run of two models."""
    source = {"name": "noise", "source": "noise.npy", "sha256": "", "image_shape": list(SHAPE)}
    about = {"source": source, "shown_k": 2, "models": [stored.to_json() for stored in STORED]}
    run = Run.create(tmp_path / "run", about)
    pca = PCA(2).fit(PIXELS)
    run.save(STORED[0], pca)
    run.save(STORED[1], STORED[1].build(pca).eval())
    run.complete()
    return run


def weights(run, stored):
    return run.folder(stored) / "model.safetensors"


def command(*words):
    """Exit code of a command, run in this process."""
    before, sys.argv = sys.argv, ["lowerbound", *map(str, words)]
    try:
        return __main__.main()
    finally:
        sys.argv = before


# 1: what could run code


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["pickle", "torch", "torch of before"])
def test_a_pickle_under_the_name_of_weights_runs_nothing(form, run, tmp_path, capsys):
    canary, file = tmp_path / "canary", weights(run, STORED[1])
    if form == "pickle":
        file.write_bytes(pickle.dumps(Canary(canary)))
    else:
        torch.save({"encoder": Canary(canary)}, file, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(InputError, match="no whole safetensors file"):
        run.load(STORED[1])
    (run.path / "run.json").write_bytes(file.read_bytes())
    assert command("reconstruct", run.path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))  # noqa: S301  # the canary sings where it is let
    assert canary.exists()


# 2: damaged weights


@pytest.mark.slow
@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)
def test_weights_cut_at_any_byte_are_refused(stored, run):
    file = weights(run, stored)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"is no whole safetensors file \(.*\); make the run again$"):
            read_tensors(file)


@pytest.mark.slow
def test_of_ten_thousand_flipped_bits_each_is_refused_or_changes_nothing(run):
    file = weights(run, STORED[0])
    whole = file.read_bytes()
    right = run.load(STORED[0]).tensors()
    refused = 0
    for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 10_000):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(flipped)
        try:
            found = run.load(STORED[0]).tensors()
        except InputError as wrong:
            refused += str(wrong).count("\n") == 0
        else:
            assert all(np.array_equal(found[name], right[name]) for name in right)
    assert refused > 9_900


def test_a_bit_that_turned_over_among_the_weights_is_noticed(run):
    file = weights(run, STORED[1])
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1  # the lowest bits of an exponent: a finite number as before
    file.write_bytes(whole)
    with pytest.raises(InputError, match="another sha256 than when it was written"):
        run.load(STORED[1])


def test_weights_of_before_there_was_a_hash_are_read_without(run):
    file = weights(run, STORED[1])
    file.write_bytes(safetensors.torch.save(read_tensors(file)))
    assert run.load(STORED[1]).transform(PIXELS).shape == (30, 2)


MEMORY = """
import re, sys
from pathlib import Path
from lowerbound.errors import InputError
from lowerbound.formats import read_tensors
def peak(): return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
file, before = Path(sys.argv[1]), peak()
try:
    read_tensors(file)
except InputError:
    pass
print((peak() - before) / file.stat().st_size)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("damage", ["none", "a bit", "cut"])
def test_reading_weights_takes_twice_their_size_whatever_is_wrong_with_them(damage, tmp_path):
    file = tmp_path / "model.safetensors"
    whole = bytearray(to_bytes({f"part{n}": torch.zeros(2**22) for n in range(6)}))
    if damage == "a bit":
        whole[-9] ^= 1
    file.write_bytes(whole[:-1] if damage == "cut" else whole)
    done = subprocess.run([sys.executable, "-c", MEMORY, file], check=True, capture_output=True, text=True)
    assert 0.9 < float(done.stdout) < 2.15


# 3: headers that claim too much


def claiming(header, length=None):
    return struct.pack("<Q", len(header) if length is None else length) + header


@pytest.mark.parametrize(
    "content",
    [
        claiming(b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'),
        claiming(b'{"a":{"dtype":"F32","shape":[1000000,1000000,1000000],"data_offsets":[0,4]}}'),
        claiming(b'{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,4]}}'),
        claiming(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}'),
        claiming(b"{}", 2**63),
        claiming(b"{}", 100_000_000),
        claiming(b"[" * 100_000),
        claiming(b'{"a":' * 100_000),
    ],
    ids=["10^12 numbers", "10^18", "2^126", "-1", "2^63 bytes", "10^8 bytes", "nested lists", "nested objects"],
)
def test_a_header_that_claims_too_much_takes_no_memory(content, run):
    file = weights(run, STORED[1])
    file.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as wrong:
            read_tensors(file)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert len(str(wrong.value)) < 500


def test_a_file_of_terabytes_is_refused_unread(run):
    """The file is sparse; its header tells the truth, and is of no model of this run."""
    file = weights(run, STORED[1])
    size = 4 * 10**12
    header = json.dumps({"encoder": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    with file.open("wb") as stream:
        stream.write(claiming(header))
        try:
            stream.truncate(8 + len(header) + size)
        except OSError:
            pytest.skip("this file system has no sparse files of this size")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"not of this model: .*encoder is float32"):
            run.load(STORED[1])
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_headers_and_json_have_a_largest_size(run):
    file = weights(run, STORED[1])
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", HEADER_LIMIT + 1))
        stream.truncate(HEADER_LIMIT + 100)
    with pytest.raises(InputError, match=f"claims {HEADER_LIMIT + 1:,} bytes"):
        read_heads(file)
    about = run.path / "run.json"
    with about.open("wb") as stream:
        stream.truncate(JSON_LIMIT + 1)
    with pytest.raises(InputError, match="more than 64 MB"):
        read_json(about)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_pipe_in_place_of_a_file_is_not_waited_on(run):
    for file in (weights(run, STORED[1]), run.path / "metrics.json"):
        file.unlink(missing_ok=True)
        os.mkfifo(file)
    with pytest.raises(InputError, match="is missing"):
        run.load(STORED[1])
    with pytest.raises(InputError, match="is not there"):
        _ = run.metrics


# 4 and 5: weights of another model, and those that are no numbers


def test_each_difference_from_the_model_is_said(run):
    file = weights(run, STORED[1])
    tensors = read_tensors(file)
    names = sorted(tensors)
    del tensors[names[0]]
    tensors[names[1]] = tensors[names[1]].double()
    tensors[names[2]] = tensors[names[2]].reshape(-1)[:1]
    tensors["more"] = torch.zeros(3)
    file.write_bytes(to_bytes(tensors))
    with pytest.raises(InputError, match="not of this model") as wrong:
        run.load(STORED[1])
    for said in (
        f"{names[0]} is missing",
        f"{names[1]} is float64",
        f"{names[2]} is float32 [1]",
        "more is float32 [3]",
    ):
        assert said in str(wrong.value)


def test_of_very_many_differences_twenty_are_said_and_the_rest_counted():
    with pytest.raises(InputError, match=r"t19 is float32 \[1\].*, and 80 more; make the run again"):
        check_like(Path("file"), {f"t{n:02}": torch.zeros(1) for n in range(100)}, {})


def test_weights_that_are_no_numbers_are_read_only_where_that_is_asked_for(run):
    file = weights(run, STORED[1])
    tensors = read_tensors(file)
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] = float("nan")
    file.write_bytes(to_bytes(tensors))
    with pytest.raises(InputError, match=f"not finite .{name}"):
        run.load(STORED[1])
    assert torch.isnan(run.load(STORED[1], allow_nonfinite=True).state_dict()[name].view(-1)[0])


# 8: no room


LIMITED = """
import resource, sys
limit = 100_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from lowerbound.__main__ import main
sys.argv = ["lowerbound", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_training_for_which_there_is_no_room_exits_with_2_and_goes_on_later(tmp_path):
    def limited(*words):
        told = {"cwd": tmp_path, "capture_output": True, "text": True}
        return subprocess.run([sys.executable, "-c", LIMITED, *words], check=False, **told)

    done = limited("train", "digits", "--model", "vae", "-k", "2", "--epochs", "2", "--out", "run")
    assert done.returncode == 2, done.stderr
    assert "the limit on the size of a file" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    there = [file.name for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert "model.safetensors" not in there
    assert not [name for name in there if name.startswith(".")]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "training"
    done = subprocess.run(
        [sys.executable, "-m", "lowerbound", "train", "--resume", "run"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


# 12: log sigma far away


@pytest.mark.parametrize("far", [1e4, -1e4, 1e30, -1e30])
@pytest.mark.parametrize("head", [IsotropicNormal, DiagonalNormal, FullNormal])
def test_a_log_sigma_of_codes_far_away_leaves_loss_and_gradient_finite(far, head):
    torch.manual_seed(0)
    model = vae(SHAPE, 2, posterior=head)
    model.encoder[-1].linear.bias.data[2:4] = far  # the log-scales: what follows is below the diagonal
    terms = model.loss(torch.rand(8, *SHAPE))
    assert torch.isfinite(terms.loss).all()
    terms.loss.mean().backward()
    assert all(torch.isfinite(each.grad).all() for each in model.parameters())


@pytest.mark.parametrize("noise", [Normal(), PixelNormal(SHAPE), Laplace()], ids=lambda noise: type(noise).__name__)
def test_a_log_sigma_of_pixels_has_a_floor(noise):
    torch.manual_seed(0)
    model = vae(SHAPE, 2, likelihood=noise)
    noise.log_scale.data.fill_(-1e4)
    assert torch.isfinite(model.loss(torch.rand(8, *SHAPE)).loss).all()


@pytest.mark.slow
@pytest.mark.parametrize("noise", [Normal(), PixelNormal(SHAPE), Laplace()], ids=lambda noise: type(noise).__name__)
@pytest.mark.parametrize("far", [1e4, -1e4, 1e30])
def test_a_log_sigma_of_pixels_driven_away_in_training_is_brought_back(noise, far):
    torch.manual_seed(0)
    model = vae(SHAPE, 2, likelihood=copy.deepcopy(noise))

    driven = []

    def drive(step, fraction):
        if step == 7 and not driven:  # not again when it comes by after the return
            driven.append(step)
            model.decoder[-1].log_scale.data.fill_(far)

    state = train(model, PIXELS, Settings(10, 10), device=CPU, watch=drive)
    assert state.step == 30
    assert (state.rollbacks, state.skipped) in ((0, 0), (1, 5))
    assert np.isfinite(state.history["loss"]).all()
    assert all(torch.isfinite(each).all() for each in model.state_dict().values())


@pytest.mark.parametrize("rate", [100.0, 1e6])
def test_a_rate_of_100_ends_finite_or_with_the_last_good_model(rate):
    torch.manual_seed(0)
    model = vae(SHAPE, 2)
    kept = in_memory(model)
    try:
        state = train(model, PIXELS, Settings(10, 10, learning_rate=rate), keep=kept, device=CPU)
    except DivergedError as stopped:
        assert "is kept" in str(stopped) or "from the first step" in str(stopped)  # noqa: PT017
    else:
        assert np.isfinite(state.history["loss"]).all()
    assert all(torch.isfinite(each).all() for each in model.state_dict().values())


# 14: very few images


def test_one_image_is_learned_from_and_none_is_refused():
    for count, batch in ((1, 100), (1, 1), (11, 10), (3, 100)):
        model = vae(SHAPE, 2)
        state = train(model, PIXELS[:count], Settings(2, batch), device=CPU)
        assert state.step == 2 * -(-count // batch)
        assert np.isfinite(state.history["loss"]).all()
    with pytest.raises(ValueError, match="no images"):
        train(vae(SHAPE, 2), PIXELS[:0], Settings(2, 10), device=CPU)


def test_the_loss_of_a_short_batch_is_the_mean_over_its_images():
    """Of eleven alike images, a batch of ten and one of one have the same loss, where nothing is drawn and nothing learned."""
    torch.manual_seed(0)
    alike = np.repeat(PIXELS[:1], 11, axis=0)
    state = train(linear(SHAPE, 2), alike, Settings(1, 10, learning_rate=1e-30), device=CPU, state=State())
    assert state.history["loss"][0] == pytest.approx(state.history["loss"][1], rel=1e-6)


def test_an_array_without_images_is_refused(tmp_path):
    np.save(tmp_path / "none.npy", PIXELS[:0])
    with pytest.raises(InputError, match="no empty axis"):
        load_arrays(tmp_path / "none.npy")


# 18: images that are far larger than their files


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(side):
    """A whole PNG file whose rows are all black: a thousand times smaller than its pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + side)
    data = b"".join(packer.compress(row) for _ in range(min(side, 3_000))) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def long_gif(frames):
    """An animation of so many frames, 16 x 16 pixels each."""
    content = io.BytesIO()
    Image.new("L", (16, 16)).save(content, "GIF")
    head, comma, frame = content.getvalue()[:-1].partition(b",")
    return head.replace(b"GIF87a", b"GIF89a") + (b"\x21\xf9\x04\0\0\0\0\0" + comma + frame) * frames + b";"


def long_apng(frames):
    """The same as an animated PNG."""
    head = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(17 * 16))
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 10, 0, 0)) + chunk(b"IDAT", pixels)
    more = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * n - 1, 16, 16, 0, 0, 1, 10, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * n) + pixels)
        for n in range(1, frames)
    )
    acting = chunk(b"acTL", struct.pack(">II", frames, 0))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + acting + first + more + chunk(b"IEND", b"")


READ = """
import re, sys, warnings
from pathlib import Path
from lowerbound.errors import InputError
from lowerbound.photo import read_header, read_pixels
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
warnings.filterwarnings("ignore", module="PIL")
read_pixels(Path(sys.argv[1]), (1, 8, 8))  # what is loaded only once
before = peak()
for file in map(Path, sys.argv[2:]):
    try:
        print(read_header(file).width, read_pixels(file, (1, 8, 8)).shape)
    except InputError as wrong:
        print(wrong)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_bomb_is_refused_by_its_header_and_of_100_000_frames_one_is_decoded(tmp_path):
    (tmp_path / "small.gif").write_bytes(long_gif(1))
    files = {"bomb.png": png_bomb(50_000), "long.gif": long_gif(100_000), "long.png": long_apng(100_000)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    words = [sys.executable, "-c", READ, "small.gif", *files]
    done = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True)
    *said, megabytes = done.stdout.splitlines()
    assert said == ["more than 64 million", "16 (1, 8, 8)", "16 (1, 8, 8)"]
    assert float(megabytes) < 100


# 20: archives


def test_an_npz_larger_than_memory_is_refused_unread(tmp_path, monkeypatch):
    """A member is never read beyond the size that the archive tells, so that what it tells is what it takes."""
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((100, 100, 100), np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < 5_000
    assert len(load_arrays(tmp_path / "bomb.npz").train) == 84
    monkeypatch.setattr(arrays, "room", lambda: 900_000 // arrays.SHARE)
    tracemalloc.start()
    try:
        with pytest.raises(
            InputError, match=r"unpacks to 0.0 GB, more than the 0.0 GB of memory that are free; save it as .npy"
        ):
            load_arrays(tmp_path / "bomb.npz")
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


# 22: another batch, and other images


@pytest.mark.slow
def test_a_run_cannot_go_on_as_another_model(tmp_path):
    """What a run is stands in its run.json; its checkpoints are held to it."""
    images = sources.digits()
    run = begin(images, Plan((2,), ("linear",), epochs=1), tmp_path / "run")
    (linear,) = [stored for stored in run.models if stored.recipe == "linear"]
    run.save_checkpoint(linear, linear.build(), State())
    wider = StoredModel("linear", 3, linear.image_shape, network=linear.network, settings=linear.settings)
    model = wider.build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (run.path / "models" / linear.name).rename(run.path / "models" / wider.name)
    with pytest.raises(InputError, match="not of this model"):
        run.load_checkpoint(wider, model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# 24: what lies beside it, and what the machine has not


BROKEN = 'raise RuntimeError("operator torchvision::nms does not exist")\n'

EVERYTHING = """
import importlib, pkgutil, sys
import lowerbound
for module in pkgutil.walk_packages(lowerbound.__path__, "lowerbound."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
sys.argv = ["lowerbound", "train", "digits", "--model", "vae", "-k", "2", "--epochs", "1", "--out", "run"]
from lowerbound.__main__ import main
code = main()
assert "torchvision" not in sys.modules
sys.exit(code)
"""


@pytest.mark.slow
def test_a_broken_torchvision_beside_it_does_not_matter(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(BROKEN)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


UNCOMPILED = """
import sys, warnings
warnings.filterwarnings("ignore")
sys.argv = ["lowerbound", "train", "digits", "--model", "vae", "-k", "2", "--epochs", "1", "--compile", "--out", "run"]
from lowerbound.__main__ import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="finds its compiler elsewhere")
def test_without_a_compiler_compile_is_refused_and_all_else_works(tmp_path):
    """Nothing is compiled unless that is asked for, so that no other test of this file needs a compiler."""
    bare = {name: value for name, value in os.environ.items() if name != "CXX"}
    bare |= {"PATH": "/nowhere", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", UNCOMPILED], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("lowerbound: torch cannot compile here (")
    assert line.endswith("; leave --compile out")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        ),
    ],
    ids=["card", "machine"],
)
def test_a_memory_that_is_too_small_is_said_in_one_line(error, monkeypatch, capsys):
    def full(**words):
        raise error

    monkeypatch.setattr(cli, "app", full)
    assert command("data", "list") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--batch-size" in line
