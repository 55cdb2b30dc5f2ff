"""Imputers of frames: ours and its rivals, each made of the whole table's codes and a seed.

Each has `fit_transform(train, test)`, that fits on training rows with gaps and returns both parts
without gaps. Rivals get matrices (`Codes`): positions of codes, and real columns in standard
deviations.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from table_sets import text_columns


class Codes:
    """Frames as matrices, and back.

    Parameters
    ----------
    whole : DataFrame
        The table without gaps: its values are the codes.

    Attributes
    ----------
    values : list of array or None
        The codes of each column; None for real columns.
    """

    def __init__(self, whole):
        text = set(text_columns(whole))
        self.values = [np.unique(whole[c]) if c in text else None for c in whole.columns]

    def fit(self, frame):
        """Learn means and standard deviations of real columns with gaps."""
        real = [v is None for v in self.values]
        self.mean, self.scale = np.zeros(len(real)), np.ones(len(real))
        numbers = frame.loc[:, real].to_numpy(float)
        self.mean[real], self.scale[real] = np.nanmean(numbers, 0), np.nanstd(numbers, 0)
        return self

    def encode(self, frame):
        """Return a matrix, NaN where an entry is missing."""
        Z = np.empty(frame.shape)
        for j, values in enumerate(self.values):
            column = frame.iloc[:, j]
            if values is None:
                Z[:, j] = (column.to_numpy(float) - self.mean[j]) / self.scale[j]
            else:
                Z[:, j] = pd.Categorical(column, categories=values).codes
                Z[column.isna(), j] = np.nan
        return Z

    def decode(self, Z, like):
        """Return a frame: given entries of `like`, and those of a matrix elsewhere."""
        out = {}
        for j, values in enumerate(self.values):
            column = like.iloc[:, j]
            if values is None:
                found = Z[:, j] * self.scale[j] + self.mean[j]
            else:
                found = values[np.clip(np.rint(Z[:, j]), 0, len(values) - 1).astype(int)]
            out[like.columns[j]] = column.where(column.notna(), pd.Series(found, like.index))
        return pd.DataFrame(out)


class OfMatrices:
    """An imputer of frames by one of matrices with the methods `fit` and `transform`."""

    def __init__(self, codes, imputer):
        self.codes, self.imputer = codes, imputer

    def fit_transform(self, train, test):
        """Fit on training rows; fill them and test rows."""
        coded = [self.codes.fit(train).encode(part) for part in (train, test)]
        self.imputer.fit(coded[0])
        filled = [self.imputer.transform(Z) for Z in coded]
        return tuple(
            self.codes.decode(Z, part) for Z, part in zip(filled, (train, test), strict=True)
        )


class MostFrequent:
    """The most frequent code, the mean of a real column."""

    def __init__(self, sizes):
        self.is_code = sizes > 0

    def fit(self, Z):
        """Learn them."""
        self.fill = SimpleImputer().fit(Z).statistics_
        mode = SimpleImputer(strategy="most_frequent").fit(Z).statistics_
        self.fill[self.is_code] = mode[self.is_code]
        return self

    def transform(self, Z):
        """Fill in."""
        return np.where(np.isnan(Z), self.fill, Z)


class OneHotNeighbours:
    """KNNImputer of one-hot codes: the code that most of the neighbours have."""

    def __init__(self, sizes):
        self.sizes, self.imputer = sizes, KNNImputer()

    def wide(self, Z):
        """One-hot codes: two are as far apart as two rows of a real column in the mean."""
        parts = []
        for column, size in zip(Z.T, self.sizes, strict=True):
            hot = (column[:, None] == np.arange(size)) if size else column[:, None]
            hot = np.where(np.isnan(column)[:, None], np.nan, hot)
            parts.append(hot)
        return np.hstack(parts)

    def fit(self, Z):
        """Keep the rows."""
        self.imputer.set_params(keep_empty_features=True).fit(self.wide(Z))
        return self

    def transform(self, Z):
        """Fill in."""
        wide, out, start = self.imputer.transform(self.wide(Z)), Z.copy(), 0
        for j, size in enumerate(self.sizes):
            part = wide[:, start : start + max(size, 1)]
            out[:, j] = part.argmax(axis=1) if size else part[:, 0]
            start += max(size, 1)
        return np.where(np.isnan(Z), out, Z)


class Boosted:
    """A gradient-boosted classifier or regressor a column, of all others with their gaps.

    Missing inputs are NaN, which the trees take, so there is no round to repeat. A code of a single
    row is left out: early stopping splits the rows by code.
    """

    def __init__(self, sizes, seed):
        self.sizes, self.seed = sizes, seed

    def fit(self, Z):
        """Fit each column where it is given."""
        self.models = []
        for j, size in enumerate(self.sizes):
            given = ~np.isnan(Z[:, j])
            if size:
                codes, counts = np.unique(Z[given, j], return_counts=True)
                given &= np.isin(Z[:, j], codes[counts > 1])
            others = np.delete(np.arange(len(self.sizes)), j)
            kind = HistGradientBoostingClassifier if size else HistGradientBoostingRegressor
            model = kind(categorical_features=self.sizes[others] > 0, random_state=self.seed)
            self.models.append((model.fit(Z[given][:, others], Z[given, j]), others))
        return self

    def transform(self, Z):
        """Fill in what each column's model predicts."""
        out = Z.copy()
        for j, (model, others) in enumerate(self.models):
            rows = np.isnan(Z[:, j])
            if rows.any():
                out[rows, j] = model.predict(Z[rows][:, others])
        return out


class Miceforest:
    """miceforest's chained LightGBM, of one data set and without mean matching.

    Matching takes log odds for codes, and fails where a probability is zero.

    It is fitted to training and test rows together, which others are not: version 6.0.5 fills new
    rows from the first random fill of their other gaps, whatever has been predicted for them.
    """

    def __init__(self, whole, seed, rounds=5):
        self.kernel = import_module("miceforest").ImputationKernel
        self.dtypes = {c: pd.CategoricalDtype(whole[c].unique()) for c in text_columns(whole)}
        self.seed, self.rounds = seed, rounds

    def fit_transform(self, train, test):
        """Fill training and test rows together."""
        both = pd.concat([train, test], ignore_index=True).astype(self.dtypes)
        for c in self.dtypes:
            both[c] = both[c].cat.remove_unused_categories()
        kernel = self.kernel(both, num_datasets=1, mean_match_candidates=0, random_state=self.seed)
        kernel.mice(self.rounds, n_jobs=1)
        out = kernel.complete_data(0).astype(dict.fromkeys(self.dtypes, object))
        return out[: len(train)].set_axis(train.index), out[len(train) :].set_axis(test.index)


class Ours:
    """Our imputer by its defaults."""

    def __init__(self, seed):
        from sklearn_rapid import BoltzmannImputer

        self.imputer = BoltzmannImputer(random_state=seed)

    def fit_transform(self, train, test):
        """Fit on training rows; fill them and test rows."""
        self.imputer.fit(train)
        return self.imputer.transform(train), self.imputer.transform(test)


def of_matrices(make):
    """An imputer of matrices, made of how many codes each column has (0 if real) and a seed."""

    def imputer(whole, seed):
        codes = Codes(whole)
        sizes = np.array([0 if v is None else len(v) for v in codes.values])
        return OfMatrices(codes, make(sizes, seed))

    return imputer


IMPUTERS = {
    "BoltzmannImputer": lambda whole, seed: Ours(seed),
    "most frequent, mean": of_matrices(lambda sizes, seed: MostFrequent(sizes)),
    "KNNImputer on codes": of_matrices(lambda sizes, seed: KNNImputer()),
    "KNNImputer, one-hot": of_matrices(lambda sizes, seed: OneHotNeighbours(sizes)),
    "HistGradientBoosting a column": of_matrices(Boosted),
    "miceforest, with test rows": Miceforest,
}
