"""A learned baseline and generalised advantages: the second algorithm, as a specification.

In torch on ``gymnasium.make``, short and slow; it has a compiled twin, its equal by test. New
against ``train``: a critic V(s), advantages by GAE, a Gaussian or a softmax head, a potential.
Streams are those of ``train``: weights (actor, then critic), then for each lane its environment and
its actions. Axes: ``B`` episodes, ``T`` time, ``O`` observation, ``A`` action.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from coursekit import guards, policies, rollout

Array = Any
REDUCTIONS = ("sum", "episode_mean", "step_mean")
AT_LIMIT = ("nothing", "value", "potential")
# Largest values of the observations: the networks see obs / SCALE, so that no input is tiny.
SCALE = {"MountainCar-v0": (1.0, 0.07), "Pendulum-v1": (1.0, 1.0, 8.0)}


def energy(obs: Array) -> float:
    """Φ(s) = 100 · min(0, (E − E_flag) / (E_flag − E_valley)), a potential for MountainCar; (2,).

    E = v²/2 + (0.0025/3) sin 3x is what a car without engine keeps. Φ is −100 at rest in the
    valley and 0 with enough energy for the flag: a rough count of the steps that are still to go.
    """
    hill = 0.0025 / 3.0
    flag, valley = hill * math.sin(1.5), -hill
    kept = 0.5 * obs[1] * obs[1] + hill * math.sin(3.0 * obs[0])
    return 100.0 * min(0.0, (kept - flag) / (flag - valley))


POTENTIALS = {"none": lambda obs: 0.0, "energy": energy}


@dataclass(frozen=True, kw_only=True)
class Config(guards.Settings):
    """One training run. ValueError where a setting makes no sense.

    ``critic`` False: V = 0. ``at_limit``: what stands for the future where the clock cuts an
    episode: "nothing", the critic's "value", or what the "potential" leaves over.
    """

    env_id: str = "Pendulum-v1"
    gamma: float = 0.95
    lam: float = 0.9
    critic: bool = True
    at_limit: str = "value"  # or "nothing", "potential"
    potential: str = "none"  # or "energy", for MountainCar
    reduction: str = "sum"  # or "episode_mean", "step_mean"
    optimiser: str = "adam"  # or "sgd"
    lr: float = 0.003  # of the actor
    anneal: bool = False  # the actor's rate rises over a tenth of the updates and falls over all
    critic_lr: float = 0.003
    critic_steps: int = 1  # steps of the critic in an update
    episodes: int = 64  # per update: B
    updates: int = 100
    hidden: int = 64  # relu units, of the actor and of the critic

    def __post_init__(self) -> None:
        guards.text("env_id", self.env_id, "'CartPole-v1'")
        rollout.sizes(self.env_id)
        for name, known in (
            ("at_limit", AT_LIMIT),
            ("potential", POTENTIALS),
            ("reduction", REDUCTIONS),
            ("optimiser", ("sgd", "adam")),
        ):
            guards.one_of(name, getattr(self, name), known)
        for name in ("gamma", "lam"):
            guards.fraction(name, getattr(self, name))
        for name in ("lr", "critic_lr"):
            guards.above_zero(name, getattr(self, name))
        for name in ("critic_steps", "episodes", "updates", "hidden"):
            guards.count(name, getattr(self, name))
        for name in ("critic", "anneal"):
            guards.flag(name, getattr(self, name))
        if self.potential == "energy" and self.env_id != "MountainCar-v0":
            raise ValueError(f"potential 'energy' is MountainCar-v0's, not {self.env_id}'s")
        if self.at_limit == "value" and not self.critic:
            raise ValueError("at_limit 'value' needs a critic; use 'nothing', or critic=True")
        if self.at_limit == "potential" and self.potential == "none":
            raise ValueError("at_limit 'potential' needs a potential; use 'energy' or 'nothing'")


class Result(NamedTuple):
    """``returns``, ``lengths`` (updates, B), of the environment's own rewards; both parameters.

    The parameters are those for observations as they are: w0 has taken up the scale.
    """

    returns: np.ndarray
    lengths: np.ndarray
    policy: policies.Params
    critic: policies.Params


def gae(
    rewards: Array, values: Array, after: Array, mask: Array, gamma: float, lam: float
) -> Array:
    """A_t = δ_t + γλ A_{t+1}, with δ_t = r_t + γ V(s_{t+1}) − V(s_t); (…, T) -> (…, T).

    ``after`` (…,) stands for V(s_n) after the last real step: 0 where the episode terminated. Where
    the time limit cut it, 0 makes a finite-horizon return of it, the critic's value of the state
    reached an estimate of what was still to come (Pardo et al. 2018). Padding gives zero.
    λ = 1: reward-to-go − V(s_t), plus γ^{n−t} ``after``. Schulman et al. 2016, equation 16.
    ValueError where rewards, values and mask disagree in shape.
    """
    if rewards.shape != values.shape or rewards.shape != mask.shape:
        shapes = tuple(rewards.shape), tuple(values.shape), tuple(mask.shape)
        raise ValueError(f"rewards, values and mask disagree: {shapes}")
    advantages, A = rewards * 0.0, 0.0
    following = after
    for t in reversed(range(rewards.shape[-1])):
        real = mask[..., t]
        A = (rewards[..., t] + gamma * following - values[..., t] + gamma * lam * A) * real
        following = values[..., t] * real + following * ~real
        advantages[..., t] = A
    return advantages


def policy_for(config: Config) -> policies.SoftmaxPolicy | policies.GaussianPolicy:
    """Softmax where the environment's actions are choices, Gaussian where one is a torque."""
    (obs, actions), hidden = rollout.sizes(config.env_id), (config.hidden,)
    if actions:
        return policies.SoftmaxPolicy(obs_size=obs, actions=actions, hidden=hidden)
    return policies.GaussianPolicy(obs_size=obs, action_size=1, hidden=hidden)


def initial(config: Config, rng: np.random.Generator) -> tuple[policies.Params, policies.Params]:
    """The actor's parameters, then the critic's, from one generator."""
    policy = policy_for(config).init(rng)
    return policy, policies.init_layers(rng, (rollout.sizes(config.env_id)[0], config.hidden, 1))


def scale(config: Config) -> np.ndarray:
    """What observations are divided by before the networks see them; (O,)."""
    return np.array(SCALE.get(config.env_id, (1.0,) * rollout.sizes(config.env_id)[0]))


def value(critic: policies.Params, obs: Array) -> torch.Tensor:
    """V(s); (…, O) -> (…)."""
    return policies.network(critic, obs, 2, "relu")[..., 0]


def train(config: Config, seed: int) -> Result:
    """Actor: θ ← θ + step along Σ_i Σ_t c_i ∇ log π(a_t|s_t) A_t. Critic: towards A_t + V(s_t).

    The advantages use the critic as it was before this batch. Same seed, same numbers.
    ValueError for a seed that is no whole number of 0 or above.
    """
    for_weights, *for_lanes = np.random.SeedSequence(guards.checked_seed(seed)).spawn(
        1 + 2 * config.episodes
    )
    lanes = rollout.make_lanes(config.env_id, for_lanes)
    policy = policy_for(config)
    params, critic = initial(config, np.random.default_rng(for_weights))
    method = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[config.optimiser]
    actor_opt = method(params.values(), lr=config.lr)
    critic_opt = method(critic.values(), lr=config.critic_lr)
    returns, lengths = [], []
    for k in range(config.updates):
        for group in actor_opt.param_groups if config.anneal else ():
            rise, fall = min(1, 10 * (k + 1) / config.updates), 1 - k / config.updates
            group["lr"] = config.lr * rise * fall
        played = [_play(config, policy, params, lane) for lane in lanes]
        returns.append([sum(episode.rewards) for episode in played])
        lengths.append([len(episode.rewards) for episode in played])
        actor_loss, targets = 0.0, []
        for episode in played:
            A, target = _advantage(config, critic, episode)
            actions = torch.from_numpy(np.array(episode.actions))
            logp = policy.logp(params, np.array(episode.obs) / scale(config), actions)
            n, N = len(A), sum(lengths[-1])
            B = config.episodes
            divisor = {"sum": B, "episode_mean": B * n, "step_mean": N}[config.reduction]
            actor_loss = actor_loss - (logp * A).sum() / divisor
            targets.append(target)
        actor_opt.zero_grad()
        actor_loss.backward()
        actor_opt.step()
        obs = np.concatenate([episode.obs for episode in played]) / scale(config)
        for _ in range(config.critic_steps if config.critic else 0):
            critic_opt.zero_grad()
            (0.5 * (value(critic, obs) - torch.cat(targets)) ** 2).mean().backward()
            critic_opt.step()
    for lane in lanes:
        lane.env.close()
    for trained in (params, critic):
        trained["w0"] = trained["w0"].detach() / torch.from_numpy(scale(config))
    return Result(np.array(returns), np.array(lengths), params, critic)


class _Episode(NamedTuple):
    obs: list
    actions: list
    rewards: list[float]
    terminated: bool
    last: np.ndarray  # the observation after the last step


def _play(config: Config, policy: Any, params: policies.Params, lane: rollout.Lane) -> _Episode:
    obs, _ = lane.env.reset()
    seen, actions, rewards, ended = [], [], [], False
    while not ended:
        seen.append(np.asarray(obs, dtype=np.float64))
        scaled = seen[-1] / scale(config)
        with torch.no_grad():
            if isinstance(policy, policies.GaussianPolicy):
                action = policy.sample(params, scaled, lane.rng.standard_normal(1)).numpy()
            else:
                action = policies.draw(policy.logits(params, scaled), lane.rng.random())
        given = action.astype(np.float32) if isinstance(action, np.ndarray) else action
        obs, reward, terminated, truncated, _ = lane.env.step(given)
        ended = terminated or truncated
        actions.append(action)
        rewards.append(float(reward))
    return _Episode(seen, actions, rewards, terminated, np.asarray(obs, dtype=np.float64))


def _advantage(
    config: Config, critic: policies.Params, episode: _Episode
) -> tuple[torch.Tensor, torch.Tensor]:
    """GAE of one episode and the critic's targets; (n,), (n,)."""
    states, n = np.array([*episode.obs, episode.last]), len(episode.rewards)
    phi = np.array([POTENTIALS[config.potential](obs) for obs in states])
    if episode.terminated or config.at_limit == "nothing":
        phi[n] = 0.0  # an end: the potential must be 0 there
    given = torch.tensor(episode.rewards, dtype=torch.float64)  # its default is float32
    rewards = given + torch.from_numpy(config.gamma * phi[1:] - phi[:-1])
    with torch.no_grad():
        values = value(critic, states / scale(config)) * config.critic
    after = values[n] * (not episode.terminated and config.at_limit == "value")
    mask = torch.ones(n, dtype=torch.bool)
    A = gae(rewards, values[:n], after, mask, config.gamma, config.lam)
    return A, A + values[:n]
