"""Random numbers by purpose: every use of a seed has a stream of its own, named in words."""

from __future__ import annotations

import hashlib

import numpy as np

from coursekit import guards


def stream(master: int, purpose: str) -> np.random.SeedSequence:
    """The random stream of one purpose, such as "06 tuning": no two purposes share one.

    ValueError for what is no seed and for no words.
    """
    guards.text("purpose", purpose, "'06 tuning'")
    words = np.frombuffer(hashlib.sha256(purpose.encode()).digest(), dtype="<u4")
    return np.random.SeedSequence([guards.checked_seed(master), *words.tolist()])


def seeds(master: int, purpose: str, count: int) -> tuple[int, ...]:
    """``count`` seeds for one purpose, none of them twice; more of them begin with the same.

    ValueError as in ``stream``, and for a count below 1.
    """
    guards.count("count", count)
    found = stream(master, purpose).generate_state(count + 16).tolist()
    return tuple(dict.fromkeys(found))[:count]
