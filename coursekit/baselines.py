"""What is taken off the weights before they multiply the scores: baselines, standardising.

A baseline is made from *earlier* batches alone, so that it is fixed before the actions are drawn;
so is the typical length of an episode.
Axes: ``B`` episodes, ``T`` time. NumPy or torch; padding is zero and stays zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit import guards

Array = Any
FORGET = 0.05  # the smallest weight of new data in a running mean


class NoBaseline:
    """b = 0."""

    def values(self, steps: int) -> np.ndarray:
        """b_t for t < steps; (T,)."""
        return np.zeros(steps)

    def update(self, weight: Array, mask: Array) -> None:
        """Learn from a batch of weights before any baseline; (B, T), (B, T)."""


class RunningMean(NoBaseline):
    """One number for all steps: a running mean b of the whole return G_0, an estimate of J.

    b ← b + max(0.05, 1/k) (mean of G_0 over the batch − b) with the k-th batch; b = 0 before any.
    Reinforcement comparison (Sutton 1984, as Williams 1992 quotes him).
    """

    def __init__(self) -> None:
        self.mean, self.batches = 0.0, 0

    def values(self, steps: int) -> np.ndarray:
        """b_t = b for all t < steps; (T,)."""
        return np.full(steps, self.mean)

    def update(self, weight: Array, mask: Array) -> None:
        """Learn from G_0 of each episode, the first weight of either kind; (B, T), (B, T).

        ValueError where the shapes disagree or an episode is empty.
        """
        weight, mask = np.asarray(weight), np.asarray(mask)
        guards.batch("weights", weight, mask)
        self.batches += 1
        target = float(weight[:, 0].mean())
        self.mean += max(FORGET, 1 / self.batches) * (target - self.mean)


class PerTimeStep(NoBaseline):
    """One number for each time step: a running mean b_t of the weights at t.

    b_t ← b_t + max(0.05, 1/k_t) (mean of w_t over the batch's episodes that reach t − b_t), where
    k_t counts the batches in which one did; b_t = 0 before any. Greensmith et al. 2004, section 3.
    """

    def __init__(self) -> None:
        self.means, self.batches = np.zeros(0), np.zeros(0)

    def values(self, steps: int) -> np.ndarray:
        """b_t for t < steps; (T,)."""
        missing = max(0, steps - len(self.means))
        return np.pad(self.means, (0, missing))[:steps]

    def update(self, weight: Array, mask: Array) -> None:
        """Learn from the weights of every real step; (B, T), (B, T).

        ValueError where the shapes disagree or an episode is empty.
        """
        weight, mask = np.asarray(weight), np.asarray(mask)
        guards.batch("weights", weight, mask)
        missing = max(0, mask.shape[1] - len(self.means))
        self.means, self.batches = (np.pad(x, (0, missing)) for x in (self.means, self.batches))
        reached = np.flatnonzero(mask.any(0))  # these are the first ones
        target = (weight * mask).sum(0)[reached] / mask.sum(0)[reached]
        self.batches[reached] += 1
        gain = np.maximum(FORGET, 1 / self.batches[reached])
        self.means[reached] += gain * (target - self.means[reached])


class TypicalLength:
    """n̄, a running mean of the lengths of earlier episodes: what ``losses.typical`` divides by.

    ``value`` is read before a batch, ``update`` called after it, with the rule of ``RunningMean``:
    n̄ ← n̄ + max(0.05, 1/k) (mean length of the k-th batch − n̄). Before any batch it is infinite: the
    first one is measured and moves nothing, since a guess would be one more number to tune.
    """

    def __init__(self) -> None:
        self.value, self.batches = float("inf"), 0

    def update(self, lengths: Array) -> None:
        """Learn from the lengths of a batch; (B,). ValueError where one is no number above 0."""
        lengths = guards.finite("lengths", lengths)
        if not lengths.size or not (lengths > 0).all():
            raise ValueError(f"lengths {lengths} must be one or more, all above 0")
        self.batches += 1
        before = self.value if self.batches > 1 else 0.0
        self.value = before + max(FORGET, 1 / self.batches) * (float(lengths.mean()) - before)


BASELINES = {"none": NoBaseline, "running_mean": RunningMean, "per_time_step": PerTimeStep}


def per_episode(weight: Array, mask: Array) -> Array:
    """(w_t − mean) / (deviation + 1e-8) over the real steps of each episode; (B, T) -> (B, T).

    ValueError where the shapes disagree or an episode is empty; so in ``per_batch``.
    """
    return _standard(weight, mask, lambda x: x.sum(-1)[..., None])


def per_batch(weight: Array, mask: Array) -> Array:
    """(w_t − mean) / (deviation + 1e-8) over all real steps of the batch; (B, T) -> (B, T)."""
    return _standard(weight, mask, lambda x: x.sum())


def _standard(weight: Array, mask: Array, total: Any) -> Array:
    guards.batch("weights", weight, mask)
    count = total(mask)
    centred = (weight - total(weight * mask) / count) * mask
    deviation = (total(centred**2) / count) ** 0.5
    # equal weights differ by rounding alone; dividing by that would make noise of it
    spread = deviation > 1e-12 * total(abs(weight * mask)) / count
    return centred * spread / (deviation + 1e-8)


STANDARDISE = {
    "none": lambda weight, mask: weight,
    "per_episode": per_episode,
    "per_batch": per_batch,
}
