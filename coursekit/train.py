"""REINFORCE, the plain loop: the specification that every faster version must equal.

Streams: ``SeedSequence(seed).spawn(1 + 2 B)`` gives the initial weights, then for each lane its
environment and its actions, so that lane k sees the same numbers whatever B is.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from coursekit import baselines, guards, losses, policies, rollout

OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
SCHEDULES = {"constant": lambda k: 1.0, "inverse_root": lambda k: k**-0.5}  # of the k-th update


@dataclass(frozen=True, kw_only=True)
class Config(guards.Settings):
    """One training run, with the lesson's defaults. ValueError where a setting makes no sense."""

    env_id: str = "CartPole-v1"
    gamma: float = 0.99
    weight: str = "reward_to_go"  # or "whole_return"
    reduction: str = "sum"  # a key of losses.REDUCTIONS, or "loop"
    divisor: float = 100.0  # for "constant" alone
    baseline: str = "none"  # or "running_mean", "per_time_step"
    standardise: str = "none"  # or "per_episode", "per_batch"
    optimiser: str = "adam"  # or "sgd"
    lr: float = 0.01
    schedule: str = "constant"  # or "inverse_root": lr/√k in the k-th update
    clip: float = math.inf  # the largest norm of a gradient; a longer one is shortened to it
    normalise: bool = False  # every gradient to norm 1
    episodes: int = 1  # per update: B
    updates: int = 100
    hidden: tuple[int, ...] = (64,)  # (): none, a linear policy
    activation: str = "relu"  # or "tanh"

    def __post_init__(self) -> None:
        guards.text("env_id", self.env_id, "'CartPole-v1'")
        losses.known(self.reduction)
        for name, known in (
            ("weight", losses.WEIGHTS),
            ("baseline", baselines.BASELINES),
            ("standardise", baselines.STANDARDISE),
            ("optimiser", OPTIMISERS),
            ("schedule", SCHEDULES),
            ("activation", policies.ACTIVATIONS),
        ):
            guards.one_of(name, getattr(self, name), sorted(known))
        guards.fraction("gamma", self.gamma)
        for name in ("lr", "divisor"):
            guards.above_zero(name, getattr(self, name))
        guards.positive("clip", self.clip)
        guards.flag("normalise", self.normalise)
        for name in ("episodes", "updates"):
            guards.count(name, getattr(self, name))
        guards.widths("hidden", self.hidden)
        rollout.checked_id(self.env_id)
        if self.normalise and self.clip < math.inf:
            raise ValueError(f"clip {self.clip} with normalise, which undoes it; leave one out")
        alone = self.standardise == "per_batch" and self.episodes == 1
        if self.weight == "whole_return" and (self.standardise == "per_episode" or alone):
            raise ValueError(
                f"standardise {self.standardise!r} leaves nothing of weight 'whole_return', which "
                "is one number at every step of an episode; use 'reward_to_go', or 'per_batch' "
                "with several episodes"
            )


class Result(NamedTuple):
    """``returns`` and ``lengths`` (updates, B), undiscounted; ``params``: the trained dict.

    ``grad_norm`` (updates,): the norm of the gradient, before it is clipped or normalised.
    """

    returns: np.ndarray
    lengths: np.ndarray
    params: policies.Params
    grad_norm: np.ndarray


def progress_bar(count: int, *, show: bool = True, unit: str = "it", done: int = 0) -> tqdm:
    """``range(count)`` with a bar, which ``update`` moves as well; none under COURSEKIT_QUIET.

    On stdout, since JupyterLab paints red whatever is written to stderr.
    """
    hidden = not show or bool(os.environ.get("COURSEKIT_QUIET"))
    where = {"file": sys.stdout, "leave": False, "disable": hidden}
    return tqdm(range(count), unit=unit, initial=done, **where)


def move(optimiser: torch.optim.Optimizer, params: dict, config: Config, k: int) -> float:
    """The k-th step along what stands in .grad, k = 1, 2, …; returns its norm as it was given.

    Clipped by the global norm, g ← g · min(1, clip/‖g‖) (Pascanu et al. 2013), or normalised,
    g ← g/‖g‖; torch adds 1e-6 to ‖g‖, which is 0 where nothing is to be learnt.
    """
    norm = torch.nn.utils.clip_grad_norm_(params.values(), config.clip)
    for group in optimiser.param_groups:
        group["lr"] = config.lr * SCHEDULES[config.schedule](k)
    for value in params.values() if config.normalise else ():
        value.grad /= norm + 1e-6
    optimiser.step()
    return float(norm)


def train(config: Config, seed: int, *, progress: bool = False) -> Result:
    """θ ← θ + step along Σ_i Σ_t c_i ∇ log π(a_t|s_t) (w_t − b_t), c_i set by the reduction.

    The same seed gives the same numbers on the same machine. All episodes end by termination or by
    the environment's time limit; both are treated as the end (the finite-horizon return).
    ``progress`` draws a bar. ValueError for a seed that is no whole number of 0 or above, and
    for an environment that the policy cannot serve. Williams 1992.
    """
    seed = guards.checked_seed(seed)
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * config.episodes)
    lanes = rollout.make_lanes(config.env_id, for_lanes)
    policy = policies.policy_for(lanes[0].env, config.hidden, config.activation)
    params = policy.init(np.random.default_rng(for_weights))
    optimiser = OPTIMISERS[config.optimiser](params.values(), lr=config.lr)
    baseline, typical = baselines.BASELINES[config.baseline](), baselines.TypicalLength()
    returns, lengths, norms = [], [], []
    for k in progress_bar(config.updates, show=progress):
        batch = rollout.collect(policy, params, lanes)
        weight = losses.WEIGHTS[config.weight](batch.rewards, config.gamma)
        advantage = (weight - torch.from_numpy(baseline.values(weight.shape[1]))) * batch.mask
        advantage = baselines.STANDARDISE[config.standardise](advantage, batch.mask)
        baseline.update(weight, batch.mask)
        logp = policy.logp(params, batch.obs, batch.actions)
        optimiser.zero_grad()
        losses.backward(
            losses.step_losses(logp, advantage, batch.mask),
            batch.mask,
            config.reduction,
            divisor=config.divisor,
            length=typical.value,
        )
        typical.update(batch.lengths)
        norms.append(move(optimiser, params, config, k + 1))
        returns.append(batch.returns.numpy())
        lengths.append(batch.lengths.numpy())
    for lane in lanes:
        lane.env.close()
    return Result(np.array(returns), np.array(lengths), params, np.array(norms))
