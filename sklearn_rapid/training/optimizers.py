"""Optimizers turn a gradient into a direction; schedules give the length of each step.

An optimizer holds hyperparameters only. Its state is made by `init`, passed to `direction` and
returned by it, so that training can be pickled, resumed and compared. The training loop makes the
step (see ``sklearn_rapid.training``).
"""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn_rapid.checks.compat import Count, Interval, ValidatedParameters

__all__ = ["SGD", "Adam", "ExponentialDecay", "LinearDecay", "Optimizer", "Schedule"]

Arrays = dict[str, Any]
# Float32 overflows beyond the first; floats do not hold all whole numbers beyond the second.
LARGEST_MOMENT, LARGEST_COUNT = 1e30, 2**53


class Optimizer(ValidatedParameters):
    """The interface of optimizers to the training loop; subclass it to add one."""

    scaled: bool = True

    def init(self, parameters: Arrays, xp: Any) -> Any:
        """Make the state before the first update: None or a dict.

        Names and shapes of its arrays must not change: training is resumed with the state that was
        left if they are the same, and with a new one otherwise.
        """
        raise NotImplementedError

    def direction(self, gradient: Arrays, state: Any, xp: Any) -> tuple[Arrays, Any]:
        """Return the direction of the next step, and the next state."""
        raise NotImplementedError


class Schedule(ValidatedParameters):
    """A learning rate for each epoch; subclass it to add one."""

    def at(self, epoch: int, max_iter: int) -> float:
        """Return the rate in that epoch of `max_iter`, epochs counted from zero."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient ascent, with or without momentum.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.0
        The factor of the last direction in the next.
    scaled : bool, default=True
        Whether the learning rate is measured in what a step does to the model's energies (see
        ``sklearn_rapid.training``). False multiplies the direction by the learning rate itself,
        as papers do; such a rate suits one size of model only.

    Examples
    --------
    >>> SGD(momentum=0.5)
    SGD(momentum=0.5)
    """

    _parameter_constraints: ClassVar[dict] = {
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "scaled": ["boolean"],
    }

    def __init__(self, momentum: float = 0.0, scaled: bool = True) -> None:
        self.momentum = momentum
        self.scaled = scaled

    def init(self, parameters: Arrays, xp: Any) -> Any:
        """Make the state before the first update."""
        if self.momentum == 0.0:
            return None
        return {"velocity": {name: xp.zeros_like(p) for name, p in parameters.items()}}

    def direction(self, gradient: Arrays, state: Any, xp: Any) -> tuple[Arrays, Any]:
        """Return the gradient, or its running sum with momentum."""
        if state is None:
            return gradient, None
        old = state["velocity"]
        velocity = {name: self.momentum * old[name] + g for name, g in gradient.items()}
        return velocity, {"velocity": velocity}


class Adam(Optimizer):
    """Adam: each element's gradient in units of its own size (Kingma and Ba 2015).

    Parameters
    ----------
    beta1 : float in [0, 1), default=0.9
    beta2 : float in [0, 1), default=0.999
    eps : float > 0, default=1e-8
    scaled : bool, default=True
        Whether the learning rate is measured in what a step does to the model's energies (see
        ``sklearn_rapid.training``). False multiplies the direction by the learning rate itself,
        as papers do; such a rate suits one size of model only.

    Examples
    --------
    >>> Adam(beta1=0.5)
    Adam(beta1=0.5)
    """

    _parameter_constraints: ClassVar[dict] = {
        "beta1": [Interval(Real, 0, 1, closed="left")],
        "beta2": [Interval(Real, 0, 1, closed="left")],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "scaled": ["boolean"],
    }

    def __init__(
        self,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        scaled: bool = True,
    ) -> None:
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.scaled = scaled

    def init(self, parameters: Arrays, xp: Any) -> Any:
        """Make the state before the first update."""
        moments = {name: (xp.zeros_like(p), xp.zeros_like(p)) for name, p in parameters.items()}
        return {"n_updates": 0, "moments": moments}

    def direction(self, gradient: Arrays, state: Any, xp: Any) -> tuple[Arrays, Any]:
        """Divide the first moment by the root of the second, both without their initial bias."""
        t = state["n_updates"] + 1
        correction1, correction2 = 1.0 - self.beta1**t, 1.0 - self.beta2**t
        moments, direction = {}, {}
        for name, g in gradient.items():
            m, s = state["moments"][name]
            m = self.beta1 * m + (1.0 - self.beta1) * g
            s = self.beta2 * s + (1.0 - self.beta2) * g * g
            moments[name] = (m, s)
            direction[name] = (m / correction1) / (xp.sqrt(s / correction2) + self.eps)
        return direction, {"n_updates": t, "moments": moments}


class ExponentialDecay(Schedule):
    """A learning rate that falls by a factor every epoch.

    ``max(floor, initial * factor ** max(0, epoch - start))``, epochs counted from zero.

    Parameters
    ----------
    initial : float > 0
    factor : float in (0, 1]
    floor : float >= 0, default=0.0
    start : int, default=0
        The epoch from which it falls.

    Examples
    --------
    >>> ExponentialDecay(0.5, 0.9, floor=0.1).at(epoch=2, max_iter=20)
    0.405
    """

    _parameter_constraints: ClassVar[dict] = {
        "initial": [Interval(Real, 0, None, closed="neither")],
        "factor": [Interval(Real, 0, 1, closed="right")],
        "floor": [Interval(Real, 0, None, closed="left")],
        "start": [Count(0)],
    }

    def __init__(
        self, initial: float = 1.0, factor: float = 0.9, floor: float = 0.0, start: int = 0
    ) -> None:
        self.initial = initial
        self.factor = factor
        self.floor = floor
        self.start = start

    def at(self, epoch: int, max_iter: int) -> float:
        """Return the rate in that epoch."""
        return max(self.floor, self.initial * self.factor ** max(0, epoch - self.start))


class LinearDecay(Schedule):
    """A learning rate that falls to zero in equal steps, one an epoch.

    ``initial * (1 - epoch / max_iter)``, epochs counted from zero. In `partial_fit` it stays at
    its initial value, unless `n_updates` says how many updates there will be.

    Parameters
    ----------
    initial : float > 0, default=0.25

    Examples
    --------
    >>> LinearDecay(0.5).at(epoch=5, max_iter=20)
    0.375
    """

    _parameter_constraints: ClassVar[dict] = {
        "initial": [Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, initial: float = 0.25) -> None:
        self.initial = initial

    def at(self, epoch: int, max_iter: int) -> float:
        """Return the rate in that epoch of `max_iter`."""
        return self.initial * (1.0 - epoch / max_iter)


class Constant(Schedule):
    """A constant learning rate, for which a plain number is shorthand."""

    _parameter_constraints: ClassVar[dict] = {"rate": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def at(self, epoch: int, max_iter: int) -> float:
        """Return the rate."""
        return float(self.rate)


BY_NAME = {"sgd": SGD, "adam": Adam}


def is_optimizer_state(state: Any) -> bool:
    """Whether it is a valid state of an optimizer of this package.

    Examples
    --------
    >>> import numpy as np
    >>> state = SGD(0.5).init({"W": np.zeros(3)}, np)
    >>> is_optimizer_state(state), is_optimizer_state({"velocity": 3})
    (True, False)
    """
    match state:
        case None:
            return True
        case {"velocity": dict(velocity), **rest} if not rest:
            return all(map(_is_bounded, velocity.values()))
        case {"n_updates": int(n), "moments": dict(moments), **rest} if not rest:
            is_count = not isinstance(n, bool) and 0 <= n < LARGEST_COUNT
            return is_count and all(map(_are_moments, moments.values()))
    return False


def _are_moments(pair: Any) -> bool:
    """Whether it is a first moment and a second one, which is not negative."""
    is_pair = isinstance(pair, tuple) and len(pair) == 2
    return is_pair and all(map(_is_bounded, pair)) and bool((pair[1] >= 0.0).all())


def _is_bounded(moment: Any) -> bool:
    """Whether it is an array of floats, none of them on its way to infinity."""
    is_array = getattr(getattr(moment, "dtype", None), "kind", "") == "f"
    return is_array and bool((abs(moment) <= LARGEST_MOMENT).all())
