"""The compiled learners against ``train``, seed for seed; and mutants of their source, rejected."""

import dataclasses
import itertools
import os
import re
import subprocess
import sys
import types
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest

from coursekit import baselines, losses, policies, train
from coursekit.fast import backprop, envs, lanes, reinforce
from coursekit.fast import reinforce_kernel as kernel

SMALL = {"hidden": (7,), "gamma": 0.9, "lr": 0.01, "divisor": 30.0}

# --- A set of settings in which every pair of choices stands together at least once.

CHOICES = {
    "reduction": ["sum", "loop", "episode_mean", "step_mean", "constant", "typical", "tilt"],
    "baseline": ["none", "running_mean", "per_time_step"],
    "standardise": ["none", "per_episode", "per_batch"],
    "optimiser": ["adam", "sgd"],
    "weight": ["reward_to_go", "whole_return"],
    "activation": ["relu", "tanh"],
    "episodes": [1, 3],
    "schedule": ["constant", "inverse_root"],
    "clip": [np.inf, 0.4],
    "normalise": [False, True],
}
SENSELESS = [
    {("standardise", "per_episode"), ("weight", "whole_return")},
    {("clip", 0.4), ("normalise", True)},
]


def makes_sense(row):
    try:
        train.Config(**row)
    except ValueError:
        return False
    return True


def pairs(row):
    return set(itertools.combinations(sorted(row.items()), 2))


def covering():
    """Greedily: the row with most pairs that are still missing, until none is."""
    rows = [
        dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())
    ]
    rows = [(row, pairs(row)) for row in rows if makes_sense(row)]
    missing, chosen = set().union(*(held for _, held in rows)), []
    while missing:
        row, held = max(rows, key=lambda pair: len(pair[1] & missing))
        chosen.append(row)
        missing -= held
    return chosen


COVERING = covering()


@cache
def specification(config, seed):
    return train.train(config, seed)


def difference(many, k, config, seed):
    """What learner k has otherwise than the specification: which number, where, by how much; ""."""
    one = specification(config, seed)
    named = {name: (many.params[k][name], value.detach()) for name, value in one.params.items()}
    named |= {name: (getattr(many, name)[k], getattr(one, name)) for name in LOGGED}
    assert list(many.params[k]) == list(one.params)
    found = []
    for name, (ours, theirs) in named.items():
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        allowed = 0.0 if name in ("lengths", "returns") else 1e-9
        off = np.abs(ours - theirs) / (np.maximum(1, theirs) if name == "grad_norm" else 1.0)
        if not (off <= allowed).all():
            where = np.unravel_index(np.nan_to_num(off, nan=np.inf).argmax(), off.shape)
            place = ", ".join(map(str, where))
            values = f"{ours[where]}, by train {theirs[where]}, difference {off[where]:.3g}"
            found.append(f"{name}[{place}] is {values}")
    return "; ".join(found)


LOGGED = ("lengths", "returns", "grad_norm")


@pytest.mark.parametrize("row", COVERING, ids=lambda row: "-".join(map(str, row.values())))
def test_a_learner_is_train_with_its_seed(row):
    """Over 20 updates; "loop", slow in torch, over one and then as the "sum" that it is."""
    config = train.Config(**{**SMALL, **row, "updates": 20})
    many, same = reinforce.train_many(config, [11]), config
    if row["reduction"] == "loop":
        short = dataclasses.replace(config, updates=1)
        assert not difference(reinforce.train_many(short, [11]), 0, short, 11)
        same = dataclasses.replace(config, reduction="sum")
    assert not difference(many, 0, same, 11)
    still = reinforce.train_many(dataclasses.replace(config, updates=1, lr=1e-15), [11])
    assert np.abs(many.params[0]["w0"] - still.params[0]["w0"]).max() > 1e-3  # it did move


def test_the_settings_contain_every_pair_of_choices_that_makes_sense():
    found = set().union(*map(pairs, COVERING))
    for (a, xs), (b, ys) in itertools.combinations(sorted(CHOICES.items()), 2):
        for x, y in itertools.product(xs, ys):
            assert (((a, x), (b, y)) in found) != ({(a, x), (b, y)} in SENSELESS)
    assert len(COVERING) < 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "updates", "change"),
    [
        ("Acrobot-v1", 2, {"baseline": "per_time_step", "reduction": "step_mean", "episodes": 2}),
        ("MountainCar-v0", 3, {"standardise": "per_batch", "activation": "tanh", "episodes": 2}),
    ],
)
def test_other_environments_with_three_actions_are_train_as_well(env_id, updates, change):
    config = train.Config(env_id=env_id, updates=updates, **{**SMALL, "lr": 0.005, **change})
    many = reinforce.train_many(config, [3])
    assert not difference(many, 0, config, 3)
    assert many.returns.max() < 0


def test_one_wide_layer_with_the_lessons_own_defaults():
    config = train.Config(updates=8)
    assert not difference(reinforce.train_many(config, [0]), 0, config, 0)


# --- One learner among many.

LEARNERS = train.Config(**SMALL, updates=6, episodes=2, baseline="per_time_step")


def same_learner(a, i, b, j):
    """Bit for bit."""
    fields = all(np.array_equal(x[i], y[j]) for x, y in zip(a[:3], b[:3], strict=True))
    return fields and all(np.array_equal(a.params[i][n], b.params[j][n]) for n in a.params[i])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_whoever_else_is_in_the_batch_and_on_however_many_threads_a_learner_is_the_same(threads):
    seeds = [4, 0, 9, 2**40, 7]
    many = reinforce.train_many(LEARNERS, seeds, threads=threads)
    for k, seed in enumerate(seeds):
        alone = reinforce.train_many(LEARNERS, [seed], threads=1)
        assert same_learner(many, k, alone, 0)
        assert not same_learner(many, k, many, k - 1)
    assert not difference(many, 3, LEARNERS, 2**40)


def test_the_same_call_gives_the_same_numbers():
    first, again = (reinforce.train_many(LEARNERS, [1, 2]) for _ in range(2))
    assert same_learner(first, 0, again, 0)
    assert same_learner(first, 1, again, 1)


def test_every_learner_has_its_own_rate():
    rates = [0.001, 0.1, 0.01]
    many = reinforce.train_many(LEARNERS, [5, 6, 7], lr=rates)
    for k, rate in enumerate(rates):
        config = train.Config(
            **{**SMALL, "lr": rate}, updates=6, episodes=2, baseline="per_time_step"
        )
        assert not difference(many, k, config, 5 + k)
    assert same_learner(many, 2, reinforce.train_many(LEARNERS, [7]), 0)
    one_for_all = reinforce.train_many(LEARNERS, [5, 6], lr=0.1)
    assert same_learner(one_for_all, 1, many, 1)
    assert not same_learner(one_for_all, 0, many, 0)


def test_numbers_drawn_in_small_portions_are_the_same_numbers(monkeypatch):
    """Room for one episode alone: refilled before every update, each lane by what it used."""
    config = train.Config(**SMALL, updates=10, episodes=3)
    wide = reinforce.train_many(config, [8])
    begun, learn = [], kernel.learn
    monkeypatch.setattr(lanes, "AHEAD", 1)
    monkeypatch.setattr(kernel, "learn", lambda *args: begun.append(args[-1]) or learn(*args))
    narrow = reinforce.train_many(config, [8])
    assert begun == list(range(10))
    assert same_learner(narrow, 0, wide, 0)
    assert not difference(narrow, 0, config, 8)


def test_numbers_used_up_to_the_last_one_are_followed_by_new_ones(monkeypatch):
    config = train.Config(**SMALL, env_id="MountainCar-v0", updates=4)
    monkeypatch.setattr(lanes, "AHEAD", 2)
    many = reinforce.train_many(config, [2])
    assert many.lengths.ravel().tolist() == [envs.spec("MountainCar-v0").limit] * 4
    assert not difference(many, 0, config, 2)


def test_the_result_has_the_axes_that_it_says():
    many = reinforce.train_many(train.Config(**SMALL, updates=3, episodes=2), [1, 2, 3, 4])
    assert many.returns.shape == many.lengths.shape == (4, 3, 2)
    assert many.grad_norm.shape == (4, 3)
    assert many.lengths.dtype == np.int64
    np.testing.assert_array_equal(many.returns, many.lengths)  # CartPole pays 1 a step
    shapes = [{name: value.shape for name, value in params.items()} for params in many.params]
    assert shapes == [{"w0": (7, 4), "b0": (7,), "w1": (2, 7), "b1": (2,)}] * 4


def test_every_choice_of_a_config_is_known_to_the_compiled_loop():
    assert set(kernel.REDUCTION) == {*losses.REDUCTIONS, "loop"}
    assert set(kernel.BASELINE) == set(baselines.BASELINES)
    assert set(kernel.STANDARDISE) == set(baselines.STANDARDISE)
    # these are told apart by one comparison, so that a third would pass for the second
    assert set(losses.WEIGHTS) == {"reward_to_go", "whole_return"}
    assert set(train.OPTIMISERS) == {"adam", "sgd"}
    assert set(train.SCHEDULES) == {"constant", "inverse_root"}
    assert set(policies.ACTIVATIONS) == {"relu", "tanh"}
    for choices in CHOICES:
        assert choices in train.Config.__dataclass_fields__


# --- Bad input.


@pytest.mark.parametrize(
    ("seeds", "lr", "change", "message"),
    [
        ([], None, {}, "no seeds given; give at least one"),
        ([3, 1, 3, 1, 2], None, {}, "seeds repeat: [1, 3]; each learner needs a seed of its own"),
        ([1, 2, 3], [0.1, 0.2], {}, "lr has shape (2,); give one rate, or 3 of them"),
        ([1, 2], [[0.1, 0.2]], {}, "lr has shape (1, 2); give one rate, or 2 of them"),
        ([1, 2], [0.1], {}, "lr has shape (1,); give one rate, or 2 of them"),
        ([1, 2], [0.1, 0.0], {}, "lr [0.1 0. ] must be above 0 and finite"),
        ([1], -0.1, {}, "lr [-0.1] must be above 0 and finite"),
        ([1, 2], [0.1, float("nan")], {}, "lr [0.1 nan] must be above 0 and finite"),
        ([1], float("inf"), {}, "lr [inf] must be above 0 and finite"),
        ([1], None, {"hidden": (8, 8)}, "hidden (8, 8): compiled for one hidden layer; use train"),
        ([1], None, {"hidden": ()}, "hidden (): compiled for one hidden layer; use train.train"),
        ([4, -1], None, {}, "seed -1 must be a whole number, 0 or above"),
        ([1.5], None, {}, "seed 1.5 must be a whole number, 0 or above"),
        ([0, True], None, {}, "seed True must be a whole number, 0 or above"),
        (["1"], None, {}, "seed '1' must be a whole number, 0 or above"),
        (0, None, {}, "seeds 0 must be a list, such as [0, 1, 2] or range(8)"),
        (np.array(3), None, {}, "seeds array(3) must be a list, such as [0, 1, 2] or range(8)"),
        ("12", None, {}, "seeds '12' must be a list, such as [0, 1, 2] or range(8)"),
    ],
)
def test_bad_input_is_refused_with_what_was_given(seeds, lr, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        reinforce.train_many(train.Config(**change), seeds, lr)


def test_an_environment_that_is_not_compiled_is_refused():
    with pytest.warns(DeprecationWarning, match="out of date"):
        config = train.Config(env_id="CartPole-v0")
    with pytest.raises(ValueError, match="environment 'CartPole-v0' is not compiled; choose"):
        reinforce.train_many(config, [0])


@pytest.mark.parametrize("config", [{"lr": 0.1}, None, train.Config, "CartPole-v1"])
def test_settings_that_are_no_config_are_refused(config):
    message = f"config {config!r} is no Config; give one, such as train.Config(lr=0.01)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reinforce.train_many(config, [0])


@pytest.mark.parametrize("threads", [0, -3, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none_is_refused(threads):
    with pytest.raises(ValueError, match=f"threads {threads!r} must be a whole number, 1 or more"):
        reinforce.train_many(train.Config(updates=1), [0], threads=threads)


@pytest.mark.parametrize("lr", ["x", None, [0.1, "x"]])
def test_a_rate_that_is_no_number_is_refused_with_what_was_given(lr):
    lr = [None] if lr is None else lr  # None alone means the config's own
    with pytest.raises(ValueError, match=re.escape(f"lr {lr!r} must be a number or an array of")):
        reinforce.train_many(train.Config(updates=1), [0, 1], lr)


# --- Mutants: the sources with one thing changed, run as plain Python against the same oracle.

MODULES = {"envs": envs, "backprop": backprop, "lanes": lanes}
MODULES |= {"kernel": kernel, "reinforce": reinforce}


def engine(monkeypatch, *changes):
    """``reinforce`` and all it calls, uncompiled, each (module, right, wrong) exchanged once."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    altered = {}
    for name, module in MODULES.items():
        source = Path(module.__file__).read_text(encoding="utf-8")
        for where, right, wrong in changes:
            if where == name:
                assert source.count(right) == 1, f"{right!r}: {source.count(right)} times in {name}"
                source = source.replace(right, wrong)
        altered[name] = types.ModuleType(f"coursekit.{name}_altered")
        altered[name].__file__ = module.__file__
        exec(compile(source, f"{name}_altered.py", "exec"), altered[name].__dict__)
        altered[name].__dict__.update({k: v for k, v in altered.items() if hasattr(module, k)})
    altered["lanes"].AHEAD = 1  # refills are part of what is compared
    assert not hasattr(altered["kernel"].learn, "py_func")  # plain Python indeed
    return altered["reinforce"]


TINY = {"hidden": (3,), "gamma": 0.9, "divisor": 30.0}
ORACLE = [
    train.Config(
        **TINY,
        updates=6,
        episodes=2,
        lr=0.05,
        baseline="running_mean",
        reduction="typical",
        clip=0.4,
    ),
    train.Config(**TINY, updates=4, episodes=2, lr=0.05, reduction="tilt", optimiser="sgd"),
    train.Config(
        **TINY,
        updates=6,
        episodes=2,
        lr=0.05,
        baseline="per_time_step",
        reduction="step_mean",
        activation="tanh",
        optimiser="sgd",
        schedule="inverse_root",
    ),
    train.Config(
        **TINY,
        updates=4,
        episodes=2,
        lr=0.05,
        weight="whole_return",
        standardise="per_batch",
        reduction="episode_mean",
        normalise=True,
    ),
    train.Config(
        **TINY,
        updates=4,
        lr=0.05,
        standardise="per_episode",
        reduction="constant",
        optimiser="sgd",
        episodes=2,
    ),
    train.Config(**TINY, updates=1, env_id="MountainCar-v0", lr=0.02, optimiser="sgd"),
]


def from_train(candidate):
    """The oracle: learner 1 of two, each with a rate of its own, in six settings; "" if equal."""
    for config in ORACLE:
        many = candidate.train_many(config, [13, 19], lr=[0.7, config.lr])
        if found := difference(many, 1, config, 19):
            return found
    return ""


def test_the_oracle_accepts_the_compiled_loop_and_the_same_source_uncompiled(monkeypatch):
    assert not from_train(reinforce)
    assert not from_train(engine(monkeypatch))


LEARNED = "    _remember(setting, memory, whole / B, longest)\n"
USED = "            weight[first + t] -= memory.value[t]\n"
SUBTRACTED_LATE = (
    LEARNED
    + "    first = 0\n"
    + "    for i in range(B):\n"
    + "        for t in range(lengths[i]):\n"
    + "            weight[first] -= memory.value[t]\n"
    + "            first += 1\n"
)
MUTANTS = {
    "sign": [("backprop", "factor = -weight[t + k]", "factor = weight[t + k]")],
    "onehot_minus_p_reversed": [
        ("backprop", "p[row, a] = -p[row, a]", "p[row, a] = p[row, a]"),
        ("backprop", "p[row, action] += 1.0", "p[row, action] -= 1.0"),
    ],
    "onehot_alone": [("backprop", "p[row, a] = -p[row, a]", "p[row, a] = 0.0")],
    "relu_mask_missing": [("backprop", "1.0 if h > 0.0 else 0.0)", "1.0)")],
    "tanh_slope": [("backprop", "1.0 - h * h if", "1.0 - h if")],
    "b0_without_gradient": [("backprop", "total[j] += d", "total[j] += 0.0")],
    "zero_grad_forgotten": [("backprop", "grad.w1.fill(0.0)", "pass")],
    "obs_a_step_late": [
        ("backprop", "add_products(grad.w0, obs, rows,", "add_products(grad.w0, obs[1:], rows,")
    ],
    "adam_first_bias": [("backprop", "lr / (1.0 - 0.9**done)", "lr")],
    "adam_second_bias": [("backprop", "math.sqrt(1.0 - 0.999**done)", "1.0")],
    "adam_counts_from_0": [("kernel", "part.square, done)\n", "part.square, done + 1)\n")],
    "adam_epsilon_inside": [
        ("backprop", "math.sqrt(v[k]) / root + 1e-8", "math.sqrt(v[k] + 1e-8) / root"),
    ],
    "sgd_momentum": [
        ("backprop", "p[k] -= lr * g[k]", "m[k] = 0.9 * m[k] + g[k]; p[k] -= lr * m[k]")
    ],
    "norm_squared": [("backprop", "return math.sqrt(total)", "return total")],
    "norm_without_b1": [("kernel", "norm(part.grad)", "norm(part.grad[:-2])")],
    "norm_after_clipping": [
        (
            "kernel",
            "norm, done)\n    return",
            "norm, done); log.grad_norm[done - 1] = 1.0\n    return",
        ),
    ],
    "clip_forgotten": [("kernel", "min(setting.clip, norm + 1e-6)", "norm + 1e-6")],
    "clip_lengthens": [("kernel", "min(setting.clip, norm + 1e-6)", "setting.clip")],
    "clip_of_some": [
        (
            "backprop",
            "range(g.shape[0]):\n        g[k] *= f",
            "range(9, g.shape[0]):\n        g[k] *= f",
        )
    ],
    "normalise_forgotten": [("kernel", "1.0 if setting.normalise else ", "")],
    "rate_by_k": [("kernel", "/ math.sqrt(done) if", "/ done if")],
    "rate_from_k_plus_1": [("kernel", "math.sqrt(done)", "math.sqrt(done + 1)")],
    "typical_knows_its_batch": [
        ("kernel", "    _measure(memory.typical, first / B)\n", ""),
        (
            "kernel",
            "    scale, start = ",
            "    _measure(memory.typical, first / B)\n    scale, start = ",
        ),
    ],
    "typical_of_all_lengths": [("kernel", "max(FORGET, 1.0 / typical[1])", "FORGET")],
    "typical_of_the_last": [("kernel", "max(FORGET, 1.0 / typical[1])", "1.0")],
    "typical_from_a_guess": [("kernel", "[np.inf, 0.0]", "[20.0, 0.0]")],
    "tilt_from_a_guess": [("kernel", " if memory.typical[1] > 0.0 else 0.0", "")],
    "typical_of_a_batch_summed": [("kernel", "typical, first / B)", "typical, float(first))")],
    "tilt_of_a_batch_summed": [("kernel", "memory.typical[0] / (B * n)", "memory.typical[0] / n")],
    "tilt_is_the_mean": [("kernel", "memory.typical[0] / (B * n)", "1.0 / (B * n)")],
    "gamma_missing": [("kernel", "+ setting.gamma * G", "+ G")],
    "weights_exchanged": [("kernel", "if setting.whole:", "if not setting.whole:")],
    "action_off_by_one": [("backprop", "action = a + 1", "action = a")],
    "action_other_tail": [("backprop", "if below <= u:", "if below > 1.0 - u:")],
    "uniform_off_by_one": [
        ("lanes", "[lane, stream.cursor[lane] - 1]", "[lane, stream.cursor[lane] - 2]"),
    ],
    "uniforms_of_lane_0": [("lanes", "return stream.noise[lane,", "return stream.noise[0,")],
    "obs_of_the_last_step": [("kernel", "        if n == 0:\n", "        if n <= 1:\n")],
    "a_step_short_of_the_limit": [
        ("kernel", "while n < setting.limit and", "while n < setting.limit - 1 and")
    ],
    "one_over_n_for_one_over_N": [("kernel", "scale = 1.0 / first", "scale = 1.0 / (B * n)")],
    "one_over_N_for_one_over_n": [("kernel", "scale = 1.0 / (B * n)", "scale = 1.0 / first")],
    "summed_over_episodes": [("kernel", "1.0 / (B * setting.divisor)", "1.0 / setting.divisor")],
    "divisor_for_all": [
        ("reinforce", 'float(config.divisor) if config.reduction == "constant" else 1.0', "30.0"),
    ],
    "baseline_updated_before_use": [
        ("kernel", USED, ""),
        ("kernel", LEARNED, SUBTRACTED_LATE),
    ],
    "baseline_never_updated": [("kernel", LEARNED, "")],
    "baseline_learns_what_is_left": [
        ("kernel", "            memory.sums[t] += weight[first + t]\n", ""),
        (
            "kernel",
            USED,
            USED + "            memory.sums[t] += weight[first + t]\n",
        ),
    ],
    "running_mean_gain": [("kernel", "max(FORGET, 1.0 / memory.batches[0])", "FORGET")],
    "running_mean_of_all": [("kernel", "max(FORGET, 1.0 / memory.batches[0])", "1.0")],
    "one_count_for_all_steps": [("kernel", "1.0 / memory.batches[t]", "1.0 / memory.batches[0]")],
    "mean_over_all_episodes": [
        ("kernel", "sums[t] / memory.counts[t]", "sums[t] / memory.counts[0]")
    ],
    "standardise_without_root": [("kernel", "deviation = math.sqrt(square)", "deviation = square")],
    "standardise_not_centred": [("kernel", "        weight[t] -= mean\n", "")],
    "standardise_over_n_minus_1": [
        ("kernel", "* weight[t] / (stop - start)", "* weight[t] / (stop - start - 1)"),
    ],
    "per_batch_is_per_episode": [
        ("kernel", "if setting.standardise == 1:", "if setting.standardise == 2:")
    ],
    "the_seeded_reset_is_played": [
        ("lanes", "states[1:] for states", "states[:-1] for states"),
        ("lanes", "obs[1:] for _, obs", "obs[:-1] for _, obs"),
    ],
    "seeds_and_draws_exchanged": [
        ("lanes", "for_lanes[::2]", "for_lanes[1::2]"),
        (
            "lanes",
            "_rng(stream) for stream in for_lanes[1::2]",
            "_rng(stream) for stream in for_lanes[::2]",
        ),
    ],
    "unused_numbers_dropped": [
        ("lanes", " = row[used:].copy()", " *= 1.0"),
    ],
    "unused_numbers_drawn_again": [("lanes", "left = len(row) - used", "left, used = 0, len(row)")],
    "rate_of_the_first_learner": [("reinforce", "float(rates[k])", "float(rates[0])")],
    "seed_of_the_first_learner": [("reinforce", "_one(config, seeds[k]", "_one(config, seeds[0]")],
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value encountered")  # in what a mutant computes
@pytest.mark.parametrize("name", MUTANTS)
def test_the_oracle_rejects_the_mutant(name, monkeypatch):
    assert from_train(engine(monkeypatch, *MUTANTS[name]))


# --- The process that compiles and the one that finds the machine code on disk.

TRAIN_AND_HASH = """
import hashlib
from coursekit import fast, train
config = train.Config(hidden=(8,), updates=30, optimiser="adam", baseline="running_mean")
params = fast.train_many(config, [0]).params[0]
print(hashlib.sha256(b"".join(value.tobytes() for value in params.values())).hexdigest())
"""


@pytest.mark.slow
def test_a_process_that_compiles_and_one_that_loads_its_code_give_the_same_bits(tmp_path):
    """They did not while Adam's step was compiled with ``FAST``: the notebooks' numbers differed
    between a first run on a machine and every later one."""
    command = [sys.executable, "-c", TRAIN_AND_HASH]
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    cwd = Path(__file__).parents[1]
    first, second = (subprocess.check_output(command, env=env, cwd=cwd) for _ in range(2))
    assert list(tmp_path.rglob("*.nbc"))  # the second had something to load
    assert first == second
