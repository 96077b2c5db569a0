"""A name for the weights that a loss puts on the real steps of all cases, or the admission of none.

``M`` real steps of all cases in a row; ``keep`` (M,) is False where the loss gave no number.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from coursekit import losses
from coursekit.detective import casebook, lineup, suspects

Array = np.ndarray


class Identity(NamedTuple):
    """Names, ok, evidence and numbers; ``special``: no known loss explains all exact processes."""

    names: tuple[str, ...]
    ok: bool
    evidence: list[str]
    numbers: dict[str, float]
    special: bool = False


@cache
def owners() -> Array:
    """The number of the case that each real step belongs to, (M,)."""
    cases, _ = casebook.cases()
    return np.repeat(np.arange(len(cases)), [int(case.mask.sum()) for case in cases])


def identify(u: Array, keep: Array) -> Identity:
    """The known loss whose weights are u (M,), up to one constant factor or baseline."""
    kept, starts = np.unique(owners()[keep], return_index=True)
    blocks = suspects.step_blocks() if keep.all() else suspects.blocks(keep)
    found = lineup.search(u[keep], blocks, starts)
    total = f"on {len(kept)} of {len(kept)} batches every step carries just the weight of that name"
    if not found and _time_baseline(u[keep], keep, starts):
        return Identity(("sum", "time_baseline"), True, [total], {})
    if not found and (fixed := _fixed_gamma(u, keep, starts)):
        (norm, gamma), text = fixed, "every batch has the γ of the code, {:.4g}, not its own"
        names = (*(() if norm == ("sum",) else norm), "gamma_fixed")
        return Identity(names, False, [total, text.format(gamma)], {"gamma": gamma})
    if not found:
        return _unknown(u, keep, blocks, kept, starts)
    names, ok = suspects.describe(found[0])
    others = list({suspects.describe(match)[0]: 0 for match in found[1:]} | {names: 0})[:-1]
    evidence, numbers = [total], {"factor": found[0].factor}
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        evidence.append(f"or one of: {', '.join(' + '.join(o) for o in others[:3])}{more}")
    if abs(abs(found[0].factor) - 1) > 1e-4:
        numbers["divisor"] = 1 / abs(found[0].factor)
        per = "each episode's sum" if found[0].key.normalisation == ("sum",) else "the whole"
        evidence.append(f"{per} is divided by a constant, C = {numbers['divisor']:.5g}")
    if found[0].baseline:
        numbers["baseline"] = found[0].baseline
        evidence.append(f"the baseline is {found[0].baseline:.4g}")
    return Identity(names, ok, evidence, numbers)


def _sum(keep: Array) -> Array:
    """What the sum puts on each step."""
    return suspects.step_blocks()[0].rows[0][keep]


@cache
def _sizes_and_times() -> tuple[Array, Array]:
    """For every step, B of its batch, and one number for each pair of γ and t; (M,) each."""
    cases, _ = casebook.cases()
    gammas = {gamma: k for k, gamma in enumerate({case.gamma for case in cases})}
    sizes = np.array([len(case.mask) for case in cases])[owners()]
    times = np.concatenate([np.nonzero(case.mask)[1] for case in cases])
    return sizes, times + 10**6 * np.array([gammas[case.gamma] for case in cases])[owners()]


def _time_baseline(u: Array, keep: Array, starts: Array) -> bool:
    """Is u the sum's weight less a number b_t, for each γ the same in every episode and batch?"""
    sizes, group = (x[keep] for x in _sizes_and_times())
    b = (_sum(keep) - u) * sizes
    _, group = np.unique(group, return_inverse=True)
    first = np.searchsorted(np.sort(group), np.arange(group.max() + 1))
    middle = first + np.bincount(group) // 2
    median = b[np.lexsort((b, group))][middle][group]
    return bool(lineup.agreement(u, _sum(keep) - median / sizes, starts).all())


def _fixed_gamma(u: Array, keep: Array, starts: Array) -> tuple[tuple[str, ...], float] | None:
    """The normalisation and the γ, if u is the reward-to-go at one γ for all batches."""
    cases, whole = casebook.cases()[0], np.full(len(keep), np.nan)
    whole[keep], number = u, casebook.numbered("rewards below 0")
    row = int(cases[number].mask.sum(-1).argmax())  # its last two weights: r + γ r', and r'
    seen = np.full(cases[number].mask.shape, np.nan)
    seen[cases[number].mask] = whole[owners() == number]
    n = int(cases[number].mask[row].sum())
    (r, last), (w, w_last) = cases[number].rewards[row, n - 2 : n], seen[row, n - 2 : n]
    gamma = float(w / w_last - r / last) if w_last else np.nan
    if not 0 < gamma < 1:
        return None
    for norm, factor in suspects.NORMALISATIONS.items():
        rows = [(factor(c.mask) * losses.reward_to_go(c.rewards, gamma))[c.mask] for c in cases]
        at_gamma = np.concatenate(rows)[keep][None]
        if lineup.search(u, [lineup.Block([norm], at_gamma, at_gamma[0] * 0)], starts):
            return norm, gamma
    return None


def _unknown(u: Array, keep: Array, blocks: list, kept: Array, starts: Array) -> Identity:
    """No name: which known loss it mostly is, if any, and where it departs from it first."""
    cases, exact = casebook.cases()
    near, evidence = lineup.nearest(u[keep], blocks, starts), []
    agrees = near.agrees if near else lineup.agreement(u[keep], _sum(keep), starts)
    text = "it differs from the sum first on"
    if near:
        name = " + ".join(suspects.describe(near)[0])
        text = f"nearest known: {name}, the same on {agrees.sum()} of {len(kept)} batches"
    if agrees.all():  # but for rounding
        evidence = [text]
    else:
        number = int(kept[np.flatnonzero(~agrees)[0]])
        text += "; first different on:" if near else ":"
        evidence = [f"{text} {cases[number].label}", _side_by_side(u, number)]
    of_processes = kept < sum(len(e.prob) for e in exact)
    return Identity(("unknown",), False, evidence, {}, not (near and agrees[of_processes].all()))


def _side_by_side(u: Array, number: int) -> str:
    """The weights on one batch and those of the sum, rounded; at most eight steps."""
    case, here = casebook.cases()[0][number], owners() == number
    seen, right = (
        np.array2string(x[here][:8].round(3) + 0.0, precision=3, separator=", ")
        for x in (u, _sum(slice(None)))
    )
    lengths = ", ".join(str(int(n)) for n in case.mask.sum(-1)[:8])
    return f"there, with lengths ({lengths}), its weights {seen}, the sum's {right}"
