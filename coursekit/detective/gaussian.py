"""A Gaussian policy before log π: does log π reach its mean and its deviation?

``A`` components of an action; ``M`` derivatives of all cases in a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from coursekit.detective import asking, sentences
from coursekit.detective.expectation import compared, in_words
from coursekit.detective.finding import Finding
from coursekit.detective.matching import TOLERANCE, Block, search

Array = np.ndarray
ROUNDS = 3  # how often each mean and deviation is handed over
# Name -> (noise (a − μ)/σ, σ) -> the derivatives of log π by μ and by σ, (A,) each.
GRADIENTS: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "gaussian": lambda e, s: (e / s, (e**2 - 1) / s),
    "action_not_detached": lambda e, s: (0 * e, -1 / s),
    "deviation_without_gradient": lambda e, s: (e / s, 0 * e),
    "variance_for_deviation": lambda e, s: (e / s**3, 2 * (e**2 / s**2 - 1) / s),
    "density_for_log": lambda e, s: tuple(
        x * np.prod(np.exp(-(e**2) / 2) / s / np.sqrt(2 * np.pi)) for x in (e / s, (e**2 - 1) / s)
    ),
    "mean_over_components": lambda e, s: (e / s / len(e), (e**2 - 1) / s / len(e)),
}


@cache
def points() -> list[tuple[Array, Array]]:
    """Means and deviations of actions with 1, 2 and 3 components."""
    rng = np.random.default_rng(6)
    sizes = (1, 2, 3, 1, 2, 3)
    return [(rng.normal(size=A), rng.uniform(0.3, 2, size=A)) for A in sizes]


def example(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a policy is given: mean and deviation, (A,) each."""
    return tuple(torch.tensor(x, requires_grad=True) for x in points()[number])


def audit_gaussian(fn: Callable[..., Any]) -> Finding:
    """Name what log π of ``fn(mean, std)`` → (action, log π) teaches the policy.

    For what happens before log π, where actions are numbers. ``mean`` and ``std`` (A,) are tensors
    that require grad, ``action`` (A,) is drawn from the Gaussian that they make; log π is its
    density's logarithm, one number or one for each component. Right is ∂ log π/∂mean = (a − μ)/σ²
    and ∂ log π/∂std = ((a − μ)²/σ² − 1)/σ, with the action held fixed.
    """
    said, trouble = sentences.GAUSSIAN, asking.refused(fn, "fn(mean, std)", 2)
    seen, noises = [], []
    for mean, std in itertools.chain.from_iterable([points()] * ROUNDS):
        answer = None
        if not trouble:
            answer, trouble = _ask(fn, mean, std)
        if trouble:
            return Finding(names=trouble[:1], ok=False, evidence=trouble[1:], said=said)
        seen.append(answer[1])
        noises.append((answer[0], std))
    u = np.concatenate(seen)
    probed = (
        f"{len(seen)} actions of 1 to 3 components, drawn by the function itself. Nothing is said "
        "about what lies outside of these, nor about how the actions are drawn"
    )
    if not u.any():
        return Finding(names=("no_gradient",), ok=False, said=said, probed=probed)
    rows = [
        np.concatenate([np.concatenate(of(e, s)) for e, s in noises]) for of in GRADIENTS.values()
    ]
    starts, one = np.cumsum([0, *[len(x) for x in seen[:-1]]]), np.ones(len(u))
    block = Block(list(GRADIENTS), np.array(rows), one, np.zeros(len(rows)), 0 * one)
    numbers, names = compared(u, rows[0]), ("unknown",)
    grain = asking.precision(lambda: _ask(fn, *points()[0]))
    near = max(TOLERANCE, asking.GRAIN[grain])
    if found := search(u, [block], starts, near):
        names, factor = (found[0].key,), found[0].factor
        if abs(abs(factor) - 1) > max(1e-4, near):
            numbers["factor"], names = factor, (*names, "wrong_scale")
        names = (*names, *["wrong_sign"][: factor < 0])
    rounds = np.concatenate([e for e, _ in noises]).reshape(ROUNDS, -1)
    if np.ptp(rounds, axis=0).max() < 1e-6:
        names = (*names, "action_not_drawn")
    evidence = [f"against the right derivatives: {in_words(numbers)}"]
    if near > TOLERANCE:
        evidence.append(f"it computes in {str(grain).removeprefix('torch.')} inside")
    return Finding(
        names=names,
        ok=names == ("gaussian",),
        evidence=evidence,
        numbers=numbers,
        said=said,
        probed=probed,
    )


def _ask(fn: Callable, mean: Array, std: Array):
    """Noise (A,) and derivatives (2 A,), or None; and the trouble: (name, in words)."""
    leaves = [torch.tensor(x, requires_grad=True) for x in (mean, std)]
    try:
        with asking.quiet():
            action, logp = fn(*(leaf * 1 for leaf in leaves))
            action = action.detach().double().numpy()
            grads = torch.autograd.grad(logp.sum(), leaves, allow_unused=True)
    except asking.STOPS as error:
        return None, ("raises", asking.error_in_words(error))
    if action.shape != mean.shape:
        text = f"the action has the shape {action.shape}, where the mean has {mean.shape}"
        return None, ("wrong_shape", text)
    found = [np.zeros(mean.shape) if g is None else g.double().numpy() for g in grads]
    if not np.isfinite([*found, action]).all():
        return None, ("nan", "the derivative of log π, or the action, holds a NaN or an infinity")
    return ((action - mean) / std, np.concatenate(found)), None
