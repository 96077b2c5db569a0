"""What can be said of a loss that has no name: how its weights answer to what they are given.

One batch is changed in one respect, and the weights w = −∂loss/∂log π are compared, (B, T).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from coursekit.detective import asking, casebook

Array = np.ndarray


def case() -> casebook.Case:
    """Three episodes of unequal length, no reward like another."""
    rng = np.random.default_rng(7)
    mask = np.arange(6) < np.array([[4], [6], [3]])
    rewards = 4 * (rng.normal(size=mask.shape) + 0.3) * mask
    return casebook.Case("", rng.uniform(-3, -0.2, mask.shape), rewards, mask, 0.8)


def described(loss: Callable, dtype: torch.dtype = torch.float64) -> list[str]:
    """In words, every respect in which the weights do not behave as those of the sum do."""
    base, said = case(), []
    r, mask = base.rewards, base.mask
    first, other = np.zeros_like(r), np.where(mask, np.cos(np.arange(r.size)).reshape(r.shape), 0.0)
    first[0, 0], late = 2.5, r * 0.0
    late[1, 4] = 2.5

    def ask(**changes) -> Array:
        seen = asking.weights(loss, base._replace(**changes), dtype)[0]
        return np.where(mask, np.nan if seen is None else seen, 0)

    w, none, double = ask(), ask(rewards=r * 0), ask(rewards=2 * r)
    if not np.isfinite([w, none, double]).all():
        return []
    size = max(np.abs(w).max(), np.abs(double).max())

    def differ(a: Array, b: Array) -> Array:
        return np.abs(a - b) > 1e-4 * size

    sums = ask(rewards=r + other) - none, w + ask(rewards=other) - 2 * none
    if differ(double - none, 2 * (w - none)).any():
        ratio = double[mask] / np.where(np.abs(w[mask]) > 1e-3 * size, w[mask], np.nan)
        low, high = (f"{x + 0.0:.3g}" for x in (np.nanmin(ratio), np.nanmax(ratio)))
        by = f"by {low}" if low == high else f"by {low} to {high}"
        said.append(f"not linear in the rewards: doubling them multiplies the weights {by}")
    elif differ(*sums).any():
        said.append("not linear in the rewards: the weights of two rewards do not add up")
    if differ(none, 0 * w).any():
        said.append("without any reward the weights are not 0")
    if not differ(ask(gamma=0.4), w).any():
        said.append("the weights do not depend on γ")
    largest = [r * np.array([[k], [1], [1]]) for k in (-20, 20)]  # episode 0 is the extreme one
    if any(differ(ask(rewards=changed), w)[1:].any() for changed in largest):
        said.append("an episode's weights depend on the rewards of other episodes")
    if differ(ask(rewards=r + first), w)[0, 1:].any():
        said.append("a reward before t enters the weight of step t")
    if not differ(ask(rewards=r + late), w)[1, :4].any():
        said.append("a reward after t does not enter the weight of step t")
    if not differ(ask(rewards=r + late), w)[1, 4]:
        said.append("the reward of step t does not enter its weight")
    if differ(ask(logp=base.logp - 0.5), w).any():
        said.append("the weights depend on log π itself")
    return said
