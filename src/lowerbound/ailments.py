"""The ailments of a model: what each looks like in the numbers, how large it has to be, and what to try.

Every check turns symptoms into a finding, or into the sentence that says why there is none. A threshold stands here with its
reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lowerbound.evaluation import Estimate
from lowerbound.findings import Certainty, Commands, Finding, Severity
from lowerbound.recipes import DEFAULT
from lowerbound.significance import beside, beyond, certainty, minus, moved, nats, percent, relative
from lowerbound.symptoms import Symptoms

__all__ = ["CHECKS"]

WORSE = 0.01  # of PCA's error: below, two reconstructions look the same
VARIED = 0.05  # of the images' variance: reconstructions that vary less are one image to the eye
NEAR_MEAN = 0.9  # of the mean image's error: a model this close to it has kept a tenth of what there is
TRAINED = 0.03  # of the squared error, or as much in nats: noise of the last steps alone is 1 % or so
WEAK = 0.1  # of the decoder's error: the fresh decoder is itself a rough guess, and a tenth is a few epochs' gain
OVERFIT = 1.0  # of the training error, more than PCA's own: an image loses twice as much for not having been seen
KEPT = 0.5  # of the variance: below, more of an image is lost than is kept
DOUBLED = 0.1  # of the error: if twice the numbers do not take off that much, K is not what is wrong
WORTH = 0.1  # nats per image that a principal component has to win to be worth a dimension
UNUSED = 0.25  # of the dimensions: fewer dead ones cost nothing worth mending
WEAK_Q = 0.1  # of the rate: what the family cannot say costs a tenth of all that the code says
SPREAD = 0.1  # of the rate: so much is spent on lying elsewhere than the prior, not on the image
APART = 0.75  # accuracy: total variation of 1/2, half of the prior's draws lie where hardly any image's code does
MISMATCH = 0.6  # accuracy: total variation of 1/5, a fifth of the test images are like none in training
AT_BOUND = 0.01  # of the pixels: at the bound each is worth log(sigma / bound) nats for ever less
CONSTANT = 0.05  # of the pixels: these have no noise for sigma to learn
SATURATED = 0.25  # of the values: a density of continuous pixels has no atom at 0 or 255


def _found(evidence: str, certainty: Certainty, advice: str, figure: str, severity: Severity = "ailment") -> Finding:
    return Finding("", evidence, certainty, advice, figure, severity)


def _mismatch(s: Symptoms, commands: Commands) -> Finding | str:
    found = s.pixels.mismatch
    if found is None:
        return "too few images to compare training with test images"
    told = f"a classifier tells test from training images in {percent(found.accuracy)} of cases (50 % is chance)"
    if not (beyond(moved(found.accuracy, -0.5), 0) and found.accuracy.mean > MISMATCH):
        return told
    advice = f"look at both, and split anew at random: lowerbound data show {commands.source}"
    return _found(told, certainty(found.accuracy, MISMATCH), advice, "pictures")


def _bound(s: Symptoms, commands: Commands) -> Finding | str:
    density = s.density
    if density is None or density.sigma is None:
        return "no sigma to learn"
    words = (
        f"sigma is {density.sigma:.4f} on average; at the 8-bit rounding of 0.0011 for {density.at_bound:.1%} of pixels"
    )
    if density.at_bound <= AT_BOUND:
        return words
    words += "; there the density grows without end and its nats mean nothing"
    kind = commands.parts.likelihood.partition(":")[0]
    other = "normal" if kind in ("per-pixel", "decoded") else "logistic"
    return _found(words, "certain", commands.train(s.latent_dim, model="vae", likelihood=other), "pixels")


def _untrained(s: Symptoms, commands: Commands) -> Finding | str:
    if s.trial is None:
        return s.skipped.get("training", "not tried")
    error = relative(s.errors, s.errors - s.trial.error)  # of the error after
    loss = Estimate.of(s.trial.loss)
    words = f"{s.trial.steps} more steps change the error of test images by {percent(minus(error))}"
    least = math.inf
    if s.density is not None:
        least = TRAINED * (s.size / 2 if s.density.sigma is not None else min(s.size / 2, abs(s.density.elbo.mean())))
        words += f" and the loss by {nats(minus(loss))}"
    if not (beyond(error, TRAINED) or beyond(loss, least)):
        return words
    sure = certainty(error, TRAINED) if beyond(error, TRAINED) else certainty(loss, least)
    return _found(words, sure, commands.go_on, "loss")


def _objective_wants(s: Symptoms) -> int | None:
    """How many principal components are worth their rate at the model's own sigma and beta (Lucas et al., 2019)."""
    if s.reference is None or s.density is None or s.density.sigma is None:
        return None
    level = s.density.beta * s.density.sigma**2
    return int((s.reference.variances[: s.latent_dim] > level).sum())


def _stuck(s: Symptoms, commands: Commands) -> Finding | str:
    near = Estimate.of(s.errors / max(float(s.mean_errors.mean()), 1e-12))
    words = f"reconstructions vary {s.varied:.1%} as much as images; their error is {near.mean:.0%} of the mean image's"
    if s.varied > VARIED or near.mean < NEAR_MEAN or not s.pixels.varies:
        return words
    wanted = _objective_wants(s)
    if wanted is not None and wanted <= UNUSED * _worth(s):
        return words + ", as this sigma and beta ask for: see posterior collapse"
    return _found(
        words, certainty(near, NEAR_MEAN), "restart: " + commands.train(s.latent_dim, more="--seed 1"), "pictures"
    )


def _worth(s: Symptoms) -> int:
    """How many of K principal components win something in probabilistic PCA."""
    if s.reference is None:
        return 0
    ratio = np.maximum(s.reference.variances[: s.latent_dim] / s.reference.noise, 1.0)
    return int((0.5 * (ratio - 1 - np.log(ratio)) > WORTH).sum())


def _lost(s: Symptoms) -> Estimate:
    """By how much the model's error exceeds that of the principal components that are worth it, relative."""
    if s.reference is None:
        return Estimate(0.0, 0.0)
    return relative(s.errors, s.reference.shrunk)


def _named(dims: np.ndarray) -> str:
    """Dimensions in words.

    Example:
        >>> _named(np.array([2, 5]))
        '2, 5'
    """
    return ", ".join(map(str, dims[:12])) + (" ..." if len(dims) > 12 else "")


def _collapse(s: Symptoms, commands: Commands) -> Finding | str:
    if s.density is None:
        return "no rate that could press dimensions to the prior"
    dead, alive = s.codes.dead, s.latent_dim - len(s.codes.dead)
    lost, wanted = _lost(s), _objective_wants(s)
    words = f"{len(dead)} of {s.latent_dim} dimensions say nothing (below 0.01 nats and 0.01 in variance)"
    if not len(dead) or alive >= _worth(s) or not beyond(lost, WORSE):
        return words if not len(dead) else words + ", and are not missed"
    words += f": {_named(dead)}; {_worth(s)} principal components are worth keeping"
    words += f", and the error is {beside(lost)} theirs"
    sure = certainty(lost, WORSE)
    if wanted is not None and wanted <= alive:
        pressed = s.density.beta > 1
        words += f"; at beta {s.density.beta:g} and sigma {s.density.sigma:.3f} only {wanted} are worth their rate"
        learned = "normal" if commands.parts.likelihood.startswith("fixed") else "optimal"
        changed = {"objective": "elbo"} if pressed else {"likelihood": learned}
        return _found(words, sure, commands.train(s.latent_dim, **changed), "codes")
    return _found(words, sure, commands.train(s.latent_dim, objective="free-bits:0.1"), "codes")


def _overfitting(s: Symptoms, commands: Commands) -> Finding | str:
    test, train = Estimate.of(s.errors), Estimate.of(s.train_errors)
    usual = 0.0
    if s.reference is not None:
        own = s.reference.errors[s.latent_dim].mean() / max(s.reference.train_errors.mean(), 1e-12) - 1
        usual = max(0.0, float(own)) if math.isfinite(own) else 0.0
    base = max(train.mean, 1e-12)
    more = Estimate(
        test.mean / base - 1, math.hypot(test.standard_error, train.standard_error * test.mean / base) / base
    )
    words = f"the error of test images is {beside(more)} that of training images (PCA's {usual:.1%} above)"
    if s.density is not None:
        fall = s.density.elbo.mean() - s.density.train_elbo.mean()
        error = math.hypot(*(Estimate.of(each).standard_error for each in (s.density.train_elbo, s.density.elbo)))
        words += f", the difference of the bounds {nats(Estimate(float(fall), error))}"
    excess = moved(more, -usual)
    if not beyond(excess, OVERFIT):
        return words
    fewer = max(1, s.latent_dim // 2)
    return _found(words, certainty(excess, OVERFIT), commands.train(fewer, more="--epochs 5"), "errors")


def _weak_decoder(s: Symptoms, commands: Commands) -> Finding | str:
    if s.fresh_errors is None or s.own_errors is None:
        return s.skipped.get("decoder", "not tried")
    found = relative(s.own_errors, s.fresh_errors)
    words = f"the decoder's error is {beside(found)} that of a smooth regression from the same codes"
    if not beyond(found, WEAK):
        return words
    better = replace(commands, network=DEFAULT if commands.network != DEFAULT else "dense")
    return _found(words, certainty(found, WEAK), better.train(s.latent_dim), "errors")


def _worse(s: Symptoms, commands: Commands) -> Finding | str:
    if s.reference is None:
        return s.skipped.get("PCA", "no PCA to compare with")
    other = s.reference.errors[s.latent_dim] if s.density is None else s.reference.shrunk
    found = relative(s.errors, other)
    words = f"the error is {beside(found)} that of {s.latent_dim} principal components"
    if not beyond(found, WORSE):
        return words
    noise = None if s.density is None else s.density.sigma
    if noise is not None and noise**2 > 2 * s.errors.mean():
        words += f"; its sigma of {noise:.3f} is far above the error's {math.sqrt(s.errors.mean()):.3f}"
        return _found(words, certainty(found, WORSE), commands.train(s.latent_dim, likelihood="normal"), "errors")
    if s.density is not None and s.density.beta > 1:
        words += f"; beta is {s.density.beta:g}"
        return _found(words, certainty(found, WORSE), commands.train(s.latent_dim, objective="elbo"), "errors")
    start = replace(commands, network=DEFAULT).train(s.latent_dim)
    advice = "start at PCA: " + start if commands.network != DEFAULT else start + " --seed 1"
    return _found(words, certainty(found, WORSE), advice, "errors")


def _small_k(s: Symptoms, commands: Commands) -> Finding | str:
    every = max(float(s.mean_errors.mean()), 1e-12)
    kept = 1 - s.errors.mean() / every
    if s.reference is None:
        return f"{kept:.0%} of the variance is kept"
    twice = max(s.reference.errors)
    few, many = s.reference.errors[s.latent_dim], s.reference.errors[twice]
    change = Estimate.of(few - many)
    gain = Estimate(change.mean / max(few.mean(), 1e-12), change.standard_error / max(few.mean(), 1e-12))
    words = (
        f"{kept:.0%} of the variance is kept; "
        f"from {s.latent_dim} to {twice} principal components the error falls by {percent(gain)}"
    )
    if max(kept, 1 - few.mean() / every) >= KEPT or not beyond(gain, DOUBLED):
        return words
    return _found(words, certainty(gain, DOUBLED), commands.train(twice), "spectrum")


def _large_k(s: Symptoms, commands: Commands) -> Finding | str:
    k, dead, worth = s.latent_dim, s.codes.dead, _worth(s)
    alive = k - len(dead)
    words = f"{alive} of {k} dimensions are in use"
    if not alive:
        return words
    words += "" if s.reference is None else f", {worth} of {k} principal components are worth a dimension each"
    if len(dead):
        words += f"; idle are {_named(dead)}"
        if alive < worth and beyond(_lost(s), WORSE):
            return words + ", and are missed: see posterior collapse"
    needed = alive if s.reference is None else min(alive, max(1, worth))
    if s.reference is not None and len(s.reference.scores) > 1:
        half = min(s.reference.scores)
        gain = Estimate.of(s.reference.scores[k] - s.reference.scores[half])
        words += f"; as a density of test images, {k} components beat {half} by {nats(gain)}"
        if beyond(minus(gain), WORTH * (k - half)):
            needed = min(needed, half)
    if k - needed > UNUSED * k:
        return _found(words, "certain", commands.train(needed), "codes" if len(dead) else "spectrum")
    if len(dead):
        return _found(words, "certain", commands.train(alive), "codes", "note")
    return words


def _weak_q(s: Symptoms, commands: Commands) -> Finding | str:
    if s.density is None or s.density.gaps is None:
        return s.skipped.get("gaps", s.skipped.get("density", "not measured"))
    gaps, rate = s.density.gaps, s.density.rate
    family, encoder = gaps.approximation.estimate, gaps.amortisation.estimate
    words = (
        f"on {len(gaps.total.nats)} test images log p(x) is at least {nats(family)} above the best bound of {gaps.family} q "
        f"and that is {nats(encoder)} above the encoder's, at a rate of {rate.mean:.1f}"
    )
    if beyond(family, max(1.0, WEAK_Q * rate.mean)):
        wins = {name: float((gap - gaps.optimum).nats.mean()) for name, gap in gaps.richer.items()}
        enough = [name for name, win in wins.items() if win > 0.5 * family.mean]
        for name in enough[:1]:
            words += f"; a {name} q would win {wins[name]:.2f}"
        advice = commands.train(s.latent_dim, posterior=enough[0] if enough else "flow")
        return _found(words, certainty(family, max(1.0, WEAK_Q * rate.mean)), advice, "gaps")
    if beyond(encoder, max(1.0, WEAK_Q * rate.mean)):
        words += ": the encoder finds no good q for some images it has not seen"
        sure = certainty(encoder, max(1.0, WEAK_Q * rate.mean))
        return _found(words, sure, commands.train(s.latent_dim, objective="iw:5"), "gaps", "note")
    return words


def _unmatched(s: Symptoms, commands: Commands) -> Finding | str:
    divergence, told = s.codes.divergence, s.codes.told_apart
    other = "the prior" if s.density is not None else "N(0, I)"
    words = (
        f"by mean and covariance the codes are {nats(divergence)} from {other}; "
        f"a classifier tells them from its draws in {percent(told)} of cases (50 % is chance)"
    )
    advice = f"fit a prior to the codes: lowerbound sample {commands.run} --prior gmm"
    if s.density is None:
        if s.trial is None or not beyond(moved(told, -APART), 0):
            return words
        return _found(words + "; this model never saw a prior", certainty(told, APART), advice, "codes", "note")
    least = max(0.5, SPREAD * s.density.rate.mean)
    if beyond(divergence, least):
        return _found(words, certainty(divergence, least), advice, "codes")
    if beyond(moved(told, -APART), 0):
        return _found(words, certainty(told, APART), advice, "codes", "note")
    return words


def _pixels(s: Symptoms, commands: Commands) -> Finding | str:
    words = (
        f"{s.pixels.constant:.1%} of pixels never change; of the others' values {s.pixels.saturated:.1%} are 0 or 255"
    )
    if not s.pixels.varies:
        return _found(
            "all training images are the same", "certain", f"lowerbound data show {commands.source}", "pictures"
        )
    discrete = s.density is not None and s.density.sigma is None
    if s.density is None or discrete or (s.pixels.constant <= CONSTANT and s.pixels.saturated <= SATURATED):
        return words
    kind = "bernoulli" if s.pixels.saturated > 0.999 else "logistic"
    words += ", where a normal density has no probability to give: compare its nats with nothing else"
    return _found(words, "certain", commands.train(s.latent_dim, likelihood=kind), "pixels", "note")


CHECKS: dict[str, Callable[[Symptoms, Commands], Finding | str]] = {
    "train/test mismatch": _mismatch,
    "sigma at its bound": _bound,
    "not yet converged": _untrained,
    "stuck at the mean image": _stuck,
    "posterior collapse": _collapse,
    "over-fitting": _overfitting,
    "decoder too weak": _weak_decoder,
    "K too small": _small_k,
    "worse than PCA": _worse,
    "K too large": _large_k,
    "q too weak": _weak_q,
    "aggregate posterior far from the prior": _unmatched,
    "saturated or constant pixels": _pixels,
}
"""By the name of what each looks for, causes before effects."""
