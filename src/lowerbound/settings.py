"""How a model is trained: epochs or minutes, batch, rate and its schedule, what guards it, and what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["SCHEDULES", "Settings", "constant", "one_cycle"]


def constant(fraction: float) -> float:  # noqa: ARG001
    """The same learning rate from beginning to end.

    Example:
        >>> constant(0.7)
        1.0
    """
    return 1.0


def one_cycle(fraction: float) -> float:
    """The learning rate rises over the first fifth, then falls along a cosine to zero (after Smith, 2018, arXiv:1803.09820).

    Example:
        >>> one_cycle(0.1), one_cycle(0.2), one_cycle(1.0)
        (0.5, 1.0, 0.0)
    """
    rise = 0.2
    return fraction / rise if fraction < rise else 0.5 * (1 + math.cos(math.pi * (fraction - rise) / (1 - rise)))


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "one_cycle": one_cycle}


_KINDS: dict[str, tuple[type, ...]] = {"float": (float, int), "int": (int,), "str": (str,), "bool": (bool,)}


def _reckonable(value: Any) -> bool:
    """Whether a value is no number, or one that others can reckon with."""
    return not isinstance(value, int | float) or abs(value) < 2**63


@dataclass(frozen=True)
class Settings:
    """How a model is trained, by Adam (Kingma & Ba, 2015, https://arxiv.org/abs/1412.6980).

    Args:
        epochs: Times that every image is seen, such as 2.5; with ``minutes`` it counts for nothing.
        batch_size: Images in one step, over all processes; the last step of an epoch takes what is left.
        learning_rate: The highest rate.
        weight_decay: Strength of the L2 penalty that Adam adds to the gradient.
        schedule: The fraction of the rate at a fraction of the training.
        seed: Fixes order and noise.
        begin: Epoch at which the schedule begins: 0, or where an earlier training had ended.
        minutes: Time to train, in place of epochs: the schedule is fitted to it. 0 for none.
        clip: Longest gradient; a longer one is scaled down to it (Pascanu et al., 2013, arXiv:1211.5063). 0 for none.
        average: Decay of the exponential average of the weights that the model ends with (Polyak & Juditsky, 1992), such as
            0.999. 0 for none.
        patience: Epochs without a better loss on validation images after which training stops; the weights that did best are
            kept. 0 for none.
        precision: Of the backbones: "float32", or "bfloat16" where the device is made for it. Heads, likelihood and KL are
            float32 always.
        compiled: Whether the backbones are compiled first, which takes a minute.

    Raises:
        ValueError: A setting with which nothing could be trained.

    Example:
        >>> Settings(epochs=5).steps(images=1050)
        55
    """

    epochs: float = 10
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Callable[[float], float] = constant
    seed: int = 0
    begin: int = 0
    minutes: float = 0.0
    clip: float = 0.0
    average: float = 0.0
    patience: int = 0
    precision: str = "float32"
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        least = min(self.epochs, self.weight_decay, self.seed, self.minutes, self.clip, self.average, self.patience)
        if not (least >= 0 and self.batch_size >= 1 and self.learning_rate > 0 and self.average < 1):
            raise ValueError(
                f"{self} cannot train; expected a batch size >= 1, a rate > 0, an average below 1 and nothing below 0"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision is {self.precision}; expected float32 or bfloat16")

    def steps(self, images: int) -> int:
        """Steps that these epochs take over a number of images."""
        return round(self.epochs * math.ceil(images / self.batch_size))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them; the schedule by its name."""
        return {**vars(self), "schedule": self.schedule.__name__}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Settings:
        """The settings that ``to_json`` stored; those of older runs know nothing of what came later.

        Raises:
            ValueError: Something else.
        """
        for known in fields(cls):
            value = stored.get(known.name, known.default)
            if known.name != "schedule" and (type(value) not in _KINDS[str(known.type)] or not _reckonable(value)):
                raise ValueError(f"{known.name} is {str(value)[:40]}; expected {known.type}")
        return cls(**{**stored, "schedule": SCHEDULES[stored["schedule"]]})
