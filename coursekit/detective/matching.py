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
    """Candidates: their keys (K); rows (K, M) times ``one`` (M,), what a constant weight gives.

    ``tolerance`` (K,) is wider for candidates that hold a small number nobody can know, the ε
    that is added to a standard deviation. ``less`` (M,) is what a baseline takes off: ``one``, if
    not given.
    """

    keys: list
    rows: Array
    one: Array
    tolerance: Array
    less: Array | None = None


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
        for keys, rows, one, tolerance, less in blocks if not found else []:
            each, c = one * scale, (one if less is None else less) * scale * with_baseline
            xx, xc, xy = rows**2 @ each**2, rows @ (each * c), rows @ (each * y)
            cc, cy = c @ c, c @ y
            if with_baseline:  # a candidate that is itself a constant has none
                det = np.where(xx * cc - xc**2 > 1e-9 * xx * cc, xx * cc - xc**2, np.inf)
                k, kb = (cc * xy - xc * cy) / det, (xc * xy - xx * cy) / det
            else:
                k, kb = xy / np.maximum(xx, 1e-300), np.zeros(len(xx))
            near = (y @ y - k * xy + kb * cy < 1e-3 * (y @ y)) & (k != 0)  # worth a closer look
            off = one if less is None else less
            for i in np.flatnonzero(near):
                agrees = agreement(u, k[i] * rows[i] * one - kb[i] * off, starts, tolerance[i])
                if agrees.all():
                    found.append(Match(keys[i], float(k[i]) * size, float(kb[i] / k[i]), agrees))
    return found


def nearest(u: Array, blocks: Sequence[Block], starts: Array) -> Match | None:
    """The candidate that is u on most batches, if on more than half; the first of several, the sum.

    Its factor is the median over the batches' first steps.
    """
    (u, size), best, most = _unit(u), None, len(starts) / 2
    for keys, rows, one, tolerance, _ in blocks:
        first = rows[:, starts] * one[starts]
        ratio = np.divide(u[starts], first, out=np.full_like(first, np.nan), where=first != 0)
        ratio[np.isnan(ratio).all(-1)] = 0
        k = np.nanmedian(ratio, axis=-1, keepdims=True)
        may = ~(np.abs(ratio - k) > 1e-2 * np.abs(k)) & (k != 0)  # first steps agree
        for i in np.flatnonzero(may.sum(-1) > most):
            agrees = agreement(u, k[i] * rows[i] * one, starts, tolerance[i])
            if agrees.sum() > most:
                best, most = Match(keys[i], float(k[i, 0]) * size, 0.0, agrees), agrees.sum()
    return best
