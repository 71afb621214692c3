"""Small tables with known contents, and one look at what the checks find in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from timellm.config import TaskConfig
from timellm.data.table import Table
from timellm.quality.checks import Quality, check


@pytest.fixture
def table_of() -> Callable[..., Table]:
    """Make a table of channels, hourly from 2024 unless said otherwise."""

    def make(frequency: str = "h", start: str = "2024-01-01", **channels: np.ndarray) -> Table:
        rows = len(next(iter(channels.values())))
        index = pd.date_range(start, periods=rows, freq=frequency, name="ds", unit="us")
        values = pd.DataFrame({name: np.asarray(one, float) for name, one in channels.items()}, index=index)
        return Table(values, frequency, "ds", "wide", ())

    return make


@pytest.fixture
def look(table_of: Callable[..., Table]) -> Callable[..., Quality]:
    """What is found in such a table, for a context of 48 and a horizon of 12."""

    def found(context: int = 48, horizon: int = 12, **table: np.ndarray) -> Quality:
        return check(table_of(**table), TaskConfig(context=context, horizon=horizon))

    return found


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers each time."""
    return np.random.default_rng(7)


@pytest.fixture
def daily_wave() -> Callable[[int], np.ndarray]:
    """A wave of 24 rows."""
    return lambda rows: 50 + 10 * np.sin(np.arange(rows) * 2 * np.pi / 24)
