"""The compiled twins: the numbers of ``train`` and ``actor_critic``, a thousand times as fast.

Nothing here teaches: each file equals a slow and readable one, by test. ``reinforce`` is the twin
of ``coursekit.train``, ``actor_critic`` of ``coursekit.actor_critic``, ``envs`` of Gymnasium's,
``backprop`` of autograd; ``cache`` keeps what has been computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def train_many(config: Any, seeds: Sequence[int], *args: Any, **settings: Any) -> Any:
    """Many learners at once: ``reinforce.train_many`` or ``actor_critic.train_many``.

    Whichever ``config`` is of. ValueError where it is of neither, and as they say.
    """
    from coursekit.fast import actor_critic, reinforce  # numba loads here

    if isinstance(config, actor_critic.Config):
        return actor_critic.train_many(config, seeds, *args, **settings)
    return reinforce.train_many(config, seeds, *args, **settings)
