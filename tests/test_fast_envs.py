"""The compiled environments against Gymnasium's: the same numbers, seeded alike; mutants rejected.

Two comparisons. ``resynchronised``: Gymnasium's state is put in before every step, so that one step
is compared and nothing adds up. ``free``: both run on by themselves over thousands of steps. Where
the compiled cos, sin and pow are those of Python and NumPy bit for bit, so must all the rest be.
"""

import functools
import math
import re
import types
from pathlib import Path

import gymnasium
import numba
import numpy as np
import pytest

from coursekit.fast import envs

every_env = pytest.mark.parametrize("env_id", list(envs.SPECS))
STEPS, TINY = 1500, 1e-12
FLOAT32 = 1e-7  # Pendulum's torque is a float32, and the order of its roundings is the compiler's


@numba.njit
def compiled_functions(x, exponent):
    return math.cos(x), math.sin(x), math.pow(x, exponent)


@functools.cache
def libm_agrees():
    """Whether compiled cos, sin and pow are NumPy's and Python's, on ten thousand numbers."""
    return all(
        compiled_functions(x, 2.0) == (np.cos(x), np.sin(x), x**2) and math.cos(x) == np.cos(x)
        for x in np.random.default_rng(0).uniform(-20, 20, 10_000)
    )


def actions_of(env_id, count, seed):
    """Random choices for both sides; torques beyond the limits too, as Gymnasium takes them."""
    rng, number = np.random.default_rng([seed, 6]), envs.SPECS[env_id].actions
    if number:
        return rng.integers(number, size=count)
    return rng.uniform(-3, 3, (count, 1)).astype(np.float32)


def padded(state):
    return tuple([float(value) for value in state] + [0.0] * (4 - len(state)))


class Gap:
    """The largest differences seen: of states, observations (in float32 units) and rewards."""

    def __init__(self):
        self.state = self.obs = self.reward = 0.0
        self.ends, self.resets, self.truncations = [], 0, 0

    def look(self, state, real_state, obs, real_obs, reward=0.0, real_reward=0.0):
        self.state = max(self.state, np.abs(np.subtract(state, padded(real_state))).max())
        units = np.spacing(np.abs(real_obs, dtype=np.float32)) + np.float32(1e-12)
        self.obs = max(self.obs, (np.abs(obs - real_obs.astype(np.float64)) / units).max())
        self.reward = max(self.reward, abs(reward - float(real_reward)))


def compare(env_id, ours=envs, seed=5, steps=STEPS, free=False):
    """Play ``steps`` random steps on both sides, across resets and time limits -> Gap."""
    env, spec, gap = gymnasium.make(env_id), ours.SPECS[env_id], Gap()
    real, _ = env.reset(seed=seed)
    states, first = ours.reset(env_id, np.random.default_rng(seed), steps)
    k, n, state, obs = 0, 0, tuple(states[0]), np.zeros((1, spec.obs))
    gap.look(state, env.unwrapped.state, first[0], real)
    for action in actions_of(env_id, steps, seed):
        real, real_reward, terminated, truncated, _ = env.step(action)
        state, reward, ended = ours.step(spec.number, state, float(np.ravel(action)[0]))
        ours.observe(spec.number, state, obs, 0)
        n += 1
        gap.look(state, env.unwrapped.state, obs[0], real, reward, real_reward)
        gap.ends.append((ended == terminated, (n == spec.limit) == truncated))
        gap.truncations += truncated
        if terminated or truncated:
            k, n = k + 1, 0
            real, _ = env.reset()
            state = tuple(states[k])
            gap.look(state, env.unwrapped.state, first[k], real)
        elif not free:
            state = padded(env.unwrapped.state)
    gap.resets = k
    return gap


# States that random play does not reach: state, action, does the episode end?
CORNERS = {
    "CartPole-v1": [
        ((2.399, 1.0, 0.01, 0.2), 1, True),
        ((-2.399, -1.0, 0.01, 0.2), 0, True),
        ((2.37, 1.0, 0.01, 0.2), 1, False),
        ((0.1, 0.2, 0.2090, 0.5), 0, True),
        ((0.1, 0.2, -0.2090, -0.5), 1, True),
        ((0.1, 0.2, 0.2090, 0.01), 0, False),
    ],
    "Acrobot-v1": [
        ((3.0, 0.1, 3.0, 2.0), 2, True),
        ((3.1, 3.1, 5.0, 9.0), 2, True),  # both angles wrap
        ((-3.1, -3.1, -5.0, -9.0), 0, True),
        ((0.4, 1.9, 12.5, 28.2), 2, False),  # both rates at their limits
        ((-0.4, -1.9, -12.5, -28.2), 0, False),
    ],
    "MountainCar-v0": [
        ((0.49, 0.06), 2, True),
        ((0.49, 0.001), 0, False),
        ((0.55, -0.01), 0, False),  # beyond the goal, but on the way back
        ((-1.19, -0.069), 0, False),  # the wall takes the speed
        ((0.58, 0.0699), 2, True),  # cut to the right edge
        ((0.3, -0.0699), 0, False),  # the largest speed
    ],
    "Pendulum-v1": [
        ((40.0, 7.99), 2.0, False),  # six times round, at the largest rate
        ((-40.0, -7.99), -2.5, False),
    ],
}


def corner(env_id, ours, state, action):
    """One step from a state that Gymnasium is put into -> Gap, did the episode end there?"""
    env, spec, gap = gymnasium.make(env_id), ours.SPECS[env_id], Gap()
    env.reset(seed=0)
    env.unwrapped.state = np.array(state)
    taken = action if spec.actions else np.array([action], dtype=np.float32)
    real, real_reward, terminated, _, _ = env.step(taken)
    after, reward, ended = ours.step(spec.number, padded(state), float(action))
    obs = np.zeros((1, spec.obs))
    ours.observe(spec.number, after, obs, 0)
    gap.look(after, env.unwrapped.state, obs[0], real, reward, real_reward)
    gap.ends.append((ended == terminated,))
    return gap, terminated


def too_large(gap, env_id):
    """What of a gap is more than rounding; or ""."""
    slack = FLOAT32 if env_id == "Pendulum-v1" else TINY
    units = 0 if libm_agrees() and env_id != "Pendulum-v1" else 1
    bounds = {"state": slack, "reward": slack, "obs": units}
    found = [
        f"{name} differs by {getattr(gap, name):.3g}, above {bound:.3g}"
        for name, bound in bounds.items()
        if not getattr(gap, name) <= bound
    ]
    found += [f"step {k} ends otherwise" for k, same in enumerate(gap.ends, 1) if not all(same)][:1]
    return "; ".join(found)


def from_gymnasium(env_id, ours=envs):
    """The oracle: one step at a time, states to 1e-12, ends and time limits the same; or ""."""
    gaps = {"random steps": compare(env_id, ours)}
    for state, action, _ in CORNERS[env_id]:
        gaps[f"from {state} by {action}"] = corner(env_id, ours, state, action)[0]
    said = {where: too_large(gap, env_id) for where, gap in gaps.items()}
    return "; ".join(f"{where}: {what}" for where, what in said.items() if what)


@every_env
def test_every_step_is_gymnasiums(env_id):
    assert not from_gymnasium(env_id)


@pytest.mark.slow
@every_env
@pytest.mark.parametrize("seed", [0, 7])
def test_left_to_itself_it_stays_with_gymnasium_across_resets_and_time_limits(env_id, seed):
    gap = compare(env_id, seed=seed, free=True, steps=2000 if libm_agrees() else 20)
    if libm_agrees():
        assert gap.resets >= 4
        assert gap.truncations > 0 or env_id == "CartPole-v1"
    exact = libm_agrees() and env_id != "Pendulum-v1"
    assert gap.state <= (0 if exact else 1e-5)
    assert gap.obs <= (0 if exact else 100)
    assert gap.reward <= (0 if exact else 1e-5)
    assert all(map(all, gap.ends))


@every_env
@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
def test_first_states_and_observations_are_those_of_reset_bit_for_bit(env_id, seed):
    env = gymnasium.make(env_id)
    states, obs = envs.reset(env_id, np.random.default_rng(seed), 50)
    one_by_one = np.random.default_rng(seed)
    for k in range(50):
        real, _ = env.reset(seed=seed if k == 0 else None)
        assert tuple(states[k]) == padded(env.unwrapped.state)
        np.testing.assert_allclose(obs[k], real, rtol=0 if libm_agrees() else 1e-6, atol=0)
        single = envs.reset(env_id, one_by_one)  # drawn singly or in a block
        np.testing.assert_array_equal(single[0][0], states[k])
    assert len(np.unique(states[:, 0])) == 50


def test_a_pole_held_up_for_500_steps_is_truncated_there_by_gymnasium_and_not_terminated():
    env, state, ended = gymnasium.make("CartPole-v1"), None, False
    obs, _ = env.reset(seed=1)
    states, _ = envs.reset("CartPole-v1", np.random.default_rng(1))
    state = tuple(states[0])
    for n in range(1, 501):
        action = int(obs[2] + obs[3] + 0.1 * obs[0] + 0.2 * obs[1] > 0)
        obs, _, terminated, truncated, _ = env.step(action)
        state, reward, ended = envs.step(envs.CARTPOLE, state, float(action))
        assert (reward, ended, terminated) == (1.0, False, False)
        assert truncated == (n == envs.SPECS["CartPole-v1"].limit)
    np.testing.assert_allclose(state, env.unwrapped.state, atol=0 if libm_agrees() else 1e-6)


@pytest.mark.parametrize(
    ("env_id", "state", "action", "ends"),
    [(env_id, *row) for env_id, rows in CORNERS.items() for row in rows],
)
def test_at_walls_limits_and_goals_a_step_is_gymnasiums(env_id, state, action, ends):
    gap, terminated = corner(env_id, envs, state, action)
    assert not too_large(gap, env_id)
    assert terminated == ends


def test_the_table_is_that_of_gymnasium():
    assert list(envs.SPECS) == ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1"]
    for k, (env_id, spec) in enumerate(envs.SPECS.items()):
        env = gymnasium.make(env_id)
        actions = getattr(env.action_space, "n", 0)
        limit = gymnasium.spec(env_id).max_episode_steps
        assert spec == (k, env.observation_space.shape[0], actions, limit)
        assert getattr(env.action_space, "start", 0) == 0


def test_observations_are_float32_numbers_and_states_are_not():
    state, obs = (0.1, 0.2, 0.03, 0.04), np.zeros((1, 4))
    envs.observe(envs.CARTPOLE, state, obs, 0)
    np.testing.assert_array_equal(obs[0], np.array(state, dtype=np.float32))
    assert (obs != state).all()
    assert envs.step(envs.CARTPOLE, state, 1.0)[0][0] == 0.1 + 0.02 * 0.2


@pytest.mark.parametrize("env_id", ["CartPole-v0", "cartpole", ""])
def test_an_environment_that_is_not_compiled_is_refused_with_the_known_ones(env_id):
    message = (
        f"environment '{env_id}' is not compiled; choose from: "
        "CartPole-v1, Acrobot-v1, MountainCar-v0, Pendulum-v1"
    )
    for call in (lambda: envs.spec(env_id), lambda: envs.reset(env_id, np.random.default_rng(0))):
        with pytest.raises(ValueError, match=message):
            call()


# --- Mutants: the source with one thing changed, run as plain Python.


def altered(monkeypatch, *changes):
    """``envs`` again, uncompiled, with each (right, wrong) exchanged in its source."""
    source = Path(envs.__file__).read_text(encoding="utf-8")
    for right, wrong in changes:
        assert source.count(right) == 1, f"{right!r} stands {source.count(right)} times in envs.py"
        source = source.replace(right, wrong)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    module = types.ModuleType("coursekit.fast.envs_altered")
    module.__file__ = envs.__file__
    exec(compile(source, "envs_altered.py", "exec"), module.__dict__)
    assert not hasattr(module.step, "py_func")  # plain Python indeed
    # compiled, math's functions return float64; a plain Python float would yield to a float32
    module.math = types.SimpleNamespace(
        pi=math.pi, cos=np.cos, sin=np.sin, pow=lambda x, y: np.float64(math.pow(x, y))
    )
    return module


@every_env
def test_uncompiled_the_same_source_agrees(env_id, monkeypatch):
    assert not from_gymnasium(env_id, altered(monkeypatch))


MUTANTS = {
    "CartPole-v1": {
        "gravity": ("9.8 * sin - cos", "9.81 * sin - cos"),
        "pole_mass": ("1.0 + 0.1, 0.1 * 0.5", "1.0 + 0.1, 0.1 * 0.1"),
        "length": ("(0.5 * (4.0 / 3.0", "(1.0 * (4.0 / 3.0"),
        "no_push_to_the_left": ("action == 1 else -10.0", "action == 1 else 0.0"),
        "actions_exchanged": ("10.0 if action == 1", "10.0 if action == 0"),
        "speed_before_place": ("= x + 0.02 * x_dot,", "= x + 0.02 * (x_dot + 0.02 * x_acc),"),
        "falls_later": ("> 12 * 2 * math.pi / 360", "> 13 * 2 * math.pi / 360"),
        "no_walls": ("abs(x) > 2.4 or ", ""),
        "float64_seen": ("= np.float32(obs[row, i])", "= obs[row, i]"),
        "reset_range": ("uniform(-0.05, 0.05,", "uniform(-0.5, 0.5,"),
    },
    "Acrobot-v1": {
        "reset_float64": ("(count, 4)).astype(np.float32)", "(count, 4))"),
        "k1_for_k2": ("(k1[0] + 2 * k2[0]", "(k1[0] + 2 * k1[0]"),
        "torque_0_to_2": ("torque, dt = action - 1.0,", "torque, dt = action,"),
        "without_a_term_of_the_book": (" - 0.5 * _square(rate1) * sin2 - phi2)", " - phi2)"),
        "rates_not_cut": ("d = min(max(d, -9 * math.pi), 9 * math.pi)", "d = d + 0.0"),
        "moment": ("0.25 + 1.0 - _square(d2)", "0.25 + 0.5 - _square(d2)"),
        "not_wrapped": ("a, b = _wrap(a), _wrap(b)", "a, b = a, b"),
        "paid_at_the_goal": ("0.0 if terminated else -1.0", "-1.0"),
    },
    "MountainCar-v0": {
        "limit": ("MOUNTAIN_CAR, 2, 3, 200)", "MOUNTAIN_CAR, 2, 3, 201)"),
        "power": ("(action - 1) * 0.001", "(action - 1) * 0.0015"),
        "old_place": ("max(x + v, -1.2)", "max(x, -1.2)"),
        "hill": ("math.cos(3 * x) * (-0.0025)", "math.sin(3 * x) * (-0.0025)"),
        "soft_wall": ("if x == -1.2 and v < 0", "if x < -1.2 and v < 0"),
        "goal_in_reverse": ("x >= 0.5 and v >= 0", "x >= 0.5"),
        "paid_nothing": ("return state, -1.0, terminated", "return state, 0.0, terminated"),
    },
    "Pendulum-v1": {
        "torque_not_cut": (", np.float32(2.0))", ", np.float32(3.0))"),
        "angle_not_normal": (
            "angle = ((theta + math.pi) % (2 * math.pi)) - math.pi",
            "angle = theta",
        ),
        "old_rate": ("return (theta + rate * 0.05,", "return (theta + state[1] * 0.05,"),
        "cost_not_negative": ("0.0, 0.0), -cost", "0.0, 0.0), cost"),
        "torque_free_of_charge": ("np.float32(0.001) * (u * u)", "np.float32(0.0) * (u * u)"),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "name"), [(env_id, name) for env_id, faults in MUTANTS.items() for name in faults]
)
def test_the_comparison_rejects_a_mutant(env_id, name, monkeypatch):
    assert from_gymnasium(env_id, altered(monkeypatch, MUTANTS[env_id][name]))


# --- Compiling and keeping.


def test_machine_code_is_kept_on_disk_under_a_stamp_of_all_its_sources():
    assert Path(envs.step.stats.cache_path).is_dir()
    assert envs.step._cache._cache_file._source_stamp == envs._sources()


def test_the_stamp_changes_with_every_source_that_compiled_code_is_made_from(tmp_path, monkeypatch):
    """numba itself looks at a function's own file only: a kept caller would hold an old callee."""
    here, copy = Path(envs.__file__).parent, tmp_path / "fast"
    sources = [*here.glob("*.py"), *(here.parent / f"{name}.py" for name in envs.OUTSIDE)]
    copy.mkdir()
    for path in sources:
        (tmp_path / path.relative_to(here.parent)).write_bytes(path.read_bytes())
    monkeypatch.setattr(envs, "__file__", str(copy / "envs.py"))
    assert envs._sources.__wrapped__() == envs._sources()
    for path in sources:
        edited, before = tmp_path / path.relative_to(here.parent), envs._sources.__wrapped__()
        edited.write_bytes(path.read_bytes() + b"# new\n")
        assert envs._sources.__wrapped__() != before, path


def test_every_module_with_compiled_code_and_what_it_imports_is_in_the_stamp():
    folder = Path(envs.__file__).parent
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    marks = re.compile(r"^@(envs\.)?(compiled|inlined)\b", re.MULTILINE)
    holders = {name for name, text in texts.items() if marks.search(text)}
    assert holders == {"envs", "backprop", "lanes", "reinforce_kernel", "actor_critic_kernel"}
    for name in holders:
        imported = re.findall(r"^from coursekit import (.+)$", texts[name], re.MULTILINE)
        imported += re.findall(
            r"^from coursekit\.(\w+)(?:\.\w+)? import", texts[name], re.MULTILINE
        )
        assert set(", ".join(imported).split(", ")) - {"", "fast"} <= set(envs.OUTSIDE)


def test_where_no_folder_can_be_written_it_compiles_all_the_same(monkeypatch):
    asked, njit = [], numba.njit

    def without_a_folder(**options):
        asked.append(options.get("cache", False))
        if asked[-1]:
            raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")
        return njit(**options)

    monkeypatch.setattr(envs, "njit", without_a_folder)

    @envs.compiled
    def halved(x):
        return x / 2

    @envs.compiled(fastmath=True)
    def inverse(x):
        return 1 / x

    assert asked == [True, False, True, False]
    assert (halved(3), halved.signatures != []) == (1.5, True)
    assert inverse(0.0) == float("inf")  # NumPy's error model, not ZeroDivisionError
    assert halved.targetoptions["nogil"]
    assert inverse.targetoptions["fastmath"]
