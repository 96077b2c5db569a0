"""One update by hand: where θ goes if the optimiser steps where it should not, over the rate.

``M`` parameters of all updates in a row, both rates one after the other.
"""

from __future__ import annotations

import itertools
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
    those steps (…, steps) -> moves (…, M). ``special``: names -> moves. ``theta`` (M,). ``starts``.
    ``steps_of`` (updates,): how many real steps the batch of each update has.
    """

    steps: Array
    image: Callable[[Array], Array]
    special: dict[tuple[str, ...], list[Array]]
    theta: Array
    starts: Array
    steps_of: Array


def _scores(case: casebook.Case, theta: Array) -> Array:
    """z of every real step, (steps, S·A)."""
    obs, taken = case.obs[case.mask], case.actions[case.mask]
    z = np.zeros((len(obs), *theta.shape))
    z[np.arange(len(obs)), obs] = np.eye(theta.shape[1])[taken] - mdp.softmax(theta)[obs]
    return z.reshape(len(obs), -1)


def _in_loop(
    case: casebook.Case,
    lr: float,
    divide: bool,
    backwards: bool = False,
    episodes: bool = False,
    clear: bool = True,
) -> Array:
    """Stepping after each step's loss, or each episode's: (θ_end − θ)/lr."""
    weight = losses.reward_to_go(case.rewards, case.gamma)[case.mask]
    weight, theta, g = weight / (len(case.mask) if divide else 1), case.theta.copy(), 0.0
    parts = np.nonzero(case.mask)[0] if episodes else np.arange(len(weight))
    for part in np.unique(parts)[:: -1 if backwards else 1]:
        g = g * (not clear) + (weight[:, None] * _scores(case, theta))[parts == part].sum(0)
        theta += lr * g.reshape(theta.shape)
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

    def loops(**way) -> list[Array]:
        both = itertools.product((True, False), repeat=2)
        return [np.concatenate([_in_loop(*pair, *two, **way) for pair in pairs]) for two in both]

    special = {
        ("step_in_loop",): loops(),
        ("step_in_loop", "gradients_left_over"): loops(clear=False),
        ("step_per_episode",): loops(episodes=True),
        ("step_per_episode", "gradients_left_over"): loops(episodes=True, clear=False),
        ("last_step_only",): [
            np.concatenate([_last(case, divide) for case, _ in pairs]) for divide in (True, False)
        ],
    }
    theta = np.concatenate([case.theta.ravel() for case, _ in pairs])
    starts = np.cumsum([0] + [case.theta.size for case, _ in pairs[:-1]])
    steps_of = np.array([case.mask.sum() for case, _ in pairs])
    return Moves(steps, image, special, theta, starts, steps_of)


def probed() -> str:
    """In one sentence: on what ``audit_update`` looked."""
    chosen = casebook.update_cases()
    rates = " and ".join(f"{rate:g}" for rate in casebook.RATES)
    longest = max(case.mask.sum(-1).max() for case in chosen)
    return (
        f"{len(chosen)} batches of 1 or 2 episodes of up to {longest} steps, rewards of 0 in the "
        f"padding, rates {rates}. Nothing is said about what lies outside of these"
    )
