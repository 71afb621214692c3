"""Columns known ahead on the pages: their roles on the Data page, and What if on the Forecast page."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

import timellm
from benchmarks.shop_sales import PRODUCTS, shop_sales
from timellm.config import RunConfig
from timellm.data.uploads import save_upload
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.forecasting.what_if import WhatIf
from timellm.jobs.store.run_store import Store
from timellm.jobs.worker import work

KNOWN = {"known_ahead": ("promotion", "price"), "context": 28, "horizon": 7, "kind": "ridge"}


def csv(ahead: int = 7, layout: str = "wide") -> bytes:
    return shop_sales(days=400, ahead=ahead, layout=layout).to_csv(index=False).encode()


def metrics(app) -> dict[str, str]:
    return {one.label: one.value for one in app.metric}


@pytest.fixture
def shop_run():
    """Makes a finished ridge on the shop's table."""

    def make(ahead: int = 7, layout: str = "wide", **settings) -> RunFolder:
        path = save_upload("Shop.csv", content=csv(ahead, layout))
        store = Store.open()
        run = store.create_run(RunConfig.create(path, **(KNOWN | settings)), name="Shop")
        assert work(run.id, store=store, fit=timellm.fit) == "finished"
        return store.get(run.id)

    return make


def test_roles_are_chosen_in_the_form_and_kept_in_the_address(open_page):
    path = save_upload("Shop.csv", content=csv())
    app = open_page("data", table=path.name)
    assert metrics(app)["Channels"] == "5", "a price is a channel until it is said to be known ahead"
    assert metrics(app)["Missing"] != "none"
    app.multiselect(key=f"setting/{path.name}/known_ahead").set_value(["promotion", "price"])
    next(one for one in app.button if one.label == "Apply").click().run()
    assert not app.exception and not app.error
    assert (metrics(app)["Channels"], metrics(app)["Rows"], metrics(app)["Missing"]) == ("4", "400", "none")
    assert '"known_ahead":["promotion","price"]' in unquote(app.query_params["roles"])
    shown = " ".join(part.value for part in app.markdown)
    assert "'promotion' holds two texts" in shown and "7 rows after the last measured one" in shown
    again = open_page("data", **app.query_params)
    assert again.multiselect(key=f"setting/{path.name}/known_ahead").value == ["promotion", "price"]


def test_column_with_two_roles_is_refused_and_the_form_stays(open_page):
    path = save_upload("Shop.csv", content=csv())
    app = open_page("data", table=path.name)
    for role in ("known_ahead", "past_only"):
        app.multiselect(key=f"setting/{path.name}/{role}").set_value(["price"])
    next(one for one in app.button if one.label == "Apply").click().run()
    assert "names column 'price', which is in setting" in app.error[0].value
    app.multiselect(key=f"setting/{path.name}/past_only").set_value([])
    next(one for one in app.button if one.label == "Apply").click().run()
    assert not app.error and not app.exception


def test_second_file_is_uploaded_and_its_columns_are_offered(open_page):
    shop = shop_sales(days=400, ahead=7)
    sold = shop.iloc[:400][["date", *PRODUCTS]].to_csv(index=False).encode()
    path = save_upload("Sold.csv", content=sold)
    app = open_page("data", table=path.name)
    plan = shop[["date", "promotion", "price"]].to_csv(index=False).encode()
    uploader = next(one for one in app.file_uploader if one.label.startswith("Second file"))
    uploader.upload("Plan.csv", plan).run()
    assert not app.exception and not app.error
    app.multiselect(key=f"setting/{path.name}/known_ahead").set_value(["price"])
    next(one for one in app.button if one.label == "Apply").click().run()
    assert not app.exception and not app.error
    assert "-plan.csv" in unquote(app.query_params["roles"]) and "/" not in app.query_params["roles"]
    assert any("7 rows after the last measured one" in part.value for part in app.markdown)
    next(one for one in app.button if one.label == "Take it away").click().run()
    assert "has no column 'price'" in app.error[0].value


def test_address_cannot_name_a_file_of_the_machine(open_page, tmp_path):
    path = save_upload("Shop.csv", content=csv())
    (tmp_path / "secret.csv").write_text("date,secret\n2022-01-03,1\n")
    app = open_page("data", table=path.name, roles=f'{{"known_file":"{tmp_path}/secret.csv","known_ahead":["secret"]}}')
    assert not app.exception
    assert "There is no table" in app.error[0].value


def test_changed_value_moves_the_forecast_and_goes_back(open_page, shop_run):
    run = shop_run()
    app = open_page("forecast", run=run.id)
    assert not app.exception and not app.error
    shown = metrics(app)
    assert shown["Difference"] == "0" and shown["Steps that change"] == "0 of 7"
    assert shown["Total, original"] == shown["Total, what if"]
    key = f"forecast/what-if/{run.id}/0"
    app.session_state[key] = {
        "edited_rows": {2: {"promotion": "yes", "price": 2.56}}, "added_rows": [], "deleted_rows": []
    }  # fmt: skip
    app.run()
    assert not app.exception and not app.error
    assert float(metrics(app)["Difference"].replace(",", "")) > 30
    next(one for one in app.button if one.label == "Back to the original values").click().run()
    assert metrics(app)["Difference"] == "0"


def test_value_beyond_training_is_warned_of(open_page, shop_run):
    run = shop_run()
    app = open_page("forecast", run=run.id)
    key = f"forecast/what-if/{run.id}/0"
    app.session_state[key] = {"edited_rows": {0: {"price": 99.0}}, "added_rows": [], "deleted_rows": []}
    app.run()
    assert any("Outside of what the run was trained on: price (trained on 2.56 to 3.2)" in w.value for w in app.warning)


def test_missing_future_is_typed_in_and_forecast_at_once(open_page, shop_run):
    run = shop_run(ahead=0)
    app = open_page("forecast", run=run.id)
    assert not app.exception and not app.error
    assert "The first that is missing: promotion at 2023-02-07" in app.info[0].value
    key = f"forecast/what-if/{run.id}/0"
    row = {"promotion": "no", "price": 3.2}
    app.session_state[key] = {"edited_rows": dict.fromkeys(range(7), row), "added_rows": [], "deleted_rows": []}
    app.run()
    assert not app.exception and not app.error
    assert float(metrics(app)["Total, what if"].replace(",", "")) > 100
    assert "Total, original" not in metrics(app)


def test_run_that_does_not_use_its_columns_says_so(open_page, shop_run):
    run = shop_run(known_effect="off")
    app = open_page("forecast", run=run.id)
    assert not app.exception
    assert any("Known ahead, and not used by this run: promotion, price" in part.value for part in app.caption)
    assert "Difference" not in metrics(app)


@pytest.mark.parametrize("bounds", [{}, {"lower_bound": 0.0, "closed_weekdays": "sunday"}, {"upper_bound": 300.0}])
def test_scenario_is_what_the_forecaster_would_forecast(shop_run, bounds):
    run = shop_run(layout="long", **bounds)
    folder = RunFolder(run.run_dir)
    prepared = folder.prepared()
    fitted = FittedRun.load(run.run_dir)
    worked: list[pd.DataFrame] = []
    scenarios = WhatIf(prepared, folder.future(), lambda table: worked.append(fitted.forecast(table)) or worked[-1])
    assert not scenarios.for_all_channels
    values = scenarios.values("bread").assign(promotion="yes", price=2.56)
    scenario = scenarios.scenario(values, "bread")
    original, changed = scenario.of("bread")
    assert (changed - original).abs().max() > 20
    others = scenario.frame()
    assert (others[others["unique_id"] != "bread"]["difference"] == 0).all()
    number = prepared.table.channels.index("bread")
    told = fitted.table.known.with_frame(values, channel=number)
    forecast = fitted.forecast(replace(fitted.table, known=told))
    np.testing.assert_allclose(forecast["yhat"], scenario.changed["yhat"], atol=1e-6)
    cut_off = "upper_bound" in bounds and (folder.future()["yhat"] == 300).any()
    assert len(worked) == int(cut_off), "it works anew only where a value was cut off"
