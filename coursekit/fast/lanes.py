"""What every compiled learner needs around its loop: streams of random numbers, lanes, threads.

The streams are those of ``train``: ``SeedSequence(seed).spawn(1 + 2 B)`` gives the initial weights,
then for each lane its environment and its actions. They are drawn ahead, in blocks.
Axes: ``U`` updates, ``B`` episodes, one on each lane; ``O`` observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from coursekit.fast import envs

AHEAD = 16  # for how many whole episodes a lane's random numbers are drawn at once


class Stream(NamedTuple):
    """First states and observations of every episode; a lane's random numbers, and the next one."""

    states: np.ndarray  # (U, B, 4)
    obs: np.ndarray  # (U, B, O)
    noise: np.ndarray  # (B, K): uniform or normal
    cursor: np.ndarray  # (B,)


def many(one: Callable[[int, Callable], Any], count: int, threads: int, bar: Any) -> list:
    """[one(0, moved), one(1, moved), …] on threads; ``moved(n)``: so many updates more are done."""
    with ThreadPoolExecutor(threads) as pool, bar:
        return list(pool.map(lambda k: one(k, bar.update), range(count)))


def run(
    env_id: str,
    seed: int,
    shape: tuple[int, int],
    prepare: Callable[[np.random.Generator], Callable[[Stream, int], int]],
    moved: Callable[[int], Any],
    *,
    normal: bool = False,
) -> None:
    """All updates of one learner; ``shape`` (U, B).

    ``prepare(rng)`` takes the generator of the initial weights and returns ``learn(stream, done)``,
    which plays on from update ``done`` while ``enough``, and returns how many are done.
    """
    (updates, B), limit = shape, envs.spec(env_id).limit
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * B)
    env_seeds = [int(stream.generate_state(1)[0]) for stream in for_lanes[::2]]
    starts = [envs.reset(env_id, np.random.default_rng(s), updates + 1) for s in env_seeds]
    noise = np.empty((B, AHEAD * limit))
    stream = Stream(
        # the first reset is the one that seeds; as in train, it is never played
        states=np.stack([states[1:] for states, _ in starts], axis=1),
        obs=np.stack([obs[1:] for _, obs in starts], axis=1),
        noise=noise,
        cursor=np.full(B, noise.shape[1]),
    )
    rngs = [np.random.default_rng(stream) for stream in for_lanes[1::2]]
    learn, done = prepare(np.random.default_rng(for_weights)), 0
    while done < updates:
        _refill(stream, rngs, normal)
        before, done = done, learn(stream, done)
        moved(done - before)


def _refill(stream: Stream, rngs: Sequence[np.random.Generator], normal: bool) -> None:
    """Keep what is unused, draw what was used."""
    for row, used, rng in zip(stream.noise, stream.cursor, rngs, strict=True):
        left = len(row) - used
        row[:left] = row[used:].copy()
        row[left:] = rng.standard_normal(used) if normal else rng.random(used)
    stream.cursor[:] = 0


@envs.compiled
def enough(stream, limit):
    """Has every lane the random numbers of a whole episode?"""
    for lane in range(stream.cursor.shape[0]):
        if stream.noise.shape[1] - stream.cursor[lane] < limit:
            return False
    return True


@envs.inlined
def first(stream, update, lane):
    """The state that an episode begins in."""
    states = stream.states
    return (
        states[update, lane, 0],
        states[update, lane, 1],
        states[update, lane, 2],
        states[update, lane, 3],
    )


@envs.inlined
def draw(stream, lane):
    """The lane's next random number."""
    stream.cursor[lane] += 1
    return stream.noise[lane, stream.cursor[lane] - 1]
