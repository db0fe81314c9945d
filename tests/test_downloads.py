"""Published data sets: IDX and CIFAR records, hashes, mirrors that fail in every way, files put in place by hand."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import struct
import tarfile
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lowerbound import downloads, published, records
from lowerbound.downloads import data_folder, fetch_dataset, load_dataset
from lowerbound.errors import InputError
from lowerbound.published import DATASETS, Dataset, File
from lowerbound.records import CIFAR_MEMBERS, CIFAR_RECORD, parse_idx
from lowerbound.sources import SOURCES, load

SHARED = Path(__file__).parents[2] / "shared" / "data"


def idx(array):
    return (
        struct.pack(f">3xB{array.ndim}I", array.ndim, *array.shape).replace(b"\0\0\0", b"\0\0\x08", 1) + array.tobytes()
    )


# IDX


@given(arrays_of.arrays(np.uint8, arrays_of.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=5)))
def test_any_array_comes_back(array):
    assert np.array_equal(parse_idx(idx(array)), array)


@given(arrays_of.arrays(np.uint8, arrays_of.array_shapes(min_dims=1, max_dims=3, max_side=4)), st.data())
def test_a_file_cut_anywhere_is_refused(array, data):
    whole = idx(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(InputError, match=r"starts with|ends at byte|holds"):
        parse_idx(whole[:cut])
    with pytest.raises(InputError, match="holds"):
        parse_idx(whole + b"\0")


@pytest.mark.parametrize("mark", [b"\0\0\x0d\3", b"\1\0\x08\3", b"<htm", b"\x1f\x8b\x08\0"])
def test_another_mark_is_refused(mark):
    with pytest.raises(InputError, match="expected 00 00 08"):
        parse_idx(mark + bytes(100))


def test_a_header_that_claims_too_much_is_refused_at_once():
    start = time.perf_counter()
    with pytest.raises(InputError, match="expected 79,228,162,"):
        parse_idx(b"\0\0\x08\3" + b"\xff" * 12 + bytes(10))
    assert time.perf_counter() - start < 0.05


# A small data set in place of a large one


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def small(monkeypatch):
    """The table with three small data sets; gives the bytes a good mirror would send, by the file's name."""
    rng = np.random.default_rng(0)
    sent = {}
    for name in ("mnist", "fashion_mnist"):
        files = []
        for file in DATASETS[name].files:
            count = 30 if "train" in file.name else 10
            shape = (count, 28, 28) if "images" in file.name else (count,)
            data = idx(rng.integers(0, 10, shape, dtype=np.uint8))
            packed = gzip.compress(data, mtime=0)
            sent[name, file.download] = packed
            digest = sha256(data) if name == "mnist" else ""
            files.append(replace(file, size=len(data), packed=len(packed), sha256=digest, md5=md5(packed)))
        monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], files=tuple(files)))
    monkeypatch.setattr(records, "CIFAR_MEMBER", 4 * CIFAR_RECORD)
    packed = cifar_archive()
    sent["cifar10", "cifar-10-binary.tar.gz"] = packed
    file = File("cifar-10-binary.tar.gz", len(packed), len(packed), sha256(packed), md5(packed))
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], files=(file,)))
    monkeypatch.delenv("LOWERBOUND_DATA", raising=False)
    return sent


def cifar_archive(members=CIFAR_MEMBERS, folder="cifar-10-batches-bin/", length=4):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for seed, name in enumerate(members):
            rows = np.random.default_rng(seed).integers(0, 10, (length, CIFAR_RECORD), dtype=np.uint8)
            member = tarfile.TarInfo(folder + name)
            member.size = rows.size
            archive.addfile(member, io.BytesIO(rows.tobytes()))
    return stream.getvalue()


def put(folder, sent, name, *, unpacked=False):
    folder.mkdir(parents=True, exist_ok=True)
    for (dataset, file), data in sent.items():
        if dataset == name:
            if unpacked:
                (folder / file.removesuffix(".gz")).write_bytes(gzip.decompress(data))
            else:
                (folder / file).write_bytes(data)


# Reading


@pytest.mark.parametrize("unpacked", [False, True], ids=["packed", "unpacked"])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", ""),
        ("fashion_mnist", "fashion_mnist"),
        ("fashion_mnist", ""),
    ],
)
def test_files_put_by_hand_are_found(small, tmp_path, name, place, unpacked):
    put(tmp_path / place, small, name, unpacked=unpacked)
    images = load_dataset(name, data_dir=tmp_path)
    assert (len(images.train), len(images.test)) == (30, 10)
    assert images.image_shape == SOURCES[name].image_shape
    assert len(images.class_names) == 10
    data = gzip.decompress(small[name, "train-images-idx3-ubyte.gz"])
    assert images.train.pixels.tobytes() == data[16:]


def test_a_mirror_that_packed_the_files_anew_is_believed(small, tmp_path):
    put(tmp_path, small, "mnist")
    for file in tmp_path.iterdir():
        file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()), 1))
    assert len(load_dataset("mnist", data_dir=tmp_path).train) == 30


def test_the_environment_names_the_folder(small, tmp_path, monkeypatch):
    put(tmp_path / "mnist", small, "mnist")
    monkeypatch.setenv("LOWERBOUND_DATA", str(tmp_path))
    assert len(load("mnist").train) == 30
    assert data_folder() == tmp_path
    assert data_folder(Path("other")) == Path("other")
    monkeypatch.delenv("LOWERBOUND_DATA")
    assert data_folder().name == "lowerbound"


@pytest.mark.parametrize("place", ["", "cifar10"])
def test_cifar_is_read_from_the_archive_or_from_its_members(small, tmp_path, place):
    put(tmp_path / "packed" / place, small, "cifar10")
    with tarfile.open(fileobj=io.BytesIO(small["cifar10", "cifar-10-binary.tar.gz"])) as archive:
        archive.extractall(tmp_path / "unpacked" / place, filter="data")
    packed, unpacked = (load_dataset("cifar10", data_dir=tmp_path / kind) for kind in ("packed", "unpacked"))
    assert packed.sha256() == unpacked.sha256()
    assert packed.image_shape == (3, 32, 32)
    assert (len(packed.train), len(packed.test)) == (20, 4)
    first = np.random.default_rng(0).integers(0, 10, (4, CIFAR_RECORD), dtype=np.uint8)[1]
    assert packed.train.labels[1] == first[0]
    assert np.array_equal(packed.train.pixels[1].ravel(), first[1:])


# Files that are not the published ones


def test_truncated_and_changed_files_are_refused_by_name(small, tmp_path):
    put(tmp_path, small, "mnist")
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    whole = file.read_bytes()
    middle = len(whole) // 2
    broken = [whole[:cut] for cut in range(len(whole))]
    broken += [
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        whole + b"more",
        b"<html>",
        bytes(200),
    ]
    for data in broken:
        file.write_bytes(data)
        with pytest.raises(
            InputError, match=r"t10k-labels-idx1-ubyte.gz .*; delete or move it, then run `lowerbound data"
        ):
            load_dataset("mnist", data_dir=tmp_path)


def test_a_gzip_bomb_is_never_unpacked(small, tmp_path):
    put(tmp_path, small, "mnist")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(30_000_000)))
    with pytest.raises(InputError, match="unpacks to more than the 7,856 bytes expected"):
        load_dataset("mnist", data_dir=tmp_path)


def test_a_file_far_too_large_is_not_even_read(small, tmp_path):
    put(tmp_path, small, "mnist")
    with (tmp_path / "t10k-images-idx3-ubyte.gz").open("wb") as stream:
        stream.truncate(10**12)  # a hole: takes no space
    with pytest.raises(InputError, match="holds 1,000,000,000,000 bytes; expected at most"):
        load_dataset("mnist", data_dir=tmp_path)


def test_files_of_another_data_set_are_told_apart(small, tmp_path):
    put(tmp_path, small, "mnist")
    with pytest.raises(InputError, match="is MNIST's train-images-idx3-ubyte; expected Fashion-MNIST's train-images"):
        load_dataset("fashion_mnist", data_dir=tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(small["mnist", "t10k-images-idx3-ubyte.gz"])
    with pytest.raises(InputError, match="is MNIST's t10k-images-idx3-ubyte; expected MNIST's train-images-idx3"):
        load_dataset("mnist", data_dir=tmp_path)


def test_unpacked_fashion_is_held_to_its_structure(small, tmp_path):
    put(tmp_path, small, "fashion_mnist", unpacked=True)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(InputError, match=r"labels \[30\] up to 10; expected"):
        load_dataset("fashion_mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("archive", "says"),
    [
        (cifar_archive(folder="../../"), None),  # the folder in the archive is never used
        (cifar_archive(members=CIFAR_MEMBERS[:5]), "holds no test_batch.bin"),
        (cifar_archive(length=5), "holds no data_batch_1.bin of"),
        (b"no archive at all", "cannot be read"),
        (cifar_archive()[:9_000], "cannot be read"),
    ],
    ids=["leaves its folder", "member missing", "wrong length", "no archive", "cut"],
)
def test_an_odd_archive_writes_nothing(small, tmp_path, monkeypatch, archive, says):
    file = File("cifar-10-binary.tar.gz", len(archive), len(archive), sha256(archive))
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], files=(file,)))
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (folder / file.name).write_bytes(archive)
    with pytest.raises(InputError, match=says) if says else contextlib.nullcontext():
        load_dataset("cifar10", data_dir=folder)
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [folder / file.name]


def test_an_archive_that_is_not_the_published_one_is_never_opened(small, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(cifar_archive(length=5))
    with pytest.raises(InputError, match="is not the published"):
        load_dataset("cifar10", data_dir=tmp_path)


# Mirrors


@pytest.fixture
def mirror(small):
    """Starts a server on this machine that answers as told; gives its address."""
    servers = []

    def start(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                with contextlib.suppress(ConnectionError):
                    answer(self, self.path.rpartition("/")[2])

            def log_message(self, *args):
                """Stay silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler, body, *, length=None, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def good(small, name):
    return lambda handler, file: send(handler, small[name, file])


def html(handler, file):
    send(handler, b"<html>please log in</html>")


def missing(handler, file):
    send(handler, b"no such file", status=404)


def broken_off(handler, file):
    send(handler, b"\x1f\x8b\x08 and then nothing", length=4000)


def endless(handler, file):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(2**16))


def silent(handler, file):
    time.sleep(1)


def use(monkeypatch, name, *mirrors):
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], mirrors=mirrors))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_good_mirror(small, mirror, tmp_path, monkeypatch, name):
    use(monkeypatch, name, mirror(good(small, name)))
    tasks = []

    @contextlib.contextmanager
    def progress(task, total):
        done = []
        yield lambda steps, word: done.append(steps)
        tasks.append((task, sum(done), total))

    paths = fetch_dataset(name, data_dir=tmp_path, progress=progress)
    assert [path.parent for path in paths] == [tmp_path / name] * len(paths)
    assert sorted(path.read_bytes() for path in paths) == sorted(
        data for (dataset, _), data in small.items() if dataset == name
    )
    assert all(done == total for _, done, total in tasks)
    assert len([task for task, _, _ in tasks if task.startswith("downloading")]) == len(paths)
    use(monkeypatch, name, "http://127.0.0.1:9/")  # never asked again
    assert fetch_dataset(name, data_dir=tmp_path) == paths


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (html, "holds"),
        (missing, "answered 404"),
        (broken_off, "broke off"),
        (endless, "sent more bytes"),
        (silent, "no answer in"),
    ],
    ids=["page", "404", "cut", "endless", "silent"],
)
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_next_mirror_is_tried_and_nothing_bad_is_kept(small, mirror, tmp_path, monkeypatch, name, bad, reason):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    monkeypatch.setattr(published, "SLACK", 1000)
    bad_mirror = mirror(bad)
    use(monkeypatch, name, bad_mirror)
    with pytest.raises(InputError, match=reason) as error:
        fetch_dataset(name, data_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == []
    use(monkeypatch, name, bad_mirror, mirror(good(small, name)))
    assert len(fetch_dataset(name, data_dir=tmp_path)) == 4


def test_unpacked_bytes_over_the_network_are_not_believed_without_a_hash(small, mirror, tmp_path, monkeypatch):
    address = mirror(lambda handler, file: send(handler, gzip.decompress(small["fashion_mnist", file])))
    use(monkeypatch, "fashion_mnist", address)
    with pytest.raises(InputError, match="no published hash"):
        fetch_dataset("fashion_mnist", data_dir=tmp_path)


def test_without_a_network_the_message_says_what_to_put_where(small, tmp_path, monkeypatch):
    use(monkeypatch, "mnist", "http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/")
    with pytest.raises(InputError) as error:
        load_dataset("mnist", data_dir=tmp_path)
    message = str(error.value)
    assert "\n" not in message
    assert "127.0.0.1:9/a/ (no connection) or http://127.0.0.1:9/b/ (no connection)" in message
    assert all(file.download in message for file in DATASETS["mnist"].files)
    assert message.endswith(f"in {tmp_path / 'mnist'}")


def test_a_folder_that_cannot_be_written(small, mirror, tmp_path, monkeypatch):
    use(monkeypatch, "mnist", mirror(good(small, "mnist")))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .*; expected a folder"):
        fetch_dataset("mnist", data_dir=tmp_path / "file")


# The real files


def test_the_table_is_whole():
    assert list(DATASETS) == [name for name, source in SOURCES.items() if source.download]
    for dataset in DATASETS.values():
        assert isinstance(dataset, Dataset)
        assert all(mirror.endswith("/") for mirror in dataset.mirrors)
        assert all(len(file.md5) == 32 and len(file.sha256) in (0, 64) for file in dataset.files)
        assert len(dataset.class_names) == 10


@pytest.mark.skipif(not (SHARED / "mnist").exists(), reason="needs ../shared/data/mnist")
@pytest.mark.parametrize("place", ["", "mnist"])
def test_mnist_itself(place):
    start = time.perf_counter()
    images = load("mnist", data_dir=SHARED / place)
    assert time.perf_counter() - start < 5  # 0.4 s on a quiet machine
    assert (len(images.train), len(images.test)) == (SOURCES["mnist"].train, SOURCES["mnist"].test)
    assert images.image_shape == SOURCES["mnist"].image_shape
    assert images.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert md5(idx(images.train.pixels[:, 0])) == "6bbc9ace898e44ae57da46a324031adb"
