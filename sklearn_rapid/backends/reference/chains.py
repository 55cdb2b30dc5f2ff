"""The reference's Markov chains: Gibbs steps and tempering.

Chains at inverse temperatures β other than one sample from

    log f_β(v) = (1-β) a·v + β b·v + log base(v) + Γ(β θ),

with the fields a of independent units at β = 0, the base measure of the units, and Γ of the hidden
units (Σ_α log 2cosh(β θ_α) of spins). Each row has its own β. A sweep is a Gibbs step at each β
(`_step_at`), and an exchange of states between pairs of rows by the gain of log f from one β to the
other (`_log_ratios`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from sklearn_rapid.backends.affine import Affine
from sklearn_rapid.backends.random import RandomStream, check_rows

DRAWS_PER_SWEEP = 3
# Arrays that are kept, of inverse temperatures or partners: a ladder has a handful.
KEPT_CONSTANTS = 64


class Tempered(NamedTuple):
    """Results of sweeps of tempered chains: states and statistics of exchanges.

    Attributes
    ----------
    states : array of shape (n, V)
    log_ratios : array of shape (n_sweeps, n)
        log f at the β of the row's exchange partner less log f at its own β, of the states before
        the exchange: float64, zero without a partner.
    origin : int8 array of shape (n,)
        The end of the ladder that a row's replica visited last: 1 base, -1 top, 0 neither.
    arrivals : int64 array of shape (n / n_rungs,)
        Number of replicas that came from the base to the top, for each column of the ladder.
    """

    states: Any
    log_ratios: Any
    origin: Any
    arrivals: Any


def partners(n_rungs: int, parity: int) -> np.ndarray:
    """Return the exchange partner of each rung, in even pairs (0, 1), (2, 3), ... or odd ones.

    Examples
    --------
    >>> partners(4, 0), partners(4, 1)
    (array([1, 0, 3, 2]), array([0, 2, 1, 3]))
    """
    rungs = np.arange(n_rungs)
    other = np.where((rungs - parity) % 2 == 0, rungs + 1, rungs - 1)
    return np.where((other >= 0) & (other < n_rungs), other, rungs)


def top_of(betas: np.ndarray) -> int:
    """Return the first rung at the largest β; later rungs at that β are copies of it."""
    return int(np.searchsorted(betas, betas[-1]))


class Chains:
    """Markov chains of rows, made of the maps and draws of the backend that inherits them."""

    def __init__(self) -> None:
        self._constants: dict[tuple, Any] = {}

    def constant(self, values: np.ndarray) -> Any:
        """Return host values on the backend, kept for the next sweep."""
        name = (values.dtype.str, values.tobytes())
        kept = self._constants.get(name)
        if kept is None:
            # Another thread may do the same at the same time.
            if len(self._constants) >= KEPT_CONSTANTS:
                self._constants.clear()
            kept = self._constants[name] = self.asarray(values)
        return kept

    def gibbs(
        self,
        v: Any,
        up: Affine,
        down: Affine,
        n_steps: int,
        stream: RandomStream,
        first_draw: int,
        free: Any = None,
    ) -> Any:
        """Return rows after `n_steps` of h ~ P(h | up(v)), v ~ P(v | down(h)).

        Step k uses draws `first_draw` + 2k and the next. `free` is None or a boolean array of the
        shape of v: True where v is drawn, False where it is clamped and keeps its value.
        """
        check_rows(stream.first_row + v.shape[0])
        out = self.xp.empty_like(v)

        def work(rows: slice) -> Iterator[None]:
            out[rows, :] = v[rows, :]
            clamp = None if free is None else free[rows, :]
            maps = up.of_rows(rows), down.of_rows(rows)
            for steps in self.split_steps(n_steps, rows, *maps):
                n, draw = steps.stop - steps.start, first_draw + 2 * steps.start
                first_row = stream.first_row + rows.start
                self._gibbs_block(out[rows, :], *maps, n, stream, draw, first_row, clamp)
                yield

        self.for_row_blocks(work, v.shape[0], n_steps * (up.n_products + down.n_products))
        return out

    def temper(
        self,
        v: Any,
        up: Affine,
        down: Affine,
        base_bias: Any,
        betas: np.ndarray,
        n_sweeps: int,
        stream: RandomStream,
        first_draw: int,
        *,
        parity: int,
        origin: Any,
        arrivals: Any,
        free: Any = None,
    ) -> Tempered:
        """Run sweeps of parallel tempering: exchanges between neighbouring β, then a Gibbs step.

        Rows come in columns of the ladder, one row for each of `betas`; columns are independent.
        A pair of neighbours with states v and v' at β < β' exchanges them with probability
        min(1, exp Δ), Δ = [log f_β'(v) - log f_β(v)] + [log f_β(v') - log f_β'(v')]. Even and
        odd pairs alternate (Okabe et al. 2001; Syed, Bouchard-Côté, Deligiannidis, Doucet 2022).
        At β = 0 the Gibbs step is a new draw from the base.

        Parameters
        ----------
        v : array of shape (n, V)
            Not changed.
        up, down : Affine
        base_bias : array of shape (V,)
            a.
        betas : array of shape (n_rungs,)
            In rising order; exact in float32.
        n_sweeps : int
        stream : RandomStream
        first_draw : int
            Sweep k uses draws `first_draw` + 3k and the next two.
        parity : {0, 1}
            Whether the first sweep has even pairs or odd ones.
        origin, arrivals : arrays
            See `Tempered`; not changed.
        free : boolean array of shape (n, V), optional
            True where v is drawn, False where it is clamped; the same in all rows of a column.

        Returns
        -------
        Tempered
        """
        check_rows(stream.first_row + v.shape[0])
        xp, n_rungs = self.xp, len(betas)
        out = Tempered(
            xp.empty_like(v),
            xp.zeros((n_sweeps, v.shape[0]), dtype=xp.float64),
            xp.asarray(origin, copy=True),
            xp.asarray(arrivals, copy=True),
        )
        down = _from_base(down, base_bias)

        def work(rows: slice) -> Iterator[None]:
            out.states[rows, :] = v[rows, :]
            groups = slice(rows.start // n_rungs, -(-rows.stop // n_rungs))
            clamp = None if free is None else free[rows, :]
            for sweeps in self.split_steps(n_sweeps, rows, up, down):
                block = Tempered(
                    out.states[rows, :],
                    out.log_ratios[sweeps, rows],
                    out.origin[rows],
                    out.arrivals[groups],
                )
                pairs = (parity + sweeps.start) % 2
                draw = first_draw + DRAWS_PER_SWEEP * sweeps.start
                first_row = stream.first_row + rows.start
                self._temper_block(
                    block, up, down, base_bias, betas, pairs, stream, draw, first_row, clamp
                )
                yield

        products = n_sweeps * (up.n_products + down.n_products)
        self.for_row_blocks(work, v.shape[0], products, n_rungs)
        return out

    def split_steps(self, n_steps: int, rows: slice, up: Affine, down: Affine) -> tuple[slice, ...]:
        """Split the steps of a block's chains into calls, between which it may be interrupted.

        The reference needs one call: the interpreter runs at every step.
        """
        return (slice(0, n_steps),)

    # --- on one block -------------------------------------------------------------------

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
        xp, dtype = self.xp, v.dtype
        for draw in range(first_draw, first_draw + 2 * n_steps, 2):
            h = up.units.sample(self.field(v, up), self, stream, draw, first_row)
            h = xp.astype(h, dtype)
            drawn = down.units.sample(self.field(h, down), self, stream, draw + 1, first_row)
            drawn = xp.astype(drawn, dtype)
            v[...] = drawn if free is None else xp.where(free, drawn, v)

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
        xp, v = self.xp, block.states
        n_rows, n_rungs = v.shape[0], len(betas)
        n_groups = n_rows // n_rungs
        beta = self.constant(np.tile(betas, n_groups))
        for k in range(block.log_ratios.shape[0]):
            draw = first_draw + DRAWS_PER_SWEEP * k
            other = partners(n_rungs, (parity + k) % 2)
            to = self.constant(np.tile(betas[other], n_groups))
            field = self.field(v, up)
            block.log_ratios[k, :] = self._log_ratios(v, field, up, down, beta, to)
            u = self.random_uniform((n_rows, 1), stream, draw, first_row)[:, 0]
            order = self._exchange(block, k, other, u)
            _note_arrivals(block, betas, order, xp)
            field = xp.take(field, order, axis=0)
            drawn = self._step_at(
                beta, field, up, down, base_bias, stream, draw + 1, first_row, v.dtype
            )
            v[...] = drawn if free is None else xp.where(free, drawn, v)

    def _log_ratios(self, v: Any, field: Any, up: Affine, down: Affine, start: Any, to: Any) -> Any:
        """Return the gain of log f from one β to the other, one float64 for each row."""
        xp = self.xp
        of_biases = xp.sum(v * down.bias, axis=1, dtype=xp.float64)
        return (to - start) * of_biases + up.units.log_partition_gain(field, to, start, self)

    def _step_at(
        self,
        beta: Any,
        field: Any,
        up: Affine,
        down: Affine,
        base_bias: Any,
        stream: RandomStream,
        draw: int,
        first_row: int,
        dtype: Any,
    ) -> Any:
        """Make a Gibbs step of each row at its own β, from its hidden field."""
        xp = self.xp
        beta = xp.astype(beta, field.dtype)[:, None]
        h = xp.astype(up.units.sample(beta * field, self, stream, draw, first_row), dtype)
        field = base_bias + beta * self.field(h, down)
        return xp.astype(down.units.sample(field, self, stream, draw + 1, first_row), dtype)

    def _exchange(self, block: Tempered, sweep: int, other: np.ndarray, u: Any) -> Any:
        """Draw exchanges; return for each row the row whose state it continues with."""
        xp, n_rows, n_rungs = self.xp, block.states.shape[0], len(other)
        first = np.repeat(np.arange(0, n_rows, n_rungs), n_rungs)
        partner = self.constant(first + np.tile(other, n_rows // n_rungs))
        row = xp.arange(n_rows, dtype=xp.int64)
        gain = block.log_ratios[sweep, :] + xp.take(block.log_ratios[sweep, :], partner, axis=0)
        log_u = xp.log(xp.astype(xp.take(u, xp.minimum(row, partner), axis=0), xp.float64))
        return xp.where(log_u <= gain, partner, row)


def _from_base(down: Affine, base_bias: Any) -> Affine:
    """Return the map to visible fields less those of the base: the field at β is a + β times it."""
    return replace(down, bias=down.bias - base_bias, kept={})


def _note_arrivals(block: Tempered, betas: np.ndarray, order: Any, xp: Any) -> None:
    """Update the origins of replicas after an exchange, and count arrivals at the top."""
    n_rungs, top = len(betas), top_of(betas)
    block.origin[...] = xp.take(block.origin, order, axis=0)
    if betas[0] == 0.0:
        block.origin[::n_rungs] = 1
        block.arrivals[...] += xp.astype(block.origin[top::n_rungs] == 1, xp.int64)
        block.origin[top::n_rungs] = -1
