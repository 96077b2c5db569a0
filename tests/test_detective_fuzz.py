"""Losses put together at random: every ✓ is checked exactly, on processes that no case is of.

A loss is a weight, a baseline, a term, a normalisation and a kind of number, each drawn. The check
knows nothing of the detective: it lists the trajectories of a process with more episodes in a batch
and longer ones than the cases have, and adds up probability · weight · score.
"""

import itertools
import os
from functools import cache

import numpy as np
import pytest
import torch

from coursekit import detective, losses, mdp

torch.set_num_threads(1)


def chain(*lengths, seed=0):
    """At the end of each of these lengths but the last one may leave; no two rewards are alike."""
    n, rng = max(lengths), np.random.default_rng(seed)
    P = np.zeros((n, 2, n + 1))
    P[np.arange(n), :, np.arange(n) + 1] = 1
    for length in lengths[:-1]:
        P[length - 1, 0] = np.eye(n + 1)[n]
    R = rng.normal(size=(n, 2)) * 2
    return mdp.FiniteMDP(P=P, R=R, rho=np.eye(n)[0], horizon=n, name=f"chain {lengths}")


def listed(process, theta, B):
    """Every batch, where at a step from which one cannot leave action 0 is taken for sure; θ."""
    choice = (process.P[:, 0] != process.P[:, 1]).any(-1)
    theta, n = np.where(choice[:, None], theta, [[40.0, -40.0]]), process.horizon
    lengths = [*(np.flatnonzero(choice) + 1), n]
    t, mask = np.arange(n), np.arange(n) < np.array(lengths)[:, None]
    actions = (choice & (t < np.array(lengths)[:, None] - 1)) * 1 * mask  # 1: stay
    rewards = process.R[t, actions, 0] * mask
    ones = np.ones(len(lengths))
    tau = mdp.Trajectories(ones, t * mask, actions, rewards, mask, ones > 0)
    return mdp.batches(tau, B), theta, choice


PROCESSES = [  # process, γ, B: longer than most cases, and more episodes than any exact one
    (chain(1, 3, 4, seed=1), 0.9, 4),
    (chain(1, 13, 45, seed=2), 1.0, 1),
    (chain(2, 17, 60, seed=3), 0.95, 2),
    (chain(1, 5, 26, seed=4), 0.8, 3),
]


@cache
def prepared(number):
    """What does not depend on the loss: batches, choices, scores, probabilities, log π, ∇J_γ."""
    process, gamma, B = PROCESSES[number]
    theta = np.random.default_rng(len(process.P)).normal(size=process.P.shape[:2])
    batch, theta, choice = listed(process, theta, B)
    z = np.moveaxis(mdp.scores(batch, theta), (0, 1), (-2, -1))
    prob, logp = mdp.probability(batch, theta), np.where(batch.mask, mdp.logp(batch, theta), -0.4)
    assert prob.sum() == pytest.approx(1)
    return batch, choice, z, prob, logp, mdp.grad_J(process, theta, gamma)


def exact(loss, number):
    """E of the loss's descent, and the two that are right: ∇J_γ, and the sum's; (D,) each."""
    batch, choice, z, prob, logp, right = prepared(number)
    _, gamma, B = PROCESSES[number]
    found, dropped = 0.0, 0.0
    for i, p in enumerate(prob):
        T = batch.mask[i].sum(-1).max()
        leaf = torch.tensor(logp[i, :, :T], requires_grad=True)
        rewards, mask = batch.rewards[i, :, :T], batch.mask[i, :, :T]
        value = loss(leaf * 1, torch.tensor(rewards), torch.tensor(mask), gamma)
        w = -torch.autograd.grad(value, leaf)[0].double().numpy()
        G = losses.reward_to_go(rewards, gamma) * mask / B
        found, dropped = (
            total + p * np.einsum("bt,btsa->sa", weight, z[i, :, :T])
            for total, weight in ((found, w), (dropped, G))
        )
    return [x[choice].ravel() for x in (found, right, dropped)]


def points_right(loss, tolerance):
    """Does the expectation have one of the two right directions, everywhere?"""
    seen = [exact(loss, number) for number in range(len(PROCESSES))]

    def near(k):
        return all(
            np.linalg.norm(g / np.linalg.norm(g) - x[k] / np.linalg.norm(x[k])) < tolerance
            and g @ x[k] > 0
            for g, *x in seen
        )

    return near(0) or near(1)


# --- The parts. Each takes rewards, mask, γ (and log π), and a generator for its numbers.


def leave_one_out(r, m, g, c):
    R = losses.whole_return(r, g)[:, :1]
    return (R.sum(0) - R) / max(len(r) - 1, 1)


WEIGHTS = {
    "to_go": lambda r, m, g, c: losses.reward_to_go(r, g),
    "whole": lambda r, m, g, c: losses.whole_return(r, g),
    "γ^t": lambda r, m, g, c: (
        losses.reward_to_go(r, g) * g ** torch.arange(r.shape[1], dtype=r.dtype)
    ),
    "γ²": lambda r, m, g, c: losses.reward_to_go(r, g**2),
    "no γ": lambda r, m, g, c: losses.reward_to_go(r, 1.0),
    "own γ": lambda r, m, g, c: losses.reward_to_go(r, c % 1),
    "next": lambda r, m, g, c: losses.reward_to_go(r, g) - r,
    "clipped": lambda r, m, g, c: losses.reward_to_go(r, g).clamp(-10 * c, 10 * c),
    "reward clipped": lambda r, m, g, c: losses.reward_to_go(r.clamp(-3 * c, 3 * c), g),
    "n step": lambda r, m, g, c: losses.reward_to_go(r, g) - losses.reward_to_go(r, g).roll(-9, 1),
    "bent": lambda r, m, g, c: torch.tanh(c * losses.reward_to_go(r, g)),
    "rewards bent": lambda r, m, g, c: losses.reward_to_go(torch.tanh(c * r), g),
    "over the norm": lambda r, m, g, c: (
        losses.reward_to_go(r, g) / (losses.reward_to_go(r, g).norm() + 1e-9)
    ),
    "better half": lambda r, m, g, c: (
        losses.reward_to_go(r, g) * (losses.whole_return(r, g) >= r.sum(1).median())
    ),
    "squared": lambda r, m, g, c: losses.reward_to_go(r, g) * (1 + 1e-3 * c * r.abs()),
    "cut": lambda r, m, g, c: losses.reward_to_go(r, g) * (torch.arange(r.shape[1]) < 40 * c),
    "flipped": lambda r, m, g, c: (
        losses.reward_to_go(r, g) * torch.where(torch.arange(r.shape[1]) < 40 * c, 1, -1)
    ),
}
BASELINES = {
    "none": lambda r, m, g, c: 0.0,
    "constant": lambda r, m, g, c: c,
    "time": lambda r, m, g, c: torch.sin(c * torch.arange(r.shape[1], dtype=r.dtype) + g),
    "place": lambda r, m, g, c: torch.cos(
        c * torch.arange(r.shape[1]) + torch.arange(len(r))[:, None]
    ).to(r),
    "others": leave_one_out,
    "others' length": lambda r, m, g, c: c * (m.sum() - m.sum(1, keepdim=True)),
    "own mean": lambda r, m, g, c: (losses.reward_to_go(r, g) * m).sum() / m.sum(),
    "per time": lambda r, m, g, c: (losses.reward_to_go(r, g) * m).sum(0) / m.sum(0).clamp(min=1),
    "own length": lambda r, m, g, c: 1e-3 * c * m.sum(1, keepdim=True),
    "own reward": lambda r, m, g, c: 1e-3 * c * r,
    "whole": lambda r, m, g, c: c * losses.whole_return(r, g),
    "late": lambda r, m, g, c: (
        losses.reward_to_go(r, g) * (torch.arange(r.shape[1]) > 30 * c) * 0.1
    ),
    "small": lambda r, m, g, c: 1e-5 * losses.reward_to_go(r, g) ** 2,
}
TERMS = {
    "none": lambda p, m, c: 0.0,
    "entropy": lambda p, m, c: 1e-3 * c * (0.5 * p**2 * m).sum(1).mean(),
    "penalty": lambda p, m, c: -1e-5 * c * (0.5 * p**2 * m).sum(1).mean(),
    "samples": lambda p, m, c: c * (p * m).sum(1).mean(),
    "samples by steps": lambda p, m, c: c * (p * m).sum() / m.sum(),
    "π": lambda p, m, c: 1e-4 * c * (p.exp() * m).sum(1).mean(),
    "k3": lambda p, m, c: 1e-4 * (((-c - p).clamp(max=5).exp() + p) * m).sum(1).mean(),
}


def micro_batches(each, m, c):
    parts = [slice(i, i + 2) for i in range(0, len(m), 2)]
    return sum(each[k].sum() / m[k].sum() for k in parts) / len(parts)


NORMS = {
    "sum": lambda each, m, c: each.sum(1).mean(),
    "total": lambda each, m, c: each.sum() / (7 * c),
    "constant": lambda each, m, c: each.sum(1).mean() / (7 * c),
    "step_mean": lambda each, m, c: each.sum() / m.sum(),
    "episode_mean": lambda each, m, c: (each.sum(1) / m.sum(1)).mean(),
    "padded": lambda each, m, c: each.mean(),
    "micro_batches": micro_batches,
    "power": lambda each, m, c: (each.sum(1) / m.sum(1) ** (0.02 * c)).mean(),
    "up to": lambda each, m, c: (each.sum(1) / m.sum(1).clamp(min=30)).mean(),
}
LOGS = {
    "log π": lambda p, c: p,
    "π": lambda p, c: p.exp(),
    "ratio": lambda p, c: (p - p.detach()).exp(),
    "minus": lambda p, c: -p,
    "clamped": lambda p, c: p.clamp(min=-8 * c - 4),
    "smooth": lambda p, c: (p.exp() + 1e-3 * c).log(),
}
PARTS = (WEIGHTS, BASELINES, TERMS, NORMS, LOGS)
RIGHT = ("to_go", "none", "none", "sum", "log π")


def drawn(seed):
    """A loss, and the names of its parts: right ones come most, so that a ✓ is often near."""
    rng = np.random.default_rng([seed, 3])
    names = tuple(
        right if rng.random() < 0.55 else list(part)[rng.integers(len(part))]
        for part, right in zip(PARTS, RIGHT, strict=True)
    )
    weight, baseline, term, norm, log = (
        part[name] for part, name in zip(PARTS, names, strict=True)
    )
    c, dtype = rng.uniform(0.2, 1.2), torch.float32 if rng.random() < 0.2 else torch.float64

    def loss(p, r, m, g):
        p, r = p.to(dtype), r.to(dtype)
        w = (weight(r, m, g, c) - baseline(r, m, g, c)) * m
        return norm(-log(p, c) * w.to(dtype) * m, m, c) + term(p, m, c)

    return loss, names, dtype


def judged(seed):
    """The finding, the parts, and whether a ✓ and the names are true; None where there is none."""
    loss, names, dtype = drawn(seed)
    finding = detective.audit(loss)
    tolerance = 1e-3 if dtype == torch.float32 else 1e-6
    true = points_right(loss, tolerance) if finding.ok else None
    return finding, names, true, truly_named(loss, finding, tolerance)


# --- Names are true: the loss that they say it is, written here once more, has the same gradient.


def less_mean(r, m, g):
    G = losses.reward_to_go(r, g) * m
    return G - G.sum() / m.sum()


def less_others(r, m, g):
    return losses.reward_to_go(r, g) - leave_one_out(r, m, g, 0)


BY_NAME = {
    "whole_return": lambda r, m, g: losses.whole_return(r, g),
    "next_return": lambda r, m, g: losses.reward_to_go(r, g) - r,
    "centred_over_batch": less_mean,
    "leave_one_out_to_go": less_others,
}
NORM_BY_NAME = {
    "sum": NORMS["sum"],
    "constant": NORMS["sum"],
    "total": lambda each, m, c: each.sum(),
    "step_mean": NORMS["step_mean"],
    "episode_mean": NORMS["episode_mean"],
    "mask_forgotten": NORMS["padded"],
    "micro_batches": NORMS["micro_batches"],
}
CHANGES = {"no_log", "wrong_sign", "constant_baseline", "clipped", "rewards_clipped"}
CHANGES |= {"function_of_return", "function_of_rewards", "rescaled_per_batch"}
CHANGES |= {"rescaled_per_episode"}
DISCOUNTED = {
    "gamma_missing": lambda g: 1.0,
    "gamma_twice": lambda g: g * g,
    "gamma_to_the_t": lambda g: g,
    "gamma_fixed": lambda g: g,
}


def of_one_step(loss, x, total):
    """f(x), whatever the shape: the weights of that many episodes of one step with rewards x."""
    p = torch.full((x.numel(), 1), -1.0, dtype=torch.float64, requires_grad=True)
    value = loss(p, x.reshape(-1, 1), torch.ones(x.numel(), 1) > 0, 0.9)
    return -torch.autograd.grad(value, p)[0].reshape(x.shape) * (1 if total else x.numel())


def from_names(finding, of=None):
    """The loss that the names and numbers of a finding describe; None where this cannot be told.

    ``of``: the loss itself, to ask for a function that the names speak of.
    """
    names, numbers = set(finding.names), finding.numbers
    norm = next((n for n in NORM_BY_NAME if n in names), "sum")
    weight = next((n for n in BY_NAME if n in names), "")
    if names - CHANGES - {norm, weight} - set(DISCOUNTED):
        return None
    low, high = numbers.get("low", -np.inf), numbers.get("high", np.inf)

    def loss(p, r, m, g):
        change = next((DISCOUNTED[n] for n in DISCOUNTED if n in names), lambda g: g)
        g_ = numbers["gamma"] if "gamma_fixed" in names else change(g)
        r = r.clamp(low, high) if "rewards_clipped" in names else r
        r = of_one_step(of, r, norm == "total") * m if "function_of_rewards" in names else r
        w = BY_NAME.get(weight, lambda r, m, g: losses.reward_to_go(r, g))(r, m, g_)
        w = w * g ** torch.arange(r.shape[1]) if "gamma_to_the_t" in names else w
        w = w.clamp(low, high) if "clipped" in names else w
        w = of_one_step(of, w, norm == "total") * m if "function_of_return" in names else w
        w = (w - numbers.get("baseline", 0.0)) * m
        sign = -1 if "wrong_sign" in names else 1
        return norm_of(-sign * (p.exp() if "no_log" in names else p) * w, m)

    def norm_of(each, m):
        return NORM_BY_NAME[norm](each, m, 0)

    return loss


def unseen(seed):
    """A batch of a kind that no case has, at a γ that no case has."""
    rng = np.random.default_rng([seed, 9])
    n = rng.integers(1, 50, 7)
    mask = np.arange(n.max()) < n[:, None]
    p, r = -rng.uniform(0.05, 4, mask.shape), rng.normal(0.5, 3, mask.shape) * mask
    made = [torch.tensor(x) for x in (p, r, mask)]
    made[0].requires_grad_()
    return (*made, float(rng.uniform(0.6, 1)))


def truly_named(loss, finding, tolerance):
    """Has the loss that the names say the same gradient, up to a factor of one sign? Or None."""
    named = from_names(finding, loss)
    if (
        named is None
        or not np.isfinite([finding.numbers.get(k, 0.0) for k in ("low", "high")]).all()
    ):
        return None  # of a bound that no return reached nothing is said
    pairs = []
    for k in range(4):
        batch = unseen(k)
        pair = [torch.autograd.grad(f(*batch), batch[0])[0].double() for f in (loss, named)]
        rows = range(len(batch[0])) if "rescaled_per_episode" in finding.names else [slice(None)]
        pairs += [(*(g[i].flatten() for g in pair), pair[0].abs().max()) for i in rows]
    if not {"rescaled_per_batch", "rescaled_per_episode"} & set(finding.names):  # one for all
        pairs = [(a / s, b / s, s / s) for a, b, s in pairs]
        pairs = [(*(torch.cat(x) for x in list(zip(*pairs, strict=True))[:2]), torch.tensor(1.0))]
    for seen, told, size in pairs:
        factor = (seen @ told / (told @ told)).item() if told.any() else 0.0
        if (seen - factor * told).abs().max() > 10 * tolerance * size:
            return False
    return factor > 0 or len(pairs) > 1


STEP = 1 if "COURSEKIT_FULL" in os.environ else 2  # every second one, always the same
LATER = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 40, STEP)]


@pytest.mark.parametrize("seed", [*range(8), *LATER])
def test_every_tick_and_every_name_is_true_where_no_case_was_drawn(seed):
    finding, names, true, named = judged(seed)
    assert true is not False, f"{names}: {finding}"
    assert named is not False, f"{names}: {finding}"


def test_the_check_of_names_would_find_a_false_one():
    """As if a return without γ, a mean, or the other sign had been called the sum."""
    right = detective.audit(losses.reinforce)
    assert truly_named(losses.reinforce, right, 1e-6)
    for parts in (
        ("no γ", "sum", "log π"),
        ("to_go", "step_mean", "log π"),
        ("to_go", "sum", "minus"),
    ):
        weight, norm, log = (part[n] for part, n in zip((WEIGHTS, NORMS, LOGS), parts, strict=True))

        def loss(p, r, m, g, weight=weight, norm=norm, log=log):
            return norm(-log(p, 0.5) * weight(r, m, g, 0.5) * m, m, 0.5)

        assert truly_named(loss, right, 1e-6) is False
        assert truly_named(loss, detective.audit(loss), 1e-6)


def test_the_check_of_a_tick_would_find_a_false_one():
    made = {
        "right": ("to_go", "time", "samples", "constant", "log π"),
        "late": ("to_go", "late", "none", "sum", "log π"),
        "small": ("to_go", "small", "none", "sum", "log π"),
        "penalty": ("to_go", "none", "penalty", "sum", "log π"),
        "mean": ("to_go", "none", "none", "episode_mean", "log π"),
    }
    verdicts = {}
    for label, names in made.items():
        weight, baseline, term, norm, log = (part[n] for part, n in zip(PARTS, names, strict=True))

        def loss(p, r, m, g, parts=(weight, baseline, term, norm, log)):
            weight, baseline, term, norm, log = parts
            w = (weight(r, m, g, 0.5) - baseline(r, m, g, 0.5)) * m
            return norm(-log(p, 0.5) * w * m, m, 0.5) + term(p, m, 0.5)

        verdicts[label] = points_right(loss, 1e-6)
    assert verdicts == {label: label == "right" for label in made}


def test_the_listing_of_the_chains_is_right():
    for number, (_, gamma, _) in enumerate(PROCESSES):
        g, right, dropped = exact(losses.reinforce, number)
        assert np.allclose(g, dropped, atol=1e-12)
        assert (gamma < 1) or np.allclose(g, right, atol=1e-9)


def test_the_parts_do_make_right_and_wrong_losses():
    every = list(itertools.islice((drawn(seed)[1] for seed in itertools.count()), 24))
    assert len(set(every)) > 15
    assert any(sum(a != b for a, b in zip(names, RIGHT, strict=True)) > 1 for names in every)
