"""``python -m coursekit.fast``: compile both learners, each in a process of its own.

Machine code is kept on disk, so that whoever comes next has it: two workers that come together
would each compile all of it.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from coursekit import actor_critic, fast, train

SMALLEST = (train.Config(updates=1), actor_critic.Config(updates=1))

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(fast.train_many, SMALLEST, ([0], [0])))
