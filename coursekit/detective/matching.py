"""Which of many known vectors is it? Compares what was seen with every candidate, batch by batch.

``M`` numbers of all batches in a row, ``K`` candidates; ``starts`` says where a batch begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
TOLERANCE = 5e-5  # relative to the largest number of a batch: what float32 inside a loss does


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
    """Seen = factor · (candidate − baseline · less) on the batches where ``agrees`` (batches,)."""

    key: Any
    factor: float
    baseline: float
    agrees: Array
    error: float = 0.0  # the largest, relative to the largest number of its batch


def peak(x: Array, starts: Array) -> Array:
    """The largest |number| of each batch; (…, M) -> (…, batches)."""
    return np.maximum.reduceat(np.abs(x), starts, axis=-1)


def errors(u: Array, rows: Array, starts: Array, floor: float = 0.0) -> Array:
    """The largest difference of each batch, over its largest number or ``floor``; (…, batches)."""
    size = np.maximum(np.maximum(peak(u, starts), peak(rows, starts)), floor)
    noise = 1e-15 * np.abs(u).max(initial=0)
    return np.maximum(peak(u - rows, starts) - noise, 0) / np.maximum(size, 1e-300)


def agreement(u: Array, rows: Array, starts: Array, tolerance: Array | float = TOLERANCE) -> Array:
    """On which batches u (M,) and each of the rows (…, M) are the same; (…, batches)."""
    return errors(u, rows, starts) <= tolerance


def _unit(u: Array) -> tuple[Array, float]:
    """u with a largest |number| of 1, and what it was: a loss may be as small as it likes."""
    size = float(np.abs(u).max(initial=0)) or 1.0
    return u / size, size


def search(
    u: Array, blocks: Sequence[Block], starts: Array, tolerance: float = TOLERANCE
) -> list[Match]:
    """Every candidate that is u on all batches up to one factor, or else up to a baseline too.

    The nearest come first. A candidate's own tolerance counts where it is wider.
    """
    u, size = _unit(u)
    scale = np.repeat(peak(u, starts), np.diff(np.append(starts, len(u))))
    scale = np.divide(1, scale, out=np.zeros(len(u)), where=scale > 1e-7)  # batches count alike
    found, y, loose = [], u * scale, max(1e-3, tolerance**2 * 10)
    for with_baseline in (False, True):
        for _, group in groupby(blocks if not found else [], key=lambda block: id(block.rows)):
            group = list(group)  # they share their rows: one product for all of them
            rows, off = (
                group[0].rows,
                np.array([b.one if b.less is None else b.less for b in group]),
            )
            each = np.array([block.one for block in group]) * scale
            c = off * scale * with_baseline
            xx, xc, xy = rows**2 @ (each**2).T, rows @ (each * c).T, rows @ (each * y).T
            cc, cy = (c**2).sum(-1), c @ y
            if with_baseline:  # a candidate that is itself a constant has none
                det = np.where(xx * cc - xc**2 > 1e-9 * xx * cc, xx * cc - xc**2, np.inf)
                k, kb = (cc * xy - xc * cy) / det, (xc * xy - xx * cy) / det
            else:
                k, kb = xy / np.maximum(xx, 1e-300), np.zeros_like(xx)
            near = (y @ y - k * xy + kb * cy < loose * (y @ y)) & (k != 0)  # worth a closer look
            for i, j in zip(*np.nonzero(near.T)[::-1], strict=True):  # (candidate, block)
                seen = k[i, j] * rows[i] * group[j].one - kb[i, j] * off[j]
                own = group[j].tolerance[i]
                # rounding over an ε where all returns of a batch are alike
                error = errors(u, seen, starts, 1e-3 if own else 0.0)
                agrees = error <= max(tolerance, own)
                if agrees.all():
                    factor, b = float(k[i, j]) * size, float(kb[i, j] / k[i, j])
                    found.append(Match(group[j].keys[i], factor, b, agrees, error.max()))
    least = min((match.error for match in found), default=0)
    return sorted(found, key=lambda match: match.error > 10 * least + 1e-9)


def nearest(
    u: Array, blocks: Sequence[Block], starts: Array, tolerance: float = TOLERANCE
) -> Match | None:
    """The candidate that is u on most batches, if on more than half; the first of several, the sum.

    Its factor is the median over the batches' first steps.
    """
    (u, size), best, most = _unit(u), None, len(starts) / 2
    for keys, rows, one, own, _ in blocks:
        first = rows[:, starts] * one[starts]
        ratio = np.divide(u[starts], first, out=np.full_like(first, np.nan), where=first != 0)
        ratio[np.isnan(ratio).all(-1)] = 0
        k = np.nanmedian(ratio, axis=-1, keepdims=True)
        may = ~(np.abs(ratio - k) > 1e-2 * np.abs(k)) & (k != 0)  # first steps agree
        for i in np.flatnonzero(may.sum(-1) > most):
            agrees = agreement(u, k[i] * rows[i] * one, starts, max(tolerance, own[i]))
            if agrees.sum() > most:
                best, most = Match(keys[i], float(k[i, 0]) * size, 0.0, agrees), agrees.sum()
    return best
