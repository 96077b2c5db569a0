"""Lanes side by side: Gymnasium's numbers lane by lane, ends and resets included; mutants."""

import gymnasium
import numpy as np
import pytest
from comparing import difference

from coursekit.fast import envs
from coursekit.fast.lockstep import Lanes

SEEDS = [5, 8, 13]
SHORT = 1e-5  # float32 observations of chaotic systems, over one episode


def by_gymnasium(env_id, actions, rounds):
    """What three environments show, one after the other: lists of (obs, reward, ends), by lane."""
    lanes = []
    for i, seed in enumerate(SEEDS):
        env, shown = gymnasium.make(env_id), []
        for k in range(rounds):
            obs, _ = env.reset(seed=seed) if k == 0 else env.reset()
            shown.append((obs, 0.0, (False, False)))
            t = 0
            while not any(shown[-1][2]):
                action = actions[k, t, i]
                if not envs.SPECS[env_id].actions:
                    action = np.array([action], dtype=np.float32)
                obs, reward, *ends, _ = env.step(action)
                shown.append((obs, reward, tuple(ends)))
                t += 1
        lanes.append(shown)
    return lanes


def side_by_side(lanes, actions, rounds):
    """The same from ``Lanes``: in each round until all of them have ended."""
    shown = [[] for _ in SEEDS]
    for k in range(rounds):
        obs, alive, t = lanes.reset(), np.ones(len(SEEDS), dtype=bool), 0
        for lane, row in zip(shown, obs, strict=True):
            lane.append((row, 0.0, (False, False)))
        while alive.any():
            obs, rewards, terminated, truncated = lanes.step(actions[k, t], alive)
            for i in np.flatnonzero(alive):
                shown[i].append((obs[i], rewards[i], (bool(terminated[i]), bool(truncated[i]))))
            assert not rewards[~alive].any()
            alive, t = alive & ~(terminated | truncated), t + 1
    return shown


def actions_of(env_id, rounds):
    number, rng = envs.SPECS[env_id].actions, np.random.default_rng(7)
    shape = (rounds, 500, len(SEEDS))
    return rng.integers(number, size=shape) if number else np.float32(rng.uniform(-2.5, 2.5, shape))


def from_gymnasium(kind, env_id, rounds=2):
    """What is otherwise than in Gymnasium, in the first lane and step in which it is; or ""."""
    actions = actions_of(env_id, rounds)
    ours = side_by_side(kind(env_id, SEEDS), actions, rounds)
    for lane, (mine, real) in enumerate(
        zip(ours, by_gymnasium(env_id, actions, rounds), strict=True)
    ):
        for step, ((a, r, ends), (b, s, others)) in enumerate(zip(mine, real, strict=False)):
            if ends != others:
                return f"lane {lane}, step {step}: (terminated, truncated) is {ends}, not {others}"
            if found := difference(
                {"reward": r, "obs": a}, {"reward": s, "obs": b}, atol=SHORT, by="by Gymnasium"
            ):
                return f"lane {lane}, step {step}: {found}"
        if len(mine) != len(real):
            return f"lane {lane}: {len(mine)} steps, by Gymnasium {len(real)}"
    return ""


@pytest.mark.parametrize("env_id", envs.SPECS)
def test_each_lane_is_gymnasiums_environment_with_its_seed(env_id):
    assert not from_gymnasium(Lanes, env_id)


class Late(Lanes):
    """The limit comes one step late."""

    def step(self, actions, alive):
        obs, rewards, terminated, _ = super().step(actions, alive)
        return obs, rewards, terminated, alive & (self.steps > self.spec.limit)


class OneSeed(Lanes):
    """All lanes have the first seed."""

    def __init__(self, env_id, seeds):
        super().__init__(env_id, [seeds[0]] * len(seeds))


class Restless(Lanes):
    """Lanes that have ended go on."""

    def step(self, actions, alive):
        return super().step(actions, np.ones_like(alive))


@pytest.mark.parametrize(("mutant", "env_id"), [(Late, "MountainCar-v0"), (OneSeed, "CartPole-v1")])
def test_the_comparison_rejects_a_mutant(mutant, env_id):
    assert from_gymnasium(mutant, env_id)


def test_a_lane_that_has_ended_stands_still():
    for kind, moves in ((Lanes, False), (Restless, True)):
        lanes = kind("CartPole-v1", SEEDS)
        first = lanes.reset()
        obs, rewards, *_ = lanes.step(np.ones(3), np.array([True, False, True]))
        assert rewards.tolist() == [1, float(moves), 1]
        assert (obs[1] != first[1]).any() == moves


def test_bad_input_is_told_what_to_do():
    with pytest.raises(ValueError, match="is not compiled"):
        Lanes("Taxi-v3", [0])
    with pytest.raises(ValueError, match="seed"):
        Lanes("CartPole-v1", [-1])
    lanes = Lanes("CartPole-v1", SEEDS)
    with pytest.raises(ValueError, match="call reset"):
        lanes.step(np.ones(3), np.ones(3))
    lanes.reset()
    with pytest.raises(ValueError, match="there are 3 lanes"):
        lanes.step(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="actions"):
        lanes.step(np.array([np.nan, 0, 1]), np.ones(3))
