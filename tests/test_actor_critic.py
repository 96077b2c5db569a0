"""Advantages by hand and by enumeration; the compiled learner equal to the specification."""

import dataclasses
import math
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from comparing import difference

from coursekit import actor_critic, fast, mdp, train
from coursekit.fast import actor_critic_kernel

# --- Advantages: two episodes, of 3 and 2 steps, B ≠ T, numbers that one can do by hand.
REWARDS = np.array([[1.0, 2.0, 3.0], [4.0, -1.0, 0.0]])
VALUES = np.array([[0.5, 1.0, -1.0], [2.0, 3.0, 0.0]])
MASK = np.array([[True, True, True], [True, True, False]])
HALF = {"gamma": 0.5, "lam": 0.5}


def advantages(after, rewards=REWARDS, values=VALUES, mask=MASK, **change):
    return actor_critic.gae(rewards, values, np.array(after), mask, **(HALF | change))


def test_after_a_terminated_step_there_is_nothing():
    # δ = (1, 0.5, 4) and A_t = δ_t + A_{t+1}/4; then δ = (3.5, −4)
    by_hand = [[1.375, 1.5, 4.0], [2.5, -4.0, 0.0]]
    np.testing.assert_allclose(advantages([0.0, 0.0]), by_hand, atol=1e-15)


def test_after_the_time_limit_the_given_value_counts():
    # the last δ of each row gains γ · after = 1 and −3
    by_hand = [[1.4375, 1.75, 5.0], [1.75, -7.0, 0.0]]
    np.testing.assert_allclose(advantages([2.0, -6.0]), by_hand, atol=1e-15)


def test_what_lies_in_the_padding_does_not_matter():
    values, rewards = VALUES.copy(), REWARDS.copy()
    values[1, 2] = rewards[1, 2] = 1e6
    changed = advantages([2.0, -6.0], rewards=rewards, values=values)
    np.testing.assert_array_equal(changed, advantages([2.0, -6.0]))


def test_torch_gives_what_numpy_gives():
    tensors = [torch.from_numpy(x) for x in (REWARDS, VALUES, np.array([2.0, -6.0]), MASK)]
    np.testing.assert_array_equal(actor_critic.gae(*tensors, 0.5, 0.5), advantages([2.0, -6.0]))


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"disagree: \(\(2, 3\), \(2, 2\), \(2, 3\)\)"):
        advantages([0.0, 0.0], values=VALUES[:, :2])


# --- On a process with known values: S = 3, A = 2, four steps, a time limit that does cut.
PROCESS = mdp.random_process(np.random.default_rng(5))
THETA = np.random.default_rng(6).normal(size=(3, 2))
TAU = mdp.enumerate_trajectories(PROCESS)
P = mdp.probability(TAU, THETA)
V, _ = mdp._values(PROCESS, THETA, 1.0)  # (H + 1, S)
ALONG = V[np.arange(4), TAU.obs]
NOTHING = np.zeros(len(P))


def expected_gradient(rewards, values, after, lam, tau=TAU):
    A = actor_critic.gae(rewards, values, after, tau.mask, 1.0, lam)
    return (mdp.scores(tau, THETA) * A).sum(-1) @ P


def distance(g):
    return np.abs(g - mdp.grad_J(PROCESS, THETA)).max()


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_with_the_exact_value_every_lambda_gives_the_exact_gradient(lam):
    assert distance(expected_gradient(TAU.rewards, ALONG, NOTHING, lam)) < 1e-12


def test_with_any_value_lambda_1_gives_the_exact_gradient_and_lambda_0_does_not():
    wrong = ALONG + np.random.default_rng(7).normal(size=(4, 3))[np.arange(4), TAU.obs]
    assert distance(expected_gradient(TAU.rewards, wrong, NOTHING, 1.0)) < 1e-12
    assert distance(expected_gradient(TAU.rewards, wrong, NOTHING, 0.0)) > 0.01


def test_something_after_a_terminated_step_would_be_another_gradient():
    late = np.where(TAU.terminated, 1.0, 0.0)
    assert distance(expected_gradient(TAU.rewards, ALONG, late, 1.0)) > 0.01


def test_the_value_beyond_a_time_limit_makes_up_for_the_steps_that_were_cut():
    """Cut after two of four steps: E[A_0 + V(s_0)] is J of all four, if the value is handed on."""
    short = mdp.FiniteMDP(P=PROCESS.P, R=PROCESS.R, rho=PROCESS.rho, horizon=2)
    numbers = np.ones((3, 2, 4)) * np.arange(4)
    names = mdp.FiniteMDP(P=PROCESS.P, R=numbers, rho=PROCESS.rho, horizon=2)
    tau = mdp.enumerate_trajectories(short)
    reached = mdp.enumerate_trajectories(names).rewards[:, -1].astype(int)  # s', as a reward
    after = np.where(tau.terminated, 0.0, np.append(V[2], 0.0)[reached])
    chance, values = mdp.probability(tau, THETA), V[np.arange(2), tau.obs] * tau.mask

    def J(after, lam):
        A = actor_critic.gae(tau.rewards, values, after, tau.mask, 1.0, lam)
        return chance @ (A + values)[:, 0]

    J_all = mdp.J(PROCESS, THETA)
    assert J(after, 1.0) == pytest.approx(J_all, abs=1e-12)
    assert J(after, 0.4) == pytest.approx(J_all, abs=1e-12)
    assert J(0 * after, 1.0) == pytest.approx(mdp.J(short, THETA), abs=1e-12)
    assert abs(J(0 * after, 1.0) - J_all) > 0.01


# --- The potential.
def test_the_energy_is_minus_100_in_the_valley_and_0_with_enough_of_it():
    phi = partial(actor_critic_kernel.potential, actor_critic_kernel.POTENTIAL["energy"])
    assert phi(np.array([-math.pi / 6, 0.0])) == pytest.approx(-100, abs=1e-12)
    assert phi(np.array([0.5, 0.0])) == pytest.approx(0, abs=1e-12)
    assert phi(np.array([0.5, 0.03])) == 0
    x, v = -0.9, 0.02
    E = v**2 / 2 + 0.0025 / 3 * math.sin(3 * x)
    flag, valley = 0.0025 / 3 * math.sin(1.5), -0.0025 / 3
    assert phi(np.array([x, v])) == pytest.approx(100 * (E - flag) / (flag - valley), abs=1e-9)
    assert actor_critic_kernel.potential(0, np.array([x, v])) == 0


# --- Compiled = specification.
TINY = {"episodes": 3, "updates": 4, "hidden": 5, "lr": 0.002, "critic_lr": 0.01}
CASES = {
    "pendulum": {},
    "finite": {"at_limit": "nothing", "reduction": "episode_mean", "lam": 0.5},
    "no critic": {"critic": False, "at_limit": "nothing", "reduction": "step_mean", "lam": 1.0},
    "sgd": {"optimiser": "sgd", "lr": 1e-6, "critic_lr": 1e-4, "critic_steps": 3},
    "car": {"env_id": "MountainCar-v0", "potential": "energy", "at_limit": "potential"},
    "faithful": {"env_id": "MountainCar-v0", "potential": "energy", "at_limit": "nothing"},
    "beyond": {"env_id": "MountainCar-v0", "potential": "energy", "critic_steps": 2},
    "mean": {
        **{"env_id": "CartPole-v1", "anneal": True, "gamma": 0.99, "reduction": "episode_mean"},
        "updates": 13,  # the rate rises over the first tenth: with ten or fewer it would not
    },
    "steps": {"env_id": "CartPole-v1", "gamma": 1.0, "reduction": "step_mean", "lam": 1.0},
    "six inputs": {"env_id": "Acrobot-v1", "gamma": 0.99, "critic_steps": 3, "episodes": 2},
    "three": {"env_id": "MountainCar-v0", "gamma": 0.99, "at_limit": "nothing", "episodes": 2},
}


def config(**change):
    return actor_critic.Config(**(TINY | change))


def apart(many, k, run):
    pairs = [(run.policy, many.policies[k]), (run.critic, many.critics[k])]
    assert [set(a) for a, _ in pairs] == [set(b) for _, b in pairs]
    return max(np.abs(a[x].detach().numpy() - b[x]).max() for a, b in pairs for x in a)


@pytest.mark.slow
@pytest.mark.parametrize("change", CASES.values(), ids=CASES.keys())
def test_learner_k_is_the_specification_with_seed_k(change):
    many = fast.train_many(config(**change), [3, 11])
    run = actor_critic.train(config(**change), 11)
    np.testing.assert_array_equal(many.lengths[1], run.lengths)
    np.testing.assert_allclose(many.returns[1], run.returns, rtol=1e-8)
    assert apart(many, 1, run) < 1e-9
    assert apart(many, 0, run) > 1e-3  # another seed is another learner


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pendulum", {"lam": 0.8}),
        ("pendulum", {"gamma": 0.94}),
        ("pendulum", {"at_limit": "nothing"}),
        ("pendulum", {"critic_steps": 2}),
        ("sgd", {"reduction": "episode_mean"}),
        ("car", {"at_limit": "nothing"}),
        ("car", {"potential": "none", "at_limit": "value"}),
        ("mean", {"reduction": "step_mean"}),
        ("mean", {"anneal": False}),
    ],
)
def test_a_setting_that_was_not_honoured_would_be_seen(name, change):
    run = actor_critic.train(config(**CASES[name]), 11)
    other = fast.train_many(config(**(CASES[name] | change)), [11])
    assert apart(other, 0, run) > 1e-7


def test_a_learner_does_not_know_who_else_is_in_the_batch():
    alone = fast.train_many(config(), [11], threads=1)
    among = fast.train_many(config(), [5, 11, 2], threads=2)
    np.testing.assert_array_equal(alone.returns[0], among.returns[1])
    for mine, theirs in ((alone.policies, among.policies), (alone.critics, among.critics)):
        assert all(np.array_equal(value, theirs[1][name]) for name, value in mine[0].items())


@pytest.mark.slow
def test_the_noise_lasts_when_it_has_to_be_drawn_again():
    """More episodes a lane than are drawn ahead."""
    setting = config(updates=19, episodes=1, lr=1e-4)
    many, run = fast.train_many(setting, [4]), actor_critic.train(setting, 4)
    np.testing.assert_allclose(many.returns[0], run.returns, rtol=1e-6)


def test_parameters_come_back_for_observations_as_they_are():
    many = fast.train_many(config(optimiser="sgd", lr=1e-300, critic_lr=1e-300), [4])
    rng = np.random.default_rng(np.random.SeedSequence(4).spawn(1)[0])
    policy, critic = actor_critic.initial(config(), rng)
    for now, before in ((many.policies[0], policy), (many.critics[0], critic)):
        np.testing.assert_allclose(now["w0"] * [1, 1, 8], before["w0"].detach(), atol=1e-15)


# --- The oracle of the second algorithm. Without a critic it is the first one.
PLAIN = {"critic": False, "lam": 1.0, "at_limit": "nothing", "gamma": 0.9}


def from_train(learn, reduction, optimiser):
    """What the actor of ``learn`` has otherwise, on CartPole and without a critic; or ""."""
    change = PLAIN | {"reduction": reduction, "optimiser": optimiser, "lr": 0.02}
    ours = learn(config(env_id="CartPole-v1", **change))
    same = {"gamma": 0.9, "reduction": reduction, "optimiser": optimiser, "lr": 0.02}
    theirs = train.train(train.Config(hidden=(5,), episodes=3, updates=4, **same), 11)
    tight = 1e-15 if learn is specification else 1e-12
    ours, theirs = ({k: x.detach() for k, x in p.items()} for p in (ours, theirs.params))
    assert len(theirs) == 4
    return difference(ours, theirs, atol=tight, by="by train")


def specification(config):
    return actor_critic.train(config, 11).policy


def twin(config):
    found = fast.train_many(config, [11]).policies[0]
    return {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in found.items()}


@pytest.mark.parametrize("learn", [specification, twin])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("reduction", actor_critic.REDUCTIONS)
def test_without_a_critic_at_lambda_1_it_is_train(learn, reduction, optimiser):
    assert not from_train(learn, reduction, optimiser)


# With a critic: one update of SGD is lr times a gradient, which another formula gives as well.
GRADIENT = {"episodes": 3, "updates": 1, "hidden": 5, "optimiser": "sgd", "lr": 1e-3}
GRADIENT |= {"critic_lr": 1e-3, "gamma": 0.9, "lam": 0.7, "at_limit": "value"}
ENVS = ["CartPole-v1", "Pendulum-v1"]


def by_autograd(setting, played):
    """Both gradients by Σ_k (γλ)^k δ_{t+k} written out, V and log π by autograd; nothing shared."""
    rng = np.random.default_rng(np.random.SeedSequence(11).spawn(1 + 2 * 3)[0])
    actor, critic = actor_critic.initial(setting, rng)
    policy, scale = actor_critic.policy_for(setting), actor_critic.scale(setting)
    gamma, decay, J, error, steps = setting.gamma, setting.gamma * setting.lam, 0.0, 0.0, 0

    def V(obs):
        hidden = torch.relu(torch.from_numpy(obs / scale) @ critic["w0"].T + critic["b0"])
        return (hidden @ critic["w1"].T + critic["b1"]).squeeze(-1)

    for obs, actions, rewards, terminated in played:
        n, values = len(rewards), V(obs)
        held = values.detach().numpy().copy()  # n + 1 of them; no future after an end by itself
        held[n] *= not terminated
        delta = np.array(rewards) + gamma * held[1:] - held[:-1]
        A = np.array([sum(decay**k * delta[t + k] for k in range(n - t)) for t in range(n)])
        logp = policy.logp(actor, obs[:-1] / scale, torch.from_numpy(np.array(actions)))
        J = J + (logp * torch.from_numpy(A)).sum() / 3
        error = error + 0.5 * ((values[:-1] - torch.from_numpy(A + held[:-1])) ** 2).sum()
        steps += n
    (error / steps - J).backward()
    moved = [{k: (v - 1e-3 * v.grad).detach() for k, v in p.items()} for p in (actor, critic)]
    for params in moved:
        params["w0"] = params["w0"] / torch.from_numpy(scale)
    return moved


def watched(env_id, monkeypatch):
    """One update by the specification, and the episodes that it played."""
    played, play = [], actor_critic._play

    def looked_at(*args):
        episode = play(*args)
        obs = np.array([*episode.obs, episode.last])
        played.append((obs, episode.actions, episode.rewards, episode.terminated))
        return episode

    setting = actor_critic.Config(env_id=env_id, **GRADIENT)
    monkeypatch.setattr(actor_critic, "_play", looked_at)
    return actor_critic.train(setting, 11), by_autograd(setting, played), setting


def farthest(run, moved):
    pairs = ((run.policy, moved[0]), (run.critic, moved[1]))
    return max(float((a[k].detach() - b[k]).abs().max()) for a, b in pairs for k in b)


@pytest.mark.parametrize("env_id", ENVS)
def test_with_a_critic_both_gradients_are_those_of_autograd_by_the_slow_sum(env_id, monkeypatch):
    run, moved, setting = watched(env_id, monkeypatch)
    assert farthest(run, moved) < 1e-12
    many = fast.train_many(setting, [11])
    twins = actor_critic.Result(
        None, None, *({k: torch.from_numpy(v.copy()) for k, v in p[0].items()} for p in many[2:])
    )
    assert farthest(twins, moved) < 1e-12


def sign_turned(right):
    return lambda *args: tuple(x * s for x, s in zip(right(*args), (-1, 1), strict=True))


def exchanged(right):
    def advantage(config, critic, episode):
        swapped = dataclasses.replace(config, gamma=config.lam, lam=config.gamma)
        return right(swapped, critic, episode)

    return advantage


def bootstraps_always(right):
    return lambda config, critic, episode: right(config, critic, episode._replace(terminated=False))


def target_a_step_late(right):
    def advantage(config, critic, episode):
        A, target = right(config, critic, episode)
        return A, torch.roll(target, 1)

    return advantage


def not_detached(right):
    def advantage(config, critic, episode):
        A, target = right(config, critic, episode)
        obs = np.array(episode.obs) / actor_critic.scale(config)
        V = actor_critic.value(critic, obs)
        return A, target + V - V.detach()  # the same number, and a gradient through the target

    return advantage


WRONG = [sign_turned, exchanged, bootstraps_always, target_a_step_late, not_detached]


@pytest.mark.parametrize("mutant", WRONG, ids=lambda mutant: mutant.__name__)
def test_the_oracle_rejects_the_mutant(mutant, monkeypatch):
    wrong = mutant(actor_critic._advantage)
    monkeypatch.setattr(actor_critic, "_advantage", wrong)
    run, moved, _ = watched("CartPole-v1", monkeypatch)
    assert farthest(run, moved) > 1e-9


def test_with_the_actors_sign_turned_round_it_is_not_train(monkeypatch):
    monkeypatch.setattr(actor_critic, "_advantage", sign_turned(actor_critic._advantage))
    assert from_train(specification, "sum", "sgd")


# --- Bad input.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env_id": "Walker"}, "environment id 'Walker' does not exist or cannot be made"),
        ({"at_limit": "zero"}, "at_limit 'zero' is unknown; choose from: nothing, value, poten"),
        ({"potential": "height"}, "potential 'height' is unknown; choose from: none, energy"),
        ({"reduction": "avg"}, "reduction 'avg' is unknown; choose from: sum, episode_mean"),
        ({"optimiser": "rmsprop"}, "optimiser 'rmsprop' is unknown; choose from: sgd, adam"),
        ({"gamma": 1.5}, r"gamma 1\.5 is outside"),
        ({"lam": -0.1}, r"lam -0\.1 is outside"),
        ({"lr": 0.0}, r"lr 0\.0 must be above 0"),
        ({"critic_lr": math.nan}, "critic_lr nan must be above 0"),
        ({"updates": 2.5}, r"updates 2\.5 must be a whole number"),
        ({"critic_steps": 0}, "critic_steps 0 must be a whole number, 1 or more"),
        (
            {"env_id": ["Pendulum-v1"]},
            r"env_id \['Pendulum-v1'\] must be a name, such as 'CartPole-v1'",
        ),
        ({"at_limit": ["value"]}, r"at_limit \['value'\] is unknown; choose from: nothing"),
        ({"potential": {}}, r"potential {} is unknown; choose from: none, energy"),
        ({"reduction": ["sum"]}, r"reduction \['sum'\] is unknown; choose from: sum"),
        ({"optimiser": ["sgd"]}, r"optimiser \['sgd'\] is unknown; choose from: sgd, adam"),
        ({"gamma": "1"}, "gamma '1' must be a number"),
        ({"lam": True}, "lam True must be a number"),
        ({"lr": True}, "lr True must be a number"),
        ({"critic_lr": "0.1"}, r"critic_lr '0\.1' must be a number"),
        ({"episodes": True}, "episodes True must be a whole number, 1 or more"),
        ({"hidden": True}, "hidden True must be a whole number, 1 or more"),
        ({"hidden": (64,)}, r"hidden \(64,\) must be a whole number, 1 or more"),
        ({"updates": "9"}, "updates '9' must be a whole number, 1 or more"),
        ({"critic": "no"}, "critic 'no' must be True or False"),
        ({"anneal": 0.5}, r"anneal 0\.5 must be True or False"),
        ({"potential": "energy"}, "potential 'energy' is MountainCar-v0's, not Pendulum-v1's"),
        ({"critic": False}, "at_limit 'value' needs a critic"),
        ({"at_limit": "potential"}, "at_limit 'potential' needs a potential"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        config(**change)


def test_no_seeds_and_repeated_seeds_are_refused():
    with pytest.raises(ValueError, match="no seeds given"):
        fast.train_many(config(), [])
    with pytest.raises(ValueError, match=r"seeds repeat: \[4\]"):
        fast.train_many(config(), [4, 2, 4])


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_what_is_no_seed_is_refused_by_both_and_not_rounded(seed):
    message = rf"^seed {seed!r} must be a whole number, 0 or above$"
    with pytest.raises(ValueError, match=message):
        actor_critic.train(config(), seed)
    with pytest.raises(ValueError, match=message):
        fast.train_many(config(), [4, seed])


def test_one_seed_alone_is_no_list_of_seeds():
    with pytest.raises(ValueError, match=r"seeds 0 must be a list, such as \[0, 1, 2\]"):
        fast.train_many(config(), 0)


def test_an_environment_without_a_twin_is_refused_there_and_served_by_the_specification():
    other = config(env_id="MountainCarContinuous-v0")
    assert actor_critic.policy_for(other).action_size == 1
    with pytest.raises(ValueError, match="environment 'MountainCarContinuous-v0' is not compiled"):
        fast.train_many(other, [0])


def test_the_defaults_are_those_of_the_notebook_on_pendulum():
    assert dataclasses.asdict(actor_critic.Config()) == {
        **{"env_id": "Pendulum-v1", "gamma": 0.95, "lam": 0.9, "critic": True},
        **{"at_limit": "value", "potential": "none", "reduction": "sum", "optimiser": "adam"},
        **{"lr": 0.003, "anneal": False, "critic_lr": 0.003, "critic_steps": 1},
        **{"episodes": 64, "updates": 100, "hidden": 64},
    }


def test_what_is_scaled_is_scaled_by_its_largest_value():
    high = gymnasium.make("Pendulum-v1").observation_space.high
    assert actor_critic.SCALE["Pendulum-v1"] == tuple(high)
    speed = gymnasium.make("MountainCar-v0").observation_space.high[1]
    assert actor_critic.SCALE["MountainCar-v0"] == (1.0, pytest.approx(speed))  # places as they are
    assert len(actor_critic.SCALE) == 2
