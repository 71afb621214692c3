"""Whatever a table holds, every check ends, and its findings are strict JSON and sentences."""

import json

import numpy as np
import pandas as pd
import pytest

from timellm.config import TaskConfig
from timellm.data.table import Table
from timellm.quality.checks import check, shown_first
from timellm.quality.words import said

STEPS = ("h", "15min", "7min", "s", "D", "B", "3D", "W-MON", "MS", "QS", "YS")


def channel(random, rows):
    """A channel of one of the kinds that break statistics."""
    kinds = (
        np.zeros(rows),
        np.arange(float(rows)),
        random.normal(size=rows),
        np.full(rows, np.nan),
        random.normal(size=rows) * 1e35,
        random.normal(size=rows) * 1e-300,
        (random.random(rows) < 0.02).astype(float),
        np.exp(3 * random.normal(size=rows)),
        np.where(np.arange(rows) < rows // 2, 1.0, 1e9),
    )
    found = kinds[random.integers(len(kinds))].copy()
    if random.random() < 0.4:
        found[random.random(rows) < random.choice([0.01, 0.3, 0.9])] = np.nan
    return found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(60))
def test_findings_of_any_table_are_json_and_sentences(seed):
    random = np.random.default_rng(seed)
    rows, step = int(random.choice([2, 3, 8, 30, 101, 300])), str(random.choice(STEPS))
    index = pd.date_range("1999-12-30", periods=rows, freq=step, name="ds", unit="us")
    values = {f"c{n}": channel(random, rows) for n in range(int(random.integers(1, 5)))}
    table = Table(pd.DataFrame(values, index=index), step, "ds", "wide", ())
    task = TaskConfig(context=int(random.choice([8, 48, 336])), horizon=int(random.choice([1, 12, 96])))
    quality = check(table, task, filled=bool(seed % 2))
    assert json.loads(json.dumps(quality.data(), allow_nan=False))["clear"] == list(quality.clear)
    assert len({one.key for one in quality.findings}) == len(quality.findings)
    assert sorted(shown_first(table, quality)) == sorted(table.channels)
    for finding in quality.findings:
        assert said(finding).what
        assert all(0 <= span.first_row <= span.last_row < rows for span in finding.where)
