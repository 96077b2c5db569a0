"""The detective's cases: batches on which different losses differ, some with their exact gradient.

CartPole would not do: its reward is constant, and it has two actions, so that many mistakes look
right on it. Here rewards are uneven, of both signs, and lengths, widths, B and γ vary. A casebook
is a value: whoever audits makes one and hands it on.
Axes: ``B`` episodes, ``T`` time, ``M`` real steps of all cases in a row, ``D`` parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from coursekit import losses, mdp

Array = np.ndarray


class Case(NamedTuple):
    """One batch: ``logp``, ``rewards``, ``mask`` (B, T), γ. Padding: rewards of 0, some logp."""

    label: str
    logp: Array
    rewards: Array
    mask: Array
    gamma: float
    obs: Array | None = None
    actions: Array | None = None
    theta: Array | None = None


class Exact(NamedTuple):
    """All batches of a process, in the order of the cases: probabilities, scores, ∇J."""

    label: str
    gamma: float
    prob: Array  # (N,)
    index: Array  # (M of this process,): the batch of each real step
    scores: Array  # (M of this process, D)
    truth: Array  # (D,): ∇J_γ
    dropped: Array  # (D,): E[Σ_t z_t G_t], where γ^t is dropped; at γ = 1 it is ∇J
    even: bool  # every reward is 1


def fork() -> mdp.FiniteMDP:
    """Three states, three actions, rewards of both signs, lengths 1 to 3; twelve trajectories."""
    P, R = np.zeros((3, 3, 4)), np.zeros((3, 3, 4))
    P[0, 0, 3], R[0, 0, 3] = 1, -1
    P[0, 1, 1], R[0, 1, 1] = 1, 2
    P[0, 2, 1], P[0, 2, 3], R[0, 2, :] = 0.5, 0.5, 0.5
    P[1, 0, 3], R[1, 0, 3] = 1, 3
    P[1, 1, 2], R[1, 1, 2] = 1, -2
    P[1, 2, 3] = 1
    P[2, :, 3], R[2, :, 3] = 1, (1, -1.5, 4)
    return mdp.FiniteMDP(P=P, R=R, rho=[1, 0, 0], horizon=3, name="fork")


def pole(horizon: int) -> mdp.FiniteMDP:
    """CartPole in miniature: every step pays 1, lengths from 2 to the horizon.

    From upright one comes to the cycle of three leanings, where action 0 is the fall. So there are
    but two trajectories of each length, and episodes may be long.
    """
    P = np.zeros((4, 2, 5))
    P[0, 0, 1] = P[0, 1, 2] = P[1, 1, 2] = P[2, 1, 3] = P[3, 1, 1] = 1
    P[1:, 0, 4] = 1
    return mdp.FiniteMDP(P=P, R=np.ones((4, 2)), rho=[1, 0, 0, 0], horizon=horizon, name="pole")


def ladder(steps: int) -> mdp.FiniteMDP:
    """Up, or off: one trajectory for each length, two at the top; no two rewards are alike."""
    P, R = np.zeros((steps, 2, steps + 1)), np.zeros((steps, 2))
    P[:, 0, steps] = P[np.arange(steps), 1, np.arange(steps) + 1] = 1
    R[:, 0], R[:, 1] = np.array([1, 3, -2])[:steps], np.array([-1.5, 0.5, 4])[-steps:]
    return mdp.FiniteMDP(P=P, R=R, rho=np.eye(steps)[0], horizon=steps, name="ladder")


# process, its name in the report, γ, B; at γ = 1 and below it, with one episode and with more
PROCESSES = (
    (fork(), "fork (3 actions)", 1.0, 1),
    (fork(), "fork (3 actions)", 0.8, 1),
    (mdp.toll_bridge(), "toll bridge", 1.0, 1),
    (mdp.toll_bridge(), "toll bridge", 0.9, 1),
    (ladder(3), "ladder of 3 steps", 1.0, 2),
    (ladder(3), "ladder of 3 steps", 0.9, 2),
    (ladder(2), "ladder of 2 steps", 1.0, 3),
    (ladder(2), "ladder of 2 steps", 0.9, 3),
    (pole(12), "reward 1, up to 12 steps", 1.0, 1),
    (pole(3), "reward 1, up to 3 steps", 1.0, 2),
    (pole(6), "reward 1, up to 6 steps", 0.9, 1),
)
# What it is for, lengths, further columns of padding, γ, factor on the rewards, and what they are.
DRAWN = (
    ("one step", (1,), 0, 0.9, 1, "mixed"),
    ("no padding", (4, 4, 4), 0, 1.0, 1, "mixed"),
    ("wide padding", (2, 5, 1), 3, 0.9, 1, "mixed"),
    ("rewards below 0", (3, 6, 2, 4, 1), 0, 0.99, 1, "negative"),
    ("large rewards", (7, 3), 0, 1.0, 300, "positive"),
    ("small rewards", (3, 5), 1, 0.5, 0.3, "mixed"),
    ("reward at the end", (5, 2, 6, 3), 0, 0.97, 1, "last"),
    ("rewards of 0", (3, 2), 0, 0.9, 0, "mixed"),
    ("gamma 0", (2, 6, 4), 0, 0.0, 1, "mixed"),
    ("forty episodes", tuple(1 + i * 7 % 5 for i in range(40)), 0, 0.95, 1, "mixed"),
    ("sure and rare actions", (5, 8), 0, 0.9, 1, "mixed"),
    ("one episode", (9,), 2, 1.0, 1, "mixed"),
    ("forty steps", (31, 7, 40, 23), 0, 1.0, 1, "mixed"),
    ("thirty steps", (30, 11, 24), 0, 0.9, 1, "mixed"),
    ("long", (1050, 3), 0, 0.99, 1, "mixed"),
)
# For updates: process, γ, which of its trajectories make the batch, and a factor on the rewards:
# unequal lengths, B of 4 and more, so that groups of episodes can be told from the batch.
PICKED = (
    (fork(), 1.0, (0, 5, 2, 11), 1),
    (mdp.toll_bridge(), 0.9, (0, 7, 3, 1, 5), 1),
    (pole(12), 1.0, (0, 15, 4, 21, 9, 2), 1),
    (pole(6), 0.9, (8, 1, 5, 0, 3, 6, 2, 7), 1),
    (fork(), 0.9, (3, 8, 1, 6, 10), 300),
)


def _theta(process: mdp.FiniteMDP) -> Array:
    return np.random.default_rng(process.states + process.actions).normal(size=process.P.shape[:2])


def _process_cases(process: mdp.FiniteMDP, label: str, gamma: float, B: int):
    theta = _theta(process)
    tau = mdp.batches(mdp.enumerate_trajectories(process), B)
    logp = np.where(tau.mask, mdp.logp(tau, theta), -0.4)
    label = f"{label}, γ = {gamma:g}, B = {B}"
    cases = []
    for i, T in enumerate(tau.lengths.max(-1)):  # padded to the longest of this batch, as in life
        fields = (x[i, :, :T] for x in (logp, tau.rewards, tau.mask))
        cases.append(Case(label, *fields, gamma, tau.obs[i, :, :T], tau.actions[i, :, :T], theta))
    z = np.moveaxis(mdp.scores(tau, theta), (0, 1), (-2, -1))[tau.mask]
    prob, truth = mdp.probability(tau, theta), mdp.grad_J(process, theta, gamma).ravel()
    index, z = np.nonzero(tau.mask)[0], z.reshape(len(z), -1)
    dropped = (prob[index] * losses.reward_to_go(tau.rewards, gamma)[tau.mask] / B) @ z
    even = bool((tau.rewards[tau.mask] == 1).all())
    return cases, Exact(label, gamma, prob, index, z, truth, dropped, even)


def _picked_case(
    process: mdp.FiniteMDP, gamma: float, numbers: tuple[int, ...], factor: float
) -> Case:
    theta, tau = _theta(process), mdp.enumerate_trajectories(process)
    tau = mdp.Trajectories(*(field[list(numbers)] for field in tau))
    logp, T = np.where(tau.mask, mdp.logp(tau, theta), -0.4), tau.lengths.max()
    fields = (x[:, :T] for x in (logp, factor * tau.rewards, tau.mask))
    label = f"{len(numbers)} episodes of {process.name}" + f", rewards × {factor:g}" * (factor > 1)
    return Case(label, *fields, gamma, tau.obs[:, :T], tau.actions[:, :T], theta)


def _drawn_case(rng: np.random.Generator, label, lengths, columns, gamma, factor, kind) -> Case:
    T = max(lengths) + columns
    mask = np.arange(T) < np.array(lengths)[:, None]
    rewards = rng.normal(size=mask.shape) + 0.3
    if kind in ("negative", "positive"):
        rewards = np.abs(rewards) * (1 if kind == "positive" else -1)
    if kind == "last":
        rewards = rewards * (np.arange(T) == np.array(lengths)[:, None] - 1)
    rare = label == "sure and rare actions"
    logp = rng.uniform(*(-30, 0) if rare else (-3, -0.05), mask.shape)
    if rare:  # of the first episode, from -0.1 to -1e-6
        logp[0] = -(10.0 ** (-1 + logp[0] / 6))
    return Case(label, logp, factor * rewards * mask, mask, gamma)


OUTSIDE = ". Nothing is said about what lies outside of these"


@dataclass(frozen=True, eq=False)  # compared by identity, so that what follows from it is kept
class Casebook:
    """All cases, those of the exact processes first, and what is exactly known about them."""

    cases: tuple[Case, ...]
    exact: tuple[Exact, ...]

    @cached_property
    def owners(self) -> Array:
        """The number of the case that each real step belongs to, (M,)."""
        return np.repeat(np.arange(len(self.cases)), [int(c.mask.sum()) for c in self.cases])

    def steps(self, of_case: Callable[[Case], Array]) -> Array:
        """What ``of_case`` says of the places of a case, (…, B, T), on the real steps: (…, M)."""
        return np.concatenate([of_case(case)[..., case.mask] for case in self.cases], axis=-1)

    def numbered(self, label: str) -> int:
        """The number of the first case of that label."""
        return [case.label for case in self.cases].index(label)

    @property
    def probed(self) -> str:
        """On what the detective looked, and that this is all."""
        return self.looked + OUTSIDE

    @cached_property
    def looked(self) -> str:
        """In one sentence: on what the detective looked."""
        longest: dict[float, int] = {}
        for case in self.cases:
            n = int(case.mask.sum(-1).max())
            longest[case.gamma] = max(n, longest.get(case.gamma, 0))
        sizes = sorted({len(case.mask) for case in self.cases})
        rewards = np.abs(self.steps(lambda case: case.rewards))
        logp = self.steps(lambda case: case.logp)
        return (
            f"{len(self.cases)} batches of B = {', '.join(map(str, sizes))} episodes, at γ (of up "
            f"to so many steps) = {', '.join(f'{g:g} ({n})' for g, n in sorted(longest.items()))}; "
            f"rewards of both signs, 0 or from {rewards[rewards > 0].min():.1g} to "
            f"{rewards.max():.0f} in size; log π from {logp.min():.0f} to {logp.max():.0e}; "
            "with padding at the end, where rewards are 0, and without; "
            f"{len(self.exact)} processes with every trajectory listed"
        )


@cache
def casebook(gamma: float | None = None) -> Casebook:
    """The cases of this course, made once; all of them at one γ, where it is given."""

    def of(own: float) -> float:
        return own if gamma is None else gamma

    found, exact, rng = [], [], np.random.default_rng(20)
    for row in {
        (label, of(g), B): (process, label, of(g), B) for process, label, g, B in PROCESSES
    }.values():
        more, known = _process_cases(*row)
        found, exact = found + more, [*exact, known]
    found += [_picked_case(process, of(g), *rest) for process, g, *rest in PICKED]
    found += [_drawn_case(rng, *row[:3], of(row[3]), *row[4:]) for row in DRAWN]
    return Casebook(tuple(found), tuple(exact))


def with_junk(case: Case) -> Case:
    """The same batch, with rewards in the padding that are not 0."""
    junk = 3 - 0.7 * np.arange(case.mask.size).reshape(case.mask.shape)
    return case._replace(rewards=np.where(case.mask, case.rewards, junk))
