"""What the exercises of 00 to 04 call right and wrong, against answers written out once more.

``test_checks`` asks each exercise about itself; here nothing is taken from the exercise.
"""

import math

import numpy as np
import pytest
import torch

from coursekit import checks

# In the order of the exercise: a right answer, and for each thing that is said a wrong one.


def loop(answer):
    """A function of one episode's lists, made from one that gives the entry at t."""
    return lambda *args: np.array([answer(t, *args) for t in range(len(args[0]))])


def discounted(rewards, gamma):
    return sum(gamma**k * r for k, r in enumerate(rewards))


def exponentials(logits):
    return [math.exp(x - max(logits)) for x in logits]


def overflowing(logits):
    with np.errstate(all="ignore"):
        return np.exp(logits) / sum(np.exp(logits))


def squares(pi, a):
    return sum((float(a == b) - p) ** 2 for b, p in enumerate(pi))


def best(pi, values):
    weights = [p * squares(pi, a) for a, p in enumerate(pi)]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def grad(clear, pick):
    """What ``.grad`` holds after backward on what is picked from the losses of the steps."""

    def answer(step_losses, theta):
        theta.grad = None if clear else theta.grad
        for loss in pick(step_losses):
            loss.backward()
        return theta.grad

    return answer


def cleared(clear):
    """As above for all steps, cleared after each of them."""

    def answer(step_losses, theta):
        for loss in step_losses:
            loss.backward()
            clear(theta)
        return theta.grad

    return answer


def after_a_step(steps, theta, rate):
    """θ − rate · θ Σ c_t, for losses c_t Σ θ², without a backward pass."""
    total = sum(s.item() for s in steps) / (theta**2).sum().item()
    return theta.detach() * (1 - rate * total)


ANSWERS = {
    "0.1": (4, {"x itself": 0.25, "log x, not": math.log(0.25), "derivative of 1/x": -16}),
    "0.2": (
        0.2 * 10 - 0.8 * 1,
        {"payment is missing": 0.2 * 10, "equally likely": (10 - 1) / 2, "sign of": 2 + 0.8}
        | {"weigh each outcome": 10 - 1},
    ),
    "0.3": (
        loop(lambda t, r: sum(r[t:])),
        {
            "from the start": loop(lambda t, r: sum(r[: t + 1])),
            "order is reversed": loop(lambda t, r: sum(r[len(r) - 1 - t :])),
            "the total": loop(lambda t, r: sum(r)),
            "its own reward": loop(lambda t, r: sum(r[t + 1 :])),
        },
    ),
    "1.1": (
        lambda x: [e / sum(exponentials(x)) for e in exponentials(x)],
        {
            "overflows": overflowing,
            "do not add to 1": exponentials,
            "exponentiate first": lambda x: [a / sum(x) for a in x],
            "logarithm of the softmax": lambda x: [
                a - max(x) - math.log(sum(exponentials(x))) for a in x
            ],
        },
    ),
    "1.2": (
        loop(lambda t, r, gamma: discounted(r[t:], gamma)),
        {
            "start of the episode": loop(lambda t, r, gamma: discounted(r[: len(r) - t], gamma)),
            "same reward": loop(lambda t, r, gamma: discounted([r[t]] * (len(r) - t), gamma)),
            "γ is missing": loop(lambda t, r, gamma: sum(r[t:])),
            "counts from time 0": loop(lambda t, r, gamma: gamma**t * discounted(r[t:], gamma)),
            "gathered so far": loop(lambda t, r, gamma: sum(r[: t + 1])),
            "the whole return": loop(lambda t, r, gamma: discounted(r, gamma)),
        },
    ),
    "1.3": (
        # over the bridge at the first try, 3/8, or at the second
        -1 + 4 * (3 / 8 + 5 / 8 * 3 / 8),
        {
            "toll is missing": 4 * (3 / 8 + 5 / 8 * 3 / 8),
            "uniform policy": (1 + (-1 + 4 * (3 / 8 + 5 / 8 * 3 / 8))) / 2,
            "only one step": -1 + 4 * 3 / 8,
            "can not both": -1 + 4 * (3 / 8 + 3 / 8),
        },
    ),
    "2.1": (
        lambda pi, a: [float(a == b) - p for b, p in enumerate(pi)],
        {
            "sign is reversed": lambda pi, a: [p - float(a == b) for b, p in enumerate(pi)],
            "with respect to the probabilities": lambda pi, a: [
                float(a == b) / p for b, p in enumerate(pi)
            ],
            "not ∇ log π": lambda pi, a: [pi[a] * (float(a == b) - p) for b, p in enumerate(pi)],
            "one-hot vector alone": lambda pi, a: [float(a == b) for b in range(len(pi))],
        },
    ),
    "2.2": (
        loop(lambda t, logp, r, gamma: -logp[t] * discounted(r[t:], gamma)),
        {
            "sign is reversed": loop(lambda t, logp, r, g: logp[t] * discounted(r[t:], g)),
            "not those of the start": loop(
                lambda t, logp, r, g: -logp[t] * discounted(r[: len(r) - t], g)
            ),
            "whole return": loop(lambda t, logp, r, g: -logp[t] * discounted(r, g)),
            "future is missing": loop(lambda t, logp, r, g: -logp[t] * r[t]),
            "γ is missing": loop(lambda t, logp, r, g: -logp[t] * sum(r[t:])),
            "γ^t in front": loop(lambda t, logp, r, g: -logp[t] * g**t * discounted(r[t:], g)),
            "logarithm is undone": loop(
                lambda t, logp, r, g: -math.exp(logp[t]) * discounted(r[t:], g)
            ),
            "reduced to one number": lambda logp, r, g: sum(
                -logp[t] * discounted(r[t:], g) for t in range(len(r))
            ),
        },
    ),
    "2.3": (
        best,
        {
            "mean value J": lambda pi, values: sum(p * v for p, v in zip(pi, values, strict=True)),
            "lack π": lambda pi, values: (
                sum(squares(pi, a) * v for a, v in enumerate(values))
                / sum(squares(pi, a) for a in range(len(pi)))
            ),
            "plain average": lambda pi, values: sum(values) / len(values),
        },
    ),
    "3.1": (
        # the losses are c_t θ², so the gradient is 2 θ Σ c_t
        lambda steps, theta: 2 * theta * sum(s.item() for s in steps) / (theta**2).sum(),
        {
            "last step": grad(True, lambda steps: steps[-1:]),
            "from before": grad(False, lambda steps: steps),
            "number of steps": grad(True, lambda steps: [torch.stack(steps).mean()]),
            ".grad is None": cleared(lambda theta: setattr(theta, "grad", None)),
            ".grad is zero": cleared(lambda theta: theta.grad.zero_()),
        },
    ),
    "3.2": (2 + 3 + 2.5, {"first call": 2 + 3, "second call alone": 2.5, "half the": 2 * (2 + 3)}),
    "3.3": (
        lambda means, counts: np.average(means, weights=counts),
        {
            "mean of the means": lambda means, counts: sum(means) / len(means),
            "as if they were sums": lambda means, counts: sum(means) / sum(counts),
            "sum over all": lambda means, counts: means @ counts,
            "number of pieces": lambda means, counts: means @ counts / len(means),
        },
    ),
    "3.4": (
        # the losses are c_t Σ θ², so the gradient is 2 θ Σ c_t
        lambda steps, theta, lr: after_a_step(steps, theta, lr * 2),
        {
            "the other way": lambda steps, theta, lr: after_a_step(steps, theta, -lr * 2),
            "from before": lambda steps, theta, lr: after_a_step(steps, theta, lr * 2) - 50 * lr,
            "last step": lambda steps, theta, lr: after_a_step(steps[-1:], theta, lr * 2),
            "number of steps": lambda steps, theta, lr: after_a_step(
                steps, theta, lr * 2 / len(steps)
            ),
            "return θ after": lambda steps, theta, lr: (
                theta - after_a_step(steps, theta, 2)
            ).detach(),
        },
    ),
    "4.1": (
        lambda alpha, lengths: [alpha / n for n in lengths],
        {
            "upside down": lambda alpha, lengths: [alpha * n for n in lengths],
            "rate that was set": lambda alpha, lengths: [alpha] * len(lengths),
            "not by the average": lambda alpha, lengths: [alpha / np.mean(lengths)] * len(lengths),
            "one rate for all": lambda alpha, lengths: alpha / np.mean(lengths),
        },
    ),
    "4.2": (
        lambda x, mask: np.mean([row[real].mean() for row, real in zip(x, mask, strict=True)]),
        {
            "over all steps": lambda x, mask: x[mask].mean(),
            "padding is counted": lambda x, mask: x.sum() / x.size,
            "sum over steps": lambda x, mask: x[mask].sum() / len(x),
            "added over the episodes": lambda x, mask: sum(
                row[real].mean() for row, real in zip(x, mask, strict=True)
            ),
            "not yet averaged": lambda x, mask: [
                row[real].mean() for row, real in zip(x, mask, strict=True)
            ],
        },
    ),
    "4.3": (
        1e-8 * 1000,
        {"other way round": 1e-8 / 1000, "the old ε": 1e-8, "of a million": 1e-8 * 1000**2},
    ),
}


def said(tag, answer):
    return checks.verdict(checks.find(tag), answer)


@pytest.mark.parametrize("tag", ANSWERS)
def test_an_answer_written_out_once_more_is_correct(tag):
    assert said(tag, ANSWERS[tag][0]) == "correct"


@pytest.mark.parametrize("tag", ANSWERS)
def test_each_mistake_is_told_what_it_is(tag):
    for about, wrong in ANSWERS[tag][1].items():
        assert about in said(tag, wrong)
        assert said(tag, wrong).startswith("not yet: ")


def test_a_small_answer_must_be_right_in_its_own_size():
    assert said("4.3", 1.00005e-5) != "correct"


@pytest.mark.parametrize("number", range(5))
def test_nothing_that_an_exercise_says_is_left_out_here(number):
    module = checks.importlib.import_module(f"coursekit.exercises.nb{number:02d}")
    asked = {tag: len(ANSWERS[tag][1]) for tag in ANSWERS if tag[0] == str(number)}
    assert asked == {tag: len(exercise.wrong) for tag, exercise in module.EXERCISES.items()}


def test_the_two_errors_that_everybody_meets_are_explained():
    def not_kept(steps, theta, lr):
        theta.grad = None
        for loss in steps:
            loss.backward()
        return theta.detach() - lr * theta.grad

    def stepping_inside(steps, theta, lr):
        theta.grad = None
        for loss in steps:
            loss.backward(retain_graph=True)
            with torch.no_grad():
                theta -= lr * theta.grad
        return theta

    assert "retain_graph=True (section 4)" in said("3.4", not_kept)
    assert "step once, after the loop (section 6)" in said("3.4", stepping_inside)
    assert "ZeroDivisionError" in said("3.4", lambda steps, theta, lr: 1 / 0)
