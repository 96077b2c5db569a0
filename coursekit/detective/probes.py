"""Batches that are changed in one respect, and what the weights of a loss answer to it.

``ask`` takes a case and returns the weights w = −∂loss/∂log π, (B, T), or None. ``M`` numbers in a
row, ``B`` episodes, ``T`` time.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from coursekit.detective import known, matching
from coursekit.detective.cases import Case, Casebook

Array = np.ndarray
Ask = Callable[[Case], Array | None]


# --- Does what is taken off the return depend on the episode itself?


class Baseline(NamedTuple):
    """The loss, its factor, and of what its baseline may depend: "time", "others" or "state"."""

    key: known.Key
    factor: float
    kind: str


class Twin(NamedTuple):
    """A case, the same with episode ``row`` exchanged for another one, and what follows from it.

    ``change``: that of each plain return on the steps that both episodes have, (K, n). ``seen``,
    ``then``: the weights of both.
    """

    case: Case
    other: Case
    row: int
    change: Array
    seen: Array
    then: Array


DEPENDS = {
    "time": "γ and the time t alone",
    "others": "the other episodes",
    "state": "the place in the batch or in the process, and on nothing that the episode does",
}
FEW = 12  # pairs of batches, before all of them are asked for
PLAIN = ("reward_to_go", "whole_return")


def _lengths_to_try(n: int, T: int) -> list[int]:
    """The same length, the longest that there is place for, and two shorter ones."""
    return sorted({n, T, max(n // 4, 1), 1}, reverse=True)


@cache
def _exchanged(book: Casebook) -> tuple[list[tuple], list[tuple[Case, list[tuple]]]]:
    """The K plain returns, and each case with its (other, row, change), in the order of ``Twin``.

    Each time one episode is another one: its rewards, its log π and its length.
    """
    rng, listed = np.random.default_rng(8), sum(len(exact.prob) for exact in book.exact)
    found = []
    for number, case in enumerate(book.cases):
        if (number < listed and number % 7) or not case.rewards.any():
            continue
        (B, T), size = case.mask.shape, np.abs(case.rewards).max()
        before = known.weight_rows(case.rewards, case.mask, case.gamma, PLAIN)
        found.append((case, []))
        for row in sorted({0, B - 1, int(case.mask.sum(-1).argmax())}):
            n = int(case.mask[row].sum())
            for k, length in enumerate(_lengths_to_try(n, T) if number >= listed else (n, 1)):
                real = np.arange(T) < length
                rewards, logp, mask = case.rewards.copy(), case.logp.copy(), case.mask.copy()
                rewards[row] = rng.normal(size=T) * size * (1, 0.1, 10)[k % 3] * real
                logp[row], mask[row] = rng.uniform(-3, -0.05, T), real
                after = known.weight_rows(rewards, mask, case.gamma, PLAIN)
                here = case.mask[row] & real
                change = np.array([(after[key] - before[key])[row, here] for key in before])
                other = case._replace(rewards=rewards, logp=logp, mask=mask)
                found[-1][1].append((other, row, change))
    return [*before], found


def twins(ask: Ask, book: Casebook) -> Iterator[Twin]:
    """The exchanges for which the loss has weights, before and after."""
    for case, others in _exchanged(book)[1]:
        seen = ask(case)
        for other, row, change in others:
            then = ask(other)
            if seen is not None and then is not None:
                yield Twin(case, other, row, change, seen, then)


def free_baseline(ask: Ask, book: Casebook, u: Array, tolerance: float) -> Baseline | str | None:
    """A return less what does not change with the episode itself, up to a factor; or None.

    In words the case at which that ends, if short ones pass.

    Nothing is fitted but the factor: where one episode is exchanged, the difference of its weights
    must be that of its returns. So whatever is taken off cancels, and need not be known.
    """
    every: list[Twin] = []
    for twin in twins(ask, book):
        every.append(twin)
        if len(every) == FEW and not _fits(every, book, tolerance):
            return None
    if not every:
        return None
    if not (found := _fits(every, book, tolerance)):
        counts = range(FEW, len(every) + 1)
        first = bisect.bisect_left(
            counts, True, key=lambda n: not _fits(every[:n], book, tolerance)
        )
        return every[counts[first] - 1].case.label
    norm, match = found
    key = known.Key(norm, True, *match.key[:2])
    kind = _depends_on(every, book, u / match.factor, key, tolerance)
    return Baseline(key, match.factor, kind)


def _fits(
    every: list[Twin], book: Casebook, tolerance: float
) -> tuple[tuple[str, ...], matching.Match] | None:
    """The normalisation and the return whose differences are those of the weights, or None."""
    keys, rows = _exchanged(book)[0], [twin.change for twin in every]
    table = np.concatenate(rows, axis=1)
    starts, one = np.cumsum([0, *[x.shape[1] for x in rows[:-1]]]), np.ones(table.shape[1])
    block = matching.Block(keys, table, one, np.zeros(len(keys)), 0 * one)
    for norm, (factor, *_) in known.NORMALISATIONS.items():
        v = np.concatenate([_difference(twin, factor) for twin in every])
        if found := matching.search(v, [block], starts, tolerance):
            return norm, found[0]
    return None


def _over(w: Array, case: Case, factor: known.Factor) -> Array:
    """The weights over the factor in front of them; 0 in the padding."""
    return np.divide(w, factor(case.mask), out=np.zeros(w.shape), where=case.mask)


def _difference(twin: Twin, factor: known.Factor) -> Array:
    here = (twin.case.mask & twin.other.mask)[twin.row]
    then, seen = _over(twin.then, twin.other, factor), _over(twin.seen, twin.case, factor)
    return (then - seen)[twin.row, here]


def _depends_on(
    every: list[Twin], book: Casebook, u: Array, key: known.Key, tolerance: float
) -> str:
    """Of time alone, of other episodes, or of something else that no episode changes."""
    factor = known.NORMALISATIONS[key.normalisation][0]
    for case, other, row, _, seen, then in every:
        a, b = _over(seen, case, factor), _over(then, other, factor)
        rest = np.delete(a - b, row, axis=0)
        if np.abs(rest).max(initial=0) > 10 * tolerance * max(np.abs(a).max(), np.abs(b).max()):
            return "others"
    taken = known.steps_of(book, key.weight, key.discount) - u / book.steps(
        lambda case: factor(case.mask)
    )
    when = book.steps(lambda case: np.arange(case.mask.shape[1]) + 1e6 * case.gamma + 0 * case.mask)
    _, group = np.unique(when, return_inverse=True)
    low, high = np.full(group.max() + 1, np.inf), np.full(group.max() + 1, -np.inf)
    np.minimum.at(low, group, taken)
    np.maximum.at(high, group, taken)
    near = high - low <= 100 * tolerance * (1 + np.abs(taken).max())
    return "time" if near.all() else "state"


def depends_on_logp(ask: Ask, book: Casebook, tolerance: float) -> bool:
    """Without any reward, do the weights change with log π? Of what rounds coarsely, by so much?"""
    near = min(tolerance / 10, 3e-7) if tolerance < 1e-4 else tolerance
    for label in ("rewards of 0", "rewards below 0", "wide padding"):
        case = book.cases[book.numbered(label)]
        case = case._replace(rewards=0 * case.rewards)
        a, b = ask(case), ask(case._replace(logp=1.3 * case.logp))
        if a is None or b is None or np.abs(a - b)[case.mask].max() > near * np.abs(a).max():
            return True
    return False


def follows_width(ask: Ask, book: Casebook) -> bool:
    """Do the weights of real steps change where more columns of padding are added?"""
    case = book.cases[book.numbered("no padding")]
    wide = case._replace(
        **{k: np.pad(getattr(case, k), ((0, 0), (0, 2))) for k in ("logp", "rewards", "mask")}
    )
    a, b = ask(case), ask(wide)
    if a is None or b is None:
        return False
    return bool(np.abs(a[case.mask] - b[wide.mask]).max() > 1e-6 * np.abs(a).max())


# --- Masks of another form than padding at the end.


def _in_front(case: Case) -> Case:
    """The same episodes, with their padding in front."""
    by = case.mask.shape[1] - case.mask.sum(-1)

    def moved(x: Array) -> Array:
        return np.stack([np.roll(row, k) for row, k in zip(x, by, strict=True)])

    return case._replace(logp=moved(case.logp), rewards=moved(case.rewards), mask=moved(case.mask))


def _with_holes(case: Case) -> Case:
    """A place that is no step behind the first one of each episode; a column of padding less."""
    logp, rewards, mask = (
        np.insert(x, 1, value, axis=1)[:, :-1]
        for x, value in ((case.logp, -0.7), (case.rewards, 0.0), (case.mask, False))
    )
    return case._replace(logp=logp, rewards=rewards, mask=mask)


def _with_empty(case: Case) -> Case:
    """One more row, without a step."""
    logp, rewards, mask = (
        np.append(x, np.full_like(x[:1], value), axis=0)
        for x, value in ((case.logp, -0.7), (case.rewards, 0.0), (case.mask, False))
    )
    return case._replace(logp=logp, rewards=rewards, mask=mask)


MASKS = {
    "padding in front": _in_front,
    "holes in the mask (γ = 1)": _with_holes,
    "an empty row": _with_empty,
}


def masks(ask: Ask, book: Casebook, tolerance: float) -> tuple[list[str], list[str]]:
    """In words, for each form of a mask, what becomes of the weights: where nothing, and where not.

    The real steps should have the weights that they have with padding at the end. An empty row may
    count in B, or not.
    """
    case, same, other = book.cases[book.numbered("wide padding")]._replace(gamma=1.0), [], []
    a = ask(case)
    for name, change in MASKS.items():
        changed = change(case)
        b = ask(changed)
        if a is None or b is None:
            other.append(f"{name}: it stops there, or gives no number" if a is not None else "")
            continue
        size = max(np.abs(a[case.mask]).max(), np.abs(b[changed.mask]).max())
        near = max(1e-6, 2 * tolerance) * size
        B, seen = len(case.mask), b[changed.mask]
        alike = [
            factor
            for factor in (1.0, B / (B + 1))[: 1 + (len(changed.mask) > B)]
            if np.abs(seen - factor * a[case.mask]).max() <= near
        ]
        if np.abs(b[~changed.mask]).max() > near:
            other.append(f"{name}: places that are no steps have a gradient")
        elif alike:
            counts = {1.0: "not counted", B / (B + 1): "counted in B"}[alike[0]]
            same.append(f"{name} ({counts})" if len(changed.mask) > B else name)
        else:
            other.append(f"{name}: the weights of the steps are others than with padding behind")
    return same, [text for text in other if text]


# --- One γ for all batches?


def fixed_gamma(ask: Ask) -> list[float]:
    """What may be the γ of the code, if another is asked for; from rewards of 1 at single steps."""
    mask, rewards = np.ones((3, 4), bool), np.zeros((3, 4))
    rewards[0, 0] = rewards[1, 1] = 1
    logp, found = np.full(mask.shape, -1.0) - 0.1 * np.arange(4), []
    for gamma in (0.3, 0.8):
        w = ask(Case("", logp, rewards, mask, gamma))
        if w is None:
            return []
        with np.errstate(all="ignore"):
            between = (w[1, 0] - w[2, 0]) / (w[0, 0] - w[2, 0])
            within = (w[1, 0] - w[1, 2]) / (w[1, 1] - w[1, 2])
        found.append((between, within))
    pairs = zip(*found, strict=True)
    return [
        float(a) for a, b in pairs if np.isfinite([a, b]).all() and abs(a - b) < 1e-3 and 0 < a < 1
    ]


# --- A divisor that is remembered from earlier batches?


def tracked(ask: Ask, book: Casebook, seen: list[Array | None]) -> tuple[str, ...]:
    """("typical",) or ("tilt",), with "whole_return", if n̄ is a running mean of earlier lengths.

    On every batch the weights are those of the sum over n̄, or of the episode mean times n̄, and from
    one call to the next n̄ moves towards the length of the batch *before*: not of its own. Rewards
    a hundred times as large do not move it, nor do other log π.
    """
    labels = ("no padding", "forty steps", "rewards below 0", "thirty steps")
    base = [book.cases[book.numbered(label)] for label in labels]
    some = base + [
        case._replace(logp=more * case.logp, rewards=much * case.rewards)
        for more, much in ((1, 100), (2, 1))
        for case in base
    ]
    then = [ask(case) for case in some]
    for name, norm in (("typical", ("sum",)), ("tilt", ("episode_mean",))):
        for weight in PLAIN:
            every = zip([*book.cases, *some], [*seen, *then], strict=True)
            times = [_multiple(w, case, norm, weight) for case, w in every]
            if None in times or min(times[-len(some) :]) <= 0:
                continue
            known_ = np.array(times[-len(some) :])
            mean = 1 / known_ if name == "typical" else known_
            lengths = np.array([case.mask.sum(-1).mean() for case in some])
            steps = np.diff(mean) / (lengths - mean)[:-1]
            if not ((steps > 0) & (steps <= 1)).all():
                continue
            rounds = np.log(np.append(steps, np.nan)).reshape(3, -1)  # the same lengths, thrice
            if np.nanmax(rounds) - np.nanmin(rounds) < 0.7 and (
                (np.nanmax(rounds, 0) - np.nanmin(rounds, 0) < 0.15).all()
            ):
                return (name, *[weight][: weight != "reward_to_go"])
    return ()


def _multiple(w: Array | None, case: Case, norm: tuple[str, ...], weight: str) -> float | None:
    """The number that takes the known weights of a batch to w; None where there is none."""
    rows = known.weight_rows(case.rewards, case.mask, case.gamma, (weight,))[weight, "", 0]
    right = (rows * known.NORMALISATIONS[norm][0](case.mask))[case.mask]
    if w is None:
        return None
    u, size = w[case.mask], right @ right
    k = float(u @ right / size) if size else 0.0
    return k if np.abs(u - k * right).max() <= 1e-6 * np.abs(u).max() else None


# --- What can be said of a loss that has no name.


def _plain() -> Case:
    """Five episodes of unequal length, no reward like another; at each step at least two speak."""
    rng = np.random.default_rng(7)
    mask = np.arange(6) < np.array([[5], [6], [3], [6], [5]])
    rewards = 4 * (rng.normal(size=mask.shape) + 0.3) * mask
    return Case("", rng.uniform(-3, -0.2, mask.shape), rewards, mask, 0.8)


def described(ask: Ask) -> list[str]:
    """In words, every respect in which the weights do not behave as those of the sum do."""
    base, said = _plain(), []
    r, mask = base.rewards, base.mask
    first, other = np.zeros_like(r), np.where(mask, np.cos(np.arange(r.size)).reshape(r.shape), 0.0)
    first[0, 0], late = 2.5, r * 0.0
    late[1, 4] = 2.5

    def of(**changes) -> Array:
        seen = ask(base._replace(**changes))
        return np.where(mask, np.nan if seen is None else seen, 0)

    w, none, double = of(), of(rewards=r * 0), of(rewards=2 * r)
    if not np.isfinite([w, none, double]).all():
        return []
    size = max(np.abs(w).max(), np.abs(double).max())

    def differ(a: Array, b: Array) -> Array:
        return np.abs(a - b) > 1e-4 * size

    sums = of(rewards=r + other) - none, w + of(rewards=other) - 2 * none
    if differ(double - none, 2 * (w - none)).any():
        ratio = double[mask] / np.where(np.abs(w[mask]) > 1e-3 * size, w[mask], np.nan)
        low, high = (f"{x + 0.0:.3g}" for x in (np.nanmin(ratio), np.nanmax(ratio)))
        by = f"by {low}" if low == high else f"by {low} to {high}"
        said.append(f"not linear in the rewards: doubling them multiplies the weights {by}")
    elif differ(*sums).any():
        said.append("not linear in the rewards: the weights of two rewards do not add up")
    if differ(none, 0 * w).any():
        said.append("without any reward the weights are not 0")
    if not differ(of(gamma=0.4), w).any():
        said.append("the weights do not depend on γ")
    largest = [r * np.where(np.arange(len(r)) == 0, k, 1)[:, None] for k in (-20, 20)]
    if any(differ(of(rewards=changed), w)[1:].any() for changed in largest):
        said.append("an episode's weights depend on the rewards of other episodes")
    if differ(of(rewards=r + first), w)[0, 1:].any():
        said.append("a reward before t enters the weight of step t")
    if not differ(of(rewards=r + late), w)[1, :4].any():
        said.append("a reward after t does not enter the weight of step t")
    if not differ(of(rewards=r + late), w)[1, 4]:
        said.append("the reward of step t does not enter its weight")
    if differ(of(logp=base.logp - 0.5), w).any():
        said.append("the weights depend on log π itself")
    return said
