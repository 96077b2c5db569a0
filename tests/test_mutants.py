"""Every oracle of this course is seen to reject wrong programs, and to accept the right one.

An oracle is a function that takes a candidate and answers True or False; it never looks at how the
candidate is written. A mutant is a candidate with one mistake that people make.
"""

import functools
import itertools

import gymnasium
import numpy as np
import pytest
import torch

from coursekit import bugs, detective, gradients, losses, mdp, policies, rollout, train

# --- A process that can tell: S = 3, A = 3, T = 4, lengths 1 to 4, rewards of both signs; it is
# --- nearly deterministic, so that its pairs of trajectories are few (52²).


def telling_process():
    P = np.zeros((3, 3, 4))
    P[0, 0, 1] = P[0, 2, 2] = P[1, 0, 3] = P[1, 1, 2] = P[2, 0, 1] = P[2, 1:, 3] = 1
    P[0, 1, [1, 3]], P[1, 2, [0, 3]] = (0.7, 0.3), (0.6, 0.4)
    R = np.random.default_rng(20).normal(size=P.shape)
    return mdp.FiniteMDP(P=P, R=R, rho=[1, 0, 0], horizon=4, name="telling")


PROCESS, GAMMA = telling_process(), 0.9
THETA = np.random.default_rng(21).normal(size=(3, 3))


def enumerated_gradient(process, theta, gamma):
    """E[Σ_t z_t G_t], written out: no padding, no masks, no autograd, one trajectory at a time."""
    pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
    total = np.zeros_like(theta)

    def walk(s, t, prob, path):
        if s == process.states or t == process.horizon:
            G = 0.0
            for state, action, reward in reversed(path):
                G = reward + gamma * G
                total[state] += prob * G * (np.eye(process.actions)[action] - pi[state])
            return
        for a, following in np.ndindex(process.actions, process.states + 1):
            if process.P[s, a, following]:
                chance = prob * pi[s, a] * process.P[s, a, following]
                walk(following, t + 1, chance, [*path, (s, a, process.R[s, a, following])])

    for s in np.flatnonzero(process.rho):
        walk(s, 0, process.rho[s], [])
    return total


EXACT = enumerated_gradient(PROCESS, THETA, GAMMA)

# --- Oracles.


def near(a, b, atol=1e-10):
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=0, atol=atol)


def loss_has_the_exact_expected_gradient(loss):
    """−E[∇loss] over pairs of episodes is the enumerated E[Σ_t z_t G_t], at γ = 0.9."""
    g = gradients.expected_gradient(loss, PROCESS, THETA, GAMMA, episodes=2)
    return near(-g, EXACT)


def gradient_is_the_slope_of_J(grad):
    """Central differences of J along a random direction."""
    direction = np.random.default_rng(22).normal(size=THETA.shape)
    up, down = (mdp.J(PROCESS, THETA + e * direction, GAMMA) for e in (1e-5, -1e-5))
    slope = (grad(PROCESS, THETA, GAMMA) * direction).sum()
    return near(slope, (up - down) / 2e-5, atol=1e-8)


def returns_are_the_worked_example(returns):
    """r = 0, 0, 1, −2, 3 at γ = 0.95, by hand."""
    by_hand = [1.63126875, 1.717125, 1.8075, 0.85, 3.0]
    return near(returns(np.array([0.0, 0.0, 1.0, -2.0, 3.0]), 0.95), by_hand)


def step_losses_are_by_hand(step_losses):
    """−log π · w at two real steps, zero where the mask says so."""
    logp, weight = np.array([[-0.5, -2.0, -0.7]]), np.array([[3.0, -1.0, 4.0]])
    return near(step_losses(logp, weight, np.array([[True, True, False]])), [[1.5, -2.0, 0.0]])


def reductions_are_by_hand(reductions):
    """Losses 1, 2, −4 and 5: episodes of 3 and 1 steps, padded to 4."""
    values = np.array([[1.0, 2.0, -4.0, 0.0], [5.0, 0.0, 0.0, 0.0]])
    mask = np.array([[True, True, True, False], [True, False, False, False]])
    by_hand = {"sum": 2, "episode_mean": (-1 / 3 + 5) / 2, "step_mean": 1, "constant": 0.02}
    return all(near(reductions[name](values, mask), number) for name, number in by_hand.items())


def logit_gradient_is_that_of_autograd(dlogits):
    """∂(−log π(a) · G)/∂ logits with three actions."""
    logits = torch.tensor([0.4, -1.2, 0.9], dtype=torch.float64, requires_grad=True)
    (-torch.log_softmax(logits, -1)[1] * 2.5).backward()
    return near(dlogits(torch.softmax(logits, -1).detach().numpy(), 1, 2.5), logits.grad)


def draw_follows_the_probabilities(draw):
    """Frequencies within four standard errors; a boundary belongs to the action after it."""
    p, n, rng = np.array([0.5, 0.125, 0.375]), 2000, np.random.default_rng(23)
    logits = torch.from_numpy(np.log(p))
    counts = np.bincount([draw(logits, rng.random()) for _ in range(n)], minlength=3)
    frequent = (np.abs(counts / n - p) < 4 * np.sqrt(p * (1 - p) / n)).all()
    return bool(frequent) and [draw(logits, u) for u in (0.0, 0.5, 0.625)] == [0, 1, 2]


def cart_pole(limit=None):
    """Policy, parameters and a lane of CartPole, cut at ``limit`` steps."""
    env = gymnasium.make("CartPole-v1", max_episode_steps=limit)
    env.reset(seed=5)
    policy = policies.policy_for(env, hidden=(5,))
    params = policy.init(np.random.default_rng(6))
    return rollout.Lane(env, np.random.default_rng(7)), policy, params


def play_is_a_plain_gymnasium_loop(play):
    """Observations, actions and rewards of two episodes, one after the other in one lane."""
    lane, policy, params = cart_pole()
    env, rng = gymnasium.make("CartPole-v1"), np.random.default_rng(7)
    env.reset(seed=5)
    for _ in range(2):
        played = play(lane, policy, params)
        obs, steps, ended = env.reset()[0].astype(np.float64), [], False
        while not ended:
            p = torch.softmax(policy.logits(params, obs), -1).detach().numpy()
            action = int(rng.random() >= p[0])
            after, reward, terminated, truncated, _ = env.step(action)
            steps.append((obs.tolist(), action, float(reward)))
            obs, ended = after.astype(np.float64), terminated or truncated
        rows = zip(played.obs, played.actions, played.rewards, strict=True)
        if [(np.asarray(o, np.float64).tolist(), a, r) for o, a, r in rows] != steps:
            return False
    return True


def play_keeps_the_two_endings_apart(play):
    """A pole that falls is terminated; one that is cut after 6 steps is truncated."""
    fallen, cut = play(*cart_pole()), play(*cart_pole(limit=6))
    flags = [(e.terminated, e.truncated) for e in (fallen, cut)]
    return len(cut.rewards) == 6 and flags == [(True, False), (False, True)]


def stack_pads_by_hand(stack):
    """Episodes of 2, 4 and 1 steps; some rewards are zero, no padding is real."""
    rewards = [[1.0, 0.0], [2.0, 0.0, -1.0, 3.0], [5.0]]
    episodes = [
        rollout.Episode([np.full(3, i + 1.0)] * len(r), [1] * len(r), r, i != 1, i == 1)
        for i, r in enumerate(rewards)
    ]
    batch = stack(episodes)
    return (
        batch.mask.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
        and batch.rewards.tolist() == [[1, 0, 0, 0], [2, 0, -1, 3], [5, 0, 0, 0]]
        and batch.obs[..., 0].tolist() == [[1, 1, 0, 0], [2, 2, 2, 2], [3, 0, 0, 0]]
        and batch.terminated.tolist() == [True, False, True]
        and batch.truncated.tolist() == [False, True, False]
    )


def lanes_are_independent(make_lanes):
    """No two lanes share a start or a draw, and lane 0 is the same alone and among three."""
    alone, many = (
        make_lanes("CartPole-v1", np.random.SeedSequence(8).spawn(2 * B)) for B in (1, 3)
    )
    starts = [lane.env.reset()[0].tobytes() for lane in (*alone, *many)]
    draws = [lane.rng.random() for lane in (*alone, *many)]
    return all(len(set(x)) == 3 and x[0] == x[1] for x in (starts, draws))


def two_updates_are_those_by_hand(update):
    """SGD twice on one fixed batch, B = 2 episodes of 3 and 1 steps, A = 4, against NumPy."""
    obs, actions = np.array([[0, 2, 1], [1, 0, 0]]), np.array([[3, 1, 0], [2, 0, 0]])
    weight = np.array([[1.5, -2.0, 0.7], [3.0, 0.0, 0.0]])
    mask = np.array([[True, True, True], [True, False, False]])
    policy = policies.TablePolicy(states=3, actions=4)
    params = policy.init(np.random.default_rng(24))
    theta = params["theta"].detach().numpy().copy()
    optimiser = torch.optim.SGD(params.values(), lr=0.3)
    for _ in range(2):
        batch = (torch.from_numpy(x) for x in (obs, actions, weight, mask))
        update(policy, params, optimiser, *batch)
        pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
        for i, t in zip(*mask.nonzero(), strict=True):
            s, a = obs[i, t], actions[i, t]
            theta[s] += 0.3 * weight[i, t] / 2 * (np.eye(4)[a] - pi[s])
    return near(params["theta"].detach(), theta)


def seeds_make_the_run(run):
    """The same seed twice: the same parameters; another seed: others."""
    config = train.Config(hidden=(5,), updates=1, episodes=2)
    first, again, other = (run(config, seed).params["w0"].detach() for seed in (1, 1, 2))
    return near(first, again, atol=0) and not near(first, other)


# --- Mutants that are no losses.


def grad_J_from_returns_without_gamma_t(process, theta, gamma):
    return enumerated_gradient(process, theta, gamma)


def grad_J_of_the_undiscounted(process, theta, gamma):
    return mdp.grad_J(process, theta, 1.0)


def grad_J_descending(process, theta, gamma):
    return -mdp.grad_J(process, theta, gamma)


def grad_J_per_step(process, theta, gamma):
    def estimator(batch):
        G = losses.reward_to_go(batch.rewards, gamma) * gamma ** np.arange(process.horizon)
        return losses.episode_mean(mdp.scores(batch, theta) * G, batch.mask)

    return mdp.expected(process, theta, estimator)


def returns_discounted_from_the_start(rewards, gamma):
    discounted = rewards * gamma ** np.arange(rewards.shape[-1])
    return np.cumsum(discounted[..., ::-1], -1)[..., ::-1]


def returns_discounted_once_too_often(rewards, gamma):
    return gamma * losses.reward_to_go(rewards, gamma)


def returns_of_the_past(rewards, gamma):
    return losses.reward_to_go(rewards[::-1], gamma)[::-1]


def returns_of_the_steps_after(rewards, gamma):
    return np.append(losses.reward_to_go(rewards, gamma)[1:], 0.0)


def step_losses_without_minus(logp, weight, mask):
    return logp * weight * mask


def step_losses_without_mask(logp, weight, mask):
    return -(logp * weight)


def step_losses_of_the_probability(logp, weight, mask):
    return -(np.exp(logp) * weight) * mask


def reductions_with(**change):
    return {**losses.REDUCTIONS, **change}


def dlogits_right(p, action, G):
    return (p - np.eye(len(p))[action]) * G


def dlogits_descending(p, action, G):
    return (np.eye(len(p))[action] - p) * G


def dlogits_of_the_chosen_logit_only(p, action, G):
    return (p - np.eye(len(p))[action]) * G * np.eye(len(p))[action]


def dlogits_with_the_slope_of_the_softmax_twice(p, action, G):
    return (np.diag(p) - np.outer(p, p)) @ dlogits_right(p, action, G)


def play_with(fault=None):
    """The loop of ``rollout.play`` written again, with room for one mistake."""

    def play(lane, policy, params):
        obs, _ = lane.env.reset()
        seen, actions, rewards, terminated, truncated = [], [], [], False, False
        while not (terminated or truncated):
            logits = policy.logits(params, np.asarray(obs, dtype=np.float64)).detach()
            u = lane.rng.random()
            action = int(logits.argmax()) if fault == "argmax" else policies.draw(logits, u)
            if fault == "a second draw":
                actions.append(policies.draw(logits, lane.rng.random()))
            else:
                actions.append(action)
            before = obs
            obs, reward, terminated, truncated, _ = lane.env.step(action)
            seen.append(obs if fault == "obs after the step" else before)
            rewards.append(float(reward))
        if fault == "reward a step late":
            rewards = [0.0, *rewards[:-1]]
        if fault == "swapped":
            terminated, truncated = truncated, terminated
        if fault == "merged into terminated":
            terminated, truncated = True, False
        if fault == "merged into truncated":
            terminated, truncated = False, True
        if fault == "merged into both":
            terminated = truncated = True
        return rollout.Episode(seen, actions, rewards, terminated, truncated)

    return play


def stack_with(**change):
    """``rollout.stack`` with fields of its batch made wrong afterwards."""

    def stack(episodes):
        batch = rollout.stack(episodes)
        return batch._replace(**{name: wrong(batch) for name, wrong in change.items()})

    return stack


def mask_of(extra):
    return lambda batch: torch.arange(batch.mask.shape[1]) < batch.lengths[:, None] + extra


def lanes_with(rearrange):
    return lambda env_id, streams: rollout.make_lanes(env_id, rearrange(streams))


def update_with(fault=None):
    """One update of the table, written out, with room for one mistake."""

    def update(policy, params, optimiser, obs, actions, weight, mask):
        def step_losses():
            return losses.step_losses(policy.logp(params, obs, actions), weight, mask)

        B = len(mask)
        if fault == "steps inside the loop":
            for i, t in mask.nonzero().tolist():
                optimiser.zero_grad()
                (step_losses()[i, t] / B).backward()
                optimiser.step()
            return
        if fault != "zero_grad forgotten":
            optimiser.zero_grad()
        total = losses.sum_(step_losses(), mask)
        if fault == "sum over episodes":
            total = total * B
        if fault == "only the first episode":
            total = step_losses()[0].sum() / B
        total.backward()
        if fault == "zero_grad after backward":
            optimiser.zero_grad()
        optimiser.step()
        if fault == "step called twice":
            optimiser.step()

    return update


def train_whatever_the_seed(config, seed):
    return train.train(config, 0)


COUNTER = itertools.count()


def train_on_a_stream_that_goes_on(config, seed):
    return train.train(config, next(COUNTER))


# --- The table: oracle, its right candidates, its mutants by name.

TABLE = [
    (
        loss_has_the_exact_expected_gradient,
        {
            "reinforce": losses.reinforce,
            "step_by_step": lambda logp, rewards, mask, gamma: losses.sum_(
                losses.step_losses(logp, losses.reward_to_go(rewards, gamma), mask), mask
            ),
        },
        {
            **bugs.BUGS,
            "step_mean": lambda *args: losses.reinforce(*args, reduction="step_mean"),
            "constant": lambda *args: losses.reinforce(*args, reduction="constant"),
            "summed_over_episodes": lambda logp, rewards, mask, gamma: (
                len(mask[0]) * losses.reinforce(logp, rewards, mask, gamma)
            ),
            # These two follow ∇J at γ < 1, which Σ_t z_t G_t does not: told apart, not wrong.
            "whole_return": lambda logp, rewards, mask, gamma: losses.sum_(
                losses.step_losses(logp, losses.whole_return(rewards, gamma), mask), mask
            ),
            "gamma_from_the_start": lambda logp, rewards, mask, gamma: losses.reinforce(
                logp, rewards * gamma ** torch.arange(rewards.shape[-1]), mask, 1.0
            ),
        },
    ),
    (
        gradient_is_the_slope_of_J,
        {"grad_J": mdp.grad_J},
        {
            "without_gamma_t": grad_J_from_returns_without_gamma_t,
            "undiscounted": grad_J_of_the_undiscounted,
            "descending": grad_J_descending,
            "per_step": grad_J_per_step,
        },
    ),
    (
        returns_are_the_worked_example,
        {"reward_to_go": losses.reward_to_go},
        {
            "whole_return": losses.whole_return,
            "discounted_from_the_start": returns_discounted_from_the_start,
            "discounted_once_too_often": returns_discounted_once_too_often,
            "read_from_the_start": bugs.from_start,
            "of_the_past": returns_of_the_past,
            "of_the_steps_after": returns_of_the_steps_after,
        },
    ),
    (
        step_losses_are_by_hand,
        {"step_losses": losses.step_losses},
        {
            "without_minus": step_losses_without_minus,
            "without_mask": step_losses_without_mask,
            "without_log": step_losses_of_the_probability,
        },
    ),
    (
        reductions_are_by_hand,
        {"REDUCTIONS": losses.REDUCTIONS},
        {
            "sum_over_episodes_too": reductions_with(sum=lambda x, mask: x.sum()),
            "mean_over_padding": reductions_with(episode_mean=lambda x, mask: x.mean()),
            "mean_of_means": reductions_with(step_mean=losses.episode_mean),
            "episode_mean_is_step_mean": reductions_with(episode_mean=losses.step_mean),
            "constant_without_episodes": reductions_with(constant=lambda x, mask: x.sum() / 100),
        },
    ),
    (
        logit_gradient_is_that_of_autograd,
        {"p_minus_onehot": dlogits_right},
        {
            "descending": dlogits_descending,
            "chosen_logit_only": dlogits_of_the_chosen_logit_only,
            "softmax_slope_twice": dlogits_with_the_slope_of_the_softmax_twice,
        },
    ),
    (
        draw_follows_the_probabilities,
        {"draw": policies.draw},
        {
            "argmax": lambda logits, u: int(logits.argmax()),
            "uniform": lambda logits, u: int(u * len(logits)),
            "boundary_to_the_action_before": lambda logits, u: int(
                (torch.softmax(logits, -1).cumsum(-1)[:-1] < u).sum()
            ),
            "softmax_forgotten": lambda logits, u: int((logits.cumsum(-1)[:-1] <= u).sum()),
        },
    ),
    (
        play_is_a_plain_gymnasium_loop,
        {"play": rollout.play, "written_again": play_with()},
        {
            name.replace(" ", "_"): play_with(name)
            for name in ("argmax", "a second draw", "obs after the step", "reward a step late")
        },
    ),
    (
        play_keeps_the_two_endings_apart,
        {"play": rollout.play, "written_again": play_with()},
        {
            name.replace(" ", "_"): play_with(name)
            for name in (
                "swapped",
                "merged into terminated",
                "merged into truncated",
                "merged into both",
            )
        },
    ),
    (
        stack_pads_by_hand,
        {"stack": rollout.stack, "mask_again": stack_with(mask=mask_of(0))},
        {
            "mask_one_step_short": stack_with(mask=mask_of(-1)),
            "mask_one_step_long": stack_with(mask=mask_of(1)),
            "mask_where_rewards_are": stack_with(mask=lambda batch: batch.rewards != 0),
            "reward_padding_of_one": stack_with(rewards=lambda b: b.rewards + ~b.mask),
            "obs_padding_repeats": stack_with(
                obs=lambda b: b.obs + b.obs[:, :1] * ~b.mask[..., None]
            ),
            "endings_swapped": stack_with(
                terminated=lambda b: b.truncated, truncated=lambda b: b.terminated
            ),
            "endings_merged": stack_with(truncated=lambda b: b.terminated | b.truncated),
        },
    ),
    (
        lanes_are_independent,
        {"make_lanes": rollout.make_lanes},
        {
            "share_the_draws": lanes_with(
                lambda s: [x for k in range(0, len(s), 2) for x in (s[k], s[1])]
            ),
            "share_the_environment": lanes_with(
                lambda s: [x for k in range(0, len(s), 2) for x in (s[0], s[k + 1])]
            ),
            "depend_on_their_number": lanes_with(lambda s: s[::-1]),
        },
    ),
    (
        two_updates_are_those_by_hand,
        {"written_out": update_with()},
        {
            name.replace(" ", "_"): update_with(name)
            for name in (
                "zero_grad forgotten",
                "zero_grad after backward",
                "steps inside the loop",
                "sum over episodes",
                "only the first episode",
                "step called twice",
            )
        },
    ),
    (
        seeds_make_the_run,
        {"train": train.train},
        {"seed_ignored": train_whatever_the_seed, "stream_goes_on": train_on_a_stream_that_goes_on},
    ),
]


def cases(column):
    return [
        pytest.param(row[0], candidate, id=f"{row[0].__name__}-{name}")
        for row in TABLE
        for name, candidate in row[column].items()
    ]


@pytest.mark.parametrize(("oracle", "right"), cases(1))
def test_an_oracle_accepts_what_is_right(oracle, right):
    assert oracle(right)


@pytest.mark.parametrize(("oracle", "mutant"), cases(2))
def test_an_oracle_rejects_the_mutant(oracle, mutant):
    assert not oracle(mutant)


def test_every_bug_of_the_package_is_among_the_mutants():
    assert set(bugs.BUGS) <= set(TABLE[0][2])
    assert len(cases(2)) > 40


def test_the_process_that_tells_has_episodes_of_unequal_lengths_and_rewards_of_both_signs():
    every = mdp.enumerate_trajectories(PROCESS)
    assert set(every.lengths) == {1, 2, 3, 4}
    assert every.rewards.min() < -0.5 < 0.5 < every.rewards.max()
    assert set(every.terminated) == {True, False}


def distance_from_reinforce(bug, process, theta, gamma):
    """How far the bug's expected gradient is from the right one, over pairs of episodes."""
    wrong, right = (
        gradients.expected_gradient(loss, process, theta, gamma, episodes=2)
        for loss in (bugs.BUGS[bug], losses.reinforce)
    )
    return np.abs(wrong - right).max()


def test_cartpole_alone_is_no_test_since_with_constant_rewards_a_bug_gives_the_same_numbers():
    balance, theta = mdp.balance(3), np.array([[0.3, -0.2], [0.9, 0.4]])
    assert distance_from_reinforce("returns_from_start", balance, theta, GAMMA) < 1e-12
    assert distance_from_reinforce("returns_from_start", PROCESS, THETA, GAMMA) > 1e-2
    # in every single sample, not only on average
    batch = mdp.batches(mdp.enumerate_trajectories(balance), 2)
    arguments = (
        torch.from_numpy(mdp.logp(batch, theta)),
        *map(torch.from_numpy, (batch.rewards, batch.mask)),
    )
    wrong = bugs.BUGS["returns_from_start"](*arguments, GAMMA)
    np.testing.assert_allclose(wrong, losses.reinforce(*arguments, GAMMA), atol=1e-14)


@pytest.mark.parametrize("bug", ["gamma_missing", "gamma_twice"])
def test_a_wrong_gamma_shows_only_below_gamma_one(bug):
    assert distance_from_reinforce(bug, PROCESS, THETA, 1.0) < 1e-12
    assert distance_from_reinforce(bug, PROCESS, THETA, GAMMA) > 1e-3


def test_at_two_actions_the_chosen_logit_alone_is_half_the_right_gradient_and_looks_harmless():
    p = np.array([0.3, 0.7])
    half, right = (f(p, 1, 2.5) for f in (dlogits_of_the_chosen_logit_only, dlogits_right))
    assert half[1] - half[0] == pytest.approx((right[1] - right[0]) / 2, abs=1e-15)


# --- Mistakes that one's own batch does not show: the detective is the oracle.

CRITIC = torch.nn.Parameter(torch.tensor(0.5))


def beside(name, **settings):
    if name == "with_critic":
        return lambda logp, rewards, mask, gamma: bugs.with_critic(
            logp, rewards, mask, gamma, CRITIC + 0 * rewards, **settings
        )
    return functools.partial(getattr(bugs, name), **settings)


BESIDE = [  # the wrong setting, what it is called, the right one, what that is called
    ({}, "leaking_critic", {"detach": True}, "constant_baseline", "with_critic"),
    ({}, "clip_exchanged", {"pick": "minimum"}, "sum", "ppo"),
    ({}, "entropy_penalty", {"coefficient": 1e-3}, "entropy_bonus", "with_kl"),
    ({}, "micro_batches", {"size": None}, "step_mean", "micro_batches"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "name", "right", "other", "of"), BESIDE, ids=lambda x: str(x))
def test_the_detective_tells_what_ones_own_batch_does_not_show(wrong, name, right, other, of):
    assert name in detective.audit(beside(of, **wrong)).names
    finding = detective.audit(beside(of, **right))
    assert name not in finding.names
    assert other in finding.names


@pytest.mark.parametrize("of", ["with_critic", "ppo"])
def test_two_of_them_have_the_exact_expected_gradient(of):
    """So the oracle of the expectation lets them pass: they are wrong elsewhere."""
    logp = torch.tensor([[-0.4, -1.2, -0.3], [-0.9, -0.1, -2.0]], requires_grad=True)
    rewards, mask = torch.tensor([[1.0, -2.0, 3.0], [2.0, 1.0, 0.0]]), torch.ones(2, 3) > 0
    mask[1, 2] = False
    right = {"with_critic": {"detach": True}, "ppo": {"pick": "minimum"}}[of]
    both = [
        torch.autograd.grad(beside(of, **settings)(logp, rewards, mask, 0.9), logp)[0]
        for settings in ({}, right)
    ]
    assert torch.allclose(*both)
