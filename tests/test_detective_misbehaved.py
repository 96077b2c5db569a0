"""Whatever a function does, each audit answers with a name and a sentence, and none of them raises.

Around a right function of each place stands one misbehaviour. What must come out of it is written
as a table: the names, or that it is still right.
"""

import functools
import inspect
import sys
import warnings

import numpy as np
import pytest
import torch

from coursekit import detective, losses

torch.set_num_threads(1)


# --- A right function for each place.


def loss(logp, rewards, mask, gamma):
    return -(logp * losses.reward_to_go(rewards, gamma) * mask).sum(1).mean()


def at_logits(logits, action, weight):
    e = np.exp(logits - logits.max())
    return (e / e.sum() - np.eye(len(logits))[action]) * weight


def of_tokens(logprobs, old_logprobs, advantages, response_mask):
    ratio = (logprobs - old_logprobs).exp()
    return -(ratio * advantages[:, None] * response_mask).sum(1).mean()


def advantages_of(rewards, group_ids):
    return rewards - rewards.mean()


def policy(mean, std):
    action = torch.distributions.Normal(mean, std).sample()
    return action, torch.distributions.Normal(mean, std).log_prob(action).sum()


def micro_step(micro_batches):
    every = [(x["logprobs"] * x["response_mask"]).sum(1) for x in micro_batches]
    A = [x["advantages"].reshape(len(x["advantages"]), -1)[:, 0] for x in micro_batches]
    return sum(-(a * b).sum() for a, b in zip(every, A, strict=True))


def update(params, batch, lr):
    theta, G = params["theta"], losses.reward_to_go(batch.rewards, batch.gamma)
    logits = torch.log_softmax(theta[batch.obs], -1)
    logp = logits.gather(-1, batch.actions[..., None])[..., 0]
    up = torch.autograd.grad((logp * G * batch.mask).sum(1).mean(), theta)[0]
    return (theta + lr * up).detach()


RIGHT = {
    "audit": loss,
    "audit_gradient": at_logits,
    "audit_tokens": of_tokens,
    "audit_advantages": advantages_of,
    "audit_gaussian": policy,
    "audit_accumulation": micro_step,
    "audit_update": update,
}


# --- What a function may do besides.


def around(change):
    """A function of a function, which keeps the signature by which it is called."""

    def misbehaved(fn):
        @functools.wraps(fn)
        def wrapped(*args, **settings):
            return change(fn, args, settings)

        wrapped.__signature__ = inspect.signature(fn)
        return wrapped

    return misbehaved


def parts(given):
    """Every array or tensor that is handed over."""
    if isinstance(given, dict):
        given = list(given.values())
    if isinstance(given, (list, tuple)):
        return [x for part in given for x in parts(part)]
    return [given] if isinstance(given, (torch.Tensor, np.ndarray)) else []


def changes_inputs(fn, args, settings):
    for x in parts([args, settings]):
        if x.dtype in (torch.float64, np.float64) and not getattr(x, "requires_grad", False):
            x *= 2
    return fn(*args, **settings)


def in_dtype(dtype):
    def cast(x):
        if isinstance(x, dict):
            return {k: cast(v) for k, v in x.items()}
        if isinstance(x, list):
            return [cast(v) for v in x]
        return x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x

    return lambda fn, args, settings: fn(
        *(cast(x) for x in args), **{k: cast(x) for k, x in settings.items()}
    )


def times(factor):
    """The result times a number, or a number that a function makes of what is handed over."""

    def change(fn, args, settings):
        value = fn(*args, **settings)
        k = factor(args, settings) if callable(factor) else factor
        return (value[0], value[1] * k) if isinstance(value, tuple) else value * k

    return change


def growing():
    count = iter(range(1, 10**6))
    return times(lambda args, settings: next(count))


def warned(fn, args, settings):
    warnings.warn("a word", stacklevel=1)
    return fn(*args, **settings)


MISBEHAVED = {
    "raises": lambda fn, args, settings: 1 / 0,
    "exits": lambda fn, args, settings: sys.exit(3),
    "returns nothing": lambda fn, args, settings: None,
    "returns a float": lambda fn, args, settings: 1.5,
    "ignores it all": lambda fn, args, settings: torch.tensor(0.0, requires_grad=True) * 1,
    "changes inputs": changes_inputs,
    "keeps state": growing(),
    "float16": in_dtype(torch.float16),
    "bfloat16": in_dtype(torch.bfloat16),
    "warns": warned,
    "huge": times(1e300),
    "NaN": times(float("nan")),
}
# What comes out: names of which one must be there; () where it is right still.
ONE_OF = {
    "raises": ("raises",),
    "exits": ("raises",),
    "returns nothing": ("not_a_tensor", "not_a_vector", "raises", "no_update"),
    "returns a float": ("not_a_tensor", "not_a_vector", "raises", "no_update"),
    "ignores it all": ("no_gradient", "not_a_vector", "raises", "no_update"),
    "changes inputs": ("changes_inputs",),
    "keeps state": ("not_repeatable",),
    "float16": (),
    "bfloat16": (),
    "warns": (),
    "huge": (),
    "NaN": ("nan",),
}
OTHERS = {
    ("audit_gaussian", "changes inputs"): (),  # all that it is handed are two leaves
    ("audit_gaussian", "keeps state"): ("unknown",),  # it is drawn anew in each call
    ("audit_accumulation", "keeps state"): ("unknown", "not_repeatable"),
    ("audit_update", "float16"): ("unknown",),  # a step that is less than the rounding of θ
    ("audit_update", "bfloat16"): ("unknown",),
    ("audit_update", "huge"): ("unknown",),  # θ itself is multiplied
    ("audit_gradient", "huge"): ("wrong_scale",),
    ("audit_gaussian", "huge"): ("wrong_scale",),
    ("audit_accumulation", "huge"): ("scaled",),
    ("audit_update", "keeps state"): ("unknown", "not_repeatable"),
}
ALWAYS = {"raises", "changes inputs", "keeps state", "float16"}  # of the places that take long
EVERY = [
    pytest.param(place, how, marks=[pytest.mark.slow] * (long and how not in ALWAYS))
    for place in RIGHT
    for long in [place in ("audit", "audit_tokens", "audit_update")]
    for how in MISBEHAVED
]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "how"), EVERY)
def test_whatever_a_function_does_the_audit_says_what(place, how):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finding = getattr(detective, place)(around(MISBEHAVED[how])(RIGHT[place]))
    wanted = OTHERS.get((place, how), ONE_OF[how])
    assert bool({*wanted} & {*finding.names}) if wanted else finding.ok, str(finding)
    if wanted:
        assert not finding.ok
        assert finding.evidence or finding.advice
    assert str(finding)


@pytest.mark.parametrize("place", RIGHT)
def test_the_functions_without_a_misbehaviour_are_right(place):
    assert getattr(detective, place)(RIGHT[place]).ok


def alone(args, settings):
    """NaN where one episode, or one answer, is handed over."""
    return float("nan") if len(parts([args, settings])[0]) == 1 else 1.0


@pytest.mark.parametrize("place", ["audit", "audit_tokens", "audit_advantages"])
def test_a_number_that_is_none_for_one_episode_alone_is_told_and_no_more(place):
    finding = getattr(detective, place)(around(times(alone))(RIGHT[place]))
    assert set(finding.names) <= {"sum", "batch_mean", "nan_when_alone"}
    if place == "audit":
        assert finding.ok
        assert any("where B = 1 alone" in text for text in finding.evidence)


def unknown_and_nan_alone(logp, rewards, mask, gamma):
    """No name, and no number where B = 1."""
    G = losses.reward_to_go(rewards, gamma) * mask
    A = (G - G.sum(0) / mask.sum(0).clamp(min=1)) / (rewards.sum(1).std() + 0.1) * logp.detach()
    return -(logp * A * mask).sum(1).mean()


@pytest.mark.slow
def test_a_loss_without_a_name_may_be_without_a_number_too():
    assert detective.audit(unknown_and_nan_alone).names == ("unknown",)
    ragged = detective.audit(lambda p, r, m, g: loss(p, r, m, g) / (len(p) > 2))
    assert "unknown" in ragged.names or "nan" in ragged.names
