"""Before log π: which gradient at the logits does a function compute?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from coursekit import mdp
from coursekit.detective import asking, sentences
from coursekit.detective.expectation import compared, in_words, way
from coursekit.detective.finding import Finding
from coursekit.detective.matching import TOLERANCE, Block, search

Array = np.ndarray
Step = tuple[Array, int, float]  # logits, action, weight


def _jacobian(p: Array, error: Array) -> Array:
    return p * (error - p @ error)


# Name -> (p, one-hot of the action, weight) -> the gradient of the step's loss, (A,).
GRADIENTS: dict[str, Callable[[Array, Array, float], Array]] = {
    "p_minus_onehot": lambda p, e, w: (p - e) * w,
    "elementwise_softmax": lambda p, e, w: -w * (1 - p) * e,
    "no_log": lambda p, e, w: -w * _jacobian(p, e),
    "elementwise_no_log": lambda p, e, w: -w * p * (1 - p) * e,
    "jacobian_missing": lambda p, e, w: -w * e / p,
    "onehot_as_gradient": lambda p, e, w: -w * e,
    "probabilities_backpropagated": lambda p, e, w: -w * _jacobian(p, p),
    "log_probabilities_backpropagated": lambda p, e, w: -w * _jacobian(p, np.log(p)),
    "chosen_probability_backpropagated": lambda p, e, w: -w * _jacobian(p, p * e),
    "softmax_twice": lambda p, e, w: w * _jacobian(p, mdp.softmax(p) - e),
    "weight_missing": lambda p, e, w: p - e,
    "argmax_for_sample": lambda p, e, w: (p - np.eye(len(p))[p.argmax()]) * w,
    "weight_absolute": lambda p, e, w: (p - e) * abs(w),
    "action_less_one": lambda p, e, w: (p - np.roll(e, -1)) * w,
    "action_plus_one": lambda p, e, w: (p - np.roll(e, 1)) * w,
    "softmax_wrong_axis": lambda p, e, w: (1 - e) * w,  # each alone in its row is 1
}


@cache
def steps() -> list[Step]:
    """Logits, action, weight of single steps with 3, 5, 2 and 4 actions.

    Two actions come most: the likelier one is taken as often as the other, at both weights.
    """
    rng = np.random.default_rng(4)
    pairs = [(A, action) for A in (3, 5, *[2] * 6, 4) for action in range(A)]
    found = [(rng.normal(size=A), action, w) for A, action in pairs for w in (1.7, -0.6)]
    return found + [(z[::-1].copy(), action, w) for z, action, w in found if len(z) == 2]


def known() -> Block:
    """Every known gradient of these steps, in a row."""
    rows = [
        [f(mdp.softmax(z), np.eye(len(z))[a], w) for f in GRADIENTS.values()] for z, a, w in steps()
    ]
    table = np.concatenate([np.array(row) for row in rows], axis=1)
    one = np.ones(table.shape[1])
    return Block(list(GRADIENTS), table, one, np.full(len(table), TOLERANCE), 0 * one)


def _probed() -> str:
    sizes = ", ".join(str(A) for A in sorted({len(z) for z, _, _ in steps()}))
    largest = max(np.abs(z).max() for z, _, _ in steps())
    weights = " and ".join(f"{w:g}" for w in sorted({w for _, _, w in steps()}))
    return (
        f"{len(steps())} steps with {sizes} actions, logits up to {largest:.2g} in size, weights "
        f"{weights}. Nothing is said about what lies outside of these"
    )


def audit_gradient(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(logits, action, weight)``, the gradient of a step's loss at the logits.

    For what happens before log π. ``logits`` (A,) is a NumPy array, ``action`` an int, ``weight`` a
    number. Right is −weight · ∂ log softmax(logits)[action]/∂logits = (p − onehot) · weight, (A,),
    at this size: any factor is a ``wrong_scale``.
    """
    said = sentences.GRADIENTS
    trouble, answers = asking.refused(fn, "fn(logits, action, weight)", 3), []
    for step in steps():
        if not trouble:
            answer, trouble = _ask(fn, *step)
            answers.append(answer)
        if trouble:
            return Finding(names=trouble[:1], ok=False, evidence=trouble[1:], said=said)
    again = [_ask(fn, *step)[0] for step in steps()]
    u, probed, names = np.concatenate(answers), _probed(), ()
    if not u.any():
        names, text = ("no_gradient",), "it is 0 everywhere"
    if any(b is None or not np.allclose(a, b) for a, b in zip(answers, again, strict=True)):
        names, text = ("not_repeatable",), "the same step has another one"
    if names:
        return Finding(names=names, ok=False, evidence=[text], said=said, probed=probed)
    block, sizes = known(), [len(answer) for answer in answers]
    ends = np.cumsum(sizes)[:-1]
    numbers = compared(u, block.rows[0], np.abs(u).max())
    two, unit = np.repeat(sizes, sizes) == 2, u / np.abs(u).max()
    difference = [x[two].reshape(-1, 2) @ [-1, 1] for x in (unit, block.rows[0])]
    numbers["cosine_two_actions"] = compared(*difference)["cosine"]
    evidence = [f"against (p − onehot) · weight, over {len(sizes)} steps: {in_words(numbers)}"]
    near = _rounding(fn)
    found = search(u, [block], np.array([0, *ends]), near)
    if near > TOLERANCE:
        evidence.append(f"it returns float16: compared to {near:.0e} of a step's largest number")
    names = ("unknown",)
    headline = f"{in_words(numbers)} to (p − onehot) · weight, {way(numbers['cosine'])}"
    if not found:
        worst = int(np.argmax([np.abs(d).max() for d in np.split(u - block.rows[0], ends)]))
        mine, right = (np.split(x, ends)[worst].round(3) + 0.0 for x in (u, block.rows[0]))
        logits, action, weight = steps()[worst]
        evidence.append(
            f"at logits {logits.round(3)}, action {action}, weight {weight}: yours {mine}, "
            f"right {right}"
        )
    if found:
        factor, headline = found[0].factor, ""
        names = (found[0].key,)
        if abs(abs(factor) - 1) > max(1e-4, near):
            numbers["factor"], names = factor, (*names, "wrong_scale")
            evidence.append(f"times the factor {factor:.4g}")
        names = (*names, *["wrong_sign"][: factor < 0])
    ok = names == ("p_minus_onehot",)
    if not ok and numbers["cosine"] < 0.9999 and numbers["cosine_two_actions"] > 0.9999:
        evidence.append("with two actions the difference of the logits moves the right way: hidden")
    return Finding(
        names=names,
        ok=ok,
        evidence=evidence,
        numbers=numbers,
        said=said,
        probed=probed,
        headline=headline,
    )


def _ask(fn: Callable, logits: Array, action: int, weight: float):
    """The answer (A,) or None, and the trouble: (name, in words)."""
    given = logits.copy()
    try:
        with asking.quiet():
            answer = fn(given, action, weight)
        answer = np.asarray(getattr(answer, "detach", lambda: answer)())
        numeric = np.isrealobj(answer) or not np.imag(answer).any()
        if answer.dtype != object and numeric:
            answer = np.real(answer).astype(np.float64)
    except asking.STOPS as error:
        return None, ("raises", asking.error_in_words(error))
    at = f"logits {logits.round(2)}, action {action}, weight {weight}"
    if answer.dtype != np.float64 or answer.shape != logits.shape:
        return None, ("not_a_vector", f"{at}: it returned {_shown(answer)}")
    if not np.isfinite(answer).all():
        return None, ("nan", f"{at}: {answer}")
    if not np.array_equal(given, logits):
        return None, ("changes_inputs", f"{at}: it wrote into the logits")
    return answer, None


def _rounding(fn: Callable) -> float:
    """How far two gradients may differ: more where it returns half precision, as it rounds."""
    try:
        with asking.quiet():
            kind = str(getattr(fn(*steps()[0]), "dtype", "")).removeprefix("torch.")
    except asking.STOPS:
        return TOLERANCE
    if kind != "float16":
        return TOLERANCE
    off = [
        asking.rounding(lambda k, z=z, a=a, w=w: _ask(fn, z, a, k * w)[0]) for z, a, w in steps()
    ]
    return min(asking.GRAIN[torch.float16], max(TOLERANCE, 8 * max(off)))


def _shown(answer: Array) -> str:
    if answer.dtype == object:
        return f"{answer.tolist()!r:.60}"
    return f"the shape {answer.shape}" + " of complex numbers" * np.iscomplexobj(answer)
