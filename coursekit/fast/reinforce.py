"""``train`` again, compiled: many learners, several million steps a second, the same numbers.

One learner is a plain compiled loop over the steps that it really takes (``reinforce_kernel``);
learners run on threads. In float64 learner k equals ``train(config, seeds[k])``, whoever else is in
the batch.
Axes: ``L`` learners, ``U`` updates, ``B`` episodes, ``O`` observation, ``H`` hidden, ``A`` actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from coursekit import guards, policies, train
from coursekit.fast import backprop, envs
from coursekit.fast import reinforce_kernel as kernel

AHEAD = 16  # how many whole episodes' worth of uniform numbers are drawn at once


class Many(NamedTuple):
    """``returns``, ``lengths`` (L, U, B); ``grad_norm`` (L, U); ``params``: a dict a learner."""

    returns: np.ndarray
    lengths: np.ndarray
    grad_norm: np.ndarray
    params: list[dict[str, np.ndarray]]


def train_many(
    config: train.Config,
    seeds: Sequence[int],
    lr: float | Sequence[float] | None = None,
    *,
    threads: int = 2,
    progress: bool = False,
) -> Many:
    """Learner k is ``train(config, seeds[k])`` with the rate ``lr[k]`` (default: the config's).

    The same streams, the same order of operations up to rounding: equal episode lengths,
    parameters to 1e-9 over dozens of updates. "loop" runs as "sum", which notebook 03 proves equal.
    Raises ValueError for what is no config, for no, repeated or wrong seeds, rates not above 0, an
    environment that is not compiled, and for other than one hidden layer.
    """
    guards.instance("config", config, train.Config, "train.Config(lr=0.01)")
    guards.count("threads", threads)
    seeds = guards.own_seeds(seeds)
    rates = np.full(len(seeds), config.lr) if lr is None else guards.reals("lr", lr)
    rates = np.broadcast_to(rates, len(seeds)) if rates.ndim == 0 else rates
    _guard(config, seeds, rates)
    bar = train.progress_bar(len(seeds), show=progress, unit="learner")
    runs = []
    with ThreadPoolExecutor(threads) as pool, bar:
        for run in pool.map(lambda k: _one(config, seeds[k], float(rates[k])), range(len(seeds))):
            runs.append(run)
            bar.update()
    logs, params = zip(*runs, strict=True)
    return Many(*(np.array(column) for column in zip(*logs, strict=True)), list(params))


def _guard(config: train.Config, seeds: list[int], rates: np.ndarray) -> None:
    if rates.shape != (len(seeds),):
        raise ValueError(f"lr has shape {rates.shape}; give one rate, or {len(seeds)} of them")
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ValueError(f"lr {rates} must be above 0 and finite")
    envs.spec(config.env_id)
    if len(config.hidden) != 1:
        raise ValueError(f"hidden {config.hidden}: compiled for one hidden layer; use train.train")


def _one(config: train.Config, seed: int, lr: float) -> tuple[kernel.Log, dict[str, np.ndarray]]:
    """One learner: draw its random numbers, run the compiled loop, refill, run on."""
    spec, B, U = envs.spec(config.env_id), config.episodes, config.updates
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * B)
    env_seeds = [int(stream.generate_state(1)[0]) for stream in for_lanes[::2]]
    starts = [envs.reset(config.env_id, np.random.default_rng(s), U + 1) for s in env_seeds]
    rngs = [np.random.default_rng(stream) for stream in for_lanes[1::2]]
    uniform = np.empty((B, AHEAD * spec.limit))
    stream = kernel.Stream(
        # the first reset is the one that seeds; as in train, it is never played
        states=np.stack([states[1:] for states, _ in starts], axis=1),
        obs=np.stack([obs[1:] for _, obs in starts], axis=1),
        uniform=uniform,
        cursor=np.full(B, uniform.shape[1]),
    )
    net = _network(config, spec, np.random.default_rng(for_weights))
    grad, mean, square = (backprop.Network(*(np.zeros_like(x) for x in net)) for _ in range(3))
    rows = B * spec.limit
    batch = kernel.Batch(
        obs=np.empty((rows, spec.obs)),
        hidden=np.empty((rows, config.hidden[0])),
        dlogits=np.empty((rows, spec.actions)),
        weight=np.empty(rows),
    )
    memory = kernel.Memory(np.zeros(spec.limit), np.zeros(spec.limit), np.array([np.inf, 0.0]))
    log = kernel.Log(np.zeros((U, B)), np.zeros((U, B), dtype=np.int64), np.zeros(U))
    setting = _setting(config, spec, lr)
    done = 0
    while done < U:
        for lane, rng in enumerate(rngs):  # keep what is unused, draw what was used
            used = stream.cursor[lane]
            uniform[lane, : uniform.shape[1] - used] = uniform[lane, used:].copy()
            uniform[lane, uniform.shape[1] - used :] = rng.random(used)
        stream.cursor[:] = 0
        done = kernel.learn(setting, net, grad, mean, square, batch, memory, stream, log, done)
    return log, {"w0": net.w0.T.copy(), "b0": net.b0, "w1": net.w1, "b1": net.b1}


def _network(config: train.Config, spec: envs.Spec, rng: np.random.Generator) -> backprop.Network:
    policy = policies.SoftmaxPolicy(
        obs_size=spec.obs,
        actions=spec.actions,
        hidden=tuple(config.hidden),
        activation=config.activation,
    )
    w0, b0, w1, b1 = (value.detach().numpy() for value in policy.init(rng).values())
    return backprop.Network(np.ascontiguousarray(w0.T), b0, w1, b1)


def _setting(config: train.Config, spec: envs.Spec, lr: float) -> kernel.Setting:
    return kernel.Setting(
        env=spec.number,
        limit=spec.limit,
        gamma=float(config.gamma),
        whole=config.weight == "whole_return",
        reduction=kernel.REDUCTION[config.reduction],
        divisor=float(config.divisor) if config.reduction == "constant" else 1.0,
        baseline=kernel.BASELINE[config.baseline],
        standardise=kernel.STANDARDISE[config.standardise],
        adam=config.optimiser == "adam",
        tanh=config.activation == "tanh",
        lr=lr,
        inverse_root=config.schedule == "inverse_root",
        clip=float(config.clip),
        normalise=bool(config.normalise),
    )
