"""Each kind of false ✓ and false name that was found once, with its neighbours.

A ✓ is a promise: given for what the cases can tell, and for nothing that was fitted to one episode.
What takes long is marked slow; one of each kind is not.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch

from coursekit import baselines, bugs, detective, losses

torch.set_num_threads(1)
slow = pytest.mark.slow


def table(rows):
    """(id, loss, names, ok) -> parameters; the first is always run, those after "slow" are slow."""
    found, marks = [], ()
    for row in rows:
        if row == "slow":
            marks = slow
            continue
        found.append(pytest.param(*row[1:], id=row[0], marks=marks))
    return pytest.mark.parametrize(("loss", "names", "ok"), found)


def summed(weight, reduction="sum"):
    def loss(logp, rewards, mask, gamma):
        each = -(logp * weight(rewards, mask, gamma) * mask)
        return losses.REDUCTIONS[reduction](each, mask)

    return loss


def to_go(rewards, mask, gamma):
    return losses.reward_to_go(rewards, gamma)


def whole(rewards, mask, gamma):
    return losses.whole_return(rewards, gamma)


def time(rewards):
    return torch.arange(rewards.shape[1], dtype=torch.float64)


def check(loss, names, ok):
    finding = detective.audit(loss)
    assert (finding.names, finding.ok) == (names, ok), str(finding)
    return finding


# --- 1. Where one episode alone speaks, nothing may be fitted to it.


def after(cut, late, b=lambda t, g: 0 * t):
    """Right up to a time, and ``late`` times as much after it; b(t, γ) is taken off."""

    def weight(r, m, g):
        t = time(r)
        return torch.where(t < cut, to_go(r, m, g), late * to_go(r, m, g)) - b(t, g)

    return summed(weight)


def wave(t, gamma):
    return torch.sin(13.7 * t + gamma)


@table(
    [
        ("wave", after(9999, 1, wave), ("sum", "time_baseline"), True),
        ("flip after 20", after(20, -1), ("unknown",), False),
        ("wave and flip after 20", after(20, -1, wave), ("unknown",), False),
        "slow",
        ("cut after 20", after(20, 0), ("unknown",), False),
        ("twice after 35", after(35, 2), ("unknown",), False),
        ("flip after 12", after(12, -1), ("unknown",), False),
        ("wave and cut after 35", after(35, 0, wave), ("unknown",), False),
        ("wave and a little more after 20", after(20, 1.001, wave), ("unknown",), False),
        (
            "line, at γ < 1 alone",
            after(9999, 1, lambda t, g: t * (g < 1)),
            ("sum", "time_baseline"),
            True,
        ),
    ]
)
def test_a_baseline_of_time_is_a_promise_for_all_times(loss, names, ok):
    check(loss, names, ok)


def places(r):
    return torch.cos(1.3 * time(r)[None] + torch.arange(len(r))[:, None] ** 2)


def alive(r, m, g):
    """The mean of the other episodes that are not over."""
    G, n = to_go(r, m, g) * m, m.sum(0)
    return (G.sum(0) - G) / (n - 1).clamp(min=1)


def median_of_others(r, m, g, alone=True):
    R = whole(r, m, g)[:, 0]
    rows = [torch.cat([R[:i], R[i + 1 :]]) for i in range(len(R))]
    return torch.stack([x.median() if len(x) or not alone else 0 * R[0] for x in rows])[:, None]


FREE = [
    ("median of others", summed(lambda r, m, g: to_go(r, m, g) - median_of_others(r, m, g)),
     ("sum", "others_baseline"), True),
    ("others that are alive", summed(lambda r, m, g: to_go(r, m, g) - alive(r, m, g)),
     ("sum", "leave_one_out_to_go"), True),
    ("place", summed(lambda r, m, g: to_go(r, m, g) - places(r)), ("sum", "state_baseline"), True),
    "slow",
    ("no median alone", summed(lambda r, m, g: to_go(r, m, g) - median_of_others(r, m, g, False)),
     ("sum", "others_baseline"), True),
    ("half the place", summed(lambda r, m, g: (whole(r, m, g) - places(r)) / 2),
     ("constant", "whole_return", "state_baseline"), True),
    ("place, by episode", summed(lambda r, m, g: to_go(r, m, g) - places(r), "episode_mean"),
     ("episode_mean", "state_baseline"), False),
    ("place by columns", summed(lambda r, m, g: to_go(r, m, g) - math.sin(r.shape[1])),
     ("sum", "state_baseline"), False),
    ("0 where alone", summed(lambda r, m, g: (to_go(r, m, g) - alive(r, m, g)) * (m.sum(0) > 1)),
     ("leave_one_out_if_any",), False),
    ("own mean of all", summed(lambda r, m, g: to_go(r, m, g) - whole(r, m, g)[:, :1].mean(0)),
     ("group_centred_to_go",), False),
    ("own reward", summed(lambda r, m, g: to_go(r, m, g) - 0.001 * r), ("other_discount",), False),
    ("own length", summed(lambda r, m, g: to_go(r, m, g) - 0.001 * m.sum(1, keepdim=True)),
     ("other_term",), False),
    ("own, if long", summed(lambda r, m, g: to_go(r, m, g) - m.sum(1, keepdim=True).ge(100).int()),
     ("other_term",), False),
    ("own last reward, late", summed(lambda r, m, g: to_go(r, m, g) - 0.1 * r * (time(r) > 30)),
     ("unknown",), False),
]  # fmt: skip


@table(FREE)
def test_a_baseline_is_free_if_the_episode_itself_does_not_change_it(loss, names, ok):
    check(loss, names, ok)


# --- 2. Another tensor that learns.


class Critic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, rewards):
        return self.value + 0 * rewards


def with_critic(detach=False, own=0.0, reduction="sum", calls=False):
    critic = Critic()

    def loss(logp, rewards, mask, gamma):
        G, V = losses.reward_to_go(rewards, gamma), critic(rewards)
        each = -(logp * (G - (V.detach() if detach else V)) * mask)
        value = losses.REDUCTIONS[reduction](each, mask) + own * (((G - V) * mask) ** 2).mean()
        if not calls:
            return value
        value.backward()
        return value.item()

    return loss


SCALE = torch.ones(1, requires_grad=True)
VALUES = torch.nn.Parameter(torch.arange(1100.0) / 100)


def by_time(objective, some=lambda V, r: V, own=0.0):
    """The critic's values, one for each time; ``some``: those that are not detached."""

    def loss(logp, rewards, mask, gamma):
        G, V = losses.reward_to_go(rewards, gamma), VALUES[: rewards.shape[1]]
        value = -(objective(logp, G - some(V, rewards)) * mask).sum(-1).mean()
        return value + own * (logp.detach().exp() * ((G - V) * mask) ** 2).mean()

    return loss


def with_ratio(logp, A, clip=True):
    ratio = (logp - logp.detach()).exp()
    return torch.min(ratio * A, ratio.clamp(0.8, 1.2) * A) if clip else ratio * A


class NoSecondDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g


def late(V, rewards):
    return torch.where(torch.arange(len(V)) >= 10, V, V.detach())


LEAK = ("sum", "time_baseline", "leaking_critic")


@table(
    [
        ("in a ratio", by_time(with_ratio), LEAK, False),
        ("in a ratio, detached", by_time(with_ratio, lambda V, r: V.detach(), 0.5), LEAK[:2], True),
        ("from t = 10 on", by_time(torch.mul, late), LEAK, False),
        ("from B = 4 on", by_time(torch.mul, lambda V, r: V if len(r) >= 4 else V.detach()),
         LEAK, False),
        "slow",
        ("in π/π", by_time(lambda p, A: p.exp() / p.exp().detach() * A), LEAK, False),
        ("unclipped, beside its own", by_time(lambda p, A: with_ratio(p, A, False), own=0.5),
         LEAK, False),
        ("by hand", by_time(lambda p, A: NoSecondDerivative.apply(p * A)), LEAK, False),
    ]
)  # fmt: skip
def test_a_critic_leaks_whatever_a_ratio_or_a_short_batch_hides(loss, names, ok):
    assert "VALUES" in str(check(loss, names, ok))


@table(
    [
        ("leaks", with_critic(), ("sum", "constant_baseline", "leaking_critic"), False),
        ("its own loss", with_critic(True, 0.5), ("sum", "constant_baseline"), True),
        "slow",
        ("leaks beside its own", with_critic(False, 0.5),
         ("sum", "constant_baseline", "leaking_critic"), False),
        ("leaks in a mean", with_critic(reduction="step_mean"),
         ("step_mean", "constant_baseline", "leaking_critic"), False),
        ("leaks by backward", with_critic(calls=True),
         ("sum", "constant_baseline", "leaking_critic"), False),
        ("own loss by backward", with_critic(True, 0.5, calls=True),
         ("sum", "constant_baseline"), True),
        ("a factor that learns", lambda p, r, m, g: SCALE.sum() * losses.reinforce(p, r, m, g),
         ("sum", "leaking_coefficient"), False),
        ("an entropy's coefficient", lambda p, r, m, g: losses.reinforce(p, r, m, g)
         + SCALE.exp().sum() * (p.exp() * p * m).sum() / len(p),
         ("entropy_bonus", "leaking_coefficient"), False),
    ]
)  # fmt: skip
def test_a_tensor_that_the_policys_loss_teaches_is_told(loss, names, ok):
    finding = check(loss, names, ok)
    word = "SCALE" if "factor" in str(loss) or loss.__name__ == "<lambda>" else "critic.value"
    assert word in str(finding)


# --- 3. A clip acts where ratios are not 1.


def ppo(logp, rewards, mask, gamma, pick=torch.min, old=torch.Tensor.detach, low=0.8, high=1.2):
    ratio, A = (logp - old(logp)).exp(), losses.reward_to_go(rewards, gamma)
    return -(pick(ratio * A, ratio.clamp(low, high) * A) * mask).sum(-1).mean()


def dual(logp, rewards, mask, gamma, c=3.0):
    ratio, A = (logp - logp.detach()).exp(), losses.reward_to_go(rewards, gamma)
    least = torch.min(ratio * A, ratio.clamp(0.8, 1.2) * A)
    return -(torch.where(A < 0, torch.max(least, c * A), least) * mask).sum(-1).mean()


def without_grad(logp):
    with torch.no_grad():
        return logp.clone()


def picked_steps(logp, rewards, mask, gamma):
    """The signs as they stand in much code: max of two losses; here of two with min."""
    logp, A = logp[mask], losses.reward_to_go(rewards, gamma)[mask]
    ratio = (logp - logp.detach()).exp()
    return torch.min(-A * ratio, -A * ratio.clamp(0.8, 1.2)).mean()


def second(a, b):
    return b


@table(
    [
        ("min", ppo, ("sum",), True),
        ("max", partial(ppo, pick=torch.max), ("sum", "clip_exchanged"), False),
        "slow",
        ("clip alone", partial(ppo, pick=second), ("sum", "clip_without_min"), False),
        ("dual", dual, ("sum",), True),
        ("wide", partial(ppo, high=1.28), ("sum",), True),
        ("max, no_grad", partial(ppo, pick=torch.max, old=without_grad),
         ("sum", "clip_exchanged"), False),
        ("max, data", partial(ppo, pick=torch.max, old=lambda p: p.data),
         ("sum", "clip_exchanged"), False),
        ("max, narrow", partial(ppo, pick=torch.max, low=0.95, high=1.5),
         ("sum", "clip_exchanged"), False),
        ("of picked steps", picked_steps, ("step_mean", "clip_exchanged"), False),
    ]
)  # fmt: skip
def test_a_clip_is_tried_at_ratios_that_are_not_1(loss, names, ok):
    finding = check(loss, names, ok)
    assert "ratios other than 1 were tried: no gradient" in str(finding)


def power_of_ratio(k, pick=None):
    def loss(logp, rewards, mask, gamma):
        ratio, A = (k * (logp - logp.detach())).exp(), losses.reward_to_go(rewards, gamma) / k
        each = ratio * A if pick is None else pick(ratio * A, ratio.clamp(0.8, 1.2) * A)
        return -(each * mask).sum(-1).mean()

    return loss


@table(
    [
        ("upside down", power_of_ratio(-1), ("sum", "ratio_inverted"), False),
        ("squared", power_of_ratio(2), ("sum", "ratio_squared"), False),
        "slow",
        ("upside down and clipped", power_of_ratio(-1, torch.min), ("sum", "ratio_inverted"),
         False),
        ("upside down, clip exchanged", power_of_ratio(-1, torch.max), ("sum", "ratio_inverted"),
         False),
        ("root", power_of_ratio(0.5), ("sum", "ratio_root"), False),
        ("plain", power_of_ratio(1), ("sum",), True),
    ]
)  # fmt: skip
def test_a_power_of_the_ratio_is_told(loss, names, ok):
    assert "ratios other than 1 were tried: each weight is multiplied by" in str(
        check(loss, names, ok)
    )


def test_an_old_policy_that_can_not_be_exchanged_is_said_not_to_be_probed():
    hidden = partial(ppo, pick=torch.max, old=lambda p: torch.tensor(p.tolist(), dtype=p.dtype))
    assert "not probed: log π is used as a plain number somewhere" in str(detective.audit(hidden))
    assert "plain number" not in str(detective.audit(losses.reinforce))


# --- 4. What is small and systematic.


def flat(p, m):
    return 0.5 * (p + math.log(3)) ** 2 * m


def with_term(term, reduction="sum", dtype=torch.float64):
    def loss(logp, rewards, mask, gamma):
        p, r = logp.to(dtype), rewards.to(dtype)
        return losses.reinforce(p, r, mask, gamma, reduction) + term(p, mask)

    return loss


def k3(p, m):
    return ((-1 - p).exp() + p) * m


@table(
    [
        ("KL, 1e-5", with_term(lambda p, m: 1e-5 * flat(p, m).sum(1).mean()),
         ("entropy_bonus",), False),
        ("−KL, 1e-5", with_term(lambda p, m: -1e-5 * flat(p, m).sum(1).mean()),
         ("entropy_penalty",), False),
        "slow",
        ("KL, .1", with_term(lambda p, m: 0.1 * flat(p, m).sum(1).mean()),
         ("entropy_bonus",), False),
        ("−KL, 1e-3", with_term(lambda p, m: -1e-3 * flat(p, m).sum(1).mean()),
         ("entropy_penalty",), False),
        ("KL in float32", with_term(lambda p, m: 1e-5 * flat(p, m).sum(1).mean(),
                                    dtype=torch.float32), ("entropy_bonus",), False),
        ("an entropy in float32", with_term(lambda p, m: -1e-5 * (p.exp() * p * m).sum(1).mean(),
                                            dtype=torch.float32), ("entropy_penalty",), False),
        ("beside a baseline of float32", lambda p, r, m, g: summed(lambda r, m, g: to_go(r, m, g)
         - time(r).float().cos())(p, r, m, g) - 1e-5 * (p.exp() * p * m).sum(1).mean(),
         ("entropy_penalty",), False),
        ("k3", with_term(lambda p, m: 1e-3 * k3(p, m).sum(1).mean()), ("entropy_bonus",), False),
        ("−k3", with_term(lambda p, m: -1e-3 * k3(p, m).sum(1).mean()),
         ("entropy_penalty",), False),
        ("π log π", with_term(lambda p, m: 1e-3 * (p.exp() * p * m).sum(1).mean()),
         ("entropy_bonus",), False),
        ("over steps", with_term(lambda p, m: 1e-3 * flat(p, m).sum() / m.sum(), "step_mean"),
         ("step_mean", "entropy_bonus"), False),
        ("samples", with_term(lambda p, m: -0.01 * (-p * m).sum(1).mean()),
         ("sum", "constant_baseline"), True),
        ("samples over steps", with_term(lambda p, m: -0.01 * (-p * m).sum() / m.sum()),
         ("other_term",), False),
        ("in the rewards", lambda p, r, m, g: losses.reinforce(p, r - 0.01 * p.detach() * m, m, g),
         ("entropy_bonus",), False),
        ("in the rewards, −", lambda p, r, m, g: losses.reinforce(p, r + 0.01 * p.detach() * m, m,
                                                                 g), ("entropy_penalty",), False),
        ("squares, 1e-6", summed(lambda r, m, g: to_go(r, m, g) + 1e-6 * to_go(r, m, g) ** 2),
         ("function_of_return",), False),
    ]
)  # fmt: skip
def test_a_small_term_is_no_rounding(loss, names, ok):
    finding = check(loss, names, ok)
    if {"entropy_bonus", "entropy_penalty"} & set(names):
        assert " entropy of the policy; in expectation " in str(finding)


def test_the_sign_and_the_size_of_a_term_are_told():
    finding = detective.audit(with_term(lambda p, m: -1e-3 * flat(p, m).sum(1).mean()))
    assert finding.numbers["coefficient"] == pytest.approx(-1e-3)
    assert "it is -0.001 times ½ (log π)², reduced by sum" in str(finding)
    samples = detective.audit(with_term(lambda p, m: 0.01 * (p * m).sum(1).mean()))
    assert "raises no entropy" in str(samples)


# --- 5 and 6. Micro-batches, the total, and what is divided twice.


def micro(logp, rewards, mask, gamma, size=2, count=None, mean=True):
    size = size if count is None else -(-len(mask) // count)
    each = -(logp * losses.reward_to_go(rewards, gamma) * mask)
    parts = [slice(i, i + size) for i in range(0, len(mask), size)]
    return sum(each[k].sum() / mask[k].sum() for k in parts) / (len(parts) if mean else 1)


def episodes(change):
    """The mean over episodes of what is made of their losses and lengths."""

    def loss(logp, rewards, mask, gamma):
        each = -(logp * losses.reward_to_go(rewards, gamma) * mask).sum(1)
        return change(each, mask.sum(1)).mean()

    return loss


def over(count):
    def loss(logp, rewards, mask, gamma):
        return losses.reinforce(logp, rewards, mask, gamma) / count(mask)

    return loss


@table(
    [
        ("pairs", micro, ("micro_batches",), False),
        ("total", over(lambda m: 1000 / len(m)), ("total",), True),
        ("constant", over(lambda m: 1000), ("constant",), True),
        "slow",
        ("triples", partial(micro, size=3), ("micro_batches",), False),
        ("two halves", partial(micro, count=2), ("micro_batches",), False),
        ("added up", partial(micro, mean=False), ("micro_batches", "total"), False),
        ("a third in total", over(lambda m: 1 / 3 / len(m)), ("total",), True),
        ("B twice", over(len), ("divided_twice",), False),
        ("longest", over(lambda m: m.sum(1).max()), ("longest",), False),
        ("median", over(lambda m: m.sum(1).median()), ("median_length",), False),
        ("shortest", over(lambda m: m.sum(1).min() / len(m)), ("shortest",), False),
        ("root of B", over(lambda m: len(m) ** -0.5), ("root_of_B",), False),
        ("root of n", episodes(lambda x, n: x / n**0.5), ("root_length",), False),
        ("n + 1", episodes(lambda x, n: x / (n + 1)), ("length_plus_one",), False),
        ("all but one", episodes(lambda x, n: x[:-1]), ("last_episode_dropped",), False),
        ("one episode less", episodes(lambda x, n: x[: max(len(x) - 1, 1)]),
         ("last_episode_dropped",), False),
        ("n twice", lambda p, r, m, g: ((-p * to_go(r, m, g) * m).sum(1) / m.sum(1) ** 2).mean(),
         ("episode_mean", "divided_twice"), False),
        ("N and B", lambda p, r, m, g: losses.reinforce(p, r, m, g, "step_mean") / len(m),
         ("step_mean", "divided_twice"), False),
    ]
)  # fmt: skip
def test_what_is_divided_is_told_by_batches_of_many_sizes(loss, names, ok):
    check(loss, names, ok)


def update(params, batch, lr, size=2, logp=None):
    """One step of SGD after all micro-batches' means."""
    opt = torch.optim.SGD(params.values(), lr=lr)
    opt.zero_grad()
    p = (logp or right_logp)(params["theta"], batch)
    each = -(p * losses.reward_to_go(batch.rewards, batch.gamma) * batch.mask)
    for i in range(0, len(each), size):
        k = slice(i, i + size)
        share = (len(each) + size - 1) // size
        (each[k].sum() / batch.mask[k].sum() / share).backward(retain_graph=True)
    opt.step()


def right_logp(theta, batch):
    return torch.log_softmax(theta[batch.obs], -1).gather(-1, batch.actions[..., None])[..., 0]


def wrong_axis(axis):
    return lambda theta, b: torch.log_softmax(theta[b.obs], axis).gather(-1, b.actions[..., None])[
        ..., 0
    ]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("micro_batches",)),
        ({"size": 3}, ("micro_batches",)),
        ({"size": 4}, ("micro_batches",)),
        ({"size": 100}, ("step_mean",)),
        ({"size": 1}, ("episode_mean",)),
        ({"size": 100, "logp": wrong_axis(0)}, ("step_mean", "softmax_over_episodes")),
        ({"size": 100, "logp": wrong_axis(1)}, ("step_mean", "softmax_over_time")),
        ({"size": 100, "logp": lambda theta, b: torch.log_softmax(theta, 0)[b.obs, b.actions]},
         ("step_mean", "softmax_over_states")),
        ({"size": 100, "logp": lambda theta, b: torch.log_softmax(theta[b.obs], -1).amax(-1)},
         ("step_mean", "argmax_for_sample")),
    ],
)  # fmt: skip
def test_an_update_by_micro_batches_or_by_another_policy_is_named(settings, names):
    finding = detective.audit_update(partial(update, **settings))
    assert finding.names == names
    assert not finding.ok


def moved_by(of, cast=lambda x: x):
    """An update by a loss of (log π, returns, mask, entropy of each state)."""

    def fn(params, batch, lr):
        theta = params["theta"].detach().clone().requires_grad_()
        every = torch.log_softmax(theta, -1)
        p = cast(every[batch.obs, batch.actions])
        H = -(every.exp() * every).sum(-1)[batch.obs]
        G = cast(losses.reward_to_go(batch.rewards, batch.gamma) * batch.mask)
        (g,) = torch.autograd.grad(of(p, G, cast(batch.mask * 1.0), H, batch), theta)
        return {"theta": (theta - lr * g).detach()}

    return fn


def returns(batch, most=math.inf, less=0.0):
    return losses.reward_to_go(batch.rewards.clamp(-most, most), batch.gamma - less)


def main(p, G, m):
    return -(p * G * m).sum() / len(p)


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (lambda p, G, m, H, b: main(p, G, m) + 1e-5 * (p**2 * m).sum() / len(p), "entropy_bonus"),
        (lambda p, G, m, H, b: main(p, G, m) - 1e-4 * (p.exp() * p * m).sum(), "entropy_penalty"),
        (lambda p, G, m, H, b: main(p, G, m) - 1e-2 * (H * m).sum() / m.sum(), "entropy_bonus"),
        (lambda p, G, m, H, b: main(p, G, m) + 1e-5 * (H * m).sum() / len(p), "entropy_penalty"),
        (lambda p, G, m, H, b: main(p, G, m) + 1e-3 * (p * m).sum() / m.sum(), "idle_term"),
        (lambda p, G, m, H, b: main(p, (1 + 1e-5 * len(p)) * G, m), "rescaled_per_batch"),
        (lambda p, G, m, H, b: main(p, returns(b, less=1e-5), m), "unknown"),
        (lambda p, G, m, H, b: main(p, returns(b, most=10), m), "unknown"),
        (lambda p, G, m, H, b: main(p, G.clamp(max=20), m), "unknown"),
        (
            lambda p, G, m, H, b: main(p * (1 + 1e-3 * m.sum(1)[:, None]), G, m.bfloat16()),
            "unknown",
        ),
    ],
)
def test_what_is_small_or_seldom_in_an_update_is_not_passed_over(of, names):
    finding = detective.audit_update(moved_by(of))
    assert (finding.names, finding.ok) == ((names,), False)
    assert "returns up to 1200" in finding.probed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_update_that_rounds_is_compared_as_finely_as_it_rounds(dtype):
    finding = detective.audit_update(
        moved_by(lambda p, G, m, *_: main(p, G, m), lambda x: x.to(dtype))
    )
    assert finding.names == ("sum",)
    assert "for rounding inside" in str(finding)


# --- And: no crash, nothing fitted, nothing said that is not so.


def masked(p, r, m, g):
    return losses.reward_to_go(r, g)[m]


def standard(x, ddof=1):
    return (x - x.mean()) / (x.std(correction=ddof) + 1e-8)


def per_time(p, r, m, g, padded=False):
    G = losses.reward_to_go(r, g) * m
    n = len(m) if padded else m.sum(0).clamp(min=1)
    mean = G.sum(0) / n
    deviation = ((((G - mean) * (1 if padded else m)) ** 2).sum(0) / n).sqrt()
    return -(p * (G - mean) / (deviation + 1e-8) * m).sum(1).mean()


def grpo(p, r, m, g, gamma=None, ddof=1, eps=1e-4):
    R = whole(r, m, g if gamma is None else gamma)[:, 0]
    A = (R - R.mean()) / (R.std(correction=ddof) + eps)
    return -((A[:, None] * p * m).sum(1) / m.sum(1)).mean()


def tokens(p, r, m, g, ddof=0):
    R = whole(r, m, g)[m]
    return -(p[m] * standard(R, ddof)).mean()


def again(p, axis):
    return torch.log_softmax(p, axis)


NAMED = [
    ("standardised and clamped", lambda p, r, m, g: -(p[m] * standard(masked(p, r, m, g)).clamp(
        -2, 2)).mean(), ("step_mean", "standardised_over_batch", "clipped"), False),
    ("last step dropped", lambda p, r, m, g: -(p * to_go(r, m, g) * m)[:, :-1][m[:, 1:]].sum() /
     len(m), ("last_step_dropped",), False),
    ("per time", per_time, ("standardised_per_time",), False),
    ("clipped", summed(lambda r, m, g: to_go(r, m, g).clamp(-5, 5)), ("clipped",), False),
    ("γ fixed", summed(lambda r, m, g: whole(r, m, 0.7)), ("whole_return", "gamma_fixed"), False),
    ("whitened", tokens, ("step_mean", "standardised_over_tokens"), False),
    "slow",
    ("log of more", lambda p, r, m, g: losses.reinforce((p.exp() + 1e-8).log(), r, m, g),
     ("log_smoothed",), False),
    ("log of a little more", lambda p, r, m, g: losses.reinforce((p.exp() + 1e-10).log(), r, m, g,
                                                                 "step_mean"),
     ("step_mean", "log_smoothed"), False),
    ("log cut", lambda p, r, m, g: losses.reinforce(p.clamp(min=-6), r, m, g),
     ("log_clamped",), False),
    ("log cut above", lambda p, r, m, g: losses.reinforce(p.clamp(max=-0.02), r, m, g),
     ("log_clamped",), False),
    ("π cut at both ends", lambda p, r, m, g: losses.reinforce(
        p.exp().clamp(1e-6, 1 - 1e-3).log(), r, m, g, "step_mean"),
     ("step_mean", "log_clamped"), False),
    ("sure actions left out", lambda p, r, m, g: losses.reinforce(
        p * (p.detach() < -0.01), r, m, g), ("log_clamped",), False),
    ("over the deviation", lambda p, r, m, g: -(p * to_go(r, m, g) * m).sum(1).mean() / (
        masked(p, r, m, g).std(correction=0) + 1e-8), ("scaled_over_batch",), False),
    ("centred rewards", summed(lambda r, m, g: to_go((r - r[m].mean()) * m, m, g)),
     ("rewards_centred",), False),
    ("next reward", summed(lambda r, m, g: r.roll(-1, 1) * (time(r) < r.shape[1] - 1)),
     ("next_reward",), False),
    ("discounted again", summed(lambda r, m, g: to_go(r * g ** time(r), m, g)),
     ("discounted_again",), False),
    ("per time, padded", partial(per_time, padded=True), ("standardised_per_time",), False),
    ("mean per time", summed(lambda r, m, g: to_go(r, m, g) - (to_go(r, m, g) * m).sum(0) / m.sum(
        0).clamp(min=1)), ("centred_per_time",), False),
    ("one-sided", summed(lambda r, m, g: to_go(r, m, g).clamp(max=2)), ("clipped",), False),
    ("clipped in a mean", summed(lambda r, m, g: whole(r, m, g).clamp(-1, 1), "step_mean"),
     ("step_mean", "whole_return", "clipped"), False),
    ("rewards clipped", summed(lambda r, m, g: to_go(r.clamp(-1, 1), m, g)),
     ("rewards_clipped",), False),
    ("signs of rewards", summed(lambda r, m, g: to_go(r.sign(), m, g)),
     ("function_of_rewards",), False),
    ("mask one to the right", lambda p, r, m, g: -(p * to_go(r, m, g) * m.roll(1, 1)).sum(1).mean(),
     ("first_step_dropped",), False),
    ("mask one to the left", lambda p, r, m, g: -(p * to_go(r, m, g) * m.roll(-1, 1)).sum(
        1).mean(), ("last_step_dropped",), False),
    ("log π one to the left", lambda p, r, m, g: -(p[:, 1:] * to_go(r, m, g)[:, :-1] * m[:, 1:]
                                                  ).sum(1).mean(), ("previous_return",), False),
    ("log π one to the right", lambda p, r, m, g: -(p[:, :-1] * to_go(r, m, g)[:, 1:] * m[:, 1:]
                                                   ).sum(1).mean(), ("next_return",), False),
    ("whitened, n − 1", partial(tokens, ddof=1), ("step_mean", "standardised_over_tokens"), False),
    ("γ fixed, group", partial(grpo, gamma=0.99),
     ("episode_mean", "group_standardised", "gamma_fixed"), False),
    ("γ fixed, per episode", lambda p, r, m, g: bugs.BUGS["standardised_per_episode"](p, r, m, 0.5),
     ("standardised_per_episode", "gamma_fixed"), False),
    ("group", grpo, ("episode_mean", "group_standardised"), False),
    ("softmax over time", lambda p, r, m, g: -(again(p.masked_fill(~m, -1e9), 1) * to_go(r, m, g)
                                              * m).sum(1).mean(), ("softmax_over_time",), False),
    ("softmax over time, padded", lambda p, r, m, g: -(again(p, 1) * to_go(r, m, g) * m).sum(
        1).mean(), ("softmax_over_time", "padding_weighted"), False),
]  # fmt: skip


@table(NAMED)
def test_what_was_unknown_or_misnamed_has_a_name(loss, names, ok):
    check(loss, names, ok)


def test_a_weight_that_few_episodes_share_is_not_said_to_be_without_its_reward():
    """Divided by the deviation of each time, squared: no name, but no false word either."""

    def loss(p, r, m, g):
        G, n = losses.reward_to_go(r, g) * m, m.sum(0).clamp(min=1)
        mean = G.sum(0) / n
        spread = (((G - mean) * m) ** 2).sum(0) / n
        return -(p * (G - mean) / (spread + 1) * m).sum(1).mean()

    said = str(detective.audit(loss))
    assert "unknown" in said
    assert "does not enter its weight" not in said


def test_the_headline_does_not_quote_batches_on_which_nothing_is_left():
    def loss(p, r, m, g):  # a batch's own mean: nothing is left of one episode
        R = whole(r, m, g)[:, :1]
        return -(p * (R - R.mean(0)).abs() * m).sum(1).mean()

    finding = detective.audit(loss)
    assert "B = 1)" not in str(finding).splitlines()[0]
    assert "B = 1: every weight is 0" in str(finding)
    assert "cosine 0.00" not in str(finding).splitlines()[0]


def test_a_nan_where_one_episode_is_alone_is_a_note():
    def loss(p, r, m, g):  # 0/0 for B = 1
        R = whole(r, m, g)[:, 0]
        return -((R - (R.sum() - R) / (len(R) - 1)) * (p * m).sum(1)).mean()

    finding = check(loss, ("sum", "leave_one_out"), True)
    assert "that is where B = 1 alone" in str(finding)
    three = check(
        lambda p, r, m, g: loss(p, r, m, g) / (len(m) != 40), ("sum", "leave_one_out", "nan"), False
    )
    assert "that is where B = 1 alone" not in str(three)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_numbers_of_a_lower_precision_inside_are_no_mistake(dtype):
    def loss(p, r, m, g, gamma=None):
        return losses.reinforce(p.to(dtype), r.to(dtype), m, g if gamma is None else gamma)

    finding = check(loss, ("sum",), True)
    assert f"computes in {str(dtype)[6:]} inside" in str(finding)
    check(partial(loss, gamma=1.0), ("gamma_missing",), False)


def test_a_mask_of_float32_does_not_blunt_the_eye():
    def loss(p, r, m, g, c=0.0):
        w = losses.reward_to_go(r, g)
        return -(p * (w + c * w**2) * m.float()).sum(1).mean()

    assert "compared to" not in str(check(loss, ("sum",), True))


def half_mask(dtype, c=0.0, power=0.0):
    """``c``: a part of the episode's own mean is taken off; ``power``: of its length, in front."""

    def loss(p, r, m, g):
        G, n = to_go(r, m, g), m.sum(1, keepdim=True)
        w = (G - c * G.mean(1, keepdim=True)) * n**power
        return -(p * w * m.to(dtype)).sum() / len(p)

    return loss


@table(
    [
        ("bf16, right", half_mask(torch.bfloat16), ("sum",), True),
        ("bf16, own mean", half_mask(torch.bfloat16, c=0.03), ("unknown",), False),
        "slow",
        ("half, right", half_mask(torch.float16), ("sum",), True),
        ("half, lengths", half_mask(torch.float16, power=0.001), ("unknown",), False),
        ("bf16, tanh", lambda p, r, m, g: -(p * to_go(r, m, g).tanh() * m.bfloat16()).sum(1).mean(),
         ("function_of_return",), False),
    ]
)  # fmt: skip
def test_what_rounds_nothing_does_not_blunt_the_eye(loss, names, ok):
    assert "16 is inside, where it rounds nothing" in str(check(loss, names, ok))


def test_of_what_rounds_it_is_said_how_much_is_not_seen():
    finding = detective.audit(lambda p, r, m, g: losses.reinforce(p.half(), r.half(), m, g))
    assert finding.ok
    assert "of a batch's largest weight is not seen" in str(finding)


def test_gamma_may_be_given_to_the_audit():
    def answers(p, r, m, g):  # as of a language model: the reward of a whole answer
        return -((r * m).sum(1, keepdim=True) * p * m).sum(1).mean()

    assert detective.audit(answers).names == ("whole_return", "gamma_missing")
    assert "audit(loss, gamma=1)" in str(detective.audit(answers))
    finding = detective.audit(answers, gamma=1)
    assert (finding.names, finding.ok) == (("sum", "whole_return"), True)
    assert "at γ (of up to so many steps) = 1 (1050)" in finding.probed
    detective.assert_policy_gradient(answers, gamma=1)
    fixed = summed(lambda r, m, g: losses.reward_to_go(r, 0.97))
    detective.assert_policy_gradient(fixed, gamma=0.97)
    with pytest.raises(AssertionError):
        detective.assert_policy_gradient(fixed, gamma=0.98)
    with pytest.raises(ValueError, match=r"gamma 1\.5 is outside"):
        detective.audit(answers, gamma=1.5)


def cut_out(p, r, m, g):
    """Each episode by its length, as if it began at the first place."""
    each = [(p[i, :n] * to_go(r, m, g)[i, :n]).sum() for i, n in enumerate(m.sum(1).tolist())]
    return -sum(each) / len(each)


def stays(p, r, m, g):
    return -(p * (to_go(r, m, g) - alive(r, m, g)) * m).sum(1).mean()


def plain_sum(p, r, m, g):
    return -(p * to_go(r, m, g) * m).sum(1).mean()


def over_some(p, r, m, g):
    return -(p * to_go(r, m, g) * m).sum() / m.any(1).sum()


FRONT, HOLES, EMPTY = "padding in front", "holes in the mask (γ = 1)", "an empty row"
NO_STEPS, OTHERS = "places that are no steps have a gradient", "the weights of the steps are others"


@pytest.mark.parametrize(
    ("loss", "same", "other"),
    [
        (losses.reinforce, {FRONT, HOLES}, {f"{EMPTY}: it stops there"}),
        (plain_sum, {FRONT, HOLES, f"{EMPTY} (counted in B)"}, set()),
        (over_some, {FRONT, HOLES, f"{EMPTY} (not counted)"}, set()),
        (stays, {HOLES, f"{EMPTY} (counted in B)"}, {f"{FRONT}: {OTHERS}"}),
        (cut_out, {f"{EMPTY} (counted in B)"}, {f"{FRONT}: {NO_STEPS}", f"{HOLES}: {NO_STEPS}"}),
    ],
    ids=["refuses", "sum", "some", "by time", "by length"],
)
def test_masks_of_another_form_are_asked_once(loss, same, other):
    """What is not the same is said in the evidence; what is, beside the batches looked at."""
    finding = detective.audit(loss)
    assert "with padding at the end" in finding.probed
    for name in (FRONT, HOLES, EMPTY):
        assert (name in finding.probed) == any(name in text for text in same)
    assert all(text in finding.probed for text in same)
    assert all(any(text in line for line in finding.evidence) for text in other)


def test_a_shifted_mask_is_told_so_beside_the_padding():
    shifted = detective.audit(lambda p, r, m, g: -(p * (1 + to_go(r, m, g)) * m.roll(1, 1)).sum())
    assert set(shifted.names) >= {"first_step_dropped", "padding_weighted"}
    assert "is the mask shifted by one?" in str(shifted)


def test_the_sign_of_a_cosine_is_told_in_words():
    squared = detective.audit(lambda p, r, m, g: -losses.reinforce(p, r**2, m, g))
    assert "it moves the wrong way" in str(squared).splitlines()[0]
    row = [t for t in detective.audit_gradient(lambda z, a, w: z * w).evidence if "yours" in t]
    assert len(row) == 1
    assert ", right [" in row[0]


# --- A divisor that is remembered.


class MeanOfAll:
    """n̄ of all earlier batches, without forgetting."""

    def __init__(self):
        self.value, self.seen = float("inf"), []

    def update(self, lengths):
        self.seen.append(float(lengths.double().mean()))
        self.value = float(np.mean(self.seen))


def remembering(reduce, weight=to_go, early=False, keep=baselines.TypicalLength, more=0.0):
    length = keep()

    def loss(logp, rewards, mask, gamma):
        if early:
            length.update(mask.sum(-1))
        each = losses.step_losses(logp, weight(rewards, mask, gamma) * mask, mask)
        value = reduce(each, mask, length.value) + more * flat(logp, mask).sum(1).mean()
        if not early:
            length.update(mask.sum(-1))
        return value

    return loss


@table(
    [
        ("typical", remembering(losses.typical), ("typical",), True),
        ("tilt", remembering(losses.tilt), ("tilt",), False),
        ("its own, too", remembering(losses.typical, early=True), ("not_repeatable",), False),
        "slow",
        ("whole", remembering(losses.typical, whole), ("typical", "whole_return"), True),
        ("all", remembering(losses.typical, keep=MeanOfAll), ("typical",), True),
        ("tilt, its own", remembering(losses.tilt, early=True), ("not_repeatable",), False),
        ("with a KL", remembering(losses.typical, more=1e-5), ("not_repeatable",), False),
        ("next", remembering(losses.typical, lambda r, m, g: to_go(r, m, g) - r),
         ("not_repeatable",), False),
    ]
)  # fmt: skip
def test_the_length_of_earlier_batches_is_no_mistake(loss, names, ok):
    check(loss, names, ok)


def scaled_by_a_running(square, decay=0.9):
    """Over the root of a mean over earlier batches and its own, as Gymnasium scales rewards."""
    mean = [1.0]

    def loss(p, r, m, g):
        G = to_go(r, m, g)
        mean[0] = decay * mean[0] + (1 - decay) * square(p.detach(), G, m)
        return -(p * G * m).sum(1).mean() / mean[0] ** 0.5

    return loss


@table(
    [
        ("return", scaled_by_a_running(lambda p, G, m: float((G**2).mean())),
         ("not_repeatable",), False),
        "slow",
        ("first return", scaled_by_a_running(lambda p, G, m: float(G[:, 0].abs().mean()) ** 2),
         ("not_repeatable",), False),
        ("log π", scaled_by_a_running(lambda p, G, m: float((p * m).sum(1).mean()) ** 2),
         ("not_repeatable",), False),
    ]
)  # fmt: skip
def test_what_is_remembered_of_rewards_is_no_length(loss, names, ok):
    check(loss, names, ok)
