"""Assert that two values are the same, down to dtypes; and that chains of errors end."""

from __future__ import annotations

import numpy as np


def assert_same(a, b, path=""):
    """Assert that nested dicts, lists, arrays and objects are equal, down to keys and dtypes."""
    assert type(a) is type(b), path
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, path
        np.testing.assert_array_equal(a, b, err_msg=path)
    elif isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}/{i}")
    elif hasattr(a, "__dict__") and not isinstance(a, type):
        assert_same(vars(a), vars(b), path)
    elif type(a) is not object:
        assert a is b or a == b or (a != a and b != b), path


def assert_ends(error, led_to=()):
    """Assert that no error is among its own causes, which Dask would follow for ever."""
    assert not any(error is later for later in led_to), f"{error!r} is a cause of itself"
    for earlier in (error.__cause__, error.__context__):
        if earlier is not None:
            assert_ends(earlier, (*led_to, error))
