"""What it costs here: steps per second, compiling, enumerating, importing; CPU-seconds a notebook.

All but the notebooks is the wall-clock time of this very run on this very machine: compare ratios,
and figures of one run only. The learning problem is CartPole, B = 1, Adam, γ = 1, 64 hidden units.
``train_many`` is timed in turns on one and two threads; the best turn of each counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "import {}"
PREPARE = "import numba; from coursekit import fast, train"
COMPILE = "fast.train_many(train.Config(updates=1), [0])"
THREADS = {1: "1_thread", 2: "2_threads"}


class Plan(NamedTuple):
    """How long each speed is measured, and T of the enumeration."""

    seconds: float = 2.5
    updates: int = 300
    learners: int = 32
    horizon: int = 10
    turns: int = 2
    course: bool = True  # the notebooks as well


FULL = Plan()
QUICK = Plan(seconds=0.0, updates=3, learners=2, horizon=4, turns=1, course=False)


def bench(plan: Plan = FULL, to: Path = ROOT / "build" / "bench.json") -> int:
    """Print the table row by row, as it is measured; write it to ``to``; returns 0.

    A key of the file names the unit and the case: ``train_many_relu_2_threads_steps_per_second``.
    """
    found: dict[str, float] = {}
    for key, value in measure(plan):
        found[key] = value
        print(f"{key.replace('_', ' '):<52}{shown(value):>14}", flush=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"Written to {to}")
    return 0


def shown(value: float) -> str:
    """Whole numbers with commas from 100 on, two decimals below."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def measure(plan: Plan) -> Iterator[tuple[str, float]]:
    """Every key with its value, one after the other."""
    for module in ("coursekit", "coursekit.fast.reinforce"):
        seconds = in_a_fresh_process("pass", IMPORT.format(module))
        yield f"import_{module.replace('.', '_')}_seconds", seconds
    with tempfile.TemporaryDirectory() as empty:
        for case in ("cold", "warm"):
            yield f"compile_{case}_seconds", in_a_fresh_process(PREPARE, COMPILE, empty)
    yield "enumerate_trajectories_per_second", enumeration(plan.horizon)
    for activation in ("relu", "tanh"):
        slow = steps_of_train(activation, plan)
        yield f"train_{activation}_steps_per_second", slow
        fast = dict.fromkeys(THREADS, 0.0)
        for threads in [*THREADS] * plan.turns:
            speed = steps_of_train_many(activation, plan, threads)
            fast[threads] = max(fast[threads], speed)
        for threads, name in THREADS.items():
            yield f"train_many_{activation}_{name}_steps_per_second", fast[threads]
        for threads, name in THREADS.items():
            yield f"ratio_{activation}_train_many_{name}_to_train", fast[threads] / slow
        yield f"ratio_{activation}_train_many_2_threads_to_1_thread", fast[2] / fast[1]
    if plan.course:
        yield from course()


def course() -> Iterator[tuple[str, float]]:
    """CPU-seconds of each notebook and of all, nothing taken from the cache of earlier runs.

    Machine code is compiled before. OSError where a notebook fails.
    """
    from coursekit.publish import execute

    in_a_fresh_process(PREPARE, COMPILE)
    total, paths = 0.0, execute.find([])
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            own = {"COURSEKIT_CACHE": f"{folder}/cache"}
            row = execute.run(path, Path(folder) / path.name, seed=0, keep=False, more=own)
            if row["error"]:
                raise OSError(f"notebook {path.stem} failed: {row['error']}")
            total += row["cpu_seconds"]
            yield f"notebook_{path.stem}_cpu_seconds", row["cpu_seconds"]
    yield "course_cpu_seconds", total


def in_a_fresh_process(before: str, statement: str, numba_cache: str | None = None) -> float:
    """Seconds that ``statement`` takes in a new interpreter, ``before`` it untimed.

    OSError with what the interpreter said last where it fails.
    """
    code = (
        f"from time import perf_counter\n{before}\nstart = perf_counter()\n{statement}\n"
        "print(perf_counter() - start)"
    )
    places = {"NUMBA_CACHE_DIR": numba_cache} if numba_cache else {}
    words = [sys.executable, "-c", code]
    run = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **places}, capture_output=True, text=True
    )
    if run.returncode:
        raise OSError(f"{statement!r} failed: {(run.stderr.splitlines() or ['no message'])[-1]}")
    return float(run.stdout.split()[-1])


def enumeration(horizon: int) -> float:
    """Trajectories per second of ``mdp.enumerate_trajectories``: S = 2, A = 2, every way open."""
    from coursekit import mdp

    P = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 2))
    process = mdp.FiniteMDP(P=P, R=np.ones((2, 2)), rho=[1, 0], horizon=horizon)
    start = perf_counter()
    count = len(mdp.enumerate_trajectories(process).env_prob)
    return count / (perf_counter() - start)


def settings(activation: str, updates: int):
    """The learning problem of this module."""
    from coursekit import train

    return train.Config(gamma=1.0, lr=0.01, updates=updates, activation=activation)


def steps_of_train(activation: str, plan: Plan) -> float:
    """Steps per second of ``train.train`` on one core, one learner after the other."""
    import torch

    from coursekit import train

    config, threads = settings(activation, plan.updates), torch.get_num_threads()
    train.train(settings(activation, 1), 0)  # the first optimiser of a process imports for a second
    torch.set_num_threads(1)  # matrices this small only wait for a second thread
    try:
        return repeated(lambda k: train.train(config, k).lengths, plan.seconds)
    finally:
        torch.set_num_threads(threads)


def steps_of_train_many(activation: str, plan: Plan, threads: int) -> float:
    """Steps per second of ``fast.train_many``, compiled before the clock starts."""
    from coursekit import fast

    config, n = settings(activation, plan.updates), plan.learners
    fast.train_many(settings(activation, 1), [0])

    def run(k: int) -> np.ndarray:
        return fast.train_many(config, range(k * n, (k + 1) * n), threads=threads).lengths

    return repeated(run, plan.seconds)


def repeated(run: Callable[[int], np.ndarray], seconds: float) -> float:
    """Steps per second of ``run(0)``, ``run(1)``, … until ``seconds`` have gone by."""
    start, steps, k, elapsed = perf_counter(), 0, 0, 0.0
    while k == 0 or elapsed < seconds:
        steps += int(run(k).sum())
        elapsed, k = perf_counter() - start, k + 1
    return steps / elapsed
