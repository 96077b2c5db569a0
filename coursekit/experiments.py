"""A grid is data: a tuple of settings, run for many seeds into one tidy table.

``seeds`` for a purpose, ``grid``, ``run``; ``tune`` gives each arm its own rate and reports it on
other seeds; ``score`` says what many learners say together.

Shapes: ``L`` learners (seeds), ``U`` updates, ``B`` episodes of an update. Finished pieces are kept
on disk (see ``coursekit.fast.cache``: where, how large, how to clear it), so that a run that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from coursekit import actor_critic, fast, guards, stats, streams, train
from coursekit.fast.cache import Arrays, Cache

CHUNK = 16  # learners of one piece of work
WINDOW = 20  # neighbours in rate that are judged together
Config = train.Config | actor_critic.Config
Rates = Callable[[Config], Sequence[float]]
seeds, stream = streams.seeds, streams.stream


def names(config: Config | type) -> tuple[str, ...]:
    """The fields of a config, or of a kind of it."""
    return tuple(field.name for field in dataclasses.fields(config))


FIELDS = {*names(train.Config), *names(actor_critic.Config)}


class Curves(NamedTuple):
    """One config, all seeds: ``returns``, ``lengths`` (L, U, B), ``grad_norm`` (L, U).

    Of ``actor_critic`` no ``grad_norm`` is kept: (L, 0).
    """

    returns: np.ndarray
    lengths: np.ndarray
    grad_norm: np.ndarray


class Runs(NamedTuple):
    """``table``: a row per (config, seed); ``curves[config]``: what it was made from.

    Columns: every field of the config, ``seed``, ``steps`` (of the environment, in all), and those
    of ``measures``.
    """

    table: pd.DataFrame
    curves: dict[Config, Curves]

    def only(self, **fields: Any) -> Config:
        """The one config that has these values, such as ``reduction="sum"``; else ValueError."""
        first = next(iter(self.curves))
        _known(fields, first)
        found = [c for c in self.curves if all(getattr(c, k) == v for k, v in fields.items())]
        if len(found) != 1:
            left = [k for k in names(first) if len({getattr(c, k) for c in found}) > 1]
            say = f"; say also which: {', '.join(left)}" if found else ""
            raise ValueError(f"{len(found)} configs have {fields}, not one{say}")
        return found[0]

    def values(self, column: str, **fields: Any) -> np.ndarray:
        """A column of ``table`` for the config that ``only`` finds, in the order of the seeds."""
        position = list(self.curves).index(self.only(**fields))
        count = len(self.table) // len(self.curves)
        return self.table[column].to_numpy()[position * count : (position + 1) * count]


class Best(NamedTuple):
    """What ``best_rate`` finds: the rate, the best score of a window, whether it is at an edge."""

    rate: float
    score: float
    edge: bool


class Tuned(NamedTuple):
    """``sweep``: the tuning seeds, a rate each; ``report``: other seeds, each arm at its best rate.

    ``best``: a row an arm, the fields of its config with that rate, and ``score`` and ``edge``.
    """

    sweep: Runs
    report: Runs
    best: pd.DataFrame

    def hill(self, metric: str = "area", window: int = WINDOW, **fields: Any) -> tuple:
        """``stats.sliding`` of ``metric`` against the rate, for one arm of the sweep."""
        lr, values = (self.sweep.values(column, **fields) for column in ("lr", metric))
        return stats.sliding(lr, values, window)


def grid(base: Config | None = None, **axes: Iterable) -> tuple[Config, ...]:
    """``base`` with every combination of the values given for its fields, the last axis fastest.

    ``grid(train.Config(), reduction=["sum", "step_mean"], lr=[.01, .03])`` has four configs; grids
    are joined by ``+``. ``base``: of ``train`` (the default) or of ``actor_critic``. ValueError: a
    field that it does not have, no values, a value that it refuses.
    """
    base = train.Config() if base is None else base
    if not isinstance(base, Config):
        raise ValueError(f"base {base!r} is no Config; give one, such as train.Config(lr=0.01)")
    _known(axes, base)
    values = {}
    for name, given in axes.items():
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ValueError(f"{name}={given!r} must be a list of values, such as [{given!r}]")
        values[name] = [x.item() if isinstance(x, np.generic) else x for x in given]
        if not values[name]:
            raise ValueError(f"{name} has no values, so the grid is empty; give at least one")
    return tuple(
        dataclasses.replace(base, **dict(zip(values, chosen, strict=True)))
        for chosen in itertools.product(*values.values())
    )


def run(
    grid: Sequence[Config],
    seeds: Sequence[int],
    *,
    rates: Rates | None = None,
    jobs: int = 2,
    progress: bool = True,
    cache: Path | str | bool | None = None,
) -> Runs:
    """Train every config with every seed by ``fast.train_many``, on ``jobs`` threads.

    The work goes through joblib in pieces of ``CHUNK`` seeds: another backend that can return a
    generator (loky, Dask) is chosen outside, by ``joblib.parallel_config(backend=…)``. ``cache``:
    the folder; None for the usual one; False for none. Ctrl-C keeps every finished piece. The bar
    is silent where COURSEKIT_QUIET is set. ``rates(config)`` gives each seed a rate of its own, in
    place of ``config.lr``: a sweep, of which ``lr`` in the table is the x-axis.
    ValueError: an empty grid, no seeds, repeated ones, another number of rates than of seeds, and
    what is no list, no seed, no rate or no number of threads; nothing has run then.
    """
    grid, seeds = checked(grid, seeds)
    if jobs is not None and (not guards.is_whole(jobs) or jobs == 0):
        raise ValueError(
            f"jobs {jobs!r} must be a number of threads, such as 2; -1 is all there are"
        )
    by_config = {config: rates_of(config, seeds, rates) for config in grid}
    cuts = [slice(i, i + CHUNK) for i in range(0, len(seeds), CHUNK)]
    pieces = [(c, seeds[cut], by_config[c][cut]) for cut in cuts for c in grid]  # all configs early
    store = Cache(cache)
    found = {}
    for piece in pieces:
        if (arrays := store.load(key(*piece))) is not None:
            found[piece] = arrays
    bar = train.progress_bar(len(pieces), show=progress, done=len(found))
    workers = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    try:
        for piece, arrays in workers(delayed(work)(*p) for p in pieces if p not in found):
            store.save(key(*piece), arrays)
            found[piece] = arrays
            bar.update()
    except KeyboardInterrupt:
        kept = f"kept in {store.place}: the same call goes on from there" if store.open else "lost"
        raise KeyboardInterrupt(f"{len(found)} of {len(pieces)} pieces are {kept}") from None
    finally:
        bar.close()
    store.trim()
    parts = {config: [found[piece] for piece in pieces if piece[0] == config] for config in grid}
    curves = {
        config: Curves(*map(np.concatenate, zip(*part, strict=True)))
        for config, part in parts.items()
    }
    frames = [rows(config, seeds, by_config[config], curve) for config, curve in curves.items()]
    return Runs(pd.concat(frames, ignore_index=True), curves)


def tune(
    grid: Sequence[Config],
    tuning: Sequence[int],
    reporting: Sequence[int],
    rates: Rates,
    *,
    metric: str = "area",
    window: int = WINDOW,
    **how: Any,
) -> Tuned:
    """Each config at its own best rate: tuned on some seeds, reported on others.

    Every tuning seed has a rate of its own, ``rates(config)``; ``best_rate`` chooses; then ``run``
    on the reporting seeds. ``how``: ``jobs``, ``progress``, ``cache`` of ``run``. ValueError: seeds
    in both lists, configs that differ in nothing but ``lr``, and as in ``run`` and ``best_rate``.
    """
    grid, tuning = checked(grid, tuning)
    if both := sorted(set(tuning) & set(checked(grid, reporting)[1])):
        raise ValueError(f"seeds {both} both tune and report; a lucky rate would report its luck")
    if len({dataclasses.replace(config, lr=1.0) for config in grid}) < len(grid):
        raise ValueError("configs differ in lr alone; tune chooses it: give each arm once")
    sweep = run(grid, tuning, rates=rates, **how)
    rows, final = [], []
    for config in grid:
        lr, values = (sweep.values(column, **vars(config)) for column in ("lr", metric))
        rate, score, edge = best_rate(lr, values, window)
        final.append(dataclasses.replace(config, lr=rate))
        rows.append(vars(final[-1]) | {"score": score, "edge": edge})
    return Tuned(sweep, run(final, reporting, **how), pd.DataFrame(rows))


def best_rate(lr: np.ndarray, values: np.ndarray, window: int = WINDOW) -> Best:
    """The rate for one arm, from learners at many rates; (n,), (n,) -> three numbers.

    A window is ``window`` neighbours in rate, its score their interquartile mean. The rate is the
    (geometric) middle of all windows whose score, with its standard error added, reaches the best:
    two windows that tie, or nearly, move it by little, whichever is ahead. ``edge``: the first or
    the last window is among them, so that wider rates may hold a better one.
    ValueError as in ``stats.sliding``.
    """
    middle, score, *_ = stats.sliding(lr, values, window)
    sorted_ = np.asarray(values, dtype=float)[np.argsort(lr)]
    error = stats.trimmed_error(np.lib.stride_tricks.sliding_window_view(sorted_, window))
    good = score + error >= score.max()
    rate = float(np.exp(np.log(middle[good]).mean()))
    return Best(rate, float(score.max()), bool(good[0] or good[-1]))


def work(config: Config, seeds: tuple[int, ...], rates: tuple[float, ...]) -> tuple[tuple, Arrays]:
    """One piece: what it was, and ``returns, lengths, grad_norm`` of its learners."""
    if isinstance(config, train.Config):
        many = fast.train_many(config, seeds, lr=rates, threads=1)
        return (config, seeds, rates), (many.returns, many.lengths, many.grad_norm)
    each = [
        fast.train_many(dataclasses.replace(config, lr=rate), [seed], threads=1)
        for seed, rate in zip(seeds, rates, strict=True)
    ]
    returns, lengths = (np.concatenate([m[k] for m in each]) for k in (0, 1))
    return (config, seeds, rates), (returns, lengths, np.empty((len(seeds), 0)))


def key(config: Config, seeds: tuple[int, ...], rates: tuple[float, ...]) -> str:
    """The algorithm, all settings, the seeds and their rates as one text."""
    settings = dataclasses.asdict(config) | {"seeds": seeds, "lr": rates}
    settings["algorithm"] = type(config).__module__
    return json.dumps(settings, default=np.generic.item)


def rates_of(config: Config, seeds: tuple[int, ...], rates: Rates | None) -> tuple[float, ...]:
    """One rate a seed: those asked for, or the config's own; ValueError for another number."""
    if rates is None:
        return (float(config.lr),) * len(seeds)
    if not callable(rates):
        raise ValueError(f"rates {rates!r} must be a function: config -> one rate for each seed")
    given = guards.listed("rates(config)", rates(config), "[0.01, 0.02], one rate for each seed")
    if len(given) != len(seeds):
        raise ValueError(f"{len(given)} rates given for {len(seeds)} seeds; give one for each")
    for rate in given:
        guards.above_zero("lr", rate)
    return tuple(float(rate) for rate in given)


def checked(grid, seeds) -> tuple[tuple[Config, ...], tuple[int, ...]]:
    """Both as tuples; ValueError where one is empty or repeats itself."""
    grid = tuple(guards.listed("grid", grid, "[config] or what experiments.grid gives"))
    seeds = tuple(guards.checked_seeds(seeds))
    if not grid or not seeds:
        raise ValueError(f"a grid of {len(grid)} configs and {len(seeds)} seeds: nothing to run")
    if wrong := [x for x in grid if not isinstance(x, Config)]:
        raise ValueError(f"{wrong[0]!r} is no train.Config; make the grid by experiments.grid")
    if len({type(x) for x in grid}) > 1:
        raise ValueError("configs of train and of actor_critic are mixed; run one grid of each")
    if isinstance(grid[0], train.Config):
        grid = tuple(dataclasses.replace(config, hidden=tuple(config.hidden)) for config in grid)
    for what, given in (("seeds", seeds), ("configs", grid)):
        if twice := sorted({str(x) for x in given if given.count(x) > 1}):
            raise ValueError(
                f"{what} repeat: {', '.join(twice)}. A learner counted twice makes intervals too "
                "narrow; give each once"
            )
    return grid, seeds


def rows(
    config: Config, seeds: tuple[int, ...], rates: tuple[float, ...], curve: Curves
) -> pd.DataFrame:
    """The rows of one config."""
    settings = {name: [getattr(config, name)] * len(seeds) for name in names(config)}
    steps = curve.lengths.sum((1, 2))
    settings["lr"] = rates
    return pd.DataFrame({**settings, "seed": seeds, "steps": steps, **measures(curve.returns)})


def measures(returns: np.ndarray) -> dict[str, np.ndarray]:
    """What one curve is worth, by learner: (L, U, B) -> each (L,). A sixth is ⌈U/6⌉ updates.

    ``area``: mean episode return over the whole training; ``first``, ``last``: over the first and
    the last sixth; ``peak``: over the best sixth in a row. ``collapsed``: it had clearly learned
    and lost more than half of it. With m and s the mean and the standard deviation of all returns
    of update 0, all learners together (the untrained level and the spread of its episodes):
    peak − m > s, and last − m < (peak − m)/2. Differences, so that negative returns are served.
    """
    curve = returns.mean(-1)
    sixth = -(-curve.shape[1] // 6)
    total = np.cumsum(np.pad(curve, ((0, 0), (1, 0))), axis=1)
    peak = ((total[:, sixth:] - total[:, :-sixth]) / sixth).max(1)
    last = curve[:, -sixth:].mean(1)
    gained = peak - returns[:, 0].mean()
    lost = last - returns[:, 0].mean() < gained / 2
    return {
        "area": curve.mean(1),
        "first": curve[:, :sixth].mean(1),
        "last": last,
        "peak": peak,
        "collapsed": (gained > returns[:, 0].std()) & lost,
    }


def score(
    table: pd.DataFrame, by: Sequence[str], seed: int, metric: str = "area", level: float = 0.95
) -> pd.DataFrame:
    """For each arm (a combination of ``by``): n, the interquartile mean, its bootstrap interval.

    Columns: those of ``by``, ``n``, ``metric``, ``low``, ``high``. ValueError: a column that is not
    there, an arm that mixes several configs, fewer than 4 seeds.
    """
    found = []
    for arm, values in arms(table, by, metric):
        interval = stats.bootstrap_interval(values, seed, level=level)
        found.append((*arm, len(values), stats.interquartile_mean(values), *interval))
    return pd.DataFrame(found, columns=[*by, "n", metric, "low", "high"])


def arms(table: pd.DataFrame, by: Sequence[str], metric: str) -> list[tuple[tuple, np.ndarray]]:
    """The values of ``metric`` arm by arm, one for each seed; ValueError as ``score`` says."""
    if missing := [name for name in [*by, metric, "seed"] if name not in table]:
        raise ValueError(f"no column {missing}; the table has {list(table)}")
    if table.duplicated([*by, "seed"]).any():
        own = [name for name in table if name in FIELDS and name not in by]
        varies = [name for name in own if table[name].nunique() > 1]
        raise ValueError(f"an arm of {list(by)} mixes configs; add to by what varies: {varies}")
    groups = table.groupby(list(by), sort=False)[metric]
    return [(arm, values.to_numpy()) for arm, values in groups]


def _known(fields: dict, config: Config) -> None:
    if unknown := sorted(set(fields) - set(names(config))):
        raise ValueError(f"{', '.join(unknown)} unknown; choose from: {', '.join(names(config))}")
