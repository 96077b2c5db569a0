"""What the detective says, by place: name -> (what it means, what to do). Data, nothing else."""

from __future__ import annotations

# Losses: name -> (what it means, what to do).
LOSSES: dict[str, tuple[str, str]] = {
    "sum": (
        "added over the steps, averaged over the episodes; at γ = 1 the expectation is −∇J",
        "",
    ),
    "total": (
        "added over the episodes as well, whatever the constant it is divided by: the step grows "
        "with the number of episodes B",
        "divide by B; nothing, if B never changes, or if a batch is a fixed number of steps and "
        "that is the constant",
    ),
    "constant": (
        "the sum times a constant: the direction of ∇J at another learning rate",
        "nothing, if the rate was tuned with it; clipping and weight decay notice it, Adam hardly",
    ),
    "episode_mean": (
        "every episode is divided by its own length n, which is random and depends on the actions; "
        "in general not the direction of ∇J (with the whole return it climbs E[R/n])",
        "sum over the steps of an episode, then average over the episodes",
    ),
    "step_mean": (
        "divided by N, all steps of this batch, which is random: ∇J/E[n] plus a bias of order 1/B",
        "divide by the number of episodes or a constant, or take large batches",
    ),
    "typical": (
        "the sum over n̄, a running mean of the lengths of earlier batches: known before the batch "
        "is played, so the direction is that of ∇J, at a rate that follows n̄",
        "",
    ),
    "tilt": (
        "each episode is divided by its own length n and multiplied by n̄, a running mean of the "
        "lengths of earlier batches: all of the mean's bias is in this",
        "divide by n̄ alone, or sum over the steps and average over the episodes",
    ),
    "micro_batches": (
        "the mean of micro-batches' means over steps: not the mean over the batch's steps, where "
        "the micro-batches differ in their number of steps",
        "add up the losses of all micro-batches and divide once, by the whole batch's count",
    ),
    "divided_twice": (
        "divided by one more count, of episodes or of steps, than a mean has",
        "reduce once: sum over the steps, then average over the episodes",
    ),
    "longest": (
        "divided by the longest episode of the batch, to which it happens to be padded: the same "
        "episode weighs less beside a long one",
        "divide by a constant, or by the number of episodes alone",
    ),
    "median_length": (
        "divided by the median length of the batch: the same episode weighs less beside long ones",
        "divide by a constant, or by the number of episodes alone",
    ),
    "shortest": (
        "divided by the shortest episode of the batch: the same episode weighs less beside long "
        "ones",
        "divide by a constant, or by the number of episodes alone",
    ),
    "root_length": (
        "each episode is divided by the root of its length: long episodes weigh less",
        "divide by a constant, or by the number of episodes alone",
    ),
    "length_plus_one": (
        "each episode is divided by one more than its length: long episodes weigh less",
        "divide by a constant, or by the number of episodes alone",
    ),
    "root_of_B": (
        "divided by the root of the number of episodes: the size of a step grows with the batch",
        "average over the episodes; where batches are of one size, the rate takes that in",
    ),
    "last_episode_dropped": (
        "the last episode of the batch has no weight, as of [:-1] or a range that ends too early",
        "add up all episodes",
    ),
    "first_step_dropped": (
        "the first step of every episode has no weight: a mask that is shifted by one, or [1:]",
        "the mask of a step stands at the place of its own log π",
    ),
    "last_step_dropped": (
        "the last step of every episode has no weight, the one that ends it: a mask that is "
        "shifted by one, or [:-1]",
        "the mask of a step stands at the place of its own log π; the step that ends an episode "
        "was an action too",
    ),
    "mask_forgotten": (
        "divided by B·T places, padding included: by the longest episode of the batch. Where your "
        "T is the same in every batch, as with answers padded to one width, it is a constant "
        "divisor, and legal",
        "unless T never changes, divide by the number of episodes: (losses * mask).sum(-1).mean()",
    ),
    "padding_weighted": (
        "log-probabilities of padding receive a gradient, although nobody acted there",
        "is the mask shifted by one? if not, multiply by it after everything that can make padding "
        "non-zero",
    ),
    "wrong_sign": (
        "the gradient points the other way: descending this loss lowers the return",
        "put the minus in front of log π · G (or, for gradient ascent, keep it so)",
    ),
    "no_log": (
        "π stands where log π should: every step is weighted by π once more, and rare good actions "
        "are hardly learned",
        "take the logarithm of the probability",
    ),
    "log_smoothed": (
        "log(π + ε): actions of a probability near ε or below are hardly learned",
        "take log π from the logits, by log_softmax, where no ε is needed",
    ),
    "log_clamped": (
        "log π is cut at a bound: actions that are rarer, or surer, get no gradient at all",
        "take log π from the logits, by log_softmax, where nothing needs to be cut",
    ),
    "whole_return": (
        "every step has the return of the whole episode as weight: legal, usually noisier",
        "reward-to-go has less variance, usually (not always: notebook 02)",
    ),
    "past_rewards": (
        "the weight is what was earned up to t, discounted forwards: an action cannot change its "
        "past, so only r_t is left in expectation",
        "run the recursion G = r + γG backwards in time",
    ),
    "next_return": (
        "the weight is G_{t+1}, one step late: an action does not see its own reward",
        "the weight of step t starts with r_t",
    ),
    "previous_return": (
        "the weight is G_{t−1}, one step early: each action is credited with its predecessor's "
        "return",
        "log π and the return of a step stand at the same place: no [1:] on one of them alone",
    ),
    "immediate_reward": (
        "the weight is r_t alone: nothing is learned about consequences (it is γ = 0)",
        "use the reward-to-go; or were rewards handed in where your function expects returns?",
    ),
    "returns_from_start": (
        "the first n − t rewards stand in for the last n − t: rewards[k] for rewards[t + k]",
        "mend the index",
    ),
    "centred_per_episode": (
        "the episode's own mean return is taken off, which depends on its own actions; where "
        "r = γ = 1 it costs half of ∇J",
        "take off a number fixed before the episode, or one from other episodes",
    ),
    "standardised_per_episode": (
        "returns are centred and divided by their standard deviation; where all rewards are "
        "alike it grows with n: a hidden 1/n",
        "divide by one number for many episodes, or not at all",
    ),
    "centred_over_batch": (
        "the mean return of all steps of the batch is taken off, which includes each step's own",
        "a baseline from other episodes is unbiased; with many episodes this comes near it",
    ),
    "standardised_over_batch": (
        "returns are centred and divided by the deviation over all steps of the batch: the step's "
        "size no longer depends on the scale of the rewards; biased, less so for large batches",
        "keep it if that is what you want; no longer ∇J",
    ),
    "scaled_over_batch": (
        "returns are divided by their deviation over all steps of the batch, which depends on "
        "these very episodes: the step no longer follows the scale of the rewards; biased",
        "divide by a number that earlier batches have fixed",
    ),
    "centred_with_padding": (
        "the mean that is taken off counts the padding's zeros, so it depends on the lengths",
        "take it over the real steps, returns[mask], or better from other episodes",
    ),
    "rewards_centred": (
        "the mean reward of the batch is taken off every reward: each step is then worth something "
        "by itself, and episodes of another length are sought",
        "leave the rewards as they are; take a baseline off the returns",
    ),
    "rewards_standardised": (
        "the batch's rewards are centred and divided by their deviation before they are added up: "
        "each step is then worth something by itself",
        "divide by a number for many batches, and do not shift rewards",
    ),
    "next_reward": (
        "the weight is r_{t+1} alone, the reward of the next step",
        "use the reward-to-go, which starts with r_t",
    ),
    "last_reward": (
        "every step is weighted by the last reward of its episode: right where all others are 0",
        "use the return, if earlier steps pay as well",
    ),
    "discounted_again": (
        "rewards are discounted from the start, and then on the way back once more",
        "discount once",
    ),
    "standardised_with_padding": (
        "mean and deviation are taken over the padding's zeros as well",
        "take them over the real steps: returns[mask]",
    ),
    "centred_over_tokens": (
        "the whole return, repeated at each step, less its mean over all steps of the batch: long "
        "episodes count more in that mean",
        "take the mean over the episodes, or a baseline from other episodes",
    ),
    "standardised_over_tokens": (
        "the whole return, repeated at each step, is centred and divided by its deviation over all "
        "steps of the batch (whitening as of REINFORCE++): long episodes count more in both",
        "keep it if that is what you want; no longer ∇J",
    ),
    "centred_per_time": (
        "from G_t the mean over the batch's episodes at that t is taken off, each one's own "
        "included: a part of the signal, more where fewer episodes are alive",
        "leave the own episode out of the mean",
    ),
    "standardised_per_time": (
        "G_t is centred and divided by the deviation over the batch's episodes at that t: every "
        "time step counts alike, whatever is at stake there",
        "leave the own episode out of the mean, and do not divide by a deviation of few",
    ),
    "group_centred": (
        "the whole return less the mean of the batch, its own included: (1 − 1/B) ∇J where summed",
        "nothing, or leave the own return out",
    ),
    "group_centred_to_go": (
        "reward-to-go less the batch's mean of whole returns, its own included: (1 − 1/B) ∇J at "
        "γ = 1 where summed; at γ < 1 a mixture",
        "leave the own return out",
    ),
    "group_standardised": (
        "the whole return less the mean of the batch, divided by its deviation (GRPO's advantage): "
        "an objective of its own",
        "keep it if that is what you want; Dr. GRPO leaves the deviation out",
    ),
    "leave_one_out": (
        "the whole return less the mean of the other episodes: unbiased where summed",
        "nothing",
    ),
    "leave_one_out_to_go": (
        "reward-to-go less the mean of the other episodes: unbiased where summed",
        "nothing",
    ),
    "leave_one_out_if_any": (
        "reward-to-go less the mean of the other episodes that are not over, and 0 where there are "
        "none: late steps of long episodes lose their weight",
        "where no other episode speaks, take off 0 and keep the return",
    ),
    "time_baseline": (
        "from each return a number is taken off that depends on γ and the time t alone: legal with "
        "the sum; divided by n or N it is not",
        "nothing with the sum, if the numbers are fixed before the batch is drawn",
    ),
    "others_baseline": (
        "from each return a number is taken off that depends on other episodes alone: legal with "
        "the sum; divided by n or N it is not",
        "nothing with the sum",
    ),
    "state_baseline": (
        "from each return a number is taken off that does not change with what the episode does: "
        "legal with the sum, if it is made from what is known before the action, as V(s) is",
        "nothing with the sum",
    ),
    "entropy_bonus": (
        "beside the returns stands a term that does not depend on them and raises the entropy, as "
        "a bonus does, or a KL to a flat policy",
        "nothing, if intended: allow=('entropy_bonus',); it is not in ∇J",
    ),
    "entropy_penalty": (
        "beside the returns stands a term that does not depend on them and lowers the entropy: a "
        "bonus or a KL with the wrong sign",
        "turn its sign round: the loss takes the entropy off, and adds the KL",
    ),
    "idle_term": (
        "beside the returns stands a term whose expectation is 0, as that of the mean of −log π of "
        "the actions taken: noise, and neither a bonus nor a KL",
        "for an entropy bonus differentiate the entropy itself, Σ_a π log π, of every state",
    ),
    "other_term": (
        "beside the returns stands a term that does not depend on them",
        "nothing, if intended: allow=('other_term',); it is not in ∇J",
    ),
    "softmax_over_time": (
        "log π is sent through a softmax once more, over the time: it is normalised over the wrong "
        "axis, or was a log-probability already",
        "one log_softmax, of the logits, over the actions: dim=-1 before the action is picked",
    ),
    "softmax_over_episodes": (
        "log π is sent through a softmax once more, over the episodes: it is normalised over the "
        "wrong axis, or was a log-probability already",
        "one log_softmax, of the logits, over the actions: dim=-1 before the action is picked",
    ),
    "clipped": (
        "what stands for the return is cut at a bound: beyond it all outcomes count alike",
        "scale instead, by a number for many batches; or keep it, if that is what you want",
    ),
    "rewards_clipped": (
        "rewards are cut before they are added up: another objective, that of the cut rewards",
        "keep it if that is what you want; it is not ∇J",
    ),
    "function_of_return": (
        "the weight is a function of the return that is not the return itself: another objective, "
        "as if that function of the return were paid",
        "use the return; a scale or a baseline keeps the direction, a bent curve does not",
    ),
    "function_of_rewards": (
        "each reward is sent through a function before the rewards are added up: another "
        "objective, that of these other rewards",
        "keep it if that is what you want; it is not ∇J",
    ),
    "other_discount": (
        "the weight is a sum of the episode's rewards, but a reward that comes later counts "
        "otherwise than γ to the power of its delay, as of a return that is cut after some steps",
        "discount once, by γ: G = r + γG; or, if this is meant, it is not ∇J",
    ),
    "softmax_of_returns": (
        "the returns are sent through a softmax: weights that are all positive and add to 1, "
        "whatever was earned",
        "softmax belongs to the logits; the weight is the return itself",
    ),
    "divided_by_largest": (
        "returns are divided by the largest one of the batch, of the episode or of the time step, "
        "which depends on these very episodes; biased",
        "divide by a number that earlier batches have fixed",
    ),
    "scaled_to_range": (
        "returns are moved and stretched to lie between 0 and 1: the smallest one of the batch or "
        "the episode weighs nothing, whatever it is; biased",
        "divide by a number that earlier batches have fixed",
    ),
    "mean_to_go": (
        "G_t is divided by the number of steps that are left, which is random and depends on the "
        "action: reward per step, not reward",
        "weigh the step by the return itself",
    ),
    "rescaled_per_batch": (
        "the steps of a batch are in proportion, but each batch has a factor of its own that "
        "follows rewards or log π: batches are weighed against each other, and in general that is "
        "biased",
        "let no number in front depend on the batch that is being learned from",
    ),
    "rescaled_per_episode": (
        "the steps of an episode are in proportion, but each episode has a factor of its own that "
        "follows rewards or log π, as after a max, a median or a logsumexp over episodes: in "
        "general that is biased",
        "average over the episodes, with the same weight for each",
    ),
    "one_weight_per_episode": (
        "all steps of an episode have one weight, which follows rewards or log π but is not the "
        "return of the episode",
        "use the return of the episode, or the reward-to-go of each step",
    ),
    "leaking_critic": (
        "the policy's part of the loss has a gradient for another tensor too, such as a critic: "
        "it is pushed away from the returns, where the policy gains by that",
        "detach it: (returns − values.detach()); its own loss is another term",
    ),
    "leaking_coefficient": (
        "a number that stands in front of the loss, or of a term of it, has a gradient: as a "
        "coefficient of the entropy or a temperature it grows or shrinks on and on, for nothing "
        "in this loss holds it",
        "detach it here: (coefficient.detach() · term); if it is to learn, as in SAC, its own loss "
        "holds the target",
    ),
    "clip_exchanged": (
        "the clip stops the wrong side: min and max are exchanged. On its own data, where every "
        "ratio is 1, nothing shows",
        "the loss is −min(ratio · A, clip(ratio) · A), or max of the two with their minus",
    ),
    "clip_without_min": (
        "no gradient wherever the ratio is beyond a bound, on the side as well from which it "
        "should come back. On its own data, where every ratio is 1, nothing shows",
        "take the smaller of ratio · A and clip(ratio) · A",
    ),
    "ratio_inverted": (
        "the ratio stands upside down, π_old/π. On its own data, where every ratio is 1, nothing "
        "shows but its sign",
        "exp(logp − old_logp)",
    ),
    "ratio_squared": (
        "the ratio enters twice. On its own data, where every ratio is 1, nothing shows",
        "multiply by it once",
    ),
    "ratio_root": (
        "the root of the ratio enters. On its own data, where every ratio is 1, nothing shows",
        "exp(logp − old_logp)",
    ),
    "same_expectation": (
        "none of the losses that the detective knows; step by step it is not the sum, but its "
        "exact expectation is right on every process listed. A baseline from time or from other "
        "episodes does that. So does a mistake that these processes cannot show, such as a clip "
        "at a number above their returns",
        "if it is a baseline: nothing; in a test suite, allow=('same_expectation',)",
    ),
    "constant_baseline": (
        "a constant is taken off the weight: legal with the sum; divided by n or N it is not. "
        "± β · mean(−log π) of the actions taken is the same: in expectation it is nothing, and "
        "raises no entropy",
        "",
    ),
    "sum_of_returns": (
        "every step is weighted by the returns of all steps, added up",
        "weigh each step by its own return",
    ),
    "mean_logp_times_sum_return": (
        "the mean of log π times the sum of the returns: each step has the returns of all steps as "
        "weight, over n; where r = γ = 1 that is half of ∇J, so it learns CartPole",
        "multiply step by step, then add",
    ),
    "batch_return": (
        "every step of the batch has one weight, the sum or the mean of all returns: mean(log π) · "
        "sum(G), or (N,) times (N, 1), which broadcasts to (N, N)",
        "multiply step by step: give both the same shape",
    ),
    "reward_missing": (
        "no reward enters: the weight is the same at every step of an episode",
        "multiply log π by the return",
    ),
    "gamma_missing": (
        "γ is not used: right at γ = 1 alone, as for a language model's answers",
        "discount: G = r + γG; or, if 1 is meant, audit(loss, gamma=1)",
    ),
    "gamma_fixed": (
        "one γ stands in the code and is used whatever γ is asked for: right where it is the γ you "
        "want",
        "use the argument; or, if the number is meant, audit(loss, gamma=that number)",
    ),
    "gamma_twice": ("discounted by γ² where γ was asked for", "discount once"),
    "gamma_to_the_t": (
        "γ^t stands in front of step t, which most programs drop",
        "nothing, if ∇J_γ from the first state is wanted: with reward-to-go this is exact",
    ),
    "unknown": (
        "this is none of the losses that the detective knows",
        "compare the weights under evidence with the sum's, step by step: which rewards are in?",
    ),
}
# What may go wrong before there is anything to compare.
SIGNATURES = ("", "wrap it in a function that takes just these arguments, in this order")
FUNCTION = ("", "hand over the function itself, without calling it; a plain one, not async")
TROUBLES: dict[str, tuple[str, str]] = {
    "raises": (
        "",
        "call it yourself: from coursekit import detective; "
        "my_loss(*detective.example(0)), with the number of the batch that is named",
    ),
    "not_callable": FUNCTION,
    "wrong_signature": SIGNATURES,
    "not_a_tensor": (
        "",
        "return the scalar tensor itself, nothing beside it: no .item(), no .numpy(), no tuple",
    ),
    "not_scalar": ("", "reduce over both axes, so that one number is left"),
    "detached": (
        "",
        "it is a constant, or .detach(), torch.no_grad(), torch.tensor(…) or NumPy cut the graph "
        "between log π and the loss; keep log π a tensor all the way",
    ),
    "no_gradient": ("", "let the loss contain log π · G"),
    "nan": (
        "",
        "look for 0/0 (equal returns; torch.std of one value, which divides by n − 1 = 0) and for "
        "log 0; guard the division",
    ),
    "changes_inputs": ("", "work on a copy: logp.clone(), rewards.clone(), mask.clone()"),
    "not_repeatable": (
        "",
        "a loss must be a function: no random numbers, no state kept between calls",
    ),
}
LOSSES |= TROUBLES

# Gradients at the logits.
GRADIENTS: dict[str, tuple[str, str]] = {
    "p_minus_onehot": ("(p − onehot) · weight: the gradient of −weight · log π at the logits", ""),
    "elementwise_softmax": (
        "only the chosen logit gets a gradient: the softmax was differentiated as if each output "
        "had its own input. With two actions it is half the right gradient in the difference of "
        "the logits, so CartPole hides it",
        "use p − onehot, or the full Jacobian diag(p) − p pᵀ",
    ),
    "no_log": (
        "weight · ∇π: a one-hot vector sent back through the softmax, without 1/π",
        "send onehot/p through the Jacobian, or write p − onehot at the logits",
    ),
    "elementwise_no_log": (
        "weight · π(1 − π) on the chosen logit: no log, and the softmax element by element",
        "use p − onehot",
    ),
    "jacobian_missing": (
        "onehot/p is the derivative with respect to p; it was used at the logits",
        "multiply it by the softmax Jacobian: onehot − p is what comes out",
    ),
    "onehot_as_gradient": ("the one-hot vector was used at the logits", "subtract p: onehot − p"),
    "probabilities_backpropagated": (
        "weight · J p: all probabilities were sent back; the action taken does not occur",
        "send onehot/p back: only the chosen probability enters log π(a|s)",
    ),
    "log_probabilities_backpropagated": (
        "weight · J log p: all log-probabilities were sent back as if they were derivatives",
        "send the derivative back, onehot/p, not the value",
    ),
    "chosen_probability_backpropagated": (
        "weight · J (p · onehot): the value π(a|s) was sent back where its derivative belongs",
        "send the derivative of log π back: onehot/p",
    ),
    "argmax_for_sample": (
        "the likeliest action stands where the action taken belongs: what was done does not enter",
        "store the action that was drawn, and take log π of that one",
    ),
    "weight_absolute": (
        "the weight enters without its sign: what went badly is made likelier too",
        "multiply by the weight as it is",
    ),
    **{
        f"action_{way}_one": (
            f"the one-hot vector is that of the action {word}: the index is off by one",
            "onehot[action] = 1, with the action as it is given",
        )
        for way, word in (("less", "before the one taken"), ("plus", "after the one taken"))
    },
    "softmax_wrong_axis": (
        "the probabilities are all 1, as of a softmax over an axis of length 1: onehot − 1 for "
        "onehot − p",
        "softmax over the actions: dim=-1",
    ),
    "softmax_twice": ("the softmax is applied to probabilities once more", "hand over the logits"),
    "weight_missing": ("no return enters: p − onehot", "multiply by the weight"),
    "wrong_scale": (
        "a constant factor, the same in every step",
        "leave constants to the reduction or to the rate, where they can be seen",
    ),
    "wrong_sign": (
        "it points the other way: descending it makes actions of positive weight rarer",
        "the loss's gradient is (p − onehot) · weight; (onehot − p) · weight is for ascent",
    ),
    "unknown": (
        "this is none of the gradients that the detective knows",
        "compare it with autograd's, of −weight · log_softmax(logits)[action], on three actions",
    ),
    "raises": (
        "",
        "call it yourself: from coursekit import detective; "
        'my_gradient(*detective.example(0, "gradient"))',
    ),
    "not_callable": FUNCTION,
    "wrong_signature": SIGNATURES,
    "not_a_vector": ("", "return one real number for each logit, in an array of shape (A,)"),
    "no_gradient": ("", "return (p − onehot) · weight: is the weight, or the action, left out?"),
    "nan": ("", "subtract the largest logit before exp; look for log 0 and for division by p = 0"),
    "changes_inputs": ("", "work on a copy: logits = logits.copy()"),
    "not_repeatable": ("", "no random numbers, no state kept between calls"),
}

# Gaussian policies.
GAUSSIAN: dict[str, tuple[str, str]] = {
    "gaussian": ("log π reaches the mean and the deviation, with the action held fixed", ""),
    "action_not_detached": (
        "the action is part of the graph, as rsample leaves it: where the mean moves, the action "
        "moves with it, and log π of it does not change. The mean gets no gradient at all",
        "take sample(), or action.detach(), before log π is computed",
    ),
    "deviation_without_gradient": (
        "the deviation gets no gradient: it is a constant, or detached",
        "nothing, if the deviation is meant to be fixed",
    ),
    "variance_for_deviation": (
        "the variance was handed over where the deviation is asked for, or the other way round",
        "Normal(mean, std) takes the deviation",
    ),
    "density_for_log": ("the density stands where its log should", "take the logarithm"),
    "mean_over_components": (
        "the mean over the action's components, where log π is their sum",
        "add up the components: log_prob(action).sum(-1)",
    ),
    "action_not_drawn": (
        "the action is the same whenever mean and deviation are, such as the mean itself or a draw "
        "from a seed that is set anew: nothing is explored, and in expectation nothing learned",
        "draw it: Normal(mean, std).sample(), with a generator that goes on",
    ),
    "unknown": (
        "this is none of the derivatives that the detective knows",
        "compare with autograd's, of Normal(mean, std).log_prob(action.detach()).sum(-1); a "
        "squashed action (tanh) is taken before it is squashed",
    ),
    "raises": (
        "",
        "return the action and its log π, two tensors; call it yourself: from coursekit import "
        'detective; my_policy(*detective.example(0, "gaussian"))',
    ),
    "wrong_scale": ("a constant factor, the same everywhere", "leave constants to the rate"),
    "wrong_sign": ("minus log π was returned", "return log π itself"),
    "wrong_shape": ("", "draw one number for each component of the mean"),
    "no_gradient": ("", "compute log π from the tensors that were handed over, without detach"),
    "nan": ("", "is the deviation above 0? take softplus or exp of what the network gives"),
    "not_callable": FUNCTION,
    "wrong_signature": SIGNATURES,
}

# Updates.
UPDATES: dict[str, tuple[str, str]] = {
    "sum": (
        "θ moves by lr times the gradient of the sum: added over steps, averaged over episodes",
        "",
    ),
    "step_in_loop": (
        "the optimiser steps after each step's loss; later losses see moved parameters",
        "call backward in the loop, the optimiser once, after it",
    ),
    "step_per_episode": (
        "the optimiser steps after each episode's loss; later episodes see moved parameters, and "
        "the steps add up to B times the average",
        "divide each episode's loss by B, call backward for each, the optimiser once, after them",
    ),
    "softmax_over_states": (
        "the probabilities are normalised over the states, not over the actions",
        "log_softmax(theta[obs], dim=-1)",
    ),
    "softmax_over_time": (
        "the probabilities are normalised over the time, not over the actions",
        "log_softmax(theta[obs], dim=-1)",
    ),
    "softmax_over_episodes": (
        "the probabilities are normalised over the episodes, not over the actions",
        "log_softmax(theta[obs], dim=-1)",
    ),
    "argmax_for_sample": (
        "the likeliest action stands where the action taken belongs: what was done does not enter",
        "take log π of batch.actions, the actions that were drawn",
    ),
    "last_step_only": (
        "only the last step of the last episode moves the parameters: .grad is cleared on the way",
        "call zero_grad once, before the loop",
    ),
    "wrong_scale": (
        "the right direction at the wrong size: every update is the same factor times too long",
        "compare the rate that the optimiser was given with the one you meant",
    ),
    "rate_ignored": (
        "the right direction, but the rate that was asked for does not enter",
        "hand the rate to the optimiser",
    ),
    "rate_misused": (
        "the right direction; the size does not grow in proportion to the rate that was asked for, "
        "but is the same for every batch: a power of the rate, or a bound on it",
        "hand the rate to the optimiser as it is",
    ),
    "rescaled_per_batch": (
        "each batch moves along its own gradient, at a size that changes from batch to batch: "
        "clipping, a normalised gradient, or a divisor that is not the same in every batch. Then "
        "the expectation no longer has the direction of ∇J",
        "intended? then compare programs by their clipped steps",
    ),
    "sign_of_gradient": (
        "every parameter moves by the same amount: Adam's first step, or a sign",
        "audit with plain SGD; a step of Adam shows nothing about the size of the loss",
    ),
    "weight_decay": (
        "the parameters are also pulled towards zero",
        "nothing, if intended; then the scale of the loss matters, for every optimiser",
    ),
    "no_update": (
        "the parameters did not move",
        "does the optimiser own these very tensors? is the order zero_grad, backward, step, with "
        "nothing that clears .grad before step?",
    ),
    "gradients_left_over": (
        "gradients of an earlier call are still in .grad, and are added to the new ones",
        "call zero_grad before each backward that is followed by a step",
    ),
    "unknown": (
        "the move is none that the detective knows",
        "print θ before and after one batch, and the gradient by autograd: which entry is off?",
    ),
    "raises": (
        "",
        "call it yourself: from coursekit import detective; "
        'my_update(*detective.example(0, "update"))',
    ),
    "not_callable": FUNCTION,
    "wrong_signature": SIGNATURES,
    "wrong_shape": ("", "return {'theta': new} with the new theta in the shape of the old one"),
    "nan": ("", "look for division by 0 and log 0 in the loss, and for a rate that is infinite"),
    "changes_inputs": ("", "work on a copy of the batch: batch.rewards.clone()"),
    "not_repeatable": (
        "the same batch from the same θ moves it otherwise: random numbers, or state that is kept, "
        "such as momentum",
        "make the optimiser inside the function, without momentum",
    ),
}
UPDATES = LOSSES | UPDATES
