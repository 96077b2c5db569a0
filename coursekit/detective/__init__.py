"""The gradient detective: what does your loss do? It looks at gradients, never at returns.

    print(audit(my_loss))              # my_loss(logp, rewards, mask, gamma) -> scalar
    assert_policy_gradient(my_loss)    # one line in a test suite

Whatever the audited function does, nothing raises here: an error or a NaN is a finding.
Axes: ``B`` episodes, ``T`` time, ``S`` state, ``A`` action, ``M`` compared numbers in a row.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from coursekit import gradients
from coursekit.detective import casebook, lineup, logit_suspects, moves, sentences, suspects
from coursekit.detective.finding import Finding, error_in_words, in_words

Array = np.ndarray


def audit(loss: Callable[..., Any]) -> Finding:
    """Name the loss ``loss(logp, rewards, mask, gamma) -> scalar``: tensors (B, T), mask boolean.

    It is called on each batch of ``casebook.cases()``, in float64 (float32 where it refuses that).
    Compared is −∂loss/∂log π of every real step: where it agrees on every step of every batch, two
    losses are one estimator, whatever the policy. After a loop of ``backward``, .grad is read.
    """
    cases, _ = casebook.cases()
    double, single = (_ask(loss, cases[0], dtype) for dtype in (torch.float64, torch.float32))
    dtype = torch.float32 if "raises" in double[1] and "raises" not in single[1] else torch.float64
    weights, troubles = [], {}
    for case in cases:
        weight, wrong = _ask(loss, case, dtype)
        weights.append(case.mask * np.nan if weight is None else weight)
        for name, text in wrong.items():
            troubles.setdefault(name, []).append(f"{text} (first batch: {case.label})")
    again = _ask(loss, cases[0], dtype)[0]
    if again is not None and not np.allclose(again, weights[0], rtol=1e-6, equal_nan=True):
        troubles["not_repeatable"] = ["the same batch, given again, has another gradient"]
    notes = [f"{k}, on {len(v)} of {len(cases)} batches: {v[0]}" for k, v in troubles.items()]
    if dtype == torch.float32:
        notes.append(f"it was given float32, for with float64 it stops: {double[1]['raises']}")
    u = np.concatenate([w[case.mask] for case, w in zip(cases, weights, strict=True)])
    keep = np.isfinite(u)
    if "not_repeatable" in troubles or not keep.any():
        return Finding(names=tuple(troubles), ok=False, evidence=notes)
    if not u[keep].any():
        return Finding(names=("no_gradient", *troubles), ok=False, evidence=["it is 0", *notes])
    names, ok, evidence, numbers = _identify(u, keep)
    seen, table = _expectations(u)
    if leaks := sum(map(_leaks, weights, (case.mask for case in cases))):
        notes.append(f"padding has a gradient in {leaks} of {len(cases)} batches")
        names = (*names, "padding_weighted")
    ok = ok and not leaks and not troubles
    if ok and not {"gamma_to_the_t", "whole_return"} & set(names):
        notes.append("γ^t is dropped, as in nearly all code: for γ < 1 this is not exactly ∇J_γ")
    if not ok and seen["cosine"] > 0.9999:  # the worst of them
        notes.append("at γ = 1 the direction is right, whatever each process pays: hidden there")
    elif not ok and seen["cosine_at_constant_reward"] > 0.9999:
        notes.append(
            "with γ = 1 and each reward 1, as on CartPole, the direction is right: hidden there"
        )
    return Finding(
        names=(*names, *troubles),
        ok=ok,
        evidence=(*evidence, *notes, *table),
        numbers=seen | numbers,
        probed=casebook.probed(),
    )


def assert_policy_gradient(loss: Callable[..., Any], allow: Sequence[str] = ()) -> None:
    """AssertionError with the finding, unless it is ok or ``allow``, as ("step_mean",), says."""
    finding = audit(loss)
    if not finding.ok and not set(finding.names) <= set(allow):
        raise AssertionError(f"this loss is not a policy gradient\n{finding}")


def audit_gradient(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(logits, action, weight)``, the gradient of a step's loss at the logits.

    For what happens before log π. ``logits`` (A,) is a NumPy array, ``action`` an int, ``weight`` a
    number. Right is −weight · ∂ log softmax(logits)[action]/∂logits = (p − onehot) · weight, (A,).
    """
    steps, said = logit_suspects.logit_steps(), sentences.GRADIENTS | sentences.LOSSES
    answers = []
    for logits, action, weight in steps:
        given = logits.copy()
        try:
            answer = fn(given, action, weight)
            answer = np.asarray(getattr(answer, "detach", lambda a=answer: a)(), dtype=np.float64)
        except Exception as error:
            return Finding(names=("raises",), ok=False, evidence=[error_in_words(error)])
        wrong = "changes_inputs" if not np.array_equal(given, logits) else None
        wrong = "nan" if not np.isfinite(answer).all() else wrong
        wrong = "not_a_vector" if answer.shape != logits.shape else wrong
        if wrong:
            text = f"logits {logits.round(2)}, action {action}, weight {weight}: {answer}"
            return Finding(names=(wrong,), ok=False, evidence=[text])
        answers.append(answer)
    u, sizes = np.concatenate(answers), [len(answer) for answer in answers]
    if not u.any():
        return Finding(names=("no_gradient",), ok=False, evidence=["it is 0 everywhere"])
    block, starts = logit_suspects.logit_block(steps), np.cumsum([0, *sizes[:-1]])
    right, two = block.rows[0], np.repeat(sizes, sizes) == 2
    numbers = _compared(u, right)
    difference = [x[two].reshape(-1, 2) @ [-1, 1] for x in (u, right)]
    numbers["cosine_two_actions"] = gradients.cosine(*difference)
    evidence = [f"against (p − onehot) · weight, over {len(steps)} steps: {in_words(numbers)}"]
    found = lineup.search(u, [block], starts)
    names = (found[0].key, *["wrong_sign"][: found[0].factor < 0]) if found else ("unknown",)
    if found and abs(abs(found[0].factor) - 1) > 1e-4:
        numbers["factor"] = found[0].factor
        evidence.append(f"times the factor {found[0].factor:.4g}")
    ok = names == ("p_minus_onehot",)
    if not ok and numbers["cosine_two_actions"] > 0.9999:
        evidence.append("with two actions the difference of the logits moves the right way: hidden")
    return Finding(names=names, ok=ok, evidence=evidence, numbers=numbers, said=said)


def audit_update(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(params, batch, lr)``: one update by plain SGD at the rate ``lr``.

    For what happens after the loss. ``params`` is {"theta": (S, A)}, a float64 tensor that requires
    grad; the policy is softmax(theta[obs]). ``batch``: ``obs``, ``actions``, ``rewards``, ``mask``
    (B, T) and ``gamma``. Changes theta in place, or returns the new parameters. Right is
    θ + lr · (1/B) Σ_i Σ_t z_t G_t.
    """
    said, first, second = sentences.UPDATES | sentences.LOSSES, [], []
    for lr in casebook.RATES:
        for case in casebook.update_cases():
            params = {"theta": torch.tensor(case.theta, requires_grad=True)}
            try:
                for moved in (first, second):  # twice, to see what is left over
                    with torch.no_grad():
                        params["theta"].copy_(torch.tensor(case.theta))
                    new = fn(params, casebook.batch(case), lr) or params
                    moved.append((new["theta"].detach().numpy() - case.theta).ravel() / lr)
            except Exception as error:
                return Finding(names=("raises",), ok=False, evidence=[error_in_words(error)])
    u, again = np.concatenate(first), np.concatenate(second)
    evidence = [f"{len(first)} updates, with the rates {casebook.RATES}, each from its own θ"]
    if not np.isfinite(u).all() or not u.any():
        names = ("no_update",) if np.isfinite(u).all() else ("nan",)
        return Finding(names=names, ok=False, evidence=evidence, said=said)
    names, ok, numbers = suspects.describe_update(u, moves.known())
    if not np.allclose(u, again, rtol=1e-6, atol=1e-9):
        left = np.allclose(2 * u, again, rtol=1e-6, atol=1e-9)
        names, ok = (*names, "gradients_left_over" if left else "not_repeatable"), False
    evidence += [f"{name} {value:.4g}" for name, value in numbers.items()]
    numbers |= _compared(u, suspects.sum_moves(moves.known()))
    evidence.append(f"against the moves of the sum: {in_words(numbers)}")
    return Finding(names=names, ok=ok, evidence=evidence, numbers=numbers, said=said)


def _compared(g: Array, truth: Array) -> dict[str, float]:
    cosine, ratio = gradients.cosine(g, truth), gradients.norm_ratio(g, truth)
    some = float(not ratio <= 1e-9)  # below that it is rounding, and has no direction; NaN stays
    return {"cosine": cosine if some else 0.0, "norm_ratio": ratio * some}


def _ask(loss: Callable, case: casebook.Case, dtype: torch.dtype) -> tuple[Any, dict[str, str]]:
    """−∂loss/∂log π on one batch, (B, T) or None, and what went wrong: name -> in words."""
    leaf = torch.tensor(case.logp, dtype=dtype, requires_grad=True)
    given = leaf * 1, torch.tensor(case.rewards, dtype=dtype), torch.tensor(case.mask)
    before, wrong = [x.detach().clone() for x in given], {}
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            value = loss(*given, case.gamma)
            gradient = leaf.grad  # filled by a loop that calls backward itself
            if gradient is None:
                if not isinstance(value, torch.Tensor):
                    return None, {"not_a_tensor": f"it returned {value!r:.60}"}
                if value.numel() != 1:
                    return None, {"not_scalar": f"it returned the shape {tuple(value.shape)}"}
                if not value.requires_grad:
                    return None, {"detached": f"it returned {value.item():.4g}, without a graph"}
                (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
    except Exception as error:  # whatever a user's function may raise
        return None, {"raises": error_in_words(error)}
    for name, old, new in zip(("logp", "rewards", "mask"), before, given, strict=True):
        if not torch.equal(old, new.detach()):
            wrong["changes_inputs"] = f"it wrote into {name}"
    if gradient is None:
        return None, wrong | {"no_gradient": "the result does not depend on log π"}
    if not bool(torch.isfinite(gradient).all()):
        return None, wrong | {"nan": "the gradient holds a NaN or an infinity"}
    return -gradient.double().numpy(), wrong


def _leaks(weight: Array, mask: Array) -> bool:  # counted beside the gradient of the real steps
    return bool(np.abs(weight[~mask]).max(initial=0) > 1e-6 * np.abs(weight[mask]).max())


def _identify(u: Array, keep: Array) -> tuple[tuple[str, ...], bool, list[str], dict[str, float]]:
    """Names, ok, evidence and numbers from the weights of all real steps, (M,)."""
    cases, _ = casebook.cases()
    index = np.repeat(np.arange(len(cases)), [int(case.mask.sum()) for case in cases])[keep]
    kept, starts = np.unique(index, return_index=True)
    blocks = suspects.step_blocks() if keep.all() else suspects.blocks(keep)
    found = lineup.search(u[keep], blocks, starts)
    if not found:
        return (
            ("unknown",),
            False,
            [_nearest(u[keep], blocks, starts, [cases[i] for i in kept])],
            {},
        )
    names, ok = suspects.describe(found[0])
    others = {suspects.describe(match)[0] for match in found} - {names}
    evidence = [
        f"on {len(kept)} of {len(kept)} batches every step carries just the weight of that name"
    ]
    numbers = {"factor": found[0].factor}
    if others:
        evidence.append(f"or one of: {', '.join(' + '.join(other) for other in others)}")
    if abs(abs(found[0].factor) - 1) > 1e-4:
        numbers["divisor"] = 1 / abs(found[0].factor)
        per = "each episode's sum" if found[0].key.normalisation == ("sum",) else "the whole"
        evidence.append(f"{per} is divided by a constant, C = {numbers['divisor']:.5g}")
    if found[0].baseline:
        numbers["baseline"] = found[0].baseline
        evidence.append(f"the baseline is {found[0].baseline:.4g}")
    return names, ok, evidence, numbers


def _nearest(u: Array, blocks: list, starts: Array, cases: list[casebook.Case]) -> str:
    """Which known loss it mostly is, and where it departs from it first."""
    near = lineup.nearest(u, blocks, starts)
    text = f"nearest known: {' + '.join(suspects.describe(near)[0])}"
    text += f", the same on {int(near.agrees.sum())} of {len(cases)} batches"
    return f"{text}; first different on: {cases[np.flatnonzero(~near.agrees)[0]].label}"


def _expectations(u: Array) -> tuple[dict[str, float], list[str]]:
    """Cosine and norm ratio of the exact expectation to ∇J, for each process; also in words."""
    numbers, table, start = {}, [], 0
    for exact in casebook.cases()[1]:
        stop = start + len(exact.scores)
        g = (exact.prob[exact.index] * u[start:stop]) @ exact.scores
        here = _compared(g, exact.truth)
        if exact.gamma == 1 and not here["cosine"] > numbers.get("cosine", 2):  # the worst
            numbers |= here
        numbers["cosine_at_constant_reward"] = here["cosine"]  # the last process is that one
        table.append(f"{exact.label}, expectation against ∇J: {in_words(here)}")
        start = stop
    return numbers, table
