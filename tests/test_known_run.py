"""A run with columns known ahead: its folder, its archive, its forecasts, and what the command line does with them."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import timellm
from benchmarks.shop_sales import PRODUCTS, shop_sales
from tests.conftest import SMALL
from timellm.cli import main
from timellm.config import RunConfig
from timellm.data.table import read_table
from timellm.errors import CheckpointError, DataError
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.ensemble import ensemble_config
from timellm.forecasting.fitted import FittedRun
from timellm.forecasting.many import forecast_many
from timellm.forecasting.what_if import WhatIf
from timellm.jobs.archive.importing import import_run
from timellm.jobs.archive.writing import write_archive
from timellm.jobs.store.run_store import Store
from timellm.jobs.worker import work
from timellm.workspace import Workspace

KNOWN = {"known_ahead": ("promotion", "price"), "context": 28, "horizon": 7}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop of 500 days with 7 days ahead, as a CSV file."""
    path = tmp_path_factory.mktemp("shop") / "shop.csv"
    shop_sales(days=500, ahead=7).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def there(tmp_path_factory, shop):
    """A finished ridge in a workspace of its own."""
    store = Store.open(Workspace(tmp_path_factory.mktemp("there")))
    run = store.create_run(RunConfig.create(shop, kind="ridge", **KNOWN))
    assert work(run.id, store=store, fit=timellm.fit) == "finished"
    return store, store.get(run.id)


@pytest.fixture(scope="module")
def folder(there) -> RunFolder:
    return RunFolder(there[1].run_dir)


def test_run_says_what_it_decided_and_forecasts_better(there, folder, shop, tmp_path):
    _, run = there
    assert run.summary["known_effect"] in ("straight", "bent", "by_time")
    assert run.summary["tried_known_effects"]["off"] == 1
    assert "Known ahead: promotion, price. Their effect" in run.summary["notes"][0]
    plain = timellm.fit(RunConfig.create(shop, kind="ridge", **KNOWN, known_effect="off"), run_dir=tmp_path / "plain")
    assert plain.summary["known_effect"] == "off"
    assert run.summary["test"]["mae"] < 0.6 * plain.summary["test"]["mae"]
    assert run.summary["window_set"] == plain.summary["window_set"]


def test_columns_that_are_not_used_change_nothing(shop, tmp_path):
    sold = pd.read_csv(shop).drop(columns=["promotion", "price"]).iloc[:500]
    sold.to_csv(tmp_path / "sold.csv", index=False)
    lengths = {"context": 28, "horizon": 7, "kind": "ridge"}
    named = RunConfig.create(shop, **KNOWN, kind="ridge", known_effect="off")
    with_columns = timellm.fit(named, run_dir=tmp_path / "with")
    without = timellm.fit(RunConfig.create(tmp_path / "sold.csv", **lengths), run_dir=tmp_path / "without")
    for name in ("mae", "mse", "mse_scaled"):
        assert with_columns.summary["test"][name] == without.summary["test"][name]
    pd.testing.assert_frame_equal(RunFolder(tmp_path / "with").future(), RunFolder(tmp_path / "without").future())
    assert not list((tmp_path / "without").glob("known*"))


def test_folder_keeps_columns_and_effects(folder, shop):
    table, kept = read_table(shop, known_ahead=KNOWN["known_ahead"]), folder.table()
    np.testing.assert_array_equal(kept.known.values_SNK, table.known.values_SNK)
    assert kept.known.index.equals(table.known.index) and kept.known.categories == table.known.categories
    assert folder.config().data.known_ahead == KNOWN["known_ahead"]
    assert folder.prepared().effects is not None
    again = FittedRun.load(folder.path).forecast()
    np.testing.assert_allclose(again["yhat"], folder.future()["yhat"], rtol=1e-9)


def test_archive_carries_what_is_known_ahead(there, folder, tmp_path):
    store, run = there
    out = io.BytesIO()
    write_archive(store, run.id, out, with_table=True)
    here = import_run(Store.open(Workspace(tmp_path / "here")), io.BytesIO(out.getvalue()))
    imported = RunFolder(here.run.run_dir)
    assert here.run.config.data.known_ahead == KNOWN["known_ahead"]
    pd.testing.assert_frame_equal(FittedRun.load(imported.path).forecast(), FittedRun.load(folder.path).forecast())


@pytest.mark.parametrize("name", ["known.json", "known.parquet", "known_effects.json"])
def test_changed_file_is_refused(folder, tmp_path, name):
    copy = tmp_path / "run"
    shutil.copytree(folder.path, copy)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=name.split(".")[0]):
        FittedRun.load(copy)


def test_scrambled_sales_after_an_origin_change_no_forecast(folder):
    fitted = FittedRun.load(folder.path)
    table = fitted.table
    cut = replace(table, values=table.values.iloc[:480])
    first = fitted.forecast(cut)
    assert len(first) == 7 * len(PRODUCTS)
    changed = table.known.frame(cut.future_index(7)).assign(promotion="yes", price=2.56)
    assert (fitted.forecast(cut, known=changed)["yhat"] - first["yhat"]).abs().max() > 5
    scrambled = table.known.values_SNK.copy()
    scrambled[487:] = np.nan  # after the horizon
    later = replace(cut, known=replace(table.known, values_SNK=scrambled))
    pd.testing.assert_frame_equal(fitted.forecast(later), first)


def test_forecast_verb_takes_a_file_of_what_is_known(folder, shop, tmp_path, capsys):
    ahead = pd.read_csv(shop).iloc[500:][["date", "promotion", "price"]]
    ahead.assign(promotion="yes", price=2.56).to_csv(tmp_path / "ahead.csv", index=False)
    words = ["forecast", str(folder.path), "--out", str(tmp_path / "out.csv")]
    assert main([*words, "--known", str(tmp_path / "ahead.csv")]) == 0
    changed = pd.read_csv(tmp_path / "out.csv")
    usual = folder.future()
    bread = changed["unique_id"] == "bread"
    weekday = pd.to_datetime(changed["ds"]).dt.day_of_week
    quiet = np.tile(pd.read_csv(shop)["promotion"][500:] == "no", len(PRODUCTS)) & (weekday < 6)
    assert (changed["yhat"] - usual["yhat"])[bread & quiet].min() > 20
    ahead.drop(columns=["promotion", "price"]).assign(rain=1).to_csv(tmp_path / "rain.csv", index=False)
    assert main([*words, "--force", "--known", str(tmp_path / "rain.csv")]) == 2
    assert "rain.csv has none of the columns known ahead (promotion, price)" in capsys.readouterr().err
    assert (
        main(
            ["forecast", str(folder.path), "--known", str(tmp_path / "ahead.csv"), "--out", str(tmp_path / "ahead.csv")]
        )
        == 2
    )
    assert "ahead.csv" in capsys.readouterr().err


def test_newer_table_brings_its_own_columns(folder, shop, tmp_path):
    fitted = FittedRun.load(folder.path)
    newer = pd.read_csv(shop).iloc[:493]
    newer.to_csv(tmp_path / "newer.csv", index=False)
    with pytest.raises(DataError, match="column 'promotion' is known ahead, and its value at 2023-05-11 is missing"):
        fitted.forecast(tmp_path / "newer.csv")
    ahead = pd.read_csv(shop).iloc[493:500][["date", "promotion", "price"]]
    ahead.to_csv(tmp_path / "ahead.csv", index=False)
    both = fitted.forecast(tmp_path / "newer.csv", known=tmp_path / "ahead.csv")
    cut = replace(fitted.table, values=fitted.table.values.iloc[:493])
    np.testing.assert_allclose(both["yhat"], fitted.forecast(cut)["yhat"])
    newer.drop(columns="price").to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(DataError, match=r"less\.csv has no column 'price'"):
        fitted.forecast(tmp_path / "less.csv")


def test_run_without_a_future_has_no_forecast_and_says_why(shop, tmp_path, capsys):
    path = tmp_path / "past.csv"
    pd.read_csv(shop).iloc[:500].to_csv(path, index=False)
    run = tmp_path / "run"
    words = ["fit", str(path), "--run-dir", str(run), "--model", "ridge", "--set", "known_ahead=promotion,price"]
    assert main([*words, "--set", "context=28", "--set", "horizon=7"]) == 0
    assert "There is no forecast beyond the data: column 'promotion' is known ahead" in capsys.readouterr().out
    assert RunFolder(run).future().empty
    assert main(["forecast", str(run), "--out", str(tmp_path / "out.csv")]) == 2
    assert "its value at 2023-05-18 is missing (7 of the 7 rows to forecast)" in capsys.readouterr().err
    with pytest.raises(DataError, match="uses columns known ahead, and the files of forecast-many have no place"):
        forecast_many(run, tmp_path / "x.parquet", tmp_path / "out")


def test_language_model_sees_what_is_left_and_adds_the_effect(shop, tiny_backbone, tmp_path):
    settings = SMALL | KNOWN | {"known_effect": "straight", "linear_path": "fixed"}
    run = timellm.fit(RunConfig.create(shop, backbone=str(tiny_backbone), **settings), run_dir=tmp_path / "run")
    fitted = FittedRun.load(run.run_dir)
    table = fitted.table
    usual = fitted.forecast()
    ahead = table.known.frame(table.future_index(7)).assign(promotion="yes", price=2.56)
    moved = fitted.forecast(known=ahead)["yhat"] - usual["yhat"]
    effects = fitted.prepared.effects
    changed = effects.of(replace(table, known=table.known.with_frame(ahead)), ahead=7, missing="skip")
    expected = (changed - effects.of(table, ahead=7, missing="skip"))[500:]
    np.testing.assert_allclose(moved, expected.T.ravel(), atol=1e-3)
    assert np.abs(expected).max() > 5


def test_ensemble_forecasts_what_its_members_would_with_other_values(folder, shop, tmp_path):
    straight = {"known_effect": "straight", "kind": "ridge"}
    other = timellm.fit(RunConfig.create(shop, **KNOWN, **straight), run_dir=tmp_path / "other")
    timellm.fit(ensemble_config([folder.path, other.run_dir]), run_dir=tmp_path / "both")
    both, members = FittedRun.load(tmp_path / "both"), [FittedRun.load(one) for one in (folder.path, other.run_dir)]
    ahead = both.table.known.frame(both.table.future_index(7)).assign(promotion="yes", price=2.56)
    expected = np.mean([one.forecast(known=ahead)["yhat"] for one in members], axis=0)
    np.testing.assert_allclose(both.forecast(known=ahead)["yhat"], expected)
    run = RunFolder(tmp_path / "both")
    scenario = WhatIf(run.prepared(), run.future(), both.forecast).scenario(ahead, "bread")
    np.testing.assert_allclose(scenario.changed["yhat"], expected)
