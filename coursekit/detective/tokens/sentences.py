"""What is said of a loss of tokens: name -> (what it means, what to do), and parts in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.detective import sentences
from coursekit.detective.tokens import ratios, weights

Array = np.ndarray
NO_REDUCTION = "at ratio 1 the weights of the tokens are those of no reduction known here"
NO_RATIO = "the weights depend on π/π_old in none of the ways known here"
NO_KL = "what is left at advantages of 0 is no KL known here"
NOT_TOGETHER = "each part has a name, but together they do not give the gradient"
DIRECTION = {"sum", "token_sum", "constant"}
RIGHT = DIRECTION | {
    *("scaled", "dual_clip", "detached", "zero_outside", "soft_gate"),
    *("sequence_ratio", "answer_ratio"),
}

TOKENS: dict[str, tuple[str, str]] = {
    "sum": (
        "Σ over the tokens of an answer, averaged over the B answers: ∇J (TRL luspo, with a "
        "sequence ratio; verl seq-mean-token-sum)",
        "",
    ),
    "token_sum": (
        "Σ over all tokens, divided by nothing random: B times the sum, so the step grows with "
        "the batch (verl token-sum; open-instruct with a number as loss_denominator)",
        "divide by the number of answers, unless the rate was tuned with this B",
    ),
    "constant": (
        "Σ over the tokens, divided by B and a constant C: ∇J/C (TRL dr_grpo, C = "
        "max_completion_length; verl seq-mean-token-sum-norm with loss_scale_factor; SkyRL "
        "seq_mean_token_sum_norm)",
        "nothing, if the rate was tuned with it",
    ),
    "episode_mean": (
        "every answer is divided by its own length: E[1/n]∇p + ∇Cov(R, 1/n), whatever the batch "
        "(GRPO; TRL grpo, sapo; verl and OpenRLHF seq-mean-token-mean; SkyRL sequence_mean; "
        "TorchRL prompt_mean; ms-swift grpo, its default)",
        "divide by a constant, or by the tokens of many answers",
    ),
    "step_mean": (
        "divided by all tokens of the batch that is handed in: a bias that falls like one over "
        "its answers (DAPO's code; TRL bnpo, and dapo, its default, over the generation batch; "
        "verl token-mean, OpenRLHF token-mean, SkyRL and TorchRL token_mean, their defaults; "
        "ms-swift bnpo, dapo)",
        "with many answers in the batch little; over micro-batches count the tokens of all of "
        "them first (audit_accumulation)",
    ),
    "pool_mean": (
        "divided by the tokens of a few answers that are counted together, then averaged over "
        "such pools (DAPO's formula, SkyRL prompt_mean: the group; SkyRL token_mean_legacy: the "
        "micro-batch)",
        "count the tokens of the whole batch, or divide by a constant",
    ),
    "leave_out_twice": (
        "divided by the tokens of the other answers of its pool: with a leave-one-out baseline "
        "the expectation is parallel to ∇p",
        "",
    ),
    "padded_width": (
        "divided by B and the width T of the padded batch: by the longest answer that happens to "
        "be there, unless T never changes (verl seq-mean-token-sum-norm without "
        "loss_scale_factor; losses.mean())",
        "divide by a constant",
    ),
    "longest": ("divided by B and the longest answer of the batch", "divide by a constant"),
    "width_alone": ("divided by the width T of the batch, not by B", "divide by a constant"),
    "sum_of_means": (
        "every answer is divided by its own length, and these are added, not averaged",
        "divide by a constant, or by the tokens of many answers",
    ),
    "length_weighted": (
        "every answer is multiplied by its own length: long answers count more than in ∇J",
        "sum over the tokens once",
    ),
    "length_over_width": (
        "every answer is multiplied by its own length and divided by the width of the batch",
        "sum over the tokens once, and divide by a constant",
    ),
    "root_length": ("every answer is divided by the root of its length", "divide by a constant"),
    "length_squared": ("every answer is divided by its length twice", "divide by a constant"),
    "longer_less": (
        "answers are weighted by 1/n, scaled so that the weights add to 1 over the batch (Δ-L "
        "normalisation, α = 1)",
        "divide by a constant: it is unbiased only where length is independent of the rest",
    ),
    "position_mean": (
        "averaged over the answers that have a token at each place, then over the places",
        "sum over the tokens of an answer, and divide by a constant",
    ),
    "powers": ("the weight of a token is a product of powers of counts", "divide by a constant"),
    "scaled": (
        "a constant factor in front of it all",
        "leave constants to the rate, where they can be seen",
    ),
    "wrong_sign": (
        "the gradient points the other way: descending this loss makes good answers rarer",
        "put the minus in front of A · log π",
    ),
    "mask_forgotten": (
        "every place has a gradient, prompt and padding too: the mask is not used",
        "multiply by the mask before anything is added up, and divide by what it counts",
    ),
    "prompt_in": (
        "tokens of the prompt have a gradient, although the policy did not write them",
        "the mask must be False in front of the answer",
    ),
    "padding_in": (
        "padding behind the answer has a gradient",
        "the mask must be False behind the stop token",
    ),
    "stop_dropped": (
        "the last token of every answer has no gradient: the stop is never learned",
        "the mask must include the stop token",
    ),
    "first_dropped": ("the first token of every answer has no gradient", "mind the shift by one"),
    "shifted_left": (
        "the mask stands one place early: the last token of the prompt is in, that of the answer "
        "is not",
        "log π of token t stands at t − 1 of the logits: shift log π and mask alike",
    ),
    "shifted_right": (
        "the mask stands one place late: the first token of the answer is out, one of the padding "
        "is in",
        "log π of token t stands at t − 1 of the logits: shift log π and mask alike",
    ),
    "shifted_left_rolled": (
        "the mask stands one place early, and its first place came out at the end (roll)",
        "shift log π and mask alike, by slices",
    ),
    "shifted_right_rolled": (
        "the mask stands one place late, and its last place came out in front (roll)",
        "shift log π and mask alike, by slices",
    ),
    "first_column_dropped": (
        "the first place of the batch has no gradient: right where a prompt stands there",
        "hand it log π of which the first place is one of the prompt",
    ),
    "last_column_dropped": (
        "the last place of the batch has no gradient: the longest answer loses its stop",
        "shift log π and mask alike",
    ),
    "left_aligned": (
        "the mask is made anew from its length, as if each answer stood at the left edge",
        "use the mask that is handed in",
    ),
    "no_log": (
        "π stands where log π should: rare good tokens are hardly learned",
        "take the logarithm",
    ),
    "advantages_standardised": (
        "the advantages are standardised inside the loss, over the batch it is given",
        "standardise once, over the answers of the whole step",
    ),
    "advantages_centred": (
        "the mean of the advantages is taken off inside the loss",
        "a baseline belongs in front of the loss, and over the whole step",
    ),
    "advantages_averaged": (
        "every token has the mean of the advantages as weight",
        "give log π and advantages one shape before they are multiplied",
    ),
    "advantages_divided": (
        "the advantages are divided inside the loss by a size of the batch it is given, without a "
        "mean taken off",
        "divide by a constant, if at all",
    ),
    "advantages_unequal": (
        "advantages below 0 count by another factor than those above: no longer the direction of "
        "∇J, and a baseline is no longer free of bias",
        "multiply by the advantages as they are",
    ),
    "negatives_dropped": (
        "answers whose advantage is below 0 have no gradient: good answers are learned, bad ones "
        "are not unlearned",
        "multiply by the advantages as they are",
    ),
    "advantages_reduced": (
        "only the signs of the advantages enter",
        "multiply by them as they are",
    ),
    "zero_left_out": (
        "answers whose advantage is 0 are not counted in the divisor: the step grows where groups "
        "are unanimous",
        "keep it if that is what you want (it is dynamic sampling's divisor)",
    ),
    "holes_filled": (
        "a place inside an answer that the mask leaves out, such as a tool's output, is treated as "
        "if it were in it",
        "use the mask itself, not the first and the last place of an answer",
    ),
    "advantages_missing": ("the advantages do not enter the gradient", "multiply by them"),
    "sequence_ratio": (
        "the ratio is the geometric mean of an answer's ratios (GSPO): at ratio 1 the same as the "
        "token ratio with this reduction",
        "",
    ),
    "answer_ratio": ("the ratio is the product over the whole answer", ""),
    "ratio_inverted": (
        "the ratio stands upside down, π_old/π",
        "exp(logprobs − old_logprobs)",
    ),
    "ratio_squared": ("the ratio enters twice", "multiply by it once"),
    "ratio_root": ("the root of the ratio enters", "exp(logprobs − old_logprobs)"),
    "dual_clip": (
        "at A < 0 the gradient also stops where the ratio exceeds c (Ye et al. 2020; verl's "
        "clip_ratio_c, TRL's delta)",
        "",
    ),
    "min_max_exchanged": (
        "max stands where min should: the gradient stops where the policy would come back, and "
        "goes on where it has left",
        "−min(ρA, clip(ρ)A), or max of the two losses",
    ),
    "zero_outside": (
        "a token beyond the bounds has no gradient, whatever the sign of A: a clip without the "
        "min, or such tokens masked out",
        "−min(ρA, clip(ρ)A), unless that is meant",
    ),
    "detached": (
        "the bounded ratio is a weight without a gradient (CISPO; truncated importance weights)",
        "",
    ),
    "other_clip": (
        "bounds on the ratio that have no name here; they stand under evidence",
        "compare them with −min(ρA, clip(ρ)A)",
    ),
    "soft_gate": (
        "a smooth function of the ratio in place of the clip: a sigmoid (SAPO) or a gamma density "
        "(VESPO)",
        "",
    ),
    "k1": (
        "log π − log π_ref as a loss: its expected gradient is 0 on policy, so nothing pulls "
        "towards the reference",
        "k2 as a loss, or the KL in the reward",
    ),
    "k2": (
        "(log π − log π_ref)²/2 as a loss, or a detached log-ratio times log π: per token its "
        "gradient is not quite that of the KL",
        "",
    ),
    "k3": ("exp(−δ) − 1 + δ as a loss, δ = log π − log π_ref: it climbs down another KL", ""),
    "k3_reversed": (
        "exp(δ) − 1 − δ with δ = log π − log π_ref: k3 with the two exchanged",
        "exp(ref − logp) − (ref − logp) − 1",
    ),
    "kl_absolute": ("|log π − log π_ref| as a loss: no KL", "k2"),
    "k3_with_ratio": (
        "ρ·k3 as a loss, or k1 in the advantages: on policy the gradient of k2 per token",
        "",
    ),
    "kl_in_advantages": (
        "β·(log π − log π_ref), detached, is taken off the advantages: on policy the gradient of "
        "k2 per token",
        "",
    ),
    "k1_with_ratio": ("ρ·(log π − log π_ref) as a loss", ""),
    "k2_with_ratio": ("ρ·(log π − log π_ref)²/2 as a loss", ""),
    "k3_times_ratio": ("k3 as a loss, times a detached ratio", ""),
    "ratio_alone": ("a term in ρ, without advantages", "is the baseline missing?"),
    "logp_term": (
        "a term in log π that knows neither advantages nor reference: summed over the samples its "
        "expected gradient is 0 on policy, so it is no entropy bonus",
        "an entropy bonus needs the entropy of the distribution, not log π of the sample",
    ),
    "kl_to_old": ("the KL is to the policy that wrote the answers, π_old", ""),
    "kl_wrong_sign": (
        "the KL's term has the sign that pushes away from the reference",
        "add β · KL to the loss, β above 0",
    ),
    "kl_other_when_far": (
        "where log π and that of the reference are far apart the term is another, or a term is "
        "there alone: a clamp, a Huber loss, a hinge; a clamp has no gradient where it is needed "
        "most",
        "leave the clamp out, unless it is meant that nothing pulls back from there",
    ),
    "kl_other_reduction": ("the KL is reduced in another way than the policy's term", ""),
    **{k: sentences.LOSSES[k] for k in ("leaking_critic", "leaking_coefficient")},
    "unknown": (
        "this is none of the losses of tokens that the detective knows",
        "look at the tokens side by side, under evidence: which of them departs first?",
    ),
    **{
        k: (a, b.replace("detective.example(0)", "batch"))
        for k, (a, b) in sentences.TROUBLES.items()
    },
    "raises": ("", "call it yourself with four answers of 1, 3, 2 and 4 tokens in five places"),
    "no_gradient": ("the gradient is 0 whatever the advantages", "let the loss contain A · log π"),
}
POWER_NAMES = {-1.0: "ratio_inverted", 2.0: "ratio_squared", 0.5: "ratio_root"}


def describe(model: Any, probe: Any) -> tuple[list[str], dict[str, float], list[str]]:
    """Names, reduction first; numbers; evidence, of a model that agrees everywhere."""
    r, numbers, said = model.reduction, {"factor": model.reduction.factor}, []
    size = abs(r.factor)
    unit = abs(size - 1) < max(2e-4, probe.fine)
    name = "constant" if r.name == "sum" and not unit else r.name
    names = [name]
    if not unit:
        numbers["divisor"] = 1 / size
        if name not in ("constant", "powers"):
            names.append("scaled")
    said.append(f"at ratio 1 a token of answer i carries A_i · {formula(r)}")
    if r.name in weights.POOLED:
        said.append(f"counted together: {r.pool}")
    names += [r.places] * (r.places != "response")
    if r.places != "response" and r.counted == "mask":
        said.append("the divisor counts the tokens of the mask that was handed in")
    if r.places == "response":
        said.append("mask: just the tokens of the answer; prompt and padding have no gradient")
    names += ["no_log"] * (not model.log)
    if model.transform:
        names.append(f"advantages_{model.transform.split()[0]}")
        said.append(f"the advantages are {model.transform}")
    if model.below != 1:
        names.append("advantages_unequal")
        numbers["below"] = model.below
        said.append(f"advantages below 0 are multiplied by {model.below:.4g}")
    names += _ratio_names(model, numbers, said, probe.fine)
    names += _term_names(model, numbers, said, probe.call)
    names += ["wrong_sign"] * (r.factor < 0)
    return names, numbers, said


def formula(r: Any) -> str:
    """The weight of a token in words of counts."""
    words = {
        "sum": "1/B",
        "token_sum": "1",
        "episode_mean": "1/(B n_i)",
        "step_mean": "1/N, N all tokens",
        "padded_width": "1/(B T), T the width of the batch",
        "longest": "1/(B max n)",
        "width_alone": "1/T, T the width of the batch",
        "sum_of_means": "1/n_i",
        "length_weighted": "n_i/B",
        "length_over_width": "n_i/(B T)",
        "root_length": "1/(B √n_i)",
        "length_squared": "1/(B n_i²)",
        "longer_less": "(1/n_i)/Σ(1/n_j)",
        "pool_mean": "1/(K N_k), N_k the tokens of its pool, K pools",
        "leave_out_twice": "1/(K (N_k − n_i)), N_k the tokens of its pool, K pools",
        "position_mean": "1/(T c_t), c_t answers that have a token at t",
        "powers": " · ".join(
            f"{k}^{p:g}" for k, p in zip(("n_i", "N", "B", "T"), r.powers, strict=False) if p
        ),
    }
    factor = "" if abs(r.factor - 1) < 2e-4 else f"{r.factor:.5g} · "
    return factor + words[r.name]


def _ratio_names(model: Any, numbers: dict[str, float], said: list[str], fine: float) -> list[str]:
    response, names = model.response, []
    if response.level == "none":
        said.append("no ratio: old_logprobs change nothing; right only while π wrote the answers")
        return names
    if response.level in ("sequence", "answer"):
        names.append(f"{response.level}_ratio")
    names += [POWER_NAMES[response.power]] if response.power in POWER_NAMES else []
    what = {"token": "each token", "sequence": "an answer, its geometric mean"}
    text = f"ratio of {what.get(response.level, 'a whole answer, the product')}"
    if response.soft:
        gate, up, down = response.soft
        up, down = (", ".join(f"{v:.4g}" for v in values) for values in (up, down))
        said.append(f"{text}; a {gate} gate of {up} at A > 0 and {down} at A < 0")
        return [*names, "soft_gate"]
    pieces = response.pieces
    if response.power < 0:  # the clip was set on π_old/π
        pieces = {s: _mirrored(row) for s, row in pieces.items()}
    bound = ratios.name_of(pieces, fine)
    numbers |= bound.numbers
    if bound.name not in ("", "clip"):
        names.append(bound.name)
    say = {"clip_low": "below 1 − {:.6g}", "clip_high": "above 1 + {:.6g}"}
    where = [say[k].format(v) for k, v in bound.numbers.items() if k in say]
    if not bound.name:
        said.append(f"{text}, no bound seen; a detached ratio would have the same gradient")
    elif bound.name == "other_clip":
        said += [
            f"{text}; weight at A {'>' if s > 0 else '<'} 0: {_row(row)}"
            for s, row in response.pieces.items()
        ]
    elif bound.name in ("clip", "dual_clip"):
        side = {"clip_low": "{} at A < 0", "clip_high": "{} at A > 0"}
        where = [side[k].format(say[k].format(v)) for k, v in bound.numbers.items() if k in say]
        dual = bound.numbers.get("dual_clip")
        where += [f"above c = {dual:.6g} at A < 0"] if dual else []
        said.append(f"{text}; no gradient {', '.join(where)}")
    else:
        said.append(f"{text}; bounds {', '.join(where)}")
    return names


def _mirrored(row: Any) -> tuple:
    ends = [*[p.start for p in row[1:]], np.inf]
    return tuple(ratios.Piece(-end, p.factor, -p.power) for p, end in zip(row, ends, strict=True))[
        ::-1
    ]


def _row(row: Any) -> str:
    def one(p: Any) -> str:
        return "0" if not p.factor else f"{p.factor:.4g}" + (f"·ρ^{p.power:g}" if p.power else "")

    return one(row[0]) + "".join(f", from ρ = {np.exp(p.start):.4g} on {one(p)}" for p in row[1:])


def _term_names(model: Any, numbers: dict[str, float], said: list[str], call: Any) -> list[str]:
    term, takes = model.term, set(call.takes.values())
    if not term:
        if "ref_logprobs" in takes:
            said.append("no KL: ref_logprobs change nothing")
        return []
    beta = term.reduction.factor
    same = term.reduction._replace(factor=1.0) == model.reduction._replace(factor=1.0)
    if same:
        beta /= abs(model.reduction.factor)
    if term.kind == "k1" and "ref_logprobs" not in takes:
        names = ["logp_term"]
        said.append(f"{beta:.6g} · log π is added to the loss of each token")
    else:
        kind = "kl_in_advantages" if term.inside else term.kind
        names = [kind, *["kl_to_old"] * (term.to == "old")]
        said.append(f"KL term: {kind}, β = {beta:.6g}")
        names += ["kl_wrong_sign"] * (beta < 0)
    numbers["beta"] = beta
    if term.inside:
        said.append("it stands in the advantages, and is bounded with them")
    if not same:
        names.append("kl_other_reduction")
        said.append(f"its weight is {formula(term.reduction)}, on: {term.reduction.places}")
    return names


def edge(label: str, model: Any, b: Any, seen: Array, tolerance: float) -> tuple[str, bool]:
    """What a mask with holes, or an answer without tokens, does; is it odd?"""
    want = model.predict(b)
    if np.abs(seen - want).max() <= tolerance * np.abs(want).max():
        tail = {"holes": "only the places that are True count", "an empty answer": "counted in B"}
        text = tail[label]
        if label == "an empty answer" and model.reduction.name in ("step_mean", "token_sum"):
            text = "changes nothing"
        return f"{label}: {text}", False
    other = model._replace(reduction=model.reduction._replace(full=not model.reduction.full))
    want = other.predict(b)
    if label != "holes" and np.abs(seen - want).max() <= tolerance * np.abs(want).max():
        return f"{label}: left out of B", False
    inside = np.abs(seen[~b.mask]).max() > 1e-9 * np.abs(seen).max()
    text = "places that are False get a gradient" if inside else "other weights than by its name"
    return f"{label}: {text}", True


def parts_so_far(model: Any, why: str) -> list[str]:
    """What had a name before something had none."""
    if why == NO_REDUCTION:
        return []
    said = [f"at ratio 1 it is {model.reduction.name}: {formula(model.reduction)}"]
    return said + [f"places: {model.reduction.places}"] * (model.reduction.places != "response")


def side_by_side(b: Any, seen: Array, want: Array, where: str, model: Any) -> list[str]:
    """Three to five tokens, mine and the nearest, and the cosine in words."""
    off = np.abs(seen - want)
    at = sorted(np.argsort(off.ravel())[::-1][:5])
    rows, t = np.unravel_index(at, off.shape)
    n = b.mask.sum(-1)
    tokens = "; ".join(
        f"answer {i} (n = {n[i]}, A = {np.ravel(b.advantages[i])[0]:.3g}) place {k}: "
        f"{seen[i, k]:.4g} / {want[i, k]:.4g}"
        for i, k in zip(rows, t, strict=True)
    )
    top = float((seen * want).sum())
    size = float(np.linalg.norm(seen) * np.linalg.norm(want)) or 1.0
    cosine = round(top / size, 2) + 0.0
    way = "the same way" if cosine > 0.05 else "the other way" if cosine < -0.05 else "across it"
    return [
        f"nearest known: {model.reduction.name}; {where}, on {b.label}, −∂loss/∂log π, "
        f"yours / its: {tokens}",
        f"yours points {way} (cosine {cosine:.2f} there)",
    ]


def probed(probe: Any) -> str:
    """In one sentence: on what the detective looked."""
    sizes = "4, 8 and 12"
    long = (
        ""
        if probe.fine > 1e-5
        else ("; once 300 tokens, log π of −15, log π of −1e-5 to −1e-3, advantages of 30")
    )
    if "ref_logprobs" in probe.call.takes.values():
        long += f"; log π − log π_ref up to {'.75' if probe.fine > 1e-5 else '12'} in size"
    rounding = f"; it rounds to {probe.rounding:.1g}" if probe.rounding > 1e-7 else ""
    return (
        f"batches of {sizes} answers of 1 to 7 tokens, prompts in front, padding behind; log π "
        "from −3 to −1/64; ratios from .02 to 55 one by one, from .2 to 4.8 all at once; "
        f"advantages of both signs, one an answer{long}"
        f"{rounding}. Nothing is said about what lies outside of these: other keyword arguments, "
        "the making of mask, advantages and log-probabilities, other micro-batches and devices"
    )


ADVANTAGES: dict[str, tuple[str, str]] = {
    "none": ("the reward itself: unbiased, and noisy", "take off a mean of other answers"),
    "own_mean": (
        "the mean of the group, its own reward included: (1 − 1/G) times leave-one-out (GRPO, "
        "Dr. GRPO), one constant where all groups are of one size",
        "",
    ),
    "leave_one_out": ("the mean of the other answers of the group (RLOO): unbiased", ""),
    "batch_mean": ("the mean of the batch, its own reward included: (1 − 1/B) ∇J", ""),
    "batch_leave_one_out": ("the mean of all other answers: unbiased", ""),
    "constant_baseline": (
        "a number is taken off every reward: unbiased, and mostly noisier than a mean of others",
        "",
    ),
    "group_median": ("the median of the group", "a mean is unbiased up to a factor"),
    "group_lower_median": (
        "the median of the group, the lower one where there are two (torch.median)",
        "a mean is unbiased up to a factor",
    ),
    "group_std": (
        "less the mean of the group, over its deviation with ddof 0 (GRPO; polgrad, verl's paper "
        "form): for rewards 0 and 1 a scale for each prompt, so prompts are weighted by difficulty",
        "leave the deviation out (Dr. GRPO)",
    ),
    "group_std_ddof1": (
        "less the mean of the group, over its deviation with ddof 1 (TRL's scale_rewards=group, "
        "verl): √((G − 1)/G) times that with ddof 0",
        "leave the deviation out (Dr. GRPO)",
    ),
    "batch_std": ("less the mean of the batch, over its deviation", "a constant, if at all"),
    "batch_std_ddof1": ("less the mean of the batch, over its deviation", "a constant, if at all"),
    "others_std": (
        "less the mean of the others, over their deviation: for each prompt parallel to ∇p",
        "leave the deviation out",
    ),
    **{
        f"over_{scale}": (f"divided by {scale}", "a constant, if at all")
        for scale in ("group_std", "group_std_ddof1", "batch_std", "batch_std_ddof1", "others_std")
    },
    "over_others_std_ddof1": ("divided by the deviation of the others", "a constant, if at all"),
    "scaled": ("a constant factor", "leave constants to the rate"),
    "wrong_sign": ("the sign is turned round", "R minus its baseline"),
    "no_reward": ("the rewards do not enter", "R minus its baseline"),
    "not_a_vector": ("", "return one advantage an answer, (B,) or the same for each token (B, T)"),
    "nan_when_equal": (
        "where all rewards of a group are equal it gives NaN",
        "add ε to the deviation, or give 0",
    ),
    "nan_when_alone": ("a group of one gives NaN", "guard the deviation of one reward"),
    "unknown": ("none of the advantages that the detective knows", "compare them by hand"),
    **sentences.TROUBLES,
    "raises": ("", "call it with eight rewards in two groups of four"),
}
REPAIR = (
    "first N = the tokens of all micro-batches; each micro-batch's Σ over its tokens divided by "
    "this N, backward for each (times the number of processes, where gradients are averaged)"
)
ACCUMULATION: dict[str, tuple[str, str]] = {
    "token_sum": ("added over all tokens, whatever the cut", ""),
    "step_mean": ("divided by the tokens of all micro-batches", ""),
    "sum": ("divided by the answers of all micro-batches", ""),
    "episode_mean": ("every answer over its own length, divided by all answers", ""),
    "pool_mean": (
        "a mean of the micro-batches' token means: the tokens are counted within each, so the "
        "pool is the micro-batch, and answers in short micro-batches count more",
        REPAIR,
    ),
    "micro_batch_mean": (
        "a mean over micro-batches of their means over answers: right only while every "
        "micro-batch holds as many answers",
        "divide by the answers of the whole batch",
    ),
    "means_added": (
        "the micro-batches' means are added and not divided by their number: the step grows with "
        "it",
        REPAIR,
    ),
    "divided_twice": (
        "divided by what the whole batch holds, and once more by the number of micro-batches",
        "divide once",
    ),
    "multiplied_by_pieces": ("multiplied by the number of micro-batches", "leave the factor out"),
    "scaled": ("a constant factor in front of it all", "leave constants to the rate"),
    "wrong_sign": ("the gradient points the other way", "put the minus in front of A · log π"),
    "unknown": ("none of the steps that the detective knows", REPAIR),
    **sentences.TROUBLES,
    "wrong_signature": ("", "write step(micro_batches), a list of dicts of tensors"),
    "raises": (
        "",
        "call it with a list of dicts: logprobs, old_logprobs, advantages, response_mask",
    ),
}
