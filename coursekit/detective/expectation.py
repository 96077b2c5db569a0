"""What a loss does in expectation: exact, by listing every trajectory of a few processes.

``u`` (M,) are the weights w = −∂loss/∂log π of the real steps of all cases in a row; those of the
processes come first. For γ < 1 two expectations are right: ∇J_γ, and the sum's own, which drops
γ^t. A loss is measured by the sum's, unless ∇J_γ fits it, or an average of the two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from coursekit import gradients
from coursekit.detective.cases import Casebook, Exact

Array = np.ndarray
RIGHT = 1 - 1e-6  # a cosine above this is a direction without error, but for float32


class Expected(NamedTuple):
    """``numbers`` of the worst process, its label; in words: a table, what hides, what is right."""

    numbers: dict[str, float]
    worst: str
    table: list[str]
    hidden: str
    same: str


def compared(g: Array, truth: Array) -> dict[str, float]:
    """Cosine and norm ratio; 0 where g is rounding, which has no direction."""
    cosine, ratio = gradients.cosine(g, truth), gradients.norm_ratio(g, truth)
    some = float(not ratio <= 1e-9)  # NaN stays
    return {"cosine": cosine if some else 0.0, "norm_ratio": ratio * some}


def in_words(numbers: dict[str, float]) -> str:
    """A cosine and a norm ratio, the same on every machine (no −0.00)."""
    return f"cosine {round(numbers['cosine'], 2) + 0.0:.2f}, norm ratio {numbers['norm_ratio']:.3g}"


def expected(u: Array, book: Casebook) -> Expected:
    """The expectation of every process against what is right there."""
    every = book.exact
    stops = np.cumsum([len(exact.scores) for exact in every])
    parts = np.split(u[: stops[-1]], stops[:-1])
    g = [(e.prob[e.index] * part) @ e.scores for e, part in zip(every, parts, strict=True)]
    share = _share(g, every)
    right = [_right(exact, share) for exact in every]
    seen = [compared(x, y) for x, y in zip(g, right, strict=True)]
    worst = min(range(len(every)), key=lambda i: _rank(**seen[i]))
    at_one = [(e.even, s["cosine"]) for e, s in zip(every, seen, strict=True) if e.gamma == 1]
    more = {
        "cosine_at_gamma_1": float(np.min([cosine for _, cosine in at_one])),
        "cosine_at_constant_reward": float(np.min([cosine for even, cosine in at_one if even])),
    }
    table = []
    for exact, x in zip(every, g, strict=True):
        text = f"{exact.label}, expectation against ∇J: {in_words(compared(x, exact.truth))}"
        below = f"; with γ^t dropped: {in_words(compared(x, exact.dropped))}"
        table.append(text + below * (exact.gamma < 1))
    same = all(
        np.linalg.norm(x - y) <= 1e-4 * np.linalg.norm(y) for x, y in zip(g, right, strict=True)
    )
    kind = {1: "that of the sum", 0: "∇J"}.get(share, "∇J, with a part of γ^t dropped,")
    return Expected(
        seen[worst] | more,
        every[worst].label,
        table,
        _hidden(every, [s["cosine"] for s in seen]),
        f"{kind} on all {len(every)} processes" * same,
    )


def _rank(cosine: float, norm_ratio: float) -> tuple[float, float]:
    """For the worst: the smallest cosine, then the size farthest off, whatever the rounding."""
    if np.isnan(cosine):
        return 2.0, 0.0
    return round(cosine, 9), -round(abs(np.log(max(norm_ratio, 1e-300))), 9)


def _right(exact: Exact, share: float) -> Array:
    return exact.truth + share * (exact.dropped - exact.truth)


def _share(g: list[Array], every: tuple[Exact, ...]) -> float:
    """How much of γ^t is dropped: 0 as in ∇J, or in between, where that fits; else 1, the sum."""
    below = [(x, e) for x, e in zip(g, every, strict=True) if e.gamma < 1 and np.isfinite(x).all()]
    if not any(x.any() for x, _ in below):
        return 1
    basis = np.concatenate([np.stack([e.truth, e.dropped], axis=1) for _, e in below])
    fit = np.linalg.lstsq(basis, np.concatenate([x for x, _ in below]), rcond=None)[0]
    between = float(np.clip(fit[1] / fit.sum(), 0, 1)) if abs(fit.sum()) > 1e-9 else 1
    for way in (1, 0, between):
        if min(compared(x, _right(e, way))["cosine"] for x, e in below) > RIGHT:
            return way
    return 1


def _hidden(every: tuple[Exact, ...], cosines: list[float]) -> str:
    """Where a loss that is wrong somewhere looks right, in words; "" if nowhere."""
    known = [(e, c > RIGHT) for e, c in zip(every, cosines, strict=True) if np.isfinite(c)]
    at_one = [right for e, right in known if e.gamma == 1]
    even = [right for e, right in known if e.gamma == 1 and e.even]
    if all(right for _, right in known) or not even or not all(even):
        return ""
    if all(at_one):
        return "at γ = 1 the direction is right on each of these processes: hidden there"
    where = "; ".join(e.label.split(", ", 1)[1] for e, _ in known if e.even and e.gamma == 1)
    more = [f", at γ = {e.gamma:g} too" for e, right in known if e.even and e.gamma < 1 and right]
    return (
        "with γ = 1 and each reward 1, as on CartPole, the direction is right "
        f"({where}){''.join(more)}: hidden there"
    )
