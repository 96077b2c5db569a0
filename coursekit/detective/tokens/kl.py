"""A term that does not depend on the advantages: a KL to a reference, by the gradient it has.

δ = log π − log π_ref. Each kind is the factor κ on ∇log π; with ``ratio`` it is multiplied by ρ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from coursekit.detective.tokens.weights import Reduction

Array = np.ndarray
KINDS: dict[str, tuple[Callable[[Array], Array], bool]] = {  # name -> κ(δ), multiplied by ρ
    "k1": (lambda d: 1.0 + 0 * d, False),
    "k2": (lambda d: d, False),
    "k3": (lambda d: 1 - np.exp(-d), False),
    "k3_reversed": (lambda d: np.exp(d) - 1, False),
    "kl_absolute": (np.sign, False),
    "k3_with_ratio": (lambda d: d, True),
    "k1_with_ratio": (lambda d: 1 + d, True),
    "k2_with_ratio": (lambda d: d + d * d / 2, True),
    "k3_times_ratio": (lambda d: 1 - np.exp(-d), True),
    "ratio_alone": (lambda d: 1.0 + 0 * d, True),
}


class Term(NamedTuple):
    """β Σ weights · κ: its kind, its reduction (β is the factor), and δ to what: "ref" or "old".

    ``inside``: it stands in the advantages, A − β δ, where a clip can bound it.
    """

    kind: str
    reduction: Reduction
    to: str = "ref"
    inside: bool = False

    def factor(self, delta: Array, x: Array) -> Array:
        """κ on each place, from δ and log ρ."""
        kappa, ratio = KINDS[self.kind]
        return kappa(x if self.to == "old" else delta) * (np.exp(x) if ratio else 1.0)
