"""One update by hand: where θ goes if the optimiser steps where it should not, over the rate.

``M`` parameters of all updates in a row, both rates one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from coursekit import losses, mdp
from coursekit.detective import casebook

Array = np.ndarray


class Moves(NamedTuple):
    """What is known of the updates on ``casebook.update_cases()``.

    ``steps`` (all steps,): True where a real step belongs to one of them. ``image``: weights of
    those steps (…, steps) -> moves (…, M). ``special``: name -> moves. ``theta`` (M,). ``starts``.
    """

    steps: Array
    image: Callable[[Array], Array]
    special: dict[str, list[Array]]
    theta: Array
    starts: Array


def _scores(case: casebook.Case, theta: Array) -> Array:
    """z of every real step, (steps, S·A)."""
    obs, taken = case.obs[case.mask], case.actions[case.mask]
    z = np.zeros((len(obs), *theta.shape))
    z[np.arange(len(obs)), obs] = np.eye(theta.shape[1])[taken] - mdp.softmax(theta)[obs]
    return z.reshape(len(obs), -1)


def _in_loop(case: casebook.Case, lr: float, divide: bool, backwards: bool) -> Array:
    """Stepping after each step's loss: (θ_end − θ)/lr."""
    weight = losses.reward_to_go(case.rewards, case.gamma)[case.mask]
    weight, theta = weight / (len(case.mask) if divide else 1), case.theta.copy()
    for k in list(range(len(weight)))[:: -1 if backwards else 1]:
        theta += lr * weight[k] * _scores(case, theta)[k].reshape(theta.shape)
    return (theta - case.theta).ravel() / lr


def _last(case: casebook.Case, divide: bool) -> Array:
    weight = losses.reward_to_go(case.rewards, case.gamma)[case.mask][-1]
    return weight / (len(case.mask) if divide else 1) * _scores(case, case.theta)[-1]


@cache
def known() -> Moves:
    """Computed once: the scores at each case's θ, and what stepping inside the loop does."""
    every, chosen = casebook.cases()[0], casebook.update_cases()
    steps = np.concatenate([np.full(c.mask.sum(), any(c is d for d in chosen)) for c in every])
    z = [_scores(case, case.theta) for case in chosen]
    ends = np.cumsum([0] + [len(one) for one in z])

    def image(x: Array) -> Array:
        parts = [x[..., a:b] @ one for a, b, one in zip(ends[:-1], ends[1:], z, strict=True)]
        return np.concatenate(parts * len(casebook.RATES), axis=-1)

    pairs = [(case, lr) for lr in casebook.RATES for case in chosen]
    ways = [(divide, backwards) for divide in (True, False) for backwards in (True, False)]
    special = {
        "step_in_loop": [
            np.concatenate([_in_loop(case, lr, *way) for case, lr in pairs]) for way in ways
        ],
        "last_step_only": [
            np.concatenate([_last(case, divide) for case, _ in pairs]) for divide in (True, False)
        ],
    }
    theta = np.concatenate([case.theta.ravel() for case, _ in pairs])
    starts = np.cumsum([0] + [case.theta.size for case, _ in pairs[:-1]])
    return Moves(steps, image, special, theta, starts)
