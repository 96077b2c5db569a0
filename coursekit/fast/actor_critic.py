"""``coursekit.actor_critic.train`` again, compiled: many learners on threads, the same numbers.

In float64 learner k equals ``actor_critic.train(config, seeds[k])``, whoever else is in the batch.
Axes: ``L`` learners, ``U`` updates, ``B`` episodes, ``O`` observation, ``H`` hidden, ``A`` action.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from coursekit import actor_critic as specification
from coursekit import guards, train
from coursekit.actor_critic import Config
from coursekit.fast import actor_critic_kernel as kernel
from coursekit.fast import backprop, envs

CHUNK = 5  # updates between two looks at the progress bar


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

    ValueError for an environment that is not compiled, and as ``own_seeds`` says.
    """
    seeds = guards.own_seeds(seeds)
    envs.spec(config.env_id)
    total = len(seeds) * config.updates
    bar = train.progress_bar(total, show=progress, unit="update")
    with ThreadPoolExecutor(max(1, threads)) as pool, bar:
        runs = list(pool.map(lambda seed: _one(config, seed, bar), seeds))
    logs, actors, critics = zip(*runs, strict=True)
    returns, lengths = (np.array(column) for column in zip(*logs, strict=True))
    return Many(returns, lengths, list(actors), list(critics))


def _one(config: Config, seed: int, bar: tqdm) -> tuple:
    """One learner: draw its random numbers, run the compiled loop, refill, run on."""
    spec, B, U = envs.spec(config.env_id), config.episodes, config.updates
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * B)
    env_seeds = [int(stream.generate_state(1)[0]) for stream in for_lanes[::2]]
    starts = [envs.reset(config.env_id, np.random.default_rng(s), U + 1) for s in env_seeds]
    rngs = [np.random.default_rng(stream) for stream in for_lanes[1::2]]
    noise = np.empty((B, 8 * spec.limit))
    stream = kernel.Stream(
        # the first reset is the one that seeds; as in train, it is never played
        states=np.stack([states[1:] for states, _ in starts], axis=1),
        obs=np.stack([obs[1:] for _, obs in starts], axis=1),
        noise=noise,
        cursor=np.full(B, noise.shape[1]),
    )
    setting = _setting(config, spec)
    policy, value = specification.initial(config, np.random.default_rng(for_weights))
    log_std = policy["log_std"].detach().numpy() if setting.gaussian else np.zeros(1)
    actor, critic = _part(_network(policy)), _part(_network(value))
    spread = kernel.Part(log_std, *(np.zeros(1) for _ in range(3)))
    batch = _batch(B, B * spec.limit, spec, config.hidden)
    log = kernel.Log(np.zeros((U, B)), np.zeros((U, B), dtype=np.int64))
    done = 0
    while done < U:
        for lane, rng in enumerate(rngs):  # keep what is unused, draw what was used
            used = stream.cursor[lane]
            noise[lane, : noise.shape[1] - used] = noise[lane, used:].copy()
            fresh = rng.standard_normal(used) if setting.gaussian else rng.random(used)
            noise[lane, noise.shape[1] - used :] = fresh
        stream.cursor[:] = 0
        before, stop = done, min(U, done + CHUNK)
        done = kernel.learn(setting, actor, spread, critic, batch, stream, log, done, stop)
        bar.update(done - before)
    named = _named(actor.net, setting) | ({"log_std": log_std} if setting.gaussian else {})
    return log, named, _named(critic.net, setting)


def _network(params: dict) -> backprop.Network:
    w0, b0, w1, b1 = (params[name].detach().numpy() for name in ("w0", "b0", "w1", "b1"))
    return backprop.Network(np.ascontiguousarray(w0.T), b0, w1, b1)


def _named(net: backprop.Network, setting: kernel.Setting) -> dict[str, np.ndarray]:
    return {"w0": net.w0.T / setting.scale, "b0": net.b0, "w1": net.w1, "b1": net.b1}


def _part(net: backprop.Network) -> kernel.Part:
    zeros = (backprop.Network(*(np.zeros_like(x) for x in net)) for _ in range(3))
    return kernel.Part(net, *zeros)


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
