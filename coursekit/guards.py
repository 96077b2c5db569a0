"""What a setting must be, one sentence for each refusal: what was given, and what to give instead.

Each function takes the setting's name and its value, and raises ValueError. ``True`` is refused
where a number is asked for, though Python counts it as 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any


def one_of(name: str, value: Any, known: Collection[str]) -> None:
    """``value`` is one of the ``known`` words."""
    if not isinstance(value, str) or value not in known:  # a list has no hash: type first
        raise ValueError(f"{name} {value!r} is unknown; choose from: {', '.join(known)}")


def fraction(name: str, value: Any) -> None:
    """A number in [0, 1]."""
    _number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} {value} is outside [0, 1]")


def above_zero(name: str, value: Any) -> None:
    """A finite number above 0."""
    _number(name, value)
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} {value} must be above 0 and finite")


def count(name: str, value: Any) -> None:
    """A whole number, 1 or more."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{name} {value!r} must be a whole number, 1 or more")


def flag(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} {value!r} must be True or False")


def is_whole(value: Any) -> bool:
    """An integer of Python or of NumPy; neither True nor 2.0 is one."""
    return isinstance(value, Integral) and not isinstance(value, bool)


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


def _number(name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"{name} {value!r} must be a number")


def _has_no_axis(values: Any) -> bool:
    """An array of no axes calls itself iterable and is not."""
    return getattr(values, "shape", None) == ()
