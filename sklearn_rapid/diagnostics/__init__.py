"""Diagnostics of a fitted model: energy landscape, patterns, chains, overlaps of states.

They answer questions that a likelihood does not: whether sampling reaches low energies, whether
patterns are memories or a spin glass, how long chains remember, how states travel between
temperatures, how far states are from one another.
Energies are in nats; distances and overlaps are shares of spins. The first argument is a fitted
estimator of this package: TypeError for anything else, NotFittedError before `fit`.

`compare_tables` is about rows instead, of any model: a synthetic table beside real ones.
"""

from sklearn_rapid.diagnostics._autocorrelation import (
    AutocorrelationTime,
    autocorrelation_time,
    integrated_autocorrelation_time,
)
from sklearn_rapid.diagnostics._ladder import ladder_travels
from sklearn_rapid.diagnostics._landscape import (
    gibbs_accessibility,
    ground_state_energy,
    method_accessibility,
)
from sklearn_rapid.diagnostics._patterns import (
    PatternLoad,
    PatternOverlaps,
    PatternRetrieval,
    mattis_magnetization,
    pattern_load,
    pattern_overlaps,
    pattern_retrieval,
    singular_values,
)
from sklearn_rapid.diagnostics._samples import (
    OverlapDistribution,
    Ultrametricity,
    overlap_distribution,
    reconstruction_distance,
    ultrametricity,
)
from sklearn_rapid.diagnostics.comparison import (
    NearestRows,
    PredictionScore,
    TableComparison,
    compare_tables,
)
from sklearn_rapid.machine.tempering import Travels

__all__ = [
    "AutocorrelationTime",
    "NearestRows",
    "OverlapDistribution",
    "PatternLoad",
    "PatternOverlaps",
    "PatternRetrieval",
    "PredictionScore",
    "TableComparison",
    "Travels",
    "Ultrametricity",
    "autocorrelation_time",
    "compare_tables",
    "gibbs_accessibility",
    "ground_state_energy",
    "integrated_autocorrelation_time",
    "ladder_travels",
    "mattis_magnetization",
    "method_accessibility",
    "overlap_distribution",
    "pattern_load",
    "pattern_overlaps",
    "pattern_retrieval",
    "reconstruction_distance",
    "singular_values",
    "ultrametricity",
]
