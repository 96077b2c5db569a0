"""Four of Gymnasium's environments as pure compiled functions, equal to the originals.

A state is a tuple of four floats (unused ones are zero), an observation has ``O`` entries, rounded
to float32 as Gymnasium does. The equations and constants are those of ``gymnasium`` 1.x, in its
order of operations, so that seeded alike and given the same actions the numbers are the same.
Sources: Barto, Sutton & Anderson 1983 (CartPole); Sutton 1996 (Acrobot); Moore 1990 (MountainCar).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

OUTSIDE = ("actor_critic", "baselines")  # of this folder: what compiled code is made from as well
CARTPOLE, ACROBOT, MOUNTAIN_CAR, PENDULUM = range(4)
State = tuple[float, float, float, float]


class Spec(NamedTuple):
    """``number``: for ``step`` and ``observe``; ``obs`` (O) and ``actions`` (A; 0: one torque)."""

    number: int
    obs: int
    actions: int
    limit: int  # steps after which an episode is truncated


SPECS = {
    "CartPole-v1": Spec(CARTPOLE, 4, 2, 500),
    "Acrobot-v1": Spec(ACROBOT, 6, 3, 500),
    "MountainCar-v0": Spec(MOUNTAIN_CAR, 2, 3, 200),
    "Pendulum-v1": Spec(PENDULUM, 3, 0, 200),
}


def compiled(function: Callable | None = None, **options) -> Callable:
    """``numba.njit``, without the GIL; kept on disk where a folder for it can be written."""
    if function is None:
        return lambda function: compiled(function, **options)
    options = {"nogil": True, "error_model": "numpy"} | options
    try:
        kept = njit(cache=True, **options)(function)
        # numba's own stamp is that of the function's file; it does not look into callees, so that
        # a change in ``envs`` would leave an old step in the kept ``learn``
        kept._cache._cache_file._source_stamp = _sources()
        return kept
    except (RuntimeError, AttributeError):  # no folder that it may write to; no such stamp
        return njit(**options)(function)


def inlined(function: Callable | None = None, **options) -> Callable:
    """``numba.njit`` for what is written into its callers: a call's arrays cost more than a step.

    It is compiled with each of them, and so not kept on its own.
    """
    if function is None:
        return lambda function: inlined(function, **options)
    return njit(forceinline=True, nogil=True, error_model="numpy", **options)(function)


@cache
def _sources() -> str:
    """A hash of all sources that compiled code is made from."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *(here.parent / f"{name}.py" for name in OUTSIDE)]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def spec(env_id: str) -> Spec:
    """The environment's numbers; ValueError lists the known ones."""
    if not isinstance(env_id, str) or env_id not in SPECS:
        raise ValueError(f"environment {env_id!r} is not compiled; choose from: {', '.join(SPECS)}")
    return SPECS[env_id]


def reset(env_id: str, rng: np.random.Generator, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The next ``count`` first states (count, 4) and observations (count, O), as from ``reset()``.

    With ``np.random.default_rng(seed)`` the first row is that of ``env.reset(seed=seed)``.
    """
    number, width, _, _ = spec(env_id)
    states = np.zeros((count, 4))
    if number == CARTPOLE:
        states[:] = rng.uniform(-0.05, 0.05, (count, 4))
    elif number == ACROBOT:
        states[:] = single = rng.uniform(-0.1, 0.1, (count, 4)).astype(np.float32)
        angles = [f(single[:, k]) for k in (0, 1) for f in (np.cos, np.sin)]  # float32, as there
        return states, np.column_stack([*angles, single[:, 2:]]).astype(np.float64)
    elif number == MOUNTAIN_CAR:
        states[:, 0] = rng.uniform(-0.6, -0.4, count)
    else:
        high = np.array([np.pi, 1.0])
        states[:, :2] = rng.uniform(-high, high, (count, 2))
    obs = np.zeros((count, width))
    _observe_all(number, states, obs)
    return states, obs


@compiled
def _observe_all(number, states, obs):
    for k in range(states.shape[0]):
        observe(number, (states[k, 0], states[k, 1], states[k, 2], states[k, 3]), obs, k)


@compiled
def observe(number: int, state: State, obs: np.ndarray, row: int) -> None:
    """Write what the agent sees of ``state`` into ``obs[row]``; obs (T, O)."""
    a, b, c, d = state
    if number == CARTPOLE:
        obs[row, 0], obs[row, 1], obs[row, 2], obs[row, 3] = a, b, c, d
    elif number == ACROBOT:
        obs[row, 0], obs[row, 1] = math.cos(a), math.sin(a)
        obs[row, 2], obs[row, 3] = math.cos(b), math.sin(b)
        obs[row, 4], obs[row, 5] = c, d
    elif number == MOUNTAIN_CAR:
        obs[row, 0], obs[row, 1] = a, b
    else:
        obs[row, 0], obs[row, 1], obs[row, 2] = math.cos(a), math.sin(a), b
    for i in range(obs.shape[1]):
        obs[row, i] = np.float32(obs[row, i])


@compiled
def step(number: int, state: State, action: float) -> tuple[State, float, bool]:
    """One step: (state, reward, terminated). ``action`` is a choice 0 … A−1, or Pendulum's torque.

    The time limit is the caller's to keep. Pendulum takes a float32 torque for equality.
    """
    if number == CARTPOLE:
        state, terminated = _cartpole(state, action)
        return state, 1.0, terminated
    if number == ACROBOT:
        state, terminated = _acrobot(state, action)
        return state, 0.0 if terminated else -1.0, terminated
    if number == MOUNTAIN_CAR:
        state, terminated = _mountain_car(state, action)
        return state, -1.0, terminated
    state, reward = _pendulum(state, action)
    return state, reward, False


@compiled
def advance(number, states, actions, alive, obs, rewards, terminated):
    """``step`` and ``observe`` for the lanes that are ``alive``, in place; the others stand still.

    states (B, 4), actions, alive (B,); written: states, obs (B, O), rewards, terminated (B,).
    """
    for i in range(alive.shape[0]):
        state = (states[i, 0], states[i, 1], states[i, 2], states[i, 3])
        if alive[i]:
            state, rewards[i], terminated[i] = step(number, state, actions[i])
            for k in range(4):
                states[i, k] = state[k]
        observe(number, state, obs, i)


@compiled
def _square(x: float) -> float:
    # NumPy's x**2 is libm's pow, which at times rounds otherwise than x * x; the exponent must be
    # no constant, or the compiler turns it into x * x
    return math.pow(x, 2.0 + 0.0 * x)


@compiled
def _cartpole(state: State, action: float) -> tuple[State, bool]:
    x, x_dot, theta, theta_dot = state
    force = 10.0 if action == 1 else -10.0
    total_mass, pole_mass_length = 1.0 + 0.1, 0.1 * 0.5
    cos, sin = math.cos(theta), math.sin(theta)
    temp = (force + pole_mass_length * (theta_dot * theta_dot) * sin) / total_mass
    theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * (cos * cos) / total_mass))
    x_acc = temp - pole_mass_length * theta_acc * cos / total_mass
    x, x_dot = x + 0.02 * x_dot, x_dot + 0.02 * x_acc
    theta, theta_dot = theta + 0.02 * theta_dot, theta_dot + 0.02 * theta_acc
    fallen = abs(x) > 2.4 or abs(theta) > 12 * 2 * math.pi / 360
    return (x, x_dot, theta, theta_dot), fallen


@compiled
def _acrobot(state: State, action: float) -> tuple[State, bool]:
    torque, dt = action - 1.0, 0.2
    k1 = _acrobot_rates(state, torque)
    k2 = _acrobot_rates(_along(state, dt / 2.0, k1), torque)
    k3 = _acrobot_rates(_along(state, dt / 2.0, k2), torque)
    k4 = _acrobot_rates(_along(state, dt, k3), torque)
    a, b, c, d = (
        state[0] + dt / 6.0 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0]),
        state[1] + dt / 6.0 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1]),
        state[2] + dt / 6.0 * (k1[2] + 2 * k2[2] + 2 * k3[2] + k4[2]),
        state[3] + dt / 6.0 * (k1[3] + 2 * k2[3] + 2 * k3[3] + k4[3]),
    )
    a, b = _wrap(a), _wrap(b)
    c = min(max(c, -4 * math.pi), 4 * math.pi)
    d = min(max(d, -9 * math.pi), 9 * math.pi)
    return (a, b, c, d), -math.cos(a) - math.cos(b + a) > 1.0


@compiled
def _along(state: State, h: float, k: State) -> State:
    return (
        state[0] + h * k[0],
        state[1] + h * k[1],
        state[2] + h * k[2],
        state[3] + h * k[3],
    )


@compiled
def _wrap(angle: float) -> float:
    while angle > math.pi:
        angle = angle - 2 * math.pi
    while angle < -math.pi:
        angle = angle + 2 * math.pi
    return angle


@compiled
def _acrobot_rates(state: State, torque: float) -> State:
    theta1, theta2, rate1, rate2 = state  # all masses, lengths and moments are 1, centres at 1/2
    cos2, sin2 = math.cos(theta2), math.sin(theta2)
    d1 = 0.25 + (1.0 + 0.25 + cos2) + 1.0 + 1.0
    d2 = (0.25 + 0.5 * cos2) + 1.0
    phi2 = 0.5 * 9.8 * math.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = (
        -0.5 * _square(rate2) * sin2
        - 2 * 0.5 * rate2 * rate1 * sin2
        + (0.5 + 1.0) * 9.8 * math.cos(theta1 - math.pi / 2)
        + phi2
    )
    acc2 = (torque + d2 / d1 * phi1 - 0.5 * _square(rate1) * sin2 - phi2) / (
        0.25 + 1.0 - _square(d2) / d1
    )
    acc1 = -(d2 * acc2 + phi1) / d1
    return rate1, rate2, acc1, acc2


@compiled
def _mountain_car(state: State, action: float) -> tuple[State, bool]:
    x, v, _, _ = state
    v += (action - 1) * 0.001 + math.cos(3 * x) * (-0.0025)
    v = min(max(v, -0.07), 0.07)
    x = min(max(x + v, -1.2), 0.6)
    if x == -1.2 and v < 0:
        v = 0.0
    return (x, v, 0.0, 0.0), x >= 0.5 and v >= 0


@compiled
def _pendulum(state: State, action: float) -> tuple[State, float]:
    theta, rate, _, _ = state
    u = min(max(np.float32(action), np.float32(-2.0)), np.float32(2.0))
    angle = ((theta + math.pi) % (2 * math.pi)) - math.pi
    cost = (_square(angle) + 0.1 * _square(rate)) + np.float32(0.001) * (u * u)
    rate = rate + (15.0 * math.sin(theta) + np.float32(3.0) * u) * 0.05
    rate = min(max(rate, -8.0), 8.0)
    return (theta + rate * 0.05, rate, 0.0, 0.0), -cost
