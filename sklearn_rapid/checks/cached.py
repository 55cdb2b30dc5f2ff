"""Properties that are computed once, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class cached_property:
    """What `functools.cached_property` is from Python 3.12 on.

    Before, that has one lock for all instances. A process that is forked while another thread
    computes the property of any of them inherits the lock, and nobody who would release it.

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
        """The value, which is found in the instance itself from then on."""
        if instance is None:
            return self
        # Of threads that compute it at the same time all get the value of the first that is done.
        return vars(instance).setdefault(self.name, self.function(instance))
