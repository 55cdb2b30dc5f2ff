"""The estimate of log Z that `log_partition` of an estimator returns.

The code is in ``sklearn_rapid.machine.partition``.
"""

from sklearn_rapid.machine.partition import LogPartition

__all__ = ["LogPartition"]
