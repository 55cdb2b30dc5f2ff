"""Compare a synthetic table with the real rows it was learned from, and with held-out rows.

Start with `_comparison`: `compare_tables`. `_tables` reads the three tables as codes and numbers;
`_shapes` compares single columns, `_pairs` pairs of them; `_prediction` trains classifiers and
regressors on synthetic rows; `_nearest` measures distances to the nearest real row.
"""

from sklearn_rapid.diagnostics.comparison._comparison import TableComparison, compare_tables
from sklearn_rapid.diagnostics.comparison._nearest import NearestRows
from sklearn_rapid.diagnostics.comparison._prediction import PredictionScore

__all__ = ["NearestRows", "PredictionScore", "TableComparison", "compare_tables"]
