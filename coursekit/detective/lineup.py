"""Which of many known vectors is it? Compares what was seen with every candidate, batch by batch.

``M`` numbers of all batches in a row, ``K`` candidates; ``starts`` says where a batch begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
TOLERANCE = 5e-5  # relative to the largest number of a batch, so that float32 inside a loss passes


class Block(NamedTuple):
    """Candidates: their keys (K), their numbers (K, M), and what a constant weight gives (M,).

    ``tolerance`` (K, 1) is wider for candidates that hold a small number nobody can know, the ε
    that is added to a standard deviation.
    """

    keys: list
    rows: Array
    one: Array
    tolerance: Array | float = TOLERANCE


class Match(NamedTuple):
    """Seen = factor · (candidate − baseline · one) on the batches where ``agrees`` (batches,)."""

    key: Any
    factor: float
    baseline: float
    agrees: Array


def peak(x: Array, starts: Array) -> Array:
    """The largest |number| of each batch; (…, M) -> (…, batches)."""
    return np.maximum.reduceat(np.abs(x), starts, axis=-1)


def agreement(u: Array, rows: Array, starts: Array, tolerance: Array | float = TOLERANCE) -> Array:
    """On which batches u (M,) and each of the rows (…, M) are the same; (…, batches)."""
    size = np.maximum(peak(u, starts), peak(rows, starts))
    return peak(u - rows, starts) <= tolerance * size + 1e-15


def _unit(u: Array) -> tuple[Array, float]:
    """u with a largest |number| of 1, and what it was: a loss may be as small as it likes."""
    size = float(np.abs(u).max(initial=0)) or 1.0
    return u / size, size


def search(u: Array, blocks: Sequence[Block], starts: Array) -> list[Match]:
    """Every candidate that is u on all batches up to one factor, or else up to a baseline too."""
    u, size = _unit(u)
    scale = np.repeat(peak(u, starts), np.diff(np.append(starts, len(u))))
    scale = np.divide(1, scale, out=np.zeros(len(u)), where=scale > 0)  # batches count alike
    found, y = [], u * scale
    for with_baseline in (False, True):
        for keys, rows, one, tolerance in blocks if not found else []:
            x, c = rows * scale, one * scale * with_baseline
            xx, xc, cc, xy, cy = (x**2).sum(-1), x @ c, c @ c, x @ y, c @ y
            if with_baseline:  # a candidate that is itself a constant has none
                det = np.where(xx * cc - xc**2 > 1e-9 * xx * cc, xx * cc - xc**2, np.inf)
                k, kb = (cc * xy - xc * cy) / det, (xc * xy - xx * cy) / det
            else:
                k, kb = xy / np.maximum(xx, 1e-300), np.zeros(len(xx))
            near = (y @ y - k * xy + kb * cy < 1e-3 * (y @ y)) & (k != 0)  # worth a closer look
            for i in np.flatnonzero(near):
                bound = tolerance if isinstance(tolerance, float) else float(tolerance[i, 0])
                agrees = agreement(u, k[i] * rows[i] - kb[i] * one, starts, bound)
                if agrees.all():
                    found.append(Match(keys[i], float(k[i]) * size, float(kb[i] / k[i]), agrees))
    return found


def nearest(u: Array, blocks: Sequence[Block], starts: Array) -> Match | None:
    """The candidate that is u on most batches, if on more than half; the first of several, the sum.

    Its factor is the median over the batches' first steps.
    """
    (u, size), best, most = _unit(u), None, len(starts) / 2
    for keys, rows, _, tolerance in blocks:
        first = rows[:, starts]
        ratio = np.divide(u[starts], first, out=np.full_like(first, np.nan), where=first != 0)
        ratio[np.isnan(ratio).all(-1)] = 0
        k = np.nanmedian(ratio, axis=-1, keepdims=True)
        may = ~(np.abs(ratio - k) > 1e-2 * np.abs(k)) & (k != 0)  # first steps agree
        for i in np.flatnonzero(may.sum(-1) > most):
            bound = tolerance if isinstance(tolerance, float) else float(tolerance[i, 0])
            agrees = agreement(u, k[i] * rows[i], starts, bound)
            if agrees.sum() > most:
                best, most = Match(keys[i], float(k[i, 0]) * size, 0.0, agrees), agrees.sum()
    return best
