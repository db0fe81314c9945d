"""What a diagnosis is written in: findings, what was checked, and the commands that a finding advises."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lowerbound.errors import InputError
from lowerbound.parts import Parts
from lowerbound.recipes import DEFAULT

__all__ = ["Certainty", "Checked", "Commands", "Finding", "Severity"]

Certainty = Literal["certain", "likely", "possible"]
Severity = Literal["ailment", "note"]


@dataclass(frozen=True)
class Commands:
    """How the model was made, to say how else to make it.

    Attributes:
        source: Where its images come from, as it was typed.
        run: Its folder.
        model: Its recipe.
        parts: What it is assembled from.
        network: Its network.
    """

    source: str = "SOURCE"
    run: str = "RUN"
    model: str = "vae"
    parts: Parts = field(default_factory=Parts)
    network: str = DEFAULT

    def train(self, k: int, *, model: str | None = None, more: str = "", **changed: str) -> str:
        """The command that trains it anew with other parts.

        Example:
            >>> Commands("mnist").train(20, posterior="full")
            'lowerbound train mnist -k 20 --posterior full'
        """
        model = model or self.model
        words = ["lowerbound train", self.source] + ([] if model == "vae" else [f"--model {model}"]) + [f"-k {k}"]
        if self.network != DEFAULT:
            words.append(f"--network {self.network}")
        if model == "vae":
            usual, parts = Parts(), self._changed(changed)
            words += [
                f"--{kind} {name}"
                for kind, name in parts.to_json().items()
                if name != getattr(usual, kind) or kind in changed
            ]
        return " ".join([*words, *([more] if more else [])])

    def _changed(self, changed: dict[str, str]) -> Parts:
        """The parts with some in place of others; the usual ones beside them where the old do not go with them."""
        own = self.parts if self.model == "vae" else Parts()
        try:
            return replace(own, **changed)
        except InputError:
            return Parts(**changed)

    @property
    def go_on(self) -> str:
        """The command that trains it on."""
        return f"lowerbound train --resume {self.run} --epochs +5"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: Its name.
        evidence: Numbers, with units and standard errors.
        certainty: From the standard errors: beyond its threshold by 3 is certain, by 1.6 likely.
        advice: One thing to try.
        figure: Which panel of the figure shows it.
        severity: An ailment, or a note on what is not wrong but good to know.
        follows: The name of an earlier finding that may be its cause; empty where there is none.
    """

    name: str
    evidence: str
    certainty: Certainty
    advice: str
    figure: str | None = None
    severity: Severity = "ailment"
    follows: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Checked:
    """What one check came to.

    Attributes:
        name: Of the finding that it looks for.
        words: Why there is none; empty where there is one.
        finding: The finding, or None.
    """

    name: str
    words: str
    finding: Finding | None = None
