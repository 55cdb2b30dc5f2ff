"""A small frame with columns of every kind that hang together, and models fitted on it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from sklearn_rapid import RARBM, RBM
from tools.fitted import Fitted, strengthen

NAMES = ["member", "town", "plan", "spent", "age"]
CLASSES = {"RBM": RBM, "RARBM": RARBM}


def make_customers(n=300):
    """Rows of three sorts: truth values, text, codes, amounts with zeros, rounded numbers.

    Of towns and plans, some are rare.
    """
    rng = np.random.default_rng(0)
    sort = rng.integers(3, size=n)
    common, rare = np.array(["Aix", "Bern", "Como"]), ["Dax", "Enna"]
    town = np.where(rng.random(n) < 0.93, common[sort], rng.choice(rare, n, p=[0.7, 0.3]))
    plan = np.where(rng.random(n) < 0.95, 1 + (sort == 2), rng.choice([4, 6], n))
    amount = np.exp(0.5 * rng.normal(size=n) + sort)
    columns = (
        rng.random(n) < np.array([0.2, 0.5, 0.9])[sort],
        town,
        plan,
        np.where(rng.random(n) < 0.4, 0.0, amount),
        np.round(3.0 + 0.6 * sort + 0.8 * rng.normal(size=n), 1),
    )
    return pd.DataFrame(dict(zip(NAMES, columns, strict=True)))


@cache
def fitted_customers(cls="RBM", seed=0, scale=0.6, **params):
    """A model of customers with strong couplings, and its sums; not to be changed.

    By default infrequent towns and plans are one unit each, which leaves a share to others.
    """
    params = {"min_frequency": 25, "handle_unknown": "infrequent", "dtype": "float64", **params}
    how = {"n_components": 3, "max_iter": 1, "random_state": 0, **params}
    frame = make_customers()
    if how.get("hidden") == "gaussian":
        frame = frame[NAMES[:3]]
        how["n_components"] = 2
    visible = {"age": "quantile"} if "age" in frame else "auto"
    model = CLASSES[cls](**how, visible=visible).fit(frame)
    strengthen(model, seed, scale)
    return model, Fitted(model)
