"""How the weight of a token depends on the ratio ρ = π/π_old: of what, and where it is bounded.

For each sign of the advantage the weight is a row of *pieces* c·ρ^p in x = log ρ: c = 0 where a
clip has cut the gradient, p = 0 where the ratio is a bounded, detached weight. The borders between
pieces are where ε is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Ask = Callable[[Array, Array], Array]  # x (M,), sign (M,) -> the weight over that at ρ = 1, (M,)


class Piece(NamedTuple):
    """The weight factor · exp(power · x), from ``start`` on, in x = log ρ."""

    start: float
    factor: float
    power: float

    def at(self, x: Array) -> Array:
        """Its value at x."""
        return self.factor * np.exp(self.power * x)


class Response(NamedTuple):
    """``level``: whose ratio, and ``power`` of ρ where nothing is bounded; pieces of each sign.

    ``soft``: in place of pieces, a smooth gate of ``GATES`` with its numbers at A > 0 and at A < 0.
    """

    level: str
    power: float
    pieces: dict[int, tuple[Piece, ...]]
    soft: tuple[str, tuple[float, ...], tuple[float, ...]] | None = None

    def weight(self, x: Array, sign: Array) -> Array:
        """The weight at log-ratios x (…) under advantages of this sign (…), 1 at x = 0."""
        if self.soft:
            name, up, down = self.soft
            return np.where(sign > 0, GATES[name][0](x, *up), GATES[name][0](x, *down))
        found = np.zeros_like(x)
        for s, pieces in self.pieces.items():
            for piece, following in zip(pieces, (*pieces[1:], None), strict=True):
                inside = (x >= piece.start) & (x < (following.start if following else np.inf))
                found = np.where(inside & (np.where(sign > 0, 1, -1) == s), piece.at(x), found)
        return found

    @property
    def borders(self) -> list[float]:
        """Where one piece ends and another begins, in x."""
        return [piece.start for pieces in self.pieces.values() for piece in pieces[1:]]


def sigmoid_gate(x: Array, temperature: float) -> Array:
    """The gradient of σ(τ(ρ − 1))·4/τ with respect to log ρ. SAPO, Gao et al. 2025."""
    s = 1 / (1 + np.exp(-temperature * (np.exp(x) - 1)))
    return 4 * s * (1 - s) * np.exp(x)


def gamma_gate(x: Array, k: float, rate: float) -> Array:
    """ρ^k exp(λ(1 − ρ)), the detached weight of VESPO."""
    return np.exp(k * x + rate * (1 - np.exp(x)))


def _temperature(x: Array, m: Array) -> tuple[float, ...]:
    """From the first point, ρ = 2: m = 8 σ(1 − σ) with σ at τ."""
    root = np.sqrt(max(0.25 - m[0] / 8, 0))
    return (float(np.log((0.5 + root) / (0.5 - root))),) if 0 < root < 0.5 else ()


def _shape_and_rate(x: Array, m: Array) -> tuple[float, ...]:
    """log m is linear in both."""
    if (m <= 0).any():
        return ()
    basis = np.stack([x, 1 - np.exp(x)], axis=-1)
    return tuple(float(v) for v in np.linalg.lstsq(basis, np.log(m), rcond=None)[0])


GATES = {"sigmoid": (sigmoid_gate, _temperature), "gamma": (gamma_gate, _shape_and_rate)}


def find_gate(ask: Ask, tolerance: float) -> tuple | None:
    """The smooth gate with its numbers for both signs, where one fits ratios of .2 to 3."""
    x = np.log(np.array([2.0, 0.5, 1.4, 3.0, 0.2, 0.9]))
    seen = {s: ask(x, np.full(len(x), s)) for s in (1, -1)}
    for name, (gate, solve) in GATES.items():
        numbers = {s: solve(x, m) for s, m in seen.items()}
        if all(numbers.values()) and all(
            np.abs(gate(x, *numbers[s]) - m).max() <= tolerance for s, m in seen.items()
        ):
            return name, numbers[1], numbers[-1]
    return None


# Of what is it the ratio?


def level_x(level: str, x: Array, M: Array) -> Array:
    """The log-ratio that a token sees, (B, T): its own, the answer's mean or sum of those in M."""
    if level in ("token", "none"):
        return x
    total = (x * M).sum(-1, keepdims=True) + 0 * x
    return total / np.maximum(M.sum(-1, keepdims=True), 1) if level == "sequence" else total


LEVELS = ("token", "sequence", "answer")
CUTS = 5  # parts into which a gap is cut at once: four answers of each sign are asked together
POWERS = (1.0, 0.0, -1.0, 2.0, 0.5)


class Near(NamedTuple):
    """Near ratios: log-ratios ``x`` (B, T), the ``tokens`` whose mean or sum a ratio may be.

    ``places`` that have a weight, their ``weight`` over that at ρ = 1, the ``sign`` of A; (B, T).
    """

    x: Array
    tokens: Array
    places: Array
    weight: Array
    sign: Array


def find_level(seen: Sequence[Near], tolerance: float) -> tuple[str, float] | None:
    """Level and power, None if no level fits; a power of NaN depends on the sign of A."""
    for power in POWERS:
        for level in LEVELS if power else ("none",):
            if all(
                np.abs(near.weight - np.exp(power * level_x(level, near.x, near.tokens)))[
                    near.places
                ].max()
                <= tolerance
                for near in seen
            ):
                return level, power
    return next(((level, np.nan) for level in LEVELS if _slopes(level, seen, tolerance)), None)


def _slopes(level: str, seen: Sequence[Near], tolerance: float) -> bool:
    """Is weight − 1 proportional to the level's log-ratio, with one slope for each sign of A?"""
    for s in (1, -1):
        at = [near.places & (near.sign == s) for near in seen]
        x, m = (
            np.concatenate([v[a] for v, a in zip(values, at, strict=True)])
            for values in (
                [level_x(level, n.x, n.tokens) for n in seen],
                [n.weight - 1 for n in seen],
            )
        )
        slope = (x @ m) / (x @ x)
        if not abs(slope) > 1e-2 or np.abs(m - slope * x).max() > tolerance:
            return False
    return True


# Where is it bounded?


def find_pieces(ask: Ask, power: float, grid: Array, tolerance: float) -> dict | None:
    """The pieces of both signs on the grid (sorted, 0 in it), borders found by bisection."""
    signs = np.repeat([1, -1], len(grid))
    values = ask(np.tile(grid, 2), signs).reshape(2, -1)
    rough = {s: _walk(grid, v, power, tolerance) for s, v in zip((1, -1), values, strict=True)}
    if any(r is None for r in rough.values()):
        return None
    open_ = [(s, *border) for s, r in rough.items() for border in r]
    at = _bisect(ask, open_, tolerance) if open_ else []
    pieces = {}
    for s in (1, -1):
        borders = [(x, b) for x, b in zip(at, open_, strict=True) if b[0] == s]
        below = sorted((x, b[4]) for x, b in borders if b[3] < 0)
        above = sorted((x, b[4]) for x, b in borders if b[3] > 0)
        row, start = [], -np.inf
        for x, piece in below:  # going down, a piece ends where the next one above begins
            row.append(piece._replace(start=start))
            start = x
        row.append(Piece(start, 1.0, power))
        row += [piece._replace(start=x) for x, piece in above]
        pieces[s] = tuple(row)
    return pieces


def _walk(grid: Array, values: Array, power: float, tolerance: float) -> list | None:
    """From 0 outward: (inner x, outer x, way, piece beyond, piece before) for each border."""
    found, centre = [], int(np.flatnonzero(grid == 0)[0])
    for way in (-1, 1):
        order = range(centre, len(grid) if way > 0 else -1, way)
        piece, steps = Piece(0, 1.0, power), list(order)
        for k, i in enumerate(steps):
            if _alike(values[i], piece.at(grid[i]), tolerance):
                continue
            after = steps[k + 1] if k + 1 < len(steps) else None
            new = _piece(grid, values, i, after, tolerance)
            if new is None:
                return None
            if new.power == piece.power and _alike(new.factor, piece.factor, 4 * tolerance):
                continue  # rounding, no border
            found.append((grid[steps[k - 1]], grid[i], way, new, piece))
            piece = new
    return found


def _alike(a: float, b: float, tolerance: float) -> bool:
    return bool(abs(a - b) <= tolerance * max(1.0, abs(a), abs(b)))


def _piece(grid: Array, values: Array, i: int, j: int | None, tolerance: float) -> Piece | None:
    """The piece through two neighbouring points of the grid; a lone last point may be 0."""
    if abs(values[i]) <= tolerance:
        return Piece(0, 0.0, 0.0) if j is None or abs(values[j]) <= tolerance else None
    if j is None or values[i] * values[j] <= 0:
        return None
    power = round(float(np.log(values[j] / values[i]) / (grid[j] - grid[i])))
    piece = Piece(0, float(values[i] / np.exp(power * grid[i])), float(power))
    return piece if abs(power) <= 2 and _alike(values[j], piece.at(grid[j]), tolerance) else None


def _bisect(ask: Ask, borders: list, tolerance: float) -> list[float]:
    """The borders in x: where two pieces that meet are equal, else where the first one stops."""
    signs = np.array([s for s, *_ in borders])
    near, far = (np.array([b[k] for b in borders], dtype=float) for k in (1, 2))
    cuts = np.arange(1, CUTS) / CUTS
    while np.abs(far - near).max() > max(1e-8, tolerance / 8):
        inside = near[:, None] + (far - near)[:, None] * cuts
        seen = ask(inside.ravel(), np.repeat(signs, len(cuts))).reshape(inside.shape)
        for k, (*_, old) in enumerate(borders):
            same = [
                _alike(v, old.at(x), tolerance) for v, x in zip(seen[k], inside[k], strict=True)
            ]
            stop = same.index(False) if False in same else len(cuts)
            steps = np.array([near[k], *inside[k], far[k]])
            near[k], far[k] = steps[stop], steps[stop + 1]
    at = []
    for x, (_, _, _, _, new, old) in zip((near + far) / 2, borders, strict=True):
        if new.factor and old.factor and new.power != old.power:
            met = float(np.log(old.factor / new.factor) / (new.power - old.power))
            x = met if abs(met - x) < max(1e-3, 4 * tolerance) else x
        at.append(float(x))
    return at


# What such a row of pieces is called.


class Bound(NamedTuple):
    """The name of a clip, "" where there is none, and its numbers: low, high, dual."""

    name: str
    numbers: dict[str, float]


def name_of(pieces: dict[int, tuple[Piece, ...]], tolerance: float) -> Bound:
    """PPO's clip and what stands in its place; "other_clip" for a row that has no name here."""
    below, above = {}, {}
    for s, row in pieces.items():
        middle = next(i for i, p in enumerate(row) if p.start <= 0 < _end(row, i))
        below[s] = [(row[i + 1].start, row[i]) for i in range(middle)]
        above[s] = [(p.start, p) for p in row[middle + 1 :]]
    shape = {
        (s, side): "".join("0" if p.factor == 0 else "=" if p.power == 0 else "~" for _, p in part)
        for side, parts in (("low", below), ("high", above))
        for s, part in parts.items()
    }
    low = {s: float(1 - np.exp(part[-1][0])) for s, part in below.items() if part}
    high = {s: float(np.exp(part[0][0]) - 1) for s, part in above.items() if part}
    key = tuple(shape[k] for k in ((1, "low"), (1, "high"), (-1, "low"), (-1, "high")))
    lows, highs = _one(low, tolerance), _one(high, tolerance)
    name = NAMES.get(key, "other_clip")
    if key == ("", "0", "", "0") and not np.isnan(highs):  # bounded above, whatever the sign
        name = "zero_outside"
    numbers: dict[str, float] = {}
    if name == "dual_clip":
        numbers["dual_clip"], highs = neat(high[-1] + 1, tolerance), high.get(1)
    if name in ("detached", "zero_outside") and (np.isnan(lows or 0) or np.isnan(highs or 0)):
        name = "other_clip"
    if name != "other_clip":
        numbers |= {} if lows is None else {"clip_low": neat(lows, tolerance)}
        numbers |= {} if highs is None else {"clip_high": neat(highs, tolerance)}
    return Bound(name, numbers)


# (below at A > 0, above at A > 0, below at A < 0, above): 0 no gradient, = a constant weight
NAMES = {
    ("", "", "", ""): "",
    **dict.fromkeys([("", "0", "0", ""), ("", "0", "", ""), ("", "", "0", "")], "clip"),
    **dict.fromkeys([("", "0", "0", "0"), ("", "", "0", "0"), ("", "0", "", "0")], "dual_clip"),
    **dict.fromkeys([("0", "", "", "0"), ("0", "", "", "")], "min_max_exchanged"),
    **dict.fromkeys([("0", "0", "0", "0"), ("0", "", "0", "")], "zero_outside"),
    **dict.fromkeys([("=", "=", "=", "="), ("", "=", "", "="), ("=", "", "=", "")], "detached"),
}


def _end(row: Sequence[Piece], i: int) -> float:
    return row[i + 1].start if i + 1 < len(row) else np.inf


def _one(values: dict[int, float], tolerance: float) -> float | None:
    """The number of both signs; None if there is none, NaN where they differ."""
    found = list(values.values())
    if not found:
        return None
    return found[0] if max(found) - min(found) <= 1e-4 + tolerance else float("nan")


def neat(x: float, tolerance: float) -> float:
    """As short a number as the border is known to."""
    for digits in range(1, 9):
        if abs(round(x, digits) - x) <= max(2e-7, tolerance) * max(1, abs(x)) and round(x, digits):
            return round(x, digits)
    return x
