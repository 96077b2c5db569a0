"""The gradient detective: what does your loss do? It looks at gradients, never at returns.

    print(audit(my_loss))              # my_loss(logp, rewards, mask, gamma) -> scalar
    assert_policy_gradient(my_loss)    # one line in a test suite

Whatever the audited function does, nothing raises here (but KeyboardInterrupt): an error or a NaN
is a finding. Axes: ``B`` episodes, ``T`` time, ``S`` state, ``A`` action, ``M`` compared numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from coursekit.detective import asking, casebook, sentences
from coursekit.detective.expectation import expected, in_words
from coursekit.detective.finding import Finding
from coursekit.detective.identity import identify
from coursekit.detective.logit_audit import audit_gradient
from coursekit.detective.traits import described
from coursekit.detective.update_audit import audit_update

__all__ = ["Finding", "assert_policy_gradient", "audit", "audit_gradient", "audit_update"]
Array = np.ndarray
ASKED_TWICE = ("no padding", "forty episodes")  # and the first batch


def audit(loss: Callable[..., Any]) -> Finding:
    """Name the loss ``loss(logp, rewards, mask, gamma) -> scalar``, which is to be minimised.

    Tensors (B, T): log π of the actions taken, their rewards, ``mask`` True where a step is real.
    It is called on each batch of ``casebook.cases()``, in float64 (float32 where it refuses that).
    The rewards of padding are 0 there; a note says so if the loss relies on it. Compared is
    −∂loss/∂log π of every real step: where it agrees on every step of every batch, two losses are
    one estimator, whatever the policy. After a loop of ``backward``, .grad is read.
    """
    if trouble := asking.refused(loss, "loss(logp, rewards, mask, gamma)", 4):
        return Finding(names=trouble[:1], ok=False, evidence=trouble[1:])
    cases, _ = casebook.cases()
    dtype, stop = torch.float64, asking.weights(loss, cases[0])[1].get("raises")
    if stop and "raises" not in asking.weights(loss, cases[0], torch.float32)[1]:
        dtype = torch.float32
    weights, troubles, first = [], {}, {}
    for number, case in enumerate(cases):
        weight, wrong = asking.weights(loss, case, dtype)
        weights.append(weight)
        for name, text in wrong.items():
            troubles[name] = troubles.get(name, 0) + 1
            first.setdefault(name, f"{text} (first batch: number {number}, {case.label})")
    notes = [f"{k}, on {n} of {len(cases)} batches: {first[k]}" for k, n in troubles.items()]
    if dtype == torch.float32:
        notes.append(f"it was given float32, for with float64 it stops: {stop}")
    names, probed = tuple(troubles), casebook.probed()
    if sum(weight is not None for weight in weights) < len(cases) / 2:
        return Finding(names=names, ok=False, evidence=notes, probed=probed)
    twice = [0, *(casebook.numbered(label) for label in ASKED_TWICE)]
    if not asking.repeats(loss, dtype, {number: weights[number] for number in twice}):
        notes.append("a batch that is given again has another gradient")
        names = (*names, "not_repeatable")
        return Finding(names=names, ok=False, evidence=notes, probed=probed)
    weights = [c.mask * np.nan if w is None else w for w, c in zip(weights, cases, strict=True)]
    u = np.concatenate([w[case.mask] for case, w in zip(cases, weights, strict=True)])
    if not u[np.isfinite(u)].any():
        names, notes = ("no_gradient", *names), ["it is 0", *notes]
        return Finding(names=names, ok=False, evidence=notes, probed=probed)
    found, seen = identify(u, np.isfinite(u)), expected(u)
    leaks = sum(map(_leaks, weights, (case.mask for case in cases)))
    if leaks:
        notes.append(f"padding has a gradient in {leaks} of {len(cases)} batches")
    if asking.padding_matters(loss, dtype):
        notes.append(
            "relies on rewards of 0 in the padding: with others there its gradient changes"
        )
    headline, ok = "", found.ok and not leaks and not troubles
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


def assert_policy_gradient(loss: Callable[..., Any], allow: Sequence[str] = ()) -> None:
    """AssertionError with the finding, unless it is ok or ``allow``, as ("step_mean",), says.

    Raises ValueError for a name in ``allow`` that no finding can have.
    """
    allow = (allow,) if isinstance(allow, str) else tuple(allow)
    if odd := [name for name in allow if name not in sentences.LOSSES]:
        known = ", ".join(sorted(sentences.LOSSES))
        raise ValueError(f"allow: {', '.join(map(repr, odd))} is no name; the names are: {known}")
    finding = audit(loss)
    if finding.ok or set(finding.names) <= set(allow):
        return
    said = "is not the policy gradient"
    if "same_expectation" in finding.names:
        said = (
            f"has an expectation that is {finding.headline.split('expectation is ')[1]}, but it is "
            "not known step by step; if that is intended (a baseline?), allow=('same_expectation',)"
        )
    elif "unknown" in finding.names or set(finding.names) <= set(sentences.TROUBLES):
        said = "is not known to be a policy gradient"
    raise AssertionError(f"this loss {said}\n{finding}")


def _leaks(weight: Array, mask: Array) -> bool:  # counted beside the gradient of the real steps
    return bool(np.abs(weight[~mask]).max(initial=0) > 1e-6 * np.abs(weight[mask]).max())
