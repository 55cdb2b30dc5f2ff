"""Make images of bars and of stripes, and split images so that negatives stay together."""

import math
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state

# At this side, 2**20 images of 400 pixels fill 400 MiB; each further pixel more than doubles that.
_LARGEST_SIDE = 20


def make_bars(side: int = 4, *, units: str = "binary") -> NDArray:
    """Make all square images of full vertical bars.

    Every column is either on or off from top to bottom. The two uniform images are left out.

    Parameters
    ----------
    side : int, default=4
        Height and width of an image in pixels, 2 to 20.
    units : {"binary", "spin"}, default="binary"
        Values of the pixels: {0, 1} or {-1, +1}.

    Returns
    -------
    X : ndarray of shape (2**side - 2, side**2)
        One image a row, pixels in row-major order; uint8 in {0, 1} or int8 in {-1, +1}. The columns
        of image ``i`` spell ``i + 1`` in binary, so ``X[-1 - i]`` is the negative of ``X[i]``.

    Raises
    ------
    TypeError, ValueError
        If `side` is not an integer in range or `units` is unknown.

    References
    ----------
    Pozas-Kerstjens et al., Mach. Learn.: Sci. Technol. 2, 025026 (2021), figures 2 to 4.

    Examples
    --------
    >>> from sklearn_rapid.datasets import make_bars
    >>> X = make_bars(4)
    >>> X.shape
    (14, 16)
    >>> X[4].reshape(4, 4)
    array([[0, 1, 0, 1],
           [0, 1, 0, 1],
           [0, 1, 0, 1],
           [0, 1, 0, 1]], dtype=uint8)
    """
    return np.tile(_lines(side, units), (1, side))


def make_bars_and_stripes(side: int = 4, *, units: str = "binary") -> NDArray:
    """Make all square images of full vertical bars and all of full horizontal stripes.

    The two uniform images, which would be both, are left out, so each image occurs once.

    Parameters
    ----------
    side : int, default=4
        Height and width of an image in pixels, 2 to 20.
    units : {"binary", "spin"}, default="binary"
        Values of the pixels: {0, 1} or {-1, +1}.

    Returns
    -------
    X : ndarray of shape (2 * (2**side - 2), side**2)
        As `make_bars`: first its images, then the same ones transposed.

    Raises
    ------
    TypeError, ValueError
        If `side` is not an integer in range or `units` is unknown.

    References
    ----------
    Pozas-Kerstjens et al., Mach. Learn.: Sci. Technol. 2, 025026 (2021), figure 5 (side 12).

    Examples
    --------
    >>> from sklearn_rapid.datasets import make_bars_and_stripes
    >>> make_bars_and_stripes(12).shape
    (8188, 144)
    >>> make_bars_and_stripes(2, units="spin")
    array([[-1,  1, -1,  1],
           [ 1, -1,  1, -1],
           [-1, -1,  1,  1],
           [ 1,  1, -1, -1]], dtype=int8)
    """
    lines = _lines(side, units)
    return np.concatenate([np.tile(lines, (1, side)), np.repeat(lines, side, axis=1)])


def _lines(side: int, units: str) -> NDArray:
    """Return all non-uniform lines of `side` pixels, shape (2**side - 2, side)."""
    if isinstance(side, bool) or not isinstance(side, Integral):
        raise TypeError(f"side must be an integer, got {side!r}")
    if not 2 <= side <= _LARGEST_SIDE:
        raise ValueError(f"side must be from 2 to {_LARGEST_SIDE}, got {side!r}")
    if units not in ("binary", "spin"):
        raise ValueError(f'units must be "binary" or "spin", got {units!r}')
    numbers = np.arange(1, 2**side - 1)
    lines = (numbers[:, None] >> np.arange(side)[::-1]) & 1
    return lines.astype(np.uint8) if units == "binary" else (2 * lines - 1).astype(np.int8)


def train_test_split_by_negation(
    X: ArrayLike,
    *,
    test_size: float | int = 0.25,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray, NDArray]:
    """Split images into train and test so that no test image is known from the train set.

    A machine without biases gives an image and its negative the same probability. So an image, its
    negative and all their duplicates form one group, and a group stays whole on one side.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Dense images in {0, 1} or in {-1, +1}.
    test_size : float or int, default=0.25
        Rows of the test set: a fraction in (0, 1), rounded up, or a number from 1 to n_samples - 1.
        Groups are taken in random order if they still fit, so that the set is smaller where groups
        do not add up to it (pairs cannot give an odd number).
    random_state : int, RandomState instance or None, default=None
        Determines the choice and the order of the rows. An int makes the result reproducible.

    Returns
    -------
    X_train, X_test : ndarray of shape (n_samples - n_test, n_features) and (n_test, n_features)
        The rows of `X` in random order, of the same dtype.

    Raises
    ------
    TypeError, ValueError
        If `X` is sparse or holds other values, or if `test_size` is not a number, out of range or
        smaller than every group.

    References
    ----------
    Pozas-Kerstjens et al., Mach. Learn.: Sci. Technol. 2, 025026 (2021), figures 2 to 4.

    Examples
    --------
    >>> from sklearn_rapid.datasets import make_bars, train_test_split_by_negation
    >>> X_train, X_test = train_test_split_by_negation(make_bars(4), random_state=0)
    >>> X_train.shape, X_test.shape
    ((10, 16), (4, 16))
    """
    X = check_array(X, ensure_min_samples=2)
    n_test = _n_test_rows(test_size, len(X))
    random_state = check_random_state(random_state)
    groups = _negation_groups(X)
    sizes = np.bincount(groups)
    in_test = np.zeros(len(sizes), dtype=bool)
    room = n_test
    for group in random_state.permutation(len(sizes)):
        if sizes[group] <= room:
            in_test[group] = True
            room -= sizes[group]
    if room == n_test:
        raise ValueError(
            f"test_size={test_size!r} is {n_test} of {len(X)} rows, wanted at least {sizes.min()}: "
            f"the size of the smallest group of an image, its negative and their duplicates"
        )

    # A random order: in the order of X, batches would have rows that are alike.
    order = random_state.permutation(len(X))
    row_in_test = in_test[groups[order]]
    return X[order[~row_in_test]], X[order[row_in_test]]


def _n_test_rows(test_size: float | int, n_samples: int) -> int:
    """Return the number of test rows that `test_size` asks for."""
    if isinstance(test_size, bool) or not isinstance(test_size, Real):
        raise TypeError(f"test_size must be a float or an int, got {test_size!r}")
    if isinstance(test_size, Integral):
        n_test = int(test_size)
    elif 0 < test_size < 1:
        n_test = math.ceil(test_size * n_samples)
    else:
        raise ValueError(f"a float test_size must lie in (0, 1), got {test_size!r}")
    if not 1 <= n_test < n_samples:
        got = f"test_size={test_size!r} is {n_test} of {n_samples} rows"
        raise ValueError(f"{got}, wanted 1 to {n_samples - 1}")
    return n_test


def _negation_groups(X: NDArray) -> NDArray:
    """Return a group number for each row: equal for rows equal up to a negation, shape (n,)."""
    on = X == 1
    off = X == (-1 if X.min() < 0 else 0)
    unknown = ~(on | off)
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        got = f"{X[row, column]} in row {row}, column {column}"
        raise ValueError(f"X must be in {{0, 1}} or in {{-1, +1}}, got {got}")
    # Of an image and its negative, exactly one has its first pixel off: it represents both.
    representative = np.packbits(on ^ on[:, :1], axis=1)
    keys = representative.view(np.dtype((np.void, representative.shape[1]))).ravel()
    return np.unique(keys, return_inverse=True)[1]
