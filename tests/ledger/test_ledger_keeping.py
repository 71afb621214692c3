"""A kept forecast holds all that it is judged by later, and stays whatever happens to its run."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading

import numpy as np
import pandas as pd
import pytest

from tests.ledger.conftest import CONTEXT, HORIZON, ROWS, grown_frame
from timellm.config import RunConfig
from timellm.errors import LedgerError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.ledger.entry import Entry
from timellm.ledger.folder import Ledger, file_sha256
from timellm.ledger.keeping import Newer, keep, table_sha256
from timellm.ledger.listing import rows
from timellm.ledger.scoring import score


def keep_newer(run, path, levels=()) -> Entry:
    """Keep the forecast beyond a newer table."""
    fitted = FittedRun.load(run)
    table = fitted.newer(path)
    kept = keep(run, by="Ada", newer=Newer(table, fitted.forecast(table, levels=levels), str(path)))
    assert kept.new
    return kept.entry


def test_kept_forecast_is_the_run_s_with_its_context_and_origin(ledger, entry, ridge_run):
    folder = RunFolder(ridge_run)
    kept = ledger.forecast(entry)
    pd.testing.assert_frame_equal(kept[["unique_id", "ds", "yhat"]], folder.future(), check_dtype=False)
    assert (entry.by, entry.note, entry.horizon, entry.channels) == ("Ada", "first plan", HORIZON, ("load", "price"))
    assert entry.cutoff == folder.table().values.index[-1] and entry.end == kept["ds"].max()
    assert RunConfig.from_json(entry.run.settings) == folder.config()
    assert entry.run.settings_sha256 == hashlib.sha256(folder.config().to_json().encode()).hexdigest()
    assert entry.run.weights_sha256 == {"ridge.safetensors": file_sha256(ridge_run / "ridge.safetensors")}
    assert entry.table_sha256 == table_sha256(folder.table().values)
    context = ledger.context(entry)
    assert len(context) == 2 * max(CONTEXT, entry.season)
    last = folder.table().values["load"].iloc[-CONTEXT:]
    mine = context[context["unique_id"] == "load"]["y"].iloc[-CONTEXT:]
    np.testing.assert_array_equal(mine, last)


def test_seasonal_naive_beside_it_repeats_the_last_season_of_the_context(ledger, entry):
    context, kept = ledger.context(entry), ledger.forecast(entry)
    for name in entry.channels:
        season = context[context["unique_id"] == name]["y"].to_numpy()[-entry.season :]
        naive = kept[kept["unique_id"] == name]["seasonal_naive"].to_numpy()
        np.testing.assert_array_equal(naive, np.resize(season, HORIZON))


def test_promise_holds_the_errors_of_the_test_windows(ledger, entry, ridge_run):
    folder = RunFolder(ridge_run)
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    promise = ledger.promise(entry)
    window = 3
    place = int(np.flatnonzero((index.channel == 1) & (index.origin == promise.origin_W[window]))[0])
    origin = int(index.origin[place])
    error_H = np.abs(forecast_WH[place] - prepared.values[origin : origin + HORIZON, 1])
    np.testing.assert_allclose(promise.error_WNH[window, 1], error_H, rtol=1e-6)


def test_entry_survives_the_deletion_of_its_run(ledger, entry, ridge_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(ridge_run, run)
    kept = keep(run, by="Bo", note="again")  # another folder of this name is the same run
    assert not kept.new
    shutil.rmtree(run)
    found = score(ledger, kept.entry.id)
    assert found.entry.run.config().kind == "ridge" and found.overall.of == 2 * HORIZON


def test_the_same_forecast_is_kept_once(ledger, entry, ridge_run):
    again = keep(ridge_run, by="Bo")
    assert (again.new, again.entry.id, len(ledger.ids())) == (False, entry.id, 1)


def test_forecast_beyond_a_newer_table_is_another_entry(ledger, entry, ridge_run, grown):
    path = grown(ROWS + 5)
    kept = keep_newer(ridge_run, path)
    assert kept.cutoff == entry.cutoff + pd.Timedelta(hours=5)
    assert kept.source == str(path) and len(ledger.ids()) == 2
    context = ledger.context(kept)
    np.testing.assert_allclose(
        context[context["unique_id"] == "load"]["y"].iloc[-1], grown_frame(ROWS + 5)["load"].iloc[-1]
    )


def test_bands_of_a_forecast_are_kept_with_it(ledger, entry, ridge_run, grown):
    banded = RunFolder(ridge_run).future((80, 95))
    names = ["yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"]
    np.testing.assert_array_equal(ledger.forecast(entry)[names], banded[names])
    assert set(names) <= set(ledger.forecast(keep_newer(ridge_run, grown(ROWS + 5), levels=(80, 95))).columns)


def test_nobody_cannot_keep_a_forecast(ridge_run):
    with pytest.raises(LedgerError, match="the name of the person who keeps it is missing"):
        keep(ridge_run, by="  ")


def test_entry_has_a_json_round_trip(entry):
    assert Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


def test_killed_write_leaves_no_entry(ledger, entry, ridge_run, tmp_path, monkeypatch):
    shutil.rmtree(ledger.root / entry.id)

    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("timellm.ledger.folder.write_sealed_json", fail)
    with pytest.raises(LedgerError, match=r"cannot be written \(No space left on device\)"):
        keep(ridge_run, by="Ada")
    assert not ledger.ids() and not list(ledger.root.iterdir())


@pytest.mark.parametrize("name", ["forecast.parquet", "context.parquet", "entry.json", "promise.parquet"])
def test_flipped_bit_is_found_and_hides_no_other_entry(ledger, entry, ridge_run, grown, name):
    other = keep_newer(ridge_run, grown(ROWS + 5))
    path = ledger.root / entry.id / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=f"{entry.id} is damaged: {name}"):
        score(ledger, entry.id)
        ledger.context(entry)
    found = {row.entry_id: row for row in rows(ledger)}
    assert found[other.id].score is not None


def test_file_of_another_entry_is_not_taken_for_the_own_one(ledger, entry, ridge_run, grown):
    other = keep_newer(ridge_run, grown(ROWS + 5))
    shutil.copy(ledger.root / other.id / "forecast.parquet", ledger.root / entry.id / "forecast.parquet")
    with pytest.raises(LedgerError, match="not the file that was kept with this forecast"):
        ledger.forecast(entry)


@pytest.mark.parametrize("name", ["../outside", "20240101-000000-zzzzz", "", "20240101"])
def test_unknown_id_is_refused(ledger, name):
    with pytest.raises(LedgerError, match="no kept forecast"):
        ledger.entry(name)
    with pytest.raises(LedgerError, match="no kept forecast"):
        ledger.find(name)


def test_threads_that_keep_at_once_all_succeed(ridge_run, grown):
    fitted = FittedRun.load(ridge_run)
    newer = []
    for more in range(1, 5):
        table = fitted.newer(grown(ROWS + more, name=f"{more}.csv"))
        newer.append(Newer(table, fitted.forecast(table), f"{more}.csv"))
    workers = [threading.Thread(target=keep, args=(ridge_run,), kwargs={"by": "Ada", "newer": one}) for one in newer]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(Ledger.open().ids()) == 4
    assert all(row.score is not None for row in rows(Ledger.open()))
