"""What a loss puts on every step, and its name, or the admission of none.

``M`` real steps of all cases in a row; ``keep`` (M,) is False where the loss gave no number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from coursekit import losses
from coursekit.detective import asking, known, matching
from coursekit.detective.cases import Case, Casebook, casebook, with_junk
from coursekit.detective.expectation import expected, in_words
from coursekit.detective.finding import Finding
from coursekit.detective.tokens import takes_tokens

Array = np.ndarray
ASKED_TWICE = ("no padding", "forty episodes")  # and the first batch


def ask(loss: Callable, case: Case, dtype: torch.dtype = torch.float64) -> asking.Asked:
    """−∂loss/∂log π on one batch, (B, T) or None, and what went wrong: name -> in words."""
    given = {"logp": case.logp, "rewards": case.rewards, "mask": case.mask}
    return asking.weights(lambda x: loss(*x.values(), case.gamma), given, dtype)


def example(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """What a loss is given, with γ."""
    leaf = torch.tensor(case.logp, requires_grad=True)
    return leaf * 1, torch.tensor(case.rewards), torch.tensor(case.mask), case.gamma


def audit(loss: Callable[..., Any]) -> Finding:
    """Name the loss ``loss(logp, rewards, mask, gamma) -> scalar``, which is to be minimised.

    Tensors (B, T): log π of the actions taken, their rewards, ``mask`` True where a step is real.
    It is called on many batches, as ``example`` shows one, in float64 (float32 where it refuses
    that). The rewards of padding are 0 there; a note says so if the loss relies on it. Compared is
    −∂loss/∂log π of every real step: where it agrees on every step of every batch, two losses are
    one estimator, whatever the policy. After a loop of ``backward``, .grad is read.
    """
    if takes_tokens(loss):
        text = "its parameters are those of a loss of tokens: call audit_tokens"
        return Finding(names=("wrong_signature",), ok=False, evidence=(text,))
    if trouble := asking.refused(loss, "loss(logp, rewards, mask, gamma)", 4):
        return Finding(names=trouble[:1], ok=False, evidence=trouble[1:])
    book, dtype = casebook(), torch.float64
    stop = ask(loss, book.cases[0])[1].get("raises")
    if stop and "raises" not in ask(loss, book.cases[0], torch.float32)[1]:
        dtype = torch.float32
    weights, names, notes = asking.every(lambda case: ask(loss, case, dtype), book.cases)
    total, probed = len(book.cases), book.probed
    if dtype == torch.float32:
        notes.append(f"it was given float32, for with float64 it stops: {stop}")
    if sum(weight is not None for weight in weights) < total / 2:
        return Finding(names=names, ok=False, evidence=notes, probed=probed)
    twice = [0, *(book.numbered(label) for label in ASKED_TWICE)]
    if not all(asking.alike(ask(loss, book.cases[i], dtype)[0], weights[i]) for i in twice):
        notes.append("a batch that is given again has another gradient")
        names = (*names, "not_repeatable")
        return Finding(names=names, ok=False, evidence=notes, probed=probed)
    pairs = [
        (c.mask * np.nan if w is None else w, c.mask)
        for w, c in zip(weights, book.cases, strict=True)
    ]
    u = np.concatenate([weight[mask] for weight, mask in pairs])
    if not u[np.isfinite(u)].any():
        names, notes = ("no_gradient", *names), ["it is 0", *notes]
        return Finding(names=names, ok=False, evidence=notes, probed=probed)
    found, seen = identify(u, np.isfinite(u), book), expected(u, book)
    leaks = sum(_leaks(*pair) for pair in pairs)
    if leaks:
        notes.append(f"padding has a gradient in {leaks} of {total} batches")
    if _padding_matters(loss, book, dtype):
        notes.append(
            "relies on rewards of 0 in the padding: with others there its gradient changes"
        )
    headline, ok = "", found.ok and not leaks and not names
    if ok and not {"gamma_to_the_t", "whole_return"} & set(found.names):
        notes.append("γ^t is dropped, as in nearly all code: for γ < 1 this is not exactly ∇J_γ")
    if not ok and seen.hidden:
        notes.append(seen.hidden)
    kind = found.names
    if kind == ("unknown",):
        notes += described(loss, dtype)
        headline = f"{in_words(seen.numbers)} (expectation against ∇J, worst: {seen.worst})"
        if seen.same and found.special:
            kind, headline = ("same_expectation",), f"unknown, but its expectation is {seen.same}"
    return Finding(
        names=(*kind, *["padding_weighted"][: bool(leaks)], *names),
        ok=ok,
        evidence=(*found.evidence, *notes, *seen.table),
        numbers=seen.numbers | found.numbers,
        probed=probed,
        headline=headline,
    )


def _padding_matters(loss: Callable, book: Casebook, dtype: torch.dtype) -> bool:
    """Do the weights of real steps change where the rewards of the padding are not 0?"""
    case = book.cases[book.numbered("wide padding")]
    clean, junk = (ask(loss, c, dtype)[0] for c in (case, with_junk(case)))
    if clean is None:
        return False
    return not asking.alike(None if junk is None else junk[case.mask], clean[case.mask])


def _leaks(weight: Array, mask: Array) -> bool:  # counted beside the gradient of the real steps
    return bool(np.abs(weight[~mask]).max(initial=0) > 1e-6 * np.abs(weight[mask]).max())


class Identity(NamedTuple):
    """Names, ok, evidence and numbers; ``special``: no known loss explains all exact processes."""

    names: tuple[str, ...]
    ok: bool
    evidence: list[str]
    numbers: dict[str, float]
    special: bool = False


def identify(u: Array, keep: Array, book: Casebook) -> Identity:
    """The known loss whose weights are u (M,), up to one constant factor or baseline."""
    kept, starts = np.unique(book.owners[keep], return_index=True)
    blocks = known.blocks(book) if keep.all() else known.on_steps(known.blocks(book), keep)
    found = matching.search(u[keep], blocks, starts)
    total = f"on {len(kept)} of {len(kept)} batches every step carries just the weight of that name"
    if not found and _time_baseline(u[keep], keep, starts, book):
        return Identity(("sum", "time_baseline"), True, [total], {})
    if not found and (fixed := _fixed_gamma(u, keep, starts, book)):
        (norm, gamma), text = fixed, "every batch has the γ of the code, {:.4g}, not its own"
        names = (*(() if norm == ("sum",) else norm), "gamma_fixed")
        return Identity(names, False, [total, text.format(gamma)], {"gamma": gamma})
    if not found:
        return _unknown(u, keep, blocks, kept, starts, book)
    names, ok = known.describe(found[0])
    others = list({known.describe(match)[0]: 0 for match in found[1:]} | {names: 0})[:-1]
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


@cache
def _sizes_and_times(book: Casebook) -> tuple[Array, Array]:
    """For every step, B of its batch, and one number for each pair of γ and t; (M,) each."""
    gammas = {gamma: k for k, gamma in enumerate({case.gamma for case in book.cases})}
    sizes = np.array([len(case.mask) for case in book.cases])[book.owners]
    times = np.concatenate([np.nonzero(case.mask)[1] for case in book.cases])
    return sizes, times + 10**6 * np.array([gammas[c.gamma] for c in book.cases])[book.owners]


def _time_baseline(u: Array, keep: Array, starts: Array, book: Casebook) -> bool:
    """Is u the sum's weight less a number b_t, for each γ the same in every episode and batch?"""
    sizes, group = (x[keep] for x in _sizes_and_times(book))
    b = (known.sum_weights(book)[keep] - u) * sizes
    _, group = np.unique(group, return_inverse=True)
    first = np.searchsorted(np.sort(group), np.arange(group.max() + 1))
    middle = first + np.bincount(group) // 2
    median = b[np.lexsort((b, group))][middle][group]
    return bool(matching.agreement(u, known.sum_weights(book)[keep] - median / sizes, starts).all())


def _fixed_gamma(
    u: Array, keep: Array, starts: Array, book: Casebook
) -> tuple[tuple[str, ...], float] | None:
    """The normalisation and the γ, if u is the reward-to-go at one γ for all batches."""
    number, whole = book.numbered("rewards below 0"), np.full(len(keep), np.nan)
    whole[keep], case = u, book.cases[number]
    row = int(case.mask.sum(-1).argmax())  # its last two weights: r + γ r', and r'
    seen, n = np.full(case.mask.shape, np.nan), int(case.mask[row].sum())
    seen[case.mask] = whole[book.owners == number]
    (r, last), (w, w_last) = case.rewards[row, n - 2 : n], seen[row, n - 2 : n]
    gamma = float(w / w_last - r / last) if w_last else np.nan
    if not 0 < gamma < 1:
        return None
    for norm, factor in known.NORMALISATIONS.items():
        one = book.steps(lambda c, factor=factor: factor(c.mask))[keep]
        G = book.steps(lambda c: losses.reward_to_go(c.rewards, gamma))[keep]
        block = matching.Block([norm], G[None], one, np.array([matching.TOLERANCE]), 0 * one)
        if matching.search(u, [block], starts):
            return norm, gamma
    return None


def _unknown(
    u: Array, keep: Array, blocks: list, kept: Array, starts: Array, book: Casebook
) -> Identity:
    """No name: which known loss it mostly is, if any, and where it departs from it first."""
    near, evidence = matching.nearest(u[keep], blocks, starts), []
    agrees = (
        near.agrees if near else matching.agreement(u[keep], known.sum_weights(book)[keep], starts)
    )
    text = "it differs from the sum first on"
    if near:
        name = " + ".join(known.describe(near)[0])
        text = f"nearest known: {name}, the same on {agrees.sum()} of {len(kept)} batches"
    if agrees.all():  # but for rounding
        evidence = [text]
    else:
        number = int(kept[np.flatnonzero(~agrees)[0]])
        text += "; first different on:" if near else ":"
        evidence = [f"{text} {book.cases[number].label}", _side_by_side(u, number, book)]
    of_processes = kept < sum(len(e.prob) for e in book.exact)
    return Identity(("unknown",), False, evidence, {}, not (near and agrees[of_processes].all()))


def _side_by_side(u: Array, number: int, book: Casebook) -> str:
    """The weights on one batch and those of the sum, rounded; at most eight steps."""
    case, here = book.cases[number], book.owners == number
    seen, right = (
        np.array2string(x[here][:8].round(3) + 0.0, precision=3, separator=", ")
        for x in (u, known.sum_weights(book))
    )
    lengths = ", ".join(str(int(n)) for n in case.mask.sum(-1)[:8])
    return f"there, with lengths ({lengths}), its weights {seen}, the sum's {right}"


def plain() -> Case:
    """Three episodes of unequal length, no reward like another."""
    rng = np.random.default_rng(7)
    mask = np.arange(6) < np.array([[4], [6], [3]])
    rewards = 4 * (rng.normal(size=mask.shape) + 0.3) * mask
    return Case("", rng.uniform(-3, -0.2, mask.shape), rewards, mask, 0.8)


def described(loss: Callable, dtype: torch.dtype = torch.float64) -> list[str]:
    """In words, every respect in which the weights do not behave as those of the sum do."""
    base, said = plain(), []
    r, mask = base.rewards, base.mask
    first, other = np.zeros_like(r), np.where(mask, np.cos(np.arange(r.size)).reshape(r.shape), 0.0)
    first[0, 0], late = 2.5, r * 0.0
    late[1, 4] = 2.5

    def of(**changes) -> Array:
        seen = ask(loss, base._replace(**changes), dtype)[0]
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
    largest = [r * np.array([[k], [1], [1]]) for k in (-20, 20)]  # episode 0 is the extreme one
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
