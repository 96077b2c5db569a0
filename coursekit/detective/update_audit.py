"""After the loss: what does one update of the parameters do?"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from coursekit.detective import asking, casebook, moves, update_sentences, update_suspects
from coursekit.detective.expectation import compared, in_words
from coursekit.detective.finding import Finding

Array = np.ndarray


def audit_update(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(params, batch, lr)``: one update by plain SGD at the rate ``lr``.

    For what happens after the loss. ``params`` is {"theta": (S, A)}, a float64 tensor that requires
    grad; the policy is softmax(theta[obs]). ``batch`` has the attributes ``batch.obs``,
    ``.actions``, ``.rewards``, ``.mask``, tensors (B, T), and ``.gamma``; the rewards of padding
    are 0. It changes theta in place, or returns {"theta": new} or the new theta; anything else
    that it returns, such as the loss, is left aside. Right is θ + lr · (1/B) Σ_i Σ_t z_t G_t.
    """
    said = update_sentences.UPDATES
    trouble = asking.refused(fn, "fn(params, batch, lr)", 3)
    first, second, changed, trouble = ([], [], "", trouble) if trouble else _every(fn)
    if trouble:
        return Finding(names=trouble[:1], ok=False, evidence=trouble[1:], said=said)
    u, again = np.concatenate(first), np.concatenate(second)
    evidence, probed = [f"{len(first)} updates, each from its own θ"], moves.probed()
    wrong = [f"it wrote into {changed}"] if changed else []
    names, extra = ("changes_inputs",) * bool(changed), {"said": said, "probed": probed}
    if not np.isfinite(u).all() or not u.any():
        names = ("no_update" if np.isfinite(u).all() else "nan", *names)
        return Finding(names=names, ok=False, evidence=evidence + wrong, **extra)
    found, ok, numbers = update_suspects.describe_update(u, moves.known())
    once = u[: len(again)]
    if not np.allclose(once, again, rtol=1e-6, atol=1e-9):
        left = np.allclose(2 * once, again, rtol=1e-6, atol=1e-9)
        names, ok = ("gradients_left_over" if left else "not_repeatable", *names), False
    evidence += [f"{name} {value:.4g}" for name, value in numbers.items()]
    numbers |= compared(u, update_suspects.sum_moves(moves.known()))
    text = in_words(numbers)
    evidence += [f"against the moves of the sum: {text}", *wrong]
    if not {"changes_inputs", "not_repeatable"} & set(names) and _padding_matters(fn):
        evidence.append(
            "relies on rewards of 0 in the padding: with others there it moves otherwise"
        )
    return Finding(
        names=(*found, *names),
        ok=ok and not changed,
        evidence=evidence,
        numbers=numbers,
        headline=f"{text} to the moves of the sum" * (found == ("unknown",)),
        **extra,
    )


def _every(fn: Callable):
    """Every batch at every rate, at the first of them twice.

    The first moves, the second, what was changed, and the trouble where there is any.
    """
    first, second, changed = [], [], ""
    for lr, case in itertools.product(casebook.RATES, casebook.update_cases()):
        params = {"theta": torch.tensor(case.theta, requires_grad=True)}
        twice = (first, second) if lr == casebook.RATES[0] else (first,)
        for moved in twice:  # to see what is left over
            step, trouble, wrote = _ask(fn, params, case, lr)
            if trouble:
                return first, second, changed, trouble
            moved.append(step)
            changed = changed or wrote
    return first, second, changed, None


def _ask(fn: Callable, params: dict, case: casebook.Case, lr: float):
    """(θ_new − θ)/lr in a row, or None; the trouble: (name, in words); what it wrote into."""
    with torch.no_grad():
        params["theta"].copy_(torch.tensor(case.theta))
    leaf, batch = params["theta"], casebook.batch(case)
    before = [x.clone() for x in batch[:4]]
    try:
        with asking.quiet():
            new = _theta(fn(params, batch, lr), params, case.theta)
    except asking.STOPS as error:
        return None, ("raises", asking.error_in_words(error)), ""
    finally:
        params["theta"] = leaf
    wrote = [n for n, a, b in zip(batch._fields, before, batch, strict=False) if not a.equal(b)]
    if np.shape(new) != case.theta.shape:
        text = f"the new theta has the shape {np.shape(new)}; it must be {case.theta.shape}"
        return None, ("wrong_shape", text), ""
    return (new - case.theta).ravel() / lr, None, ", ".join(wrote)


def _theta(returned: Any, params: dict, old: Array) -> Array:
    """The new parameters: returned, or else those that were given, which may have been changed."""
    given = _array(params["theta"])
    new = returned.get("theta", given) if isinstance(returned, dict) else given
    if isinstance(returned, (torch.Tensor, np.ndarray)) and np.array_equal(given, old):
        new = returned if tuple(returned.shape) == old.shape else given
    return _array(new)


def _array(x: Any) -> Array:
    return np.array(x.detach().numpy() if isinstance(x, torch.Tensor) else x, dtype=np.float64)


def _padding_matters(fn: Callable) -> bool:
    """Does an update change where the rewards of the padding are not 0?"""
    case = next(case for case in casebook.update_cases() if not case.mask.all())
    steps = []
    for batch in (case, casebook.with_junk(case)):
        params = {"theta": torch.tensor(case.theta, requires_grad=True)}
        steps.append(_ask(fn, params, batch, casebook.RATES[0])[0])
    return steps[1] is None or not np.allclose(*steps, rtol=1e-4, atol=1e-9)
