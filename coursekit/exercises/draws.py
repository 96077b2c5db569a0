"""What the exercises draw their random cases from: numbers that single precision holds exactly."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator


def length(rng: Generator, least: int = 1, most: int | None = None) -> int:
    """Without ``most`` up to 8, and in one draw of eight from 20 to 60."""
    if most is None and rng.integers(8) == 0:
        least, most = 20, 60
    return int(rng.integers(least, (most or 8) + 1))


def numbers(rng: Generator, *shape: int) -> np.ndarray:
    """As ``eighths``; now and then of any size, from a thousandth to thousands."""
    if rng.integers(6) == 0:
        return np.float32(rng.normal(0, 2, shape) * 10 ** rng.uniform(-3, 3)).astype(float)
    return eighths(rng, *shape)


def eighths(rng: Generator, *shape: int) -> np.ndarray:
    """Eighths; now and then whole numbers, which are of an integer type, or halves, with ties."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(-4, 5, shape)
    if kind == 1:
        return rng.integers(-4, 5, shape) / 2
    return np.round(rng.normal(0, 16, shape)) / 8


def number(rng: Generator) -> float:
    return float(numbers(rng, 1)[0])


def fraction(rng: Generator) -> float:
    """From 0 to 1; each of the two in one draw of six, at times as a whole number."""
    if (kind := rng.integers(6)) < 2:
        return [float, int][rng.integers(2)](kind)
    return [0.5, 0.75, 0.875, int(rng.integers(1, 100)) / 100][kind - 2]


def rewards_and_gamma(rng: Generator) -> tuple[np.ndarray, float]:
    return numbers(rng, length(rng)), fraction(rng)


def long() -> np.ndarray:
    """So many steps that 0.02 to the power of their number is 0, as floats are."""
    return np.arange(200) % 7 - 2.5


def lengths(rng: Generator, n: int, most: int = 40) -> np.ndarray:
    """Whole numbers from 1 on, half of the time stored as floats."""
    drawn = rng.integers(1, most + 1, n)
    return drawn if rng.integers(2) else drawn.astype(float)


def chances(rng: Generator, n: int) -> np.ndarray:
    """Probabilities above 0 that add to 1; now and then one of them is tiny."""
    weights = rng.integers(1, 12, n).astype(float)
    if rng.integers(5) == 0 and n > 1:
        weights[rng.integers(n)] = 10 ** rng.uniform(-12, -6)
    return weights / weights.sum()


def batch(rng: Generator, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (B, T), B from ``least`` on, and a mask; what stands in the padding is not 0."""
    B, T = length(rng, least, 5), length(rng, 1, 6)
    mask = np.arange(T) < rng.integers(1, T + 1, B)[:, None]
    values = numbers(rng, B, T).astype(float)
    return np.where(mask, values, values + 9.0), mask
