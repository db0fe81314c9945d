"""What is fuzzed: every reader of files that somebody else may have written.

A target is made from an empty folder. It gives a function from a random generator to one input, and a function that reads
that input as the program would, and looks at all that came of it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import safetensors.torch
import torch
from PIL import Image

from lowerbound import encoding, page_numbers, records
from lowerbound.arrays import load_arrays
from lowerbound.course.config import read_config
from lowerbound.course.handin import read_handin
from lowerbound.course.journal import Journal
from lowerbound.course.notebook import read_notebook
from lowerbound.encoding import encode
from lowerbound.errors import InputError
from lowerbound.exporting import load_exported
from lowerbound.folder import load_folder
from lowerbound.formats import codes_table
from lowerbound.gaussian import GaussianMixture, MultivariateGaussian, Whitened
from lowerbound.images import Images
from lowerbound.packed import open_packed
from lowerbound.pca import PCA
from lowerbound.photo import read_header, read_pixels
from lowerbound.prior import Flow, Mixture
from lowerbound.published import DATASETS, File, published_bytes
from lowerbound.records import CIFAR_MEMBERS, CIFAR_RECORD, parse_idx, read_published
from lowerbound.state import State
from lowerbound.storage import Run
from lowerbound.streams import stream_of
from lowerbound.tables import load_tables
from tests.mutations import damaged, damaged_json, damaged_tensors

GOLDEN = Path(__file__).parent / "golden" / "0.1.0"
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (12, 6, 6), dtype=np.uint8)
KINDS = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")


def pictures():
    """An image file of each kind, grey, in colour, with a palette, transparent, animated."""
    found = []
    grey = Image.fromarray(RANDOM.integers(0, 256, (12, 12), dtype=np.uint8))
    for kind in KINDS:
        found += [_as(each, kind) for each in (grey, grey.convert("RGB"))]
    found += [_as(grey.convert("RGBA"), "png"), _as(grey.convert("P"), "gif"), _as(grey.convert("1"), "tiff")]
    found += [_as(Image.fromarray(np.zeros((9, 9), np.uint16)), "png"), _as(grey.convert("CMYK"), "tiff")]
    found.append(_as(grey, "gif", save_all=True, append_images=[grey] * 3))
    found.append(_as(grey, "png", save_all=True, append_images=[grey.convert("RGB")] * 2))
    return found


def _as(image, kind, **words):
    content = io.BytesIO()
    image.save(content, kind, **words)
    return content.getvalue()


def image(folder):
    found = pictures()

    def read(content):
        read_header(content)
        for shape in ((1, 8, 8), (3, 5, 7)):
            assert read_pixels(content, shape).shape == shape

    return lambda random: damaged(random, random.choice(found), found), read


def image_folder(folder):
    """A folder of two good files and one odd one, under an odd name."""
    found = pictures()
    for name in ("good", "fine"):
        (folder / f"{name}.png").write_bytes(found[0])
    before = sorted(folder.iterdir())

    def make(random):
        stem = os.fsencode(random.choice(("a", "é", "=1+1", " ", "..", "-rf", "line\nbreak", "x" * 200)))
        stem = random.choice((stem, stem + b"\xff\xfe"))
        return stem + b".", random.choice(KINDS).encode(), damaged(random, random.choice(found), found)

    def read(made):
        stem, kind, content = made
        file = folder / os.fsdecode(stem + kind)
        file.write_bytes(content)
        images = load_folder(folder, size=4)
        assert len(images.train) + len(images.test) + len(images.skipped) == 2 + (not stem.startswith(b"."))
        file.unlink()
        assert sorted(folder.iterdir()) == before

    return make, read


def idx(folder):
    good = [
        bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
        for array in (PIXELS, PIXELS[0, 0], PIXELS[:, 0])
    ]
    return lambda random: damaged(random, random.choice(good), good), lambda content: parse_idx(content).sum()


def gzipped(folder):
    """A packed file of a data set; of half of them the hash is that of what they unpack to, so that it stops nothing."""
    size = 3_000
    good = [gzip.compress(RANDOM.integers(0, 4, size, dtype=np.uint8).tobytes(), level, mtime=0) for level in (1, 9)]
    good += [good[0] + bytes(9), good[0][:8] + b"\0\0" + good[0][10:]]  # whole, with other bytes in what nobody reads
    good.append(gzip.compress(bytes(10**7), 9, mtime=0))  # unpacks to far more than the table says
    path = folder / "train-images-idx3-ubyte.gz"

    def read(content):
        path.write_bytes(content)
        data = published_bytes(
            path, File("train-images-idx3-ubyte", size, len(good[0]), sha256=_unpacked(content, size)), "mnist"
        )
        assert len(data) == size

    return lambda random: damaged(random, random.choice(good), good), read


def _unpacked(content, size):
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return sha256(stream.read(size)).hexdigest()
    except (OSError, EOFError, zlib.error):
        return ""


def cifar(folder):
    """The archive of CIFAR-10 with members of four records, its hash always the right one, so that it stops nothing."""
    records.CIFAR_MEMBER = 4 * CIFAR_RECORD
    rows = RANDOM.integers(0, 10, (4, CIFAR_RECORD), dtype=np.uint8).tobytes()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name in CIFAR_MEMBERS:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(rows)
            archive.addfile(member, io.BytesIO(rows))
    plain = plain.getvalue()
    packed = gzip.compress(plain, 1, mtime=0)
    place = folder / "cifar-10-binary.tar.gz"
    dataset = DATASETS["cifar10"]

    def make(random):
        if random.random() < 0.3:
            return damaged(random, packed)
        start = 512 * random.randrange(len(plain) // 512)  # a block of the archive, which may be a header
        block = damaged(random, plain[start : start + 512])
        if random.random() < 0.7:  # the sum that guards a header is made good again
            block = block[:148] + b" " * 8 + block[156:]
            block = block[:148] + b"%06o\0 " % sum(block[:512]) + block[156:]
        return gzip.compress(plain[:start] + block + plain[start + 512 :], 1, mtime=0)

    def read(content):
        place.write_bytes(content)
        file = File(place.name, len(content), len(content), sha256(content).hexdigest())
        DATASETS["cifar10"] = type(dataset)(
            dataset.title, dataset.mirrors, dataset.folders, (file,), dataset.class_names
        )
        train, test = read_published("cifar10", [place])
        assert (len(train), len(test)) == (20, 4)
        assert [item.name for item in folder.iterdir()] == [place.name]

    return make, read


def _saved(save, *given, **named):
    content = io.BytesIO()
    save(content, *given, **named)
    return content.getvalue()


def npy(folder):
    good = [
        _saved(np.save, array)
        for array in (PIXELS, PIXELS / 255, PIXELS > 9, PIXELS[..., None], np.float16(PIXELS / 255))
    ]
    return lambda random: damaged(random, random.choice(good), good), _array(folder / "images.npy")


def npz(folder):
    labels = np.arange(12) % 3
    good = [_saved(save, images=PIXELS, labels=labels) for save in (np.savez, np.savez_compressed)] + [
        _saved(np.savez, x_train=PIXELS, y_train=labels, x_test=PIXELS[:3], y_test=labels[:3].astype("U4"))
    ]
    return lambda random: damaged(random, random.choice(good), good), _array(folder / "images.npz")


def _array(path):
    def read(content):
        path.write_bytes(content)
        images = load_arrays(path)
        assert images.train.pixels.dtype == np.uint8
        assert images.train.pixels.sum() >= 0

    return read


def _table():
    rows = [{"bytes": content, "path": None} for content in pictures()[:8]]
    return pyarrow.table({"image": rows, "label": list(range(8))})


def parquet(folder):
    good = [
        _saved(lambda out, how=how: pyarrow.parquet.write_table(_table(), out, compression=how))
        for how in ("none", "snappy", "zstd")
    ]
    return lambda random: damaged(random, random.choice(good), good), _rows(folder / "images.parquet")


def arrow(folder):
    def stream(out):
        with pyarrow.ipc.new_stream(out, _table().schema) as writer:
            writer.write_table(_table())

    good = [
        _saved(lambda out: pyarrow.feather.write_feather(_table(), out, compression="uncompressed")),
        _saved(stream),
    ]
    return lambda random: damaged(random, random.choice(good), good), _rows(folder / "images.arrow")


def _rows(path):
    def read(content):
        path.write_bytes(content)
        images = load_tables(path, size=4)
        assert len(images.train) + len(images.test) + len(images.skipped) > 0

    return read


def packed(folder):
    """Packed images, and the table beside them."""
    files = {name: (GOLDEN / name).read_bytes() for name in ("images.npy", "images.npy.arrow")}

    def make(random):
        name = random.choice(list(files))
        return name, damaged(random, files[name], list(files.values()))

    def read(made):
        for name, content in {**files, made[0]: made[1]}.items():
            (folder / name).write_bytes(content)
        images = load_arrays(folder / "images.npy")
        for part in (images.train, images.test):
            assert len(list(part.names or ())) in (0, len(part))
            assert part.pixels.sum() >= 0
        open_packed(folder / "images.npy")

    return make, read


def run_folder(folder):
    """A run: one of its files odd, all of it read."""
    place = folder / "run"
    shutil.copytree(GOLDEN / "run", place)
    shutil.rmtree(place / "models" / "conv-k2")  # as large as all else together
    about = json.loads((place / "run.json").read_text(encoding="utf-8"))
    about["models"] = [model for model in about["models"] if model["recipe"] in ("pca", "linear")]
    (place / "run.json").write_text(json.dumps(about), encoding="utf-8")
    kept = [file for file in place.rglob("*") if file.is_file() and "vae" not in file.parent.name]
    files = {file: file.read_bytes() for file in kept if file.name != "model.json"}
    weights = [content for file, content in files.items() if file.suffix == ".safetensors"]
    records_of_run = [file for file in files if file.suffix == ".json"]

    def make(random):
        file = random.choice(records_of_run if random.random() < 0.5 else list(files))
        if file.suffix == ".json" and random.random() < 0.9:
            return file, damaged_json(random, files[file])
        if file.suffix == ".safetensors":
            return file, damaged_tensors(random, random.choice((files[file], unsealed(files[file]))), weights)
        return file, damaged(random, files[file], weights)

    def read(made):
        file, content = made
        file.write_bytes(content)
        try:
            _look_at(Run.open(place))
        finally:
            file.write_bytes(files[file])

    return make, read


def _look_at(run):
    """All that is in a run, so that one odd file hides none of the others."""
    wrong = []
    for look in (
        run.load,
        lambda stored: (
            run.load_checkpoint(stored, stored.build(), lambda line: None) if stored.recipe != "pca" else None
        ),
        run.film,
        run.history,
        lambda stored: run.measured("squared_error", stored.latent_dim),
        lambda stored: run.metrics,
        lambda stored: run.choose(stored.recipe),
    ):
        for stored in run.models:
            try:
                look(stored)
            except InputError as error:
                wrong.append(error)
    for file in run.path.rglob("checkpoint-before.safetensors"):  # which takes the place of a damaged one
        if not (file.with_name("checkpoint.safetensors")).is_file():
            shutil.copyfile(file, file.with_name("checkpoint.safetensors"))
    if wrong:
        raise wrong[0]


def examined(folder):
    """What lies beside a run for its page: the findings on its VAE, the ascents, and what they were made of."""
    run = Run(folder, {"source": {}, "models": json.loads((GOLDEN / "run-default" / "run.json").read_text())["models"]})
    finding = {"name": "collapse", "evidence": "2 of 8", "certainty": "likely", "advice": "less beta", "figure": "loss"}
    ascent = {"image": 3, "model": "vae", "steps": [0, 1], "elbo": [-2.5, -1.0], "phi_mean": [[0.5, 1.0], [0.1, 1.1]]}
    good = {
        "diagnosis.json": {"model": "vae-k2", "findings": [finding, {**finding, "name": "loose", "panel": "map"}]},
        "posterior.json": {"posterior": [ascent, {**ascent, "image": 9}]},
        "insight.json": {"of": "0123", "reasons": {"findings": "too few images", "posterior": "no VAE"}},
    }
    files = {name: json.dumps(content).encode() for name, content in good.items()}
    film = (GOLDEN / "run" / "models" / "linear-k2" / "film.safetensors").read_bytes()
    files["models/vae-k2/film.safetensors"] = unsealed(film)
    (folder / "models" / "vae-k2").mkdir(parents=True)
    (vae,) = run.models

    def make(random):
        name = random.choice(list(files))
        return name, (damaged_json if name.endswith(".json") else damaged_tensors)(random, files[name])

    def read(made):
        for name, content in {**files, made[0]: made[1]}.items():
            (folder / name).write_bytes(content)
        page_numbers.unknown(run, None, [])
        page_numbers.film(run, vae, 50)
        page_numbers.posterior(run, 50, ["vae"])
        assert all(isinstance(each["panel"], str) for each in page_numbers.findings(run) or [])

    return make, read


def parts_of_codes(folder):
    """A file of codes that was begun, its parts as an earlier process has left them."""
    images = Images(RANDOM.integers(0, 256, (40, 1, 4, 4), dtype=np.uint8), None, tuple(f"{n}.png" for n in range(40)))
    out, stream, model = folder / "codes.npy", stream_of(images, "some"), PCA(2).fit(images.pixels)
    parts = folder / ".codes.npy.parts"
    encode(model, stream, out, stamp="pca")
    whole = out.read_bytes()
    stamp = f"pca {stream.stamp} {encoding.PART}"
    content = io.BytesIO()
    table = codes_table(model.transform(images.pixels[:20]), images.names[:20])
    told = {b"lowerbound": json.dumps({"stop": 20, "skipped": []}).encode()}
    with pyarrow.ipc.new_file(content, table.schema.with_metadata(told)) as writer:
        writer.write_table(table)
    good = content.getvalue()

    def read(made):
        out.unlink(missing_ok=True)
        parts.mkdir()
        (parts / "stamp").write_text(stamp)
        (parts / f"{0:015}.arrow").write_bytes(made)
        try:
            encode(model, stream, out, stamp="pca")
            assert len(out.read_bytes()) == len(whole)
        finally:
            shutil.rmtree(parts, ignore_errors=True)

    return lambda random: damaged(random, good), read


def checkpoint(folder):
    """Checkpoints: the last and the one before."""
    run = Run(folder, {})
    (stored,) = [model for model in Run.open(GOLDEN / "run").models if model.recipe == "linear"]
    where = run.folder(stored)
    where.mkdir(parents=True)
    model = stored.build()
    good = [
        (GOLDEN / "run" / "models" / stored.name / f"checkpoint{end}.safetensors").read_bytes()
        for end in ("", "-before")
    ]

    def read(content):
        (where / "checkpoint.safetensors").write_bytes(content)
        (where / "checkpoint-before.safetensors").unlink(missing_ok=True)
        state = run.load_checkpoint(stored, model, lambda line: None)
        assert isinstance(state, State)

    good += [unsealed(content) for content in good]
    return lambda random: damaged_tensors(random, random.choice(good), good), read


def unsealed(content):
    """A safetensors file without its hash, so that what comes behind the hash is met, too."""
    tensors = safetensors.torch.load(content)
    tensors.pop("sha256", None)
    return safetensors.torch.save(tensors)


def prior(folder):
    """A prior that was fitted to the codes of a model, under any of the names of its kinds."""
    run = Run(folder, {})
    (vae,) = Run.open(GOLDEN / "run-default").models
    (folder / "models" / vae.name).mkdir(parents=True)
    model = vae.build()
    mixture = GaussianMixture(torch.ones(3) / 3, torch.randn(3, 2), torch.eye(2).repeat(3, 1, 1))
    made_of = {"normal": MultivariateGaussian(torch.ones(2), torch.eye(2)), "gmm": mixture}
    made_of["flow"] = Whitened(Flow(2, transforms=2, hidden=[4]), torch.zeros(2), torch.eye(2))
    made_of["mixture"] = Whitened(Mixture(2, 3), torch.zeros(2), torch.eye(2))
    good = {name: safetensors.torch.save(dict(each.state_dict())) for name, each in made_of.items()}

    def make(random):
        name = random.choice(list(good))
        return random.choice((name, name, *good)), damaged_tensors(random, good[name], list(good.values()))

    def read(made):
        name, content = made
        (run.folder(vae) / f"prior-{name}.safetensors").write_bytes(content)
        drawn = run.load_prior(vae, name, model)().sample((2,))
        assert drawn.shape == (2, 2)

    return make, read


def course_settings(folder):
    good = b"""
name = "Deep learning, week 8"
groups = ["athena", "boreas"]
repo = "owner/name"
[form]
url = "https://example.com/viewform"
style = "google"
[form.fields]
name = "entry.111"
"05/response:strict" = "entry.222"
"""

    def read(content):
        (folder / "course.toml").write_bytes(content)
        assert all(isinstance(each, str) for each in read_config(folder).groups)

    return lambda random: damaged(random, good), read


def exported(folder):
    """A model that was given away: its description, or its weights."""
    where = GOLDEN / "run" / "models"
    files = {}
    for name in ("pca-k2", "linear-k2"):
        shutil.copytree(where / name, folder / name)
        files |= {
            folder / name / file: (where / name / file).read_bytes() for file in ("model.json", "model.safetensors")
        }

    def make(random):
        file = random.choice(list(files))
        if file.suffix == ".json":
            return file, damaged_json(random, files[file])
        return file, damaged_tensors(random, random.choice((files[file], unsealed(files[file]))))

    def read(made):
        file, content = made
        file.write_bytes(content)
        try:
            load_exported(file.parent)
        finally:
            file.write_bytes(files[file])

    return make, read


def handin(folder):
    from lowerbound.course.sealed import seal

    good = (GOLDEN / "handed" / "handin-Ada.json").read_bytes()
    path = folder / "handin-Ada.json"

    def make(random):
        content = damaged_json(random, good)
        if random.random() < 0.6:  # and sealed anew, as somebody who means it would
            try:
                return json.dumps(seal(json.loads(content))).encode()
            except (ValueError, AttributeError, TypeError, UnicodeError, RecursionError):
                pass
        return content

    def read(content):
        path.write_bytes(content)
        found = read_handin(path)
        assert all(isinstance(each, str) for each in (found.name, found.group, found.course))

    return make, read


def journal(folder):
    good = (GOLDEN / "course" / "course-journal.jsonl").read_bytes()
    lines = good.splitlines(keepends=True)
    kept = Journal(folder)

    def make(random):
        if random.random() < 0.3:
            return damaged(random, good)
        place = random.randrange(len(lines))
        return b"".join([*lines[:place], damaged_json(random, lines[place]) + b"\n", *lines[place + 1 :]])

    def read(content):
        kept.path.write_bytes(content)
        record = kept.read()
        assert record.lines >= 0
        assert kept.path.read_bytes() == content  # what is odd is left as it is

    return make, read


def notebook(folder):
    cell = {"cell_type": "code", "source": ["x = 1\n", "x"], "metadata": {}, "outputs": [], "execution_count": None}
    text = {"cell_type": "markdown", "source": "# *Words*", "metadata": {"a": 1}, "attachments": {}}
    good = json.dumps({"cells": [cell, text], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
    path = folder / "lesson.ipynb"

    def read(content):
        path.write_bytes(content)
        assert isinstance(read_notebook(path).cells, tuple)

    return lambda random: damaged_json(random, good) if random.random() < 0.8 else damaged(random, good), read


TARGETS = {
    each.__name__: each
    for each in (
        image,
        image_folder,
        idx,
        gzipped,
        cifar,
        npy,
        npz,
        parquet,
        arrow,
        packed,
        run_folder,
        examined,
        prior,
        parts_of_codes,
        checkpoint,
        exported,
        handin,
        journal,
        course_settings,
        notebook,
    )
}
