"""Apply functions to the states of rows, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_rapid.backends import is_cupy_array
from sklearn_rapid.tables.encoder import chunks


class RowsMixin:
    """Functions of rows, and arrays of results."""

    def _as_array_like(self, like: Any, values: Any, backend: Any, dtype: Any = None) -> Any:
        """Convert the backend's values to a CuPy array if `like` is one, to NumPy's otherwise.

        By default it has the model's dtype.
        """
        dtype = self._dtype if dtype is None else dtype
        if is_cupy_array(like):
            return backend.xp.ascontiguousarray(values, dtype=dtype)
        return np.ascontiguousarray(backend.to_numpy(values), dtype=dtype)

    def _map_rows(
        self,
        X: Any,
        function: Callable,
        width: tuple[int, ...],
        dtype: str | None = None,
        *,
        takes_sparse: bool = False,
        missing: bool = True,
    ) -> np.ndarray:
        """Apply a function to the states of the rows of X, a chunk at a time.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        function : callable
            Called with the machine, the encoder, rows, their states (NaN where one is missing, if
            ``encoder.missing``; there may be more states than rows), and an array for its results,
            which it need not use, or None.
        width : tuple of int
            Shape of the results of a row.
        dtype : str, optional
            By default the model's.
        takes_sparse : bool, default=False
            Whether states may be a sparse matrix.
        missing : bool, default=True
            Whether X may have missing entries.

        Returns
        -------
        array of shape (n_samples, *width)
            On the device if X is.
        """
        X = self._validate_array(X, missing=missing)
        model = self._model(X)
        backend, on_device = model.backend, is_cupy_array(X)
        where = backend.xp if on_device else np
        with backend.running():
            machine, encoder = model.for_chunks(X)
        keeps_sparse = takes_sparse and encoder.keeps_sparse(X)
        read = encoder.bits if keeps_sparse else encoder.states
        out = where.empty((X.shape[0], *width), dtype=dtype or self._dtype)
        with backend.running():
            machine = machine.on_bits() if keeps_sparse else machine
            for rows in chunks(X.shape[0]):
                n = rows.stop - rows.start
                x = X[rows]
                v = read(x, n_rows=n + -n % backend.row_multiple)
                target = out[rows] if v.shape[0] == n and where is backend.xp else None
                result = function(machine, encoder, x, v, target)
                if result is not target:
                    out[rows] = result[:n] if on_device else backend.to_numpy(result[:n])
        return out
