"""A step over micro-batches: is it the step over the whole batch, however it is cut?

``B`` answers in K micro-batches; N_k tokens and B_k answers of the one that an answer is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from coursekit.detective import asking
from coursekit.detective.finding import Finding
from coursekit.detective.tokens import batches, calls, sentences
from coursekit.detective.tokens.calls import Batch

Array = np.ndarray
TOLERANCE = 5e-5  # of the largest weight of a batch; wider where the step itself rounds
AS_CALLED = "step(micro_batches)"
LABELS = ("lengths 1, 3, 2, 4", "eight answers")
CUTS = {  # B -> sizes of micro-batches
    4: ((4,), (2, 2), (1, 3), (1, 1, 1, 1)),
    8: ((8,), (4, 4), (2, 5, 1), (2, 2, 2, 2)),
}
# What a token carries, but for a power of K: (n, N, N_k, B, B_k) -> weight of each answer.
FORMULAS: dict[str, Callable[..., Array]] = {
    "token_sum": lambda n, N, Nk, B, Bk: 1.0 + 0 * n,
    "step_mean": lambda n, N, Nk, B, Bk: 1 / N + 0 * n,
    "sum": lambda n, N, Nk, B, Bk: 1 / B + 0 * n,
    "episode_mean": lambda n, N, Nk, B, Bk: 1 / (B * n),
    "micro step_mean": lambda n, N, Nk, B, Bk: 1 / Nk,
    "micro sum": lambda n, N, Nk, B, Bk: 1 / Bk,
    "micro episode_mean": lambda n, N, Nk, B, Bk: 1 / (Bk * n),
}


def audit_accumulation(step: Callable[..., Any]) -> Finding:
    """Name ``step(micro_batches)``, one optimiser step's gradients over a list of micro-batches.

    Each is a dict of tensors: ``logprobs``, ``old_logprobs``, ``advantages``, ``response_mask``, as
    ``audit_tokens`` hands them over. The function calls ``backward`` for each, or returns the loss
    of all. One batch is cut in several ways. ✓: the gradient is the same however it is cut.
    """
    trouble = asking.refused(step, AS_CALLED, 1)
    if trouble:
        return _finding(trouble[:1], evidence=trouble[1:])
    for shape in ("B", "BT"):
        _, wrong = _ask(step, batches.batch(LABELS[0]), (4,), shape)
        if not wrong:
            break
    if wrong:
        return _finding([*wrong], evidence=[*wrong.values()])
    seen, notes = [], {}
    for label in LABELS:
        b = batches.batch(label)
        for sizes in CUTS[len(b.mask)]:
            weight, wrong = _ask(step, b, sizes, shape)
            notes |= {k: f"{v} (on micro-batches of {sizes})" for k, v in wrong.items()}
            if weight is not None:
                seen.append((b, sizes, weight / b.advantages[:, None]))
    again = _ask(step, batches.batch(LABELS[0]), (4,), shape)[0]
    if again is None or not asking.alike(again, seen[0][2] * seen[0][0].advantages[:, None]):
        return _finding(["not_repeatable"], evidence=["the same batch again has another gradient"])
    grain = asking.precision(lambda: _ask(step, batches.batch(LABELS[0]), (4,), shape))
    near = TOLERANCE
    if asking.GRAIN[grain] > TOLERANCE:
        off = [asking.rounding(_grown(step, label, shape)) for label in LABELS]
        near = min(max(TOLERANCE, 8 * max(off)), asking.GRAIN[grain])
    names, said, numbers = _named(seen, near)
    said += [f"it computes in {str(grain).removeprefix('torch.')} inside"] * (near > TOLERANCE)
    ok = (
        not notes
        and len(names) == 1
        and names[0] in ("token_sum", "step_mean", "sum", "episode_mean")
    )
    said += [f"{k}: {v}" for k, v in notes.items()]
    return _finding(
        [*names, *notes],
        ok,
        evidence=said,
        numbers=numbers,
        probed="batches of 4 and 8 answers of 1 to 5 tokens, whole and in 2 to 4 micro-batches of "
        "equal and of unequal size; one process. Nothing is said about devices",
    )


def _grown(step: Callable, label: str, shape: str) -> Callable[[float], Array | None]:
    def asked(k: float) -> Array | None:
        b = batches.batch(label)
        b = b._replace(advantages=k * b.advantages)
        return _ask(step, b, CUTS[len(b.mask)][-1], shape)[0]

    return asked


def _finding(names: Sequence[str], ok: bool = False, **said: Any) -> Finding:
    return Finding(names=tuple(names), ok=ok, said=sentences.ACCUMULATION, **said)


def _ask(step: Callable, b: Batch, sizes: tuple[int, ...], shape: str) -> asking.Asked:
    """−∂/∂log π of the whole batch, (B, T), when it comes in micro-batches of these sizes."""
    A = b.advantages if shape == "B" else np.repeat(b.advantages[:, None], b.mask.shape[1], axis=1)
    given = dict(zip(calls.ORDER, (b.logp, b.old, A, b.mask), strict=True))
    stops = np.cumsum(sizes)[:-1]
    parts = zip(*(np.split(x, stops) for x in given.values()), strict=True)
    micro = [asking.tensors(dict(zip(given, part, strict=True))) for part in parts]
    leaves = [next(iter(m.values())) for m in micro]
    handed = [{k: v * 1 if v.requires_grad else v.clone() for k, v in m.items()} for m in micro]
    try:
        with asking.quiet():
            value = calls.scalar(step([dict(m) for m in handed]))
            gradients = [leaf.grad for leaf in leaves]
            if all(g is None for g in gradients):
                if trouble := asking._no_scalar(value):
                    return None, dict([trouble])
                gradients = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    except asking.STOPS as error:
        return None, {"raises": asking.error_in_words(error)}
    changed = [
        k for m, h in zip(micro, handed, strict=True) for k in m if not torch.equal(m[k], h[k])
    ]
    wrong = {"changes_inputs": f"it wrote into {changed[0]}"} if changed else {}
    pairs = zip(gradients, leaves, strict=True)
    weight = -np.concatenate([(0 * leaf if g is None else g).detach().numpy() for g, leaf in pairs])
    if not np.isfinite(weight).all():
        return None, wrong | {"nan": "the gradient holds a NaN or an infinity"}
    return (weight, wrong) if weight.any() else (None, wrong | {"no_gradient": "it is 0"})


def _named(seen: list, tolerance: float) -> tuple[list[str], list[str], dict[str, float]]:
    """The formula that is seen in every cut."""
    for name, formula in FORMULAS.items():
        for power in (0, -1, -2, 1):
            models = []
            for b, sizes, _ in seen:
                n, micro = b.mask.sum(-1), np.repeat(np.arange(len(sizes)), sizes)
                same = micro[:, None] == micro
                weight = formula(n, n.sum(), same @ n, len(n), same.sum(-1))
                models.append(float(len(sizes)) ** power * weight[:, None] * b.mask)
            tops = sum((m * w).sum() for m, (*_, w) in zip(models, seen, strict=True))
            factor = float(tops / sum((m * m).sum() for m in models))
            if factor and all(
                np.abs(w - factor * m).max() <= tolerance * np.abs(w).max()
                for m, (*_, w) in zip(models, seen, strict=True)
            ):
                return _names(name, power, factor, tolerance)
    changes = max(
        np.abs(w / np.abs(w).max() - seen[0][2] / np.abs(seen[0][2]).max()).max()
        for b, _, w in seen
        if len(b.mask) == 4
    )
    text = f"between two cuts of one batch weights differ by up to {changes:.0%} of the largest"
    return ["unknown"], [text], {}


def _names(
    name: str, power: int, factor: float, tolerance: float
) -> tuple[list[str], list[str], dict[str, float]]:
    micro, base = name.startswith("micro "), name.split()[-1]
    names = [base]
    if (base, micro, power) == ("step_mean", True, -1):
        names = ["pool_mean"]
    elif micro and power == -1:
        names.append("micro_batch_mean")
    elif micro and power == 0:
        names.append("means_added")
    elif power:
        names.append("divided_twice" if power < 0 else "multiplied_by_pieces")
    names += ["scaled"] * (abs(abs(factor) - 1) > max(2e-4, tolerance)) + ["wrong_sign"] * (
        factor < 0
    )
    bottom = {"token_sum": "1", "step_mean": "N", "sum": "B", "episode_mean": "(B n)"}[base]
    bottom = bottom.replace("N", "N_k").replace("B", "B_k") if micro else bottom
    tail = "" if not power else f" · K^{power}"
    return (
        names,
        [f"a token carries {factor:.5g} A/{bottom}{tail}, K micro-batches"],
        {"factor": factor},
    )
