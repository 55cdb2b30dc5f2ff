"""Parameters, attributes and references that docstrings of estimators share."""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

Class = TypeVar("Class", bound=type)

PARAMETERS = """
n_components : int, default=256
    Number of hidden units H.
negative_phase : {"auto", "pt", "pcd", "cd", "exact"} or NegativePhase, default="auto"
    How states of the model are drawn, with which the data are compared; see
    `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model: it costs
    hardly more than "pcd" if chains mix well, and more the worse they mix. "pt" is another name
    for it.
optimizer : {"sgd", "adam"} or optimizer, default="sgd"
    See `sklearn_rapid.optimizers`; ``SGD(scaled=False)`` takes plain gradient steps.
learning_rate : "auto", float or schedule, default="auto"
    How far each update changes the energies of the model's states: the standard deviation
    of their change in nats, per square root of a visible unit (less by √(n/100) if the
    batch and the chains have n < 100 rows). As it measures the effect of a step, one rate
    suits every number of units, patterns and rows. A float is a constant rate; "auto" is
    ``LinearDecay(0.25)``, which falls from 0.25 to zero over `max_iter`.
batch_size : int, default=100
    Rows of an update, and chains of most negative phases. Values above max(100, n_samples) are
    reduced to that, with a warning.
max_iter : int, default=20
    Epochs.
n_updates : int, default=None
    Number of updates of all calls of `partial_fit` together, counted from the first update of
    the model. They are divided into `max_iter` epochs of equal length, so that the learning rate
    falls as in `fit`; further updates keep the last rate, with a warning. None means that the
    number is unknown: the rate stays that of a first epoch.
shuffle : bool, default=True
    Whether rows are shuffled before each epoch.
visible : str, list of (kind, columns) or dict, default="auto"
    The kinds of the columns of X. "auto": columns of an array are binary; those of a frame are
    what their dtypes and values say (docs/guide/tables.md), and `visible_` says what was chosen.
    A kind by name is that of all columns. A dict gives the kinds of some columns, by name or
    number, and a list those of all, as `ColumnTransformer` takes columns. Kinds are:

    "binary": two values, or probabilities; see `units` and `binarize`.
    "categorical": codes, with a unit for each code seen in `fit`, or in the first `partial_fit`,
    also in rows of weight zero; one of them is on. In arrays codes are whole numbers.
    "gaussian": real numbers x, standardised to v = (x - `mean_`) / `scale_`, where v is normal
    around b + Wh with variance one. The scale starts at the columns' standard deviation, and is
    trained.
    "quantile": the same with normal scores in place of x, by a map that rises with x (`maps_`).
    "spiked": some values, which many rows share, are codes; others are as with "quantile".
    "real": "spiked" if there are such values, otherwise like "quantile", or with a straight line
    for a map if that describes rows set aside as well.

    Results are in the units of X, and likelihoods of real columns are densities per unit of X. But
    for "gaussian", values that are drawn are rounded like those of `fit`, and within their range.
hidden : {"binary", "gaussian"}, default="binary"
    The kind of the hidden units. "gaussian": real numbers, normal around c + Wᵀv with variance
    one. With binary columns that is the Hopfield model whose memories are the rows of
    `components_`. Real columns need binary hidden units.
units : {"binary", "spin"}, default="binary"
    Whether X, samples and hidden features are in {0, 1} or in {-1, +1}; means are in between. With
    real columns and categories, it concerns hidden features only.
binarize : "auto", float, "sample" or None, default="auto"
    What values of binary columns mean. A number is a threshold above which a value is on.
    "sample": a value is a mean (in binary units, the probability of being on), and a new sample is
    drawn from it each time training uses the row. None: values are used as means. "auto" keeps
    the two ends of the range of `units`, samples values in between, and uses a threshold of 0.5,
    with a warning, for other values. Without binary columns, leave it at "auto".
categories : "auto", list or dict, default="auto"
    The codes of categorical columns: a list with an entry for each column, or a dict of columns by
    name or number. "auto", or None for a column, means those of the rows of `fit`.
min_frequency : int or float in (0, 1), default=None
    Codes of fewer rows than this number, or than this share of the rows, are one unit of the
    model, the remainder. Within it they keep the shares that they have in `fit`.
handle_unknown : {"error", "infrequent"}, default="error"
    Whether codes not seen in `fit` are refused, or taken. Taken, they belong to the remainder, or
    are missing to the model in a column without one; and have together the probability
    (m + 1) / (n + 2) of it: of n rows, m have a code that no other row has (Good 1953).
fit_intercept : bool, default=True
    Whether there are biases b and c.
center : bool, default=True
    Whether gradients are centred (Melchior, Fischer, Wiskott 2016). Without biases it has
    no effect.
l1_penalty, l2_penalty : float >= 0, default=0.0
    Penalties on the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|W| and
    ``l2_penalty`` · ΣW²/2, the negative logarithms of a Laplace prior of scale 1 / `l1_penalty`
    and of a Gaussian one of variance 1 / `l2_penalty`. One value suits any number of rows; an
    `l1_penalty` of 10 suits tables of some hundred columns and up to some thousand rows
    (docs/design_notes/penalties.md). For `partial_fit`, all rows are those seen so far, counted
    each time they are seen.
init_scale : "auto" or float, default="auto"
    Amplitude of the initial patterns, whose elements are plus or minus this value at random.
    "auto" is the amplitude at which W is expected to have no singular value above 2: much larger
    ones freeze the model from the start. The paper uses 1.0.
early_stopping : bool, default=False
    Whether to set rows aside, stop when their log-likelihood no longer rises, and keep the
    best epoch. Negative phases without a ladder use their pseudo-likelihood instead, if columns
    are binary.
validation_fraction : float in (0, 1), default=0.1
    Share of rows set aside by early stopping.
n_iter_no_change : int, default=5
    Epochs without a gain of `tol` after which early stopping stops.
tol : float >= 0, default=1e-3
    Gain of early stopping, in nats.
hidden_features : {"mean", "sample"}, default="mean"
    Whether `transform` returns means of h given v, or a sample.
warm_start : bool, default=False
    Whether `fit` starts from the last fitted model, and trains it for `max_iter` more epochs; the
    schedule of the learning rate starts again. `sklearn_rapid.callbacks.resume` finishes an
    interrupted fit on its own schedule.
dtype : {"float32", "float64"}, default="float32"
    Type of parameters, fields and results; likelihoods are always summed in float64.
backend : {"auto", "numpy", "numba", "cupy", "cupy-tf32", "cupy-bf16"}, default="auto"
    "numba" runs on the CPU, "cupy" on an NVIDIA GPU, for any kind of array X; "numpy"
    is the slow reference. "auto" is "cupy" for CuPy arrays within
    ``sklearn.config_context(array_api_dispatch=True)``, and "numba" otherwise. "cupy-tf32" and
    "cupy-bf16" round the factors of products for tensor cores. Results are arrays of the
    kind of X, fitted attributes always NumPy's.
n_threads : int, default=None
    Number of threads; None means as many as the process may use. Results do not depend on it.
random_state : int, RandomState instance or None, default=None
verbose : int, default=0
    If not zero, a line is printed for each epoch, and for each call of `partial_fit`; and before
    the first one, what the columns of a frame were taken for.
n_patterns : int, default=64
    Number of patterns K.
projection : {"clip", "sign", "gibbs"} or None, default="clip"
    How patterns are projected after updates (appendix B): "clip" to `pattern_bound`,
    "sign" for patterns of spins, "gibbs" to draw each part from the model given the
    other.
projection_period : "update", "epoch" or int, default="update"
    How often patterns are projected; an int is a number of updates. Without `n_updates`,
    `partial_fit` has no end of an epoch.
pattern_bound : float, default=1.0
    The x of [-x, x] for "clip".
hidden_layer_sizes : tuple of int, default=(256, 64)
    Units of each hidden layer, from below.
positive_phase : {"mean_field", "clamped"} or PositivePhase, default="mean_field"
    How hidden layers are completed given a row of data, for its part of the gradient:
    "mean_field" by means of mean field, "clamped" by states from Gibbs steps with the row
    clamped; see `sklearn_rapid.positive_phase`. It has no effect with a single hidden layer.
output_layers : {"all", "first", "last"}, default="all"
    The hidden layers whose features `transform` returns. Units of upper layers alone may hardly
    depend on a row (docs/guide/deep.md).
"""

# Parameters that differ in DBM and RADBM; those of both RARBM and RADBM.
DEEP_PARAMETERS = """
units : {"binary", "spin"}, default="binary"
    Whether X, samples and hidden features are in {0, 1} or in {-1, +1}; means are in between.
binarize : "auto", float, "sample" or None, default="auto"
    What values mean. A number is a threshold above which a value is on. "sample": a value is
    a mean (in binary units, the probability of being on), and a new sample is drawn from it each
    time training uses the row. None: values are used as means. "auto" keeps the two ends of the
    range of `units`, samples values in between, and uses a threshold of 0.5, with a warning, for
    other values.
fit_intercept : bool, default=True
    Whether units have biases.
center : bool, default=True
    Whether gradients are centred (Melchior, Fischer, Wiskott 2016), which lets layers learn
    together (Montavon, Müller 2012). Without biases it has no effect.
early_stopping : bool, default=False
    Whether to set rows aside, stop when the lower bound of their log-likelihood no longer
    rises, and keep the best epoch.
hidden_features : {"mean", "sample"}, default="mean"
    Whether `transform` returns means of hidden units given a row, by mean field, or a sample.
"""
PATTERN_PARAMETERS = """
negative_phase : {"auto", "pt", "pid", "pcd", "cd", "exact"} or NegativePhase, default="auto"
    How states of the model are drawn, with which the data are compared; see
    `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model, as
    for `RBM`; "pid" starts chains from the patterns, as the paper does.
l1_penalty, l2_penalty : float >= 0, default=0.0
    Penalties on the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|ξ| and
    ``l2_penalty`` · Σξ²/2 over the elements of the patterns, the negative logarithms of a
    Laplace prior of scale 1 / `l1_penalty` and of a Gaussian one of variance 1 / `l2_penalty`.
    For `partial_fit`, all rows are those seen so far, counted each time they are seen.
"""

ATTRIBUTES = """
intercept_visible_ : ndarray of shape (n_units,)
    b. A column has one unit, a categorical one a unit for each code.
intercept_hidden_ : ndarray of shape (n_components,)
    c.
log_partition_ : float
    log Z in nats, estimated at the first access; see `log_partition`.
history_ : dict of lists
    A value for each epoch, and for each call of `partial_fit`: "epoch", "seconds",
    "learning_rate", "n_updates". With tempered chains "barrier" (Λ), "lag" (how far chains are
    behind the model, nats; only positive values mean that they are), "n_rungs", "n_columns" and
    "step_share". With early stopping "log_likelihood" of the rows set aside with
    "log_likelihood_error", or "pseudo_likelihood" without a ladder (nats), and "free_energy_gap"
    (of the rows set aside above those trained on, nats: it grows with overfitting).
n_iter_ : int
    Epochs of the last `fit`, and calls of `partial_fit` since.
binarize_ : float, "sample" or None
    The value of `binarize` inferred from the fitted rows; None without binary columns.
mean_, scale_ : ndarray of shape (n_units,)
    Means of real columns, or of their scores, and their standard deviations given the hidden units.
    Units of other columns have zero and one.
categories_ : list of ndarray
    The values of each categorical column, in the order of its units, and of binary columns of a
    frame that are not zeros and ones; None for other columns.
infrequent_categories_ : list of ndarray
    Those of each column that are in its remainder, if some are; None for other columns.
maps_ : list of ndarray of shape (2, n_knots)
    Values and normal scores between which the map of each real column is linear; None for
    "gaussian" columns and those that are not real.
spikes_ : list of ndarray
    The values of each column that are codes beside a real rest, if some are.
visible_ : list of (kind, ndarray of int)
    The columns of each kind, by number. Units stand in this order.
hidden_ : str
    The kind of the hidden units, if they are not binary.
column_of_unit_ : ndarray of shape (n_units,)
    The column of X that each visible unit encodes.
n_features_in_ : int
feature_names_in_ : ndarray of str
    If X has column names.
coefs_ : list of ndarray of shape (n_l, n_l+1)
    Couplings between neighbouring layers, from below.
intercepts_ : list of ndarray of shape (n_l,)
    Biases of each layer, from the visible one up.
layer_sizes_ : tuple of int
    Units of each layer, from the visible one up.
"""
DEEP_ATTRIBUTES = """
intercept_visible_ : ndarray of shape (n_even,)
    Biases of the visible layer and of the even hidden ones.
intercept_hidden_ : ndarray of shape (n_odd,)
    Biases of the odd hidden layers.
history_ : dict of lists
    As of `RBM`, with "lower_bound" of the log-likelihood of rows set aside in place of
    "log_likelihood", and "lower_bound_error", that of log Z (nats).
"""

REFERENCES = {
    "paper": """
Pozas-Kerstjens, Muñoz-Gil, Piñol, García-March, Acín, Lewenstein, Grzybowski (2021),
"Efficient training of energy-based models via spin-glass control", Mach. Learn.: Sci.
Technol. 2 025026.
""",
    "deep_machines": """
Salakhutdinov, Hinton (2009), "Deep Boltzmann machines", AISTATS.
""",
}


def entries_of(section: str) -> dict[str, str]:
    r"""Split a section of a docstring into entries, by the first name of each.

    Examples
    --------
    >>> list(entries_of("a, b : int\n    Two.\nc : int\n    One."))
    ['a', 'c']
    """
    entries = re.split(r"\n(?=\S)", section.strip("\n"))
    return {re.split(r",| :", entry)[0]: entry for entry in entries}


SHARED = {
    **entries_of(PARAMETERS),
    **entries_of(ATTRIBUTES),
    **{f"deep_{name}": entry for name, entry in entries_of(DEEP_PARAMETERS).items()},
    **{f"deep_{name}": entry for name, entry in entries_of(DEEP_ATTRIBUTES).items()},
    **{f"pattern_{name}": entry for name, entry in entries_of(PATTERN_PARAMETERS).items()},
    **{name: reference.strip("\n") for name, reference in REFERENCES.items()},
}


def with_shared_parameters(cls: Class) -> Class:
    """Replace each line `{name}` of a class's docstring by the shared entry of that name."""
    if cls.__doc__ is not None:  # python -OO has none
        doc = inspect.cleandoc(cls.__doc__)
        cls.__doc__ = re.sub(r"(?m)^\{(\w+)\}$", lambda line: SHARED[line[1]], doc) + "\n"
    return cls
