"""The batches on which losses of tokens differ: few answers of few tokens, exact in any dtype.

log π and its differences are multiples of 1/64, which float16 and bfloat16 hold exactly. ``B``
answers, ``T`` places. In no batch is B equal to T, so that a wrong broadcast stops.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from coursekit.detective.tokens.calls import Batch

Array = np.ndarray
LADDER = np.array([1, -(2**0.5), 3**0.5, -(5**0.5), 7**0.5, -(1.1**0.5), 1.7**0.5, -(0.6**0.5)])
# label -> T, where each answer starts, how long it is, and its group
LAYOUTS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    "lengths 1, 3, 2, 4": (5, (0,) * 4, (1, 3, 2, 4), (0, 0, 1, 1)),
    "prompts in front": (8, (2, 1, 1, 3), (1, 3, 2, 4), (0, 0, 1, 1)),
    "no padding": (3, (0,) * 4, (3, 3, 2, 1), (0, 0, 1, 1)),
    "up to the edge": (5, (1, 2, 0, 3), (4, 3, 5, 2), (0, 0, 1, 1)),
    "eight answers": (6, (0,) * 8, (2, 1, 4, 3, 1, 2, 5, 3), (0,) * 4 + (1,) * 4),
    "twelve answers": (
        *(9, (1, 0, 0, 2, 0, 0, 1, 0, 0, 0, 3, 0), (3, 1, 6, 2, 4, 1, 2, 5, 1, 7, 2, 3)),
        (0,) * 4 + (1,) * 4 + (2,) * 4,
    ),
}
UNEVEN = "groups of 3, 3 and 2"
LAYOUTS_OF_GROUPS = {
    UNEVEN: (7, (0,) * 8, (2, 1, 4, 3, 1, 2, 5, 2), (0, 1, 0, 1, 1, 2, 0, 2)),
}
LONG = "up to 300 tokens"
ALL = LAYOUTS | LAYOUTS_OF_GROUPS | {LONG: (320, (0, 3, 0, 1), (300, 2, 40, 7), (0, 0, 1, 1))}
HOLES, EMPTY = "holes", "an empty answer"


def layout(label: str) -> tuple[Array, Array]:
    """The mask (B, T) and the groups (B,) of a layout."""
    if label == HOLES:
        rows = ["1011000", "1101100", "0110010", "1111000"]
        return np.array([[c == "1" for c in row] for row in rows]), np.array([0, 0, 1, 1])
    if label == EMPTY:
        return np.arange(5) < np.array([[2], [0], [3], [1]]), np.array([0, 0, 1, 1])
    T, starts, lengths, groups = ALL[label]
    start, n, t = np.array(starts)[:, None], np.array(lengths)[:, None], np.arange(T)
    return (t >= start) & (t < start + n), np.array(groups)


@cache
def numbers(label: str, seed: int) -> Array:
    """log π of a layout, (B, T): multiples of 1/64 from −3 to −1/64."""
    whole = np.random.default_rng([seed, len(label)]).integers(1, 192, layout(label)[0].shape)
    return -whole / 64


def batch(
    label: str,
    advantages: Array | float | None = None,
    x: Array | float = 0.0,
    delta: Array | float = 0.0,
    seed: int = 1,
    times: float = 1.0,
) -> Batch:
    """A batch of this layout with log-ratios ``x`` to old and ``delta`` to the reference.

    Without ``advantages`` they are 1, −√2, √3, −√5 …; a number stands for all. log π is
    multiplied by ``times``.
    """
    (mask, groups), logp = layout(label), numbers(label, seed) * times
    if advantages is None:
        advantages = np.resize(LADDER, len(mask))
        advantages = advantages * np.where(np.arange(len(mask)) < len(LADDER), 1.0, 1.3)
    A = advantages + np.zeros(len(mask)) if np.ndim(advantages) < 2 else advantages
    return Batch(label, logp, logp - x, logp - delta, A, mask, groups)


def steps(label: str, seed: int, unit: float = 1 / 64, most: int = 8) -> Array:
    """Log-ratios that differ from place to place, (B, T): ``unit`` times whole numbers, not 0."""
    rng, shape = np.random.default_rng([seed, 77]), layout(label)[0].shape
    return unit * rng.integers(1, most + 1, shape) * rng.choice([-1, 1], shape)
