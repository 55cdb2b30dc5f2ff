"""Read users' arrays, and explain which values in them cannot be used.

Some containers hide something: a masked array its mask, a sparse matrix entries that are stored
twice, or indices beyond its shape, with which compiled code would leave its memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sklearn_rapid.backends import is_cupy_array
from sklearn_rapid.checks.warnings import warn

# Characters of a value of unknown origin that a message shows.
MOST_SHOWN = 80


def describe(value: Any) -> str:
    """Describe a value briefly for a message: arrays by type and shape, long text cut off.

    Examples
    --------
    >>> describe(np.zeros(3)), describe("a" * 1000)[-5:]
    ('an array of float64 of shape (3,)', 'aa...')
    """
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    value = value.item() if isinstance(value, np.generic) else value
    try:
        text = repr(value)
    except ValueError:  # of an int with too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def compute_if_dask(values: Any, name: str) -> Any:
    """Compute a Dask collection, with a warning; return anything else unchanged."""
    # Importing Dask would be slow.
    kinds = {kind.__module__.partition(".")[0] for kind in type(values).__mro__}
    if "dask" not in kinds:
        return values
    warn(
        f"{name} is a Dask collection, and is pulled into memory whole: {name}.compute() does so "
        "without this warning. DaskRBM and DaskRARBM (sklearn_rapid.dask) leave rows with the "
        "workers, or read few blocks at a time.",
        UserWarning,
    )
    return values.compute()


def resolve_container(values: Any, name: str, *, missing: bool = False) -> Any:
    """Resolve a mask or stored duplicates; ValueError for a damaged container.

    Parameters
    ----------
    values : array-like or sparse matrix
        Not changed in place.
    name : str
    missing : bool, default=False
        Whether masked entries become NaN, as missing ones; otherwise they raise ValueError.

    Examples
    --------
    >>> resolve_container(np.ma.masked_array([1, 2], mask=[False, True]), "X", missing=True)
    array([ 1., nan])
    """
    if isinstance(values, np.ma.MaskedArray):
        return _fill_masked(values, name, missing)
    if sparse.issparse(values) and values.ndim == 2:
        return _check_sparse(values, name)
    return values


def _fill_masked(values: np.ma.MaskedArray, name: str, missing: bool) -> np.ndarray:
    mask, values = np.ma.getmaskarray(values), values.data
    if mask.dtype != bool or not mask.any():
        return values
    if not missing:
        raise ValueError(
            f"{name} is a masked array with {np.count_nonzero(mask)} masked entries, and is wanted "
            "whole here. Fill them in (by its method filled), or leave such rows out; a fitted "
            "model fills in those of X by its method reconstruct."
        )
    values = values.astype(np.float64 if values.dtype.kind in "biu" else values.dtype)
    values[mask] = np.nan
    return values


def _check_sparse(X: Any, name: str) -> Any:
    """Check that indices lie in the shape, and sum entries that are stored twice."""
    if X.format == "coo":
        for indices, n in zip((X.row, X.col), X.shape, strict=True):
            _check_indices(indices, n, name)
    if X.format not in ("csr", "csc", "bsr"):
        return X
    is_by_rows, block = X.format != "csc", X.blocksize if X.format == "bsr" else (1, 1)
    n_major, n_minor = (n // b for n, b in zip(X.shape, block, strict=True))
    n_major, n_minor = (n_major, n_minor) if is_by_rows else (n_minor, n_major)
    ends, n_stored = X.indptr, min(len(X.indices), len(X.data))
    is_sound = len(ends) == n_major + 1 and ends[0] == 0 and ends[-1] <= n_stored
    if not is_sound or (ends[1:] < ends[:-1]).any():
        raise ValueError(
            f"{name} is a damaged sparse matrix: indptr must rise from 0 to at most {n_stored} in "
            f"{n_major} steps"
        )
    _check_indices(X.indices[: ends[-1]], n_minor, name)
    if X.format == "bsr":
        X = X.tocsr()
    # A new matrix, as X may have cached flags from before its arrays were changed by hand.
    fresh = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
    if fresh.has_canonical_format:
        return X
    fresh = fresh.copy()
    fresh.sum_duplicates()
    return fresh


def _check_indices(indices: np.ndarray, n: int, name: str) -> None:
    if len(indices) == 0:
        return
    least, largest = indices.min(), indices.max()
    if least < 0 or largest >= n:
        got = least if least < 0 else largest
        raise ValueError(f"{name} is a damaged sparse matrix: got index {got}, wanted 0 to {n - 1}")


def explain_error(error: Exception, X: Any) -> Exception | None:
    """Explain an error of scikit-learn's about rows, text or NaN in X; None if it is clear."""
    ragged = _find_ragged_row(X, "X")
    if ragged is not None:
        return ragged
    text = _find_text(X)
    if text is not None:
        return ValueError(
            f"X must hold numbers, got {text[1]!r} in column {text[0]!r}. Code categories by "
            "whole numbers (sklearn.preprocessing.OrdinalEncoder) for visible='categorical', or "
            "leave the column out; strings of digits want X.astype(float)."
        )
    if str(error).startswith("at least one array"):
        return ValueError("X must have columns, got a table with none")
    if str(error).startswith("float() argument"):
        return TypeError(f"X must hold numbers, got an object that is none: {error}")
    if "NaN" in str(error):
        return ValueError(
            "X contains NaN, and rows are wanted whole here. Fill gaps in (sklearn.impute), or "
            "leave such rows out; a fitted model fills them in by its method reconstruct."
        )
    return None


def as_array(values: Any, name: str) -> np.ndarray:
    """Convert values to NumPy's array; a clear ValueError if they cannot be.

    Examples
    --------
    >>> as_array([[0, 1], [1]], "X")
    Traceback (most recent call last):
    ...
    ValueError: rows of X have different lengths: row 1 has 1 entry where row 0 has 2
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise (_find_ragged_row(values, name) or error) from None


def _find_ragged_row(values: Any, name: str) -> ValueError | None:
    """Explain rows of different lengths or rows within rows; None if there are none."""
    if not isinstance(values, list | tuple | np.ndarray) or not _n_entries(values):
        return None
    if isinstance(values, np.ndarray) and values.dtype != object:
        return None
    lengths = [_n_entries(row) for row in values]
    wanted = lengths[0]
    i = next((i for i, length in enumerate(lengths) if length != wanted), None)
    if i is not None and None in (lengths[i], wanted):
        at = i if lengths[i] is None else 0
        return ValueError(
            f"{name} must be rows of numbers, got {type(values[at]).__name__} as row {at}"
        )
    if i is not None:
        entries = "entry" if lengths[i] == 1 else "entries"
        return ValueError(
            f"rows of {name} have different lengths: row {i} has {lengths[i]} {entries} where row "
            f"0 has {wanted}"
        )
    for i, row in enumerate(values if wanted is not None else ()):
        j = next((j for j, value in enumerate(row) if _n_entries(value) is not None), None)
        if j is not None:
            return ValueError(
                f"{name} must be rows of numbers, got {type(row[j]).__name__} in row {i}, column "
                f"{j}"
            )
    return None


def _n_entries(row: Any) -> int | None:
    """Count the entries of a row; None if it is not a row."""
    if isinstance(row, np.ndarray):
        return row.shape[0] if row.ndim > 0 else None
    return len(row) if isinstance(row, list | tuple) else None


def _find_text(X: Any) -> tuple[Any, str] | None:
    """Find column and value of the first string in X, if there is one."""
    if hasattr(X, "columns"):
        columns = ((name, np.asarray(X[name])) for name in X.columns)
    else:
        values = X if hasattr(X, "dtype") else np.asarray(X, dtype=object)
        columns = enumerate(values.T) if values.ndim == 2 else ()
    for name, column in columns:
        if column.dtype.kind not in "biufc":  # numbers are not checked one by one
            found = next((value for value in column if isinstance(value, str)), None)
            if found is not None:
                return name, str(found)
    return None


def check_array(values: Any, name: str, shape: tuple, *, missing: bool = False) -> Any:
    """Return a finite 2-D array of numbers of that shape; ValueError with the name otherwise.

    CuPy and sparse input stays so; anything else becomes NumPy's. With `missing`, a dense array may
    hold NaN.
    """
    values = resolve_container(compute_if_dask(values, name), name, missing=missing)
    if not (is_cupy_array(values) or sparse.issparse(values)):
        values = as_array(values, name)
    if sparse.issparse(values):
        values = values.tocsr()
    expected = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if values.ndim != 2 or values.shape[1] != shape[1] or values.shape[0] == 0:
        raise ValueError(f"{name} must have shape {expected}, got {values.shape}")
    values = as_numbers(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, got dtype {values.dtype}")
    if sparse.issparse(values):
        check_finite(values.data, name)
    else:
        check_finite(values, name, allow_nan=missing)
    return values


def as_numbers(values: Any) -> Any:
    """Convert an array of objects to float64; return it unchanged if that is not possible."""
    if values.dtype.kind != "O":
        return values
    try:
        return values.astype(np.float64)
    except (OverflowError, TypeError, ValueError):
        return values


def check_finite(values: Any, name: str, allow_nan: bool = False) -> None:
    """Raise ValueError for infinity, and for NaN unless that is allowed."""
    if values.dtype.kind != "f":
        return
    # Comparisons make bools only. NaN is in no range, and differs from itself.
    is_good = (values > -float("inf")) & (values < float("inf"))
    is_good = is_good | (values != values) if allow_nan else is_good
    if not bool(is_good.all()):
        raise ValueError(f"{name} must be finite, got {'' if allow_nan else 'NaN or '}infinity")
