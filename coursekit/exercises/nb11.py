"""Exercises of notebook 11: a Gaussian's log-density, GAE backwards, a potential left over."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def logp(mean, log_std, action):
    eps = (action - mean) / np.exp(log_std)
    return -(0.5 * eps**2 + log_std + HALF_LOG_2PI).sum()


def of_width(mean, log_std, action):
    return ((action - mean) / np.exp(log_std)) ** 2 - 1


def logp_without_log_std(mean, log_std, action):
    return logp(mean, log_std, action) + log_std.sum()


def logp_without_constant(mean, log_std, action):
    return logp(mean, log_std, action) + HALF_LOG_2PI * len(mean)


def logp_mean(mean, log_std, action):
    return logp(mean, log_std, action) / len(mean)


def logp_sigma_is_log_std(mean, log_std, action):
    eps = (action - mean) / log_std
    return -(0.5 * eps**2 + log_std + HALF_LOG_2PI).sum()


def gae(rewards, values, last_value, terminated, gamma, lam):
    return gae_towards(rewards, values, 0.0 if terminated else last_value, gamma, lam)


def gae_towards(rewards, values, beyond, gamma, lam):
    rewards = np.asarray(rewards, float)  # or whole numbers, where all are, cut off
    advantages, A = rewards + gamma * np.append(values[1:], beyond) - values, 0.0
    for t in reversed(range(len(rewards))):
        advantages[t] = A = advantages[t] + gamma * lam * A
    return advantages


def gae_merged(rewards, values, last_value, terminated, gamma, lam):
    return gae_towards(rewards, values, 0.0, gamma, lam)


def gae_always_beyond(rewards, values, last_value, terminated, gamma, lam):
    return gae_towards(rewards, values, last_value, gamma, lam)


def gae_lambda_alone(rewards, values, last_value, terminated, gamma, lam):
    beyond = 0.0 if terminated else last_value
    rewards = np.asarray(rewards, float)
    advantages, A = rewards + gamma * np.append(values[1:], beyond) - values, 0.0
    for t in reversed(range(len(rewards))):
        advantages[t] = A = advantages[t] + lam * A
    return advantages


def surprises(rewards, values, last_value, terminated, gamma, lam):
    return gae(rewards, values, last_value, terminated, gamma, 0.0)


def gae_target(rewards, values, last_value, terminated, gamma, lam):
    return gae(rewards, values, last_value, terminated, gamma, lam) + values


def a_gaussian(rng):
    A = draws.length(rng, 1, 4)
    mean, action = (draws.numbers(rng, A).astype(float) for _ in range(2))
    log_std = rng.integers(-8, 9, A) / 8 * rng.choice([1, 1, 1, 8])
    return mean, log_std, action


def far_ones():
    """Narrow and wide bells, and an action of forty deviations."""
    return [
        (np.array([0.5, 1.0]), np.array([-3.0, 3.0]), np.array([0.6, 9.0])),
        (np.array([0.0]), np.array([-20.0]), np.array([2e-9])),
        (np.array([0.0, 1.0]), np.array([0.0, 0.5]), np.array([40.0, 2.0])),
    ]


def an_episode(rng):
    rewards, values = (draws.numbers(rng, T := draws.length(rng)), draws.numbers(rng, T))
    ends = bool(rng.integers(2))
    return rewards, values, draws.number(rng), ends, draws.fraction(rng), draws.fraction(rng)


def episodes():
    rewards, values = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, -1.0])
    return [
        (rewards.copy(), values.copy(), 7.0, True, 0.5, 0.5),
        (rewards.copy(), values.copy(), 2.0, False, 0.5, 0.5),
        (np.array([-1.0, -1.0, 4.0, 2.0]), np.array([0.3, -2.0, 1.5, 0.7]), -3.0, False, 0.9, 0.8),
        (np.array([1, 2, 3]), np.array([1, 0, 2]), 4, False, 0.5, 0.5),
        (np.array([2.0]), np.array([0.5]), 4.0, False, 0.5, 0.9),
        (np.array([2.0]), np.array([0.5]), 4.0, True, 0.5, 0.9),
        (rewards.copy(), values.copy(), 2.0, False, 1.0, 1.0),
        (rewards.copy(), values.copy(), 2.0, False, 0.0, 1.0),
        (rewards.copy(), values.copy(), 2.0, False, 1.0, 0.0),
        (np.array([1, 2, 3]), np.array([1, 0, 2]), 4, False, 1, 0.5),
        (draws.long(), draws.long()[::-1] / 2, 4.0, False, 0.02, 0.9),
    ]


EXERCISES = {
    "11.1": Exercise(
        solution=logp,
        takes=(
            "mean: array (A,) of floats, A ≥ 1\n"
            "log_std: array (A,) of floats\n"
            "action: array (A,) of floats"
        ),
        edges=lambda: [
            (np.array([1.0]), np.array([-0.5]), np.array([2.0])),
            (np.array([0.3, -1.0, 2.0]), np.array([0.4, -0.2, 0.1]), np.array([1.0, 0.5, 1.5])),
            (np.array([0.0, 2.0]), np.array([0.0, 0.0]), np.array([0.0, 2.0])),
            *far_ones(),
        ],
        draw=a_gaussian,
        wrong={
            "log σ itself is missing: a narrow bell is a high bell": logp_without_log_std,
            "the constant ½ log 2π is missing, once for each axis; gradients do not notice, "
            "densities do": logp_without_constant,
            "add over the axes; a mean is one more hidden factor": logp_mean,
            "log_std is the logarithm: σ = exp(log_std)": logp_sigma_is_log_std,
            "the sign: this is minus the log-density": lambda *args: -logp(*args),
        },
    ),
    "11.2": Exercise(
        solution=gae,
        takes=(
            "rewards: array (T,), whole numbers or floats, T ≥ 1\n"
            "values: array (T,), whole numbers or floats\n"
            "last_value: a number\n"
            "terminated: True or False\n"
            "gamma, lam: numbers from 0 to 1"
        ),
        edges=episodes,
        draw=an_episode,
        wrong={
            "the time limit is treated like a true end; after truncation the next value is "
            "last_value": gae_merged,
            "after a true end there is nothing: last_value counts only after truncation": (
                gae_always_beyond
            ),
            "the memory is γλ, not λ alone": gae_lambda_alone,
            "these are the surprises δ_t; now A_t = δ_t + γλ A_{t+1}": surprises,
            "this is the critic's target A_t + V(s_t); the advantage leaves V(s_t) off": gae_target,
        },
    ),
    "11.3": Exercise(
        solution=-198.7,
        wrong={
            "that is the faithful one, with 0 at the limit; here the potential was left over": -199,
            "that is the unshaped return": -200,
            "the first potential is subtracted, and it is −1": -200.7,
            "the first potential is missing": -199.7,
        },
    ),
    "11.4": Exercise(
        solution=of_width,
        takes=(
            "mean: array (A,) of floats, A ≥ 1\n"
            "log_std: array (A,) of floats\n"
            "action: array (A,) of floats"
        ),
        edges=lambda: [
            (np.array([1.0]), np.array([-0.5]), np.array([2.0])),
            (np.array([0.3, -1.0, 2.0]), np.array([0.4, -0.2, 0.1]), np.array([1.0, 0.5, 1.5])),
            (np.array([0.0, 2.0]), np.array([0.0, 0.0]), np.array([0.0, 2.0])),
            *far_ones(),
        ],
        draw=a_gaussian,
        wrong={
            "that is the function as it stands: −log σ has a derivative as well": (
                lambda mean, log_std, action: of_width(mean, log_std, action) + 1
            ),
            "the sign is that of the term −log σ: it pulls the width in": (
                lambda mean, log_std, action: of_width(mean, log_std, action) + 2
            ),
            "that is with respect to σ; for log σ multiply by σ": (
                lambda mean, log_std, action: of_width(mean, log_std, action) / np.exp(log_std)
            ),
            "that is the score of the mean": (
                lambda mean, log_std, action: (action - mean) / np.exp(2 * log_std)
            ),
            "the other way round: a far action widens the bell": (
                lambda mean, log_std, action: -of_width(mean, log_std, action)
            ),
            "one number for each axis: do not add them up": (
                lambda mean, log_std, action: of_width(mean, log_std, action).sum()
            ),
        },
    ),
}
