"""What does a language model's loss do to its tokens? One place of the detective, by idea."""

from coursekit.detective.tokens.accumulation import audit_accumulation
from coursekit.detective.tokens.advantages import audit_advantages
from coursekit.detective.tokens.audit import audit_tokens
from coursekit.detective.tokens.calls import takes_tokens

__all__ = ["audit_accumulation", "audit_advantages", "audit_tokens", "takes_tokens"]
