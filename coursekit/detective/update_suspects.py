"""A name for what an update does: a known loss, a loop that steps too often, a wrong size.

``M`` parameters of all updates in a row, over the rate; both rates one after the other.
"""

from __future__ import annotations

import numpy as np

from coursekit.detective import casebook, lineup, suspects
from coursekit.detective.moves import Moves

Array = np.ndarray


def sum_moves(moves: Moves) -> Array:
    """What the sum does to θ, over the rate; (M,)."""
    return suspects.blocks(moves.steps, moves.image)[0].rows[0]


def describe_update(u: Array, moves: Moves) -> tuple[tuple[str, ...], bool, dict[str, float]]:
    """Names, ok and numbers of u = Δθ/lr of all updates in a row; ``moves``: what is known."""
    known, starts = suspects.blocks(moves.steps, moves.image), moves.starts
    for names, rows in moves.special.items():
        if any(lineup.agreement(u, row, starts).all() for row in rows):
            return names, False, {}
    if found := lineup.search(u, known, starts):
        names, ok = suspects.describe(found[0])
        names = tuple("wrong_scale" if name == "constant" else name for name in names)
        return names, ok and "wrong_scale" not in names, {"factor": found[0].factor}
    if found := lineup.search(u, [block._replace(one=moves.theta) for block in known], starts):
        names, _ = suspects.describe(found[0]._replace(baseline=0.0))
        decay = found[0].factor * found[0].baseline
        return (*names, "weight_decay"), False, {"weight_decay": decay}
    g = sum_moves(moves)
    live = lineup.peak(g, starts) > 1e-9
    k = np.add.reduceat(u * g, starts) / np.maximum(np.add.reduceat(g * g, starts), 1e-300)
    sizes = np.diff(np.append(starts, len(u)))
    same = lineup.agreement(u, np.repeat(k, sizes) * g, starts)
    if (same & (k > 0))[live].all():
        return _rescaled(k, live, moves.steps_of)
    moved = np.abs(g) > 1e-6
    if np.allclose(np.abs(u[moved]), np.abs(u[moved][0]), rtol=1e-2):
        return ("sign_of_gradient",), False, {"size": float(np.abs(u[moved][0]))}
    return ("unknown",), False, {}


def _rescaled(k: Array, live: Array, steps: Array) -> tuple[tuple[str, ...], bool, dict]:
    """Names for u = k · (what the sum does), k (updates,) > 0 where ``live``; ``steps``: N."""

    def same(values: Array) -> bool:
        return bool(np.ptp(values) < 1e-4 * values.max())

    rates = np.repeat(casebook.RATES, len(k) // len(casebook.RATES))[live]
    k, steps = k[live], steps[live]
    if same(k * rates):
        return ("rate_ignored",), False, {"own_rate": float((k * rates)[0])}
    if all(same(k[rates == rate]) for rate in casebook.RATES):
        each = {f"factor at the rate {rate:g}:": k[rates == rate][0] for rate in casebook.RATES}
        return ("rate_misused",), False, each
    numbers = {"smallest": k.min(), "largest": k.max()}
    if same(k * steps):
        numbers["times N, the steps of its batch, every size is"] = (k * steps)[0]
    return ("rescaled_per_batch",), False, numbers
