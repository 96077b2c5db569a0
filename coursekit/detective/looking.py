"""What is looked at to find a name: the weights of a loss on all cases, and a way to ask it more.

``M`` real steps of all cases in a row; ``keep`` (M,) is False where the loss gave no number.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from coursekit.detective import known, matching, probes
from coursekit.detective.asking import GRAIN
from coursekit.detective.cases import Casebook

Array = np.ndarray
EXACT = min(GRAIN.values())


class Identity(NamedTuple):
    """Names, ok, evidence and numbers; ``special``: no known loss explains all exact processes."""

    names: tuple[str, ...]
    ok: bool
    evidence: list[str]
    numbers: dict[str, float]
    special: bool = False


class Look:
    """The weights of one loss, ``u`` (M,), how to ask it for more, and how exact they are."""

    def __init__(self, u: Array, book: Casebook, ask: probes.Ask, tolerance: float) -> None:
        self.u, self.book, self.ask, self.tolerance = u, book, ask, tolerance
        self.departs = ""  # where a baseline that short batches allow is none

    @cached_property
    def keep(self) -> Array:
        """True where the loss gave a number, (M,)."""
        return np.isfinite(self.u)

    @cached_property
    def kept(self) -> Array:
        """The numbers of the cases that gave a number."""
        return np.unique(self.book.owners[self.keep])

    @cached_property
    def starts(self) -> Array:
        """Where each of these cases begins, among the numbers that are kept."""
        return np.unique(self.book.owners[self.keep], return_index=True)[1]

    @property
    def how(self) -> tuple:
        """Everything but the weights."""
        return self.book, self.ask, self.tolerance

    @property
    def total(self) -> str:
        """That every step was compared, in words."""
        n = len(self.kept)
        return f"on {n} of {n} batches every step carries just the weight of that name"

    def blocks(
        self, rare: bool = False, gamma: float | None = None, late: bool = False
    ) -> list[matching.Block]:
        """The candidates, on the steps that are kept."""
        every = known.blocks(self.book, rare, gamma, late)
        return every if self.keep.all() else known.on_steps(every, self.keep)

    def search(
        self, blocks: list[matching.Block], u: Array | None = None, tolerance: float | None = None
    ) -> list[matching.Match]:
        """The candidates that fit u (M,), or the loss's own weights."""
        u = self.u if u is None else u
        return matching.search(u[self.keep], blocks, self.starts, tolerance or self.tolerance)

    @cached_property
    def without_rewards(self) -> Array:
        """The weights where all rewards are 0, (M,)."""
        rows, listed = [], sum(len(exact.prob) for exact in self.book.exact)
        some = [*self.book.cases[listed:], *self.book.cases[:listed:7]]
        few = [self.ask(case._replace(rewards=0 * case.rewards)) for case in some]
        if not any(w is not None and w[c.mask].any() for w, c in zip(few, some, strict=True)):
            return 0 * self.u
        for case in self.book.cases:
            w = self.ask(case._replace(rewards=0 * case.rewards))
            rows.append(np.where(case.mask, np.nan if w is None else w, 0)[case.mask])
        return np.concatenate(rows)
