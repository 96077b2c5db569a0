"""``coursekit.actor_critic.train`` again, compiled: many learners on threads, the same numbers.

In float64 learner k equals ``actor_critic.train(config, seeds[k])``, whoever else is in the batch.
Axes: ``L`` learners, ``U`` updates, ``B`` episodes, ``O`` observation, ``H`` hidden, ``A`` action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from coursekit import actor_critic as specification
from coursekit import guards, train
from coursekit.actor_critic import Config
from coursekit.fast import actor_critic_kernel as kernel
from coursekit.fast import backprop, envs, lanes


class Many(NamedTuple):
    """``returns``, ``lengths`` (L, U, B), of the environment's own rewards.

    ``policies``, ``critics``: a dict of arrays a learner, named as in ``policies``.
    """

    returns: np.ndarray
    lengths: np.ndarray
    policies: list[dict[str, np.ndarray]]
    critics: list[dict[str, np.ndarray]]


def train_many(
    config: Config,
    seeds: Sequence[int],
    *,
    threads: int = 2,
    progress: bool = False,
) -> Many:
    """Learner k is ``actor_critic.train(config, seeds[k])``.

    ValueError for a number of threads that is none, for an environment that is not compiled, and as
    ``own_seeds`` says.
    """
    guards.count("threads", threads)
    seeds = guards.own_seeds(seeds)
    envs.spec(config.env_id)
    bar = train.progress_bar(len(seeds) * config.updates, show=progress, unit="update")
    runs = lanes.many(lambda k, moved: _one(config, seeds[k], moved), len(seeds), threads, bar)
    logs, actors, critics = zip(*runs, strict=True)
    returns, lengths = (np.array(column) for column in zip(*logs, strict=True))
    return Many(returns, lengths, list(actors), list(critics))


def _one(config: Config, seed: int, moved: Callable) -> tuple[kernel.Log, dict, dict]:
    """One learner: its arrays, and the compiled loop on its lanes."""
    spec, shape = envs.spec(config.env_id), (config.updates, config.episodes)
    setting = _setting(config, spec)
    batch = _batch(config.episodes, config.episodes * spec.limit, spec, config.hidden)
    log, parts = kernel.Log(np.zeros(shape), np.zeros(shape, dtype=np.int64)), []

    def prepare(rng: np.random.Generator) -> Callable:
        parts.extend(map(backprop.part, specification.initial(config, rng)))
        return lambda stream, done: kernel.learn(setting, *parts, batch, stream, log, done)

    lanes.run(config.env_id, seed, shape, prepare, moved, normal=setting.gaussian)
    actor, critic = (backprop.named(part.net) for part in parts)
    for named in (actor, critic):
        named["w0"] = named["w0"] / setting.scale
    return log, actor | ({"log_std": parts[0].rest} if setting.gaussian else {}), critic


def _batch(B: int, rows: int, spec: envs.Spec, hidden: int) -> kernel.Batch:
    A = max(1, spec.actions)
    return kernel.Batch(
        obs=np.empty((rows, spec.obs)),
        four=np.zeros((rows if spec.obs <= 4 else 0, 4)),
        hidden=np.empty((rows, hidden)),
        dout=np.empty((rows, A)),
        dspread=np.empty((rows, A)),
        reward=np.empty(rows),
        weight=np.empty(rows),
        target=np.empty(rows),
        value=np.empty((rows, 1)),
        critic_hidden=np.empty((rows, hidden)),
        after=np.empty(B),
        one=np.ones((rows, 1)),
    )


def _setting(config: Config, spec: envs.Spec) -> kernel.Setting:
    return kernel.Setting(
        env=spec.number,
        limit=spec.limit,
        gaussian=spec.actions == 0,
        gamma=float(config.gamma),
        lam=float(config.lam),
        critic=bool(config.critic),
        at_limit=kernel.AT_LIMIT[config.at_limit],
        potential=kernel.POTENTIAL[config.potential],
        reduction=kernel.REDUCTION[config.reduction],
        adam=config.optimiser == "adam",
        lr=float(config.lr),
        anneal=bool(config.anneal),
        critic_lr=float(config.critic_lr),
        critic_steps=int(config.critic_steps),
        scale=specification.scale(config),
    )
