"""The wrong variants that people really write, with the arguments of ``losses.reinforce``.

Mutants for the tests, cases for the detective, cards for the clinic. Where the reward is constant
several are invisible. Shapes as in ``losses``: (…, B, T) -> (…).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from coursekit import guards
from coursekit.losses import Array, reinforce, reward_to_go, step_losses, sum_


def _next_return(rewards: Array, mask: Array, gamma: float) -> Array:
    weight = reward_to_go(rewards, gamma)
    weight[..., :-1], weight[..., -1] = weight[..., 1:] + 0.0, 0.0
    return weight


def _past_rewards(rewards: Array, mask: Array, gamma: float) -> Array:
    weight, G = rewards * 0.0, 0.0
    for t in range(rewards.shape[-1]):
        weight[..., t] = G = rewards[..., t] + gamma * G
    return weight


def from_start(rewards: Array, gamma: float, n: Array | None = None) -> Array:
    """Σ_{k<n−t} γ^k r_k: rewards[k] where rewards[t + k] is meant; (…, T), (…) -> (…, T).

    ``n`` are the lengths of padded episodes; left out, nothing is padded.
    """
    powers = rewards * 0.0 + gamma  # γ^t by a product: 0^0 is 1, in both libraries
    powers[..., 0] = 1.0
    earned = (rewards * powers.cumprod(-1)).cumsum(-1)
    t = (rewards == rewards).cumsum(-1) - 1
    n = t[..., -1] + 1 if n is None else n
    last = n[..., None] - 1 - t  # the first n − t rewards stand in for the last n − t
    last = last * (last >= 0)
    if hasattr(earned, "gather"):
        return earned.gather(-1, last)
    return np.take_along_axis(earned, last, -1)


def _within_episode(divide: bool) -> Callable[..., Array]:
    def weight(rewards: Array, mask: Array, gamma: float) -> Array:
        returns, n = reward_to_go(rewards, gamma), mask.sum(-1)[..., None]
        centred = (returns - returns.sum(-1)[..., None] / n) * mask
        deviation = ((centred**2).sum(-1)[..., None] / n) ** 0.5 + 1e-8
        return centred / deviation if divide else centred

    return weight


# What stands in the place of the reward-to-go: name -> (rewards, mask, γ) -> weight, (…, B, T).
WEIGHTS: dict[str, Callable[..., Array]] = {
    "returns_from_start": lambda rewards, mask, gamma: from_start(rewards, gamma, mask.sum(-1)),
    "past_rewards": _past_rewards,
    "next_return": _next_return,
    "immediate_reward": lambda rewards, mask, gamma: rewards,
    "gamma_missing": lambda rewards, mask, gamma: reward_to_go(rewards, 1.0),
    "gamma_twice": lambda rewards, mask, gamma: reward_to_go(rewards, gamma**2),
    "centred_per_episode": _within_episode(divide=False),
    "standardised_per_episode": _within_episode(divide=True),
}


def _weighted(
    logp: Array, rewards: Array, mask: Array, gamma: float, weight: Callable[..., Array]
) -> Array:
    return sum_(step_losses(logp, weight(rewards, mask, gamma) * mask, mask), mask)


def _mean_logp_times_sum_return(logp: Array, rewards: Array, mask: Array, gamma: float) -> Array:
    returns = reward_to_go(rewards, gamma)
    return -((logp * mask).sum(-1) / mask.sum(-1) * returns.sum(-1)).mean(-1)


BUGS: dict[str, Callable[..., Array]] = {
    "wrong_sign": lambda logp, rewards, mask, gamma: -reinforce(logp, rewards, mask, gamma),
    "no_log": lambda logp, rewards, mask, gamma: reinforce(logp.exp(), rewards, mask, gamma),
    "episode_mean": partial(reinforce, reduction="episode_mean"),
    "mask_forgotten": lambda logp, rewards, mask, gamma: step_losses(
        logp, reward_to_go(rewards, gamma), mask
    ).mean((-2, -1)),
    "mean_logp_times_sum_return": _mean_logp_times_sum_return,
    **{name: partial(_weighted, weight=weight) for name, weight in WEIGHTS.items()},
}


def variant(name: str | None) -> Callable[..., Array]:
    """The loss ``BUGS[name]``, or ``reinforce`` for None; ValueError lists the names."""
    if name is None:
        return reinforce
    guards.one_of("variant", name, BUGS)
    return BUGS[name]


# --- Mistakes that a loss on one's own batch does not show. The first setting of each is wrong.


def with_critic(
    logp: Array, rewards: Array, mask: Array, gamma: float, values: Array, detach: bool = False
) -> Array:
    """Weight G_t − V_t; without ``detach`` the policy's loss teaches the critic; (B, T) -> ()."""
    advantage = reward_to_go(rewards, gamma) - (values.detach() if detach else values)
    return sum_(step_losses(logp, advantage * mask, mask), mask)


def ppo(
    logp: Array,
    rewards: Array,
    mask: Array,
    gamma: float,
    pick: str = "maximum",
    width: float = 0.2,
) -> Array:
    """−min(ρ A, clip(ρ) A) with ρ = π/π_old, where ``pick`` is "minimum"; (B, T) -> ().

    π_old is this very policy, detached, as in the first pass over a batch: every ρ is 1, no clip
    acts, and the minimum and the maximum have one gradient. Schulman and others 2017.
    """
    ratio, A = (logp - logp.detach()).exp(), reward_to_go(rewards, gamma)
    each = getattr(ratio * A, pick)(ratio.clip(1 - width, 1 + width) * A)
    return -(each * mask).sum(-1).mean(-1)


def with_kl(
    logp: Array, rewards: Array, mask: Array, gamma: float, coefficient: float = -1e-3
) -> Array:
    """``reinforce`` and ``coefficient`` times a KL to two even actions: it is added; (B, T) -> ().

    ½ (log π − log ½)² has the gradient of the KL in expectation. Schulman 2020 (k2).
    """
    k2 = 0.5 * (logp - np.log(0.5)) ** 2 * mask
    return reinforce(logp, rewards, mask, gamma) + coefficient * sum_(k2, mask)


def micro_batches(logp: Array, rewards: Array, mask: Array, gamma: float, size: int = 2) -> Array:
    """The mean of the means over the steps of ``size`` episodes; None: of all; (B, T) -> ()."""
    losses, n = step_losses(logp, reward_to_go(rewards, gamma), mask), mask.shape[-2]
    parts = [slice(i, i + (size or n)) for i in range(0, n, size or n)]
    return sum(losses[part].sum() / mask[part].sum() for part in parts) / len(parts)
