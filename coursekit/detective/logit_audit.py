"""Before log π: which gradient at the logits does a function compute?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit import gradients
from coursekit.detective import asking, lineup, logit_sentences, logit_suspects
from coursekit.detective.expectation import compared, in_words
from coursekit.detective.finding import Finding

Array = np.ndarray


def audit_gradient(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(logits, action, weight)``, the gradient of a step's loss at the logits.

    For what happens before log π. ``logits`` (A,) is a NumPy array, ``action`` an int, ``weight`` a
    number. Right is −weight · ∂ log softmax(logits)[action]/∂logits = (p − onehot) · weight, (A,),
    at this size: any factor is a ``wrong_scale``.
    """
    steps, said = logit_suspects.logit_steps(), logit_sentences.GRADIENTS
    trouble, answers = asking.refused(fn, "fn(logits, action, weight)", 3), []
    for logits, action, weight in steps:
        if not trouble:
            answer, trouble = _ask(fn, logits, action, weight)
            answers.append(answer)
        if trouble:
            return Finding(names=trouble[:1], ok=False, evidence=trouble[1:], said=said)
    again = [_ask(fn, *step)[0] for step in steps]
    u, probed = np.concatenate(answers), logit_suspects.probed()
    names = ("no_gradient",) if not u.any() else ()
    if any(b is None or not np.allclose(a, b) for a, b in zip(answers, again, strict=True)):
        names = ("not_repeatable",)
    if names:
        text = {"no_gradient": "it is 0 everywhere"}.get(names[0], "the same step has another one")
        return Finding(names=names, ok=False, evidence=[text], said=said, probed=probed)
    block, sizes = logit_suspects.logit_block(steps), [len(answer) for answer in answers]
    numbers = compared(u, block.rows[0])
    two = np.repeat(sizes, sizes) == 2
    difference = [x[two].reshape(-1, 2) @ [-1, 1] for x in (u, block.rows[0])]
    numbers["cosine_two_actions"] = gradients.cosine(*difference)
    evidence = [f"against (p − onehot) · weight, over {len(steps)} steps: {in_words(numbers)}"]
    found = lineup.search(u, [block], np.cumsum([0, *sizes[:-1]]))
    names, headline = ("unknown",), f"{in_words(numbers)} to (p − onehot) · weight"
    if found:
        factor, headline = found[0].factor, ""
        names = (found[0].key,)
        if abs(abs(factor) - 1) > 1e-4:
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


def _shown(answer: Array) -> str:
    if answer.dtype == object:
        return f"{answer.tolist()!r:.60}"
    return f"the shape {answer.shape}" + " of complex numbers" * np.iscomplexobj(answer)
