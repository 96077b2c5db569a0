"""The detective names what it knows, admits what it does not, and never calls the wrong one right.

The losses below are written in the styles that are found in public programs, in our own words.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from coursekit import bugs, detective, gradients, losses, mdp
from coursekit.detective import (
    asking,
    functions,
    known,
    logits,
    matching,
    naming,
    probes,
    sentences,
)
from coursekit.detective import loss as of_loss
from coursekit.detective import update as of_update
from coursekit.detective.cases import PROCESSES, casebook
from coursekit.detective.expectation import expected, way

BOOK, ROOT = casebook(), Path(__file__).resolve().parent.parent
torch.set_num_threads(1)


# --- The styles of public programs.


def loop_with_running_return(logp, rewards, mask, gamma):
    """One episode after the other, backwards, with a Python float for the return."""
    total = 0.0
    for i in range(len(logp)):
        R = 0.0
        for t in reversed(range(int(mask[i].sum()))):
            R = float(rewards[i, t]) + gamma * R
            total = total - logp[i, t] * R
    return total / len(logp)


def loop_of_backward_calls(logp, rewards, mask, gamma):
    """Calls backward on each step's loss, and returns nothing but a number to print."""
    printed = 0.0
    for i in range(len(logp)):
        R = 0.0
        for t in reversed(range(int(mask[i].sum()))):
            R = float(rewards[i, t]) + gamma * R
            step = -logp[i, t] * R / len(logp)
            step.backward(retain_graph=True)
            printed += step.item()
    return printed


def returns_of(row, gamma):
    found, R = [], 0.0
    for r in row.tolist()[::-1]:
        R = r + gamma * R
        found.insert(0, R)
    return torch.tensor(found)  # float32, as in most programs


def standardised_then_summed(logp, rewards, mask, gamma):
    """Returns standardised within the episode; per-step losses collected, concatenated, summed."""
    every = []
    for row, r, real in zip(logp, rewards, mask, strict=True):
        returns = returns_of(r[real], gamma)
        eps = torch.finfo(torch.float32).eps
        returns = (returns - returns.mean()) / (returns.std(correction=0) + eps)
        every.append(torch.stack([-p * g for p, g in zip(row[real], returns, strict=True)]).sum())
    return torch.stack(every).mean()


def standardised_with_default_std(logp, rewards, mask, gamma):
    """The same with torch's own std: NaN where an episode has one step."""
    every = []
    for row, r, real in zip(logp, rewards, mask, strict=True):
        returns = returns_of(r[real], gamma)
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
        every.append((-row[real] * returns).sum())
    return torch.stack(every).mean()


def mean_over_collected_steps(logp, rewards, mask, gamma):
    """All steps of the batch in one list, one mean at the end; weight: the episode's return."""
    weights = []
    for r, real in zip(rewards, mask, strict=True):
        n = int(real.sum())
        R = sum(gamma**t * x for t, x in enumerate(r[:n].tolist()))
        weights += [R] * n
    return -(logp[mask] * torch.as_tensor(weights, dtype=torch.float32)).mean()


def fixed_number_of_steps(logp, rewards, mask, gamma, N=2048):
    """A batch of N steps, whatever the episodes in it: the divisor is known beforehand."""
    G = losses.reward_to_go(rewards, gamma)
    return -(logp[mask] * G[mask]).sum() / N


def normalised_advantages(logp, rewards, mask, gamma):
    """Flattened, standardised over the batch, and averaged."""
    G = losses.reward_to_go(rewards, gamma)[mask]
    adv = (G - G.mean()) / (G.std(unbiased=False) + 1e-8)
    return (-logp[mask] * adv).mean()


def mean_logp_times_returns(logp, rewards, mask, gamma):
    """One product for each episode: the mean of log π, the sum of the returns."""
    total = 0
    for row, r, real in zip(logp, rewards, mask, strict=True):
        total = total - row[real].mean() * returns_of(r[real], gamma).sum()
    return total / len(logp)


def group_advantage(rewards, mask, divide):
    score = (rewards * mask).sum(-1)
    adv = score - score.mean()
    return (adv / (score.std(correction=0) + 1e-6) if divide else adv)[:, None]


def grpo(logp, rewards, mask, gamma):
    """Mean over the tokens of an answer, then over the answers; ratio of one with itself."""
    ratio = (logp - logp.detach()).exp()
    per_token = -ratio * group_advantage(rewards, mask, True) * mask
    return (per_token.sum(-1) / mask.sum(-1)).mean()


def dr_grpo(logp, rewards, mask, gamma, longest=64):
    """No deviation; a constant in place of the length."""
    per_token = -(logp - logp.detach()).exp() * group_advantage(rewards, mask, False) * mask
    return per_token.sum(-1).mean() / longest


def dapo(logp, rewards, mask, gamma):
    """Mean over the tokens of all answers."""
    per_token = -(logp - logp.detach()).exp() * group_advantage(rewards, mask, True) * mask
    return per_token.sum() / mask.sum()


def matrix_product(logp, rewards, mask, gamma):
    """Discounts in a triangular matrix, all in float32, mask as a factor; total over the batch."""
    T = rewards.shape[-1]
    powers = torch.arange(T)[None] - torch.arange(T)[:, None]
    D = torch.triu(torch.tensor(float(gamma)) ** powers.clamp(min=0))
    G = rewards.float() @ D.T
    return (-logp.float() * G * mask).sum()


def in_place_on_a_copy(logp, rewards, mask, gamma):
    G = rewards.clone()
    for t in reversed(range(G.shape[1] - 1)):
        G[:, t] += gamma * G[:, t + 1]
    return -(logp * G).masked_fill(~mask, 0).sum(dim=1).mean(dim=0)


STYLES = [
    (loop_with_running_return, ("sum",), True),
    (loop_of_backward_calls, ("sum",), True),
    (in_place_on_a_copy, ("sum",), True),
    (matrix_product, ("total",), True),
    (standardised_then_summed, ("standardised_per_episode",), False),
    (standardised_with_default_std, ("standardised_per_episode", "nan"), False),
    (mean_over_collected_steps, ("step_mean", "whole_return"), False),
    (fixed_number_of_steps, ("total",), True),
    (normalised_advantages, ("step_mean", "standardised_over_batch"), False),
    (mean_logp_times_returns, ("mean_logp_times_sum_return",), False),
    (grpo, ("episode_mean", "group_standardised", "gamma_missing"), False),
    (dr_grpo, ("constant", "group_centred", "gamma_missing"), False),
    (dapo, ("step_mean", "group_standardised", "gamma_missing"), False),
]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "names", "ok"), STYLES, ids=lambda x: getattr(x, "__name__", ""))
def test_losses_in_the_styles_of_public_programs(loss, names, ok):
    finding = detective.audit(loss)
    assert finding.names == names
    assert finding.ok == ok


@pytest.mark.slow
def test_a_constant_divisor_is_recovered():
    assert detective.audit(fixed_number_of_steps).numbers["divisor"] == pytest.approx(2048)
    assert detective.audit(dr_grpo).numbers["divisor"] == pytest.approx(64)


# --- Each normalisation, each bug, and what they make together.


@pytest.mark.slow
@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_each_normalisation_is_named(reduction):
    finding = detective.audit(partial(losses.reinforce, reduction=reduction))
    at_one_length = {"typical": "constant", "tilt": "episode_mean"}  # what a single batch shows
    assert finding.names == (at_one_length.get(reduction, reduction),)
    assert finding.ok == (reduction in ("sum", "constant", "typical"))
    assert ("equal to the sum" in str(finding)) == (reduction == "sum")


@pytest.mark.slow
@pytest.mark.parametrize("bug", bugs.BUGS)
def test_each_bug_is_named(bug):
    finding = detective.audit(bugs.BUGS[bug])
    assert finding.names == (bug,)
    assert not finding.ok
    assert finding.meaning
    assert finding.advice


def made(reduction, weight=losses.reward_to_go, sign=1, log=True, baseline=0.0, divisor=1.0):
    def loss(logp, rewards, mask, gamma):
        w = (weight(rewards, gamma) - baseline) * mask
        each = losses.step_losses(logp if log else logp.exp(), w, mask)
        return sign * losses.REDUCTIONS[reduction](each, mask) / divisor

    return loss


def discounted_twice(rewards, gamma):
    return losses.reward_to_go(rewards, gamma**2)


def kept(rewards, gamma):
    powers = gamma ** torch.arange(rewards.shape[-1], dtype=rewards.dtype)
    return losses.reward_to_go(rewards, gamma) * powers


PAIRS = [
    (made("episode_mean", sign=-1), ("episode_mean", "wrong_sign"), False),
    (made("step_mean", log=False), ("step_mean", "no_log"), False),
    (
        made("episode_mean", weight=losses.whole_return),
        ("episode_mean", "whole_return"),
        False,
    ),
    (made("sum", weight=losses.whole_return), ("sum", "whole_return"), True),
    (made("sum", baseline=1.5), ("sum", "constant_baseline"), True),
    (made("step_mean", baseline=1.5), ("step_mean", "constant_baseline"), False),
    (made("sum", divisor=7), ("constant",), True),
    (made("sum", divisor=0.5, sign=-1), ("constant", "wrong_sign"), False),
    (made("step_mean", weight=discounted_twice), ("step_mean", "gamma_twice"), False),
    (made("sum", weight=kept), ("sum", "gamma_to_the_t"), True),
    (
        made("episode_mean", weight=discounted_twice, log=False, sign=-1),
        ("episode_mean", "gamma_twice", "no_log", "wrong_sign"),
        False,
    ),
    (made("sum", weight=lambda r, g: r * 0 + 1), ("reward_missing",), False),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "names", "ok"), PAIRS, ids=lambda x: "" if callable(x) else str(x)
)
def test_normalisations_and_mistakes_together(loss, names, ok):
    finding = detective.audit(loss)
    assert finding.names == names
    assert finding.ok == ok


@pytest.mark.slow
def test_a_baseline_is_recovered_and_the_note_on_gamma_follows_the_loss():
    finding = detective.audit(made("sum", baseline=1.5))
    assert finding.numbers["baseline"] == pytest.approx(1.5)
    assert "γ^t is dropped" in str(finding)
    assert "γ^t is dropped" not in str(detective.audit(made("sum", weight=kept)))


def test_padding_that_gets_a_gradient_is_seen():
    def loss(logp, rewards, mask, gamma):  # the baseline makes the padding's weight −2
        return -(logp * (losses.reward_to_go(rewards, gamma) - 2)).sum(-1).mean()

    assert detective.audit(loss).names == ("sum", "constant_baseline", "padding_weighted")
    assert not detective.audit(loss).ok


# --- What is not in the list, or departs from the sum in a corner only.


def unless(condition):
    """The sum, but for batches of one kind, on which its first step has the rewards once more."""

    def loss(logp, rewards, mask, gamma):
        value = losses.reinforce(logp, rewards, mask, gamma)
        more = logp[0, 0] * rewards[0].sum()
        return value - more if condition(rewards, mask, gamma) else value

    return loss


def power_of_n(logp, rewards, mask, gamma):
    each = losses.step_losses(logp, losses.reward_to_go(rewards, gamma), mask)
    return (each.sum(-1) / mask.sum(-1) ** 0.4).mean()


SQUARED = made("sum", weight=lambda r, g: losses.reward_to_go(r, g) ** 2)
UNKNOWN = {
    "rooted_logp": lambda p, r, m, g: losses.reinforce(-((-p) ** 0.9), r, m, g),
    "weighted_twice": lambda p, r, m, g: losses.reinforce(p * p, r, m, g),
    "squares_and_more": made("sum", weight=lambda r, g: losses.reward_to_go(r, g) * (1 + r)),
    "larger_batches": unless(lambda r, m, g: len(m) > 1),
    "below_gamma_1": unless(lambda r, m, g: g < 1),
    "long_episodes": unless(lambda r, m, g: m.sum(-1).max() > 500),
    "padding_only": unless(lambda r, m, g: not bool(m.all())),
    "wide_padding_only": unless(lambda r, m, g: m.shape[-1] > m.sum(-1).max()),
    "negative_rewards": unless(lambda r, m, g: bool((r < 0).all())),
    "three_episodes": unless(lambda r, m, g: len(m) == 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_in_the_list_is_admitted(name):
    finding = detective.audit(UNKNOWN[name])
    assert finding.names == ("unknown",)
    assert not finding.ok
    assert str(finding).startswith("✗ unknown: cosine ")
    assert ", its weights [" in str(finding)


@pytest.mark.slow
def test_the_corner_in_which_a_loss_departs_is_shown():
    text = str(detective.audit(UNKNOWN["long_episodes"]))
    total = len(BOOK.cases)
    assert f"nearest known: sum, the same on {total - 1} of {total} batches" in text
    assert "first different on: long" in text


@pytest.mark.slow
def test_the_numbers_of_an_unknown_are_those_of_the_enumerated_expectation():
    process, _, gamma, B = PROCESSES[0]
    theta = next(c for c in BOOK.cases).theta

    def vectorised(logp, rewards, mask, gamma):
        each = losses.step_losses(logp, losses.reward_to_go(rewards, gamma), mask)
        return (each.sum(-1) / mask.sum(-1) ** 0.4).mean(-1)

    g = -gradients.expected_gradient(vectorised, process, theta, gamma, B)
    exact = mdp.grad_J(process, theta, gamma)
    line = (
        f"cosine {gradients.cosine(g, exact):.2f}, norm ratio {gradients.norm_ratio(g, exact):.3g}"
    )
    assert any(text.endswith(line) for text in detective.audit(power_of_n).evidence)


def test_rounding_has_no_direction():
    """Where each reward is 1, the immediate reward has the expectation 0; so have past rewards."""
    for bug in ("immediate_reward", "past_rewards"):
        assert detective.audit(bugs.BUGS[bug]).numbers["cosine_at_constant_reward"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "hides"),
    [
        ("gamma_missing", "at γ = 1"),
        ("gamma_twice", "at γ = 1"),
        ("returns_from_start", "with γ = 1 and each reward 1, as on CartPole,"),
        ("next_return", "with γ = 1 and each reward 1, as on CartPole,"),
        ("centred_per_episode", "with γ = 1 and each reward 1, as on CartPole,"),
        ("episode_mean", None),
    ],
)
def test_what_hides_a_bug_is_said_and_nothing_else(bug, hides):
    hidden = [line for line in detective.audit(bugs.BUGS[bug]).evidence if "hidden" in line]
    assert [line.split(" the direction")[0] for line in hidden] == [hides] * (hides is not None)


@pytest.mark.slow
def test_nothing_is_not_a_known_loss_times_zero():
    def loss(logp, rewards, mask, gamma):  # the largest of each time step: 0 is left where B = 1
        G = losses.reward_to_go(rewards, gamma)
        return -(logp * (G - G.max(0).values) * mask).sum(-1).mean()

    finding = detective.audit(loss)
    assert finding.names == ("unknown",)
    assert "nearest known: constant" not in str(finding)


# --- The sentences around the names: they are true, and say under which conditions.


def summed(weight):
    """The sum with a weight that may look at the mask, too."""

    def loss(logp, rewards, mask, gamma):
        return -(logp * weight(rewards, mask, gamma) * mask).sum(1).mean()

    return loss


def to_go(rewards, mask, gamma):
    return losses.reward_to_go(rewards, gamma)


def by_the_others_sign(rewards, mask, gamma):
    """Right where B = 1, where γ < 1, and where every reward is 1."""
    sign = losses.whole_return(rewards, gamma).flip(0).sign()
    return to_go(rewards, mask, gamma) * (sign if len(mask) > 1 and gamma == 1 else 1)


OVER_EPISODES = {
    "swapped": summed(lambda r, m, g: to_go(r, m, g).flip(0)),
    "largest": lambda p, r, m, g: -(p * to_go(r, m, g) * m).sum(1).max(),
    "median": lambda p, r, m, g: -(p * to_go(r, m, g) * m).sum(1).median(),
}


@pytest.mark.slow
def test_what_goes_wrong_between_episodes_at_gamma_1_alone_shows_too():
    finding = detective.audit(summed(by_the_others_sign))
    assert finding.names == ("rescaled_per_episode",)
    assert finding.numbers["norm_ratio"] < 0.9  # the direction is right, the size is not
    assert "worst: ladder of 3 steps, γ = 1, B = 2)" in str(finding)


@pytest.mark.slow
@pytest.mark.parametrize("name", OVER_EPISODES)
def test_what_goes_wrong_between_episodes_shows_in_the_headline(name):
    finding = detective.audit(OVER_EPISODES[name])
    assert finding.names == (("unknown",) if name == "swapped" else ("rescaled_per_episode",))
    assert finding.numbers["cosine"] < 0.99
    assert finding.numbers["cosine_at_constant_reward"] < 0.9999
    assert "B = 1)" not in str(finding).splitlines()[0]
    assert "hidden" not in str(finding)
    assert "depend on the rewards of other episodes" in str(finding)


@pytest.mark.slow
def test_a_dropped_gamma_to_the_t_is_no_fault_and_a_missing_gamma_is():
    for loss in (
        losses.reinforce,
        made("sum", weight=kept),
        made("sum", weight=losses.whole_return),
    ):
        assert detective.audit(loss).numbers["cosine"] == pytest.approx(1)
        assert detective.audit(loss).numbers["norm_ratio"] == pytest.approx(1)
    assert detective.audit(bugs.BUGS["gamma_missing"]).numbers["cosine"] < 0.999
    numbers = detective.audit(bugs.BUGS["gamma_twice"]).numbers
    assert numbers["cosine"] < 0.9995
    assert numbers["cosine_at_gamma_1"] == pytest.approx(1)


def no_mask(logp, rewards, mask, gamma):
    return losses.reinforce(logp, rewards, mask, gamma)


def with_mask(logp, rewards, mask, gamma):
    return losses.reinforce(logp, rewards * mask, mask, gamma)


@pytest.mark.slow
def test_what_relies_on_clean_padding_gets_a_note_and_stays_right():
    note = "relies on rewards of 0 in the padding"
    assert note in str(detective.audit(no_mask))
    assert note not in str(detective.audit(with_mask))
    assert detective.audit(no_mask).names == detective.audit(with_mask).names == ("sum",)
    assert "rewards are 0" in detective.audit(with_mask).probed
    assert note in str(detective.audit_update(update()))
    assert note not in str(detective.audit_update(update(clean=True)))


THREE_STEPS = summed(lambda r, m, g: to_go(r, m, g).clamp(-3, 3))
HIDDEN = [
    (
        bugs.BUGS["returns_from_start"],
        "up to 12 steps, γ = 1, B = 1; up to 3 steps, γ = 1, B = 2)",
    ),
    (bugs.BUGS["next_return"], "B = 2), at γ = 0.9 too: hidden there"),
    (bugs.BUGS["gamma_missing"], "at γ = 1 the direction is right on each of these processes"),
    (bugs.BUGS["gamma_twice"], "at γ = 1 the direction is right on each of these processes"),
    (THREE_STEPS, ""),
    (losses.reinforce, ""),
    (lambda p, r, m, g: losses.reinforce(p, r, m, g) / bool(g), ""),
    (lambda p, r, m, g: losses.reinforce(p, r.add_(0.0).mul_(1 + 1e-9), m, g), ""),
    (lambda p, r, m, g: -(p * (losses.reward_to_go(r, g) - 2)).sum(-1).mean(), ""),
]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "text"), HIDDEN, ids=[str(k) for k in range(len(HIDDEN))])
def test_hidden_is_said_where_it_is_true_and_under_which_conditions(loss, text):
    said = [line for line in detective.audit(loss).evidence if "hidden" in line]
    assert len(said) == bool(text)
    assert text in "".join(said)


def tiny(weight):
    return lambda p, r, m, g: 1e-17 * summed(weight)(p, r, m, g)


@pytest.mark.slow
def test_a_loss_may_be_as_small_as_it_likes():
    assert detective.audit(tiny(to_go)).numbers["factor"] == pytest.approx(1e-17)
    names = detective.audit(tiny(lambda r, m, g: to_go(r, m, g).abs())).names
    assert names == ("function_of_return",)
    block, u = block_of(["a"], np.ones((1, 3)), 0.0), np.array([1, 1.005, 0.995])
    for size in (1.0, 1e-17):
        assert not matching.search(size * u, [block], np.array([0]))
        assert matching.nearest(size * u, [block], np.array([0, 1, 2])) is None


def minus_time(rewards, mask, gamma):
    return to_go(rewards, mask, gamma) - 0.5 * torch.arange(rewards.shape[1])


def half_and_half(rewards, mask, gamma):
    return 0.5 * to_go(rewards, mask, gamma) + 0.5 * losses.whole_return(rewards, gamma)


def by_other_lengths(rewards, mask, gamma):
    n = mask.sum(1, keepdim=True)
    return to_go(rewards, mask, gamma) - 0.3 * (n.sum() - n)


def less_the_others(rewards, mask, gamma):
    first = losses.whole_return(rewards, gamma)
    return to_go(rewards, mask, gamma) - (first.sum(0) - first) / max(len(rewards) - 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weight", "names", "ok"),
    [
        (minus_time, ("sum", "time_baseline"), True),
        (lambda r, m, g: to_go(r, m, g) - 1 / (1.01 - g), ("sum", "time_baseline"), True),
        (less_the_others, ("sum", "leave_one_out_to_go"), True),
        (by_other_lengths, ("sum", "others_baseline"), True),
        (half_and_half, ("same_expectation",), False),
        (lambda r, m, g: to_go(r, m, g).clamp(-20, 20), ("clipped",), False),
        (lambda r, m, g: to_go(r, m, g) - 0.3 * m.sum(1, keepdim=True), ("other_term",), False),
    ],
    ids=["time", "gamma", "leave_one_out", "other_lengths", "halves", "clip", "own_length"],
)
def test_an_unbiased_loss_without_a_name_is_not_called_wrong(weight, names, ok):
    finding = detective.audit(summed(weight))
    assert finding.names == names
    assert finding.ok == ok


@pytest.mark.slow
def test_what_has_the_right_expectation_may_be_allowed():
    loss = summed(half_and_half)
    assert "with a part of γ^t dropped, on all 11 processes" in str(detective.audit(loss))
    with pytest.raises(AssertionError, match=r"allow=\('same_expectation',\)"):
        detective.assert_policy_gradient(loss)
    detective.assert_policy_gradient(loss, allow=("same_expectation",))
    with pytest.raises(AssertionError, match=r"is not known to be a policy gradient\n✗ unknown"):
        detective.assert_policy_gradient(UNKNOWN["weighted_twice"], allow=("same_expectation",))


# --- Bad input is a finding, not a traceback.


def writes(logp, rewards, mask, gamma):
    for t in reversed(range(rewards.shape[-1] - 1)):
        rewards[:, t] += gamma * rewards[:, t + 1]
    return -(logp * rewards * mask).sum(-1).mean()


def random(logp, rewards, mask, gamma):
    return losses.reinforce(logp * torch.rand(1), rewards, mask, gamma)


def remembers():
    seen = []

    def loss(logp, rewards, mask, gamma):
        seen.append(float(rewards.sum()))
        weight = losses.reward_to_go(rewards, gamma) - np.mean(seen)
        return losses.sum_(losses.step_losses(logp, weight * mask, mask), mask)

    return loss


BAD = [
    (lambda p, r, m, g: 1 / 0, "raises", "ZeroDivisionError"),
    (lambda p, r, m, g: exit(1), "raises", "SystemExit: 1"),
    (None, "not_callable", "of type NoneType"),
    ("loss", "not_callable", "'loss' is of type str"),
    (lambda p, r: p.sum(), "wrong_signature", "loss(logp, rewards, mask, gamma), and takes (p, r)"),
    (lambda p, r, m, g: {"loss": p.sum()}, "not_a_tensor", "return only the loss"),
    (lambda p, r, m, g: None, "not_a_tensor", "returned None"),
    (lambda p, r, m, g: losses.reinforce(p, r, m, g).item(), "not_a_tensor", "it returned"),
    (lambda p, r, m, g: -(p * r * m), "not_scalar", "shape (1, 2)"),
    (lambda p, r, m, g: torch.tensor(3.0), "detached", "without a graph"),
    (lambda p, r, m, g: losses.reinforce(p.detach(), r, m, g), "detached", "without a graph"),
    (lambda p, r, m, g: losses.reinforce(p, r, m, g) * float("nan"), "nan", "NaN"),
    (lambda p, r, m, g: losses.reinforce(p, r * 0, m, g), "no_gradient", "0"),
    (writes, "changes_inputs", "wrote into rewards"),
    (lambda p, r, m, g: losses.reinforce(p.exp_(), r, m, g), "changes_inputs", "wrote into logp"),
    (random, "not_repeatable", "another gradient"),
    (summed(lambda r, m, g: to_go(r, m, g)[torch.randperm(len(r))]), "not_repeatable", "another"),
    (summed(lambda r, m, g: to_go(r, m, g)[:, torch.randperm(r.shape[1])]), "not_repeatable", ""),
    (remembers(), "not_repeatable", "another gradient"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "name", "text"), BAD, ids=[f"{n}-{t}" for _, n, t in BAD])
def test_bad_input_is_said_in_words(loss, name, text):
    finding = detective.audit(loss)
    if name == "changes_inputs":
        assert finding.names[-1] == name
    else:  # nothing is named from the few batches that are left
        assert finding.names == (name,)
    assert text in str(finding)
    assert not finding.ok
    assert "what to do" in str(finding)


def test_an_error_is_told_in_one_line_cut_between_words():
    def loss(logp, rewards, mask, gamma):
        raise ValueError("a long story, " * 10 + "\nand more")

    text = detective.audit(loss).evidence[0]
    assert "a long story, a long …" in text
    assert "more" not in text
    assert asking.error_in_words(AssertionError()) == "AssertionError"

    def stops(logp, rewards, mask, gamma):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detective.audit(stops)


def test_a_coroutine_is_refused_at_once(recwarn):
    async def loss(logp, rewards, mask, gamma):
        return losses.reinforce(logp, rewards, mask, gamma)

    assert detective.audit(loss).names == ("not_callable",)
    assert not recwarn.list


@pytest.mark.slow
def test_what_to_do_after_an_error_can_be_done_and_fits_the_function():
    logp, rewards, mask, gamma = detective.example(3)
    assert losses.reinforce(logp, rewards, mask, gamma).requires_grad
    assert "detective.example(0)" in str(detective.audit(lambda p, r, m, g: 1 / 0))
    by_hand(*detective.example(0, "update"))
    assert 'detective.example(0, "update")' in str(detective.audit_update(lambda p, b, lr: 1 / 0))
    assert 'detective.example(0, "gradient")' in str(
        detective.audit_gradient(lambda z, a, w: 1 / 0)
    )
    assert "logits.copy()" in str(detective.audit_gradient(lambda z, a, w: z.__isub__(1)))
    for finding in (
        detective.audit_gradient(lambda z, a, w: z * w),
        detective.audit_update(lambda params, batch, lr: {"theta": params["theta"] * 1.01}),
    ):
        assert "∇J" not in str(finding)
        assert "episode of unequal rewards" not in str(finding)
        assert "looked at:" in str(finding)


@pytest.mark.slow
def test_few_batches_give_no_name_and_many_names_are_not_listed():
    def one_episode(logp, rewards, mask, gamma):
        return losses.reinforce(logp, rewards, mask, gamma) / (len(logp) == 1)

    most = sum(len(case.mask) > 1 for case in BOOK.cases)
    assert most > len(BOOK.cases) / 2
    assert detective.audit(one_episode).names == ("nan",)

    keep = np.arange(BOOK.owners.size) < 2  # two batches of one step: many names fit
    u = known.sum_weights(BOOK)
    (line,) = [e for e in identify(u, keep).evidence if e.startswith("or one of")]
    assert line.count(", ") == 2
    assert " and " in line


@pytest.mark.slow
def test_a_loss_without_a_name_is_described():
    def said(loss):
        return probes.described(lambda case: of_loss.ask(loss, case)[0])

    assert said(losses.reinforce) == []
    assert said(SQUARED)[0].endswith("multiplies the weights by 4")
    assert "the weights do not depend on γ" in said(bugs.BUGS["gamma_missing"])
    assert "depend on the rewards of other episodes" in "".join(said(OVER_EPISODES["largest"]))
    assert "before t enters" in "".join(said(bugs.BUGS["past_rewards"]))
    assert "after t does not enter" in "".join(said(bugs.BUGS["immediate_reward"]))
    assert "of step t does not enter" in "".join(said(bugs.BUGS["next_return"]))
    assert "depend on log π itself" in "".join(said(bugs.BUGS["no_log"]))
    assert "without any reward" in "".join(said(made("sum", baseline=1.5)))
    assert "do not add up" in "".join(said(summed(lambda r, m, g: to_go(r, m, g).abs())))
    squared = SQUARED
    assert set(said(squared)) <= set(detective.audit(squared).evidence)


@pytest.mark.slow
def test_the_nearest_name_is_printed_where_it_is_near_and_the_weights_beside_the_sums():
    text = str(detective.audit(UNKNOWN["squares_and_more"]))
    assert "nearest known" not in text
    (line,) = [line for line in text.splitlines() if "its weights" in line]
    shown = [part.split("]")[0].split(", ") for part in line.split("[")[1:]]
    assert [len(part) for part in shown] == [3, 3, 3]  # rewards, its weights, the sum's
    assert "nearest known: sum" in str(detective.audit(UNKNOWN["three_episodes"]))


@pytest.mark.slow
def test_what_was_looked_at_is_said_in_numbers():
    largest = max(abs(case.rewards).max() for case in BOOK.cases)
    assert f"to {largest:.0f} in size" in BOOK.probed
    assert "72 steps with 2, 3, 4, 5 actions" in detective.audit_gradient(lambda z, a, w: z).probed
    assert "rates 0.2 and 0.02" in detective.audit_update(by_hand).probed


@pytest.mark.slow
def test_batches_multiplied_as_a_whole_are_named():
    def flat(logp, rewards, mask, gamma, reduce=torch.sum):
        return -reduce(logp[mask] * to_go(rewards, mask, gamma)[mask][:, None])

    assert detective.audit(flat).names == ("total", "batch_return")
    assert detective.audit(partial(flat, reduce=torch.mean)).names == ("step_mean", "batch_return")


def test_a_loss_that_refuses_float64_is_given_float32():
    def loss(logp, rewards, mask, gamma):
        return -torch.stack(
            [
                row[m] @ returns_of(r[m], gamma)
                for row, r, m in zip(logp, rewards, mask, strict=True)
            ]
        ).mean()

    finding = detective.audit(loss)
    assert finding.names == ("sum",)
    assert "float32" in str(finding)


@pytest.mark.slow
def test_one_line_for_a_test_suite():
    detective.assert_policy_gradient(losses.reinforce)
    wrong = bugs.BUGS["no_log"]
    with pytest.raises(AssertionError, match="is not the policy gradient\n✗ no_log\nmeaning:"):
        detective.assert_policy_gradient(wrong)
    step_mean = partial(losses.reinforce, reduction="step_mean")
    with pytest.raises(AssertionError):
        detective.assert_policy_gradient(step_mean)
    detective.assert_policy_gradient(step_mean, allow=("step_mean",))
    with pytest.raises(AssertionError):
        detective.assert_policy_gradient(made("step_mean", sign=-1), allow=("step_mean",))
    detective.assert_policy_gradient(step_mean, allow="step_mean")
    with pytest.raises(ValueError, match="'stepmean' is no name; the names are: batch_return, "):
        detective.assert_policy_gradient(losses.reinforce, allow=("stepmean",))


@pytest.mark.slow
def test_a_chosen_reduction_is_pinned_exactly():
    step_mean = partial(losses.reinforce, reduction="step_mean")
    detective.assert_is(step_mean, ("step_mean",))
    detective.assert_is(step_mean, "step_mean")
    detective.assert_is(made("step_mean", sign=-1), ("wrong_sign", "step_mean"))
    for loss in (losses.reinforce, made("step_mean", sign=-1)):
        with pytest.raises(AssertionError, match=r"this is not step_mean\n[✓✗] "):
            detective.assert_is(loss, ("step_mean",))
    with pytest.raises(ValueError, match="names: 'stepmean' is no name; the names are: batch_"):
        detective.assert_is(losses.reinforce, ("stepmean",))
    detective.assert_is(by_hand, ("sum",), audit=detective.audit_update)
    with pytest.raises(ValueError, match="names: 'leave_one_out_to_stay' is no name"):
        detective.assert_is(by_hand, ("leave_one_out_to_stay",), audit=detective.audit_update)


@pytest.mark.slow
def test_a_red_test_shows_the_finding_and_nothing_of_the_detective(tmp_path):
    test = tmp_path / "test_mine.py"
    test.write_text(
        "from coursekit import bugs, detective\n"
        "def test_mine():\n    detective.assert_policy_gradient(bugs.BUGS['no_log'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run([*command, test], capture_output=True, text=True, cwd=tmp_path, env=env)
    shown = [line for line in run.stdout.splitlines() if line.startswith("E ")]
    assert shown[0].endswith("AssertionError: this loss is not the policy gradient")
    assert "✗ no_log" in shown[1]
    assert "finding = audit(loss)" not in run.stdout


HEAVY = ("scipy", "numba", "gymnasium", "pandas", "matplotlib", "joblib", "IPython")


@pytest.mark.slow
def test_it_needs_numpy_and_torch_and_nothing_else():
    code = f"""
import sys
sys.modules.update(dict.fromkeys({HEAVY!r}))  # None there: an import of it fails
from coursekit import detective, losses
detective.assert_policy_gradient(losses.reinforce)
assert not detective.audit_update(lambda params, batch, lr: None).ok
assert not detective.audit_gradient(lambda logits, action, weight: logits).ok
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_the_block_of_libraries_does_block():
    code = "import sys; sys.modules['matplotlib'] = None; import coursekit.plots"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "matplotlib" in run.stderr


def test_an_example_is_what_a_function_is_given():
    logp, rewards, mask, gamma = detective.example(3)
    assert logp.shape == rewards.shape == mask.shape
    assert 0 <= gamma <= 1
    logits, action, _ = detective.example(1, "gradient")
    assert logits.shape[0] > action
    params, batch, lr = detective.example(0, "update")
    assert by_hand(params, batch, lr)["theta"].shape == params["theta"].shape
    with pytest.raises(ValueError, match="place 'logit' is unknown; choose from: loss, gradient"):
        detective.example(0, "logit")
    with pytest.raises(ValueError, match="example 9999 does not exist; the first is 0"):
        detective.example(9999)


INTERNAL = ("casebook", "logit_suspects", "lineup", "suspect", "known_weights", "Block")


@pytest.mark.parametrize("word", INTERNAL)
def test_words_that_a_user_never_chose_stand_in_no_message(word):
    every = [
        text
        for table in (sentences.LOSSES, sentences.GRADIENTS, sentences.UPDATES)
        for pair in table.values()
        for text in pair
    ]
    public = [getattr(detective, name) for name in detective.__all__]
    every += [item.__doc__ for item in public] + [BOOK.probed]
    assert not [text for text in every if word in text]


# --- Before log π, and after the loss.


def at_the_logits(name, factor=1.0):
    f = logits.GRADIENTS[name]
    return lambda z, a, w: factor * f(mdp.softmax(z), np.eye(len(z))[a], w)


@pytest.mark.slow
@pytest.mark.parametrize("name", logits.GRADIENTS)
def test_each_gradient_at_the_logits_is_named(name):
    finding = detective.audit_gradient(at_the_logits(name))
    assert finding.names == (name,)
    assert finding.ok == (name == "p_minus_onehot")
    assert detective.audit_gradient(at_the_logits(name, -1)).names == (name, "wrong_sign")
    twice = detective.audit_gradient(at_the_logits(name, 2))
    assert twice.names == (name, "wrong_scale")
    assert twice.numbers["factor"] == pytest.approx(2)


def test_a_gradient_in_half_precision_is_named_too():
    def half(f):
        return lambda z, a, w: f(z, a, w).astype(np.float16)

    assert detective.audit_gradient(half(at_the_logits("p_minus_onehot"))).ok
    assert detective.audit_gradient(half(at_the_logits("no_log"))).names == ("no_log",)


def test_autograd_says_which_gradients_at_the_logits_are_right():
    def by_autograd(logits, action, weight, log=True):
        z = torch.tensor(logits, requires_grad=True)
        p = torch.softmax(z, 0)[action]
        return torch.autograd.grad(-weight * (p.log() if log else p), z)[0]

    def twice(logits, action, weight):
        z = torch.tensor(logits, requires_grad=True)
        p = torch.softmax(z, 0)[None]
        loss = torch.nn.functional.cross_entropy(p, torch.tensor([action])) * weight
        return torch.autograd.grad(loss, z)[0]

    assert detective.audit_gradient(by_autograd).ok
    assert detective.audit_gradient(partial(by_autograd, log=False)).names == ("no_log",)
    assert detective.audit_gradient(twice).names == ("softmax_twice",)


def test_two_actions_hide_the_elementwise_softmax():
    finding = detective.audit_gradient(at_the_logits("elementwise_softmax"))
    assert finding.numbers["cosine_two_actions"] == pytest.approx(1)
    assert finding.numbers["cosine"] < 0.9
    assert "with two actions" in str(finding)

    def likeliest(logits, action, weight):  # right where the likeliest action was the one taken
        return (mdp.softmax(logits) - np.eye(len(logits))[logits.argmax()]) * weight

    pairs = {(int(z.argmax()), a) for z, a, _ in logits.steps() if len(z) == 2}
    assert len(pairs) == 4
    assert "with two actions" not in str(detective.audit_gradient(likeliest))


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (lambda z, a, w: z * w, "unknown"),
        (lambda z, a, w: 1 / 0, "raises"),
        (lambda z, a, w: 3.0, "not_a_vector"),
        (lambda z, a, w: z * np.nan, "nan"),
        (lambda z, a, w: z * 0, "no_gradient"),
        (lambda z, a, w: z.__isub__(1), "changes_inputs"),
        (lambda z, a, w: None, "not_a_vector"),
        (lambda z, a, w: z * 1j, "not_a_vector"),
        (lambda z, a, w: z * torch.rand(1).item(), "not_repeatable"),
        (lambda z, a: z, "wrong_signature"),
        ("p - onehot", "not_callable"),
    ],
)
def test_what_else_may_come_from_a_gradient(fn, name):
    finding = detective.audit_gradient(fn)
    assert finding.names == (name,)
    assert not finding.ok
    assert name in str(finding)


def step_losses(params, batch, clean=False):
    every = torch.log_softmax(params["theta"][batch.obs], -1)
    logp = every.gather(-1, batch.actions[..., None])[..., 0]
    rewards = batch.rewards * (batch.mask if clean else 1)
    return losses.step_losses(logp, losses.reward_to_go(rewards, batch.gamma), batch.mask)


def update(reduction="sum", optimiser=torch.optim.SGD, scale=1.0, rate=None, clip=None, **settings):
    clear, step = settings.pop("clear", True), settings.pop("step", True)
    clean = settings.pop("clean", False)

    def fn(params, batch, lr):
        opt = optimiser(params.values(), lr=rate or lr * scale, **settings)
        if clear:
            opt.zero_grad()
        losses.REDUCTIONS[reduction](step_losses(params, batch, clean), batch.mask).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(params.values(), clip)
        if step:
            opt.step()

    return fn


def stepping(params, batch, lr, inside=True, clear=True):
    opt = torch.optim.SGD(params.values(), lr=lr)
    opt.zero_grad()
    for i, t in batch.mask.nonzero().tolist():
        if clear:
            opt.zero_grad()
        (step_losses(params, batch)[i, t] / len(batch.mask)).backward()
        if inside:
            opt.step()
    if not inside:
        opt.step()


def by_hand(params, batch, lr):
    g = torch.autograd.grad(losses.sum_(step_losses(params, batch), batch.mask), params["theta"])[0]
    return {"theta": params["theta"].detach() - lr * g}


def after_each_episode(params, batch, lr, clear=True):
    opt = torch.optim.SGD(params.values(), lr=lr)
    opt.zero_grad()
    for i in range(len(batch.mask)):
        if clear:
            opt.zero_grad()
        step_losses(params, batch)[i].sum().backward()
        opt.step()


def returning(what):
    def fn(params, batch, lr):
        update()(params, batch, lr)
        return what(params)

    return fn


def no_clear(params, batch, lr):
    params["theta"].grad = None
    opt = torch.optim.SGD(params.values(), lr=lr)
    for i, t in batch.mask.nonzero().tolist():
        (step_losses(params, batch)[i, t] / len(batch.mask)).backward()
        opt.step()


def writes_into_the_batch(params, batch, lr):
    update()(params, batch, lr)
    batch.rewards.zero_()


UPDATES = [
    (returning(lambda params: 0.7), ("sum",)),
    (returning(lambda params: torch.tensor(0.7)), ("sum",)),
    (returning(lambda params: {"loss": 0.7}), ("sum",)),
    (lambda *args: by_hand(*args)["theta"], ("sum",)),
    (lambda *args: by_hand(*args)["theta"].numpy(), ("sum",)),
    (lambda *args: {"theta": by_hand(*args)["theta"].numpy()}, ("sum",)),
    (lambda *args: {"theta": by_hand(*args)["theta"][0]}, ("wrong_shape",)),
    (lambda params, batch: None, ("wrong_signature",)),
    (writes_into_the_batch, ("sum", "changes_inputs")),
    (lambda p, b, lr: update()(p, b, lr**2), ("rate_misused",)),
    (lambda p, b, lr: update()(p, b, lr**0.5), ("rate_misused",)),
    (lambda p, b, lr: update()(p, b, lr / int(b.mask.sum()) ** 2), ("rescaled_per_batch",)),
    (after_each_episode, ("step_per_episode",)),
    (no_clear, ("step_in_loop", "gradients_left_over")),
    (update(), ("sum",)),
    (by_hand, ("sum",)),
    (partial(stepping, inside=False, clear=False), ("sum",)),
    (stepping, ("step_in_loop",)),
    (partial(stepping, inside=False), ("last_step_only",)),
    (update("episode_mean"), ("episode_mean",)),
    (update("step_mean"), ("step_mean",)),
    (update("constant"), ("wrong_scale",)),
    (update(scale=10), ("wrong_scale",)),
    (update(rate=0.003), ("rate_ignored",)),
    (update(clip=0.1), ("rescaled_per_batch",)),
    (update(optimiser=torch.optim.Adam), ("sign_of_gradient",)),
    (update(weight_decay=0.3), ("sum", "weight_decay")),
    (update(maximize=True), ("wrong_sign",)),
    (update(step=False), ("no_update",)),
    (update(clear=False), ("sum", "gradients_left_over")),
    (lambda params, batch, lr: 1 / 0, ("raises",)),
    (lambda params, batch, lr: {"theta": params["theta"] * 1.01}, ("unknown",)),
    (lambda params, batch, lr: {"theta": params["theta"] * float("nan")}, ("nan",)),
    (lambda params, batch, lr: {"theta": params["theta"] + lr * batch.mask.sum()}, ("unknown",)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("fn", "names"), UPDATES, ids=[str(k) for k in range(len(UPDATES))])
def test_each_update_is_named(fn, names):
    finding = detective.audit_update(fn)
    assert finding.names == names
    assert finding.ok == (names == ("sum",))


@pytest.mark.slow
def test_a_size_that_follows_the_length_of_the_batch_is_told():
    found = detective.audit_update(lambda p, b, lr: update()(p, b, lr / int(b.mask.sum())))
    assert found.names == ("step_mean", "divided_twice")  # 1/(B N)
    assert "times N" not in str(detective.audit_update(update(clip=0.1)))
    assert "order zero_grad, backward, step" in str(detective.audit_update(update(step=False)))


def test_the_factor_of_a_wrong_scale_is_recovered():
    assert detective.audit_update(update(scale=10)).numbers["factor"] == pytest.approx(10)
    assert detective.audit_update(update(rate=0.003)).numbers["own_rate"] == pytest.approx(0.003)


# --- The machinery: its cases tell the suspects apart, and mutants of it are seen.


@pytest.mark.slow
def test_no_two_known_weights_are_the_same_on_the_cases():
    names, W = known.known_weights(BOOK, None)
    from scipy.spatial import distance  # here, since it takes long to load

    assert distance.pdist(W, "chebyshev").min() > 1e-6
    assert {"reward_to_go", "past_rewards", "immediate_reward"} <= {name for name, _ in names}


def test_the_cases_are_what_the_report_says():
    every, exact = BOOK.cases, BOOK.exact
    assert f"{len(every)} batches" in BOOK.probed
    for one in exact:
        assert one.prob.sum() == pytest.approx(1)
    assert {len(case.mask) for case in every} >= {1, 2, 3}
    assert any((case.rewards[case.mask] < 0).all() and len(case.mask) > 1 for case in every)
    assert any(case.mask.shape[-1] > case.mask.sum(-1).max() for case in every)


def test_the_exact_gradients_of_the_cases_are_right():
    whole = expected(
        np.concatenate(
            [
                (losses.whole_return(c.rewards, c.gamma) * c.mask / len(c.mask))[c.mask]
                for c in BOOK.cases
            ]
        ),
        BOOK,
    )
    assert whole.numbers["cosine"] == pytest.approx(1)  # the whole return: exact, for every γ
    assert whole.numbers["norm_ratio"] == pytest.approx(1)
    assert whole.same.startswith("∇J on all")


def test_every_name_has_its_sentences():
    every = {n for norm in known.NORMALISATIONS | known.RARE for n in norm} | set(known.WEIGHTS)
    every |= set(known.DISCOUNTS) - {""} | set(bugs.BUGS)
    every |= {"time_baseline", "same_expectation", "unknown", *sentences.TROUBLES}
    every |= {*known.LATE, *functions.GENERAL}
    assert every - {"reward_to_go"} <= set(sentences.LOSSES)
    assert set(logits.GRADIENTS) <= set(sentences.GRADIENTS)
    moved = {n for names in of_update.moves(BOOK).special for n in names}
    moved |= {n for _, names in UPDATES for n in names}
    assert moved <= set(sentences.UPDATES)


def identify(u, keep):
    return naming.identify(np.where(keep, u, np.nan), BOOK, lambda case: None, 1e-8)


def block_of(keys, rows, less=1.0):
    ones = np.ones(rows.shape[1])
    return matching.Block(keys, rows, ones, np.full(len(rows), matching.TOLERANCE), less * ones)


def test_a_search_that_looks_at_one_batch_alone_would_be_fooled():
    """The mutant: candidates compared on the first batch only, where γ = 1 and B = 1."""
    rows = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 9.0, 9.0]])
    block = block_of(["a", "b"], rows)
    assert [m.key for m in matching.search(rows[1], [block], np.array([0, 2]))] == ["b"]
    first = block_of(["a", "b"], rows[:, :2])
    assert [m.key for m in matching.search(rows[1][:2], [first], np.array([0]))] == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "looked_at"),
    [
        ("larger_batches", lambda case: len(case.mask) == 1),
        ("below_gamma_1", lambda case: case.gamma == 1),
        ("long_episodes", lambda case: case.label != "long"),
        ("padding_only", lambda case: case.mask.all()),
    ],
)
def test_a_detective_with_fewer_cases_would_be_fooled(name, looked_at):
    """The mutants: each kind of case is needed, or what differs there only is called the sum."""
    cases = BOOK.cases
    weights = [of_loss.ask(UNKNOWN[name], case)[0] for case in cases]
    u = np.concatenate([w[c.mask] for c, w in zip(cases, weights, strict=True)])
    keep = np.concatenate([np.full(int(c.mask.sum()), looked_at(c)) for c in cases])
    assert identify(u, keep).names == ("sum",)
    assert identify(u, True).names == ("unknown",)


def test_one_factor_must_serve_all_batches():
    block = block_of(["a"], np.array([[1.0, 2.0, 3.0, 5.0]]), 0.0)
    starts = np.array([0, 2])
    assert matching.search(np.array([2.0, 4.0, 6.0, 10.0]), [block], starts)
    assert not matching.search(np.array([2.0, 4.0, 3.0, 5.0]), [block], starts)


def with_gamma(number, reduction="sum"):
    return lambda logp, rewards, mask, gamma: losses.reinforce(
        logp, rewards, mask, number, reduction=reduction
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [0.99, 0.5, 0.123])
@pytest.mark.parametrize("reduction", ["sum", "episode_mean", "step_mean"])
def test_one_gamma_for_all_batches_is_named_with_its_number(number, reduction):
    found = detective.audit(with_gamma(number, reduction))
    assert found.names == (*[reduction][: reduction != "sum"], "gamma_fixed")
    assert not found.ok
    assert found.numbers["gamma"] == pytest.approx(number)
    assert f"the γ of the code, {number:.4g}" in str(found)


def test_a_gamma_that_depends_on_the_batch_in_another_way_is_not_called_fixed():
    found = detective.audit(lambda logp, r, m, g: losses.reinforce(logp, r, m, 0.5 + g / 2))
    assert "gamma_fixed" not in found.names


@pytest.mark.parametrize(
    ("cosine", "said"),
    [(1.0, "the right way"), (0.9, "in part"), (0.0, "right angle"), (-0.9, "the wrong way")],
)
def test_the_sign_of_a_cosine_is_said_in_words(cosine, said):
    assert way(cosine).endswith(said) or said in way(cosine)
    assert ("in part" in way(cosine)) == (cosine == 0.9)
