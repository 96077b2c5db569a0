"""What ``audit_gradient`` says: name -> (what it means, what to do). Data, nothing else."""

from __future__ import annotations

from coursekit.detective.sentences import FUNCTION, SIGNATURES

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
        "call it yourself: from coursekit.detective import logit_suspects; "
        "my_gradient(*logit_suspects.logit_steps()[0])",
    ),
    "not_callable": FUNCTION,
    "wrong_signature": SIGNATURES,
    "not_a_vector": ("", "return one real number for each logit, in an array of shape (A,)"),
    "no_gradient": ("", "return (p − onehot) · weight: is the weight, or the action, left out?"),
    "nan": ("", "subtract the largest logit before exp; look for log 0 and for division by p = 0"),
    "changes_inputs": ("", "work on a copy: logits = logits.copy()"),
    "not_repeatable": ("", "no random numbers, no state kept between calls"),
}
