"""Compiled elementary functions: exp in float32, rounded as in the reference, and log."""

from __future__ import annotations

import math

import numpy as np

from sklearn_rapid.backends.compiled.compiler import f32, f64, inlined
from sklearn_rapid.backends.reference.arrays import (
    _EXP_COEFFICIENTS,
    _LN2_HIGH,
    _LN2_LOW,
    _LOG2_E,
    _SMALLEST_EXPONENT,
)

# Adding and taking away 1.5 * 2^23 rounds a float32 to the nearest integer.
_ROUND = f32(12582912.0)
_E7, _E6, _E5, _E4, _E3, _E2, _E1, _E0 = (f32(c) for c in _EXP_COEFFICIENTS)
_LOG2E, _LN2H, _LN2L = f32(_LOG2_E), f32(_LN2_HIGH), f32(_LN2_LOW)
_FLOOR = f32(_SMALLEST_EXPONENT)
_LN2, _SQRT_HALF_BITS = math.log(2.0), np.float64(math.sqrt(0.5)).view(np.int64)


@inlined
def exp_minus_2(a):
    """Return exp(-2a) of a >= 0."""
    t = max(f32(-2.0) * a, _FLOOR)
    n = (t * _LOG2E + _ROUND) - _ROUND
    r = (t - n * _LN2H) - n * _LN2L
    p = _E7
    p = p * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + _E1
    p = p * r + _E0
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return p * power.view(np.float32)


@inlined
def vector_log(x):
    """Return log x of a positive, normal float64 to 1e-11: unlike math.log, part of vector code."""
    bits = f64(x).view(np.int64)
    # x = 2^n m with m between 1/sqrt(2) and sqrt(2), and log m = 2 artanh s.
    n = (bits - _SQRT_HALF_BITS) >> np.int64(52)
    m = np.int64(bits - (n << np.int64(52))).view(f64)
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    p = p * q + 1.0
    return f64(n) * _LN2 + 2.0 * s * p
