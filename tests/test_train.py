"""The training loop: one update by hand in NumPy, equal runs, bad settings."""

import copy
import dataclasses
import pickle
import re

import gymnasium
import numpy as np
import pytest
import torch
from comparing import difference

from coursekit import baselines, losses, train

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


def standardised(values):
    values = np.array(values)
    return list((values - values.mean()) / (values.std() + 1e-8))


def sgd_by_hand(
    seed,
    reduction,
    weight,
    B,
    updates,
    lr,
    gamma,
    baseline="none",
    standardise="none",
    shorten=lambda k, norm: 1.0,
):
    """REINFORCE on CartPole in NumPy, nothing shared with the package: weights, lengths, norms."""
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * B)
    rng = np.random.default_rng(for_weights)
    shapes = [((5, 4), 4), ((5,), 4), ((2, 5), 5), ((2,), 5)]
    weights = [rng.uniform(-1 / fan_in**0.5, 1 / fan_in**0.5, shape) for shape, fan_in in shapes]
    lanes = []
    for k in range(B):
        env = gymnasium.make("CartPole-v1")
        env.reset(seed=int(for_lanes[2 * k].generate_state(1)[0]))
        lanes.append((env, np.random.default_rng(for_lanes[2 * k + 1])))
    lengths, norms, past = [], [], []
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
        whole = [[sum(gamma ** (k - t) * r for k, (*_, r) in enumerate(steps) if k >= t)
                  for t in range(len(steps))] for steps in batch]  # fmt: skip
        if weight == "whole_return":
            whole = [[G[0]] * len(G) for G in whole]
        b = np.zeros(500)  # from the batches before this one; few, so that it is their plain mean
        if baseline == "running_mean" and past:
            b[:] = np.mean([np.mean([G[0] for G in old]) for old in past])
        if baseline == "per_time_step":
            for t in range(500):
                means = [np.mean([G[t] for G in old if len(G) > t]) for old in past
                         if max(map(len, old)) > t]  # fmt: skip
                b[t] = np.mean(means) if means else 0.0
        past.append(whole)
        used = [[w - b[t] for t, w in enumerate(G)] for G in whole]
        if standardise == "per_episode":
            used = [standardised(G) for G in used]
        if standardise == "per_batch":
            together = iter(standardised([w for G in used for w in G]))
            used = [[next(together) for _ in G] for G in used]
        # few batches: their plain mean; before any, nothing is known and nothing moves
        typical = np.mean([np.mean(old) for old in lengths[:-1]]) if lengths[:-1] else None
        grads = [np.zeros_like(x) for x in weights]
        for steps, row, n in zip(batch, used, lengths[-1], strict=True):
            factor = {
                "loop": 1 / B,
                "sum": 1 / B,
                "episode_mean": 1 / (B * n),
                "step_mean": 1 / sum(lengths[-1]),
                "constant": 1 / (B * 100),
                "typical": 1 / (B * typical) if typical else 0.0,
                "tilt": typical / (B * n) if typical else 0.0,
            }[reduction]
            for (obs, action, _), w in zip(steps, row, strict=True):
                for total, g in zip(grads, backward(weights, obs, action), strict=True):
                    total += factor * w * g
        norms.append(np.sqrt(sum((g**2).sum() for g in grads)))
        step = lr * shorten(len(norms), norms[-1])
        weights = [x - step * g for x, g in zip(weights, grads, strict=True)]
    return weights, lengths, norms


@pytest.mark.parametrize("weight", sorted(losses.WEIGHTS))
@every_way
def test_three_sgd_updates_are_those_written_by_hand_in_numpy(reduction, weight):
    result = run(optimiser="sgd", reduction=reduction, weight=weight, updates=3)
    by_hand, lengths, norms = sgd_by_hand(1, reduction, weight, B=3, updates=3, lr=0.02, gamma=0.9)
    assert len(set(lengths[0])) > 1  # with equal lengths the reductions could not differ
    np.testing.assert_array_equal(result.lengths, lengths)
    np.testing.assert_allclose(result.grad_norm, norms, rtol=1e-11)
    for ours, theirs in zip(result.params.values(), by_hand, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs, atol=1e-12)


# --- The steps: what becomes of a gradient before the optimiser takes it, and of its rate.

CLIP = 15.0
STEPS = {
    "inverse_root": ({"schedule": "inverse_root"}, lambda k, norm: k**-0.5),
    "clip_all": ({"clip": 0.5}, lambda k, norm: 0.5 / (norm + 1e-6)),
    "clip_some": ({"clip": CLIP}, lambda k, norm: min(1, CLIP / (norm + 1e-6))),
    "clip_none": ({"clip": 1e9}, lambda k, norm: 1.0),
    "normalise": ({"normalise": True}, lambda k, norm: 1 / (norm + 1e-6)),
    "both": (
        {"clip": CLIP, "schedule": "inverse_root"},
        lambda k, norm: min(1, CLIP / norm) * k**-0.5,
    ),
}


def from_the_hand(result, by_hand, lengths, norms, rtol, atol):
    """What a run has otherwise than ``sgd_by_hand``; "" where it agrees.

    ``rtol`` is for ``grad_norm``, that of the gradient before it is shortened; ``atol`` for the
    parameters, which come last.
    """
    ours = {"lengths": result.lengths, "grad_norm": result.grad_norm}
    ours |= {name: value.detach() for name, value in result.params.items()}
    theirs = {"lengths": lengths, "grad_norm": norms}
    theirs |= dict(zip(result.params, by_hand, strict=True))
    return difference(ours, theirs, {"grad_norm": rtol}, dict.fromkeys(result.params, atol))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_that_written_by_hand_and_no_other(name):
    result = run(optimiser="sgd", **STEPS[name][0])
    for other, (_, shorten) in STEPS.items():
        by_hand = sgd_by_hand(1, "sum", "reward_to_go", 3, 3, 0.02, 0.9, shorten=shorten)
        found = from_the_hand(result, *by_hand, rtol=1e-6, atol=1e-7)
        if other == name:
            assert not found
        else:
            assert found, f"{name} is {other}, too"
        if other == "clip_some":
            assert 0 < np.sum(np.array(by_hand[2]) > CLIP) < 3  # it clips some and not all


WAYS = [
    (baseline, standardise, weight)
    for baseline in baselines.BASELINES
    for standardise in baselines.STANDARDISE
    for weight in losses.WEIGHTS
    if (standardise, weight) != ("per_episode", "whole_return")
]


def taken_off_otherwise(result, baseline, standardise, weight):
    """The oracle for what is taken off the weights: three updates of SGD in NumPy."""
    by_hand = sgd_by_hand(1, "step_mean", weight, 3, 3, 0.02, 0.9, baseline, standardise)
    return from_the_hand(result, *by_hand, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("baseline", "standardise", "weight"), WAYS)
def test_baseline_and_standardising_are_those_written_by_hand(baseline, standardise, weight):
    settings = {"optimiser": "sgd", "reduction": "step_mean", "weight": weight}
    result = run(**settings, baseline=baseline, standardise=standardise)
    assert not taken_off_otherwise(result, baseline, standardise, weight)


class NeverLearns(baselines.RunningMean):
    def update(self, weight, mask):
        pass


class LearnsWhatIsPaddedToo(baselines.PerTimeStep):
    def update(self, weight, mask):
        super().update(weight, mask | True)


class OneNumber(baselines.PerTimeStep):
    def values(self, steps):
        return np.full(steps, super().values(1)[0])


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("running_mean", NeverLearns),
        ("per_time_step", LearnsWhatIsPaddedToo),
        ("per_time_step", OneNumber),
        ("running_mean", baselines.PerTimeStep),
    ],
)
def test_a_baseline_with_a_mistake_is_not_what_is_written_by_hand(name, mutant, monkeypatch):
    monkeypatch.setitem(baselines.BASELINES, name, mutant)
    result = run(optimiser="sgd", reduction="step_mean", baseline=name)
    assert taken_off_otherwise(result, name, "none", "reward_to_go")


@pytest.mark.parametrize("way", ["per_episode", "per_batch"])
def test_standardising_over_the_padding_too_is_not_what_is_written_by_hand(way, monkeypatch):
    right = baselines.STANDARDISE[way]
    monkeypatch.setitem(baselines.STANDARDISE, way, lambda w, mask: right(w, mask | True) * mask)
    result = run(optimiser="sgd", reduction="step_mean", standardise=way)
    assert taken_off_otherwise(result, "none", way, "reward_to_go")


@pytest.mark.parametrize("name", ["running_mean", "per_time_step"])
def test_a_baseline_does_not_know_the_batch_that_it_is_subtracted_from(name):
    first, plain = (run(updates=1, baseline=b) for b in (name, "none"))
    assert distance(first, plain) == 0
    later, plain = (run(updates=2, baseline=b) for b in (name, "none"))
    assert distance(later, plain) > 1e-4


@pytest.mark.parametrize("optimiser", sorted(train.OPTIMISERS))
def test_grad_norm_is_that_of_the_gradient_before_the_optimiser_sees_it(optimiser):
    still = run(optimiser="sgd", updates=1, lr=1e-12).params
    moved = run(optimiser="sgd", updates=1, lr=1.0)
    step = torch.cat([(moved.params[name] - still[name]).detach().ravel() for name in still])
    result = run(optimiser=optimiser)
    assert result.grad_norm.shape == (3,)
    assert result.grad_norm[0] == pytest.approx(step.norm().item(), rel=1e-9)
    assert result.grad_norm.std() > 1e-3
    tenth = run(optimiser=optimiser, reduction="constant", divisor=10.0)
    assert tenth.grad_norm[0] == pytest.approx(result.grad_norm[0] / 10, rel=1e-12)


def test_bars_are_silent_where_the_variable_is_set_and_where_nobody_asked(monkeypatch, capsys):
    monkeypatch.delenv("COURSEKIT_QUIET", raising=False)
    assert list(train.progress_bar(3, unit="learner", done=1)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert "1/3" in out
    assert "learner" in out
    assert err == ""  # JupyterLab paints it red
    assert list(train.progress_bar(2)) == [0, 1]
    out, _ = capsys.readouterr()
    assert "0/2" in out  # it starts at none
    assert out.endswith("\r")  # and leaves an empty line
    assert list(train.progress_bar(3, show=False)) == [0, 1, 2]
    monkeypatch.setenv("COURSEKIT_QUIET", "1")
    assert list(train.progress_bar(3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


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


def test_adam_adds_its_epsilon_of_1e_8_to_the_root():
    """Seen where gradients are as small: the first step is lr · g / (|g| + ε)."""
    small = {"updates": 1, "reduction": "constant"}
    start = run(**small, lr=1e-300).params
    sgd = run(**small, optimiser="sgd", divisor=1.0, lr=1.0).params
    adam = run(**small, optimiser="adam", divisor=1e8, lr=1.0).params
    for name, before in start.items():
        g = (before - sgd[name]) / 1e8
        assert (g.abs() < 1e-6).all()
        expected = g / (g.abs() + 1e-8)
        torch.testing.assert_close(before - adam[name], expected, rtol=1e-9, atol=1e-12)


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


def test_the_returns_are_sums_of_rewards_and_not_lengths():
    result = run(env_id="MountainCar-v0", updates=1, episodes=2)
    assert result.lengths.tolist() == [[200, 200]]
    assert result.returns.tolist() == [[-200, -200]]


def test_every_environment_is_closed_at_the_end(monkeypatch):
    closed, make_lanes = [], train.rollout.make_lanes

    def watched(env_id, streams):
        lanes = make_lanes(env_id, streams)
        for k, lane in enumerate(lanes):
            monkeypatch.setattr(lane.env, "close", lambda k=k: closed.append(k))
        return lanes

    monkeypatch.setattr(train.rollout, "make_lanes", watched)
    run(updates=1)
    assert closed == [0, 1, 2]


def test_a_bar_is_drawn_where_one_asks_for_it_and_nowhere_else(monkeypatch, capsys):
    monkeypatch.delenv("COURSEKIT_QUIET", raising=False)
    run(updates=2)
    assert capsys.readouterr() == ("", "")
    train.train(train.Config(**{**TINY, "updates": 2}), 1, progress=True)
    assert "/2" in capsys.readouterr().out


def test_the_activation_and_the_hidden_layers_are_those_of_the_settings():
    assert list(run(updates=1, hidden=(3, 4)).params) == ["w0", "b0", "w1", "b1", "w2", "b2"]
    assert distance(run(updates=1), run(updates=1, activation="tanh")) > 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"reduction": "avg"},
            "reduction 'avg' is unknown; choose from: constant, episode_mean, loop, step_mean, sum,"
            " tilt, typical",
        ),
        ({"schedule": "cosine"}, "schedule 'cosine' is unknown; choose from: constant, inverse_r"),
        ({"clip": 0.0}, "clip 0.0 must be above 0"),
        ({"clip": float("nan")}, "clip nan must be above 0"),
        ({"clip": None}, "clip None must be a number"),
        ({"normalise": 1}, "normalise 1 must be True or False"),
        ({"normalise": True, "clip": 2.0}, "clip 2.0 with normalise, which undoes it; leave one"),
        ({"weight": "G"}, "weight 'G' is unknown; choose from: reward_to_go, whole_return"),
        (
            {"baseline": "value"},
            "baseline 'value' is unknown; choose from: none, per_time_step, running_mean",
        ),
        (
            {"standardise": "batch"},
            "standardise 'batch' is unknown; choose from: none, per_batch, per_episode",
        ),
        ({"baseline": None}, "baseline None is unknown; choose from: none"),
        (
            {"weight": "whole_return", "standardise": "per_episode", "episodes": 4},
            "standardise 'per_episode' leaves nothing of weight 'whole_return'",
        ),
        (
            {"weight": "whole_return", "standardise": "per_batch", "episodes": 1},
            "standardise 'per_batch' leaves nothing of weight 'whole_return'",
        ),
        ({"optimiser": "rms"}, "optimiser 'rms' is unknown; choose from: adam, sgd"),
        ({"lr": 0}, "lr 0 must be above 0"),
        ({"lr": -0.1}, "lr -0.1 must be above 0"),
        ({"lr": float("nan")}, "lr nan must be above 0"),
        ({"lr": float("inf")}, "lr inf must be above 0 and finite"),
        ({"divisor": 0.0}, "divisor 0.0 must be above 0"),
        ({"episodes": 0}, "episodes 0 must be a whole number, 1 or more"),
        ({"weight": ["x"]}, "weight ['x'] is unknown; choose from: reward_to_go, whole_return"),
        ({"baseline": ["none"]}, "baseline ['none'] is unknown; choose from: none"),
        ({"standardise": {}}, "standardise {} is unknown; choose from: none"),
        ({"optimiser": ["adam"]}, "optimiser ['adam'] is unknown; choose from: adam, sgd"),
        ({"activation": ["relu"]}, "activation ['relu'] is unknown; choose from: relu, tanh"),
        ({"reduction": ["sum"]}, "reduction ['sum'] is unknown; choose from: constant"),
        ({"reduction": np.array(["sum", "loop"])}, "is unknown; choose from: constant"),
        ({"env_id": ["CartPole-v1"]}, "env_id ['CartPole-v1'] must be a name, such as"),
        ({"env_id": ""}, "env_id '' must be a name, such as 'CartPole-v1'"),
        ({"env_id": "CartPole-v99"}, "environment id 'CartPole-v99' does not exist"),
        ({"env_id": "Pendulum-v1"}, "chooses among actions 0 … A−1; Pendulum-v1 has Box("),
        ({"env_id": "FrozenLake-v1"}, "the policy reads a vector; FrozenLake-v1 observes"),
        ({"learning_rate": 0.1}, "setting 'learning_rate' is unknown; choose from: env_id, gamma,"),
        ({"env": "CartPole-v1"}, "setting 'env' is unknown; choose from: env_id, gamma, weight,"),
        ({"lr": True}, "lr True must be a number"),
        ({"gamma": True}, "gamma True must be a number"),
        ({"gamma": [0.9]}, "gamma [0.9] must be a number"),
        ({"divisor": True}, "divisor True must be a number"),
        ({"lr": 1j}, "lr 1j must be a number"),
        ({"episodes": True}, "episodes True must be a whole number, 1 or more"),
        ({"updates": "9"}, "updates '9' must be a whole number, 1 or more"),
        ({"hidden": (True,)}, "hidden (True,) must be a tuple of layer widths, all above 0"),
        ({"hidden": "64"}, "hidden '64' must be a tuple of layer widths"),
        ({"hidden": 64}, "hidden 64 must be a tuple of layer widths"),
        ({"lr": "0.01"}, "lr '0.01' must be a number"),
        ({"activation": "gelu"}, "activation 'gelu' is unknown; choose from: relu, tanh"),
        ({"hidden": (8, 0)}, "hidden (8, 0) must be a tuple of layer widths, all above 0"),
        ({"episodes": -2}, "episodes -2 must be a whole number, 1 or more"),
        ({"updates": 0}, "updates 0 must be a whole number, 1 or more"),
        ({"updates": -1}, "updates -1 must be a whole number, 1 or more"),
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


def test_settings_are_given_by_name():
    with pytest.raises(ValueError, match="'CartPole-v1' has no name; write env_id=…, or another"):
        train.Config("CartPole-v1")


def test_settings_are_copied_pickled_and_replaced_like_any_dataclass():
    config = train.Config(lr=0.5, hidden=(3,))
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    assert dataclasses.replace(config, lr=0.25) == train.Config(lr=0.25, hidden=(3,)) != config
    with pytest.raises(ValueError, match="setting 'rate' is unknown; choose from"):
        dataclasses.replace(config, rate=1)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, [3]])
def test_what_is_no_seed_is_refused_before_anything_is_made(seed, monkeypatch):
    monkeypatch.setattr(train.rollout, "make_lanes", pytest.fail)
    message = f"seed {seed!r} must be a whole number, 0 or above"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(seed)


def test_a_seed_of_numpy_is_that_of_python():
    assert distance(run(np.uint32(7)), run(7)) == 0
    assert distance(run(np.uint32(8)), run(7)) > 0


def test_no_hidden_layer_is_a_linear_policy():
    """One step of SGD on one episode: Σ_t w_t (onehot − p) obsᵀ, with numbers of NumPy alone."""
    settings = {"hidden": (), "episodes": 1, "updates": 1, "gamma": 1.0, "optimiser": "sgd"}
    found = run(3, **settings)
    assert {k: tuple(v.shape) for k, v in found.params.items()} == {"w0": (2, 4), "b0": (2,)}
    for_weights, for_env, for_actions = np.random.SeedSequence(3).spawn(3)
    rng, draws = np.random.default_rng(for_weights), np.random.default_rng(for_actions)
    w, b = rng.uniform(-0.5, 0.5, (2, 4)), rng.uniform(-0.5, 0.5, 2)
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=int(for_env.generate_state(1)[0]))
    (obs, _), scores, ended = env.reset(), [], False
    while not ended:
        obs = obs.astype(float)
        p = np.exp(w @ obs + b) / np.exp(w @ obs + b).sum()
        action = int(draws.random() >= p[0])
        scores.append((np.eye(2)[action] - p)[:, None] * np.append(obs, 1))
        obs, _, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
    n = len(scores)
    step = 0.02 * sum((n - t) * score for t, score in enumerate(scores))
    assert found.lengths.tolist() == [[n]]
    np.testing.assert_allclose(found.params["w0"].detach(), w + step[:, :4], atol=1e-12)
    np.testing.assert_allclose(found.params["b0"].detach(), b + step[:, 4], atol=1e-12)


def test_settings_can_not_be_changed_after_they_were_checked():
    with pytest.raises(AttributeError):
        train.Config().lr = -1


def test_the_defaults_are_the_lesson_s():
    assert dataclasses.asdict(train.Config()) == {
        **{"env_id": "CartPole-v1", "gamma": 0.99, "weight": "reward_to_go", "reduction": "sum"},
        **{"divisor": 100, "baseline": "none", "standardise": "none", "optimiser": "adam"},
        **{"lr": 0.01, "schedule": "constant", "clip": np.inf, "normalise": False},
        **{"episodes": 1, "updates": 100, "hidden": (64,), "activation": "relu"},
    }


@pytest.mark.parametrize("shorten", [{"normalise": True}, {"clip": 1e-6}])
def test_where_nearly_nothing_is_learnt_the_norm_is_a_millionth_larger(shorten):
    config = train.Config(optimiser="sgd", lr=1.0, **shorten)
    params = {"w0": torch.zeros(2, dtype=torch.float64, requires_grad=True)}
    params["w0"].grad = torch.tensor([3e-6, 4e-6], dtype=torch.float64)
    norm = train.move(torch.optim.SGD(params.values(), lr=1.0), params, config, 1)
    assert norm == pytest.approx(5e-6)
    step = np.array([3e-6, 4e-6]) / 6e-6 * shorten.get("clip", 1)
    np.testing.assert_allclose(params["w0"].detach(), -step, rtol=1e-9)
