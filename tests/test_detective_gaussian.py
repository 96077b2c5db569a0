"""A Gaussian policy's log π: what it teaches the mean and the deviation, right and wrong."""

from functools import partial

import pytest
import torch
from torch.distributions import Normal

from coursekit import detective
from coursekit.detective import gaussian, sentences


def policy(sample="sample", detach=False, power=1, reduce=torch.sum, sign=1, fixed=False):
    def fn(mean, std):
        normal = Normal(mean, (std.detach() if fixed else std) ** power)
        action = getattr(normal, sample)()
        logp = normal.log_prob(action.detach() if detach else action)
        return action, sign * reduce(logp)

    return fn


def density(mean, std):
    normal = Normal(mean, std)
    action = normal.sample()
    return action, normal.log_prob(action).sum().exp()


def without_sum(mean, std):
    normal = Normal(mean, std)
    action = normal.sample()
    return action, normal.log_prob(action)


def plays_the_mean(mean, std, detach=False):
    action = mean.detach() if detach else mean
    return action, Normal(mean, std).log_prob(action).sum()


def seeded(mean, std):
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3), dtype=mean.dtype)
    action = (mean + std * noise).detach()
    return action, Normal(mean, std).log_prob(action).sum()


@pytest.mark.parametrize(
    ("fn", "names"),
    [
        (policy(), ("gaussian",)),
        (without_sum, ("gaussian",)),
        (policy("rsample", detach=True), ("gaussian",)),
        (policy("rsample"), ("action_not_detached",)),
        (policy(fixed=True), ("deviation_without_gradient",)),
        (policy(reduce=torch.mean), ("mean_over_components",)),
        (policy(sign=-1), ("gaussian", "wrong_sign")),
        (policy(sign=2), ("gaussian", "wrong_scale")),
        (density, ("density_for_log",)),
        (plays_the_mean, ("gaussian", "action_not_drawn")),
        (partial(plays_the_mean, detach=True), ("gaussian", "action_not_drawn")),
        (seeded, ("gaussian", "action_not_drawn")),
        (
            lambda mean, std: (mean.detach(), -(mean**3).sum() * std.sum()),
            ("unknown", "action_not_drawn"),
        ),
        (lambda mean, std: 1 / 0, ("raises",)),
        (lambda mean, std: mean, ("raises",)),
        (lambda mean, std: (mean.detach()[:0], mean.sum()), ("wrong_shape",)),
        (lambda mean, std: (mean.detach(), mean.sum() * float("nan")), ("nan",)),
        (lambda mean: mean, ("wrong_signature",)),
        (None, ("not_callable",)),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "fn",
)
def test_what_log_pi_teaches_is_named(fn, names):
    torch.manual_seed(0)
    finding = detective.audit_gaussian(fn)
    assert finding.names == names
    assert finding.ok == (names == ("gaussian",))


def test_the_variance_in_the_deviations_place_is_named():
    def squared(mean, std):  # the noise is that of the wrong deviation, and so are its derivatives
        normal = Normal(mean, std**2)
        action = normal.sample()
        return action, normal.log_prob(action).sum()

    assert detective.audit_gaussian(squared).names == ("variance_for_deviation",)


def test_every_name_has_its_sentence_and_the_example_can_be_called():
    assert set(gaussian.GRADIENTS) <= set(sentences.GAUSSIAN)
    action, logp = policy()(*detective.example(2, "gaussian"))
    assert action.shape == (3,)
    assert logp.requires_grad
    assert "has no gradient" not in str(detective.audit_gaussian(policy()))
    assert "The mean gets no gradient at all" in str(detective.audit_gaussian(policy("rsample")))
