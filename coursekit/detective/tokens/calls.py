"""Calling a loss of tokens by the names that the field has for its arguments.

``B`` answers, ``T`` places, prompt and padding among them. What is called, and how its arguments
are given, is one value, ``Call``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch

from coursekit.detective import asking

Array = np.ndarray
ORDER = ("logprobs", "old_logprobs", "advantages", "response_mask")
LOG_PI = {
    *("logp", "logps", "logprob", "logprobs", "log_prob", "log_probs", "log_pi", "logpi"),
    *("per_token_logps", "per_token_logprobs", "token_logprobs", "token_logps", "token_log_probs"),
    *("action_log_probs", "action_logprobs", "action_logps", "sequence_logps", "lp"),
}
WHOSE = {  # a word before or behind log π -> whose log π it is
    **dict.fromkeys(["new", "cur", "curr", "current", "policy", "actor", "train"], "logprobs"),
    **dict.fromkeys(["old", "behavior", "behaviour", "prev", "previous"], "old_logprobs"),
    **dict.fromkeys(["generation", "sampling", "rollout", "inference"], "rollout_logprobs"),
    **dict.fromkeys(["ref", "reference", "base"], "ref_logprobs"),
}
WORDS = {
    **dict.fromkeys(["advantages", "advantage", "adv", "advs"], "advantages"),
    **dict.fromkeys(["response_mask", "response_masks", "mask", "masks"], "response_mask"),
    **dict.fromkeys(["completion_mask", "loss_mask", "action_mask"], "response_mask"),
    **dict.fromkeys(["token_mask", "generation_mask", "attention_mask"], "response_mask"),
    **dict.fromkeys(
        ["group_ids", "group_id", "groups", "index", "uid", "uids", "prompt_ids", "prompt_id"],
        "group_ids",
    ),
    **dict.fromkeys(
        ["group_size", "group", "num_generations", "n_samples", "n_samples_per_prompt"],
        "group_size",
    ),
}
Parameters = Mapping[str, inspect.Parameter]
AS_CALLED = f"loss({', '.join(ORDER)})"


class Batch(NamedTuple):
    """``logp``, ``old``, ``ref``, ``mask`` (B, T), ``advantages`` (B,) or (B, T), ``groups`` (B,).

    ``groups``: the number of the prompt of each answer. Prompt and padding hold numbers as well.
    """

    label: str
    logp: Array
    old: Array
    ref: Array
    advantages: Array
    mask: Array
    groups: Array


class Call(NamedTuple):
    """A function, what each parameter is (its name -> what, of ``ORDER`` and more), and the forms.

    ``shape`` of the advantages: "B", "BT" or "B1"; ``mask``: "bool", "float" or "long";
    ``positions``: how many are given without a name.
    """

    fn: Callable[..., Any]
    takes: dict[str, str]
    positions: int = 0
    shape: str = "B"
    mask: str = "bool"
    dtype: torch.dtype = torch.float64

    def ways(self) -> Iterator[Call]:
        """Every form the arguments may be given in, the likely ones first."""
        kinds = product(
            (torch.float64, torch.float32), ("B", "BT", "B1"), ("bool", "float", "long")
        )
        return (self._replace(shape=shape, mask=m, dtype=dtype) for dtype, shape, m in kinds)

    def said(self) -> list[str]:
        """In words, what a reader could not guess of the way it is called."""
        words = []
        guessed = [f"{k} as {v}" for k, v in self.takes.items() if v not in (k, role(k))]
        if guessed:
            words.append(f"taken in their order: {', '.join(guessed)}")
        if "rollout_logprobs" in self.takes.values():
            words.append(
                "rollout and old log-probabilities were alike: what corrects one is unseen"
            )
        if self.dtype == torch.float32:
            words.append("it was given float32, for with float64 it stops")
        return words


def role(name: str) -> str | None:
    """What a parameter of this name is in the field, or None: ``old_per_token_logps`` -> old."""
    word = name.lower().strip("_")
    if name in ("A", "adv_t") or word in WORDS:
        return WORDS.get(word, "advantages")
    if word in LOG_PI:
        return "logprobs"
    parts = word.split("_")
    for i in (*range(len(parts)),):
        rest = "_".join(parts[:i] + parts[i + 1 :])
        if parts[i] in WHOSE and rest in LOG_PI:
            return WHOSE[parts[i]]
    return None


def takes_tokens(fn: Any) -> bool:
    """Whether the parameters of ``fn`` say that it is a loss of tokens, for ``audit_tokens``."""
    try:
        found = {role(name) for name in inspect.signature(fn).parameters}
    except (TypeError, ValueError):
        return False
    return {"logprobs", "advantages"} <= found


def parameters_of(fn: Any, as_called: str) -> Parameters | tuple[str, str] | None:
    """The parameters of ``fn``; None if it does not say; name and evidence if it is no function."""
    trouble = asking.refused(fn, as_called, 0)
    if trouble and trouble[0] == "not_callable":
        return trouble
    try:
        return inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return None


def bound(fn: Any) -> Call | tuple[str, str]:
    """How ``fn`` is called, or name and evidence where it cannot be."""
    parameters = parameters_of(fn, AS_CALLED)
    if isinstance(parameters, tuple):
        return parameters
    if parameters is None:
        return Call(fn, dict(zip(ORDER, ORDER, strict=True)), positions=4)
    kinds = {name: p.kind for name, p in parameters.items()}
    plain = [name for name, kind in kinds.items() if kind.name in ("POSITIONAL_ONLY", *NAMED)]
    if not plain and "VAR_POSITIONAL" in {kind.name for kind in kinds.values()}:
        return Call(fn, dict(zip(ORDER, ORDER, strict=True)), positions=4)
    if not plain and kinds:  # loss(**batch)
        return Call(fn, {name: name for name in (*ORDER, "ref_logprobs")})
    takes = {name: found for name in plain if (found := role(name))}
    needed = [name for name in plain if parameters[name].default is inspect.Parameter.empty]
    odd, first = (
        [name for name in needed if name not in takes],
        dict(zip(plain, ORDER, strict=False)),
    )
    if odd and all(first.get(name) == what for name, what in takes.items() if name in needed):
        takes = {name: first[name] for name in plain if name in first} | takes  # by their order
        odd = [name for name in odd if name not in takes]
    for name, what in list(takes.items()):  # what is optional, and what stands there twice
        if name not in needed and (
            what == "rollout_logprobs" or list(takes.values()).count(what) > 1
        ):
            del takes[name]
    missing = {"logprobs", "advantages"} - set(takes.values())
    if odd or missing or len(set(takes.values())) < len(takes):
        why = f"nobody here knows what {', '.join(odd)} is; " if odd else ""
        return "wrong_signature", (
            f"it takes {inspect.signature(fn)}; {why}it is called as {AS_CALLED}, by these names "
            "or the field's others, with ref_logprobs, group_ids or group_size where it takes them"
        )
    positions = sum(kinds[name].name == "POSITIONAL_ONLY" for name in takes)
    return Call(fn, takes, positions)


NAMED = ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY")


def ask(call: Call, batch: Batch) -> asking.Asked:
    """−∂loss/∂log π of every place of a batch, (B, T) or None, and what went wrong."""
    A = batch.advantages
    if call.shape == "BT":
        A = np.broadcast_to(A.reshape(len(A), -1), batch.mask.shape).copy()
    elif A.ndim == 1 and call.shape == "B1":
        A = A[:, None]
    mask = batch.mask if call.mask == "bool" else batch.mask.astype(KINDS[call.mask])
    given = {"logprobs": batch.logp, "old_logprobs": batch.old, "rollout_logprobs": batch.old}
    given |= {"ref_logprobs": batch.ref, "advantages": A, "response_mask": mask}
    given["group_ids"] = batch.groups
    used = set(call.takes.values())
    size = int(np.bincount(batch.groups).max())

    def loss(x: dict[str, torch.Tensor]) -> Any:
        values = {
            name: size if what == "group_size" else x[what] for name, what in call.takes.items()
        }
        first = list(values.values())[: call.positions]
        return scalar(call.fn(*first, **dict(list(values.items())[call.positions :])))

    return asking.weights(loss, {k: v for k, v in given.items() if k in used}, call.dtype)


KINDS = {"float": np.float64, "long": np.int64}


def scalar(value: Any) -> Any:
    """The loss itself, where metrics or other things came with it."""
    if isinstance(value, dict) and "loss" in value:
        return value["loss"]
    if not isinstance(value, torch.Tensor) and isinstance(
        getattr(value, "loss", None), torch.Tensor
    ):
        return value.loss
    return value[0] if isinstance(value, tuple | list) and value else value
