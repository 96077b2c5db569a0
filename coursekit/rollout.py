"""Playing episodes: lanes of Gymnasium environments in, a padded batch with a mask out.

Axes: ``B`` episodes, ``T`` time (the longest episode), ``O`` observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from coursekit import guards, policies


class Episodes(NamedTuple):
    """A batch of episodes. Padding is zero; ``mask`` says "this step is real".

    ``obs`` (B, T, O) float64, ``actions`` (B, T) int64, ``rewards`` (B, T) float64,
    ``mask`` (B, T) bool, ``terminated`` (B,) bool: the episode ended by itself,
    ``truncated`` (B,) bool: the time limit cut it. The two are never merged (Pardo et al. 2018).
    """

    obs: Tensor
    actions: Tensor
    rewards: Tensor
    mask: Tensor
    terminated: Tensor
    truncated: Tensor

    @property
    def lengths(self) -> Tensor:
        """n_i, in steps; (B,)."""
        return self.mask.sum(-1)

    @property
    def returns(self) -> Tensor:
        """The undiscounted return of each episode, Σ_t r_t; (B,)."""
        return self.rewards.sum(-1)


class Episode(NamedTuple):
    """One episode before padding: lists of equal length, and how it ended."""

    obs: list
    actions: list[int]
    rewards: list[float]
    terminated: bool
    truncated: bool


class Lane(NamedTuple):
    """One environment with the generator that draws its actions."""

    env: gymnasium.Env
    rng: np.random.Generator


def make(env_id: str) -> gymnasium.Env:
    """``gymnasium.make``, the only place that makes environments; ValueError for an unknown id."""
    try:
        return gymnasium.make(env_id)
    except (gymnasium.error.Error, ImportError, TypeError, AssertionError) as error:
        raise ValueError(
            f"environment id {env_id!r} does not exist or cannot be made: {error} "
            "(ids look like 'CartPole-v1'; `gymnasium.pprint_registry()` lists them)"
        ) from error


@cache
def checked_id(env_id: str) -> None:
    """ValueError for an environment that does not exist or that the softmax policy cannot serve.

    A good one is made once in a process and remembered.
    """
    env = make(env_id)
    policies.policy_for(env)
    env.close()


@cache
def sizes(env_id: str) -> tuple[int, int]:
    """The width of an observation and the number of actions, 0 standing for one real number.

    ValueError for an environment that does not exist, and for other observations or actions.
    """
    env = make(env_id)
    box, torque = env.observation_space, env.action_space
    env.close()
    if isinstance(torque, gymnasium.spaces.Box) and torque.shape == (1,) and len(box.shape) == 1:
        return box.shape[0], 0
    policy = policies.policy_for(env)
    return policy.obs_size, policy.actions


def make_lanes(env_id: str, streams: Sequence[np.random.SeedSequence]) -> list[Lane]:
    """One lane for each pair of streams (environment, actions), seeded once, kept over updates.

    ValueError for an odd number of streams, or none, and for an unknown environment.
    """
    streams = guards.listed("streams", streams, "np.random.SeedSequence(0).spawn(2)")
    for stream in streams:
        guards.instance("stream", stream, np.random.SeedSequence, "np.random.SeedSequence(0)")
    if not streams or len(streams) % 2:
        raise ValueError(f"{len(streams)} streams given; a lane needs two: environment, actions")
    lanes = []
    for for_env, for_actions in zip(streams[::2], streams[1::2], strict=True):
        env = make(env_id)
        env.reset(seed=int(for_env.generate_state(1)[0]))
        lanes.append(Lane(env, np.random.default_rng(for_actions)))
    return lanes


def play(lane: Lane, policy: policies.SoftmaxPolicy, params: policies.Params) -> Episode:
    """One whole episode, from reset to terminated or truncated. ValueError for what is no lane."""
    guards.instance("lane", lane, Lane, "rollout.make_lanes(…)[0]")
    obs, _ = lane.env.reset()
    seen, actions, rewards, terminated, truncated = [], [], [], False, False
    while not (terminated or truncated):
        seen.append(np.asarray(obs, dtype=np.float64))
        with torch.no_grad():
            action = policies.draw(policy.logits(params, seen[-1]), lane.rng.random())
        obs, reward, terminated, truncated, _ = lane.env.step(action)
        actions.append(action)
        rewards.append(float(reward))
    return Episode(seen, actions, rewards, terminated, truncated)


def watch(env_id: str, act: Callable[[Any], Any], seed: int, episodes: int = 1) -> list[Episode]:
    """Whole episodes in a row on ``make(env_id)``, seeded once, of whatever ``act(obs)`` does.

    Nothing is learned and nothing drawn here: a policy that draws has a generator of its own.
    ValueError for an unknown environment, a bad seed, and no episodes.
    """
    guards.count("episodes", episodes)
    seed, env, found = guards.checked_seed(seed), make(env_id), []
    for k in range(episodes):
        obs, _ = env.reset(seed=seed) if k == 0 else env.reset()
        seen, actions, rewards, terminated, truncated = [], [], [], False, False
        while not (terminated or truncated):
            seen.append(np.asarray(obs, dtype=np.float64))
            actions.append(act(obs))
            obs, reward, terminated, truncated, _ = env.step(actions[-1])
            rewards.append(float(reward))
        found.append(Episode(seen, actions, rewards, terminated, truncated))
    env.close()
    return found


def stack(episodes: Sequence[Episode]) -> Episodes:
    """Pad episodes to the longest. ValueError: none, an empty one, unequal lists, bad rewards."""
    episodes = guards.listed("episodes", episodes, "[rollout.play(…)]")
    if not episodes:
        raise ValueError("no episodes to stack; give at least one")
    for i, episode in enumerate(episodes):
        guards.instance("episode", episode, Episode, "rollout.play(…)")
        n = len(episode.obs), len(episode.actions), len(episode.rewards)
        if 0 in n:
            raise ValueError(f"episode {i} is empty (obs, actions, rewards: {n}); leave it out")
        if len(set(n)) > 1:
            raise ValueError(f"episode {i} has unequal numbers of obs, actions, rewards: {n}")
        rewards = guards.reals(f"rewards of episode {i}", episode.rewards)
        if not np.isfinite(rewards).all():
            t = int(np.flatnonzero(~np.isfinite(rewards))[0])
            raise ValueError(f"episode {i} has reward {episode.rewards[t]} at t = {t}")
    B, T = len(episodes), max(len(episode.rewards) for episode in episodes)
    obs = np.zeros((B, T, *np.shape(episodes[0].obs[0])))
    actions, rewards = np.zeros((B, T), dtype=np.int64), np.zeros((B, T))
    for i, episode in enumerate(episodes):
        n = len(episode.rewards)
        if not all(guards.is_whole(action) for action in episode.actions):
            raise ValueError(f"actions of episode {i} must be whole numbers, not {episode.actions}")
        seen = guards.finite(f"obs of episode {i}", episode.obs)
        if seen.shape[1:] != obs.shape[2:]:
            raise ValueError(
                f"episode {i} has observations of shape {seen.shape[1:]}, episode 0 of "
                f"{obs.shape[2:]}; give episodes of one environment"
            )
        obs[i, :n], actions[i, :n], rewards[i, :n] = seen, episode.actions, episode.rewards
    lengths = np.array([len(episode.rewards) for episode in episodes])
    return Episodes(
        obs=torch.from_numpy(obs),
        actions=torch.from_numpy(actions),
        rewards=torch.from_numpy(rewards),
        mask=torch.from_numpy(np.arange(T) < lengths[:, None]),
        terminated=torch.tensor([episode.terminated for episode in episodes]),
        truncated=torch.tensor([episode.truncated for episode in episodes]),
    )


def collect(
    policy: policies.SoftmaxPolicy, params: policies.Params, lanes: Sequence[Lane]
) -> Episodes:
    """One episode from each lane, stacked; B = len(lanes)."""
    return stack([play(lane, policy, params) for lane in lanes])
