"""Pages for the tests of the browser, made once: a whole run, bad files, runs of every odd kind, a crowd of points."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.browser import ATTACK, MODELS, PICKED, Browser
from tests.chromium import CI, install, once

CROWD = 60_000  # points


class NoJson:
    """A payload whose description is no JSON."""

    def __init__(self, held):
        self.meta, self.assets, self.json = held.meta, held.assets, b'{"schema": 1, "title": '


def write(folder, name, held):
    """Write a page of one file."""
    from lowerbound.live_page import page_files, template

    for file, content in page_files(held, template(), name=f"{name}.html").items():
        (folder / file).write_bytes(content)


def trained(folder, images, ks, models, epochs=1):
    """A run that is trained and measured; nothing of it is drawn."""
    from lowerbound.comparison import begin
    from lowerbound.fitting import fit
    from lowerbound.plan import Plan
    from lowerbound.processes import Alone
    from lowerbound.progress import quiet

    run = begin(images, Plan(ks, models, epochs=epochs), folder)
    fit(run, images, Alone(), quiet, str, str)
    return run


def make_pages(folder):
    """A tiny run of all four models with all that a page shows, and from it a good page and bad ones."""
    from lowerbound.insight import write_insight
    from lowerbound.payload import payload
    from lowerbound.sources import load

    images = load("digits")
    run = trained(folder / "run", images, (4,), MODELS, epochs=3)
    write_insight(run, images)
    held = payload(run, images)
    hostile = {
        "title": ATTACK,
        "verdict": [ATTACK],
        "classes": [ATTACK, *held.meta["classes"][1:]],
        "models": [{**model, "label": f"{ATTACK}{model['name']}"} for model in held.meta["models"]],
        "facts": [[ATTACK, ATTACK]],
        "left_out": [{"panel": ATTACK, "reason": ATTACK}],
    }
    pages = {
        "page": held,
        "hostile": replace(held, meta=held.meta | hostile),
        "newer": replace(held, meta=held.meta | {"schema": 99}),
        "nojson": NoJson(held),
        "crowd": crowded(held),
        "encoderless": payload(run, images, encoders=False),
    }
    for name, each in pages.items():
        write(folder, name, each)
    whole = (folder / "page.html").read_bytes()
    codes, script = whole.index(b'id="asset:codes:conv"') + 300, whole.index(b'<script type="module">') + 9000
    for name, length in {"half": len(whole) // 2, "tenth": codes, "head": script}.items():
        (folder / f"{name}.html").write_bytes(whole[:length])
    test = images.test.pixels
    made = {one.recipe: run.load(one).inverse_transform(run.load(one).transform(test[[PICKED]])) for one in run.shown}
    np.savez(folder / "torch.npz", image=test[PICKED], **made)
    shutil.copytree(run.path, folder / "failed")
    write(folder, "failed", without_conv(folder / "failed", images))


def without_conv(folder, images):
    """What the page of a run holds of which one model's file was cut short."""
    from lowerbound.payload import payload
    from lowerbound.storage import Run

    run = Run.open(folder, unfinished=True)
    file = run.folder(run.choose("conv", 4)) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    return payload(run, images)


def crowded(held):
    """The same page with sixty thousand images: copies whose codes lie a little beside those of the first."""
    random, number = np.random.default_rng(0), held.meta["shown"]
    which = np.arange(CROWD) % number
    assets = dict(held.assets)
    for name, content in held.assets.items():
        kind = name.partition(":")[0]
        if kind in ("codes", "spread"):
            rows = np.frombuffer(content, "<f2").reshape(number, -1)[which].astype(np.float32)
            if kind == "codes":
                rows[number:] += random.normal(0, 0.3, rows[number:].shape) * rows.std(0)
            assets[name] = rows.astype("<f2").tobytes()
        elif kind in ("errors", "labels", "images"):
            type_ = {"errors": "<f4", "labels": "<u2", "images": "u1"}[kind]
            assets[name] = np.frombuffer(content, type_).reshape(number, -1)[which].tobytes()
    return replace(held, meta=held.meta | {"shown": CROWD}, assets=assets)


def noise(number, shape, seed):
    """Images with a pattern in them, so that models have something to find."""
    random = np.random.default_rng(seed)
    pattern = random.random((3, int(np.prod(shape))))
    return (255 * np.clip(random.random((number, 3)) @ pattern / 2, 0, 1)).astype(np.uint8).reshape(number, *shape)


# By name: shape of the images, how many to train and to test, each K, models, whether the images have classes.
ODD = {
    "unlabelled": ((1, 6, 5), 40, 12, (1, 2), MODELS, False),
    "pca": ((1, 6, 5), 40, 12, (3,), ("pca",), True),
    "vae": ((1, 6, 5), 40, 12, (3,), ("vae",), True),
    "pixel": ((1, 1, 1), 40, 12, (1,), MODELS, True),
    "six": ((3, 2, 3), 40, 12, (2,), MODELS, True),
    "many": ((1, 16, 16), 300, 12, (200,), ("pca", "vae"), False),
    "large": ((1, 256, 256), 24, 20, (2,), ("pca", "linear"), True),
}


def make_odd(folder):
    """A page of each odd kind."""
    from lowerbound.images import Images, ImageSet
    from lowerbound.payload import payload

    for name, (shape, train, test, ks, models, labelled) in ODD.items():
        classes = ("even", "odd") if labelled else ()
        parts = [
            Images(noise(number, shape, seed), np.arange(number) % 2 if labelled else None)
            for seed, number in enumerate((train, test))
        ]
        images = ImageSet("noise", *parts, class_names=classes, source="noise")
        run = trained(folder / "runs" / name, images, ks, models)
        write(folder, name, payload(run, images))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Where all test processes find what one of them made; the test is skipped where there is no browser or no template."""
    from lowerbound.errors import InputError
    from lowerbound.live_page import template

    install()
    try:
        template()
    except InputError as error:
        if CI:
            raise
        pytest.skip(str(error))
    base = tmp_path_factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


def made_once(shared: Path, what: str, make) -> Path:
    with once(shared, what) as (folder, empty):
        if empty:
            make(folder)
    return folder


@pytest.fixture(scope="session")
def pages(shared):
    """A folder of pages, made once even where several processes test."""
    return made_once(shared, "pages", make_pages)


@pytest.fixture(scope="session")
def odd(shared):
    """A folder of pages of odd runs."""
    return made_once(shared, "odd", make_odd)


@pytest.fixture(scope="session")
def browser(shared, tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.quit()


@pytest.fixture
def page(browser, pages):
    """The page as it opens; afterwards it has said nothing, asked for nothing and shown no dialog."""
    browser.size(1000)
    browser.open(pages / "page.html")
    yield browser
    browser.check_quiet()
