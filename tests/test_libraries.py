"""Released libraries beside ours: their own functions on random masks, number by number.

Run where they are installed, each in an environment of its own, since they disagree about what they
need: ``pip install trl==1.16.0`` or ``verl==0.9.1``, then ``pytest tests/test_libraries.py``. What
was run so is in notebook 12's table. Newer versions may differ; then that table is what to mend.
"""

import importlib
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from coursekit import tokens

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are not ours to mend
B, T, G = 8, 7, 4
seeds = pytest.mark.parametrize("seed", range(5))


def needed(library, module):
    """A module of a library that may not be here; the test is skipped with a word where it is not.

    A library that is here and does not load is a failure, not a reason to skip.
    """
    pytest.importorskip(library, reason=f"{library} is not installed; see the file's first lines")
    return importlib.import_module(module)


def batch(seed):
    """(logp that needs a gradient, old_logp, ref_logp, A, rewards, mask), answers of 1 to T."""
    rng = np.random.default_rng([12, seed])
    mask = torch.from_numpy(np.arange(T) < rng.integers(1, T + 1, size=B)[:, None])
    logp, old, ref = (torch.from_numpy(-rng.exponential(size=(B, T))) for _ in range(3))
    old = logp + 0.3 * (old - logp)  # ratios on both sides of the clip
    rewards = torch.from_numpy(rng.choice([0.0, 1.0, 0.5], size=B))
    A = torch.from_numpy(rng.normal(size=B))
    return logp.requires_grad_(), old, ref, A, rewards, mask


def same(theirs, ours, logp):
    """The two losses agree in value and in the gradient at every token.

    To seven digits: verl adds 1e-8 to a length before it divides by it.
    """
    assert float(theirs) == pytest.approx(float(ours), rel=1e-7)
    gradients = [torch.autograd.grad(x, logp, retain_graph=True)[0] for x in (theirs, ours)]
    np.testing.assert_allclose(*gradients, rtol=1e-7, atol=1e-12)
    assert bool((gradients[0] != 0).any())


def differ(theirs, other, logp):
    """The comparison can fail: another reduction gives another gradient."""
    gradients = [torch.autograd.grad(x, logp, retain_graph=True)[0] for x in (theirs, other)]
    assert not np.allclose(*gradients)


# TRL: the loss of a trainer that is given what it asks for, and nothing else

TRL = {
    "grpo": ("clipped", tokens.REDUCTIONS["episode_mean"]),
    "bnpo": ("clipped", tokens.REDUCTIONS["step_mean"]),
    "dapo": ("clipped", tokens.REDUCTIONS["step_mean"]),
    "dr_grpo": ("clipped", lambda x, m: tokens.REDUCTIONS["constant"](x, m, divisor=100)),
    "cispo": ("detached", tokens.REDUCTIONS["step_mean"]),
    "luspo": ("clipped", tokens.REDUCTIONS["sum"]),
}


SOFT_DEFAULTS = {"sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05}
SOFT_DEFAULTS |= {"vespo_k_pos": 2.0, "vespo_lambda_pos": 3.0}
SOFT_DEFAULTS |= {"vespo_k_neg": 3.0, "vespo_lambda_neg": 2.0}


def trl_loss(loss_type, level, logp, old, A, mask, ref=None):
    """What ``GRPOTrainer._compute_loss`` returns on one device, without accumulation."""
    module = needed("trl", "trl.trainer.grpo_trainer")
    trainer = object.__new__(module.GRPOTrainer)
    settings = {
        "loss_type": loss_type,
        "importance_sampling_level": level,
        "epsilon_low": 0.2,
        "epsilon_high": 1.25 if loss_type == "cispo" else 0.28,
        "beta": 0.0 if ref is None else 0.1,
        "max_completion_length": 100,
        "top_entropy_quantile": 1.0,
        "aux_loss_enabled": False,
        "off_policy_mask_threshold": None,
        "use_vllm": False,
        "_entropy_bonus_enabled": False,
        "current_gradient_accumulation_steps": 1,
        "tools": None,
        "environments": None,
        "args": SimpleNamespace(
            delta=None, steps_per_generation=1, use_bias_correction_kl=False, **SOFT_DEFAULTS
        ),
        "accelerator": SimpleNamespace(
            num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x
        ),
        "model": SimpleNamespace(training=True),
        "_metrics": defaultdict(lambda: defaultdict(list)),
        "_get_per_token_logps_and_entropies": lambda *a, **k: (logp, torch.zeros(B, T), None),
    }
    trainer.__dict__.update(settings)
    inputs = {
        "prompt_ids": torch.zeros(B, 2, dtype=torch.long),
        "prompt_mask": torch.ones(B, 2, dtype=torch.long),
        "completion_ids": torch.zeros(B, T, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": A,
        "old_per_token_logps": old,
        "ref_per_token_logps": ref,
        "num_items_in_batch": mask.sum(),
    }
    return trainer._compute_loss(trainer.model, inputs)


@seeds
@pytest.mark.parametrize("loss_type", list(TRL))
@pytest.mark.parametrize("level", ["token", "sequence"])
def test_trl(loss_type, level, seed):
    logp, old, _, A, _, mask = batch(seed)
    theirs = trl_loss(loss_type, level, logp, old, A, mask)
    ratio, (clip, reduction) = tokens.RATIOS[level](logp, old, mask), TRL[loss_type]
    if clip == "detached":  # their bound is on one side, and is the bound itself
        losses = tokens.detached(ratio, A, mask, logp, low=1.0, high=0.25)
    else:
        losses = tokens.clipped(ratio, A, mask, low=0.2, high=0.28)
    same(theirs, reduction(losses, mask), logp)
    other = "episode_mean" if loss_type != "grpo" else "step_mean"
    differ(theirs, tokens.REDUCTIONS[other](losses, mask), logp)


@seeds
@pytest.mark.parametrize("lag", [0, 1])
def test_trl_sapo_counts_one_answer(lag, seed):
    logp, old, _, A, _, mask = batch(seed)
    old = old if lag else logp.detach()
    theirs = trl_loss("sapo", "token", logp, old, A, mask)
    steep = torch.where(A > 0, 1.0, 1.05)[:, None]  # a sigmoid in place of the clip
    soft = torch.sigmoid(steep * (tokens.token_ratio(logp, old, mask) - 1)) * 4 / steep
    losses = tokens.unclipped(soft, A, mask)
    same(theirs, tokens.REDUCTIONS["episode_mean"](losses, mask), logp)
    differ(theirs, tokens.REDUCTIONS["step_mean"](losses, mask), logp)


@seeds
@pytest.mark.parametrize("lag", [0, 1])
def test_trl_vespo_counts_the_batch(lag, seed):
    logp, old, _, A, _, mask = batch(seed)
    old = old if lag else logp.detach()
    theirs = trl_loss("vespo", "token", logp, old, A, mask)
    w = tokens.answer_ratio(logp, old, mask).detach()  # its bound is w^k exp(λ(1 − w)): 1 at w = 1
    k, steep = (torch.where(A >= 0, *pair)[:, None] for pair in ((2.0, 3.0), (3.0, 2.0)))
    bound = w**k * torch.exp(steep * (1 - w))
    losses = bound * tokens.token_losses(logp, A, mask)
    same(theirs, tokens.REDUCTIONS["step_mean"](losses, mask), logp)
    differ(theirs, tokens.REDUCTIONS["episode_mean"](losses, mask), logp)


@seeds
@pytest.mark.parametrize("loss_type", ["dapo", "bnpo"])
def test_trl_sequence_ratio_under_its_default_loss_is_dapo_at_lag_0(loss_type, seed):
    logp, _, _, A, _, mask = batch(seed)
    theirs = trl_loss(loss_type, "sequence", logp, logp.detach(), A, mask)
    losses = tokens.token_losses(logp, A, mask)
    ours = tokens.REDUCTIONS["step_mean"](losses, mask)
    gradients = [torch.autograd.grad(x, logp, retain_graph=True)[0] for x in (theirs, ours)]
    np.testing.assert_allclose(*gradients, rtol=1e-7, atol=1e-12)
    differ(theirs, tokens.REDUCTIONS["episode_mean"](losses, mask), logp)


@seeds
def test_trl_kl_is_k3_on_every_token(seed):
    logp, old, ref, A, _, mask = batch(seed)
    theirs = trl_loss("grpo", "token", logp, old, A, mask, ref=ref)
    losses = tokens.clipped(tokens.token_ratio(logp, old, mask), A, mask, low=0.2, high=0.28)
    with_kl = losses + 0.1 * tokens.k3(logp - ref) * mask
    same(theirs, tokens.REDUCTIONS["episode_mean"](with_kl, mask), logp)


@seeds
def test_trl_divides_by_the_deviation_with_ddof_1(seed):
    nanstd = needed("trl", "trl.trainer.utils").nanstd
    _, _, _, _, rewards, _ = batch(seed)
    grouped = rewards.view(-1, G)
    theirs = (grouped - grouped.mean(1, keepdim=True)) / (nanstd(grouped, 1, True) + 1e-4)
    ours = tokens.group_std(rewards, G, ddof=1, eps=1e-4)
    np.testing.assert_allclose(theirs.flatten(), ours, atol=1e-9)


# verl

VERL = {
    "token-mean": tokens.REDUCTIONS["step_mean"],
    "token-sum": tokens.REDUCTIONS["token_sum"],
    "seq-mean-token-sum": tokens.REDUCTIONS["sum"],
    "seq-mean-token-mean": tokens.REDUCTIONS["episode_mean"],
    "seq-mean-token-sum-norm": tokens.REDUCTIONS["padded_width"],
}


@seeds
@pytest.mark.parametrize("mode", list(VERL))
def test_verl_reductions(mode, seed):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    logp, _, _, A, _, mask = batch(seed)
    losses = tokens.token_losses(logp, A, mask)
    theirs = core.agg_loss(losses, mask.double(), mode)
    same(theirs, VERL[mode](losses, mask), logp)
    other = "episode_mean" if mode != "seq-mean-token-mean" else "step_mean"
    differ(theirs, tokens.REDUCTIONS[other](losses, mask), logp)


@seeds
def test_verl_scale_factor_makes_the_padded_width_a_constant(seed):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    logp, _, _, A, _, mask = batch(seed)
    losses = tokens.token_losses(logp, A, mask)
    mode = "seq-mean-token-sum-norm"
    theirs = core.agg_loss(losses, mask.double(), mode, loss_scale_factor=100)
    same(theirs, tokens.REDUCTIONS["constant"](losses, mask, divisor=100), logp)


@seeds
def test_verl_two_devices_count_the_tokens_of_both(seed):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    logp, _, _, A, _, mask = batch(seed)
    losses, N = tokens.token_losses(logp, A, mask), int(mask.sum())
    parts = [
        core.agg_loss(x, m.double(), "token-mean", dp_size=2, batch_num_tokens=N)
        for x, m in zip(losses.chunk(2), mask.chunk(2), strict=True)
    ]
    same(sum(parts) / 2, tokens.REDUCTIONS["step_mean"](losses, mask), logp)


@seeds
@pytest.mark.parametrize(("normalise", "eps"), [(True, 1e-6), (False, 0.0)])
def test_verl_grpo_advantages(normalise, eps, seed):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    _, _, _, _, rewards, mask = batch(seed)
    at_end = torch.zeros(B, T, dtype=torch.float64)
    at_end[:, 0] = rewards
    index = np.repeat(np.arange(B // G), G)
    theirs, _ = core.compute_grpo_outcome_advantage(
        at_end, mask.double(), index, norm_adv_by_std_in_grpo=normalise
    )
    ours = tokens.group_std(rewards, G, 1, eps) if normalise else tokens.own_mean(rewards, G)
    np.testing.assert_allclose(theirs, ours[:, None] * mask, atol=1e-9)


@seeds
def test_verl_rloo_advantages(seed):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    _, _, _, _, rewards, mask = batch(seed)
    at_end = torch.zeros(B, T, dtype=torch.float64)
    at_end[:, 0] = rewards
    index = np.repeat(np.arange(B // G), G)
    theirs, _ = core.compute_rloo_outcome_advantage(at_end, mask.double(), index)
    np.testing.assert_allclose(theirs, tokens.leave_one_out(rewards, G)[:, None] * mask, atol=1e-9)


@seeds
@pytest.mark.parametrize(
    ("loss", "mode"),
    [("vanilla", "seq-mean-token-mean"), ("gspo", "seq-mean-token-mean"), ("gspo", "token-mean")],
)
def test_verl_clips(loss, mode, seed):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    config = needed("verl", "verl.workers.config").ActorConfig
    settings = {"strategy": "fsdp", "rollout_n": 1, "ppo_micro_batch_size_per_gpu": 1}
    actor = config(**settings, clip_ratio_low=0.2, clip_ratio_high=0.28)
    logp, old, _, A, _, mask = batch(seed)
    at_tokens = A[:, None] * mask
    theirs, _ = core.get_policy_loss_fn(loss)(old, logp, at_tokens, mask.double(), mode, actor)
    if loss == "gspo":
        ratio = tokens.sequence_ratio(logp, old, mask)
        losses = tokens.clipped(ratio, A, mask, low=0.2, high=0.28)
    else:
        ratio = tokens.token_ratio(logp, old, mask)
        losses = tokens.dual_clipped(ratio, A, mask, low=0.2, high=0.28, most=3.0)
    same(theirs, VERL[mode](losses, mask), logp)
    other = "token-mean" if mode != "token-mean" else "seq-mean-token-mean"
    differ(theirs, VERL[other](losses, mask), logp)


@pytest.mark.parametrize("term", list(tokens.KL))
def test_verl_kl_terms(term):
    core = needed("verl", "verl.trainer.ppo.core_algos")
    logp, _, ref, *_ = batch(0)
    theirs = core.kl_penalty_forward(logp, ref, term)
    ours = tokens.KL[term](logp - ref)
    bounded = ours.clip(-10, 10) if term == "k3" else ours  # they cut k3 off at 10
    np.testing.assert_allclose(theirs.detach(), bounded.detach(), atol=1e-9)
