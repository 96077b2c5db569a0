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


def compared(g: Array, truth: Array, loud: float = 1.0) -> dict[str, float]:
    """Cosine and norm ratio; 0 where g is rounding beside ``loud``, which has no direction."""
    size = float(np.abs(g).max(initial=0))
    unit = g / size if 0 < size < np.inf else g
    with np.errstate(all="ignore"):  # a loss may be of any size
        cosine, ratio = gradients.cosine(unit, truth), gradients.norm_ratio(unit, truth) * size
    some = float(not ratio <= 1e-9 * loud)  # NaN stays
    return {"cosine": cosine if some else 0.0, "norm_ratio": ratio * some}


def in_words(numbers: dict[str, float]) -> str:
    """A cosine and a norm ratio, the same on every machine (no −0.00)."""
    return f"cosine {round(numbers['cosine'], 2) + 0.0:.2f}, norm ratio {numbers['norm_ratio']:.3g}"


def way(cosine: float) -> str:
    """What the sign of a cosine says of a step."""
    if not abs(cosine) > 0.01:
        return "it moves at a right angle to what is right"
    if cosine > 0.9995:  # 1.000, to the digits that are shown
        return "it moves the right way"
    return "it moves the right way in part" if cosine > 0 else "it moves the wrong way"


def _split(u: Array, book: Casebook) -> list[Array]:
    """The weights of each exact process."""
    stops = np.cumsum([len(exact.scores) for exact in book.exact])
    return np.split(u[: stops[-1]], stops[:-1])


def of_processes(u: Array, book: Casebook) -> list[Array]:
    """E[Σ w z] of every exact process, (D,) each."""
    every = zip(book.exact, _split(u, book), strict=True)
    return [(e.prob[e.index] * part) @ e.scores for e, part in every]


def loudness(u: Array, book: Casebook) -> list[float]:
    """E[Σ |w| ‖z‖] of every exact process: beside it an expectation is much, or nothing."""
    every = zip(book.exact, _split(u, book), strict=True)
    return [
        float(e.prob[e.index] * np.abs(part) @ np.linalg.norm(e.scores, axis=-1))
        for e, part in every
    ]


def expected(u: Array, book: Casebook, tolerance: float = 1e-8) -> Expected:
    """The expectation of every process against what is right there.

    A process on which every weight is 0, as of a batch's own mean where B = 1, says nothing.
    """
    every, g = book.exact, of_processes(u, book)
    share = _share(g, every)
    right = [_right(exact, share) for exact in every]
    some = [part.any() for part in _split(u, book)]
    own = np.abs(np.concatenate(_split(u, book)))
    loud = float(own[np.isfinite(own)].max(initial=0)) or 1.0
    seen = [compared(x, y, loud) for x, y in zip(g, right, strict=True)]
    live = [i for i in range(len(every)) if some[i]] or [0]
    worst = min(live, key=lambda i: _rank(**seen[i]))
    at_one = [(every[i].even, seen[i]["cosine"]) for i in live if every[i].gamma == 1]
    even = [cosine for of_ones, cosine in at_one if of_ones]
    more = {
        "cosine_at_gamma_1": float(np.min([cosine for _, cosine in at_one], initial=np.inf)),
        "cosine_at_constant_reward": float(np.min(even, initial=np.inf)),
    }
    more = {name: value for name, value in more.items() if value < np.inf}
    table = []
    for i, (exact, x) in enumerate(zip(every, g, strict=True)):
        text = f"{exact.label}, expectation against ∇J: {in_words(compared(x, exact.truth, loud))}"
        below = f"; with γ^t dropped: {in_words(compared(x, exact.dropped, loud))}"
        none = f"{exact.label}: " + ("every weight is 0" if not some[i] else "no number")
        table.append(text + below * (exact.gamma < 1) if np.isfinite(x).all() and some[i] else none)
    known = [i for i in live if np.isfinite(g[i]).all()]
    x, y = (np.concatenate([part[i] for i in known] or [[0.0]]) for part in (g, right))
    factor = float(x @ y / (y @ y)) if y.any() else 0.0
    same = factor > 0 and all(
        np.linalg.norm(g[i] - factor * right[i]) <= tolerance * factor * np.linalg.norm(right[i])
        for i in known
    )
    kind = {1: "that of the sum", 0: "∇J"}.get(share, "∇J, with a part of γ^t dropped,")
    if abs(factor - 1) > 1e-4:
        kind = f"{factor:.4g} times {kind}"
    count = (
        f"all {len(known)}" if len(known) == len(every) else f"the {len(known)} of them it knows"
    )
    return Expected(
        seen[worst] | more,
        every[worst].label,
        table,
        _hidden(every, [s["cosine"] if i in live else np.nan for i, s in enumerate(seen)]),
        f"{kind} on {count} processes" * same,
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
