"""The gradient detective: what does your loss do? It looks at gradients, never at returns.

    print(audit(my_loss))              # my_loss(logp, rewards, mask, gamma) -> scalar
    assert_policy_gradient(my_loss)    # one line in a test suite

Whatever the audited function does, nothing raises here (but KeyboardInterrupt): an error or a NaN
is a finding. One file a place, ``loss``, ``logits``, ``gaussian``, ``update``, and a folder for
``tokens``; the others are shared. Axes:
``B`` episodes, ``T`` time, ``S`` state, ``A`` action, ``M`` compared numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from coursekit import guards
from coursekit.detective import cases, gaussian, logits, sentences, update
from coursekit.detective import loss as of_loss
from coursekit.detective.finding import Finding
from coursekit.detective.gaussian import audit_gaussian
from coursekit.detective.logits import audit_gradient
from coursekit.detective.loss import audit
from coursekit.detective.tokens import (
    audit_accumulation,
    audit_advantages,
    audit_tokens,
    takes_tokens,
)
from coursekit.detective.update import audit_update

__all__ = [
    "Finding",
    "assert_is",
    "assert_policy_gradient",
    "audit",
    "audit_accumulation",
    "audit_advantages",
    "audit_gaussian",
    "audit_gradient",
    "audit_tokens",
    "audit_update",
    "example",
]
# What is handed to an audited function: place -> (number of the case) -> its arguments.
EXAMPLES: dict[str, Callable[[int], tuple]] = {
    "loss": lambda number: of_loss.example(cases.casebook().cases[number]),
    "gradient": lambda number: logits.steps()[number],
    "gaussian": gaussian.example,
    "update": lambda number: update.example(update.chosen(cases.casebook())[number]),
}


def example(number: int = 0, place: str = "loss") -> tuple:
    """The arguments of one call, to make it oneself: ``my_loss(*detective.example(3))``.

    ``place``: "loss", "gradient", "gaussian" or "update". ValueError for another, or for a number
    too high.
    """
    guards.one_of("place", place, EXAMPLES)
    try:
        return EXAMPLES[place](number)
    except (IndexError, TypeError):
        raise ValueError(f"example {number!r} does not exist; the first is 0") from None


def assert_policy_gradient(
    loss: Callable[..., Any], allow: Sequence[str] = (), gamma: float | None = None
) -> None:
    """AssertionError with the finding, unless it is ok or ``allow``, as ("step_mean",), says.

    ``gamma`` as in ``audit``. ValueError for a name in ``allow`` that no finding can have.
    """
    __tracebackhide__ = True  # pytest shows the finding first
    allow = _names("allow", allow, sentences.LOSSES)
    finding = audit(loss, gamma)
    if finding.ok or set(finding.names) <= set(allow):
        return
    said = "is not the policy gradient"
    if "same_expectation" in finding.names:
        said = (
            f"has an expectation that is {finding.headline.split('expectation is ')[1]}, but it is "
            "not known step by step; if that is intended (a baseline?), allow=('same_expectation',)"
        )
    elif "unknown" in finding.names or set(finding.names) <= set(sentences.TROUBLES):
        said = "is not known to be a policy gradient"
    raise AssertionError(f"this loss {said}\n{finding}")


def assert_is(
    loss: Callable[..., Any], names: Sequence[str], audit: Callable[..., Finding] | None = None
) -> None:
    """AssertionError with the finding, unless its names are just these, in any order.

    It pins a choice: ``assert_is(loss, ("step_mean",))``, of a loss of steps or of tokens, as its
    parameters say; of another place ``assert_is(step, ("sum",), audit=audit_update)``. Raises
    ValueError for a name that no finding of that place can have, and for none.
    """
    __tracebackhide__ = True
    of_its_form = audit_tokens if takes_tokens(loss) else of_loss.audit
    finding = (audit or of_its_form)(loss)
    names = _names("names", names, finding.said)
    if set(finding.names) != set(names):
        raise AssertionError(f"this is not {' + '.join(names)}\n{finding}")


def _names(what: str, names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    __tracebackhide__ = True
    names = (names,) if isinstance(names, str) else tuple(names)
    if odd := [name for name in names if name not in known]:
        raise ValueError(
            f"{what}: {', '.join(map(repr, odd))} is no name; the names are: "
            f"{', '.join(sorted(known))}"
        )
    return names
