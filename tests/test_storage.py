"""Run folders: what is written comes back, and what is damaged is refused in one line."""

from __future__ import annotations

import json
import os
import signal
import struct

import numpy as np
import pytest
import safetensors.torch
import torch

from lowerbound.checkpoints import files
from lowerbound.errors import DivergedError, InputError
from lowerbound.formats import codes_table, read_csv, read_sealed, read_tensors, sealed, to_csv, to_json
from lowerbound.pca import PCA
from lowerbound.settings import Settings, one_cycle
from lowerbound.state import State
from lowerbound.storage import FORMAT, Run
from lowerbound.stored import StoredModel

SHAPE = (1, 4, 4)
PIXELS = np.random.default_rng(0).integers(0, 256, (30, *SHAPE)).astype(np.uint8)
STORED = [
    StoredModel("pca", 3, SHAPE),
    StoredModel("conv", 3, SHAPE, settings=Settings(epochs=2, schedule=one_cycle)),
    StoredModel("vae", 3, SHAPE, settings=Settings(epochs=2)),
]


def begin(folder):
    source = {"name": "noise", "source": "noise.npy", "sha256": "", "image_shape": list(SHAPE)}
    return Run.create(folder, {"source": source, "shown_k": 3, "models": [stored.to_json() for stored in STORED]})


@pytest.fixture
def run(tmp_path):
    """A complete run of three models."""
    run = begin(tmp_path / "run")
    pca = PCA(3).fit(PIXELS)
    run.save(STORED[0], pca)
    for stored in STORED[1:]:
        run.save(stored, stored.build(pca).eval(), {"loss": np.array([1.5, 0.1], np.float32)})
    run.complete()
    return run


def refused(path, words):
    """The one line with which a run is refused."""

    def read():
        opened = Run.open(path)
        return [opened.load(stored) for stored in opened.models]

    with pytest.raises(InputError, match=words) as wrong:
        read()
    assert "\n" not in str(wrong.value).strip()


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)
def test_a_model_comes_back_the_same(run, stored):
    there = Run.open(run.path)
    assert there.models == STORED
    one, two = there.load(stored), run.load(stored)
    np.testing.assert_array_equal(one.transform(PIXELS), two.transform(PIXELS))
    assert (run.folder(stored) / "model.json").is_file()


def test_an_existing_folder_is_refused_and_untouched(run):
    before = (run.path / "run.json").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        begin(run.path)
    assert (run.path / "run.json").read_bytes() == before


def test_a_folder_whose_first_file_finds_no_room_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "write_about", lambda self: (_ for _ in ()).throw(InputError("no space is left")))
    with pytest.raises(InputError, match="no space"):
        begin(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_run_appears_with_what_was_asked_or_not_at_all(tmp_path, monkeypatch):
    """A process killed as it begins leaves no folder under the name: the same command begins anew."""
    left = tmp_path / f".run.{os.getpid()}"  # by one that was killed, and had our number
    left.mkdir()
    (left / ".run.json.1").write_bytes(b"{")
    real = Run.write_about

    def write(run):
        assert not (tmp_path / "run").exists()
        real(run)

    monkeypatch.setattr(Run, "write_about", write)
    begin(tmp_path / "run")
    assert [file.name for file in tmp_path.rglob("*")] == ["run", "run.json"]


def test_of_two_that_begin_at_once_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lowerbound.storage.refuse_existing", lambda path: None)
    begin(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        begin(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_an_unfinished_run_is_refused_unless_asked_for(tmp_path):
    begin(tmp_path / "run")
    refused(tmp_path / "run", "is not finished .run.json says training.; go on with `lowerbound train --resume")
    assert Run.open(tmp_path / "run", unfinished=True).about["status"] == "training"


def test_what_is_no_run_is_refused(tmp_path):
    refused(tmp_path / "none", "does not exist")
    refused(tmp_path, "no run folder")


def _changed(about, *keys, value):
    place = about
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return about


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("models",), []),
        (("models",), "vae"),
        (("models", 0, "recipe"), "../../etc"),
        (("models", 0, "latent_dim"), 0),
        (("models", 0, "latent_dim"), 10**12),
        (("models", 0, "latent_dim"), "3"),
        (("models", 0, "image_shape"), [1, 4]),
        (("models", 0, "image_shape"), [1, 10**6, 10**6]),
        (("models", 1, "network"), "none"),
        (("models", 1, "settings", "schedule"), "none"),
        (("models", 1, "settings", "epochs"), -1),
        (("models", 1, "settings", "batch_size"), 0),
        (("models", 1, "more"), 1),
        (("source",), None),
        (("source", "image_shape"), [3, 4, 4]),
        (("shown_k",), 99),
        (("status",), None),
    ],
)
def test_a_run_json_of_other_content_is_refused(run, keys, value):
    file = run.path / "run.json"
    file.write_bytes(to_json(_changed(json.loads(file.read_text()), *keys, value=value)))
    refused(run.path, "damaged")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff\xfe", b'{"format": 0}', b"[" * 100_000])
def test_a_run_json_that_is_no_json_is_refused(run, content):
    (run.path / "run.json").write_bytes(content)
    refused(run.path, "damaged")


def test_a_newer_format_is_refused(run):
    (run.path / "run.json").write_bytes(to_json({**run.about, "format": FORMAT + 1}))
    refused(run.path, "update lowerbound")


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]", b'[{"name": 1}]', b'{"a": 1}', b"7"])
def test_damaged_metrics_are_refused(run, content):
    (run.path / "metrics.json").write_bytes(content)
    if content == b"{}":
        assert not run.metrics
        return
    with pytest.raises(InputError, match="damaged"):
        _ = run.metrics


@pytest.mark.parametrize("stored", STORED[::2], ids=lambda stored: stored.name)
def test_weights_cut_anywhere_are_refused(run, stored):
    file = run.folder(stored) / "model.safetensors"
    whole = file.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for length in [*range(0, header + 16, 97), *np.linspace(header, len(whole) - 1, 30).astype(int)]:
        file.write_bytes(whole[:length])
        refused(run.path, "safetensors")
    file.unlink()
    refused(run.path, "is missing")


def test_flipped_bits_in_the_header_are_refused_or_change_nothing(run):
    """Some flips change white space or the order of names only; none may crash, or load other numbers."""
    stored = STORED[2]
    file = run.folder(stored) / "model.safetensors"
    whole = file.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    right = run.load(stored).state_dict()
    refusals = 0
    for bit in np.random.default_rng(0).permutation(8 * header)[:400]:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(flipped)
        try:
            found = run.load(stored).state_dict()
        except InputError:
            refusals += 1
        else:
            assert all(torch.equal(found[name], right[name]) for name in right)
    assert refusals > 350


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("stored", STORED[::2], ids=lambda stored: stored.name)
def test_weights_that_are_no_numbers_are_refused(run, stored, bad):
    _alter(run, stored, lambda tensors: next(iter(tensors.values())).view(-1)[:1].fill_(bad))
    refused(run.path, "not finite")


@pytest.mark.parametrize("stored", STORED[::2], ids=lambda stored: stored.name)
def test_weights_of_another_model_are_refused(run, stored):
    name = "components" if stored.recipe == "pca" else "decoder.0.linear.weight"
    for change in (
        lambda tensors: tensors.update({name: torch.zeros(2, 2)}),
        lambda tensors: tensors.update({name: tensors[name].to(torch.int32)}),
        lambda tensors: tensors.pop(name),
        lambda tensors: tensors.update({"more": torch.zeros(1)}),
    ):
        whole = _alter(run, stored, change)
        refused(run.path, "not of this model")
        (run.folder(stored) / "model.safetensors").write_bytes(whole)


def _alter(run, stored, change):
    """Change stored tensors; gives the bytes that were there."""
    file = run.folder(stored) / "model.safetensors"
    whole = file.read_bytes()
    tensors = read_tensors(file)
    change(tensors)
    file.write_bytes(safetensors.torch.save(tensors))
    return whole


@pytest.mark.parametrize("name", ["state", "optimizer.x.step", "optimizer.0"])
def test_a_checkpoint_of_other_content_is_refused(run, name):
    stored = STORED[1]
    model = stored.build()
    weights = {f"model.{key}": value for key, value in model.state_dict().items()}
    more = {name: torch.zeros(1)} if name != "state" else {}
    content = {**weights, "state": torch.zeros(2)} | more
    if name == "state":
        del content["state"]
    (run.folder(stored) / "checkpoint.safetensors").write_bytes(safetensors.torch.save(content))
    with pytest.raises(InputError, match="no checkpoint"):
        run.load_checkpoint(stored, model)


@pytest.fixture
def saved(run):
    """A conv model with two checkpoints; the weights that each holds."""
    stored, held = STORED[1], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = stored.build()
        held.append({name: value.clone() for name, value in model.state_dict().items()})
        run.save_checkpoint(stored, model, State(seconds=float(seed)))
    return run, stored, held


def _from_checkpoint(run, stored):
    """Weights that a checkpoint gives, the seconds in its state, and what was warned of."""
    said = []
    model = stored.build()
    state = run.load_checkpoint(stored, model, said.append)
    return model.state_dict(), None if state is None else state.seconds, said


def _equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_last_two_checkpoints_are_kept_and_the_newest_is_loaded(saved):
    run, stored, held = saved
    weights, seconds, said = _from_checkpoint(run, stored)
    assert _equal(weights, held[1])
    assert (seconds, said) == (2.0, [])
    names = {file.name for file in run.folder(stored).glob("checkpoint*")}
    assert names == {"checkpoint.safetensors", "checkpoint-before.safetensors"}
    (run.folder(stored) / "checkpoint.safetensors").unlink()  # killed between the two renamings
    weights, seconds, said = _from_checkpoint(run, stored)
    assert _equal(weights, held[0])
    assert (seconds, said) == (1.0, [])


def test_no_checkpoint_is_no_state(run):
    assert run.load_checkpoint(STORED[1], STORED[1].build()) is None


def test_a_checkpoint_cut_anywhere_is_noticed_and_the_one_before_serves(saved):
    run, stored, held = saved
    file, before = files(run.folder(stored))
    whole, older = file.read_bytes(), before.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        file.write_bytes(whole[:length])
        before.write_bytes(older)
        weights, seconds, said = _from_checkpoint(run, stored)
        assert _equal(weights, held[0])
        assert seconds == 1.0
        assert len(said) == 1
        assert "checkpoint.safetensors" in said[0]
        assert said[0].endswith("; went on from the checkpoint before it")


@pytest.mark.slow
def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(saved):
    run, stored, held = saved
    file, before = files(run.folder(stored))
    whole, older = file.read_bytes(), before.read_bytes()
    noticed = 0
    flips = np.random.default_rng(0).permutation(8 * len(whole))[:300]
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for bit in flips:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(flipped)
        before.write_bytes(older)
        weights, seconds, said = _from_checkpoint(run, stored)
        assert _equal(weights, held[0] if said else held[1])
        assert seconds == (1.0 if said else 2.0)
        assert said or bit < 8 * header  # all numbers are under the seal; white space of the header is not
        noticed += bool(said)
    assert noticed > 290


def test_the_one_before_takes_the_place_of_a_damaged_one(saved):
    """Else the next save would move the damaged one over the only whole one, and a kill just then would lose all."""
    run, stored, _ = saved
    file, before = files(run.folder(stored))
    older = before.read_bytes()
    file.write_bytes(file.read_bytes()[:-1])
    _from_checkpoint(run, stored)
    assert file.read_bytes() == older
    assert not before.exists()
    assert _from_checkpoint(run, stored)[2] == []


def test_two_damaged_checkpoints_are_refused_and_left(saved):
    run, stored, _ = saved
    both = files(run.folder(stored))
    for file in both:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=r"checkpoint.safetensors is no whole.*checkpoint-before.safetensors, is of no use"
    ):
        _from_checkpoint(run, stored)
    assert all(file.exists() for file in both)
    both[1].unlink()
    with pytest.raises(InputError, match=r"checkpoint.safetensors is no whole safetensors file"):
        _from_checkpoint(run, stored)


def test_a_checkpoint_of_another_model_leaves_the_weights_as_they_were(saved):
    run, stored, _ = saved
    for file in files(run.folder(stored)):
        tensors = read_tensors(file)
        del tensors["sha256"], tensors[next(name for name in sorted(tensors) if name.startswith("model."))]
        file.write_bytes(safetensors.torch.save(tensors))
    model = stored.build()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match="not of this model"):
        run.load_checkpoint(stored, model)
    assert _equal(weights, model.state_dict())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_never_written(saved, bad):
    run, stored, _ = saved
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    model = stored.build()
    with torch.no_grad():
        list(model.parameters())[-1].view(-1)[0] = bad
    with pytest.raises(DivergedError, match=r"not finite and was not written to .*checkpoint.safetensors"):
        run.save_checkpoint(stored, model, State())
    with pytest.raises(DivergedError, match=r"not finite and was not written to .*model.safetensors"):
        run.save(stored, model)
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before


def test_the_same_tensors_give_the_same_bytes_and_any_other_another_seal(saved, tmp_path):
    def written(tensors):
        sealed(tensors)(tmp_path / "sealed")
        return (tmp_path / "sealed").read_bytes()

    run, stored, _ = saved
    tensors = read_sealed(files(run.folder(stored))[0])
    assert written(tensors) == written(dict(reversed(tensors.items()))) == files(run.folder(stored))[0].read_bytes()
    for strange in (torch.tensor(1.5), torch.zeros(0, 3), torch.ones(2, 3).t(), torch.ones(3, dtype=torch.bfloat16)):
        assert written({"a": strange}) != written({"a": strange.reshape(-1)}) or strange.dim() == 1
        assert written({"a": strange}) != written({"b": strange})


def test_two_processes_on_one_run(run):
    other = Run.open(run.path)
    with run.writing():
        with pytest.raises(InputError, match=r"is being trained by process \d+"), other.writing():
            pass
        with pytest.raises(InputError, match="is being trained by process"):
            other.save_prior(STORED[2], "normal", torch.nn.Linear(1, 1), {})
        run.about["status"] = "training"
        run.write_about()
    with pytest.raises(InputError, match="was changed by another process since it was opened"), other.writing():
        pass
    with Run.open(run.path, unfinished=True).writing():
        pass


def test_what_killed_processes_began_is_cleared_away(run):
    of_model = run.folder(STORED[1])  # the last is one that safetensors makes while it writes
    left = [run.path / ".run.json.123", of_model / ".checkpoint.safetensors.4567", of_model / ".tmpme0GJU"]
    for file in left:
        file.write_bytes(b"half")
    before = {file for file in run.path.rglob("*") if file.is_file()} - set(left)
    with run.writing():
        assert not any(file.exists() for file in left)
    assert {file for file in run.path.rglob("*") if file.is_file()} == before


def test_a_fitted_prior_goes_with_the_weights_it_was_fitted_to(run):
    stored = STORED[2]
    run.save_prior(stored, "normal", torch.nn.Linear(1, 1), {})
    run.save(stored, stored.build())
    assert not list(run.folder(stored).glob("prior-*"))


def test_choosing_a_model(run):
    assert run.choose().name == "vae-k3"
    assert run.choose("pca").name == "pca-k3"
    with pytest.raises(InputError, match='no model "vea-k3"; did you mean "vae-k3"'):
        run.choose("vea")
    with pytest.raises(InputError, match="it has pca-k3, conv-k3, vae-k3"):
        run.choose("vae", 4)


def test_a_history_comes_back_to_the_last_bit(tmp_path):
    history = {"loss": np.random.default_rng(0).standard_normal(50).astype(np.float32) * 1e-7}
    (tmp_path / "history.csv").write_bytes(to_csv(history))
    np.testing.assert_array_equal(read_csv(tmp_path / "history.csv")["loss"], history["loss"])
    (tmp_path / "history.csv").write_text("batch,loss\n1,x\n")
    with pytest.raises(InputError, match="damaged"):
        read_csv(tmp_path / "history.csv")


def test_codes_as_a_table():
    table = codes_table(np.eye(2, dtype=np.float32), ("ü.png", "bad\udcff.png"), np.array([4, 5]))
    assert table.to_pydict() == {
        "name": ["ü.png", "bad\\udcff.png"],
        "label": [4, 5],
        "z1": [1.0, 0.0],
        "z2": [0.0, 1.0],
    }
    assert codes_table(np.ones((2, 1), np.float32)).column_names == ["z1"]


def test_json_keeps_names_that_are_no_text_and_refuses_nan():
    assert json.loads(to_json(["bad\udcff", "ü"])) == ["bad\udcff", "ü"]
    with pytest.raises(ValueError, match="Out of range"):
        to_json(float("nan"))


def test_a_run_of_the_first_format_still_loads(run):
    about = json.loads((run.path / "run.json").read_text())
    about["format"] = 1
    for model in about["models"]:
        for name in ("parts", "images", "replicate", "outside"):
            del model[name]
    (run.path / "run.json").write_text(json.dumps(about))
    there = Run.open(run.path)
    assert there.models == STORED
    for stored in STORED:
        assert np.array_equal(there.load(stored).transform(PIXELS), run.load(stored).transform(PIXELS))


def test_what_was_measured_of_each_image_comes_back(run):
    errors, scores = np.arange(5.0), -np.arange(5.0)
    run.save_measured(STORED[1], errors, None)
    run.save_measured(STORED[2], 2 * errors, scores)
    assert {name: values.tolist() for name, values in run.measured("squared_error", 3).items()} == {
        "conv": [errors.tolist()],
        "vae": [(2 * errors).tolist()],
    }
    assert list(run.measured("score", 3)) == ["vae"]
    assert not run.measured("score", 4)


def test_a_checkpoint_for_which_there_is_no_room_is_refused_in_words(saved):
    """The file is written by safetensors itself, which has errors of its own."""
    resource = pytest.importorskip("resource")
    run, stored, _ = saved
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(InputError, match=r"limit on the size of a file .*checkpoint.safetensors"):
            run.save_checkpoint(stored, stored.build(), State())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before
