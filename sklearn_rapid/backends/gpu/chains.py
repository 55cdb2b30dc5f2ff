"""Markov chains on a GPU, as `reference/chains.py` defines them, by kernels and products in turn.

No code here waits for the GPU: a whole chain of steps with its exchanges is queued at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.random import RandomStream, name_of
from sklearn_rapid.backends.reference.chains import DRAWS_PER_SWEEP, Tempered, partners, top_of

f32 = np.float32

# Threads that sum one row.
LANES = 64


class CupyChains:
    """The chains of a backend that has CuPy's arrays, products and kernels."""

    # --- on one block: all rows at once -----------------------------------------------------

    def _gibbs_block(
        self,
        v: Any,
        up: Affine,
        down: Affine,
        n_steps: int,
        stream: RandomStream,
        first_draw: int,
        first_row: int,
        free: Any,
    ) -> None:
        if not self._is_compiled(v, up, down):
            super()._gibbs_block(v, up, down, n_steps, stream, first_draw, first_row, free)
            return
        h = self._empty(v, up)
        drawn = v if free is None else self.xp.empty_like(v)
        for draw in range(first_draw, first_draw + 2 * n_steps, 2):
            self._multiply(v, up, h)
            self._draw(h, *field_of(up), stream, draw, first_row)
            self._multiply(h, down, drawn)
            self._draw(drawn, *field_of(down), stream, draw + 1, first_row)
            if free is not None:
                v[...] = self.xp.where(free, drawn, v)

    def _temper_block(
        self,
        block: Tempered,
        up: Affine,
        down: Affine,
        base_bias: Any,
        betas: np.ndarray,
        parity: int,
        stream: RandomStream,
        first_draw: int,
        first_row: int,
        free: Any,
    ) -> None:
        v, n_rungs = block.states, len(betas)
        if not self._is_compiled(v, up, down):
            super()._temper_block(
                block, up, down, base_bias, betas, parity, stream, first_draw, first_row, free
            )
            return
        n_groups = v.shape[0] // n_rungs
        own = self._betas(np.tile(betas, n_groups))
        others = [self._betas(np.tile(betas[partners(n_rungs, p)], n_groups)) for p in (0, 1)]
        h = self._empty(v, up)
        drawn = v if free is None else self.xp.empty_like(v)
        for k in range(block.log_ratios.shape[0]):
            pairs, draw = (parity + k) % 2, first_draw + DRAWS_PER_SWEEP * k
            self._multiply(v, up, h)
            gains = self._gains(v, h, up, down, own, others[pairs])
            block.log_ratios[k, :] = gains
            name = name_of(stream, draw, first_row)
            self._launch("exchange_rows", h.shape, h, gains, *h.shape, n_rungs, pairs, *name)
            self._launch(
                "follow_origins", (1, n_groups), block.origin, block.arrivals, gains, n_groups,
                n_rungs, pairs, top_of(betas), int(betas[0] == 0.0), *name,
            )  # fmt: skip
            self._step_in_place(h, drawn, up, down, base_bias, own, stream, draw + 1, first_row)
            if free is not None:
                v[...] = self.xp.where(free, drawn, v)

    # --- parts ------------------------------------------------------------------------------

    def _betas(self, betas: np.ndarray) -> Any:
        return self.constant(betas.astype(f32))

    def _gains(self, v: Any, h: Any, up: Affine, down: Affine, start: Any, to: Any) -> Any:
        """Return the gain of log f from one β to the other; `h` is v times the couplings."""
        xp = self.xp
        gap = xp.astype(to, xp.float64) - xp.astype(start, xp.float64)
        of_biases = gap * self.row_dots(v, down.bias[None, :])
        return of_biases + self._log_cosh_ratio(h, *field_of(up), to, start)

    def _log_cosh_ratio(self, product: Any, scale: Any, bias: Any, to: Any, start: Any) -> Any:
        sums = self.xp.empty((product.shape[0], LANES), dtype="float64")
        to, start = (self.xp.astype(betas, f32) for betas in (to, start))
        self._launch(
            "sum_log_cosh_ratio", sums.shape, product, scale, bias, to, start, sums,
            *product.shape, LANES,
        )  # fmt: skip
        return self.xp.sum(sums, axis=1)

    def _step_in_place(
        self,
        h: Any,
        v: Any,
        up: Affine,
        down: Affine,
        base_bias: Any,
        betas: Any,
        stream: RandomStream,
        draw: int,
        first_row: int,
    ) -> None:
        """Make a Gibbs step of each row at its own β: `h` is v times the couplings, then spins."""
        no_base = self.xp.zeros(h.shape[1], dtype=f32)
        for x, affine, base in ((h, up, no_base), (v, down, base_bias)):
            if x is v:
                self._multiply(h, down, v)
            self._launch(
                "tempered_spins", calls(x.shape), x, *field_of(affine), base, betas, x, *x.shape,
                *name_of(stream, draw + (x is v), first_row),
            )  # fmt: skip

    def _draw(
        self, product: Any, scale: Any, bias: Any, stream: RandomStream, draw: int, first_row: int
    ) -> None:
        """Draw spins in the field scale * product + bias, in place of the product."""
        shape = product.shape
        self._launch(
            "sample_spins", calls(shape), product, scale, bias, product, *shape,
            *name_of(stream, draw, first_row),
        )  # fmt: skip


def field_of(affine: Affine) -> tuple[Any, Any]:
    """Return scale and bias for kernels."""
    return f32(affine.scale), affine.bias


def calls(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the number of rows, and of calls of the random number generator for each."""
    return shape[0], -(-shape[1] // 4)
