"""The bench: a quick plan through the same code; every figure is checked against what it counts."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from coursekit import fast, mdp, train
from coursekit.publish import bench, execute


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The file of one quick bench; compiling cold takes too long here and is stood in for."""
    to = tmp_path_factory.mktemp("bench") / "build" / "bench.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "PREPARE", "import numba, os")
        patch.setattr(bench, "COMPILE", "assert not os.listdir(os.environ['NUMBA_CACHE_DIR'])")
        assert bench.bench(bench.QUICK, to) == 0
    return json.loads(to.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_key_names_its_unit_and_its_case(quick):
    units = r"(_seconds|_per_second)$|^ratio_.*_to_"
    assert all(re.search(units, key) for key in quick)
    assert {f"train_{a}_steps_per_second" for a in ("relu", "tanh")} < set(quick)
    for activation in ("relu", "tanh"):
        for name in ("1_thread", "2_threads"):
            assert f"train_many_{activation}_{name}_steps_per_second" in quick
            assert f"ratio_{activation}_train_many_{name}_to_train" in quick
    assert {"compile_cold_seconds", "compile_warm_seconds"} < set(quick)
    assert {"import_coursekit_seconds", "import_coursekit_fast_reinforce_seconds"} < set(quick)
    assert "enumerate_trajectories_per_second" in quick


@pytest.mark.slow
def test_every_figure_is_a_number_above_0(quick):
    assert all(isinstance(value, float) and 0 < value < np.inf for value in quick.values())


@pytest.mark.slow
def test_the_ratios_are_those_of_the_figures_in_the_same_file(quick):
    for activation in ("relu", "tanh"):
        one, two = (
            quick[f"train_many_{activation}_{name}_steps_per_second"]
            for name in ("1_thread", "2_threads")
        )
        plain = quick[f"train_{activation}_steps_per_second"]
        assert quick[f"ratio_{activation}_train_many_1_thread_to_train"] == one / plain
        assert quick[f"ratio_{activation}_train_many_2_threads_to_train"] == two / plain
        assert quick[f"ratio_{activation}_train_many_2_threads_to_1_thread"] == two / one


@pytest.mark.slow
def test_importing_the_package_is_free_and_importing_the_engine_is_not(quick):
    package, engine = (f"import_coursekit{name}_seconds" for name in ("", "_fast_reinforce"))
    assert quick[package] < quick[engine] / 5


def test_the_course_is_each_notebook_with_a_cache_of_its_own_and_their_sum(monkeypatch):
    given, warmed = [], []

    def run(path, target, seed, keep, more):
        given.append((path.stem, seed, keep, more["COURSEKIT_CACHE"]))
        return {"cpu_seconds": 1.5 * len(given), "error": None}

    monkeypatch.setattr(bench, "in_a_fresh_process", lambda *words: warmed.append(words))
    monkeypatch.setattr(execute, "run", run)
    monkeypatch.setattr(execute, "find", lambda names: [Path("00_a.ipynb"), Path("01_b.ipynb")])
    assert dict(bench.course()) == {
        "notebook_00_a_cpu_seconds": 1.5,
        "notebook_01_b_cpu_seconds": 3.0,
        "course_cpu_seconds": 4.5,
    }
    assert [row[:3] for row in given] == [("00_a", 0, False), ("01_b", 0, False)]
    assert warmed == [(bench.PREPARE, bench.COMPILE)]
    assert not Path(given[0][3]).exists()
    assert given[0][3] == given[1][3]

    monkeypatch.setattr(execute, "run", lambda *a, **k: {"cpu_seconds": 1.0, "error": "it fell"})
    with pytest.raises(OSError, match="notebook 00_a failed: it fell"):
        dict(bench.course())


def test_only_the_full_bench_runs_the_course():
    assert bench.FULL.course
    assert not bench.QUICK.course


class Clock:
    """A clock that stands still, but for what the measured code makes of it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(bench, "perf_counter", made)
    return made


def takes(clock, seconds, function):
    def slow(*args, **options):
        clock.now += seconds
        return function(*args, **options)

    return slow


def test_steps_are_those_of_the_environment_and_the_first_call_is_not_timed(clock, monkeypatch):
    plan = bench.QUICK._replace(seconds=9, updates=2, learners=3)
    config = bench.settings("tanh", 2)
    steps = [train.train(config, seed).lengths.sum() for seed in range(6)]
    assert len(set(steps)) > 1
    monkeypatch.setattr(train, "train", takes(clock, 4, train.train))
    assert bench.steps_of_train("tanh", plan) == sum(steps[:3]) / 12  # 4, 8, 12 ≥ 9 seconds
    monkeypatch.setattr(fast, "train_many", takes(clock, 5, fast.train_many))
    assert bench.steps_of_train_many("tanh", plan, threads=2) == sum(steps) / 10
    assert bench.steps_of_train_many("relu", plan, threads=1) != sum(steps) / 10


def test_the_activation_and_the_threads_are_handed_on_and_torchs_own_are_put_back(monkeypatch):
    given, real, before = [], fast.train_many, torch.get_num_threads()

    def spy(config, seeds, **options):
        given.append((config.activation, config.updates, list(seeds), options.get("threads")))
        return real(config, seeds, **options)

    monkeypatch.setattr(fast, "train_many", spy)
    bench.steps_of_train_many("tanh", bench.QUICK, threads=2)
    assert given == [("tanh", 1, [0], None), ("tanh", 3, [0, 1], 2)]
    bench.steps_of_train("relu", bench.QUICK)
    assert torch.get_num_threads() == before


def test_trajectories_are_counted_not_steps(clock, monkeypatch):
    monkeypatch.setattr(mdp, "enumerate_trajectories", takes(clock, 2, mdp.enumerate_trajectories))
    # each of 4^t live ways ends in 2 ways, or goes on in 4; at the horizon all 6 end
    assert bench.enumeration(3) == (2 + 4 * 2 + 16 * 6) / 2


def test_a_fresh_process_is_timed_without_its_preparation_and_says_why_it_failed():
    clock = "now = [0]; perf_counter = lambda: now[0]"
    assert bench.in_a_fresh_process(f"{clock}; now[0] += 5", "pass") == 0
    assert bench.in_a_fresh_process(clock, "now[0] += 5") == 5
    with pytest.raises(OSError, match=r"'1/0' failed: ZeroDivisionError: division by zero"):
        bench.in_a_fresh_process("pass", "1/0")


def test_numba_starts_from_the_folder_given(tmp_path):
    code = f"assert os.environ['NUMBA_CACHE_DIR'] == {str(tmp_path)!r}"
    bench.in_a_fresh_process("import os", code, str(tmp_path))
    with pytest.raises(OSError, match=r"KeyError|AssertionError"):
        bench.in_a_fresh_process("import os", code, None)


def test_the_statements_of_the_full_bench_are_python():
    for text in (bench.PREPARE, bench.COMPILE, bench.IMPORT.format("coursekit")):
        compile(text, "statement", "exec")


@pytest.mark.parametrize(
    ("value", "text"), [(5146089.3, "5,146,089"), (1.8949, "1.89"), (99.996, "100.00")]
)
def test_a_figure_is_shown_short(value, text):
    assert bench.shown(value) == text


def test_a_row_is_printed_as_soon_as_it_is_measured(monkeypatch, tmp_path, capsys):
    def two(plan):
        yield "first_seconds", 1.0
        assert "first seconds" in capsys.readouterr().out
        yield "second_seconds", 2.0

    monkeypatch.setattr(bench, "measure", two)

    bench.bench(bench.QUICK, tmp_path / "bench.json")

    assert json.loads((tmp_path / "bench.json").read_text()) == {
        "first_seconds": 1.0,
        "second_seconds": 2.0,
    }
