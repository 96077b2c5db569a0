"""What ``audit_update`` says: name -> (what it means, what to do). Data, nothing else."""

from __future__ import annotations

from coursekit.detective.sentences import FUNCTION, LOSSES, SIGNATURES

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
        "the right direction; the size changes from batch to batch: clipping, a normalised "
        "gradient, or a divisor that is not the same in every batch",
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
        "call it yourself: from coursekit.detective import casebook; "
        "my_update(*casebook.update_example())",
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
