"""The small language model: its answers, its scores, and the weights by three independent ways."""

import re

import numpy as np
import pytest

from coursekit import answers as an
from coursekit import mdp, tokens

every_policy = pytest.mark.parametrize("policy", list(an.POLICIES))


def theta_of(model, seed=0):
    return np.random.default_rng(seed).normal(size=(model.rows, model.vocabulary))


@every_policy
@pytest.mark.parametrize(("limit", "number"), [(3, 14), (4, 30), (5, 62), (6, 126)])
def test_every_answer_is_listed_once_and_they_add_to_one(policy, limit, number):
    model = an.every_answer(policy, limit)
    words = an.text(model)
    assert len(set(words)) == len(words) == number
    assert an.probability(model, theta_of(model)).sum() == pytest.approx(1, abs=1e-14)


def test_the_shortest_answers_by_hand():
    model = an.every_answer("bigram", 2)
    assert an.text(model) == ["a.", "b.", "aa", "ab", "ba", "bb"]
    assert model.lengths.tolist() == [2] * 6
    assert model.stopped.tolist() == [True, True, False, False, False, False]
    assert model.letters.tolist() == [1, 1, 2, 2, 2, 2]
    p = an.probability(model, an.even(model, 0.2))
    np.testing.assert_allclose(p, [0.1, 0.1, 0.2, 0.2, 0.2, 0.2])


def test_a_larger_vocabulary():
    model = an.every_answer("prefix", 3, vocabulary=4)
    assert len(model.tokens) == 3 + 9 + 27
    assert model.rows == 1 + 3 + 9
    assert an.probability(model, theta_of(model)).sum() == pytest.approx(1, abs=1e-14)
    assert an.text(model)[-1] == "ccc"


def test_prompts_by_hand():
    model = an.every_answer("bigram", 4)
    words = [word.strip(".") for word in an.text(model)]
    by_hand = {
        "ends with a": [word[-1] == "a" for word in words],
        "contains a": ["a" in word for word in words],
        "no b": ["b" not in word for word in words],
    }
    for name, reward in an.PROMPTS.items():
        np.testing.assert_array_equal(reward(model), by_hand[name])


@every_policy
def test_contexts_know_what_they_should_and_no_more(policy):
    model = an.every_answer(policy, 4)
    sees = {
        "bigram": lambda w, t: w[:t][-1:],
        "position": lambda w, t: t,
        "prefix": lambda w, t: w[:t],
    }
    seen = {}
    for word, row, n in zip(an.text(model), model.contexts, model.lengths, strict=True):
        for t in range(n):
            seen.setdefault(int(row[t]), set()).add(sees[policy](word, t))
    assert all(len(what) == 1 for what in seen.values())
    assert len({next(iter(what)) for what in seen.values()}) == len(seen) == model.rows
    assert set(model.contexts[:, 0]) == {model.start}


@every_policy
def test_scores_are_the_numerical_gradient_of_log_probability(policy):
    model = an.every_answer(policy, 4)
    theta, step = theta_of(model), np.random.default_rng(1).normal(size=(model.rows, 3)) * 1e-5
    up, down = (np.log(an.probability(model, theta + s * step)) for s in (1, -1))
    z = an.scores(model, theta)
    np.testing.assert_allclose((z * step[..., None]).sum((0, 1)), (up - down) / 2, atol=1e-13)
    np.testing.assert_allclose(an.token_scores(model, theta).sum(-1), z, atol=1e-14)
    assert not z[model.start, -1].any()  # no stop is drawn there


def test_the_gradient_of_an_expectation_is_its_numerical_gradient():
    model = an.every_answer("prefix", 3)
    theta, values = theta_of(model), np.random.default_rng(2).normal(size=(2, 14))
    step = np.random.default_rng(3).normal(size=theta.shape) * 1e-5
    up, down = (values @ an.probability(model, theta + s * step) for s in (1, -1))
    field = an.gradient(model, theta, values)
    assert field.shape == (2, model.rows, 3)
    np.testing.assert_allclose((field * step).sum((1, 2)), (up - down) / 2, atol=1e-13)


def test_together_is_the_gradient_in_the_shared_table_and_in_each_prompts_own():
    model = an.every_answer("bigram", 3)
    tables = np.random.default_rng(4).normal(size=(4, 3, 3))  # shared, then three of their own

    def J(tables):
        parts = zip(an.PROMPTS.values(), tables[1:], strict=True)
        return np.mean([an.probability(model, tables[0] + own) @ f(model) for f, own in parts])

    parts = zip(an.PROMPTS.values(), tables[1:], strict=True)
    each = np.array([an.gradient(model, tables[0] + own, f(model)) for f, own in parts])
    step = np.random.default_rng(5).normal(size=tables.shape) * 1e-5
    by_difference = (J(tables + step) - J(tables - step)) / 2
    assert (an.together(each) * step).sum() == pytest.approx(by_difference, abs=1e-13)


def test_a_policy_that_is_all_but_certain_has_finite_log_probabilities():
    model = an.every_answer("bigram", 4)
    theta = np.zeros((3, 3))
    theta[:, 0] = 900.0
    assert np.isfinite(an.logp(model, theta)).all()
    assert an.probability(model, theta)[an.text(model).index("aaaa")] == pytest.approx(1)


def test_it_is_the_process_of_the_course_where_that_can_say_it():
    """*position*, T = 2: a FiniteMDP with a state for each place; stop and cut-off both end it."""
    model = an.every_answer("position", 3)
    theta = theta_of(model)
    P = np.zeros((3, 3, 4))
    P[0, :, 1] = P[1, :2, 2] = P[1, 2, 3] = P[2, :, 3] = 1
    process = mdp.FiniteMDP(P=P, R=[[1, 0, 0], [1, 0, 0], [1, 0, 0]], rho=[1, 0, 0], horizon=3)
    never = theta.copy()
    never[0, 2] = -60  # no stop at the start
    number_of_a = ((model.tokens == 0) & model.mask).sum(1)
    p = an.probability(model, theta)
    assert p @ number_of_a == pytest.approx(mdp.J(process, never), abs=1e-12)
    mine = an.gradient(model, theta, number_of_a * 1.0)
    np.testing.assert_allclose(mine, mdp.grad_J(process, never), atol=1e-12)


def coefficients(advantage, divisor):
    def of(rewards, lengths):
        weight = {
            "own": 1 / lengths,
            "sum": np.ones(lengths.shape),
            "tokens": lengths.shape[-1] / lengths.sum(-1, keepdims=True),
        }[divisor]
        return tokens.ADVANTAGES[advantage](rewards, rewards.shape[-1]) * weight / lengths.shape[-1]

    return of


@pytest.mark.parametrize("advantage", ["own_mean", "leave_one_out", "group_std", "none"])
@pytest.mark.parametrize("divisor", ["own", "sum", "tokens"])
@pytest.mark.parametrize("group", [1, 2, 3])
def test_listing_groups_and_listing_multisets_of_classes_agree(advantage, divisor, group):
    if group == 1 and advantage in ("leave_one_out", "group_std"):
        advantage = "own_mean"
    model = an.every_answer("bigram", 3)
    theta = theta_of(model)
    for reward in an.PROMPTS.values():
        R, p = reward(model), an.probability(model, theta)
        slow = an.every_group(p, R, model.lengths, coefficients(advantage, divisor), group)
        kinds = an.classes(model, theta, R)
        fast = an.by_listing(kinds, coefficients(advantage, divisor), group)
        np.testing.assert_allclose(fast[kinds.index], slow, atol=1e-13)


@pytest.mark.parametrize("group", [2, 4, 7])
def test_convolution_gives_the_same_token_mean(group):
    model = an.every_answer("prefix", 4)
    theta = theta_of(model)
    kinds = an.classes(model, theta, an.contains_a(model))
    amounts = np.column_stack([kinds.reward.astype(int), kinds.length])
    table = an.law(kinds.probability, amounts, group - 1)
    assert table.sum() == pytest.approx(1, abs=1e-13)
    k, N = np.indices(table.shape)
    by_hand = [
        (table * (r - (r + k) / group) * group / (n + N).clip(1)).sum()
        for r, n in zip(kinds.reward, kinds.length, strict=True)
    ]
    listed = an.by_listing(kinds, coefficients("own_mean", "tokens"), group)
    np.testing.assert_allclose(by_hand, listed, atol=1e-13)


def test_the_gradient_of_a_covariance_is_its_numerical_gradient():
    model = an.every_answer("bigram", 4)
    theta, (a, b) = theta_of(model), np.random.default_rng(6).normal(size=(2, 30))
    step = np.random.default_rng(7).normal(size=theta.shape) * 1e-5

    def cov(theta):
        p = an.probability(model, theta)
        return p @ (a * b) - (p @ a) * (p @ b)

    field = an.covariance_gradient(model, theta, a, b)
    by_difference = (cov(theta + step) - cov(theta - step)) / 2
    assert (field * step).sum() == pytest.approx(by_difference, abs=1e-13)


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_the_divisor_of_a_pool_is_the_token_mean_of_all_groups(pool):
    model = an.every_answer("bigram", 3)
    p, n = an.probability(model, theta_of(model)), model.lengths
    R = np.random.default_rng(8).normal(size=len(p))

    def token_mean(rewards, lengths):
        return rewards / lengths.sum(-1, keepdims=True)

    listed = an.every_group(p, R, n, token_mean, pool)
    np.testing.assert_allclose(R * an.pool_divisor(p, n, pool), listed, atol=1e-13)
    law = an.tokens_law(p, n, pool)
    assert law @ np.arange(len(law)) == pytest.approx(pool * (p @ n))


def test_the_law_of_no_draw_is_certain_and_that_of_two_dice_is_known():
    assert an.law(np.array([1.0]), np.array([[3]]), 0).tolist() == [1]
    dice = an.law(np.full(6, 1 / 6), np.arange(1, 7)[:, None], 2)
    np.testing.assert_allclose(dice[2:], np.array([1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1]) / 36)


def test_classes_hold_all_answers_of_one_reward_and_length():
    model = an.every_answer("bigram", 3)
    theta, R = theta_of(model), an.ends_with_a(an.every_answer("bigram", 3))
    kinds = an.classes(model, theta, R)
    assert kinds.probability.sum() == pytest.approx(1)
    np.testing.assert_array_equal(kinds.reward[kinds.index], R)
    np.testing.assert_array_equal(kinds.length[kinds.index], model.lengths)
    assert len({*zip(kinds.reward, kinds.length, strict=True)}) == len(kinds.reward) == 4


def test_angles():
    assert an.angle(np.array([[1.0, 0]]), np.array([[0, 2.0]])) == pytest.approx(90)
    assert an.angle(np.array([1.0, 1]), np.array([-3.0, -3])) == pytest.approx(180)
    assert an.angle(np.array([1.0, 1e-9]), np.array([1.0, 0])) == pytest.approx(np.degrees(1e-9))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: an.every_answer("trigram"), "policy 'trigram' is unknown; choose from: bigram"),
        (lambda: an.every_answer(limit=1), "limit 1 is too small: give 2 or more"),
        (lambda: an.every_answer(vocabulary=1), "vocabulary 1 is too small"),
        (lambda: an.every_answer(limit=2.0), "limit 2.0 must be a whole number"),
        (lambda: an.every_answer(limit=17), "make 262,142 answers; lower either"),
        (lambda: an.even(an.every_answer(), 0), "stop 0 must lie strictly between 0 and 1"),
        (lambda: an.log_pi(an.every_answer(), np.zeros((2, 3))), "these answers need (3, 3)"),
        (lambda: an.law(np.ones(1), np.array([[0.5]]), 2), "give whole numbers, 0 or above"),
        (lambda: an.law(np.ones(1), np.array([[-1]]), 2), "give whole numbers, 0 or above"),
        (lambda: an.law(np.ones(1), np.array([[1]]), -1), "law of -1 draws"),
        (lambda: an.pool_divisor(np.ones(1), np.array([2]), 0), "pool 0 must be a whole number"),
        (lambda: an.angle(np.zeros(2), np.ones(2)), "make no angle"),
        (lambda: an.angle(np.ones(3), np.ones(2)), "make no angle"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("group", [2, 3])
def test_the_second_moment_of_an_estimator_is_that_of_all_groups(group):
    model = an.every_answer("bigram", 3)
    theta = theta_of(model)
    R, n, p, z = (
        an.no_b(model),
        model.lengths,
        an.probability(model, theta),
        an.scores(model, theta),
    )
    of = coefficients("group_std", "tokens")
    index = np.indices([len(p)] * group).reshape(group, -1).T
    g = (z[:, :, index] * of(R[index], n[index])).sum(-1)
    by_hand = (g**2).sum((0, 1)) @ p[index].prod(-1)
    kinds = an.classes(model, theta, R)
    own, cross = an.second_moments(kinds, of, group)
    members = kinds.index == np.arange(len(own))[:, None]
    dP = (z * p)[:, :, None] * members
    dP = dP.sum(-1).reshape(9, -1)
    pairs = group * (group - 1) * np.einsum("cd,kc,kd", cross, dP, dP)
    alone = group * (p * own[kinds.index] * (z**2).sum((0, 1))).sum()
    assert alone + pairs == pytest.approx(by_hand, abs=1e-13)


def test_too_many_groups_are_refused():
    model = an.every_answer("bigram", 6)
    R, p = an.no_b(model), an.probability(model, theta_of(model))
    with pytest.raises(ValueError, match=r"a group of 4 of 126 answers makes 252,047,376 groups"):
        an.every_group(p, R, model.lengths, coefficients("none", "sum"), 4)
    kinds = an.classes(model, theta_of(model), R)
    with pytest.raises(ValueError, match=r"a group of 20 of 10 classes makes [\d,]+ multisets"):
        an.by_listing(kinds, coefficients("none", "sum"), 20)
    with pytest.raises(ValueError, match="group 1 has no pairs"):
        an.second_moments(kinds, coefficients("none", "sum"), 1)
