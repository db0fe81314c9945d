"""The live page as files: the template filled, the verb that does it, a server for this machine alone, a frame in a notebook."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow
import pytest

from lowerbound import comparison, live_page, showing
from lowerbound.comparison import begin, go_on
from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet
from lowerbound.live_page import Template, file_name, page_files, template
from lowerbound.payload import Payload
from lowerbound.plan import Plan
from lowerbound.seven_bits import read
from lowerbound.sources import load
from lowerbound.storage import Run
from tests.command_line import lowerbound

pytestmark = pytest.mark.slow  # many figures, processes or trainings

ATTACK = "</script><img src=x onerror=alert(1)>"
STAND_IN = """<!doctype html><html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; connect-src 'none'">
<title>lowerbound</title></head><body><!--assets-->
<script type="module">"the page's own";</script></body></html>
"""
WASM = b"\x28\xb5\x2f\xfd as zstd packs"


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A template with the places of the true one, whether or not that was built here."""
    live = tmp_path / "live"
    live.mkdir()
    (live / "template.html").write_text(STAND_IN)
    (live / "ort.wasm.zst").write_bytes(WASM)
    monkeypatch.setattr(live_page, "LIVE", live)
    return live


def content_of(packed):
    """What an asset holds: gzip, in it how the bytes lie, and the bytes."""
    stored = gzip.decompress(packed)
    stride, content = stored[0], np.frombuffer(stored, np.uint8, offset=1)
    assert stride in {1, 2, 4}
    whole = len(content) // stride * stride
    return content[:whole].reshape(stride, -1).T.tobytes() + content[whole:].tobytes()


def unpacked(page):
    """The assets of a page of one file, by name."""
    tags = re.findall(r'<script type="text/plain" id="asset:([^"]*)">([^<\0\r]*)</script>', page)
    return {name: content_of(read(text)) for name, text in tags}


def held(**more):
    return Payload(
        {"title": f"t {ATTACK}", "shown": 1, "models": [], "left_out": [], **more}, {"b:x": b"B" * 50, "a": b"A"}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two models made with a stand-in for the template, in a place whose name is nobody's business."""
    place = tmp_path_factory.mktemp("secret-place")
    with pytest.MonkeyPatch.context() as patch:
        live = place / "live"
        live.mkdir()
        (live / "template.html").write_text(STAND_IN)
        (live / "ort.wasm.zst").write_bytes(WASM)
        patch.setattr(live_page, "LIVE", live)
        patch.setattr(sys, "argv", ["lowerbound", "compare", "digits", "--out", str(place / "run")])
        command = f"lowerbound compare digits --out {place / 'run'}"
        return go_on(
            begin(load("digits"), Plan((2,), ("pca", "vae"), epochs=1), place / "run", command=command), load("digits")
        )


def test_assets_lie_in_the_page_and_unpack_to_what_they_were():
    files = page_files(held(), Template(STAND_IN, WASM))
    (page,) = files.values()
    found = unpacked(page.decode())
    assert list(found) == ["meta", "a", "b:x", "wasm"]
    assert found["b:x"] == b"B" * 50
    assert found["wasm"] == WASM
    assert json.loads(found["meta"])["title"] == f"t {ATTACK}"
    assert files == page_files(held(), Template(STAND_IN, WASM)), "the same payload, the same bytes"


@pytest.mark.parametrize(("dtype", "stride"), [("u1", 1), ("<f2", 2), ("<f4", 4)])
@pytest.mark.parametrize("rest", [b"", b"!"])
def test_the_bytes_of_numbers_lie_in_planes_and_come_back(dtype, stride, rest):
    rng = np.random.default_rng(0)
    numbers = (rng.normal(size=100_000) if stride > 1 else rng.integers(0, 256, 20_000).repeat(5)).astype(dtype)
    content = numbers.tobytes() + rest
    assets = {"a": content, "b": b"", "c": b"c"}
    files = page_files(Payload({"title": ""}, assets), Template(STAND_IN, WASM), linked=True)
    assert {name: content_of(files[f"assets/{name}.gz"]) for name in assets} == assets
    stored = gzip.decompress(files["assets/a.gz"])
    assert stored[0] == stride
    assert stored[1 : 1 + len(numbers)] == content[: stride * len(numbers) : stride]
    if stride > 1:
        assert len(files["assets/a.gz"]) < 0.97 * len(gzip.compress(content, 9))


def test_names_from_the_users_data_are_text_wherever_they_stand():
    page = page_files(held(classes=[ATTACK]), Template(STAND_IN, WASM))["index.html"].decode()
    assert ATTACK not in page
    assert page.count("</script>") == 1 + 4, "one script of the page's own, and each asset's"
    assert "<title>t &lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;</title>" in page
    assert json.loads(unpacked(page)["meta"])["classes"] == [ATTACK]


def test_a_linked_page_has_its_assets_beside_it_and_may_fetch_them():
    files = page_files(held(), Template(STAND_IN, WASM), linked=True)
    assert list(files) == ["index.html", "assets/meta.gz", "assets/a.gz", "assets/b-x.gz", "assets/wasm.gz"]
    page = files["index.html"].decode()
    assert "connect-src 'self'" in page
    assert "asset:" not in page
    assert content_of(files["assets/b-x.gz"]) == b"B" * 50
    assert file_name("film:vae:codes") == "film-vae-codes.gz"


def test_a_page_of_one_file_may_fetch_nothing():
    assert "connect-src 'none'" in page_files(held(), Template(STAND_IN, WASM))["index.html"].decode()


@pytest.mark.parametrize("place", live_page.PLACES)
def test_a_template_without_its_places_is_refused(place, built):
    (built / "template.html").write_text(STAND_IN.replace(place, ""))
    with pytest.raises(InputError, match="expected once"):
        template()


@pytest.mark.skipif(not (live_page.LIVE / "template.html").is_file(), reason="the template is not built here")
def test_the_template_that_was_built_has_every_place():
    with pyarrow.input_stream(pyarrow.py_buffer(template().wasm), compression="zstd") as wasm:
        assert wasm.read(4) == b"\0asm"


def test_compare_ends_with_a_live_page_and_the_figures_beside_it(run):
    page = (run.path / "report.html").read_text()
    found = unpacked(page)
    assert {"meta", "wasm", "images", "labels", "codes:vae", "decoder:pca", "encoder:vae"} <= set(found)
    meta = json.loads(found["meta"])
    assert any("figures.html" in value for _, value in meta["facts"])
    assert "The network" in (run.path / "figures.html").read_text()
    assert Run.open(run.path).about["status"] == "complete"


def test_no_path_of_this_machine_is_in_the_page(run, monkeypatch):
    content = (run.path / "report.html").read_bytes()
    everything = content + b"".join(unpacked(content.decode()).values())
    for place in (run.path.parent, Path.home(), Path.cwd(), Path(sys.prefix)):
        assert str(place).encode() not in everything
    assert b"secret-place" not in everything
    assert b"--out run" in everything


def test_no_user_is_named_in_the_page(run, monkeypatch, built, tmp_path):
    home = tmp_path / "home" / "janedoe"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "janedoe")
    about = {**run.about, "command": f"lowerbound compare digits --data-dir {home} --out {home}/runs/x"}
    about["source"] = {**about["source"], "data_dir": str(home / "data")}
    files = page_files(live_page.payload(Run(run.path, about), load("digits")), template())
    page = files["index.html"].decode()
    assert "janedoe" not in page + "".join(each.decode(errors="replace") for each in unpacked(page).values())


def test_without_a_template_the_report_is_the_figures_and_a_line_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(live_page, "LIVE", tmp_path / "nothing")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 3, 3)).astype(np.uint8)
    images, said = ImageSet("noise", Images(pixels), Images(pixels[:5])), []
    run = go_on(begin(images, Plan((1,), ("pca",), epochs=1), tmp_path / "run"), images, say=said.append)
    assert "What was measured" in (run.path / "report.html").read_text()
    assert not (run.path / "figures.html").exists()
    assert "template is not built" in said[-1]


def test_the_verb_writes_one_file_and_says_how_large(run, built, tmp_path, capsys):
    assert lowerbound("page", run.path, "--out", tmp_path / "a.html", "--images", 9, "--no-encoders") == 0
    said = capsys.readouterr().out
    assert "a.html: 9 images, 2 models" in said
    assert "left out: drawing:" in said
    found = unpacked((tmp_path / "a.html").read_text())
    assert len(found["images"]) == 9 * 64
    assert "encoder:vae" not in found
    assert lowerbound("page", run.path, "--out", tmp_path / "b.html", "--images", 9, "--no-encoders") == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_page_that_is_heavy_for_a_browser_says_so(run, built, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lowerbound.page_verbs.HEAVY", 0.01)
    assert lowerbound("page", run.path, "--out", tmp_path / "p.html", "--images", 5) == 0
    assert (
        "takes long to open more than 0.01 MB; --images N or --no-encoders makes it smaller" in capsys.readouterr().out
    )


def test_the_verb_writes_files_for_a_host(run, built, tmp_path, capsys):
    assert lowerbound("page", run.path, "--linked", "--out", tmp_path / "site" / "index.html", "--images", 9) == 0
    assert "connect-src 'self'" in (tmp_path / "site" / "index.html").read_text()
    assert content_of((tmp_path / "site" / "assets" / "wasm.gz").read_bytes()) == WASM
    assert len(list((tmp_path / "site" / "assets").glob("*.gz"))) > 10


def test_a_report_from_before_is_kept_as_the_figures(tmp_path, built, monkeypatch, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 3, 3)).astype(np.uint8)
    images = ImageSet("noise", Images(pixels), Images(pixels[:5]), source="noise")
    with monkeypatch.context() as patch:
        patch.setattr(live_page, "LIVE", tmp_path / "nothing")
        run = go_on(begin(images, Plan((1,), ("pca",), epochs=1), tmp_path / "run"), images)
    before = (run.path / "report.html").read_bytes()
    monkeypatch.setattr(comparison, "images_of", lambda *_, **__: images)
    assert lowerbound("page", run.path) == 0
    assert (run.path / "figures.html").read_bytes() == before
    now = (run.path / "report.html").read_text()
    assert "meta" in unpacked(now)
    assert lowerbound("page", run.path) == 0
    assert (run.path / "figures.html").read_bytes() == before
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "does not exist"),
        (("--out", "page.png"), 'ends in ".png"'),
        (("--images", "0"), "--images"),
        (("--port", "70000"), "--port"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words, expected, run, built, capsys):
    words = words if not words[0].startswith("--") else (run.path, *words)
    assert lowerbound("page", *words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("lowerbound: ")
    assert expected in line


def asked(port, path="/", host=None, method="GET"):
    """Status, type and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.headers.get("Content-Type"), answer.read()


@pytest.fixture
def served():
    """The port of a server of a page of two files."""
    page = showing.server({"index.html": b"<!doctype html>", "assets/a.gz": b"A"})
    thread = threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield page.server_port
    page.shutdown()
    page.server_close()
    thread.join()


def test_the_server_has_the_pages_files_and_nothing_else(served):
    assert asked(served) == (200, "text/html; charset=utf-8", b"<!doctype html>")
    assert asked(served, "/index.html?x=1")[2] == b"<!doctype html>"
    assert asked(served, "/assets/a.gz") == (200, "application/gzip", b"A")
    assert asked(served, method="HEAD")[2] == b""
    for path in ("/../../etc/passwd", "/etc/passwd", "/assets", "/assets/", "/%2e%2e/a", "//index.html/.."):
        assert asked(served, path)[0] == 404, path
    assert asked(served, method="POST")[0] == 501


def test_the_server_answers_to_loopback_names_alone(served):
    assert asked(served, host=f"localhost:{served}")[0] == 200
    for host in ("evil.example", f"evil.example:{served}", "", "127.0.0.1", f"127.0.0.1:{served}.evil.example"):
        status, _, body = asked(served, host=host)
        assert status == 421, host
        assert b"doctype html>" not in body[:15]


def test_the_server_listens_at_loopback_alone():
    with showing.server({"index.html": b""}) as page:
        assert page.server_address[0] == "127.0.0.1"
        with pytest.raises(InputError, match="cannot be listened at"):
            showing.server({"index.html": b""}, page.server_port)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_the_server_as_the_house_does(run, built, tmp_path):
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from pathlib import Path; "
        f"from lowerbound import live_page, __main__; live_page.LIVE = Path({str(built)!r}); "
        "sys.argv = ['lowerbound', *sys.argv[1:]]; sys.exit(__main__.main())"
    )
    words = ["page", str(run.path), "--serve", "--images", "5", "--out", str(tmp_path / "p.html")]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = next(line for line in process.stdout if line.startswith("http"))
        status, _, body = asked(urlsplit(address.split()[0]).port)
        assert status == 200
        assert body == (tmp_path / "p.html").read_bytes()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("lowerbound: interrupted; ")
    assert "Traceback" not in said


def test_in_a_notebook_a_run_shows_itself_in_a_frame(run, built, monkeypatch):
    from IPython.display import IFrame

    monkeypatch.chdir(run.path.parent)
    frame = showing.show(run.path, height=500)
    assert isinstance(frame, IFrame)
    assert frame.src == "run/report.html"
    assert frame.height == 500
    assert "meta" in unpacked((run.path / "report.html").read_text())


def test_a_run_that_lies_elsewhere_is_served_to_the_notebook(run, built, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    frame = showing.show(Run.open(run.path))
    port = urlsplit(frame.src).port
    assert asked(port)[2] == (run.path / "report.html").read_bytes()
    assert asked(port, host="evil.example")[0] == 421


def test_in_colab_its_own_frames_are_used(run, built, monkeypatch):
    shown = []
    output = types.SimpleNamespace(serve_kernel_port_as_iframe=lambda port, height: shown.append((port, height)))
    google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
    google.colab, colab.output = colab, output
    monkeypatch.setitem(sys.modules, "google", google)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert showing.show(run) is None
    ((port, height),) = shown
    assert height == showing.HEIGHT
    assert asked(port, host="colab.example")[2] == (run.path / "report.html").read_bytes()
