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
    ``cosine`` and ``norm_ratio`` to ∇J (of the process where, at γ = 1, the cosine is smallest),
    ``factor``, ``divisor``, ``baseline``, where they exist.
    """

    names: tuple[str, ...]
    ok: bool
    evidence: Sequence[str] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    probed: str = ""
    said: dict[str, tuple[str, str]] = field(default_factory=lambda: sentences.LOSSES)

    @property
    def meaning(self) -> list[str]:
        return [f"{n}: {self.said[n][0]}" for n in self.names if n in self.said]

    @property
    def advice(self) -> list[str]:
        pairs = [(n, self.said.get(n, ("", sentences.TROUBLES.get(n, "")))[1]) for n in self.names]
        return [f"{name}: {text}" for name, text in pairs if text]

    def __str__(self) -> str:
        title = "equal to the sum" if self.names == ("sum",) else " + ".join(self.names)
        if "cosine" in self.numbers and "unknown" in self.names:
            cosine, ratio = round(self.numbers["cosine"], 2) + 0.0, self.numbers["norm_ratio"]
            title += f": cosine {cosine:.2f} to ∇J, norm ratio {ratio:.3g}"
        parts = {"evidence": self.evidence, "meaning": self.meaning, "what to do": self.advice}
        lines = [("✓ " if self.ok else "✗ ") + title]
        for heading, texts in (parts | {"looked at": [self.probed][: bool(self.probed)]}).items():
            lines += [f"{heading}:", *(f"  · {text}" for text in texts)] if texts else []
        return "\n".join(lines)

    __repr__ = __str__


def in_words(numbers: dict[str, float]) -> str:
    """A cosine and a norm ratio, the same on every machine (no −0.00)."""
    return f"cosine {round(numbers['cosine'], 2) + 0.0:.2f}, norm ratio {numbers['norm_ratio']:.3g}"


def error_in_words(error: Exception) -> str:
    """Its type and the first of its words."""
    return f"{type(error).__name__}: {error!s:.120}"
