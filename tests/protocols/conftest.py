"""A folder with a small file that looks like ETTh1, and a set that describes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.protocols import sets

ROWS = 480


def small_ett(path: Path) -> Path:
    """Write hourly values of two loads and OT with a daily rhythm and noise."""
    rows, noise = np.arange(ROWS), np.random.default_rng(0).normal(0, 0.3, (3, ROWS))
    daily = np.sin(rows * 2 * np.pi / 24)
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2016-07-01", periods=ROWS, freq="h"),
            "HUFL": 5 + daily + noise[0],
            "LUFL": 3 - daily + noise[1],
            "OT": 30 + 2 * daily + noise[2],
        }
    )
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder; `ETTh1` means its small file in this test, with horizons of 12 and 24 rows."""
    place = tmp_path / "sets"
    place.mkdir()
    small_ett(place / "ETTh1.csv")
    records = json.loads(sets._FILE.read_text(encoding="utf-8"))
    small = {"rows": ROWS, "channels": 3, "names": [], "split": "240/120/120", "horizons": [12, 24], "context": 48}
    records["ETTh1"] |= small
    records["ETTh2"] |= small
    file = tmp_path / "sets.json"
    file.write_text(json.dumps(records))
    monkeypatch.setattr(sets, "_FILE", file)
    sets.known_sets.cache_clear()
    yield place
    sets.known_sets.cache_clear()
