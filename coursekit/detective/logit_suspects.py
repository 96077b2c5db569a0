"""What the detective knows before log π: a step's gradient at the logits, right and wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from coursekit import mdp
from coursekit.detective.lineup import Block

Array = np.ndarray


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
}


def logit_block(steps: list[tuple[Array, int, float]]) -> Block:
    """Every known gradient of these steps, in a row."""
    rows = [
        [f(mdp.softmax(z), np.eye(len(z))[a], w) for f in GRADIENTS.values()] for z, a, w in steps
    ]
    table = np.concatenate([np.array(row) for row in rows], axis=1)
    return Block(list(GRADIENTS), table, np.zeros(table.shape[1]))


def logit_steps() -> list[tuple[Array, int, float]]:
    """Logits, action, weight of single steps with 3, 5, 2 and 4 actions.

    Two actions come most: the likelier one is taken as often as the other, at both weights.
    """
    rng = np.random.default_rng(4)
    pairs = [(A, action) for A in (3, 5, *[2] * 6, 4) for action in range(A)]
    steps = [(rng.normal(size=A), action, w) for A, action in pairs for w in (1.7, -0.6)]
    twins = [(z[::-1].copy(), action, w) for z, action, w in steps if len(z) == 2]
    return steps + twins


def probed() -> str:
    """In one sentence: on what ``audit_gradient`` looked."""
    steps = logit_steps()
    sizes = ", ".join(str(A) for A in sorted({len(z) for z, _, _ in steps}))
    largest = max(np.abs(z).max() for z, _, _ in steps)
    weights = " and ".join(f"{w:g}" for w in sorted({w for _, _, w in steps}))
    return (
        f"{len(steps)} steps with {sizes} actions, logits up to {largest:.2g} in size, weights "
        f"{weights}. Nothing is said about what lies outside of these"
    )
