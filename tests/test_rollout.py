"""Rollouts: against a plain Gymnasium loop, padding and mask by hand, endings kept apart."""

import re

import gymnasium
import numpy as np
import pytest
import torch

from coursekit import policies, rollout


def streams(seed, lanes):
    return np.random.SeedSequence(seed).spawn(2 * lanes)


def policy_and_params(env_id="CartPole-v1", seed=3):
    policy = policies.policy_for(rollout.make(env_id), hidden=(5,))
    return policy, policy.init(np.random.default_rng(seed))


def play_by_hand(env_id, params, pair, episodes, **keywords):
    """The plain loop in Gymnasium and NumPy: [(obs, actions, rewards, terminated, truncated)]."""
    w0, b0, w1, b1 = (value.detach().numpy() for value in params.values())
    env, rng, played = gymnasium.make(env_id, **keywords), np.random.default_rng(pair[1]), []
    env.reset(seed=int(pair[0].generate_state(1)[0]))
    for _ in range(episodes):
        obs, _ = env.reset()
        seen, actions, rewards, terminated, truncated = [], [], [], False, False
        while not (terminated or truncated):
            logits = w1 @ np.maximum(w0 @ obs.astype(np.float64) + b0, 0) + b1
            p = np.exp(logits) / np.exp(logits).sum()
            u, action = rng.random(), 0
            while action < len(p) - 1 and u >= p[: action + 1].sum():
                action += 1
            seen.append(obs.tolist())
            obs, reward, terminated, truncated, _ = env.step(action)
            actions.append(action)
            rewards.append(float(reward))
        played.append((seen, actions, rewards, terminated, truncated))
    return played


def plain(episode):
    """An ``Episode`` as plain lists, to be compared exactly."""
    obs = [row.tolist() for row in episode.obs]
    return (obs, *episode[1:])


def episode(n, seed=0, terminated=True):
    """n random steps: obs, actions and rewards without a zero among them."""
    rng = np.random.default_rng(seed)
    return rollout.Episode(
        obs=list(rng.normal(size=(n, 3))),
        actions=rng.integers(1, 5, size=n).tolist(),
        rewards=rng.uniform(1, 2, size=n).tolist(),
        terminated=terminated,
        truncated=not terminated,
    )


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_episodes_are_those_of_a_plain_gymnasium_loop_with_the_same_seeds(env_id):
    policy, params = policy_and_params(env_id)
    pair = streams(9, 1)
    lane = rollout.make_lanes(env_id, pair)[0]
    for by_hand in play_by_hand(env_id, params, pair, episodes=2):
        assert plain(rollout.play(lane, policy, params)) == by_hand


def test_collect_plays_one_episode_in_every_lane_in_order():
    policy, params = policy_and_params()
    pairs = streams(4, 3)
    batch = rollout.collect(policy, params, rollout.make_lanes("CartPole-v1", pairs))
    lanes = [play_by_hand("CartPole-v1", params, pairs[2 * k : 2 * k + 2], 1)[0] for k in range(3)]
    assert len({len(rewards) for _, _, rewards, *_ in lanes}) > 1
    for k, (obs, actions, rewards, terminated, truncated) in enumerate(lanes):
        n = len(rewards)
        assert batch.obs[k, :n].tolist() == obs
        assert batch.actions[k, :n].tolist() == actions
        assert batch.rewards[k, :n].tolist() == rewards
        assert batch.lengths[k] == n
        assert (batch.terminated[k], batch.truncated[k]) == (terminated, truncated)


def test_a_lane_sees_the_same_numbers_whatever_the_number_of_lanes():
    policy, params = policy_and_params()
    few, many = (rollout.make_lanes("CartPole-v1", streams(5, B)) for B in (1, 4))
    for _ in range(3):
        alone = plain(rollout.play(few[0], policy, params))
        together = [plain(rollout.play(lane, policy, params)) for lane in many]
        assert alone == together[0]
        assert alone not in together[1:]


def test_lanes_start_in_different_states_and_draw_different_numbers():
    lanes = rollout.make_lanes("CartPole-v1", streams(5, 3))
    assert len({lane.env.reset()[0].tobytes() for lane in lanes}) == 3
    assert len({lane.rng.random() for lane in lanes}) == 3


def test_the_environment_goes_on_from_episode_to_episode_and_is_not_seeded_again():
    policy, params = policy_and_params()
    lane = rollout.make_lanes("CartPole-v1", streams(5, 1))[0]
    first, second = (rollout.play(lane, policy, params) for _ in range(2))
    assert first.obs[0].tolist() != second.obs[0].tolist()


def test_a_pole_that_falls_is_terminated_and_not_truncated():
    policy, params = policy_and_params()
    batch = rollout.collect(policy, params, rollout.make_lanes("CartPole-v1", streams(1, 2)))
    assert batch.terminated.all()
    assert not batch.truncated.any()


def test_a_car_that_never_arrives_is_truncated_at_200_steps_and_not_terminated():
    policy, params = policy_and_params("MountainCar-v0")
    batch = rollout.collect(policy, params, rollout.make_lanes("MountainCar-v0", streams(1, 1)))
    assert batch.truncated.tolist() == [True]
    assert batch.terminated.tolist() == [False]
    assert batch.lengths.tolist() == [200]
    assert batch.returns.tolist() == [-200]


def test_an_episode_that_ends_both_ways_in_one_step_keeps_both_flags():
    policy, params = policy_and_params()
    pair = streams(9, 1)
    n = len(play_by_hand("CartPole-v1", params, pair, 1)[0][2])
    env = gymnasium.make("CartPole-v1", max_episode_steps=n)
    env.reset(seed=int(pair[0].generate_state(1)[0]))
    lane = rollout.Lane(env, np.random.default_rng(pair[1]))
    ended = rollout.play(lane, policy, params)
    assert (len(ended.rewards), ended.terminated, ended.truncated) == (n, True, True)


def test_a_time_limit_shorter_than_the_fall_truncates():
    policy, params = policy_and_params()
    env = gymnasium.make("CartPole-v1", max_episode_steps=6)
    env.reset(seed=2)
    cut = rollout.play(rollout.Lane(env, np.random.default_rng(2)), policy, params)
    assert (len(cut.obs), cut.terminated, cut.truncated) == (6, False, True)


def test_stack_pads_with_zeros_and_the_mask_marks_the_real_steps():
    played = [episode(n, seed=n, terminated=n != 4) for n in (2, 4, 1, 3, 4)]
    batch = rollout.stack(played)
    assert batch.mask.tolist() == [
        [True, True, False, False],
        [True, True, True, True],
        [True, False, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
    for i, one in enumerate(played):
        n = len(one.rewards)
        for field, values in zip(batch[:3], one[:3], strict=True):
            np.testing.assert_array_equal(field[i, :n], values)
            assert not field[i, n:].any()
    assert batch.lengths.tolist() == [2, 4, 1, 3, 4]
    by_hand = [sum(one.rewards) for one in played]
    np.testing.assert_allclose(batch.returns, by_hand, atol=1e-14)
    assert batch.terminated.tolist() == [True, False, True, True, False]
    assert batch.truncated.tolist() == [False, True, False, False, True]


def test_an_episode_of_one_step_may_come_first():
    batch = rollout.stack([episode(1), episode(3)])
    assert batch.mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.obs.shape[:2] == (2, 3)


def test_a_batch_has_the_shapes_and_types_that_its_docstring_says():
    batch = rollout.stack([episode(2), episode(4)])
    told = {name: (tuple(x.shape), x.dtype) for name, x in batch._asdict().items()}
    assert told == {
        "obs": ((2, 4, 3), torch.float64),
        "actions": ((2, 4), torch.int64),
        "rewards": ((2, 4), torch.float64),
        "mask": ((2, 4), torch.bool),
        "terminated": ((2,), torch.bool),
        "truncated": ((2,), torch.bool),
    }


def watched_by_hand(env_id, act, seed, episodes):
    env, found = gymnasium.make(env_id), []
    for k in range(episodes):
        obs, _ = env.reset(seed=seed) if k == 0 else env.reset()
        found.append([])
        ended = False
        while not ended:
            before, action = obs, act(obs)
            obs, reward, terminated, truncated, _ = env.step(action)
            found[-1].append((before.tolist(), action, reward))
            ended = terminated or truncated
    return found


def test_watching_is_a_plain_loop_of_what_is_told_episode_after_episode():
    def lean(obs):  # towards the side to which the pole falls
        return int(obs[2] + 0.5 * obs[3] > 0)

    watched = rollout.watch("CartPole-v1", lean, seed=4, episodes=3)
    by_hand = watched_by_hand("CartPole-v1", lean, 4, 3)
    assert [
        list(zip(np.array(e.obs).tolist(), e.actions, e.rewards, strict=True)) for e in watched
    ] == by_hand
    assert len({tuple(e.obs[0]) for e in watched}) == 3  # three first states: seeded once
    assert watched_by_hand("CartPole-v1", lean, 5, 3) != by_hand
    right = rollout.watch("CartPole-v1", lambda obs: 1, seed=4)
    assert [(e.terminated, e.truncated) for e in right] == [(True, False)]
    still = rollout.watch("MountainCar-v0", lambda obs: 1, seed=0)
    assert (still[0].terminated, still[0].truncated, sum(still[0].rewards)) == (False, True, -200)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"env_id": "Pole-v9"}, "Pole-v9"),
        ({"seed": -1}, "seed"),
        ({"episodes": 0}, "episodes"),
    ],
)
def test_what_can_not_be_watched_is_refused(wrong, message):
    given = {"env_id": "CartPole-v1", "act": lambda obs: 0, "seed": 0} | wrong
    with pytest.raises(ValueError, match=message):
        rollout.watch(**given)


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="no episodes to stack; give at least one"):
        rollout.stack([])


@pytest.mark.parametrize("change", [{"obs": []}, {"actions": []}, {"rewards": []}])
def test_an_empty_episode_is_refused_by_its_number(change):
    with pytest.raises(ValueError, match=r"episode 1 is empty \(obs, actions, rewards: \(.*0"):
        rollout.stack([episode(2), episode(3)._replace(**change)])


@pytest.mark.parametrize("field", ["obs", "actions", "rewards"])
def test_an_episode_of_unequal_lists_is_refused_with_their_lengths(field):
    bad = episode(3)
    bad = bad._replace(**{field: getattr(bad, field)[:2]})
    with pytest.raises(ValueError, match=r"episode 1 has unequal numbers .*\(.*2.*\)"):
        rollout.stack([episode(4), bad])


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf")])
def test_a_reward_that_is_no_number_is_refused_with_its_time_step(reward):
    bad = episode(5)
    bad.rewards[3:] = [reward, reward]
    with pytest.raises(ValueError, match=rf"episode 2 has reward {reward} at t = 3"):
        rollout.stack([episode(2), episode(4), bad])


@pytest.mark.parametrize("rewards", [["1", "2"], [None, 1.0], "ab"])
def test_rewards_that_are_no_numbers_are_refused_with_their_episode(rewards):
    with pytest.raises(ValueError, match=r"rewards of episode 1 .* must be a number or an array"):
        rollout.stack([episode(4), episode(2)._replace(rewards=rewards)])


@pytest.mark.parametrize("actions", [[0.5, 1], [True, False], ["0", "1"], [None, 1]])
def test_actions_that_are_no_whole_numbers_are_refused_with_their_episode(actions):
    message = f"actions of episode 1 must be whole numbers, not {actions}"
    with pytest.raises(ValueError, match=re.escape(message)):
        rollout.stack([episode(4), episode(2)._replace(actions=actions)])


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        ([np.ones(3), np.array([1.0, np.nan, 2.0])], "obs of episode 1 holds a NaN or an infinity"),
        ([np.ones(3), np.ones(2)], r"obs of episode 1 .* must be a number or an array of numbers"),
        *(  # one number in place of three would be stretched by NumPy
            ([np.ones(width)] * 2, rf"episode 1 has .* shape \({width},\), episode 0 of \(3,\)")
            for width in (1, 2, 4)
        ),
    ],
)
def test_observations_that_are_not_finite_or_not_of_one_size_are_refused(obs, message):
    with pytest.raises(ValueError, match=message):
        rollout.stack([episode(4), episode(2)._replace(obs=obs)])


@pytest.mark.parametrize("wrong", [[{"obs": 1}], [None], [(1, 2)]])
def test_what_is_no_episode_is_refused(wrong):
    with pytest.raises(
        ValueError, match=r"episode .* is no Episode; give one, such as rollout\.play"
    ):
        rollout.stack(wrong)


@pytest.mark.parametrize("wrong", [None, 5, "ab"])
def test_episodes_that_are_no_list_are_refused(wrong):
    with pytest.raises(ValueError, match=f"episodes {wrong!r} must be a list, such as"):
        rollout.stack(wrong)


@pytest.mark.parametrize("wrong", [episode(2), episode(2).rewards])
def test_one_episode_alone_is_not_a_list_of_them(wrong):
    with pytest.raises(
        ValueError, match=r"(?s)episode .* is no Episode; give one, such as rollout\.play"
    ):
        rollout.stack(wrong)


def test_what_is_no_lane_is_refused():
    policy, params = policy_and_params()
    lane = rollout.make_lanes("CartPole-v1", streams(1, 1))[0]
    for call in (
        lambda: rollout.play(lane.env, policy, params),
        lambda: rollout.collect(policy, params, lane),  # its two parts are no lanes
    ):
        with pytest.raises(
            ValueError, match=r"lane <.* is no Lane; give one, such as rollout\.make_lanes"
        ):
            call()


@pytest.mark.parametrize("wrong", [2, None, np.random.SeedSequence(0), "ab"])
def test_streams_that_are_no_list_are_refused(wrong):
    with pytest.raises(
        ValueError, match=r"(?s)streams .* must be a list, such as np\.random\.Seed"
    ):
        rollout.make_lanes("CartPole-v1", wrong)


@pytest.mark.parametrize("wrong", [[0, 1], [np.random.default_rng(0)] * 2])
def test_seeds_and_generators_are_no_streams(wrong):
    with pytest.raises(
        ValueError, match=r"stream .* is no SeedSequence; give one, such as np\.random"
    ):
        rollout.make_lanes("CartPole-v1", wrong)


def test_an_id_that_is_good_is_made_once_and_closed(monkeypatch):
    made, closed, make = [], [], rollout.make

    def watched(env_id):
        made.append(make(env_id))
        monkeypatch.setattr(made[-1], "close", lambda: closed.append(env_id))
        return made[-1]

    monkeypatch.setattr(rollout, "make", watched)
    rollout.checked_id.cache_clear()
    for _ in range(3):
        rollout.checked_id("Acrobot-v1")
    assert len(made) == 1
    assert closed == ["Acrobot-v1"]


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("CartPole-v99", "environment id 'CartPole-v99' does not exist or cannot be made"),
        ("nomodule:X-v0", "environment id 'nomodule:X-v0' does not exist or cannot be made"),
        (3, "environment id 3 does not exist or cannot be made"),
        ("Pendulum-v1", r"Pendulum-v1 has Box\("),
        ("FrozenLake-v1", r"FrozenLake-v1 observes Discrete\(16\)"),
    ],
)
def test_an_id_is_checked_without_playing_and_a_bad_one_is_never_remembered(env_id, message):
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            rollout.checked_id(env_id)


def test_what_gymnasium_only_asserts_is_a_sentence_as_well(monkeypatch):
    def asserts(env_id):
        raise AssertionError

    monkeypatch.setattr(rollout.gymnasium, "make", asserts)  # Gymnasium 1.0, given a number
    with pytest.raises(ValueError, match="environment id 3 does not exist or cannot be made"):
        rollout.make(3)


@pytest.mark.parametrize("env_id", ["CartPole-v9999", "NoSuchEnv-v0", "not an id"])
def test_an_unknown_environment_is_refused_with_its_id(env_id):
    with pytest.raises(ValueError, match=f"environment id '{env_id}' does not exist"):
        rollout.make(env_id)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_streams_that_do_not_come_in_pairs_are_refused(number):
    with pytest.raises(ValueError, match=f"{number} streams given; a lane needs two"):
        rollout.make_lanes("CartPole-v1", np.random.SeedSequence(0).spawn(number))


def test_the_sizes_of_an_environment_are_those_of_its_spaces():
    sizes = {name: rollout.sizes(name) for name in ("CartPole-v1", "Acrobot-v1", "Pendulum-v1")}
    assert sizes == {"CartPole-v1": (4, 2), "Acrobot-v1": (6, 3), "Pendulum-v1": (3, 0)}
    with pytest.raises(ValueError, match="the policy reads a vector; Blackjack-v1 observes"):
        rollout.sizes("Blackjack-v1")
