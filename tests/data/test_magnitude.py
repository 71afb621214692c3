"""Values too large to be trained or scored are refused with one line before anything is loaded."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from timellm.cli import main
from timellm.data.table import LARGEST_VALUE, read_table
from timellm.errors import DataError


@pytest.fixture
def huge(hourly_csv, tmp_path):
    """The hourly table with a few huge values of `load`, -1e308 the largest."""
    frame = pd.read_csv(hourly_csv)
    frame.loc[[20, 300], "load"] = 1e300
    frame.loc[250, "load"] = -1e308
    frame.to_csv(tmp_path / "huge.csv", index=False)
    return tmp_path / "huge.csv"


@pytest.mark.parametrize("verb", ["inspect", "fit", "estimate"])
def test_huge_values_end_in_one_line(verb, huge, tmp_path, capsys):
    run = ["--run-dir", str(tmp_path / "run")] if verb == "fit" else []
    assert main([verb, str(huge), *run]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert "column 'load' holds -1e+308 at 2024-01-11 10:00:00; values beyond 1e+36 cannot be trained" in error
    assert not (tmp_path / "run").exists()


def test_huge_values_of_a_long_table_name_the_series(tmp_path):
    rows = [f"{name},2024-01-{day:02},{day}" for name in ("a", "b") for day in range(1, 10)]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(["unique_id,ds,y", *rows, "b,2024-01-10,1e37", "a,2024-01-10,1"]))
    with pytest.raises(DataError, match=r"series 'b' holds 1e\+37 at 2024-01-10"):
        read_table(path)


def test_the_largest_value_is_accepted(tmp_path):
    path = tmp_path / "edge.csv"
    path.write_text("ds,a\n" + "".join(f"2024-01-{day:02},{LARGEST_VALUE * (-1) ** day!r}\n" for day in range(1, 10)))
    assert np.abs(read_table(path).values["a"]).max() == LARGEST_VALUE
