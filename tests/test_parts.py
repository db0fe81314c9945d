"""The assembly of parts: every legal pair trains, every illegal one is refused with its reason, and nothing becomes NaN."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from lowerbound import __main__, sources
from lowerbound.autoencoder import Autoencoder
from lowerbound.binarise import binarised, binarised_set
from lowerbound.comparison import Plan
from lowerbound.errors import DivergedError, InputError
from lowerbound.likelihood import Bernoulli
from lowerbound.objective import Elbo, SquaredError
from lowerbound.parts import ILLEGAL, KNOWN, LIKELIHOODS, OBJECTIVES, POSTERIORS, PRIORS, Parts
from lowerbound.pca import PCA
from lowerbound.recipes import NETWORKS, RECIPES
from lowerbound.settings import Settings
from lowerbound.training import run

KINDS = tuple(KNOWN)
SMALLER = {"vamp": "vamp:10", "mixture": "mixture:5", "matched": "matched:0.1"}  # the same parts, in less time
UNPAID = {"mmd"}  # without the rate, a prior whose draws have no gradient learns nothing
SCHEDULED = {"warm-up", "capacity"}
K = 4


def named(names):
    """Parts of a tuple of names, one of each kind; None where they do not go together."""
    try:
        return Parts(**dict(zip(KINDS, names, strict=True)))
    except InputError:
        return None


@cache
def legal():
    """Every legal combination of names; a Bernoulli is of binarised images alone."""
    combinations = itertools.product(*KNOWN.values())
    return tuple(
        names for names in combinations if named(names) and not (names[1] == "bernoulli" and names[4] == "none")
    )


def pairs(names):
    """The pairs of parts of two kinds in a combination."""
    return set(itertools.combinations(zip(KINDS, names, strict=True), 2))


@cache
def cover():
    """Few combinations in which every legal pair occurs: always the one next that has most pairs not seen yet."""
    position = {pair: n for n, pair in enumerate(sorted(set().union(*map(pairs, legal()))))}
    masks = [sum(1 << position[pair] for pair in pairs(names)) for names in legal()]
    missing, chosen = (1 << len(position)) - 1, []
    while missing:
        best = max(range(len(masks)), key=lambda n: ((masks[n] & missing).bit_count(), -n))
        chosen.append(legal()[best])
        missing &= ~masks[best]
    return tuple(chosen)


@cache
def few():
    """Few combinations in which every part occurs."""
    missing, chosen = {(kind, name) for kind, known in KNOWN.items() for name in known}, []
    while missing:
        best = max(cover(), key=lambda names: len(missing & set(zip(KINDS, names, strict=True))))
        chosen.append(best)
        missing -= set(zip(KINDS, best, strict=True))
    return tuple(chosen)


@cache
def digits():
    return sources.load("digits").train.pixels[:120]


def fit_for(parts, images, seed=0):
    """Images that these parts can be trained on."""
    return binarised(images, seed) if parts.binarise == "static" else images


def seen(parts, images):
    """Images as the likelihood sees them: of 0 and 1 where they are binarised, at every step or before."""
    return binarised(images, 7) if parts.binarise == "dynamic" else images


def assembled(parts, images, k=K, network="strided", start=None):
    torch.manual_seed(0)
    parts = replace(parts, **{kind: SMALLER.get(getattr(parts, kind), getattr(parts, kind)) for kind in KINDS})
    build = RECIPES["conv" if parts.posterior == "point" else "vae"].build
    return build(images.shape[1:], k, NETWORKS[network], start, parts, len(images))


def lowered(parts, model, images):
    """What training is to lower, always with the same draws; of a loss that changes on the way, what all of it holds."""
    torch.manual_seed(1)
    with torch.no_grad():
        terms = model.eval().loss(torch.from_numpy(images).float() / 255, 1.0)
    return float((terms.distortion if parts.objective in SCHEDULED else terms.loss).mean())


def finite_everywhere(model, images, k=K):
    """Hold all that can be asked of a model to shapes and finite numbers."""
    codes = model.transform(images)
    made = model.inverse_transform(codes)
    assert codes.shape == (len(images), k)
    assert made.shape == images.shape
    answers = [codes, made]
    if not isinstance(model, Autoencoder):
        answers += [model.sample(3), model.score_samples(images)]
        assert answers[2].shape == (3, *images.shape[1:])
        assert answers[3].shape == (len(images),)
    for answer in answers:
        assert np.isfinite(answer).all()


def trains(names, network):
    """Train a combination for a few steps: finite all the way, with a gradient for all that learns, and to some effect."""
    parts = named(names)
    images = fit_for(parts, digits())
    model = assembled(parts, images, network=network)
    before, begun = {name: value.clone() for name, value in model.named_parameters()}, lowered(parts, model, images)
    settings = Settings(epochs=5, batch_size=40, learning_rate=3e-3)
    history = run(model, images, settings, device=torch.device("cpu")).history
    for name, column in history.items():
        assert np.isfinite(column).all(), name
    assert {"loss", "distortion", "rate"} <= set(history)
    assert len(history["loss"]) == 15
    assert lowered(parts, model, images) < begun
    for name, value in model.named_parameters():
        assert value.isfinite().all(), name
        unpaid = parts.objective in UNPAID and parts.prior in {"mixture", "vamp"} and name.startswith("prior.")
        assert unpaid == torch.equal(value, before[name]), name
    finite_everywhere(model, seen(parts, images)[:9])


def test_every_legal_pair_of_parts_is_in_the_cover():
    wanted, found = set().union(*map(pairs, legal())), set().union(*map(pairs, cover()))
    assert found == wanted
    assert len(cover()) < 140  # at least 90: nine likelihoods under ten bounds
    # and what is legal is said twice: by the table of illegal pairs, and by what can be completed to a model
    refused = {
        ((kind, one), (other, two))
        for (kind, names), (other, others), _ in ILLEGAL
        for one, two in itertools.product(names, others)
    }
    refused |= {pair[::-1] for pair in refused}
    every = set()
    for (kind, known), (other, knowns) in itertools.combinations(KNOWN.items(), 2):
        every |= {((kind, one), (other, two)) for one, two in itertools.product(known, knowns)}
    plain = {(kind, name) for kind, names in PLAIN.items() for name in names}
    mixed = {pair for pair in every if len(plain & set(pair)) == 1 and not {kind for kind, _ in pair} & {"binarise"}}
    grey = {(("likelihood", "bernoulli"), ("binarise", "none"))}
    odd = {((kind, name), ("binarise", "dynamic")) for kind, name in plain}
    assert every - wanted == (refused & every) | mixed | grey | odd


PLAIN = {
    "posterior": {"point"},
    "likelihood": {"none"},
    "prior": {"none"},
    "objective": {"squared", "denoising", "matched"},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "network"),
    [pytest.param(names, ("strided", "dense")[n % 2], id="-".join(names)) for n, names in enumerate(cover())],
)
def test_every_legal_pair_of_parts_trains(names, network):
    trains(names, network)


@pytest.mark.parametrize("names", cover()[:: len(cover()) // 5], ids="-".join)
def test_some_combinations_train(names):
    trains(names, "strided")


@pytest.mark.soak
@pytest.mark.parametrize(
    ("posterior", "objective"),
    sorted({(names[0], names[3]) for names in legal()}),
)
def test_every_legal_combination_trains(posterior, objective):
    for names in legal():
        if (names[0], names[3]) == (posterior, objective):
            for network in ("strided", "dense"):
                try:
                    trains(names, network)
                except Exception as error:
                    raise AssertionError(f"{names} on the {network} network: {error}") from error


def bits(shape, number, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (number, *shape)).astype(np.uint8) * 255


def grey(shape, number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, *shape)).astype(np.uint8)


EXTREMES = {
    "learning rate 1": (lambda: digits()[:40], K, 1.0),
    "learning rate 100": (lambda: digits()[:40], K, 100.0),
    "black images": (lambda: np.zeros((20, 1, 8, 8), np.uint8), K, 1e-2),
    "white images": (lambda: np.full((20, 1, 8, 8), 255, np.uint8), K, 1e-2),
    "one image": (lambda: grey((1, 8, 8), 1), K, 1e-2),
    "one number": (lambda: digits()[:20], 1, 1e-2),
    "one pixel": (lambda: grey((1, 1, 1), 20), 1, 1e-2),
    "more numbers than pixels": (lambda: grey((1, 2, 2), 20), 9, 1e-2),
    "odd colour images": (lambda: grey((3, 5, 7), 20), K, 1e-2),
}


def stays_finite(names, images, k, learning_rate, network, start=None):
    """Train for a few steps: numbers to the end, or an error that says that training diverged."""
    parts = named(names)
    images = fit_for(parts, images)
    model = assembled(parts, images, k, network, start)
    settings = Settings(epochs=2, batch_size=max(len(images) // 4, 1), learning_rate=learning_rate)
    try:
        history = run(model, images, settings, device=torch.device("cpu")).history
    except DivergedError:
        assert learning_rate >= 1
        return
    assert all(np.isfinite(column).all() for column in history.values())
    assert all(value.isfinite().all() for value in model.state_dict().values())
    if learning_rate < 1:
        finite_everywhere(model, seen(parts, images), k)
    else:  # far from all images a density may be too small for a number, but it never is none
        answers = [model.transform(images), model.inverse_transform(model.transform(images))]
        answers += [] if parts.posterior == "point" else [model.score_samples(seen(parts, images))]
        assert not any(np.isnan(answer).any() for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("names", few(), ids="-".join)
def test_no_setting_makes_nan(names, extreme):
    images, k, learning_rate = EXTREMES[extreme]
    for network in NETWORKS:
        stays_finite(names, images(), k, learning_rate, network)


@pytest.mark.slow
@pytest.mark.parametrize("names", few(), ids="-".join)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_images_that_do_not_vary_make_no_nan_after_a_start_at_pca(names, level):
    images = np.full((20, 1, 8, 8), level, np.uint8)
    for network in ("strided", "dense"):
        stays_finite(names, images, K, 1e-2, network, PCA(K).fit(images))


def test_a_diverged_training_says_so():
    parts = Parts(objective="beta:1e39")  # more than the largest number of float32
    with pytest.raises(DivergedError, match="not a number from the first step on"):
        run(assembled(parts, digits()), digits(), Settings(epochs=1), device=torch.device("cpu"))


def completed(kind, one, other, two):
    """Names that make a model but for these two, the others such that nothing else stands against them."""
    plain = {"posterior": "point", "likelihood": "none", "prior": "none", "objective": "squared", "binarise": "none"}
    usual = Parts().to_json()
    for base in (usual, plain, {**plain, "posterior": "diagonal"}, {**usual, "posterior": "diagonal"}):
        names = {**base, kind: one, other: two}
        against = [why for (k1, names1), (k2, names2), why in ILLEGAL if names[k1] in names1 and names[k2] in names2]
        if len(against) == 1:
            return names
    return {**usual, kind: one, other: two}


ROWS = [pytest.param(row, id=f"{'+'.join(sorted(row[0][1]))}-{row[1][0]}") for row in ILLEGAL]


@pytest.mark.parametrize("row", ROWS)
def test_every_illegal_pair_is_refused_with_its_reason(row):
    (kind, names), (other, others), why = row
    assert names <= set(KNOWN[kind])
    assert others <= set(KNOWN[other])
    assert names
    assert others
    for one, two in itertools.product(sorted(names), sorted(others)):
        with pytest.raises(InputError) as refused:
            Parts(**completed(kind, one, other, two))
        assert str(refused.value) == f"{kind} {one} does not go with {other} {two}: {why}"
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 250


def test_no_row_of_the_table_is_there_twice_or_for_nothing():
    """Each pair is refused once, and stands in no combination that trains."""
    count = Counter(
        frozenset({(kind, one), (other, two)})
        for (kind, names), (other, others), _ in ILLEGAL
        for one, two in itertools.product(names, others)
    )
    assert set(count.values()) == {1}
    trained = {frozenset(pair) for pair in set().union(*map(pairs, legal()))}
    assert not trained & set(count)


def test_what_the_table_refuses_would_not_train():
    """Under the bounds themselves a point posterior and a decoder without density are refused, too."""
    images = torch.from_numpy(digits()[:5]).float() / 255
    plain, vae = assembled(Parts("point", "none", "none", "squared"), digits()), assembled(Parts(), digits())
    for objective in sorted(set(OBJECTIVES) - PLAIN["objective"]):
        with pytest.raises(InputError, match="point posterior has no density"):
            Parts(objective=objective).make_objective(5)(plain, images, 1.0)
    for objective in sorted(PLAIN["objective"]):
        with pytest.raises(InputError, match="the decoder returns"):
            Parts("point", "none", "none", objective).make_objective(5)(vae, images, 1.0)
    total_correlation = Parts(objective="total-correlation").make_objective(5)
    for posterior in ("full", "flow"):
        with pytest.raises(InputError, match="does not factorise"):
            total_correlation(assembled(Parts(posterior), digits()), images, 1.0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"posterior": "diagnal"},
            'there is no posterior "diagnal"; did you mean "diagonal"?; known are point, isotropic',
        ),
        ({"likelihood": "gaussian"}, 'there is no likelihood "gaussian"; known are none, normal, fixed'),
        ({"prior": "mixtur"}, 'there is no prior "mixtur"; did you mean "mixture"?; known are none, standard'),
        ({"prior": "MIXTURE:5"}, 'there is no prior "MIXTURE"; did you mean "mixture"?'),
        ({"objective": ""}, 'there is no objective ""; known are squared'),
        (
            {"binarise": "statc"},
            'there is no binarise "statc"; did you mean "static"?; known are none, static, dynamic',
        ),
        ({"posterior": "full:2"}, 'posterior is "full:2", but full takes no number; expected posterior full'),
        ({"objective": "iw:0"}, 'objective is "iw:0"; expected a number above 0 behind the colon, as in iw:5'),
        ({"objective": "iw:-1"}, 'objective is "iw:-1"; expected a number above 0 behind the colon, as in iw:5'),
        ({"objective": "iw:"}, 'objective is "iw:"; expected a number above 0'),
        ({"objective": "iw:many"}, 'objective is "iw:many"; expected a number above 0'),
        (
            {"objective": "beta:nan"},
            'objective is "beta:nan"; expected a number above 0 behind the colon, as in beta:4',
        ),
        (
            {"objective": "beta:inf"},
            'objective is "beta:inf"; expected a number above 0 behind the colon, as in beta:4',
        ),
        ({"objective": "iw:2.5"}, 'objective is "iw:2.5"; expected a whole number from 1 to 100,000 behind the colon'),
        ({"objective": "elbo:1e20"}, 'objective is "elbo:1e20"; expected a whole number from 1 to 100,000'),
        ({"prior": "mixture:0.5"}, 'prior is "mixture:0.5"; expected a whole number from 1 to 100,000'),
        ({"prior": "vamp:0.5"}, 'prior is "vamp:0.5"; expected a whole number from 1 to 100,000'),
        ({"objective": "warm-up:5"}, "over is 5; expected the part of the training"),
    ],
)
def test_names_and_numbers_that_mean_nothing_are_refused_in_one_line(said, message):
    with pytest.raises(InputError) as refused:
        Parts(**said)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_known_in_words_and_takes_the_number_it_says(kind):
    base = {"likelihood": "normal", "prior": "standard", "objective": "elbo"}
    for name, part in KNOWN[kind].items():
        assert part.words
        if part.number is not None:
            plain = name in PLAIN["objective"]
            names = {
                **(dict.fromkeys(base, "none") | {"posterior": "point"} if plain else base),
                kind: f"{name}:{part.number:g}",
            }
            assert Parts(**names).to_json()[kind] == f"{name}:{part.number:g}"
        assert not part.counts or part.number == int(part.number or 0)


def test_a_number_behind_the_colon_reaches_the_part():
    parts = Parts(likelihood="fixed:0.25", prior="mixture:7", objective="iw:3")
    model = assembled(parts, digits())
    assert math.isclose(float(model.likelihood.scale), 0.25, rel_tol=1e-6)
    assert not list(model.likelihood.parameters())
    assert len(model.prior.means) == 7
    assert model.objective.samples == 3
    vamp = RECIPES["vae"].build((1, 8, 8), K, NETWORKS["strided"], PCA(K).fit(digits()), Parts(prior="vamp:6"), 9)
    assert vamp.prior.images.shape == (6, 1, 8, 8)


@pytest.mark.parametrize(("kind", "known"), [("posterior", POSTERIORS), ("likelihood", LIKELIHOODS), ("prior", PRIORS)])
def test_another_name_is_another_part(kind, known):
    """No two names make the same thing (a learned and a fixed sigma are of one class)."""
    made = {}
    for names in few():
        parts = named(names)
        model = assembled(parts, digits())
        one = {
            "posterior": model.encoder[-1],
            "likelihood": None if parts.likelihood == "none" else model.decoder[-1],
            "prior": getattr(model, "prior", None),
        }[kind]
        made[getattr(parts, kind)] = (type(one), one is not None and len(list(one.parameters())))
    assert set(made) == set(known)
    assert len(set(made.values())) == len(known)


def test_parts_survive_storage():
    for names in legal()[::37]:
        parts = named(names)
        assert Parts(**parts.to_json()) == parts
    assert not Parts().words
    assert Parts(objective="iw:50", binarise="dynamic").words == "objective iw:50, binarise dynamic"


def test_dynamic_binarisation_goes_around_any_objective():
    for objective in OBJECTIVES:
        if objective not in PLAIN["objective"]:
            made = Parts(objective=objective, likelihood="bernoulli", binarise="dynamic").make_objective(10)
            assert made.objective == Parts(objective=objective).make_objective(10)
    assert Parts().make_objective(10) == Elbo()
    assert Parts("point", "none", "none", "squared").make_objective(10) == SquaredError()


def test_a_bernoulli_of_grey_pixels_is_refused_before_and_while_training():
    images = sources.load("digits")
    plan = Plan((K,), ("vae",), parts={"likelihood": "bernoulli"})
    with pytest.raises(InputError, match=r"grey pixels .* add --binarise dynamic or static") as refused:
        plan.check(images)
    assert "\n" not in str(refused.value)
    for kind in ("static", "dynamic"):
        replace(plan, parts={**plan.parts, "binarise": kind}).check(binarised_set(images, kind))
    for likelihood in set(LIKELIHOODS) - {"none", "bernoulli"}:
        Plan((K,), ("vae",), parts={"likelihood": likelihood}).check(images)
    with pytest.raises(InputError, match="images of 0 and 1 alone; binarise the images") as refused:
        assembled(Parts(likelihood="bernoulli"), digits()).fit(digits(), Settings(epochs=1))
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"such as 0\.5"):
        Bernoulli()(torch.zeros(1, 2, 2)).log_prob(torch.full((1, 2, 2), 0.5))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--posterior", "point"], "posterior point does not go with objective elbo: a point posterior has no density"),
        (["--likelihood", "bernoulli"], "digits has grey pixels"),
        (["--prior", "mixtur"], 'there is no prior "mixtur"; did you mean "mixture"?'),
        (["--objective", "iw:0"], 'objective is "iw:0"; expected a number above 0'),
        (["--objective", "warm-up:2"], "over is 2; expected the part of the training"),
        (["--objective", "squared"], "posterior isotropic does not go with objective squared"),
        (
            ["--posterior", "full", "--objective", "total-correlation"],
            "posterior full does not go with objective total-c",
        ),
        (["--model", "conv", "--prior", "flow"], "posterior point does not go with prior flow: a plain autoencoder"),
        (["--model", "pca", "--prior", "flow"], "pca is not assembled from parts; leave prior out"),
        (["--binarise", "often"], 'there is no binarise "often"'),
    ],
)
def test_the_command_line_refuses_what_does_not_train(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lowerbound", "train", "digits", *words])
    assert __main__.main() == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lowerbound: ")]
    assert line.startswith(f"lowerbound: {message}")
    assert not list(tmp_path.iterdir())  # nothing was begun
