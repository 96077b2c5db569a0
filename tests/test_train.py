"""The training loop: one update by hand in NumPy, equal runs, bad settings."""

import re

import gymnasium
import numpy as np
import pytest
import torch

from coursekit import losses, train

TINY = {"hidden": (5,), "episodes": 3, "updates": 3, "lr": 0.02, "gamma": 0.9}
every_way = pytest.mark.parametrize("reduction", ["loop", *losses.REDUCTIONS])


def run(seed=1, **change):
    return train.train(train.Config(**{**TINY, **change}), seed)


def distance(a, b):
    return max((x - b.params[name]).abs().max().item() for name, x in a.params.items())


def forward(weights, obs):
    w0, b0, w1, b1 = weights
    hidden = np.maximum(w0 @ obs + b0, 0)
    logits = w1 @ hidden + b1
    return hidden, np.exp(logits) / np.exp(logits).sum()


def backward(weights, obs, action):
    """∇(−log π(a|s)) of the four arrays: p − onehot at the logits, then back."""
    hidden, p = forward(weights, obs)
    dlogits = p - np.eye(len(p))[action]
    dhidden = (weights[2].T @ dlogits) * (hidden > 0)
    return [np.outer(dhidden, obs), dhidden, np.outer(dlogits, hidden), dlogits]


def sgd_by_hand(seed, reduction, weight, B, updates, lr, gamma):
    """REINFORCE on CartPole in NumPy, nothing shared with the package; (weights, lengths)."""
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * B)
    rng = np.random.default_rng(for_weights)
    shapes = [((5, 4), 4), ((5,), 4), ((2, 5), 5), ((2,), 5)]
    weights = [rng.uniform(-1 / fan_in**0.5, 1 / fan_in**0.5, shape) for shape, fan_in in shapes]
    lanes = []
    for k in range(B):
        env = gymnasium.make("CartPole-v1")
        env.reset(seed=int(for_lanes[2 * k].generate_state(1)[0]))
        lanes.append((env, np.random.default_rng(for_lanes[2 * k + 1])))
    lengths = []
    for _ in range(updates):
        batch = []
        for env, draws in lanes:
            obs, ended, steps = env.reset()[0].astype(np.float64), False, []
            while not ended:
                action = int(draws.random() >= forward(weights, obs)[1][0])
                after, reward, terminated, truncated, _ = env.step(action)
                steps.append((obs, action, reward))
                obs, ended = after.astype(np.float64), terminated or truncated
            batch.append(steps)
        lengths.append([len(steps) for steps in batch])
        grads = [np.zeros_like(x) for x in weights]
        for steps, n in zip(batch, lengths[-1], strict=True):
            factor = {
                "loop": 1 / B,
                "sum": 1 / B,
                "episode_mean": 1 / (B * n),
                "step_mean": 1 / sum(lengths[-1]),
                "constant": 1 / (B * 100),
            }[reduction]
            for t, (obs, action, _) in enumerate(steps):
                start = t if weight == "reward_to_go" else 0
                G = sum(gamma ** (k - start) * steps[k][2] for k in range(start, n))
                for total, g in zip(grads, backward(weights, obs, action), strict=True):
                    total += factor * G * g
        weights = [x - lr * g for x, g in zip(weights, grads, strict=True)]
    return weights, lengths


@pytest.mark.parametrize("weight", sorted(losses.WEIGHTS))
@every_way
def test_two_sgd_updates_are_those_written_by_hand_in_numpy(reduction, weight):
    result = run(optimiser="sgd", reduction=reduction, weight=weight, updates=2)
    by_hand, lengths = sgd_by_hand(1, reduction, weight, B=3, updates=2, lr=0.02, gamma=0.9)
    assert len(set(lengths[0])) > 1  # with equal lengths the reductions could not differ
    np.testing.assert_array_equal(result.lengths, lengths)
    for ours, theirs in zip(result.params.values(), by_hand, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs, atol=1e-12)


@pytest.mark.parametrize("optimiser", sorted(train.OPTIMISERS))
def test_no_two_reductions_train_the_same_parameters(optimiser):
    results = [run(optimiser=optimiser, reduction=name) for name in losses.REDUCTIONS]
    for i, first in enumerate(results):
        for second in results[:i]:
            assert distance(first, second) > 1e-9


@pytest.mark.parametrize("optimiser", sorted(train.OPTIMISERS))
def test_the_loop_and_the_sum_train_the_same_parameters(optimiser):
    loop, total = (run(optimiser=optimiser, reduction=name, updates=6) for name in ("loop", "sum"))
    np.testing.assert_array_equal(loop.lengths, total.lengths)
    assert distance(loop, total) < 1e-10
    assert distance(run(optimiser=optimiser, updates=1), total) > 1e-3  # it did move


def test_under_sgd_constant_is_the_sum_at_another_rate():
    constant = run(optimiser="sgd", reduction="constant", divisor=8.0, lr=0.16)
    assert distance(constant, run(optimiser="sgd", lr=0.02)) == 0


def test_the_first_adam_step_moves_every_parameter_by_at_most_the_rate():
    moved = [(run(updates=1, lr=lr).params, lr) for lr in (0.02, 0.001)]
    still = run(updates=1, lr=1e-12).params
    for params, lr in moved:
        steps = torch.cat([(params[name] - still[name]).ravel() for name in params]).abs()
        assert steps.max().item() == pytest.approx(lr, rel=1e-3)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    first, again, other = run(seed=1), run(seed=1), run(seed=2)
    np.testing.assert_array_equal(first.returns, again.returns)
    assert distance(first, again) == 0
    assert (first.lengths != other.lengths).any()
    assert distance(first, other) > 1e-3


def test_training_neither_reads_nor_changes_the_global_generators():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = run()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert distance(first, run()) == 0


def test_more_lanes_leave_the_first_episode_of_the_first_lanes_as_it_was():
    few, many = run(episodes=2, updates=1), run(episodes=4, updates=1)
    assert few.lengths.shape == (1, 2)
    np.testing.assert_array_equal(many.lengths[:, :2], few.lengths)
    assert len(set(many.lengths[0])) > 1


def test_the_result_has_a_row_for_each_update_and_a_column_for_each_lane():
    result = run(updates=2, episodes=3)
    assert result.returns.shape == result.lengths.shape == (2, 3)
    np.testing.assert_array_equal(result.returns, result.lengths)  # CartPole pays 1 a step
    shapes = {name: tuple(value.shape) for name, value in result.params.items()}
    assert shapes == {"w0": (5, 4), "b0": (5,), "w1": (2, 5), "b1": (2,)}


def test_the_activation_and_the_hidden_layers_are_those_of_the_settings():
    assert list(run(updates=1, hidden=(3, 4)).params) == ["w0", "b0", "w1", "b1", "w2", "b2"]
    assert distance(run(updates=1), run(updates=1, activation="tanh")) > 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"reduction": "avg"},
            "reduction 'avg' is unknown; choose from: constant, episode_mean, loop, step_mean, sum",
        ),
        ({"weight": "G"}, "weight 'G' is unknown; choose from: reward_to_go, whole_return"),
        ({"optimiser": "rms"}, "optimiser 'rms' is unknown; choose from: adam, sgd"),
        ({"lr": 0}, "lr 0 must be above 0"),
        ({"lr": -0.1}, "lr -0.1 must be above 0"),
        ({"lr": float("nan")}, "lr nan must be above 0"),
        ({"lr": float("inf")}, "lr inf must be above 0 and finite"),
        ({"divisor": 0.0}, "divisor 0.0 must be above 0"),
        ({"episodes": 0}, "episodes 0 must be above 0"),
        ({"hidden": 64}, "hidden 64 must be a tuple of layer widths"),
        ({"lr": "0.01"}, "lr '0.01' must be a number"),
        ({"activation": "gelu"}, "activation 'gelu' is unknown; choose from: relu, tanh"),
        ({"hidden": (8, 0)}, "hidden (8, 0) must be a tuple of layer widths, all above 0"),
        ({"episodes": -2}, "episodes -2 must be above 0"),
        ({"updates": 0}, "updates 0 must be above 0"),
        ({"updates": -1}, "updates -1 must be above 0"),
        ({"gamma": 1.1}, "gamma 1.1 is outside [0, 1]"),
        ({"gamma": -0.1}, "gamma -0.1 is outside [0, 1]"),
        ({"gamma": float("nan")}, "gamma nan is outside [0, 1]"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_value(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train.Config(**change)


@pytest.mark.parametrize("name", ["episodes", "updates"])
def test_half_an_episode_or_half_an_update_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name} 2\.5 must be a whole number"):
        train.Config(**{name: 2.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env_id": "CartPole-v99"}, "environment id 'CartPole-v99' does not exist"),
        ({"env_id": "Pendulum-v1"}, r"Pendulum-v1 has Box\("),
        ({"activation": "gelu"}, "activation 'gelu' is unknown; choose from: relu, tanh"),
    ],
)
def test_an_environment_or_a_network_that_does_not_exist_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        run(**change)


def test_settings_can_not_be_changed_after_they_were_checked():
    with pytest.raises(AttributeError):
        train.Config().lr = -1
