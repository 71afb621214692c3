"""Fills: what each puts into a context, that nothing after a cut-off changes it, and that targets are never filled."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.cli import main
from timellm.config import RunConfig
from timellm.data.gaps import Past, Reach, filled_at_the_end
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.forecasting.artifacts import RunFolder

NAN = np.nan
FILLS = ("fill:previous", "fill:linear", "fill:seasonal:24")
CONTEXT, HORIZON = 24, 6


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("previous", [NAN, 2, 2, 4, 5, 5, 5]),
        ("seasonal:3", [NAN, 2, NAN, 4, 5, NAN, 4]),  # the last is 4, three rows before; row 5 has row 2, missing
        ("interpolate", [NAN, 2, 3, 4, 5, 5, 5]),
    ],
)
def test_what_a_window_at_the_end_sees(missing, expected):
    values = np.array([NAN, 2, NAN, 4, 5, NAN, NAN])[:, None]
    np.testing.assert_array_equal(filled_at_the_end(values, missing)[:, 0], expected)


def test_a_season_reaches_back_over_several():
    values = np.array([1, 2, NAN, 4, NAN, NAN, NAN, 8])[:, None]
    np.testing.assert_array_equal(filled_at_the_end(values, "seasonal:2")[:, 0], [1, 2, 1, 4, 1, 4, 1, 8])
    np.testing.assert_array_equal(filled_at_the_end(values, "seasonal:9"), values)


@pytest.mark.parametrize("missing", ["skip", "interpolate", "previous", "seasonal:5"])
def test_a_context_is_usable_exactly_where_all_of_it_has_a_value(missing):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(120, 2))
    values[rng.random(values.shape) < 0.4] = NAN
    values[:9, 1] = NAN
    past, reach, rows = Past.of(values, missing), Reach.of(values, missing), 7
    fits, whole = reach.usable(rows, horizon=2, begin=rows, end=119)
    for origin in range(rows, 119):
        for channel in (0, 1):
            seen = past.before(
                np.array([origin]), channel=np.array([channel]), rows_WK=np.arange(origin - rows, origin)[None]
            )
            measured = ~np.isnan(values[origin - rows : origin, channel])
            assert fits[channel, origin - rows] == (not np.isnan(seen).any() and measured.any())
            assert whole[channel, origin - rows] == (not np.isnan(values[origin : origin + 2, channel]).any())


@pytest.fixture(scope="module")
def records():
    """Records at uneven minutes, two a usual hour, some of them twice, some hours without any."""
    rng = np.random.default_rng(5)
    start = pd.Timestamp("2024-01-01")
    hours = np.sort(rng.choice(240, 215, replace=False).repeat(2))
    times = start + pd.to_timedelta(hours * 60 + rng.integers(0, 60, len(hours)), unit="min")
    frame = pd.DataFrame({"date": times, "load": rng.normal(100, 5, len(hours)), "price": rng.normal(5, 1, len(hours))})
    frame.loc[rng.random(len(frame)) < 0.1, "price"] = NAN
    return pd.concat([frame, frame.iloc[::9]]).sort_values("date", kind="stable")


def prepared(frame, path, fill, scaler=None):
    frame.to_csv(path, index=False)
    config = RunConfig.create(
        path, kind="naive", context=CONTEXT, horizon=HORIZON, repair=("duplicates:mean", "resample:1h:mean", fill)
    )
    return PreparedData.of(load_table(config.data), config, scaler=scaler)


@pytest.mark.parametrize("fill", FILLS)
def test_scrambling_every_record_from_a_cut_off_on_changes_nothing_before_it(records, tmp_path, fill):
    """Values from the cut-off on are others or missing, records are added, and some moved within their future."""
    whole = prepared(records, tmp_path / "whole.csv", fill)
    source, rng = whole.source(), np.random.default_rng(7)
    checked = 0
    for origin in range(CONTEXT, len(whole.table.values) - 2, 9):
        cutoff = whole.table.values.index[origin]
        later = records[records["date"] >= cutoff].copy()
        moved = pd.to_timedelta(rng.integers(0, 300, len(later)), unit="min")
        later["date"] = np.minimum(later["date"] + moved, records["date"].max())
        for name in ("load", "price"):
            later[name] = np.where(rng.random(len(later)) < 0.4, NAN, rng.normal(0, 1e5, len(later)))
        scrambled = pd.concat([records[records["date"] < cutoff], later, records.iloc[[-1]]])
        other = prepared(scrambled, tmp_path / "other.csv", fill, scaler=whole.scaler)
        np.testing.assert_array_equal(whole.table.values.iloc[:origin], other.table.values.iloc[:origin])
        channel, at = np.arange(2), np.full(2, origin)
        np.testing.assert_array_equal(
            source.contexts(channel, origin=at), other.source().contexts(channel, origin=at), err_msg=str(origin)
        )
        steps = np.arange(origin - CONTEXT, origin)[None].repeat(2, axis=0)
        np.testing.assert_array_equal(
            whole.past.before(at, channel=channel, rows_WK=steps), other.past.before(at, channel=channel, rows_WK=steps)
        )
        fits = [Reach.of(one.values, one.config.missing).usable(CONTEXT, horizon=0, begin=origin, end=origin + 1)[0]
                for one in (whole, other)]  # fmt: skip
        np.testing.assert_array_equal(*fits)
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("fill", FILLS)
def test_a_filled_value_is_never_a_target_and_never_scored(hourly_csv, tmp_path, fill):
    frame = pd.read_csv(hourly_csv)
    gaps = [330, 341, 342, 370]
    frame.loc[gaps, "load"] = NAN
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    config = RunConfig.create(tmp_path / "gaps.csv", kind="naive", context=48, horizon=12, repair=(fill,))
    timellm.fit(config, run_dir=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    kept = folder.prepared()
    index, _ = folder.test_windows(kept)
    targets = (index.origin[:, None] + np.arange(12))[index.channel == 0]
    assert not np.isin(targets, gaps).any()
    expected = [o for o in range(320, 389) if not set(range(o, o + 12)) & set(gaps)]
    assert sorted(index.origin[index.channel == 0]) == expected, (
        "contexts with gaps are used, targets with gaps are not"
    )
    assert kept.table.values["load"].isna().sum() == len(gaps), "the kept table holds what was measured"
    points = folder.scores().by_channel.query("channel == 'load'")["points"]
    assert (points == 12 * len(expected)).all()


def test_a_fill_reports_its_cells(hourly_csv, tmp_path):
    frame = pd.read_csv(hourly_csv)
    frame.loc[[0, 30, 31], "load"] = NAN
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    table = timellm.read_table(tmp_path / "gaps.csv", repair=("fill:seasonal:24",))
    (report,) = table.repairs
    assert report.added == {"load": 2} and report.places[0] == "2024-01-02 06:00:00"
    assert "1 cells have nothing before them" in report.sentence


def test_a_run_repairs_new_data_as_it_repaired_its_own(records, tmp_path):
    path = tmp_path / "records.csv"
    records.iloc[:300].to_csv(path, index=False)
    config = RunConfig.create(
        path,
        kind="naive",
        context=CONTEXT,
        horizon=HORIZON,
        repair=("duplicates:mean", "resample:1h:mean", "fill:linear"),
    )
    timellm.fit(config, run_dir=tmp_path / "run")
    records.to_csv(tmp_path / "newer.csv", index=False)
    forecast = timellm.Forecaster.load(tmp_path / "run").forecast(tmp_path / "newer.csv")
    last = load_table(replace_path(config, tmp_path / "newer.csv").data).values.index[-1]
    assert forecast["ds"].min() == last + pd.Timedelta(hours=1)
    assert RunFolder(tmp_path / "run").config().data.repair == config.data.repair
    assert any("resample:1h:mean" in note for note in RunFolder(tmp_path / "run").table().notes)


def replace_path(config, path):
    return config.updated(path=str(path))


def test_newer_data_may_need_other_repairs(hourly_csv, tmp_path, capsys):
    config = RunConfig.create(hourly_csv, kind="naive", context=24, horizon=6)
    timellm.fit(config, run_dir=tmp_path / "run")
    newer = pd.read_csv(hourly_csv)
    pd.concat([newer, newer.tail(3)]).to_csv(tmp_path / "newer.csv", index=False)
    command = [
        "forecast",
        str(tmp_path / "run"),
        "--data",
        str(tmp_path / "newer.csv"),
        "--out",
        str(tmp_path / "f.csv"),
    ]
    assert main(command) == 2
    assert "repair=duplicates:mean" in capsys.readouterr().err
    assert main([*command, "--repair", "duplicates:mean"]) == 0
    assert len(pd.read_csv(tmp_path / "f.csv")) == 12


def test_a_prediction_reads_the_filled_context(records, tmp_path):
    whole = prepared(records, tmp_path / "whole.csv", "fill:previous")
    missing = np.flatnonzero(np.isnan(whole.values[:, 0]))
    origin = int(missing[missing > CONTEXT][0]) + 1
    index = WindowIndex(np.array([0]), np.array([origin]), 0)
    seen = whole.source().contexts(index.channel, origin=index.origin)[0]
    assert seen[-1] == seen[-2], "the gap before the origin repeats the value before it"
    assert replace(whole).windows("training").origin.size > 0
