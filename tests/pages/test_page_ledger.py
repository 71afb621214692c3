"""The Ledger page and the action on the Forecast page: empty, kept, scored, adjusted, below the promise, damaged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.pages.conftest import hourly_csv
from tests.pages.test_page_results import traces
from tests.pages.test_page_states import text
from timellm.ledger.adjusting import adjust
from timellm.ledger.arriving import INBOX, bring
from timellm.ledger.folder import Ledger
from timellm.ledger.keeping import keep
from timellm.ledger.points import points

ROWS, HORIZON = 400, 12


@pytest.fixture
def kept(finished):
    """The kept forecast of a finished run."""
    return keep(finished.run_dir, by="Ada", note="plan", run_name=finished.name).entry


def grown(home, *, shift: float = 0.0):
    """The run's table with more rows, whose new values are near the kept forecast (1 to 12) but for `shift`."""
    frame = pd.read_csv(pd.io.common.BytesIO(hourly_csv(ROWS + HORIZON)))
    for name in ("load", "price"):
        frame.loc[ROWS:, name] = np.arange(1, HORIZON + 1) + 0.3 + shift
    frame.to_csv(home / "grown.csv", index=False)
    return home / "grown.csv"


def named(elements, label):
    return next(one for one in elements if one.label == label)


def test_ledger_without_any_forecast_says_how_to_keep_one(open_page):
    app = open_page("ledger")
    assert not app.exception and not app.error
    assert "No forecast is kept yet" in text(app)
    assert [link.label for link in app.page_link] == ["Open a forecast"]


def test_forecast_is_kept_from_its_page_once(open_page, finished):
    app = open_page("forecast", run=finished.id)
    button = app.button(key="ledger/keep").click().run()
    assert "the name of the person who keeps it is missing" in app.error[0].value.lower().replace("\\", "")
    named(app.text_input, "Your name").set_value("Ada").run()
    app.button(key="ledger/keep").click().run()
    assert not app.exception and not app.error and button
    assert "The forecast is kept" in text(app)
    ledger = Ledger.open()
    (entry_id,) = ledger.ids()
    assert (ledger.entry(entry_id).by, ledger.entry(entry_id).run.name) == ("Ada", finished.name)
    app.button(key="ledger/keep").click().run()
    assert "It was kept before" in text(app) and ledger.ids() == (entry_id,)
    app.segmented_control(key="show").set_value("Test period").run()
    assert not app.exception and not [one for one in app.button if one.key == "ledger/keep"]


def test_kept_forecast_waits_for_actual_values(open_page, kept):
    app = open_page("ledger")
    assert not app.exception and not app.error
    assert app.query_params["kept"] == [kept.id] or app.query_params["kept"] == kept.id
    assert "Nothing is known of it yet" in text(app)
    assert {"Seen by the model", "Forecast", "Seasonal naive"} <= traces(app).keys() and "Actual" not in traces(app)
    table = app.dataframe[0].value
    assert table["State"].tolist() == ["due"] and table["Known"].tolist() == ["0 of 24"]


def test_scored_forecast_shows_what_came_beside_the_promise(open_page, kept, home):
    bring(Ledger.open(), [grown(home)], by="Ada")
    app = open_page("ledger", kept=kept.id)
    assert not app.exception and not app.error and not app.warning
    assert "times what the backtest promised" in text(app)
    assert {metric.label: metric.value for metric in app.metric}["MAE"] == "0.3000"
    assert "Actual" in traces(app)
    assert "nothing is left to adjust" in text(app)


def test_uploaded_table_scores_every_kept_forecast(open_page, kept, home):
    app = open_page("ledger")
    app.file_uploader[0].upload("grown.csv", grown(home).read_bytes(), "text/csv").run()
    named(app.button, "Score with this table").click().run()
    assert not app.exception and not app.error
    assert "24 new actual values for 1 kept forecast" in app.success[0].value
    assert app.dataframe[0].value["State"].tolist() == ["scored"]


def test_table_that_does_not_belong_is_refused_with_its_reason(open_page, kept):
    app = open_page("ledger")
    other = b"date,load,price\n" + b"".join(b"2030-01-%02d,1,%d\n" % (day, day) for day in range(1, 29))
    app.file_uploader[0].upload("other.csv", other, "text/csv").run()
    named(app.button, "Score with this table").click().run()
    assert not app.exception
    assert "does not belong to" in app.warning[0].value


def test_watched_folder_is_read_when_the_page_opens(open_page, kept, home):
    folder = home / "ledger" / INBOX
    folder.mkdir()
    grown(home).rename(folder / "grown.csv")
    app = open_page("ledger")
    assert not app.exception and app.dataframe[0].value["State"].tolist() == ["scored"]
    assert "belongs to 1 of 1 kept forecasts" in text(app)


def test_error_above_the_promise_offers_a_new_fit(open_page, kept, home, store):
    bring(Ledger.open(), [grown(home, shift=50.0)], by="Ada")
    app = open_page("ledger")
    assert not app.exception
    assert "Below what the backtest promised" in app.warning[0].value
    assert app.dataframe[0].value["State"].tolist() == ["scored, below promise"]
    named(app.button, "Fit it again on the newer table").click().run()
    assert not app.exception and not app.error
    newest = store.runs(1)[0]
    assert newest.config.data.path.endswith("grown.csv") and newest.name.startswith("Again: ")
    assert any(link.label.startswith("The new run has started") for link in app.page_link)


def test_adjustment_needs_a_reason_and_stands_beside_the_model(open_page, kept, home):
    app = open_page("ledger")
    named(app.text_input, "Your name").set_value("Bo").run()
    app.button(key="ledger/save").click().run()
    assert "reason is missing" in app.error[0].value
    ledger = Ledger.open()
    wanted = pd.DataFrame({"unique_id": ["load"], "ds": [kept.cutoff + pd.Timedelta(hours=1)], "value": [1.3]})
    adjust(ledger, kept, wanted, by="Bo", reason="a strike")
    app.run()
    assert "Adjusted" in traces(app)
    assert app.dataframe[0].value["Adjusted"].tolist() == ["not known yet"]
    assert app.dataframe[-2].value["Why"].tolist() == ["a strike"]
    bring(ledger, [grown(home)], by="Ada")
    app.run()
    assert "The adjustments made it better by 100%" in text(app).replace("\\", "")
    assert points(ledger, kept)["yhat"].iloc[0] == 1.0


def test_damaged_entry_is_said_and_hides_no_other(open_page, kept, home, store, finished):
    ledger = Ledger.open()
    (ledger.root / kept.id / "forecast.parquet").write_bytes(b"nothing")
    app = open_page("ledger")
    assert not app.exception
    assert "is damaged" in app.error[0].value
    assert app.dataframe[0].value["State"].tolist() == ["damaged"]


def test_entry_of_a_deleted_run_is_shown(open_page, kept, store, finished):
    store.delete(finished.id)
    app = open_page("ledger")
    assert not app.exception and not app.error
    assert "is not in this workspace" in text(app)


def test_names_are_not_read_as_markdown(open_page, finished):
    keep(finished.run_dir, by="[x](http://a.b)", note="**bold** <script>", run_name="# run")
    app = open_page("ledger")
    said = text(app)
    assert r"\[x\]" in said and r"\*\*bold\*\*" in said and r"\<script\>" in said
