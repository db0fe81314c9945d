"""What a run knows of its VAE: ascents that rise to the best bound, findings, and nothing where there is nothing to know."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lowerbound import comparison, insight, page_numbers, recipes
from lowerbound.comparison import begin, go_on, more_epochs
from lowerbound.errors import InputError
from lowerbound.fitting import fit
from lowerbound.images import Images, ImageSet
from lowerbound.inference import infer
from lowerbound.insight import REPLAYED, lacks_insight, make_insight, write_insight
from lowerbound.linear import linear_vae
from lowerbound.payload import payload
from lowerbound.pca import PCA
from lowerbound.plan import Plan
from lowerbound.posterior import DiagonalNormal, FullNormal
from lowerbound.processes import Alone
from lowerbound.progress import quiet
from lowerbound.replay import DRAWS, MOMENTS, ascents
from lowerbound.sources import load
from lowerbound.storage import Run
from lowerbound.stored import OWN
from tests.test_live_page import built, lowerbound, unpacked  # noqa: F401  (a fixture)


def low_rank(number, shape=(1, 5, 4), rank=3, seed=0):
    draw = np.random.default_rng(seed)
    flat = draw.standard_normal((number, rank)) @ draw.standard_normal((rank, np.prod(shape))) * 25 + 128
    return (flat + 5 * draw.standard_normal(flat.shape)).clip(0, 255).astype(np.uint8).reshape(number, *shape)


@pytest.mark.slow
def test_an_ascent_rises_from_nothing_to_the_best_bound():
    pixels = low_rank(60)
    torch.manual_seed(0)
    model = recipes.vae((1, 5, 4), 3, start=PCA(3).fit(pixels))
    for found in ascents(model, pixels, np.array([4, 7])):
        assert found["steps"] == list(MOMENTS)
        assert np.abs(found["phi_mean"][0]).max() == 0
        assert np.abs(found["phi_log_spread"][0]).max() == 0
        assert found["elbo"][-1] > found["elbo"][0]
        assert found["elbo"][-1] <= found["best_elbo"] + 1.0
        assert found["encoder_elbo"] <= found["best_elbo"] + 0.5
        assert len(found["encoder_mean"]) == 3
        json.dumps(found, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize(("block", "places"), [(3, (0, 1, 6, -1)), (2, (0, -1))])
def test_one_ascent_passes_where_shorter_ones_end(block, places, monkeypatch):
    """To the digits that are kept; where images come in blocks, the draws of later ones are those of the whole ascent alone."""
    monkeypatch.setattr("lowerbound.inference.VALUES", block * DRAWS * 20)
    pixels, which = low_rank(30), np.array([1, 5, 8])
    torch.manual_seed(0)
    model = recipes.vae((1, 5, 4), 3, start=PCA(3).fit(pixels))
    head = model.encoder[-1]
    with torch.no_grad():
        prior = model.prior()
    start = torch.zeros(3, head.phi_size(3))
    found = ascents(model, pixels, which)
    way = np.array([each["phi_mean"] for each in found])
    for place in places:
        how = {"family": head, "phi": start, "samples": DRAWS, "steps": MOMENTS[place], "tolerance": None}
        phi = infer(model.decoder, pixels[which], prior, **how).phi.numpy()
        assert np.abs(phi[:, :3] - way[:, place]).max() < 1e-5
        assert np.abs(phi[:, 3:] - [each["phi_log_spread"][place] for each in found]).max() < 1e-5
    assert 0 < np.abs(way[:, 1]).max() < 0.07, "the first step is as long as the rate, 0.06, of every image"
    assert np.abs(way[:, 3] - way[:, 2]).max() < 0.07


@pytest.mark.slow
def test_progress_of_ascents_comes_to_its_end():
    done, totals = [], []

    class Counting:
        def __init__(self, task, total):
            totals.append(total)

        def __enter__(self):
            return lambda steps, word: done.append(steps)

        def __exit__(self, *_):
            pass

    pixels = low_rank(30)
    torch.manual_seed(0)
    ascents(recipes.vae((1, 5, 4), 3), pixels, np.array([1, 5]), progress=Counting)
    assert len(totals) == 1
    assert sum(done) == totals[0]


@pytest.mark.parametrize(("posterior", "spreads"), [(DiagonalNormal, 3), (FullNormal, None)])
def test_spreads_are_those_of_the_family(posterior, spreads):
    pixels = low_rank(30)
    found = ascents(recipes.vae((1, 5, 4), 3, posterior=posterior), pixels, np.array([1]))
    assert [len(each["phi_log_spread"][0]) for each in found] == ([] if spreads is None else [spreads])


def test_only_a_vae_has_ascents():
    pixels = low_rank(30)
    assert ascents(recipes.conv((1, 5, 4), 3), pixels, np.array([1])) == []
    assert ascents(PCA(3).fit(pixels), pixels, np.array([1])) == []
    assert isinstance(ascents(linear_vae(PCA(3).fit(pixels)), pixels, np.array([1])), list)


def trained(images, folder, models=("vae",), **how):
    """A run whose models are trained, and nothing more."""
    run = begin(images, Plan((2,), models, epochs=1, **how), folder)
    fit(run, images, Alone(), quiet, str, str)
    run.complete()
    return run


def few_images():
    pixels = low_rank(20)
    return ImageSet("few", Images(pixels[:15]), Images(pixels[15:]))


def left_out(run, images, **how):
    return {each["panel"]: each["reason"] for each in payload(run, images, **how).meta["left_out"]}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Digits, and a run of a VAE that was examined."""
    images = load("digits")
    run = trained(images, tmp_path_factory.mktemp("known") / "run")
    assert lacks_insight(run)
    write_insight(run, images)
    return run, images


@pytest.mark.slow
def test_a_run_keeps_what_is_known_of_its_vae(known):
    run, images = known
    found = json.loads((run.path / "diagnosis.json").read_text())
    assert found["model"] == "vae-k2"
    assert all({"name", "evidence", "certainty", "advice"} <= each.keys() for each in found["findings"])
    replayed = json.loads((run.path / "posterior.json").read_text())["posterior"]
    assert len(replayed) == REPLAYED
    assert len({each["image"] for each in replayed}) == REPLAYED
    assert all(each["image"] < len(images.test) for each in replayed)
    meta = payload(run, images).meta
    assert len(meta["posterior"]) == REPLAYED
    assert [each["name"] for each in meta["findings"]] == [each["name"] for each in found["findings"]]
    assert not {"findings", "posterior"} & left_out(run, images).keys()


@pytest.mark.slow
def test_what_is_known_is_of_these_weights_and_these_images(known):
    run, _ = known
    assert not lacks_insight(run)
    about = {**run.about, "source": {**run.about["source"], "sha256": "of others"}}
    assert lacks_insight(Run(run.path, about))
    file = run.folder(run.models[0]) / "model.safetensors"
    weights = file.read_bytes()
    try:
        file.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
        assert lacks_insight(run)
    finally:
        file.write_bytes(weights)
    said = run.path / "insight.json"
    content = said.read_bytes()
    try:
        for damaged in (b"", b"[]", content[:20]):
            said.write_bytes(damaged)
            assert lacks_insight(run)
    finally:
        said.write_bytes(content)
    assert not lacks_insight(run)


@pytest.mark.slow
def test_it_is_made_once_and_anew_where_asked(known, monkeypatch):
    run, images = known
    made = []
    monkeypatch.setattr(insight, "write_insight", lambda *_: made.append(1))
    assert make_insight(run, images) == ""
    assert made == []
    assert make_insight(run, images, anew=True) == ""
    assert made == [1]


@pytest.mark.slow
def test_a_page_may_leave_out_what_is_known_and_says_why(known):
    run, images = known
    meta = payload(run, images, without="Because.").meta
    assert meta["findings"] is None
    assert meta["posterior"] == []
    assert (
        left_out(run, images, without="Because.").items() >= {"findings": "Because.", "posterior": "Because."}.items()
    )


@pytest.mark.slow
def test_a_run_that_cannot_be_written_has_its_page_all_the_same(known, monkeypatch):
    run, images = known

    def refuse(self):
        raise InputError("run cannot be written: it is read-only")

    monkeypatch.setattr(Run, "writing", refuse)
    assert make_insight(run, images, anew=True) == "run cannot be written: it is read-only"


@pytest.mark.slow
def test_too_few_images_are_told_in_words(tmp_path):
    run = trained(few_images(), tmp_path / "run")
    assert "not examined: lowerbound page RUN" in left_out(run, few_images())["findings"]
    write_insight(run, few_images())
    assert not (run.path / "diagnosis.json").exists()
    assert not lacks_insight(run), "nothing will come of another try"
    reasons = left_out(run, few_images())
    assert "15 training and 5 test images came; expected at least 8 of each" in reasons["findings"]
    assert "posterior" not in reasons, "ascents need no more than one image"


@pytest.mark.slow
@pytest.mark.parametrize(("values", "number"), [(1, 1), (59, 2), (10_000, 5)])
def test_of_large_images_fewer_are_replayed(values, number, tmp_path, monkeypatch):
    monkeypatch.setattr(insight, "VALUES", values)
    run = trained(few_images(), tmp_path / "run")
    write_insight(run, few_images())
    assert len(json.loads((run.path / "posterior.json").read_text())["posterior"]) == number, "images have 20 values"


def test_a_q_of_another_form_is_told_in_words(tmp_path):
    run = trained(few_images(), tmp_path / "run", parts={"posterior": "full"})
    write_insight(run, few_images())
    assert not (run.path / "posterior.json").exists()
    assert "normal with independent dimensions" in left_out(run, few_images())["posterior"]


def test_a_run_without_a_vae_has_nothing_to_know(tmp_path):
    run = trained(few_images(), tmp_path / "run", ("pca", "conv"))
    assert not lacks_insight(run)
    assert make_insight(run, few_images(), anew=True) == ""
    assert not (run.path / "insight.json").exists()
    reasons = left_out(run, few_images())
    assert "no VAE" in reasons["posterior"]
    assert "findings" not in reasons


@pytest.fixture
def no_report(monkeypatch):
    """Runs without figures and page; what they were to show."""
    reports = []
    monkeypatch.setattr(comparison, "write_report", lambda run, *_: reports.append(sorted(run.path.glob("*.json"))))
    return reports


@pytest.mark.slow
def test_a_run_that_was_to_know_knows_before_its_report(tmp_path, no_report):
    run = go_on(begin(few_images(), Plan((2,), ("vae",), epochs=1), tmp_path / "run", insight=True), few_images())
    assert {file.name for file in no_report[0]} >= {"insight.json", "posterior.json"}
    before = (run.path / "insight.json").read_bytes()
    more_epochs(run, 1, few_images())
    go_on(run, few_images())
    assert (run.path / "insight.json").read_bytes() != before
    assert not lacks_insight(run)


@pytest.mark.slow
def test_what_was_known_of_other_weights_goes_with_them(tmp_path, no_report):
    run = go_on(begin(few_images(), Plan((2,), ("vae",), epochs=1), tmp_path / "run"), few_images())
    assert not (run.path / "insight.json").exists()
    write_insight(run, few_images())
    more_epochs(run, 1, few_images())
    go_on(run, few_images())
    assert not list(run.path.glob("insight.json")) + list(run.path.glob("posterior.json"))


@pytest.mark.slow
def test_ctrl_c_while_the_vae_is_examined_leaves_a_whole_run(tmp_path, no_report, monkeypatch):
    def struck(*_):
        raise KeyboardInterrupt

    said = []
    run = begin(few_images(), Plan((2,), ("vae",), epochs=1), tmp_path / "run", insight=True)
    with monkeypatch.context() as patch:
        patch.setattr(comparison, "write_insight", struck)
        with pytest.raises(KeyboardInterrupt):
            go_on(run, few_images(), say=said.append)
    assert len(no_report) == 1, "the report is written"
    assert "without findings and ascents" in said[-1]
    again = Run.open(run.path)
    assert again.about["status"] == "complete"
    assert lacks_insight(again)
    assert make_insight(again, few_images()) == ""
    assert not lacks_insight(again)


@pytest.mark.slow
def test_the_page_verb_makes_what_is_missing(known, built, tmp_path, capsys):  # noqa: F811
    run, page = tmp_path / "run", tmp_path / "a.html"
    shutil.copytree(known[0].path, run)
    insight.forget_insight(Run.open(run))
    assert lowerbound("page", run, "--out", page, "--no-insight") == 0
    assert "left out: findings: This page was made with --no-insight." in capsys.readouterr().out
    assert lacks_insight(Run.open(run))
    assert lowerbound("page", run, "--out", page) == 0
    assert "left out: findings" not in capsys.readouterr().out
    assert not lacks_insight(Run.open(run))
    meta = json.loads(unpacked(page.read_text())["meta"])
    assert meta["findings"] is not None
    assert len(meta["posterior"]) == REPLAYED
    assert lowerbound("page", run, "--out", page, "--no-insight") == 0
    meta = json.loads(unpacked(page.read_text())["meta"])
    assert (meta["findings"], meta["posterior"]) == (None, []), "it is there, and left out"


@pytest.mark.slow
@pytest.mark.parametrize(("more", "knows"), [((), True), (("--no-insight",), False)])
def test_compare_examines_the_vae_unless_told_not_to(more, knows, built, tmp_path, capsys):  # noqa: F811
    assert lowerbound("compare", "digits", "-k", "2", "--epochs", "1", "--out", tmp_path / "run", *more) == 0
    capsys.readouterr()
    assert lacks_insight(Run.open(tmp_path / "run")) != knows
    meta = json.loads(unpacked((tmp_path / "run" / "report.html").read_text())["meta"])
    assert bool(meta["posterior"]) == knows
    assert (meta["findings"] is not None) == knows


def test_of_a_model_of_ones_own_the_page_does_not_say_that_there_is_none():
    run = SimpleNamespace(shown=[SimpleNamespace(recipe="pca"), SimpleNamespace(recipe=OWN)])
    assert page_numbers.unknown(run, None, []) == {"posterior": ["A model of your own is not examined for its page."]}
