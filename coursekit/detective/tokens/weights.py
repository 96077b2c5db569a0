"""What a token is multiplied by: which places count, and by what they are divided.

``M`` masks (…, B, T); a table of weights has their shape. A *reduction* is a formula in counts:
n tokens of the answer, N of its pool, B answers, T places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Table = tuple[Array, Array, Array]  # mask (B, T), groups (B,), weights (B, T)


# Which places get a gradient, from the mask that was handed in.


def _from_first(M: Array) -> Array:
    return np.maximum.accumulate(M, axis=-1)


def _to_last(M: Array) -> Array:
    return _from_first(M[..., ::-1])[..., ::-1]


def _only(M: Array, *dropped: Array) -> Array:
    for drop in dropped:
        M = M & ~drop
    return M


def _last(M: Array) -> Array:
    return M & (np.cumsum(M[..., ::-1], axis=-1)[..., ::-1] == 1)


def _first(M: Array) -> Array:
    return M & (np.cumsum(M, axis=-1) == 1)


def _column(M: Array, t: int) -> Array:
    return np.zeros_like(M) | (np.arange(M.shape[-1]) == t % M.shape[-1])


def _shifted(M: Array, by: int, rolled: bool = False) -> Array:
    moved = np.roll(M, by, axis=-1)
    return moved if rolled else _only(moved, _column(M, 0 if by > 0 else -1))


PLACES: dict[str, Callable[[Array], Array]] = {
    "response": lambda M: M,
    "mask_forgotten": np.ones_like,
    "prompt_in": lambda M: M | ~_from_first(M) & _from_first(M)[..., -1:],
    "padding_in": lambda M: M | ~_to_last(M) & _to_last(M)[..., :1],
    "stop_dropped": lambda M: _only(M, _last(M)),
    "first_dropped": lambda M: _only(M, _first(M)),
    "shifted_left": lambda M: _shifted(M, -1),
    "shifted_right": lambda M: _shifted(M, 1),
    "shifted_left_rolled": lambda M: _shifted(M, -1, rolled=True),
    "shifted_right_rolled": lambda M: _shifted(M, 1, rolled=True),
    "first_column_dropped": lambda M: _only(M, _column(M, 0)),
    "last_column_dropped": lambda M: _only(M, _column(M, -1)),
    "left_aligned": lambda M: np.arange(M.shape[-1]) < M.sum(-1, keepdims=True),
}


# By what they are divided.


class Counts(NamedTuple):
    """Tokens ``n`` of each answer and ``N`` of its pool (…, B), answers ``B`` and places T (…, 1).

    ``column`` (…, T): answers that have a token at this place; ``pools``: how many pools there are.
    """

    n: Array
    B: Array
    T: Array
    column: Array
    N: Array
    pools: Array


POOLS: dict[str, Callable[[int, Array], Array]] = {  # (B, groups) -> the pool of each answer
    "batch": lambda B, groups: np.zeros(B, dtype=int),
    "group": lambda B, groups: groups,
    "2 in a row": lambda B, groups: np.arange(B) // 2,
    "4 in a row": lambda B, groups: np.arange(B) // 4,
    "halves": lambda B, groups: np.arange(B) * 2 // B,
    "quarters": lambda B, groups: np.arange(B) * 4 // B,
}


def counts(M: Array, pool: Array, full: bool = True, width: Array | None = None) -> Counts:
    """Of a mask (…, B, T). ``full``: B counts every answer; if not, those with a token.

    ``width`` (…, 1): what stands for T, if not the width of the mask.
    """
    n = M.sum(-1)
    some = np.ones_like(n) if full else n > 0
    same = pool[:, None] == pool
    B, pools = some.sum(-1)[..., None], np.array(len(set(pool.tolist())))
    T = np.array([M.shape[-1]]) if width is None else width
    return Counts(np.maximum(n, 1), B, T, M.sum(-2), n @ same, pools)


def _rows(weight: Callable[[Counts], Array]) -> Callable[[Counts], Array]:
    return lambda c: (weight(c) + 0.0 * c.n)[..., None] + 0.0 * c.column[..., None, :]


def _inverse(x: Array) -> Array:
    return 1 / np.maximum(x, 1)


# The same for each token of an answer, but for the last; ``sum`` and others up to a factor.
FORMULAS: dict[str, Callable[[Counts], Array]] = {
    "sum": _rows(lambda c: 1 / c.B),
    "token_sum": _rows(lambda c: 1.0 + 0 * c.n),
    "padded_width": _rows(lambda c: 1 / (c.B * c.T)),
    "step_mean": _rows(lambda c: _inverse(c.N)),
    "episode_mean": _rows(lambda c: 1 / (c.B * c.n)),
    "longest": _rows(lambda c: 1 / (c.B * c.n.max(-1, keepdims=True))),
    "width_alone": _rows(lambda c: 1 / c.T + 0 * c.n),
    "sum_of_means": _rows(lambda c: 1 / c.n),
    "length_weighted": _rows(lambda c: c.n / c.B),
    "length_over_width": _rows(lambda c: c.n / (c.B * c.T)),
    "root_length": _rows(lambda c: 1 / (c.B * np.sqrt(c.n))),
    "length_squared": _rows(lambda c: 1 / (c.B * c.n**2)),
    "longer_less": _rows(lambda c: 1 / (c.n * (1 / c.n).sum(-1, keepdims=True))),
    "pool_mean": _rows(lambda c: _inverse(c.N) / c.pools),
    "leave_out_twice": _rows(lambda c: _inverse(c.N - c.n) / c.pools),
    "position_mean": lambda c: (
        _inverse(c.column)[..., None, :] / c.T[..., None] + 0.0 * c.n[..., None]
    ),
}
POOLED = ("pool_mean", "leave_out_twice")


class Reduction(NamedTuple):
    """A name of ``FORMULAS`` or "powers"; the places; whose tokens are counted; factor in front.

    ``counted``: "places" or "mask"; ``full``: empty answers count in B; ``powers`` of n, N, B, T.
    """

    name: str
    factor: float
    places: str = "response"
    counted: str = "places"
    full: bool = True
    pool: str = "batch"
    powers: tuple[float, ...] = ()

    def table(self, M: Array, groups: Array, width: Array | None = None) -> Array:
        """The weight of every place, (…, B, T); ``width`` as in ``counts``."""
        at = PLACES[self.places](M)
        counted = at if self.counted == "places" else M
        c = counts(counted, self.partition(groups), self.full, width)
        if self.name == "powers":
            logs = np.stack(_logs(c))
            weight = np.exp(np.tensordot(self.powers, logs, 1))[..., None]
        else:
            weight = FORMULAS[self.name](c)
        return self.factor * weight * at

    def partition(self, groups: Array) -> Array:
        """The number of the pool of each answer."""
        return POOLS[self.pool](len(groups), groups)


def _logs(c: Counts) -> list[Array]:
    return [np.log(x + 0.0 * c.n) for x in (c.n, np.maximum(c.N, 1), c.B, c.T)]


def found_places(seen: Sequence[Table], rounding: float) -> list[str]:
    """The names of all places that are just those with a weight, on every batch."""
    alive = [np.abs(w) > max(1e-10, rounding / 50) * np.abs(w).max() for _, _, w in seen]
    return [
        name
        for name, place in PLACES.items()
        if all((place(M) == on).all() for (M, _, _), on in zip(seen, alive, strict=True))
    ]


def fits(reduction: Reduction, seen: Sequence[Table], tolerance: float) -> Reduction | None:
    """The reduction with its factor, where it is every table; None where one differs."""
    one = reduction._replace(factor=1.0)
    if len(seen) > 1 and not fits(one, seen[:1], 2 * tolerance):  # most end here
        return None
    model = [one.table(M, groups) for M, groups, _ in seen]
    ratios = np.concatenate([w[m != 0] / m[m != 0] for m, (*_, w) in zip(model, seen, strict=True)])
    if not len(ratios) or not (factor := float(np.median(ratios))):
        return None
    for m, (*_, w) in zip(model, seen, strict=True):
        if np.abs(w - factor * m).max() > tolerance * np.abs(w).max():
            return None
    return one._replace(factor=factor)


def candidates(
    places: Sequence[str], pools: Sequence[str], empty: bool = False
) -> Iterator[Reduction]:
    """Every reduction of a name, the plain ones first; ``empty``: answers without a token occur."""
    if "mask_forgotten" in places:  # there three names are one
        yield Reduction("padded_width", 1.0, "mask_forgotten")
    for place, full in product(places, (True, False) if empty else (True,)):
        for counted in ("places", "mask") if place != "response" else ("places",):
            for name in FORMULAS:
                for pool in pools if name in POOLED else pools[:1]:
                    if (name, pool) != ("pool_mean", "batch"):
                        yield Reduction(name, 1.0, place, counted, full, pool)


def identify(
    seen: Sequence[Table], tolerance: float, pools: Sequence[str], powers: bool = True
) -> Reduction | None:
    """The reduction whose table is seen on every batch, or None; ``powers``: also one unnamed."""
    if any(not np.isfinite(w).all() or not w.any() for _, _, w in seen):
        return None
    places = found_places(seen, tolerance)
    empty = any(not PLACES[place](M).any(-1).all() for place in places for M, _, _ in seen)
    for reduction in candidates(places, pools, empty):
        if found := fits(reduction, seen, tolerance):
            return found
    for place in places if powers else []:
        if found := _by_powers(seen, place, tolerance):
            return found
    return None


def _by_powers(seen: Sequence[Table], place: str, tolerance: float) -> Reduction | None:
    """c · n^a N^b B^d T^e with exponents that are multiples of 1/4, by least squares of logs."""
    rows, logs = [], []
    for M, groups, w in seen:
        at = PLACES[place](M)
        some = at.any(-1)
        first = w[np.arange(len(w)), at.argmax(-1)][some]
        if (first <= 0).any() and (first >= 0).any():
            return None
        c = counts(at, POOLS["batch"](len(M), groups))
        rows.append(np.stack([*_logs(c), np.ones(len(M))], axis=-1)[some])
        logs.append(np.log(np.abs(first)))
    rows, logs = np.concatenate(rows), np.concatenate(logs)
    exponents = np.linalg.lstsq(rows, logs, rcond=None)[0]
    powers = tuple(float(x) for x in np.round(4 * exponents[:-1]) / 4)
    return fits(Reduction("powers", 1.0, place, powers=powers), seen, tolerance)


def nearest(seen: Sequence[Table], pools: Sequence[str], tolerance: float) -> Reduction:
    """The reduction that comes nearest in its tables, on its places if those have a name."""

    def distance(reduction: Reduction) -> tuple[float, Reduction]:
        model = [reduction.table(M, groups) for M, groups, _ in seen]
        top = sum((m * w).sum() for m, (_, _, w) in zip(model, seen, strict=True))
        factor = float(top / sum((m * m).sum() for m in model)) or 1.0
        off = [
            np.linalg.norm(w - factor * m) / (np.linalg.norm(w) or 1)
            for m, (_, _, w) in zip(model, seen, strict=True)
        ]
        return sum(off), reduction._replace(factor=factor)

    places = found_places(seen, tolerance) or ["response"]
    return min((distance(r) for r in candidates(places[:1], pools)), key=lambda pair: pair[0])[1]


# What becomes of the advantages inside the loss: (A (B, T), mask) -> (B, T).


def _standardised(over: str, ddof: int | None, eps: float) -> Callable[[Array, Array], Array]:
    def transform(A: Array, mask: Array) -> Array:
        values = {"answers": A[:, :1], "tokens": A[mask], "places": A}[over]
        centred = A - values.mean()
        if ddof is None:
            return centred
        with np.errstate(all="ignore"):
            return centred / (values.std(ddof=ddof) + eps)

    return transform


def _over(size: Callable[[Array], float], over: str, eps: float) -> Callable[[Array, Array], Array]:
    return lambda A, mask: A / (size(A[:, 0] if over == "answers" else A[mask]) + eps)


SIZES: dict[str, Callable[[Array], float]] = {
    "deviation, ddof 0": np.std,
    "deviation, ddof 1": lambda A: A.std(ddof=1),
    "norm": np.linalg.norm,
    "largest size": lambda A: np.abs(A).max(),
    "mean size": lambda A: np.abs(A).mean(),
}
TRANSFORMS: dict[str, Callable[[Array, Array], Array]] = {
    "": lambda A, mask: A,
    **{
        f"standardised over {over}, ddof {ddof}, ε {f'{eps:g}' if eps else '1e-8 or less'}": (
            _standardised(over, ddof, eps)
        )
        for over in ("tokens", "answers", "places")
        for ddof in (0, 1)
        for eps in (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
    },
    **{
        f"divided by their {name} over {over}, ε {f'{eps:g}' if eps else '1e-8 or less'}": (
            _over(size, over, eps)
        )
        for name, size in SIZES.items()
        for over in ("answers", "tokens")
        for eps in (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
    },
    "averaged over the answers": lambda A, mask: A[:, :1].mean() + 0 * A,
    "reduced to their signs": lambda A, mask: np.sign(A),
    **{
        f"centred over {over}": _standardised(over, None, 0.0)
        for over in ("tokens", "answers", "places")
    },
}
