"""What the detective hands back: names, evidence, meaning and what to do, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from coursekit.detective import sentences


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found, in words by ``str`` and ``repr``.

    ``names``: what it is, normalisation first. ("sum",) is the right one, ("unknown",) is honest.
    ``ok``: its expectation has the direction of −∇J, for what is known of it. ``numbers``: the
    ``cosine`` and ``norm_ratio`` of the expectation to ∇J on the worst of the exact processes (at
    γ < 1 with γ^t dropped, if the loss drops it), ``cosine_at_gamma_1`` on the worst of those at
    γ = 1, ``cosine_at_constant_reward`` on the worst of these where every reward is 1; ``factor``,
    ``divisor``, ``baseline``, where they exist. Of a gradient at the logits and of an update,
    the cosine is to what is right there.
    """

    names: tuple[str, ...]
    ok: bool
    evidence: Sequence[str] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    probed: str = ""
    said: dict[str, tuple[str, str]] = field(default_factory=lambda: sentences.LOSSES)
    headline: str = ""

    @property
    def meaning(self) -> list[str]:
        """Each name with what it means, where there is something to say."""
        return self._texts(0)

    @property
    def advice(self) -> list[str]:
        """Each name with what to do."""
        return self._texts(1)

    def _texts(self, part: int) -> list[str]:
        pairs = [(name, self.said.get(name, ("", ""))[part]) for name in self.names]
        return [f"{name}: {text}" for name, text in pairs if text]

    def __str__(self) -> str:
        title = "equal to the sum" if self.names == ("sum",) else " + ".join(self.names)
        title += f": {self.headline}" if self.headline else ""
        parts = {"meaning": self.meaning, "what to do": self.advice, "evidence": self.evidence}
        lines = [("✓ " if self.ok else "✗ ") + title]
        for heading, texts in (parts | {"looked at": [self.probed][: bool(self.probed)]}).items():
            lines += [f"{heading}:", *(f"  · {text}" for text in texts)] if texts else []
        return "\n".join(lines)

    __repr__ = __str__
