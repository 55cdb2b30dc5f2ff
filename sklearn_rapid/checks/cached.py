"""A cached property without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class cached_property:
    """Behave as `functools.cached_property` does from Python 3.12 on.

    Before 3.12, that has one lock for all instances: a process that is forked while another thread
    computes the property of any instance inherits the locked lock, and waits for ever.

    Examples
    --------
    >>> class Square:
    ...     side = 3
    ...
    ...     @cached_property
    ...     def area(self):
    ...         return self.side**2
    >>> square = Square()
    >>> square.area, vars(square)
    (9, {'area': 9})
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Self | Any:
        """Compute the value, and store it in the instance, where it is found from then on."""
        if instance is None:
            return self
        # Threads that compute it at the same time all get the first value stored.
        return vars(instance).setdefault(self.name, self.function(instance))
