"""What is made of the returns in another way has a name that says in which way, and no other.

Losses that no list of the package holds. They are neighbours of what people do: a bent return, a
return that is cut after some steps, a number in front that follows the batch.
"""

import numpy as np
import pytest
import torch

from coursekit import detective, losses
from coursekit.detective import functions, known

torch.set_num_threads(1)
slow = pytest.mark.slow


def to_go(r, m, g):
    return losses.reward_to_go(r, g) * m


def whole(r, m, g):
    return losses.whole_return(r, g)[:, :1]


def summed(weight):
    return lambda p, r, m, g: -(p * weight(r, m, g) * m).sum(1).mean()


def every(p, r, m, g):
    """What each episode adds to the sum, (B,)."""
    return (p * to_go(r, m, g) * m).sum(1)


def n_step(r, m, g, n):
    late = torch.cat([to_go(r, m, g), torch.zeros(len(r), n, dtype=r.dtype)], 1)[:, n:]
    return to_go(r, m, g) - g**n * late


def hyperbolic(r, m, g):
    t = torch.arange(r.shape[1])
    delay = (t - t[:, None]).clamp(min=0)
    return (r[:, None, :] * (t >= t[:, None]) / (1 + 0.3 * delay)).sum(-1)


def largest(r, m, g):
    return torch.where(m, to_go(r, m, g), -torch.inf).amax((0, 1), keepdim=True)


LOSSES = [
    ("sine", summed(lambda r, m, g: to_go(r, m, g).sin()), ("function_of_return",)),
    ("discounted by a part of γ", summed(lambda r, m, g: to_go(r, m, 0.95 * g)),
     ("other_discount",)),
    ("a reward's sign", summed(lambda r, m, g: to_go(r.sign(), m, g)), ("function_of_rewards",)),
    ("best episode", lambda p, r, m, g: -every(p, r, m, g).max(), ("rescaled_per_episode",)),
    ("sum of returns is 1", summed(lambda r, m, g: to_go(r, m, g) / (1e-9 + to_go(r, m, g).sum())),
     ("rescaled_per_batch",)),
    ("softmax over time", summed(lambda r, m, g: torch.softmax(to_go(r, m, g), 1)),
     ("softmax_of_returns",)),
    ("largest reward of the episode", summed(lambda r, m, g: r.amax(1, keepdim=True)),
     ("reward_missing", "one_weight_per_episode")),
    "slow",
    ("positive part, mean", lambda p, r, m, g: -(p * to_go(r, m, g).relu())[m].mean(),
     ("step_mean", "clipped")),
    ("sign of the whole", lambda p, r, m, g: -((p * whole(r, m, g).sign() * m).sum(1)
                                               / m.sum(1)).mean(),
     ("episode_mean", "whole_return", "function_of_return")),
    ("compressed", summed(lambda r, m, g: to_go(r, m, g).sign() * to_go(r, m, g).abs().log1p()),
     ("function_of_return",)),
    ("wrong sign of a square", lambda p, r, m, g: (p * to_go(r, m, g) ** 2 * m).sum(1).mean(),
     ("function_of_return",)),
    ("0 or 1", summed(lambda r, m, g: (to_go(r, m, g) > 0.5) * 1.0), ("function_of_return",)),
    ("cubed, no log", lambda p, r, m, g: -(p.exp() * to_go(r, m, g) ** 3 * m).sum(1).mean(),
     ("no_log", "function_of_return")),
    ("rewards squared", summed(lambda r, m, g: to_go(r**2, m, g)), ("function_of_rewards",)),
    ("roots of rewards", lambda p, r, m, g: -(p * to_go(r.sign() * r.abs().sqrt(), m, g))[m].mean(),
     ("step_mean", "function_of_rewards")),
    ("five steps", summed(lambda r, m, g: n_step(r, m, g, 5)), ("other_discount",)),
    ("two steps, mean", lambda p, r, m, g: -(p * n_step(r, m, g, 2))[m].mean(),
     ("step_mean", "other_discount")),
    ("hyperbolic", summed(hyperbolic), ("other_discount",)),
    ("this and the next", summed(lambda r, m, g: r + 0.5 * (to_go(r, m, g) - r)),
     ("other_discount",)),
    ("own reward twice", summed(lambda r, m, g: to_go(r, m, g) + r), ("other_discount",)),
    ("logsumexp", lambda p, r, m, g: -torch.logsumexp(every(p, r, m, g), 0),
     ("rescaled_per_episode",)),
    ("median episode", lambda p, r, m, g: -every(p, r, m, g).median(), ("rescaled_per_episode",)),
    ("squared loss", lambda p, r, m, g: -every(p, r, m, g).mean() ** 2, ("rescaled_per_batch",)),
    ("mean of squares", lambda p, r, m, g: -(every(p, r, m, g) ** 2).mean(),
     ("rescaled_per_episode",)),
    ("better half", summed(lambda r, m, g: to_go(r, m, g)
                           * (whole(r, m, g) >= whole(r, m, g).median())),
     ("rescaled_per_episode",)),
    ("probability of it all", lambda p, r, m, g: -((p * m).sum(1).exp() * whole(r, m, g)[:, 0])
     .mean(), ("reward_missing", "one_weight_per_episode")),
    ("returns of norm 1", summed(lambda r, m, g: to_go(r, m, g) / (to_go(r, m, g).norm() + 1e-9)),
     ("rescaled_per_batch",)),
    ("softmax over the batch", summed(lambda r, m, g: torch.softmax(whole(r, m, g), 0)),
     ("softmax_of_returns",)),
    ("over the largest", summed(lambda r, m, g: to_go(r, m, g) / (largest(r, m, g).abs() + 1e-9)),
     ("rescaled_per_batch",)),
    ("over its episode's largest", summed(lambda r, m, g: to_go(r, m, g)
     / (to_go(r, m, g).abs().amax(1, keepdim=True) + 1e-9)), ("divided_by_largest",)),
    ("per step to go", summed(lambda r, m, g: to_go(r, m, g)
     / m.flip(1).cumsum(1).flip(1).clamp(min=1)), ("mean_to_go",)),
]  # fmt: skip


def rows():
    marks = ()
    for row in LOSSES:
        if row == "slow":
            marks = slow
            continue
        yield pytest.param(*row[1:], id=row[0], marks=marks)


@pytest.mark.parametrize(("loss", "names"), list(rows()))
def test_a_return_made_in_another_way_is_named(loss, names):
    finding = detective.audit(loss)
    assert finding.names == names, str(finding)
    assert not finding.ok
    if functions.GENERAL & set(names):  # which says nothing of right or wrong: the headline does
        assert "expectation against ∇J" in finding.headline


def said(loss):
    return "\n".join(detective.audit(loss).evidence)


def test_the_function_is_shown_at_some_values_and_by_its_name():
    text = said(summed(lambda r, m, g: 0.5 * torch.tanh(to_go(r, m, g))))
    assert "stands 0.5 times tanh x: f(-3) = -0.498" in text
    assert "stands a function f of it" in said(summed(lambda r, m, g: to_go(r, m, g).sin()))


def test_the_discount_is_shown():
    text = said(summed(lambda r, m, g: to_go(r, m, 0.5 * g)))
    assert "counts 1, 0.45, 0.203" in text
    assert "0.5 γ in the place of γ" in text
    before = summed(lambda r, m, g: to_go(r, m, g) + 0.2 * torch.cat([0 * r[:, :1], r[:, :-1]], 1))
    assert "1, 2 … steps before 0.2, 0" in said(before)


DEPARTING = {  # as one of the above until late, or in one kind of batch
    "late": lambda r, m, g: (
        to_go(r, m, g).tanh() * torch.where(torch.arange(r.shape[1]) > 35, 2, 1)
    ),
    "long": lambda r, m, g: to_go(r, m, g).tanh() * (1 + (m.sum(1, keepdim=True) > 50)),
    "many": lambda r, m, g: hyperbolic(r, m, g) + 0.01 * (len(m) > 30) * r,
    "its place": lambda r, m, g: n_step(r, m, g, 3) * (1 + 1e-3 * torch.arange(r.shape[1])),
    "two curves": lambda r, m, g: to_go(r, m, g).tanh() + 1e-4 * r.tanh(),
    "its length": lambda r, m, g: whole(r, m, g) / m.sum(1, keepdim=True) ** 0.3,
}


@pytest.mark.parametrize("name", ["late", *[pytest.param(n, marks=slow) for n in DEPARTING][1:]])
def test_what_departs_from_it_anywhere_has_no_name(name):
    assert detective.audit(summed(DEPARTING[name])).names == ("unknown",)


def test_a_name_that_says_how_is_no_verdict():
    """At γ = 1 half of the past counts: Σ_k κ(k) r_{t+k}, with the expectation of the sum."""
    half = summed(lambda r, m, g: 0.5 * to_go(r, m, g) + 0.5 * whole(r, m, g))
    assert detective.audit(half, gamma=1.0).names == ("same_expectation",)


def cut_after(steps):
    return summed(lambda r, m, g: n_step(r, m, g, steps))


def bent_beyond(size):
    def loss(r, m, g):
        G = to_go(r, m, g)
        return torch.where(G.abs() > size, size * G.sign() + (G - size * G.sign()) / 2, G)

    return summed(loss)


@pytest.mark.parametrize(
    ("loss", "name", "words"),
    [
        (cut_after(20), "other_discount", "as γᵏ does up to k = 19; from k = 20 on 0"),
        pytest.param(cut_after(12), "other_discount", "up to k = 11; from k = 12 on 0", marks=slow),
        pytest.param(
            cut_after(64), "other_discount", "at γ = 0.99 one that comes 0, 1, 2", marks=slow
        ),
        pytest.param(
            summed(lambda r, m, g: to_go(r, m, g) + 1e-5 * n_step(r, m, g, 15)),
            "other_discount",
            "linear in the rewards",
            marks=slow,
        ),
        (bent_beyond(20), "function_of_return", "as it is up to 20 in size, not beyond: f(-3)"),
    ],
)
def test_what_short_processes_do_not_show_keeps_its_name(loss, name, words):
    finding = detective.audit(loss)
    assert finding.names == (name,), str(finding)
    assert words in str(finding)
    with pytest.raises(AssertionError, match=name) as told:
        detective.assert_policy_gradient(loss, allow=("same_expectation",))
    assert "allow=('same_expectation',)" not in str(told.value)


def test_what_is_found_last_is_none_of_what_is_found_first():
    book = detective.cases.casebook()
    first, late = (known.known_weights(book, late=x)[1] for x in (False, True))
    for row in late[late.any(-1)]:
        k = first @ row / np.maximum((first**2).sum(-1), 1e-300)
        assert np.abs(row - k[:, None] * first).max(-1).min() > 1e-3
