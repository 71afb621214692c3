"""The data screen: bringing a table, refusing one kindly, correcting its columns."""

import json
from urllib.parse import unquote

import pandas as pd
import pytest

from timellm.data.samples import samples
from timellm.ui.series_chart import rows_between
from timellm.workspace import workspace


def button(app, label):
    return next(one for one in app.button if one.label == label)


def test_uploading_a_table_keeps_it_and_puts_its_id_into_the_url(open_page, hourly_csv):
    app = open_page("data")
    app.file_uploader[0].upload("Plant load.csv", hourly_csv()).run()
    assert not app.exception
    assert not app.error
    assert app.query_params["table"].endswith("-plant-load.csv")
    assert (workspace().uploads / app.query_params["table"]).is_file()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Rows"] == "400"
    assert metrics["Channels"] == "2"
    assert metrics["One row every"] == "hour"
    assert metrics["Missing"] == "none"


def test_uploading_an_unusable_file_names_the_line_and_leaves_the_page_usable(open_page, hourly_csv):
    app = open_page("data")
    app.file_uploader[0].upload("bad.csv", b"date,load\n2024-01-01,1\n2024-01-02,two\n2024-01-03,3\n").run()
    assert not app.exception
    assert "line 3" in app.error[0].value
    app.file_uploader[0].upload("good.csv", hourly_csv()).run()
    assert not app.error
    assert app.query_params["table"].endswith("-good.csv")


def test_uploading_an_empty_file_says_so(open_page):
    app = open_page("data")
    app.file_uploader[0].upload("none.csv", b"").run()
    assert not app.exception
    assert "is empty" in app.error[0].value
    assert "table" not in app.query_params


def test_missing_values_are_counted_and_not_filled(open_page, hourly_csv):
    app = open_page("data")
    app.file_uploader[0].upload("gaps.csv", hourly_csv(missing=4)).run()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Missing"] == "0.50%"
    assert any("never filled silently" in caption.value for caption in app.caption)


def test_table_is_read_again_when_its_file_changes(open_page, table_id, hourly_csv):
    app = open_page("data", table=table_id)
    assert {metric.label: metric.value for metric in app.metric}["Rows"] == "400"
    (workspace().uploads / table_id).write_bytes(hourly_csv(rows=500))
    app.run()
    assert {metric.label: metric.value for metric in app.metric}["Rows"] == "500"


def test_choosing_a_sample_opens_it(open_page):
    app = open_page("data")
    app.selectbox(key="data/pick").select(f"sample:{samples()[0].key}").run()
    assert not app.exception
    assert app.query_params["table"].startswith("sample:")


def test_gallery_opens_a_sample_with_what_its_columns_are_for(open_page):
    app = open_page("data")
    assert not app.exception and [one.label for one in app.button].count("Fit it") == len(samples())
    app.button(key="data/open/victoria-electricity").click().run()
    assert not app.exception and app.query_params["table"] == "sample:victoria-electricity"
    app.run()  # what was corrected is put in force when a page opens
    assert {metric.label: metric.value for metric in app.metric}["Channels"] == "1"


def test_one_click_on_a_card_starts_a_run(open_page, monkeypatch):
    started = []
    monkeypatch.setattr("timellm.ui.setup.start", lambda config, name, where, promise: started.append((config, name)))
    app = open_page("data")
    app.button(key="data/fit/victoria-electricity").click().run()
    assert not app.exception and not app.error
    ((config, name),) = started
    assert config.data.known_ahead == ("holiday",) and name.startswith("Electricity demand of Victoria")
    assert (config.task.context, config.task.horizon) == (336, 96)
    assert config.data.description.startswith("Electricity demand of the Australian state")


def test_table_is_brought_from_the_folder_that_the_operator_names(open_page, hourly_csv, tmp_path, monkeypatch):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "plant.csv").write_bytes(hourly_csv(rows=400))
    monkeypatch.setenv("TIMELLM_TABLES", str(folder))
    app = open_page("data")
    app.selectbox(key="data/elsewhere-pick").select("plant.csv").run()
    app.button(key="data/elsewhere-pick/button").click().run()
    assert not app.exception and not app.error
    assert {metric.label: metric.value for metric in app.metric}["Rows"] == "400"


def test_place_that_is_gone_is_said_and_the_page_goes_on(open_page, monkeypatch):
    monkeypatch.setenv("TIMELLM_TABLES", "/nowhere/at/all")
    app = open_page("data")
    assert not app.exception and any("/nowhere/at/all" in one.value for one in app.error)
    assert app.button(key="data/fit/us-employment")


def test_table_id_that_is_gone_says_so_and_leaves_the_picker(open_page):
    app = open_page("data", table="ffffffffffff-gone.csv")
    assert not app.exception
    assert "There is no table" in app.error[0].value
    assert app.selectbox(key="data/pick").value is None


def test_corrected_columns_are_in_the_url_and_in_force(open_page, table_id):
    app = open_page("data", table=table_id)
    app.multiselect(key=f"setting/{table_id}/channels-read").set_value(["price"])
    next(button for button in app.button if button.label == "Apply").click().run()
    assert not app.exception
    assert '"channels":["price"]' in unquote(app.query_params["roles"])
    assert {metric.label: metric.value for metric in app.metric}["Channels"] == "1"


def test_edited_description_is_still_there_after_a_reload(open_page, table_id):
    app = open_page("data", table=table_id)
    app.text_area[0].set_value("Load of one plant in MW.").run()
    reloaded = open_page("data", **app.query_params)
    assert reloaded.text_area[0].value == "Load of one plant in MW."


def test_edited_description_reaches_the_set_up(open_page, table_id):
    app = open_page("data", table=table_id)
    assert "Plant load" in app.text_area[0].value
    app.text_area[0].set_value("Load of one plant in MW.").run()
    app.switch_page("finetune.py").run()
    assert not app.exception
    assert any("Load of one plant in MW" in part.value for part in app.markdown)


def test_uploaded_table_keeps_its_name_and_is_deleted_after_a_question(open_page, table_id, finished):
    app = open_page("data", table=table_id)
    assert app.header[0].value == "Plant load"
    assert any(one.label.startswith("Uploaded tables: 1, ") for one in app.expander)
    button(app, "Delete").click().run()
    assert (workspace().uploads / table_id).is_file()
    button(app, "Delete the table").click().run()
    assert not app.exception and not app.error
    assert not (workspace().uploads / table_id).exists()
    assert not any(one.label.startswith("Uploaded tables") for one in app.expander)
    assert open_page("forecast", run=finished.id).get("plotly_chart"), "the run has its own copy"


def test_table_that_a_waiting_run_needs_is_not_deleted(open_page, table_id, queued):
    app = open_page("data", table=table_id)
    button(app, "Delete").click().run()
    button(app, "Delete the table").click().run()
    assert not app.exception
    assert "still needed by 'Waiting run'" in app.error[0].value
    assert (workspace().uploads / table_id).is_file()


def test_fine_tuning_starts_from_every_part_of_the_page(open_page, table_id):
    app = open_page("data", table=table_id, part="Columns")
    button(app, "Fine-tune on this table").click().run()
    assert not app.exception
    assert app.title[0].value != "Data"


def test_finding_moves_the_chart_to_its_place(open_page, hourly_csv):
    app = open_page("data")
    app.file_uploader[0].upload("gaps.csv", hourly_csv(missing=4)).run()
    app.session_state["part"] = "Quality"
    app.run()
    (missing,) = [one for one in app.markdown if "has no value in 4 rows" in one.value]
    assert "price" in missing.value
    app.button(key="data/show/missing_values:price").click().run()
    assert not app.exception
    assert app.session_state["part"] == "Chart"
    assert (app.selectbox(key="channel").value, app.selectbox(key="finding").value) == ("price", "missing_values:price")
    assert any("has no value in 4 rows" in one.value for one in app.caption)


def test_repair_of_a_finding_is_looked_at_before_it_is_made(open_page, hourly_csv):
    app = open_page("data")
    app.file_uploader[0].upload("gaps.csv", hourly_csv(missing=4)).run()
    app.session_state["part"] = "Quality"
    app.run()
    app.button(key="data/mend/missing_values:price").click().run()
    assert not app.exception
    assert app.session_state["part"] == "Repair"
    assert any("Fill gaps linearly" in one.value for one in app.markdown)
    assert "repair" not in unquote(app.query_params.get("roles", ""))
    assert any(one.label == "Apply" for one in app.button)


def test_many_findings_of_a_kind_are_folded_away(open_page):
    app = open_page("data")
    rows = [f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}," + ",".join(
        "" if day == 20 + channel else f"{(day * 7 + channel) % 11}" for channel in range(6)
    ) for day in range(300)]  # fmt: skip
    app.file_uploader[0].upload("six.csv", "\n".join(["date,a,b,c,d,e,f", *rows]).encode()).run()
    assert not app.exception
    assert any("3 more, 'd', 'e', 'f'" in one.label for one in app.expander)


def test_checks_that_found_nothing_are_counted_by_name(open_page, table_id):
    app = open_page("data", table=table_id, part="Quality")
    (clear,) = [one.value for one in app.caption if "checks found nothing" in one.value]
    assert "missing values" in clear and "outliers" in clear
    assert not any("Nothing stands out" in one.value for one in app.markdown)


def test_table_with_doubled_timestamps_says_how_many_and_which_repair(open_page):
    app = open_page("data")
    rows = [f"2024-01-{day:02d},{day}" for day in range(1, 25)]
    app.file_uploader[0].upload("twice.csv", "\n".join(["date,load", *rows, *rows[:3]]).encode()).run()
    assert not app.exception
    assert "already stands in line" in app.error[0].value
    assert any("3 rows have the timestamp of an earlier row" in one.value for one in app.markdown)
    assert any("the first value of its rows" in one.value for one in app.caption)


def test_channel_with_something_to_see_is_drawn_first(open_page):
    app = open_page("data")
    rows = [f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00,{hour},5,{hour % 24}" for hour in range(240)]
    app.file_uploader[0].upload("dull.csv", "\n".join(["date,number,same,load", *rows]).encode()).run()
    assert app.selectbox(key="channel").value == "load"


def test_stretch_that_was_dragged_over_is_drawn_anew_and_taken_back(open_page, hourly_csv):
    app = open_page("data")
    app.file_uploader[0].upload("plant.csv", hourly_csv()).run()
    app.session_state[f"data/brushed/{app.query_params['table']}"] = (100, 149)
    app.run()
    assert not app.exception
    drawn = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert len(drawn["data"][0]["x"]) == 50 and drawn["layout"]["dragmode"] == "select"
    assert any("2024-01-05 04:00 to 2024-01-07 05:00." in one.value.replace("\\", "") for one in app.caption)
    button(app, "Show the whole series").click().run()
    assert not app.exception and len(json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]["x"]) == 400


@pytest.mark.parametrize(
    ("begin", "end", "rows"),
    [
        ("2024-01-02", "2024-01-03", (24, 48)),
        ("2024-01-02 00:30", "2024-01-02 00:40", (20, 29)),  # between two rows: a few rows around it
        ("2023-12-01", "2023-12-02", (0, 5)),
        ("2025-01-01", "2025-01-02", (95, 99)),
    ],
)
def test_rows_of_a_stretch_of_time_are_a_few_at_least(begin, end, rows):
    index = pd.date_range("2024-01-01", periods=100, freq="h")
    first, last = rows_between(index, pd.Timestamp(begin), pd.Timestamp(end))
    assert 0 <= first < last <= 99
    assert (first, last) == rows
