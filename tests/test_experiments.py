"""Grids, runs and their table; what an interruption, damage and a full disk leave behind."""

import _thread
import dataclasses
import errno
import os
import re
import signal
import threading
import time

import joblib
import numpy as np
import pandas as pd
import pytest

from coursekit import actor_critic, experiments, fast, stats, train
from coursekit.fast import reinforce
from coursekit.train import Config

SMALL = Config(episodes=3, updates=7, hidden=(5,), lr=0.02)
SEEDS = range(20, 40)  # two pieces: 16 seeds and 4


def arrays_of(config, seed):
    """One learner of the stand-in: numbers that only this config and this seed have."""
    own = [seed, config.episodes, round(1e6 * config.lr), len(config.reduction)]
    rng = np.random.default_rng(own)
    shape = (config.updates, config.episodes)
    lengths = rng.integers(1, 60, shape)
    return -0.5 * lengths, lengths, rng.random(config.updates)


class Trainer:
    """A stand-in for ``fast.train_many`` that counts; ``before(number)`` may get in the way."""

    def __init__(self):
        self.calls, self.before, self.lock = [], lambda number: None, threading.Lock()

    def __call__(self, config, seeds, lr, *, threads):
        assert threads == 1
        assert len(lr) == len(seeds)
        with self.lock:
            self.calls.append((config, tuple(seeds), tuple(lr)))
            number = len(self.calls)
        self.before(number)
        pairs = zip(seeds, lr, strict=True)
        each = (arrays_of(dataclasses.replace(config, lr=rate), seed) for seed, rate in pairs)
        columns = zip(*each, strict=True)
        return reinforce.Many(*map(np.array, columns), params=[])


@pytest.fixture
def trainer(monkeypatch, tmp_path):
    """The stand-in, and an empty cache."""
    made = Trainer()
    monkeypatch.setattr(fast, "train_many", made)
    monkeypatch.setenv("COURSEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSEKIT_QUIET", "1")
    return made


def six():
    return experiments.grid(SMALL, reduction=["sum", "episode_mean"], lr=[0.01, 0.02, 0.04])


# The grid


def test_a_grid_is_every_combination_the_last_axis_fastest():
    found = [(c.reduction, c.lr) for c in six()]
    assert found == [(r, lr) for r in ("sum", "episode_mean") for lr in (0.01, 0.02, 0.04)]
    assert {dataclasses.replace(c, reduction="sum", lr=0.02) for c in six()} == {SMALL}
    assert experiments.grid() == (Config(),)
    assert experiments.grid(hidden=[(3,), (4,)])[1].hidden == (4,)


def test_numpy_values_become_plain_ones():
    (first, *_) = experiments.grid(lr=np.geomspace(0.01, 0.1, 3), episodes=np.array([2]))
    assert type(first.lr) is float
    assert type(first.episodes) is int


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"lrate": [1], "b": [2]}, "b, lrate unknown; choose from: env_id, gamma, weight"),
        ({"lr": []}, "lr has no values, so the grid is empty"),
        ({"reduction": "sum"}, "reduction='sum' must be a list of values, such as ['sum']"),
        ({"lr": 0.1}, "lr=0.1 must be a list of values, such as [0.1]"),
        ({"lr": [0.1, -1]}, "lr -1 must be above 0"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(axes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        experiments.grid(**axes)


@pytest.mark.parametrize(
    ("grid", "seeds", "message"),
    [
        ((), [1], "a grid of 0 configs and 1 seeds: nothing to run"),
        ((SMALL,), [], "a grid of 1 configs and 0 seeds: nothing to run"),
        ((SMALL,), [1, 2, 1, 3, 3], "seeds repeat: 1, 3."),
        ((SMALL,), [1, np.uint32(1)], "seeds repeat: 1."),
        ((SMALL, Config(), SMALL), [1], "configs repeat: Config(env_id='CartPole-v1'"),
        ((SMALL,), [1, 2.5], "seed 2.5 must be a whole number"),
        ((SMALL,), [-1], "seed -1 must be a whole number, 0 or above"),
        ((SMALL,), [0, True], "seed True must be a whole number, 0 or above"),
        ((SMALL,), 5, "seeds 5 must be a list, such as [0, 1, 2] or range(8)"),
        (
            SMALL,
            [1],
            "hidden=(5,), activation='relu') must be a list, such as [config] or what exp",
        ),
        ([{"lr": 1}], [1], "{'lr': 1} is no train.Config"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused_before_anything_runs(grid, seeds, message, trainer):
    with pytest.raises(ValueError, match=re.escape(message)):
        experiments.run(grid, seeds)
    assert trainer.calls == []


# The table and the curves


def test_the_table_has_a_row_for_each_config_and_seed_with_its_own_numbers(trainer):
    table, curves = experiments.run(six(), SEEDS)
    assert len(table) == 6 * 20
    assert not table.duplicated(["reduction", "lr", "seed"]).any()
    assert set(experiments.names(SMALL)) <= set(table)
    for row in table.sample(15, random_state=1).to_dict("records"):
        config = Config(**{name: row[name] for name in experiments.names(SMALL)})
        returns, lengths, norms = arrays_of(config, row["seed"])
        assert row["area"] == pytest.approx(returns.mean())
        assert row["steps"] == lengths.sum()
        learner = list(SEEDS).index(row["seed"])
        for kept, own in zip(curves[config], (returns, lengths, norms), strict=True):
            np.testing.assert_array_equal(kept[learner], own)


def test_the_order_of_grid_and_seeds_changes_no_number(trainer):
    table, _ = experiments.run(six(), SEEDS, cache=False)
    other, _ = experiments.run(six()[::-1], list(SEEDS)[::-1], cache=False, jobs=1)
    order = ["reduction", "lr", "seed"]
    pd.testing.assert_frame_equal(
        table.sort_values(order, ignore_index=True), other.sort_values(order, ignore_index=True)
    )


def test_a_list_of_widths_serves_as_a_tuple(trainer):
    (config,) = experiments.run([dataclasses.replace(SMALL, hidden=[5])], range(4)).curves
    assert config == SMALL


@pytest.mark.slow
def test_it_trains_what_train_trains(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_CACHE", str(tmp_path))
    grid = experiments.grid(SMALL, reduction=["sum", "episode_mean"])
    for again in range(2):  # computed, then read
        found = experiments.run(grid, [3, 4], progress=False)
        for config in grid:
            for learner, seed in enumerate([3, 4]):
                own = train.train(config, seed)
                np.testing.assert_array_equal(found.curves[config].lengths[learner], own.lengths)
                np.testing.assert_array_equal(found.curves[config].returns[learner], own.returns)
        if not again:
            monkeypatch.setattr(fast, "train_many", None)


def test_another_backend_of_joblib_can_be_chosen_outside(trainer):
    with joblib.parallel_config(backend="sequential"):
        found = experiments.run(six(), SEEDS, cache=False)
    pd.testing.assert_frame_equal(found.table, experiments.run(six(), SEEDS).table)


def test_a_bar_is_drawn_unless_silence_was_asked_for(trainer, monkeypatch, capsys):
    experiments.run(six(), SEEDS, cache=False)
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("COURSEKIT_QUIET")
    experiments.run(six(), SEEDS, cache=False, progress=False)
    assert capsys.readouterr() == ("", "")
    experiments.run(six(), SEEDS, cache=False)
    assert "0/12" in capsys.readouterr().out


# What is kept


def test_a_second_run_trains_nothing_and_more_seeds_or_configs_train_what_is_new(trainer):
    first = experiments.run(six()[:5], SEEDS)
    assert len(trainer.calls) == 10
    again = experiments.run(six()[:5], SEEDS)
    assert len(trainer.calls) == 10
    pd.testing.assert_frame_equal(first.table, again.table)
    experiments.run(six(), range(20, 52))
    assert len(trainer.calls) == 10 + 5 + 2  # seeds 36 to 51 of five configs, both of the sixth


@pytest.mark.parametrize("change", [f.name for f in dataclasses.fields(Config)])
def test_every_field_of_the_settings_is_part_of_the_key(change, trainer):
    other = {"env_id": "Acrobot-v1", "hidden": (6,), "weight": "whole_return", "optimiser": "sgd"}
    other |= {"reduction": "step_mean", "activation": "tanh", "baseline": "running_mean"}
    other |= {"standardise": "per_batch", "episodes": 4, "updates": 8}
    other |= {"schedule": "inverse_root", "clip": 3.0, "normalise": True}
    value = other.get(change, getattr(SMALL, change) * 0.5 if change not in other else None)
    experiments.run([SMALL], range(4))
    experiments.run([dataclasses.replace(SMALL, **{change: value})], range(4))
    assert len(trainer.calls) == 2


def interrupted(*args, **options):
    """The message of the Ctrl-C that ends a run, also where a shell had it ignored."""

    def run():
        experiments.run(*args, **options)
        time.sleep(5)  # where the signal comes late

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            run()
    finally:
        signal.signal(signal.SIGINT, before)
    return str(caught.value)


def test_ctrl_c_keeps_the_finished_pieces_and_the_next_run_goes_on(trainer, tmp_path):
    def press(number):
        if number == 8:
            time.sleep(0.05)  # what is finished is being kept
            _thread.interrupt_main()
            time.sleep(0.1)

    trainer.before = press
    said = interrupted(six(), SEEDS, jobs=1)
    kept = len(list((tmp_path / "cache").rglob("*.npz")))
    assert 5 <= kept < 12
    assert said == (
        f"{kept} of 12 pieces are kept in {tmp_path / 'cache'}: the same call goes on from there"
    )
    time.sleep(0.2)  # the piece under way ends
    trainer.before, trainer.calls = lambda number: None, []
    found = experiments.run(six(), SEEDS)
    assert len(trainer.calls) == 12 - kept
    pd.testing.assert_frame_equal(found.table, experiments.run(six(), SEEDS, cache=False).table)


def test_ctrl_c_without_a_cache_says_that_all_is_lost(trainer):
    trainer.before = lambda number: (_thread.interrupt_main(), time.sleep(0.1))
    assert "pieces are lost" in interrupted(six(), SEEDS, cache=False)


def test_an_error_in_one_piece_keeps_the_others(trainer):
    def fail(number):
        if number == 6:
            time.sleep(0.05)
            raise FloatingPointError("piece six")

    trainer.before = fail
    with pytest.raises(FloatingPointError, match="piece six"):
        experiments.run(six(), SEEDS, jobs=1)
    trainer.before, trainer.calls = lambda number: None, []
    experiments.run(six(), SEEDS)
    assert 7 <= len(trainer.calls) <= 8


def test_a_sweep_gives_each_seed_a_rate_of_its_own(trainer):
    rates = np.geomspace(0.001, 0.1, len(SEEDS))
    swept = experiments.run([SMALL], SEEDS, rates=lambda config: rates)
    np.testing.assert_array_equal(swept.table.lr, rates)
    k = len(SEEDS) - 2  # in another piece than the first
    alone = experiments.run([dataclasses.replace(SMALL, lr=float(rates[k]))], [SEEDS[k]])
    np.testing.assert_array_equal(
        swept.curves[SMALL].returns[k], alone.curves[alone_key(alone)][0][0]
    )
    calls = len(trainer.calls)
    again = experiments.run([SMALL], SEEDS, rates=lambda config: rates)
    assert len(trainer.calls) == calls
    pd.testing.assert_frame_equal(swept.table, again.table)
    experiments.run([SMALL], SEEDS, rates=lambda config: rates[::-1])
    assert len(trainer.calls) > calls  # other rates are another key


def alone_key(runs):
    (config,) = runs.curves
    return config


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (lambda config: [0.1, 0.2], "2 rates given for 3 seeds; give one for each"),
        (lambda config: 0.1, "rates(config) 0.1 must be a list, such as [0.01, 0.02], one rate"),
        (lambda config: np.array(0.1), "rates(config) array(0.1) must be a list, such as"),
        ([0.1, 0.2, 0.3], "rates [0.1, 0.2, 0.3] must be a function: config -> one rate for each"),
        (lambda config: [0.1, -0.2, 0.3], "lr -0.2 must be above 0 and finite"),
        (lambda config: [0.1, 0.2, "0.3"], "lr '0.3' must be a number"),
    ],
)
def test_a_sweep_without_a_good_rate_for_each_seed_is_refused(rates, message, trainer):
    with pytest.raises(ValueError, match=re.escape(message)):
        experiments.run([SMALL], range(3), rates=rates)
    assert trainer.calls == []


@pytest.mark.parametrize("jobs", [0, True, 1.5, "2"])
def test_a_number_of_threads_that_is_none_is_refused(jobs, trainer):
    with pytest.raises(ValueError, match=rf"^jobs {jobs!r} must be a number of threads, such as 2"):
        experiments.run([SMALL], range(3), jobs=jobs)
    assert trainer.calls == []


@pytest.mark.parametrize("jobs", [-1, None, np.int64(2)])
def test_what_joblib_takes_as_a_number_of_threads_runs(jobs, trainer):
    assert len(experiments.run([SMALL], range(3), jobs=jobs).table) == 3


def test_a_damaged_piece_alone_is_trained_again_and_a_warning_names_it(trainer, tmp_path):
    first = experiments.run(six(), SEEDS)
    path = sorted(tmp_path.rglob("*.npz"))[3]
    path.write_bytes(path.read_bytes()[:-9])
    trainer.calls = []
    with pytest.warns(RuntimeWarning, match="is damaged") as caught:
        again = experiments.run(six(), SEEDS)
    assert len(caught) == len(trainer.calls) == 1
    assert experiments.key(*trainer.calls[0]) in str(caught[0].message)
    assert caught[0].filename == __file__
    pd.testing.assert_frame_equal(first.table, again.table)
    experiments.run(six(), SEEDS)
    assert len(trainer.calls) == 1


def test_a_folder_that_can_not_be_written_changes_no_number(trainer, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="results are not kept") as caught:
        found = experiments.run(six(), SEEDS, cache=tmp_path / "file")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    pd.testing.assert_frame_equal(found.table, experiments.run(six(), SEEDS).table)


def test_a_disk_that_fills_up_is_said_once_and_the_run_goes_on(trainer, monkeypatch):
    write, done = np.savez_compressed, []

    def writes(*args, **named):
        done.append(args)
        if len(done) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", writes)
        with pytest.warns(RuntimeWarning, match="No space left on device") as caught:
            found = experiments.run(six(), SEEDS)
    assert len(caught) == 1
    assert len(trainer.calls) == 12
    pd.testing.assert_frame_equal(found.table, experiments.run(six(), SEEDS).table)
    assert len(trainer.calls) == 12 + 8  # what fitted was kept


# Measures


def curve(*levels, each=2):
    """(1, U, 1): ``each`` updates at each level."""
    return np.repeat(np.array(levels, dtype=float), each)[None, :, None]


def test_the_measures_of_two_learners_are_those_made_by_hand():
    returns = np.array([[1, 3], [2, 4], [9, 7], [8, 8], [6, 4], [0, 2], [1, 1]], dtype=float)
    returns = np.stack([returns, -returns[::-1]])  # (2, 7, 2); a sixth is 2 updates
    found = experiments.measures(returns)
    np.testing.assert_allclose(found["area"], [4, -4])
    np.testing.assert_allclose(found["first"], [2.5, -1])
    np.testing.assert_allclose(found["last"], [1, -2.5])
    np.testing.assert_allclose(found["peak"], [8, -1])


START = np.array([8.0, 12.0])  # two bystanders: with a third at 10 update 0 has m = 10, s = 1.6


def collapsed(*levels):
    """Whether a learner with six levels collapses, beside two that stay at 8 and 12."""
    beside = [curve(*[level] * 6) for level in START]
    return experiments.measures(np.concatenate([curve(*levels), *beside]))["collapsed"][0]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((10, 20, 50, 80, 80, 40), True),  # gained 70, kept 30
        ((10, 20, 50, 80, 80, 50), False),  # kept 40
        ((10, 20, 50, 80, 80, 80), False),
        ((10, 11, 10, 9, 11, 9), False),  # never above the spread of its first episodes
        ((10, 9, 8, 7, 6, 5), False),  # sank, had nothing to lose
        ((10, 90, 90, 10, 10, 10), True),
    ],
)
def test_a_collapse_is_the_loss_of_more_than_half_of_a_clear_gain(levels, expected):
    assert collapsed(*levels) == expected
    shifted = [np.concatenate([curve(*levels), *(curve(*[s] * 6) for s in START)]) - 500]
    assert experiments.measures(shifted[0])["collapsed"][0] == expected  # negative returns


def test_a_ratio_to_the_peak_would_see_other_collapses():
    """The mutant: last < peak/2 is wrong where returns are negative."""
    levels = np.array([-500, -400, -100, -100, -100, -450.0])
    found = experiments.measures(np.concatenate([curve(*levels), curve(*[-500] * 6)]))
    assert found["collapsed"].tolist() == [True, False]
    assert -500 < -500 / 2  # it would call the second, which never learned, a collapse


def test_a_fast_learner_that_falls_at_once_has_collapsed_though_its_first_sixth_was_high():
    returns = np.concatenate([[10.0], [200] * 5, [10] * 30])[None, :, None]
    found = experiments.measures(np.concatenate([returns, 0 * returns + 10]))
    assert found["first"][0] > 100
    assert found["collapsed"].tolist() == [True, False]


def test_a_run_of_one_update_has_measures():
    found = experiments.measures(np.array([[[3.0, 5.0]], [[1.0, 1.0]]]))
    assert found["area"].tolist() == found["peak"].tolist() == found["last"].tolist() == [4, 1]
    assert not found["collapsed"].any()


# Scores


def table():
    """Two arms, three rates, eight seeds; arm "sum" is best at .02, "step_mean" at .04 (the edge);
    one wild seed would move the mean and not the interquartile mean."""
    level = {("sum", 0.01): 1, ("sum", 0.02): 5, ("sum", 0.04): 2}
    level |= {("step_mean", 0.01): 1, ("step_mean", 0.02): 3, ("step_mean", 0.04): 4}
    rows = [
        {"reduction": r, "lr": lr, "seed": s, "area": 1000.0 if (s, lr) == (0, 0.01) else v + s / 8}
        for (r, lr), v in level.items()
        for s in range(8)
    ]
    return pd.DataFrame(rows)


@pytest.mark.slow
def test_a_score_is_the_interquartile_mean_with_its_interval():
    found = experiments.score(table(), ["reduction", "lr"], seed=0)
    assert found["n"].tolist() == [8] * 6
    one = table().query("reduction == 'step_mean' and lr == 0.02")["area"]
    row = found.query("reduction == 'step_mean' and lr == 0.02").iloc[0]
    assert row["area"] == stats.interquartile_mean(one)
    assert (row["low"], row["high"]) == stats.bootstrap_interval(one, 0)
    assert row["low"] < row["area"] < row["high"]


def test_an_arm_that_mixes_configs_or_a_missing_column_is_refused():
    settings = {name: str(value) for name, value in vars(SMALL).items()}
    whole = table().assign(**settings | dict(table()[["reduction", "lr"]]))
    with pytest.raises(ValueError, match=r"mixes configs; add to by what varies: \['reduction'\]"):
        experiments.score(whole, ["lr"], seed=0)
    with pytest.raises(ValueError, match=r"no column \['areas'\]; the table has \['reduction'"):
        experiments.score(table(), ["reduction"], 0, metric="areas")
    with pytest.raises(ValueError, match="fewer than 4"):
        experiments.score(table().query("seed < 3"), ["reduction", "lr"], seed=0)


def test_the_cache_of_these_tests_is_not_the_readers(trainer, tmp_path):
    assert os.environ["COURSEKIT_CACHE"].startswith(str(tmp_path))


# Tuning


def hill(lr, top, height=100.0, width=0.3):
    """A hill over log lr, without noise."""
    return height * np.exp(-(np.log10(lr / top) ** 2) / (2 * width**2))


LADDER = np.logspace(-4, 0, 96)
GRID = experiments.grid(SMALL, reduction=["sum", "episode_mean"])


def swept(tops, noise=0.0, height=100.0):
    """A ``run`` whose learners' area is a hill, at ``tops[reduction]``; 2 updates of 1 episode."""

    def run(grid, seeds, rates=None, **how):
        frames, curves = [], {}
        for config in grid:
            lr = np.array(rates(config) if rates else [config.lr] * len(seeds))
            area = hill(lr, tops[config.reduction], height)
            area += noise * np.random.default_rng(len(seeds)).normal(size=len(seeds))
            settings = {name: [value] * len(seeds) for name, value in vars(config).items()}
            rows = pd.DataFrame(settings | {"seed": list(seeds), "area": area}).assign(lr=lr)
            frames.append(rows)
            curves[config] = experiments.Curves(*[area[:, None, None]] * 3)
        return experiments.Runs(pd.concat(frames, ignore_index=True), curves)

    return run


def test_each_arm_is_reported_at_the_rate_that_its_tuning_seeds_liked_best(monkeypatch):
    tops = {"sum": 0.003, "episode_mean": 0.1}
    monkeypatch.setattr(experiments, "run", swept(tops, noise=3))
    tuned = experiments.tune(GRID, range(96), range(100, 164), lambda config: LADDER)
    assert tuned.best["reduction"].tolist() == list(tops)
    np.testing.assert_allclose(tuned.best["lr"], list(tops.values()), rtol=0.25)
    assert not tuned.best["edge"].any()
    for config, rate in zip(tuned.report.curves, tuned.best["lr"], strict=True):
        assert config.lr == rate
        assert (tuned.report.values("lr", reduction=config.reduction) == rate).all()
        assert len(tuned.report.values("area", reduction=config.reduction)) == 64
    middle, score, *_ = tuned.hill(reduction="sum")
    assert len(middle) == 96 - 20 + 1
    assert tuned.best["score"][0] == score.max()


def test_two_windows_that_tie_do_not_move_the_rate_whichever_is_ahead():
    half = np.concatenate([np.zeros(14), np.random.default_rng(5).normal(50, 5, 20), np.zeros(14)])
    ahead = np.zeros((2, 96))
    ahead[0, 14:34] = ahead[1, 62:82] = 1e-9  # two equal humps; the left or the right one is ahead
    left, right = np.tile(half, 2) + ahead
    one, other = (experiments.best_rate(LADDER, values).rate for values in (left, right))
    assert one == pytest.approx(other, rel=1e-9)
    highest = [stats.sliding(LADDER, values, 20) for values in (left, right)]
    low, high = (middle[score.argmax()] for middle, score, *_ in highest)
    assert high / low > 50  # the mutant, the highest window alone, jumps from hump to hump


def test_a_rate_is_no_outcome_of_the_order_in_which_learners_are_listed():
    values = hill(LADDER, 0.01) + np.random.default_rng(1).normal(size=96)
    order = np.random.default_rng(2).permutation(96)
    assert experiments.best_rate(LADDER[order], values[order]) == experiments.best_rate(
        LADDER, values
    )


@pytest.mark.parametrize("top", [1e-5, 10.0])
def test_a_hill_whose_top_is_not_in_the_window_of_rates_is_said(top):
    assert experiments.best_rate(LADDER, hill(LADDER, top, width=2)).edge
    assert not experiments.best_rate(LADDER, hill(LADDER, 0.01)).edge


@pytest.mark.parametrize(
    ("grid", "tuning", "reporting", "message"),
    [
        (GRID, range(96), range(90, 100), "seeds [90, 91, 92, 93, 94, 95] both tune and report"),
        (six(), range(96), range(100, 164), "configs differ in lr alone; tune chooses it"),
        (GRID, range(10), range(100, 164), "with a window of 20"),
    ],
)
def test_tuning_that_would_mislead_is_refused(grid, tuning, reporting, message, trainer):
    with pytest.raises(ValueError, match=re.escape(message)):
        experiments.tune(grid, tuning, reporting, lambda config: LADDER[: len(tuning)])
    assert len(trainer.calls) <= 2  # nothing is reported


def test_one_config_is_found_by_what_sets_it_apart(trainer):
    runs = experiments.run(six(), SEEDS)
    assert runs.only(reduction="sum", lr=0.02) == SMALL
    own = runs.table.query("reduction == 'sum' and lr == 0.02").sort_values("seed")
    np.testing.assert_array_equal(runs.values("area", reduction="sum", lr=0.02), own["area"])
    with pytest.raises(ValueError, match=r"3 configs have {'reduction': 'sum'}, not one; .* lr"):
        runs.only(reduction="sum")
    with pytest.raises(ValueError, match="0 configs have"):
        runs.only(reduction="step_mean")
    with pytest.raises(ValueError, match="reductoin unknown; choose from: env_id"):
        runs.values("area", reductoin="sum")


# Seeds


def test_seeds_are_those_of_their_purpose_and_of_no_other():
    one = experiments.seeds(3, "06 tuning", 96)
    assert experiments.seeds(3, "06 tuning", 96) == one
    assert experiments.seeds(3, "06 tuning", 200)[:96] == one
    assert len({*one}) == 96
    others = [(3, "06 reporting"), (4, "06 tuning"), (3, "09 tuning"), (3, "06 tuning ")]
    for master, purpose in others:
        assert not {*one} & {*experiments.seeds(master, purpose, 96)}
    assert len(experiments.seeds(0, "many", 100_000)) == 100_000  # where a few are drawn twice
    drawn = [np.random.default_rng(experiments.stream(0, word)).random() for word in ("a", "b")]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((-1, "06", 3), "seed -1 must be a whole number"),
        ((0, "", 3), "purpose '' must be a name, such as '06 tuning'"),
        ((0, 7, 3), "purpose 7 must be a name"),
        ((0, "06", 0), "count 0 must be a whole number, 1 or more"),
    ],
)
def test_seeds_for_no_purpose_are_refused(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        experiments.seeds(*given)


# The other algorithm, and other machines


def test_a_learned_baseline_is_a_grid_like_any_other(tmp_path):
    base = actor_critic.Config(env_id="CartPole-v1", episodes=2, updates=3, hidden=4)
    grid = experiments.grid(base, reduction=["sum", "episode_mean"])
    rates = [0.01, 0.02, 0.05]
    runs = experiments.run(
        grid, [3, 4, 5], rates=lambda config: rates, cache=tmp_path, progress=False
    )
    for config in grid:
        for learner, seed in enumerate([3, 4, 5]):
            own = actor_critic.train(dataclasses.replace(config, lr=rates[learner]), seed)
            np.testing.assert_array_equal(runs.curves[config].lengths[learner], own.lengths)
        assert runs.values("lr", reduction=config.reduction).tolist() == rates
    again = experiments.run(
        grid, [3, 4, 5], rates=lambda config: rates, cache=tmp_path, progress=False
    )
    pd.testing.assert_frame_equal(runs.table, again.table)
    with pytest.raises(ValueError, match=r"configs of train and of actor_critic are mixed"):
        experiments.run([base, SMALL], [1])
    assert "coursekit.actor_critic" in experiments.key(base, (1,), (0.1,))


@pytest.mark.slow
def test_on_a_cluster_of_two_processes_the_table_is_the_same_bit_for_bit(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="pip install -e '.[cluster]'")
    here = experiments.run(GRID, SEEDS, cache=False, progress=False)
    monkeypatch.setattr(fast, "train_many", None)  # in this process nothing is trained from here on
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**local) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        there = experiments.run(GRID, SEEDS, cache=False, progress=False)
    pd.testing.assert_frame_equal(here.table, there.table, check_exact=True)
    for config in GRID:
        for a, b in zip(here.curves[config], there.curves[config], strict=True):
            np.testing.assert_array_equal(a, b)
