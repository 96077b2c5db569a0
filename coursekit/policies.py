"""Stochastic policies in torch, as functions of a dict of parameters. float64.

Axes: ``B`` episodes, ``T`` time, ``O`` observation, ``A`` action; any leading axes will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from coursekit import guards

Params = dict[str, Tensor]
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}
LOG_2PI = math.log(2 * math.pi)


def init_layers(rng: np.random.Generator, sizes: tuple[int, ...]) -> Params:
    """Weights and biases of a network of these widths, uniform on ±1/√(fan-in).

    Layer by layer, weight before bias, as in ``torch.nn.Linear``: w0 (out, in), b0 (out,), w1, …
    ValueError for an rng that is no NumPy generator.
    """
    guards.instance("rng", rng, np.random.Generator, "np.random.default_rng(0)")
    params = {}
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        bound = 1 / fan_in**0.5
        for name, shape in ((f"w{k}", (fan_out, fan_in)), (f"b{k}", (fan_out,))):
            params[name] = torch.tensor(rng.uniform(-bound, bound, shape), requires_grad=True)
    return params


def network(params: Params, obs: Tensor, layers: int, activation: str) -> Tensor:
    """``layers`` affine maps with the activation between them; (…, O) -> (…, outputs).

    ValueError for observations of another width than the first layer's.
    """
    guards.instance("w0", params.get("w0"), Tensor, "policy.init(rng)['w0']")
    layer, weights = torch.as_tensor(obs, dtype=params["w0"].dtype), params["w0"].shape
    if layer.shape[-1:] != weights[1:]:
        raise ValueError(f"obs have shape {tuple(layer.shape)}; the last axis must be {weights[1]}")
    for k in range(layers):
        layer = layer @ params[f"w{k}"].T + params[f"b{k}"]
        if k < layers - 1:
            layer = ACTIVATIONS[activation](layer)
    return layer


def logp_from_logits(logits: Tensor, action: Tensor) -> Tensor:
    """log π(a|s) = logits_a − log Σ_b exp logits_b; (…, A), (…) -> (…).

    ValueError for actions of another shape, and for one outside 0 … A−1.
    """
    logits, action = torch.as_tensor(logits), torch.as_tensor(action)
    if action.shape != logits.shape[:-1]:
        raise ValueError(
            f"actions have shape {tuple(action.shape)}; logits of shape {tuple(logits.shape)} "
            f"need {tuple(logits.shape[:-1])}"
        )
    try:  # torch looks at the values: a look of our own would stop torch.func.vmap
        return torch.log_softmax(logits, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)
    except RuntimeError as error:
        last = logits.shape[-1] - 1
        raise ValueError(f"actions must be whole numbers from 0 to {last}, not {action}") from error


def draw(logits: Tensor, u: float) -> int:
    """The action drawn by inverse CDF from one uniform number u in [0, 1); (A,) -> int.

    min {a : Σ_{b≤a} π(b) > u}. ValueError for logits that are no vector, a NaN, u outside [0, 1).
    Devroye 1986, section III.2.
    """
    guards.number("u", u)
    logits = torch.as_tensor(logits, dtype=torch.float64)
    below = torch.softmax(logits, -1).cumsum(-1)  # the probability of this action or one before it
    if logits.ndim != 1 or not len(logits) or not 0 <= u < 1 or math.isnan(below[-1]):
        raise ValueError(f"logits {logits} must be (A,) without NaN, and u {u} in [0, 1)")
    return int((below[:-1] <= u).sum())


def _sizes(policy: SoftmaxPolicy | GaussianPolicy, outputs: str) -> None:
    """ValueError where a network of these sizes cannot be."""
    guards.count("obs_size", policy.obs_size)
    guards.count(outputs, getattr(policy, outputs))
    guards.widths("hidden", policy.hidden)
    guards.one_of("activation", policy.activation, sorted(ACTIVATIONS))


@dataclass(frozen=True, kw_only=True)
class TablePolicy:
    """One logit for each state and action: π(a|s) = softmax(θ[s])_a. For the exact processes."""

    states: int
    actions: int

    def __post_init__(self) -> None:
        guards.count("states", self.states)
        guards.count("actions", self.actions)

    def init(self, rng: np.random.Generator) -> Params:
        """θ standard normal, as a leaf; {"theta": (S, A)}. ValueError for what is no generator."""
        guards.instance("rng", rng, np.random.Generator, "np.random.default_rng(0)")
        theta = rng.normal(size=(self.states, self.actions))
        return {"theta": torch.tensor(theta, requires_grad=True)}

    def logits(self, params: Params, obs: Tensor) -> Tensor:
        """θ[s]; (…) integer states -> (…, A). ValueError: no such state, θ of another shape."""
        obs = torch.as_tensor(obs)
        guards.instance("theta", theta := params.get("theta"), Tensor, "policy.init(rng)['theta']")
        if theta.shape != (self.states, self.actions):
            need = (self.states, self.actions)
            raise ValueError(f"theta has shape {tuple(theta.shape)}; this policy needs {need}")
        guards.below("obs", obs, self.states)
        return theta[obs]

    def logp(self, params: Params, obs: Tensor, action: Tensor) -> Tensor:
        """(…), (…) -> (…)."""
        return logp_from_logits(self.logits(params, obs), action)


@dataclass(frozen=True, kw_only=True)
class SoftmaxPolicy:
    """A small network whose output is the logits: π(a|s) = softmax(network(s))_a."""

    obs_size: int
    actions: int
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"

    def __post_init__(self) -> None:
        _sizes(self, "actions")

    def init(self, rng: np.random.Generator) -> Params:
        """The parameters of ``init_layers``, from the observation through ``hidden`` to logits."""
        return init_layers(rng, (self.obs_size, *self.hidden, self.actions))

    def logits(self, params: Params, obs: Tensor) -> Tensor:
        """(…, O) -> (…, A)."""
        return network(params, obs, len(self.hidden) + 1, self.activation)

    def logp(self, params: Params, obs: Tensor, action: Tensor) -> Tensor:
        """(…, O), (…) -> (…)."""
        return logp_from_logits(self.logits(params, obs), action)


@dataclass(frozen=True, kw_only=True)
class GaussianPolicy:
    """Real actions: a ~ N(m(s), σ²) on each of A axes, independent given the state.

    m is a small network, log σ one parameter an axis, the same in every state, 0 at the start.
    log π(a|s) = −Σ_j [ε_j²/2 + log σ_j + log(2π)/2] with ε = (a − m(s)) / σ. Williams 1992.
    """

    obs_size: int
    action_size: int
    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"

    def __post_init__(self) -> None:
        _sizes(self, "action_size")

    def init(self, rng: np.random.Generator) -> Params:
        """The parameters of ``init_layers`` for m(s), and log σ (A,), zero at first."""
        params = init_layers(rng, (self.obs_size, *self.hidden, self.action_size))
        log_std = torch.zeros(self.action_size, dtype=torch.float64, requires_grad=True)
        return params | {"log_std": log_std}

    def mean(self, params: Params, obs: Tensor) -> Tensor:
        """m(s); (…, O) -> (…, A)."""
        return network(params, obs, len(self.hidden) + 1, self.activation)

    def logp(self, params: Params, obs: Tensor, action: Tensor) -> Tensor:
        """(…, O), (…, A) -> (…). The action axes are added up here and nowhere else.

        ValueError for actions of another shape.
        """
        mean, action = self.mean(params, obs), torch.as_tensor(action)
        if action.shape != mean.shape:
            raise ValueError(
                f"actions have shape {tuple(action.shape)}; means of shape {tuple(mean.shape)} "
                "need the same (the last axis is the action's)"
            )
        noise = (action - mean) / params["log_std"].exp()
        return -(0.5 * noise**2 + params["log_std"] + 0.5 * LOG_2PI).sum(-1)

    def sample(self, params: Params, obs: Tensor, noise: np.ndarray) -> Tensor:
        """m(s) + σ ε, with ε standard normal from a NumPy generator; (…, O), (…, A) -> (…, A).

        ValueError for noise of another shape.
        """
        mean, noise = self.mean(params, obs), torch.as_tensor(noise)
        if noise.shape != mean.shape:
            raise ValueError(f"noise has shape {tuple(noise.shape)}; need {tuple(mean.shape)}")
        return (mean + params["log_std"].exp() * noise).detach()


def policy_for(env, hidden: tuple[int, ...] = (64,), activation: str = "relu") -> SoftmaxPolicy:
    """The softmax policy that fits a Gymnasium environment's spaces.

    Raises ValueError for an action space that is not Discrete or observations that are no vector.
    """
    if not hasattr(env, "action_space"):
        raise ValueError(f"env {env!r} must be an environment, such as rollout.make('CartPole-v1')")
    actions, obs, name = env.action_space, env.observation_space, getattr(env.spec, "id", env)
    # Discrete has n, no axes and a start; MultiBinary has an n too, but its actions are vectors.
    if not hasattr(actions, "n") or actions.shape or actions.start != 0:
        raise ValueError(
            f"the softmax policy chooses among actions 0 … A−1; {name} has {actions}. "
            "Use an environment with a Discrete action space, CartPole-v1 for example"
        )
    if obs.shape is None or len(obs.shape) != 1:
        raise ValueError(f"the policy reads a vector; {name} observes {obs}")
    guards.widths("hidden", hidden)
    return SoftmaxPolicy(
        obs_size=obs.shape[0], actions=int(actions.n), hidden=tuple(hidden), activation=activation
    )
