"""A ridge run on the first rows of a table, its kept forecast, and the same table grown."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.config import RunConfig
from timellm.ledger.entry import Entry
from timellm.ledger.folder import Ledger
from timellm.ledger.keeping import keep

ROWS, HORIZON, CONTEXT = 400, 12, 48


def grown_frame(rows: int = ROWS + HORIZON) -> pd.DataFrame:
    """Two hourly channels with a daily rhythm and a little noise; more rows go on where fewer end."""
    number = np.arange(rows)
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * ROWS, 2))[:rows]
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=rows, freq="h"),
            "load": (100 + 10 * (np.sin(number * 2 * np.pi / 24) + noise[:, 0])).round(6),
            "price": (50 + 5 * (np.cos(number * 2 * np.pi / 24) + noise[:, 1])).round(6),
        }
    )


@pytest.fixture(scope="session")
def ridge_run(tmp_path_factory) -> Path:
    """A finished run of a ridge."""
    folder = tmp_path_factory.mktemp("ledger")
    grown_frame(ROWS).to_csv(folder / "plant.csv", index=False)
    config = RunConfig.create(folder / "plant.csv", kind="ridge", context=CONTEXT, horizon=HORIZON)
    return timellm.fit(config, run_dir=folder / "run").run_dir


@pytest.fixture(scope="session")
def kept_once(ridge_run, tmp_path_factory) -> Path:
    """A ledger with the run's forecast in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIMELLM_HOME", str(tmp_path_factory.mktemp("kept")))
        keep(ridge_run, by="Ada", note="first plan")
        return Ledger.open().root


@pytest.fixture
def ledger(kept_once, tmp_path) -> Ledger:
    """A copy of it in the test's own workspace."""
    shutil.copytree(kept_once, tmp_path / "ledger")
    return Ledger.open()


@pytest.fixture
def entry(ledger) -> Entry:
    """Its one entry."""
    return ledger.entry(ledger.ids()[0])


@pytest.fixture
def grown(tmp_path):
    """Writes the table with so many rows, and with values changed by (column, row, value); returns its path."""

    def write(rows: int = ROWS + HORIZON, *changes, name: str = "grown.csv") -> Path:
        frame = grown_frame(rows)
        for column, row, value in changes:
            frame.loc[row, column] = value
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write
