"""Several environments side by side, one compiled call a step: for loops that stay in Python.

Axes: ``B`` lanes, ``O`` observation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coursekit import guards
from coursekit.fast import envs


class Lanes:
    """``B`` environments of one kind, each Gymnasium's with that seed: the same numbers.

    ValueError for an environment that is not compiled, and for what is no list of seeds.
    """

    def __init__(self, env_id: str, seeds: Sequence[int]) -> None:
        self.env_id, self.spec = env_id, envs.spec(env_id)
        self.rngs = [np.random.default_rng(seed) for seed in guards.checked_seeds(seeds)]
        self.states, self.steps = None, 0

    def reset(self) -> np.ndarray:
        """The next first observation of every lane; (B, O)."""
        starts = [envs.reset(self.env_id, rng) for rng in self.rngs]
        self.states, obs = (np.concatenate(part) for part in zip(*starts, strict=True))
        self.steps = 0
        return obs

    def step(self, actions: np.ndarray, alive: np.ndarray) -> tuple[np.ndarray, ...]:
        """One step of the lanes that are ``alive``; the others stand still and are paid 0.

        (B,), (B,) -> obs (B, O), rewards, terminated, truncated (B,). ValueError: not reset, or
        another number of actions than of lanes.
        """
        if self.states is None:
            raise ValueError(f"the lanes of {self.env_id} were not reset; call reset() first")
        actions = guards.finite("actions", actions).astype(float)
        alive = np.asarray(alive, dtype=bool)
        if actions.shape != alive.shape or actions.shape != (len(self.rngs),):
            raise ValueError(
                f"actions have shape {actions.shape}, alive {alive.shape}; there are "
                f"{len(self.rngs)} lanes"
            )
        obs, rewards = np.zeros((len(alive), self.spec.obs)), np.zeros(len(alive))
        terminated = np.zeros(len(alive), dtype=bool)
        envs.advance(self.spec.number, self.states, actions, alive, obs, rewards, terminated)
        self.steps += 1
        return obs, rewards, terminated, alive & (self.steps >= self.spec.limit)
