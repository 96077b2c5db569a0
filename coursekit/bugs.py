"""The wrong variants that people really write, with the arguments of ``losses.reinforce``.

Mutants for the tests, cases for the detective, cards for the clinic. Where the reward is constant
several are invisible. Shapes as in ``losses``: (…, B, T) -> (…).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from coursekit import guards
from coursekit.losses import Array, reinforce, reward_to_go, step_losses, sum_


def _with_weight(weight: Callable[[Array, float], Array]) -> Callable[..., Array]:
    def loss(logp: Array, rewards: Array, mask: Array, gamma: float) -> Array:
        return sum_(step_losses(logp, weight(rewards, gamma) * mask, mask), mask)

    return loss


def _next_return(rewards: Array, gamma: float) -> Array:
    weight = reward_to_go(rewards, gamma)
    weight[..., :-1], weight[..., -1] = weight[..., 1:] + 0.0, 0.0
    return weight


def _past_rewards(rewards: Array, gamma: float) -> Array:
    weight, G = rewards * 0.0, 0.0
    for t in range(rewards.shape[-1]):
        weight[..., t] = G = rewards[..., t] + gamma * G
    return weight


def from_start(rewards: Array, gamma: float, n: Array | None = None) -> Array:
    """Σ_{k<n−t} γ^k r_k: rewards[k] where rewards[t + k] is meant; (…, T), (…) -> (…, T).

    ``n`` are the lengths of padded episodes; left out, nothing is padded.
    """
    weight, earned, total = rewards * 0.0, rewards * 0.0, 0.0
    for t in range(rewards.shape[-1]):
        earned[..., t] = total = total + gamma**t * rewards[..., t]
    count = (rewards * 0.0 + 1.0).cumsum(-1)
    n = count[..., -1] if n is None else n
    for t in range(rewards.shape[-1]):  # the first n − t rewards stand in for the last n − t
        weight[..., t] = (earned * (count == (n - t)[..., None])).sum(-1)
    return weight


def _returns_from_start(logp: Array, rewards: Array, mask: Array, gamma: float) -> Array:
    weight = from_start(rewards, gamma, mask.sum(-1))
    return sum_(step_losses(logp, weight * mask, mask), mask)


def _within_episode(divide: bool) -> Callable[..., Array]:
    def loss(logp: Array, rewards: Array, mask: Array, gamma: float) -> Array:
        returns, n = reward_to_go(rewards, gamma), mask.sum(-1)[..., None]
        centred = (returns - returns.sum(-1)[..., None] / n) * mask
        deviation = ((centred**2).sum(-1)[..., None] / n) ** 0.5 + 1e-8
        return sum_(step_losses(logp, centred / deviation if divide else centred, mask), mask)

    return loss


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
    "returns_from_start": _returns_from_start,
    "past_rewards": _with_weight(_past_rewards),
    "next_return": _with_weight(_next_return),
    "immediate_reward": _with_weight(lambda rewards, gamma: rewards),
    "gamma_missing": _with_weight(lambda rewards, gamma: reward_to_go(rewards, 1.0)),
    "gamma_twice": _with_weight(lambda rewards, gamma: reward_to_go(rewards, gamma**2)),
    "centred_per_episode": _within_episode(divide=False),
    "standardised_per_episode": _within_episode(divide=True),
}


def variant(name: str | None) -> Callable[..., Array]:
    """The loss ``BUGS[name]``, or ``reinforce`` for None; ValueError lists the names."""
    if name is None:
        return reinforce
    guards.one_of("variant", name, BUGS)
    return BUGS[name]
