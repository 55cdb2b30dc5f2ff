"""What a joint model of a table is for: a class for each task.

`density` (`BoltzmannDensity`) is what the others stand on, a `mixture/` of machines. `outliers`
(`BoltzmannOutlierDetector`) finds rows that it makes unlikely, and `surprisals` which entries are
unlikely given the others. `imputer` (`BoltzmannImputer`) and `classifier` (`BoltzmannClassifier`)
hand `rows` on to it, or to a machine.
"""

from sklearn_rapid.tasks.classifier import BoltzmannClassifier
from sklearn_rapid.tasks.density import BoltzmannDensity
from sklearn_rapid.tasks.imputer import BoltzmannImputer
from sklearn_rapid.tasks.outliers import BoltzmannOutlierDetector

__all__ = [
    "BoltzmannClassifier",
    "BoltzmannDensity",
    "BoltzmannImputer",
    "BoltzmannOutlierDetector",
]
