"""What an argument must be, one sentence for each refusal: what was given, what to give instead.

Each function takes the argument's name and its value, and raises ValueError. ``True`` is refused
where a number is asked for, though Python counts it as 1. Arrays are NumPy's or torch's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np


class Settings:
    """The base of a dataclass of settings: they are given by name, and by a name that it has."""

    def __new__(cls, *values: Any, **settings: Any) -> Any:
        known = [field.name for field in dataclasses.fields(cls)]
        if values:
            raise ValueError(f"{values[0]!r} has no name; write {known[0]}=…, or another setting's")
        for name in settings:
            one_of("setting", name, known)
        return super().__new__(cls)


def one_of(name: str, value: Any, known: Collection[str]) -> None:
    """``value`` is one of the ``known`` words."""
    if not isinstance(value, str) or value not in known:  # a list has no hash: type first
        raise ValueError(f"{name} {value!r} is unknown; choose from: {', '.join(known)}")


def text(name: str, value: Any, example: str) -> None:
    """A name in quotes, not an empty one."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} {value!r} must be a name, such as {example}")


def instance(name: str, value: Any, kind: type, example: str) -> None:
    """``value`` is one of this ``kind``; ``example`` shows how to make one."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} {value!r} is no {kind.__name__}; give one, such as {example}")


def fraction(name: str, value: Any) -> None:
    """A number in [0, 1]."""
    number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} {value} is outside [0, 1]")


def above_zero(name: str, value: Any) -> None:
    """A finite number above 0."""
    number(name, value)
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} {value} must be above 0 and finite")


def positive(name: str, value: Any) -> None:
    """A number above 0, infinity among them."""
    number(name, value)
    if not value > 0:
        raise ValueError(f"{name} {value} must be above 0")


def count(name: str, value: Any) -> None:
    """A whole number, 1 or more."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{name} {value!r} must be a whole number, 1 or more")


def widths(name: str, value: Any) -> None:
    """The widths of some layers, perhaps none: whole numbers, 1 or more."""
    given = value if isinstance(value, tuple | list) else (0,)
    if not all(is_whole(width) and width > 0 for width in given):
        raise ValueError(
            f"{name} {value!r} must be a tuple of layer widths, all above 0; "
            "(64,) is one layer, () is none"
        )


def flag(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} {value!r} must be True or False")


def is_whole(value: Any) -> bool:
    """An integer of Python or of NumPy; neither True nor 2.0 is one."""
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def checked_seed(seed: Any) -> int:
    """The seed as a plain int: a whole number, 0 or above. It is never rounded."""
    if not is_whole(seed) or seed < 0:
        raise ValueError(f"seed {seed!r} must be a whole number, 0 or above")
    return int(seed)


def listed(name: str, values: Any, example: str) -> list:
    """``values`` as a list; ``example`` shows what to give in place of a single one."""
    if isinstance(values, str) or not isinstance(values, Iterable) or _has_no_axis(values):
        raise ValueError(f"{name} {values!r} must be a list, such as {example}")
    return list(values)


def checked_seeds(seeds: Any) -> list[int]:
    """Each seed as by ``checked_seed``; one alone is no list."""
    return [checked_seed(seed) for seed in listed("seeds", seeds, "[0, 1, 2] or range(8)")]


def own_seeds(seeds: Any) -> list[int]:
    """``checked_seeds``, at least one, and none of them twice."""
    seeds = checked_seeds(seeds)
    if not seeds:
        raise ValueError("no seeds given; give at least one")
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise ValueError(f"seeds repeat: {twice}; each learner needs a seed of its own")
    return seeds


def number(name: str, value: Any) -> None:
    """A real number, NaN and infinity among them."""
    if type(value) is float:  # at every step of every episode: the plain case first
        return
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"{name} {value!r} must be a number")


def reals(name: str, values: Any) -> np.ndarray:
    """A number, a list, an array or a tensor as a new array of float64; NaN is left in.

    None and text are refused: NumPy takes them for NaN and for the number that they spell.
    """
    try:
        array = np.asarray(values.detach() if hasattr(values, "detach") else values)
        if array.dtype.kind not in "biuf" and not all(
            isinstance(x, Real | Decimal) for x in array.flat
        ):
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: torch's
        raise ValueError(f"{name} {values!r} must be a number or an array of numbers") from None


def finite(name: str, values: Any) -> np.ndarray:
    """As ``reals``, without NaN and infinity."""
    array = reals(name, values)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a NaN or an infinity: {array}")
    return array


def arrays(**given: Any) -> None:
    """NumPy arrays alone, or tensors alone."""
    for name, value in given.items():
        if not hasattr(value, "shape"):
            raise ValueError(f"{name} {value!r} must be an array or a tensor")
    if len({hasattr(value, "detach") for value in given.values()}) > 1:
        kinds = ", ".join(f"{name} {type(value).__name__}" for name, value in given.items())
        raise ValueError(f"NumPy and torch are mixed ({kinds}); give arrays alone or tensors alone")


def batch(name: str, values: Any, mask: Any) -> None:
    """``values`` and ``mask``: arrays that end in the same (B, T), no episode of which is empty."""
    arrays(**{name: values, "mask": mask})
    shape = tuple(mask.shape)
    if tuple(values.shape[-2:]) != shape[-2:] or len(shape) < 2 or not shape[-2]:
        raise ValueError(
            f"{name} have shape {tuple(values.shape)} and mask {shape}; "
            "both must end in the same (B, T), B above 0"
        )
    real = mask
    if "bool" not in str(mask.dtype):  # a mask of another type may hold anything
        real = mask == 1
        if not bool((real | (mask == 0)).all()):
            raise ValueError(f"the mask must be True or False at every step, not {mask}")
    if not bool(real.any(-1).all()):
        raise ValueError(f"an episode is empty: lengths {mask.sum(-1).tolist()}; leave it out")


def below(name: str, values: Any, bound: int) -> None:
    """Whole numbers from 0 to ``bound`` − 1, in an array or a tensor of any shape."""
    if "int" not in str(values.dtype) or bool(((values < 0) | (values >= bound)).any()):
        raise ValueError(f"{name} must be whole numbers from 0 to {bound - 1}, not {values}")


def _has_no_axis(values: Any) -> bool:
    """An array of no axes calls itself iterable and is not."""
    return getattr(values, "shape", None) == ()
