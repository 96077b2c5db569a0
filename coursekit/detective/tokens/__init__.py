"""What does a language model's loss do to its tokens? One place of the detective, by idea.

    print(audit_tokens(my_loss))    # my_loss(logprobs, old_logprobs, advantages, response_mask)

verl: its policy losses have the form already, but for the settings of the actor.

    from verl.trainer.ppo.core_algos import get_policy_loss_fn

    def loss(old_log_prob, log_prob, advantages, response_mask):
        return get_policy_loss_fn("vanilla")(
            old_log_prob, log_prob, advantages, response_mask, "token-mean", actor_config)

TRL: the trainer's loss starts from ids, so hand it log π where it would ask the model. All else,
``loss_type``, ``beta`` and so on, is the trainer's own.

    def loss(per_token_logps, old_per_token_logps, ref_per_token_logps, advantages, mask):
        ids = torch.zeros_like(mask).long()
        trainer._get_per_token_logps_and_entropies = lambda *a, **k: (per_token_logps, ids, None)
        return trainer._compute_loss(trainer.model, {
            "prompt_ids": ids[:, :0], "prompt_mask": ids[:, :0], "completion_ids": ids,
            "completion_mask": mask.long(), "num_items_in_batch": mask.sum(),
            "advantages": advantages, "old_per_token_logps": old_per_token_logps,
            "ref_per_token_logps": ref_per_token_logps})

A count that comes from outside (``num_items_in_batch``, verl's ``batch_num_tokens``) is made from
the mask here. Where it is a number fixed before, the finding is token_sum + scaled.
"""

from coursekit.detective.tokens.accumulation import audit_accumulation
from coursekit.detective.tokens.advantages import audit_advantages
from coursekit.detective.tokens.audit import audit_tokens
from coursekit.detective.tokens.calls import takes_tokens

__all__ = ["audit_accumulation", "audit_advantages", "audit_tokens", "takes_tokens"]
