"""The forecaster that docs/forecasters.md adds works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.forecasters.naive import Naive
from timellm.forecasters.protocol import FitJob, FitReport, ignore_batch

PAGE = Path(__file__).parents[2] / "docs" / "forecasters.md"


def test_forecaster_of_the_page_forecasts_the_last_value(hourly_csv, tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "class Last:" in block)
    assert len(code.splitlines()) < 60
    room: dict = {"np": np, "FitReport": FitReport, "ignore_batch": ignore_batch}
    exec(compile(code, PAGE, "exec"), room)
    config = RunConfig.create(hourly_csv, kind="naive", context=48, horizon=12)
    prepared = PreparedData.of(load_table(config.data), config)
    fitted, _ = room["Last"].fit(prepared, FitJob(config, tmp_path))
    naive, _ = Naive.fit(prepared, FitJob(config, tmp_path))
    index = prepared.windows("test")
    expected = naive.rows()["Last value"].predict(prepared, index)
    np.testing.assert_array_equal(fitted.predict(prepared, index), expected)
