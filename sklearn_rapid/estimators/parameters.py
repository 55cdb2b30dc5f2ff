"""What the docstrings of estimators share, in one place, written out at each of them."""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

Class = TypeVar("Class", bound=type)

PARAMETERS = """
n_components : int, default=256
    Number of hidden units H.
negative_phase : {"auto", "pt", "pcd", "cd", "exact"} or NegativePhase, default="auto"
    Where the states come from that the model is compared with; see
    `sklearn_rapid.negative_phase`. "auto" is parallel tempering that adapts to the model:
    hardly more than "pcd" where chains find their way, and as much more as they need where
    they do not. "pt" is another name for it.
optimizer : {"sgd", "adam"} or optimizer, default="sgd"
    See `sklearn_rapid.optimizers`; ``SGD(scaled=False)`` takes plain gradient steps.
learning_rate : "auto", float or schedule, default="auto"
    How far each update moves the energies of the model's states: the standard deviation
    of their change in nats, per square root of a visible unit (less by √(n/100) where a
    batch and the chains have n < 100 rows). Being measured in what a step does, one rate
    serves every number of units, patterns and rows. A float is a constant rate; "auto" is
    ``LinearDecay(0.25)``, which falls from 0.25 to zero over `max_iter`.
batch_size : int, default=100
    Rows of an update, and chains of most negative phases. More than there are rows are of no
    use: beyond 100 they are taken for as many, with a warning.
max_iter : int, default=20
    Epochs.
n_updates : int, default=None
    For `partial_fit`: how many updates there will be in all calls together, counted from the
    model's first one. They are taken for `max_iter` epochs of equal length, so that the
    learning rate falls as in `fit`; what goes beyond stays at the last rate, with a warning.
    None is not known: the rate stays that of a first epoch.
shuffle : bool, default=True
    Whether rows are shuffled before each epoch.
visible : {"binary", "gaussian", "categorical"} or list of (kind, columns), default="binary"
    What the columns of X are. "gaussian": real numbers. Each is v = (x - `mean_`) / `scale_`
    inside, and v is normal around b + Wh with variance one. The mean is that of the rows of
    `fit`, or of the first `partial_fit`; the scale starts at their standard deviation, and is
    trained. All that is returned is in the units of X, and likelihoods are those of densities.
    "categorical": whole numbers that are codes, such as `OrdinalEncoder` makes. A column has a
    unit for each code that it has in `fit`, or in the first `partial_fit`, rows of weight zero
    among them; one of them is on. Other codes are refused afterwards. A list says which columns
    are of which of these kinds, by numbers, names, masks or slices as in `ColumnTransformer`:
    each column once.
hidden : {"binary", "gaussian"}, default="binary"
    What hidden units are. "gaussian": real numbers, normal around c + Wᵀv with variance one.
    With binary columns that is the Hopfield model whose memories are the rows of `components_`.
    Real columns take binary hidden units only.
units : {"binary", "spin"}, default="binary"
    X, samples and hidden features are in {0, 1}, or in {-1, +1}; means are in between. With
    real columns and categories, hidden features alone.
binarize : "auto", float, "sample" or None, default="auto"
    What values mean. A number is the threshold above which a value is on. "sample": a value is
    a mean (in binary units, the probability of being on), of which a fresh sample is drawn
    each time a row is used in training. None: values are used as means. "auto" takes two
    values, the ends of the range of `units`, as they are, and values in between as "sample"
    does; others are on above 0.5, with a warning. Without binary columns, leave it at "auto".
fit_intercept : bool, default=True
    Whether there are biases b and c.
center : bool, default=True
    Whether gradients are centred (Melchior, Fischer, Wiskott 2016). Without biases it has
    no effect.
l1_penalty, l2_penalty : float >= 0, default=0.0
    What is taken from the log-likelihood of *all* rows, in nats: ``l1_penalty`` · Σ|W| and
    ``l2_penalty`` · ΣW²/2, the negative logarithms of a Laplace prior of scale 1 / `l1_penalty`
    and of a Gaussian one of variance 1 / `l2_penalty`. One value serves any number of rows; an
    `l1_penalty` of 10 suits tables of some hundred columns and up to some thousand rows
    (docs/design_notes/penalties.md). For `partial_fit`, all rows are those seen so far, counted
    each time they come.
init_scale : "auto" or float, default="auto"
    The initial patterns are random, each element plus or minus this amplitude. "auto" is
    the amplitude at which W is expected to have no singular value above 2: much larger
    ones leave the model frozen from the start. The paper's is 1.0.
early_stopping : bool, default=False
    Whether to set rows aside, stop when their log-likelihood no longer rises, and keep the
    best epoch. Negative phases without a ladder go by their pseudo-likelihood, where columns
    are binary.
validation_fraction : float in (0, 1), default=0.1
    Share of rows set aside by early stopping.
n_iter_no_change : int, default=5
    Epochs without a gain of `tol` after which early stopping stops.
tol : float >= 0, default=1e-3
    In nats.
hidden_features : {"mean", "sample"}, default="mean"
    What `transform` returns of h given v.
warm_start : bool, default=False
    Whether `fit` starts from the model that the last one has left, which it then trains for
    `max_iter` more epochs; the schedule of the learning rate starts anew. A fit that was cut
    short, `sklearn_rapid.callbacks.resume` takes to its end, on the schedule that it was on.
dtype : {"float32", "float64"}, default="float32"
    Of parameters, fields and results; likelihoods are summed in float64 in any case.
backend : {"auto", "numpy", "numba", "cupy", "cupy-tf32", "cupy-bf16"}, default="auto"
    "numba" runs on the CPU, "cupy" on an NVIDIA GPU, whatever kind of array X is; "numpy"
    is the slow reference. "auto" is "cupy" for CuPy arrays within
    ``sklearn.config_context(array_api_dispatch=True)``, and "numba" otherwise. The last two
    round the factors of products on their way into tensor cores. Results are arrays of the
    kind that X is, fitted attributes always NumPy's.
n_threads : int, default=None
    None is as many as the process may use. Results do not depend on it.
random_state : int, RandomState instance or None, default=None
verbose : int, default=0
    If not zero, a line is printed each epoch, and each call of `partial_fit`.
n_patterns : int, default=64
    Number of patterns K.
projection : {"clip", "sign", "gibbs"} or None, default="clip"
    What is done to the patterns after updates (appendix B): "clip" to `pattern_bound`,
    "sign" for patterns of spins, "gibbs" to draw each part from the model given the
    other.
projection_period : "update", "epoch" or int, default="update"
    How often; an int is a number of updates. Without `n_updates`, `partial_fit` has no end
    of an epoch.
pattern_bound : float, default=1.0
    The x of [-x, x] for "clip".
hidden_layer_sizes : tuple of int, default=(256, 64)
    Units of each hidden layer, from below.
positive_phase : {"mean_field", "clamped"} or PositivePhase, default="mean_field"
    What hidden layers are taken to be given a row of data, in its part of the gradient:
    "mean_field" are means by mean field, "clamped" states from Gibbs steps with the row held
    fast; see `sklearn_rapid.positive_phase`. With a single hidden layer nothing is left to it.
output_layers : {"all", "first", "last"}, default="all"
    Of which hidden layers `transform` returns features. Units of upper layers alone may say next
    to nothing of a row (docs/guide/deep.md).
"""

ATTRIBUTES = """
intercept_visible_ : ndarray of shape (n_units,)
    b. A column is one unit, and a categorical one as many as it has codes.
intercept_hidden_ : ndarray of shape (n_components,)
    c.
log_partition_ : float
    log Z in nats, estimated when first asked for; see `log_partition`.
history_ : dict of lists
    A value an epoch each, and one a call of `partial_fit`: "epoch", "seconds",
    "learning_rate", "n_updates". With tempered
    chains "barrier" (Λ), "lag" (how far chains are behind the model, nats; positive only
    if they are), "n_rungs", "n_columns" and "step_share". With early stopping
    "log_likelihood" of the rows set aside with "log_likelihood_error", or
    "pseudo_likelihood" where there is no ladder (nats), and "free_energy_gap" (of the rows
    set aside over those trained on, nats: it grows with overfitting).
n_iter_ : int
    Epochs of the last `fit`, and calls of `partial_fit` since.
binarize_ : float, "sample" or None
    What `binarize` has come to for the rows that were fitted; None without binary columns.
mean_, scale_ : ndarray of shape (n_units,)
    Of real columns: their means, and their standard deviations given the hidden units. Of
    other units beside them, zero and one.
categories_ : list of ndarray
    The codes of each column, sorted, as its units stand; None for a column of another kind.
visible_ : list of (kind, ndarray of int)
    What a list for `visible` has come to: the columns of each kind, by number. Units stand in
    this order.
hidden_ : str
    What hidden units are, where they are not binary.
column_of_unit_ : ndarray of shape (n_units,)
    The column of X that each visible unit is of.
n_features_in_ : int
feature_names_in_ : ndarray of str
    If X has column names.
coefs_ : list of ndarray of shape (n_l, n_l+1)
    Couplings between neighbouring layers, from below.
intercepts_ : list of ndarray of shape (n_l,)
    Biases of each layer, those of the visible one first.
layer_sizes_ : tuple of int
    Units of each layer, the visible one first.
"""

# Those of the same name that say something else of deep machines, and references.
OTHERS = {
    "deep_intercept_visible_": """
intercept_visible_ : ndarray of shape (n_even,)
    Biases of the visible layer and of the even hidden ones.
""",
    "deep_intercept_hidden_": """
intercept_hidden_ : ndarray of shape (n_odd,)
    Biases of the odd hidden layers.
""",
    "deep_history_": """
history_ : dict of lists
    A value an epoch each, and one a call of `partial_fit`: "epoch", "seconds",
    "learning_rate", "n_updates". With tempered
    chains "barrier" (Λ), "lag" (how far chains are behind the model, nats; positive only
    if they are), "n_rungs", "n_columns" and "step_share". With early stopping "lower_bound" of
    the log-likelihood of the rows set aside, with "lower_bound_error" for what is not known of
    log Z (nats), and "free_energy_gap" (of the rows set aside over those trained on, nats: it
    grows with overfitting).
""",
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
    r"""The entries of a section of a docstring, by the first name of each.

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
    **{name: entry.strip("\n") for name, entry in OTHERS.items()},
}


def with_shared_parameters(cls: Class) -> Class:
    """Put a shared entry where a class's docstring has a line `{name}`."""
    if cls.__doc__ is not None:  # python -OO has none
        doc = inspect.cleandoc(cls.__doc__)
        cls.__doc__ = re.sub(r"(?m)^\{(\w+)\}$", lambda line: SHARED[line[1]], doc) + "\n"
    return cls
