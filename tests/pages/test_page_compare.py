"""The screen that sets runs side by side: empty, ready, and with a run that is gone or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import timellm
from tests.pages.conftest import config_for, fill, hourly_csv
from timellm.data.uploads import save_upload
from timellm.forecasting.artifacts import RunFolder
from timellm.ui.errors import without_server_paths


@pytest.fixture
def another(table_id, store):
    """A second finished run, on the same windows, with another seed."""
    run = store.create_run(config_for(table_id).updated(seed=7), name="Another run")
    fill(RunFolder(run.run_dir), run.config)
    return store.finish(run.id, "finished", summary={"skill": 0.5, "best_step": 10})


def compare(open_page, *runs):
    return open_page("compare", runs=",".join(run.id for run in runs))


def test_without_any_run_the_page_says_how_to_begin(open_page):
    app = open_page("compare")
    assert not app.exception
    assert "There is no run yet" in app.markdown[0].value


def test_without_a_choice_the_page_says_how_to_choose(open_page, finished):
    for app in (open_page("compare"), compare(open_page, finished)):
        assert not app.exception
        assert any("Choose two or more runs" in one.value for one in app.markdown)
        assert any(link.label == "All runs" for link in app.page_link)


def test_runs_stand_side_by_side_with_the_best_marked(open_page, finished, another):
    app = compare(open_page, finished, another)
    assert not app.exception and not app.warning
    measures, settings = (one.value for one in app.table)
    assert list(measures.columns[:3]) == ["", "Finished run", "Another run"]
    assert 3 <= len(measures.columns) <= 6 and all(name.startswith(":gray[") for name in measures.columns[3:])
    skill = measures.set_index("").loc["**Skill against the best other model**"]
    assert skill["Another run"] == "**+50.0%** :green-badge[best]" and skill["Finished run"] == "+25.0%"
    assert settings.to_numpy().tolist() == [["Seed", "0", "7"]]
    app.toggle(key="everything").set_value(True).run()
    assert not app.exception
    assert len(app.table[1].value) > 30
    assert any(one.proto.label == "Download CSV" for one in app.get("download_button"))


def test_runs_on_the_same_windows_have_a_leaderboard_and_one_chart(open_page, finished, another):
    app = compare(open_page, finished, another)
    board = app.dataframe[0].value
    assert board.columns[:3].tolist() == ["rank", "mae", "model"]
    assert {"Finished run · run", "Another run · run", "Ridge"} <= set(board["model"])
    assert any("have the same MAE" in one.value for one in app.markdown), "both forecast the same"
    chart = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert {"Measured", "Finished run", "Another run"} <= {trace["name"] for trace in chart["data"]}
    app.selectbox(key="metric").select("owa").run()
    assert not app.exception and app.dataframe[0].value.columns[1] == "owa"


def test_button_makes_an_ensemble_of_the_runs(open_page, finished, another, store):
    app = compare(open_page, finished, another)
    next(one for one in app.button if one.label == "Make it").click().run()
    assert not app.exception and not app.error
    (run,) = [one for one in store.runs(10) if one.config.kind == "ensemble"]
    assert run.state == "queued" and run.name == "Mean of Finished run, Another run"
    assert [Path(one).name for one in run.config.forecaster.members] == [finished.id, another.id]


def test_runs_of_two_kinds_show_settings_that_one_of_them_lacks(open_page, finished, store):
    run = store.create_run(finished.config.updated(kind="naive"), name="Simple")
    timellm.fit(run.config, run_dir=run.run_dir)
    store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())
    app = compare(open_page, finished, run)
    assert not app.exception
    assert "Quantization" in app.table[1].value["Setting"].tolist()


def test_runs_without_common_windows_have_no_leaderboard(open_page, finished, failed):
    app = compare(open_page, finished, failed)
    assert not app.exception and not app.dataframe
    assert any("Two or more finished runs" in one.value for one in app.caption)


def test_damaged_run_leaves_the_leaderboard_out_and_says_why(open_page, finished, another):
    (another.run_dir / "window_errors.parquet").write_bytes(b"PAR1")
    (another.run_dir / "test_forecasts.parquet").write_bytes(b"PAR1")
    app = compare(open_page, finished, another)
    assert not app.exception
    assert any("cannot be ranked" in one.value and "damaged" in one.value for one in app.error)


def test_choice_goes_into_the_address(open_page, finished, another):
    app = open_page("compare")
    app.multiselect[0].set_value([another.id, finished.id]).run()
    assert not app.exception
    assert app.query_params["runs"] in (f"{another.id},{finished.id}", [f"{another.id},{finished.id}"])
    assert len(app.table) == 2


def test_runs_on_other_windows_are_compared_with_a_warning_and_without_a_best(open_page, finished, table_id, store):
    run = store.create_run(config_for(table_id).updated(horizon=6), name="Shorter")
    fill(RunFolder(run.run_dir), run.config)
    store.finish(run.id, "finished", summary={"skill": 0.5})
    app = compare(open_page, finished, run)
    assert not app.exception
    assert "horizon is 12 / 6" in app.warning[0].value
    assert not any("best]" in cell for column in app.table[0].value for cell in app.table[0].value[column])


def test_run_that_is_gone_is_left_out_and_named(open_page, finished, another):
    app = open_page("compare", runs=f"{finished.id},20200101-0000-aaaaa,{another.id}")
    assert not app.exception
    assert "20200101-0000-aaaaa" in app.info[0].value
    assert len(app.table) == 2


def test_damaged_scores_are_a_warning(open_page, finished, another):
    (another.run_dir / "scores.json").write_text("{")
    app = compare(open_page, finished, another)
    assert not app.exception
    assert "scores of Another run cannot be read" in app.warning[0].value


def test_failed_run_is_shown_beside_a_finished_one(open_page, finished, failed):
    app = compare(open_page, finished, failed)
    assert not app.exception
    assert "Failed run" in app.table[0].value.columns
    assert any("None of these runs has been trained far enough" in one.value for one in app.caption)


def every_text(app):
    """All that the page shows, tables and downloads included."""
    return "\n".join(
        [one.value for kind in ("markdown", "caption", "warning", "error", "info") for one in app.get(kind)]
        + [one.value.to_csv() for kind in ("table", "dataframe") for one in app.get(kind)]
    )


def test_tables_are_named_without_the_server_s_paths_and_nothing_is_best(open_page, finished, another, store, home):
    other = save_upload("Other Plant.csv", content=hourly_csv(rows=300))
    run = store.create_run(config_for(other.name), name="Other table")
    fill(RunFolder(run.run_dir), run.config)
    store.finish(run.id, "finished", summary={"skill": 0.5})
    app = compare(open_page, finished, run)
    assert not app.exception
    assert "the table is Plant load / Other Plant" in app.warning[0].value
    settings = app.table[1].value.set_index("Setting")
    assert settings.loc["Table"].tolist() == ["Plant load", "Other Plant"]
    assert str(home) not in every_text(app)
    assert not any("best]" in cell for column in app.table[0].value for cell in app.table[0].value[column])


def test_error_names_files_from_the_workspace_on(home):
    text = f"{home}/checkpoints/x/scores.json is damaged; {home} is full; {home}-other/file stays; /{home.name}"
    assert without_server_paths(text) == (
        f"checkpoints/x/scores.json is damaged; the workbench's folder is full; {home}-other/file stays; /{home.name}"
    )
