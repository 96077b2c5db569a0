"""``train`` again, compiled: many learners, several million steps a second, the same numbers.

One learner is a plain compiled loop over the steps that it really takes (``reinforce_kernel``);
learners run on threads. In float64 learner k equals ``train(config, seeds[k])``, whoever else is in
the batch.
Axes: ``L`` learners, ``U`` updates, ``B`` episodes, ``O`` observation, ``H`` hidden, ``A`` actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from coursekit import guards, policies, train
from coursekit.fast import backprop, envs, lanes
from coursekit.fast import reinforce_kernel as kernel


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
    bar = train.progress_bar(len(seeds) * config.updates, show=progress, unit="update")
    runs = lanes.many(
        lambda k, moved: _one(config, seeds[k], float(rates[k]), moved), len(seeds), threads, bar
    )
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


def _one(
    config: train.Config, seed: int, lr: float, moved: Callable
) -> tuple[kernel.Log, dict[str, np.ndarray]]:
    """One learner: its arrays, and the compiled loop on its lanes."""
    spec, shape = envs.spec(config.env_id), (config.updates, config.episodes)
    policy = policies.SoftmaxPolicy(
        obs_size=spec.obs,
        actions=spec.actions,
        hidden=tuple(config.hidden),
        activation=config.activation,
    )
    setting = _setting(config, spec, lr)
    batch = kernel.batch(config.episodes * spec.limit, spec, config.hidden[0])
    memory = kernel.memory(spec.limit)
    log = kernel.Log(np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(config.updates))
    params = {}

    def prepare(rng: np.random.Generator) -> Callable:
        part = backprop.part(policy.init(rng))
        params.update(backprop.named(part.net))
        return lambda stream, done: kernel.learn(setting, part, batch, memory, stream, log, done)

    lanes.run(config.env_id, seed, shape, prepare, moved)
    return log, params


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
