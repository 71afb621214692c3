"""Real exports that no regular grid fits, repaired to the tables that a person would make of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.errors import RepairableError

MESSY = Path(__file__).parents[3] / "shared" / "data" / "messy"
pytestmark = pytest.mark.skipif(not MESSY.is_dir(), reason="needs the tables beside the checkout")


def offered(path, **settings):
    with pytest.raises(RepairableError) as error:
        timellm.read_table(path, **settings)
    return error.value.repairs


def test_three_hourly_records_that_become_hourly_are_made_one_step():
    path = MESSY / "wiski_barchem_3h.csv"
    assert "resample:3h:mean" in offered(path)
    table = timellm.read_table(path, repair=("resample:3h:mean",), channels=("Value",), decimal="point")
    lines = [line.split(";") for line in path.read_text().splitlines()[12:]]
    utc = pd.to_datetime([line[0] for line in lines], utc=True).tz_localize(None)
    expected = pd.Series([float(line[1]) if line[1] else np.nan for line in lines], utc).groupby(utc.floor("3h")).mean()
    assert table.frequency == "3h" and len(expected) > 20_000
    index = pd.date_range(expected.index[0], expected.index[-1], freq="3h")
    np.testing.assert_allclose(table.values["Value"], expected.reindex(index), rtol=1e-12)


def test_yearly_peaks_are_one_a_water_year():
    path = MESSY / "usgs_peaks.rdb"
    assert "resample:YS-OCT:max" in offered(path)
    table = timellm.read_table(path, repair=("resample:YS-OCT:max",), channels=("peak_va", "gage_ht"))
    assert table.values["peak_va"].tolist() == [
        3640, 3800, 1510, 6990, 5790, 5210, 12700, 5520, 7860, 4130, 5780, 16800, 4900, 10800, 15600, 6610, 6140, 4960,
        8360, 7220,
    ]  # fmt: skip
    assert [when.year for when in table.values.index] == list(range(1999, 2019))
    assert np.flatnonzero(table.values["gage_ht"].isna()).tolist() == [2]
