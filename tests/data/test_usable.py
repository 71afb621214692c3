"""Counting windows before a run: against a plain loop, with what gaps cost, and with changes that are seen to help."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.table import Table
from timellm.data.usable import PARTS, count_windows
from timellm.data.windows import Split

RNG = np.random.default_rng(5)


def table(values: np.ndarray) -> Table:
    index = pd.date_range("2020-01-01", periods=len(values), freq="h", name="ds", unit="us")
    columns = pd.Index([f"c{number}" for number in range(values.shape[1])], dtype="str")
    return Table(pd.DataFrame(values, index=index, columns=columns), "h", "ds", "wide", ())


def with_gaps(rows: int, share: float, channels: int = 2) -> np.ndarray:
    values = RNG.normal(size=(rows, channels))
    values[RNG.random(values.shape) < share] = np.nan
    return values


def settings(**changed) -> RunConfig:
    return RunConfig.create("x.csv", **({"context": 24, "horizon": 8, "patch_length": 8} | changed))


def is_usable(values: np.ndarray, missing: str, origin: int, context: int, horizon: int) -> tuple[bool, bool]:
    """Of one channel: whether the context can be used, and whether the target is whole; as the rules are told."""
    known = ~np.isnan(values)
    inside = known[origin - context : origin]
    fits = inside.all() if missing == "skip" else known[: origin - context + 1].any() and inside.any()
    return bool(fits), bool(known[origin : origin + horizon].all())


@pytest.mark.parametrize("missing", ["skip", "interpolate"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_counts_equal_a_plain_loop(missing, share):
    values = with_gaps(300, share)
    values[:40, 1] = np.nan
    config = settings(missing=missing)
    counts = count_windows(table(values), config)
    split = Split.from_rows(config.task.split_rows(300))
    for part in PARTS:
        begin, end = split.bounds(part)
        found = [
            is_usable(values[:, channel], missing, origin, 24, 8)
            for channel in range(2)
            for origin in range(max(begin, 24), end - 8 + 1)
        ]
        expected = (
            len(found),
            sum(fits and whole for fits, whole in found),
            sum(not whole for _, whole in found),
            sum(whole and not fits for fits, whole in found),
        )
        part = counts.parts[part]
        assert (part.possible, part.usable, part.gap_in_target, part.gap_in_context) == expected
        assert part.left_out == part.possible - part.usable and part.rows == end - begin
        assert bool(part.reason) == (part.usable == 0)


def test_a_whole_table_has_no_remedies_and_no_reason():
    counts = count_windows(table(with_gaps(300, 0.0)), settings())
    assert counts.left_out == 0 and counts.remedies == () and counts.reason == ""


@pytest.mark.parametrize("rows, gap_every, changed", [(400, 20, {}), (400, 7, {}), (80, 0, {"context": 52})])
def test_remedies_are_what_they_promise(rows, gap_every, changed):
    values = RNG.normal(size=(rows, 2))
    if gap_every:
        values[::gap_every] = np.nan
    config = settings(**changed)
    counts = count_windows(table(values), config)
    assert counts.reason and counts.remedies
    for remedy in counts.remedies:
        again = count_windows(table(values), config.updated(**remedy.settings))
        assert again.parts == remedy.parts and again.reason == ""
        assert remedy.text in counts.reason
        assert f"{remedy.parts['training'].usable:,} training windows" in counts.reason


def test_gaps_in_every_context_are_filled_or_avoided_by_a_shorter_context():
    values = RNG.normal(size=(400, 1))
    values[::20] = np.nan  # contexts of 24 rows always hold one, targets of 8 do not
    counts = count_windows(table(values), settings())
    assert counts.parts["training"].usable == 0 and counts.parts["training"].gap_in_context > 0
    assert counts.reason.startswith("every window of the training part touches a missing value; you can fill gaps")
    offered = {name: value for remedy in counts.remedies for name, value in remedy.settings.items()}
    assert offered == {"missing": "interpolate", "context": 8}  # 8 + 8 rows lie between two gaps, 16 + 8 do not


def test_gaps_in_every_target_are_not_filled():
    values = RNG.normal(size=(400, 1))
    values[::8] = np.nan
    counts = count_windows(table(values), settings(missing="interpolate"))
    assert counts.usable == 0
    assert [remedy.settings for remedy in counts.remedies] == [{"horizon": 4}]  # half of the windows are left


def test_where_one_change_is_not_enough_two_are_offered():
    values = RNG.normal(size=(400, 1))
    values[::6] = np.nan
    counts = count_windows(table(values), settings())
    assert [remedy.settings for remedy in counts.remedies] == [{"missing": "interpolate", "horizon": 2}]


def test_a_few_windows_left_out_are_counted_without_a_reason():
    values = RNG.normal(size=(400, 1))
    values[100, 0] = np.nan
    counts = count_windows(table(values), settings())
    assert counts.parts["training"].gap_in_target == 8 and counts.parts["training"].gap_in_context == 24
    assert counts.reason == "" and [remedy.settings for remedy in counts.remedies] == [{"missing": "interpolate"}]


def test_a_channel_without_training_values_is_named_and_left_out():
    values = with_gaps(300, 0.0, channels=3)
    values[:250, 1] = np.nan
    counts = count_windows(table(values), settings())
    assert counts.reason.startswith("channel 'c1' has no value in the 210 training rows; you can leave out 'c1'")
    assert counts.remedies[0].settings == {"channels": ("c0", "c2")}
    chosen = count_windows(table(values), settings(channels=("c0", "c2")))
    assert chosen.reason == "" and chosen.parts == counts.remedies[0].parts


def test_an_empty_table_is_told_and_nothing_is_offered():
    counts = count_windows(table(np.full((300, 2), np.nan)), settings())
    assert counts.usable == 0 and counts.remedies == ()
    assert "channel 'c0' has no value in the 210 training rows; enlarge" in counts.reason


def test_parts_too_short_say_how_many_rows_are_needed():
    counts = count_windows(table(np.zeros((100, 1))), settings(split="60/37/3"))
    assert counts.parts["test"].usable == 0
    assert "test part has 3 rows, but one window needs 8 (context 24, horizon 8); lower them" in counts.reason
    assert [remedy.settings for remedy in counts.remedies] == [{"horizon": 3}]


def test_a_split_larger_than_the_table_counts_nothing():
    counts = count_windows(table(np.zeros((100, 1))), settings(split="300/100/100"))
    assert counts.usable == 0 and "asks for 500 rows" in counts.reason
    assert {part.reason for part in counts.parts.values()} == {counts.reason}


def test_counting_needs_no_torch():
    code = "import sys, timellm.data.usable; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
