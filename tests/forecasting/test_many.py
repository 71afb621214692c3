"""Very many series: each forecast is the one it would have alone, bad series are left out, nothing is done twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import timellm
from tests.conftest import SMALL
from timellm.data.longtable import Chunk, Reading, chunks
from timellm.errors import DataError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.many import forecast_many

CONTEXT = 48
READING = Reading(context=4, frequency="h", interpolate=False, series_a_chunk=3)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, hourly_csv, tiny_backbone):
    """A small run on two hourly channels, `load` and `price`."""
    folder = tmp_path_factory.mktemp("many") / "run"
    config = timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | {"layers": 1}))
    timellm.fit(config, run_dir=folder)
    return folder


def long_table(series: dict[str, np.ndarray], *, end="2024-03-01", frequency="h") -> pd.DataFrame:
    frames = [
        pd.DataFrame({"unique_id": name, "ds": pd.date_range(end=end, periods=len(y), freq=frequency), "y": y})
        for name, y in series.items()
    ]
    return pd.concat(frames, ignore_index=True)


def walks(count: int, *, rows=CONTEXT, prefix="s") -> dict[str, np.ndarray]:
    steps = np.random.default_rng(0).normal(size=(count, rows))
    return {f"{prefix}{number:03}": values for number, values in enumerate(steps.cumsum(axis=1))}


def read(folder) -> pd.DataFrame:
    """The forecast as a user reads it: the folder as one table."""
    return pd.read_parquet(folder)


def test_run_s_own_table_is_forecast_as_the_run_itself_did(run_dir, tmp_path):
    folder = RunFolder(run_dir)
    table = folder.table()
    rows = table.values.reset_index().melt("ds", var_name="unique_id", value_name="y")
    rows.to_parquet(tmp_path / "long.parquet")
    done = forecast_many(run_dir, tmp_path / "long.parquet", tmp_path / "out")
    assert (done.series, done.left_out, done.parts) == (2, 0, 1)
    pd.testing.assert_frame_equal(
        read(tmp_path / "out"), folder.future(), check_dtype=False, check_index_type=False, rtol=0, atol=0
    )


def test_series_is_forecast_alike_alone_and_among_others(run_dir, tmp_path):
    series = walks(70)
    long_table(series).to_parquet(tmp_path / "all.parquet")
    long_table({"s041": series["s041"]}).to_csv(tmp_path / "one.csv", index=False)
    forecast_many(run_dir, tmp_path / "all.parquet", tmp_path / "all")
    forecast_many(run_dir, tmp_path / "one.csv", tmp_path / "one")
    among, alone = read(tmp_path / "all"), read(tmp_path / "one")
    among = among[among["unique_id"] == "s041"].reset_index(drop=True)
    pd.testing.assert_frame_equal(among, alone, rtol=1e-9)
    assert list(alone.columns) == ["unique_id", "ds", "yhat"]
    assert len(alone) == SMALL["horizon"]
    assert alone["ds"].iloc[0] == pd.Timestamp("2024-03-01 01:00")


def test_forecast_follows_the_units_of_an_unknown_series(run_dir, tmp_path):
    (name, values), *_ = walks(1).items()
    long_table({name: values, "scaled": 1000 * values + 5e6}).to_parquet(tmp_path / "long.parquet")
    forecast_many(run_dir, tmp_path / "long.parquet", tmp_path / "out")
    plain, scaled = (frame["yhat"].to_numpy() for _, frame in read(tmp_path / "out").groupby("unique_id", sort=True))
    plain, scaled = (plain, scaled) if abs(plain).max() < 1e5 else (scaled, plain)
    np.testing.assert_allclose(scaled, 1000 * plain + 5e6, rtol=1e-6)


def test_bad_series_are_left_out_with_their_reasons(run_dir, tmp_path):
    good = walks(3)
    hole, infinite = good["s000"].copy(), good["s001"].copy()
    hole[-3], infinite[-1] = np.nan, np.inf
    huge = good["s002"].copy()
    huge[0] = 1e300
    frame = long_table(good | {"short": np.arange(5.0), "hole": hole, "infinite": infinite, "huge": huge})
    frame = pd.concat([frame, long_table({"daily": good["s000"]}, frequency="D")])
    frame.to_parquet(tmp_path / "long.parquet")
    done = forecast_many(run_dir, tmp_path / "long.parquet", tmp_path / "out")
    assert (done.series, done.left_out) == (3, 5)
    (file,) = (tmp_path / "out").glob("_left-out-*.csv")
    reasons = pd.read_csv(file).set_index("unique_id")["reason"]
    assert reasons["short"] == "it has 5 rows, and a context is 48"
    assert reasons["hole"] == reasons["infinite"] == "a value is missing or infinite in its last 48 rows"
    assert reasons["huge"] == "a value is beyond 1e+36"
    assert reasons["daily"] == "its last 48 rows are not one every h"
    assert set(read(tmp_path / "out")["unique_id"]) == set(good)


def test_interrupted_forecast_goes_on_and_another_one_is_refused(run_dir, tmp_path):
    long_table(walks(3)).to_parquet(tmp_path / "long.parquet")
    out = tmp_path / "out"
    forecast_many(run_dir, tmp_path / "long.parquet", out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert forecast_many(run_dir, tmp_path / "long.parquet", out).series == 3
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before, "nothing was done again"
    long_table(walks(4)).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="holds the forecast of another run or of other files"):
        forecast_many(run_dir, tmp_path / "other.parquet", out)
    with pytest.raises(DataError, match="is not empty and holds no forecast"):
        forecast_many(run_dir, tmp_path / "long.parquet", tmp_path)


def test_series_in_two_files_is_found(run_dir, tmp_path):
    (tmp_path / "long").mkdir()
    for number in range(2):
        long_table({"twice": walks(1)["s000"]}).to_parquet(tmp_path / "long" / f"{number}.parquet")
    with pytest.raises(DataError, match="1 series stand in more than one place"):
        forecast_many(run_dir, tmp_path / "long", tmp_path / "out")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_chunks_hold_each_series_end_whatever_stretch_it_was_read_in(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("timellm.data.longtable._STRETCH_ROWS", 5)
    series = walks(7, rows=9)
    frame = long_table(series)
    file = tmp_path / f"long.{kind}"
    frame.to_parquet(file, row_group_size=4) if kind == "parquet" else frame.to_csv(file, index=False)
    found = list(chunks(str(file), READING))
    assert [len(chunk.ids) for chunk in found] == [3, 3, 1]
    for chunk in found:
        again = Chunk.from_arrow(chunk.to_arrow())
        assert (again.ids, again.means, again.left_out) == (chunk.ids, chunk.means, chunk.left_out)
        for name, context, mean, scale in zip(again.ids, again.contexts, again.means, again.scales, strict=True):
            np.testing.assert_allclose(context, series[name][-4:])
            assert mean == pytest.approx(series[name].mean())
            assert scale == pytest.approx(series[name].std())


def test_rows_of_a_series_may_stand_in_any_order(tmp_path):
    frame = long_table(walks(2, rows=6)).sample(frac=1, random_state=0).sort_values("unique_id", kind="stable")
    frame.to_parquet(tmp_path / "long.parquet")
    (chunk,) = chunks(str(tmp_path / "long.parquet"), READING)
    np.testing.assert_allclose(chunk.contexts[1], walks(2, rows=6)["s001"][-4:])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"unique_id": ["a"], "ds": ["2024"]}, "has no column 'y'"),
        ({"unique_id": ["a"], "ds": ["noon"], "y": [1.0]}, "column 'ds' holds string, not timestamps"),
        ({"unique_id": [None], "ds": [pd.Timestamp("2024")], "y": [1.0]}, "column 'unique_id' misses 1 values"),
        ({"unique_id": ["a"], "ds": [pd.Timestamp("2024", tz="UTC")], "y": [1.0]}, "has the time zone UTC"),
        ({"unique_id": ["a"], "ds": [pd.Timestamp("2024")], "y": ["much"]}, "cannot be read: .*much"),
    ],
)
def test_file_that_is_no_long_table_is_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "long.parquet")
    with pytest.raises(DataError, match=message):
        list(chunks(str(tmp_path / "long.parquet"), READING))


def test_damaged_and_missing_files_are_refused(run_dir, tmp_path):
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(DataError, match=r"damaged\.parquet cannot be read"):
        list(chunks(str(tmp_path / "damaged.parquet"), READING))
    with pytest.raises(DataError, match=r"holds no \.parquet and no \.csv file"):
        forecast_many(run_dir, tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize("settings", [{"kind": "ridge", "linear_features": "calendar"}, {"prompt_calendar": True}])
def test_series_that_end_at_other_moments_are_told_their_own_calendar(tmp_path, hourly_csv, tiny_backbone, settings):
    own = {} if "kind" in settings else {"backbone": str(tiny_backbone), **(SMALL | {"layers": 1})}
    config = timellm.RunConfig.create(hourly_csv, **({"context": CONTEXT, "horizon": 12} | own | settings))
    run_dir = timellm.fit(config, run_dir=tmp_path / "run").run_dir
    whole = RunFolder(run_dir).table()
    ends = {"load": 390, "price": 383}  # other hours, and other days
    parts = [
        whole.values[[name]].iloc[:end].reset_index().melt("ds", var_name="unique_id", value_name="y")
        for name, end in ends.items()
    ]
    pd.concat(parts).to_parquet(tmp_path / "long.parquet")
    forecast_many(run_dir, tmp_path / "long.parquet", tmp_path / "out")
    found = read(tmp_path / "out")
    run = timellm.Forecaster.load(run_dir)
    for name, end in ends.items():
        alone = run.forecast(replace(whole, values=whole.values.iloc[:end]))
        pd.testing.assert_frame_equal(
            found[found["unique_id"] == name].reset_index(drop=True),
            alone[alone["unique_id"] == name].reset_index(drop=True),
            check_dtype=False, check_index_type=False, rtol=1e-6,
        )  # fmt: skip
