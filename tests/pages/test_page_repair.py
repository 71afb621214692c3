"""The data screen's repairs: a refused table is made readable, a change is looked at before it is applied."""

import json
from urllib.parse import unquote

import pandas as pd
import pytest

from timellm.data.corrections import keep_corrections, kept_corrections
from timellm.data.samples import samples
from timellm.jobs.store.run_store import Store
from timellm.workspace import workspace


def button(app, label):
    return next(one for one in app.button if one.label.replace("\\", "") == label)


def labels(app):
    return [one.label.replace("\\", "") for one in app.button]


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def repair_of(app):
    return json.loads(unquote(app.query_params.get("roles", "{}"))).get("repair")


@pytest.fixture
def local_csv() -> bytes:
    utc = pd.date_range("2024-10-20", periods=400, freq="h", tz="UTC")
    local = utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")
    return pd.DataFrame({"date": local, "load": range(400), "price": 5}).to_csv(index=False).encode()


def test_a_doubled_hour_is_mended_in_one_click_and_the_choice_is_kept(open_page, local_csv):
    app = open_page("data")
    app.file_uploader[0].upload("Local.csv", local_csv).run()
    assert not app.exception
    assert "already stands" in app.error[0].value
    assert "Local clock of Europe/Berlin to UTC" in labels(app)
    assert app.get("plotly_chart"), "the likeliest repair is shown before anything is chosen"
    assert metrics(app)["Rows before"] == metrics(app)["Rows after"] == "400"
    assert repair_of(app) is None
    button(app, "Apply").click().run()
    assert not app.exception and not app.error
    assert repair_of(app) == ["timezone:Europe/Berlin:utc"]
    assert metrics(app)["Rows"] == "400" and metrics(app)["Missing"] == "none"
    table_id = app.query_params["table"]
    assert (workspace().uploads / table_id).read_bytes() == local_csv

    again = open_page("data", table=table_id)  # another visit, with nothing of it in the address
    assert not again.error and repair_of(again) == ["timezone:Europe/Berlin:utc"]
    again.selectbox(key="data/pick").select(f"sample:{samples()[0].key}").run()
    assert repair_of(again) is None
    again.selectbox(key="data/pick").select(table_id).run()
    assert not again.error and repair_of(again) == ["timezone:Europe/Berlin:utc"]
    button(again, "Undo").click().run()
    assert "already stands" in again.error[0].value
    assert "already stands" in open_page("data", table=table_id).error[0].value


def test_a_repair_is_looked_at_applied_and_undone(open_page, table_id):
    app = open_page("data", table=table_id)
    app.selectbox(key=f"setting/{table_id}/repair/kind").set_value("clip").run()
    app.text_input(key=f"setting/{table_id}/repair/low").set_value("45")
    button(app, "Look at it").click().run()
    assert not app.exception
    shown = metrics(app)
    assert shown["Cells changed"] != "0" and shown["Cells removed"] == "0"
    assert repair_of(app) is None, "looking changes nothing"
    button(app, "Discard").click().run()
    assert "Discard" not in labels(app) and "Cells changed" not in metrics(app)
    button(app, "Look at it").click().run()
    button(app, "Apply").click().run()
    assert repair_of(app) == ["clip:45:"]

    app.selectbox(key=f"setting/{table_id}/repair/kind").set_value("resample").run()
    app.text_input(key=f"setting/{table_id}/repair/step").set_value("3h")
    button(app, "Look at it").click().run()
    assert (metrics(app)["Rows before"], metrics(app)["Rows after"]) == ("400", "133")
    button(app, "Apply").click().run()
    assert repair_of(app) == ["clip:45:", "resample:3h:mean"]
    assert metrics(app)["One row every"] == "3 hours"
    button(app, "Undo all").click().run()
    assert repair_of(app) is None and metrics(app)["One row every"] == "hour"


def test_a_step_that_cannot_be_made_says_why_and_is_not_applied(open_page, table_id):
    app = open_page("data", table=table_id)
    app.selectbox(key=f"setting/{table_id}/repair/kind").set_value("resample").run()
    app.text_input(key=f"setting/{table_id}/repair/step").set_value("2MS")
    button(app, "Look at it").click().run()
    assert not app.exception
    assert "a fixed point" in app.error[0].value
    assert repair_of(app) is None


def test_a_repair_in_the_address_that_cannot_be_made_can_be_undone(open_page, table_id):
    app = open_page("data", table=table_id, roles=json.dumps({"repair": ["drop:channel:gone"]}))
    assert not app.exception
    assert any("names channel 'gone'" in error.value.replace("\\", "") for error in app.error)
    button(app, "Undo").click().run()
    assert not app.error and metrics(app)["Rows"] == "400"


def test_corrections_without_meaning_can_be_forgotten(open_page, table_id):
    keep_corrections(table_id, {"repair": ["mend:everything"]})
    app = open_page("data", table=table_id)
    assert not app.exception
    assert "is no repair" in app.error[0].value
    button(app, "Forget what was corrected about this table").click().run()
    assert not app.error and metrics(app)["Rows"] == "400"
    assert kept_corrections(table_id) == {}


def test_repairs_reach_the_set_up(open_page, table_id):
    roles = json.dumps({"repair": ["drop:channel:price", "fill:previous"]})
    app = open_page("finetune", table=table_id, face="Advanced")
    app.segmented_control(key=f"setting/{table_id}/missing").set_value("interpolate").run()
    app = open_page("finetune", table=table_id, roles=roles)  # the draft asks for another fill
    assert not app.exception and not app.error
    channels = next(one for one in app.multiselect if one.label == "Channels")
    assert channels.options == ["load"]
    assert any("filled in what the model sees, as chosen under Repair" in caption.value for caption in app.caption)
    button(app, "Start fine-tuning").click().run()
    (run,) = Store.open().runs()
    assert run.config.data.repair == ("drop:channel:price", "fill:previous") and run.config.missing == "previous"
