"""What does a loss put on every step? The audit of ``loss(logp, rewards, mask, gamma)``.

``B`` episodes, ``T`` time; ``M`` real steps of all cases in a row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from coursekit import guards
from coursekit.detective import asking, functions, graph, probes
from coursekit.detective.cases import OUTSIDE, Case, Casebook, casebook, with_junk
from coursekit.detective.expectation import expected, in_words, way
from coursekit.detective.finding import Finding
from coursekit.detective.naming import identify
from coursekit.detective.tokens import takes_tokens

Array = np.ndarray
ASKED_TWICE = ("no padding", "forty episodes")  # and the first batch
HALVES = (torch.float16, torch.bfloat16)
FOR_LEAVES = ("wide padding", "forty steps", "forty episodes")
FOR_RATIOS = ("forty steps", "rewards below 0", "thirty steps", "forty episodes")


def ask(loss: Callable, case: Case, dtype: torch.dtype = torch.float64) -> asking.Asked:
    """−∂loss/∂log π on one batch, (B, T) or None, and what went wrong: name -> in words."""
    return asking.weights(lambda x: loss(*x.values(), case.gamma), _given(case), dtype)


def example(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """What a loss is given, with γ."""
    leaf = torch.tensor(case.logp, requires_grad=True)
    return leaf * 1, torch.tensor(case.rewards), torch.tensor(case.mask), case.gamma


def audit(loss: Callable[..., Any], gamma: float | None = None) -> Finding:
    """Name the loss ``loss(logp, rewards, mask, gamma) -> scalar``, which is to be minimised.

    Tensors (B, T): log π of the actions taken, their rewards, ``mask`` True where a step is real.
    It is called on many batches, as ``example`` shows one, in float64 (float32 where it refuses
    that). The rewards of padding are 0 there; a note says so if the loss relies on it. Compared is
    −∂loss/∂log π of every real step: where it agrees on every step of every batch, two losses are
    one estimator, whatever the policy. After a loop of ``backward``, .grad is read.

    ``gamma``: the one γ to look at, for a loss that has its own, or none, as for language models
    (1.0). ValueError for a γ outside [0, 1].
    """
    if gamma is not None:
        guards.fraction("gamma", gamma)
    if takes_tokens(loss):
        text = "its parameters are those of a loss of tokens: call audit_tokens"
        return Finding(names=("wrong_signature",), ok=False, evidence=(text,))
    if trouble := asking.refused(loss, "loss(logp, rewards, mask, gamma)", 4):
        return Finding(names=trouble[:1], ok=False, evidence=trouble[1:])
    book, dtype = casebook(gamma), torch.float64
    stop = ask(loss, book.cases[0])[1].get("raises")
    if stop and "raises" not in ask(loss, book.cases[0], torch.float32)[1]:
        dtype = torch.float32
    answers = asking.every(lambda case: ask(loss, case, dtype), book.cases)
    total, names, notes = len(book.cases), list(answers.where), list(answers.notes)
    if dtype == torch.float32:
        notes.append(f"it was given float32, for with float64 it stops: {stop}")
    stopped = partial(Finding, ok=False, probed=book.probed)
    if sum(weight is not None for weight in answers.weights) < total / 2:
        return stopped(names=tuple(names), evidence=notes)
    twice = [0, *(book.numbered(label) for label in ASKED_TWICE)]
    again = [ask(loss, book.cases[i], dtype)[0] for i in twice]
    if not all(asking.alike(answers.weights[i], w) for i, w in zip(twice, again, strict=True)):
        notes.append("a batch that is given again has another gradient")
        if found := probes.tracked(lambda c: ask(loss, c, dtype)[0], book, answers.weights):
            notes.append("it is divided by what follows the lengths of the batches before")
            ok = found[0] == "typical" and not names
            return Finding(names=(*found, *names), ok=ok, evidence=notes, probed=book.probed)
        return stopped(names=(*names, "not_repeatable"), evidence=notes)
    pairs = [
        (c.mask * np.nan if w is None else w, c.mask)
        for w, c in zip(answers.weights, book.cases, strict=True)
    ]
    u = np.concatenate([weight[mask] for weight, mask in pairs])
    if not u[np.isfinite(u)].any():
        return stopped(names=("no_gradient", *names), evidence=["it is 0", *notes])
    for name in ("nan", "raises"):  # a batch's own deviation, of one episode
        if name in names and all(len(book.cases[i].mask) == 1 for i in answers.where[name]):
            names.remove(name)
            notes.append("that is where B = 1 alone: right, if yours is never given one episode")
    with np.errstate(all="ignore"):  # a loss may be of any size
        return _named(loss, dtype, book, pairs, u, names, notes)


def _named(
    loss: Callable,
    dtype: torch.dtype,
    book: Casebook,
    pairs: list[tuple[Array, Array]],
    u: Array,
    names: list[str],
    notes: list[str],
) -> Finding:
    """The finding of a loss that gives weights, u (M,), on most batches."""

    def call(case: Case) -> Array | None:
        return ask(loss, case, dtype)[0]

    wide = book.cases[book.numbered("wide padding")]
    grains = asking.precisions(lambda: (call(wide), call(book.cases[0])))
    tolerance = max(asking.GRAIN[grains[0]], asking.GRAIN[dtype])
    halves, inside = [g for g in grains if g in HALVES], f"it computes in {_word(grains[0])} inside"
    if halves:
        fine = max(asking.GRAIN[grains[len(halves)]], asking.GRAIN[dtype])
        tolerance = min(tolerance, max(fine, 4 * _rounding(call, book)))
        if tolerance > asking.GRAIN[torch.float32]:
            inside += f": what is less than {tolerance:.0e} of a batch's largest weight is not seen"
        else:
            inside = f"{_word(grains[0])} is inside, where it rounds nothing that was asked for"
    if tolerance > asking.GRAIN[torch.float32]:  # rounding adds up
        u = np.where(
            np.isin(book.owners, [i for i, c in enumerate(book.cases) if c.mask.shape[1] > 100]),
            np.nan,
            u,
        )
        notes.append("episodes of more than 100 steps were left out, for rounding adds up")
    found, seen = identify(u, book, call, tolerance), expected(u, book, tolerance)
    if grains[0] != torch.float64 or dtype != torch.float64:
        notes.append(inside)
    leaks = sum(_leaks(*pair) for pair in pairs)
    if leaks:
        notes.append(f"padding has a gradient in {leaks} of {len(book.cases)} batches")
        names = ["padding_weighted", *names]
    if _padding_matters(call, wide):
        notes.append(
            "relies on rewards of 0 in the padding: with others there its gradient changes"
        )
    same, other = probes.masks(call, book, tolerance)
    notes += other
    also = f"; once each, with the same weights: {', '.join(same)}" if same else ""
    others = graph.other_leaves(
        loss, call, *(book.cases[book.numbered(label)] for label in FOR_LEAVES)
    )
    for scales, name in ((True, "leaking_coefficient"), (False, "leaking_critic")):
        if told := [leaf.name for leaf in others if leaf.leaks and leaf.scales == scales]:
            names = [name, *names]
            text = "the policy's part of the loss has a gradient for"
            notes.append(f"{text} {', '.join(told)}" + ", which only scales it" * scales)
    if others and not any(leaf.leaks for leaf in others):
        told = ", ".join(leaf.name for leaf in others)
        notes.append(
            f"{told}: another gradient, in which the policy's part has no share, as of its own loss"
        )
    off = graph.ratios(call, [book.cases[book.numbered(label)] for label in FOR_RATIOS])
    name, text = graph.clip(off, tolerance) if off else ("", "")
    if not text and _cut_off(loss, call, wide):
        text = (
            "not probed: log π is used as a plain number somewhere; if as an old policy's, a clip"
        )
    names = [name] * bool(name) + names
    notes += [text] * bool(text)
    headline, ok = "", found.ok and not names
    if ok and not {"gamma_to_the_t", "whole_return"} & set(found.names):
        notes.append("γ^t is dropped, as in nearly all code: for γ < 1 this is not exactly ∇J_γ")
    if not ok and seen.hidden:
        notes.append(seen.hidden)
    kind, general = found.names, functions.GENERAL & set(found.names)
    if kind == ("unknown",) or general:
        words = f"{in_words(seen.numbers)}, {way(seen.numbers['cosine'])}"
        headline = f"{words} (expectation against ∇J, worst: {seen.worst})"
        exact = tolerance <= asking.GRAIN[torch.float32]
        if seen.same and exact and found.special:
            kind, headline = ("same_expectation",), f"unknown, but its expectation is {seen.same}"
        elif seen.same and general:
            headline = f"its expectation against ∇J is {seen.same}, which do not show it"
    if kind == ("unknown",) or general & set(kind):
        notes += probes.described(call)
    return Finding(
        names=(*kind, *names),
        ok=ok,
        evidence=(*found.evidence, *notes, *seen.table),
        numbers=seen.numbers | found.numbers,
        probed=f"{book.looked}{also}{OUTSIDE}",
        headline=headline,
    )


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _rounding(call: graph.Call, book: Casebook) -> float:
    """How far the weights are from moving smoothly with log π and rewards, of a batch's largest.

    The fourth differences of steps of .4 %, over eight, which is about what they make of noise.
    """
    off = [0.0]
    for case in (book.cases[book.numbered(label)] for label in (*FOR_RATIOS, "wide padding")):
        sizes = 1 + 0.0037 * np.arange(5)
        w = [call(case._replace(logp=k * case.logp, rewards=k * case.rewards)) for k in sizes]
        if not any(x is None for x in w):
            bends = np.tensordot([1, -4, 6, -4, 1], np.array(w), 1)[case.mask]
            off.append(np.abs(bends).max() / 8 / max(np.abs(w).max(), 1e-300))
    return float(max(off))


def _given(case: Case) -> dict[str, Array]:
    return {"logp": case.logp, "rewards": case.rewards, "mask": case.mask}


def _cut_off(loss: Callable, call: graph.Call, case: Case) -> bool:
    """Does the value of the loss move otherwise than its gradient says?"""
    weight = call(case)
    if weight is None:
        return False
    moved = [
        asking.value(
            lambda x: loss(*x.values(), case.gamma),
            _given(case._replace(logp=case.logp + h * np.sign(weight))),
        )
        for h in (1e-3, -1e-3)
    ]
    slope, total = (moved[0] - moved[1]) / 2e-3, np.abs(weight).sum()
    return bool(np.isfinite(slope) and abs(slope + total) > 1e-2 * total)


def _padding_matters(call: graph.Call, case: Case) -> bool:
    """Do the weights of real steps change where the rewards of the padding are not 0?"""
    clean, junk = call(case), call(with_junk(case))
    if clean is None:
        return False
    return not asking.alike(None if junk is None else junk[case.mask], clean[case.mask])


def _leaks(weight: Array, mask: Array) -> bool:  # counted beside the gradient of the real steps
    return bool(np.abs(weight[~mask]).max(initial=0) > 1e-6 * np.abs(weight[mask]).max())
