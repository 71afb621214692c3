"""The Benchmarks page: without files, with a set that is there, while its runs wait, and with results."""

import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.protocols import sets
from timellm.protocols.grid import MODELS_ASKED
from timellm.protocols.long_term import LONG_TERM
from timellm.protocols.m4_sets import M4_SETS
from timellm.protocols.protocol import Measured
from timellm.protocols.registry import PROTOCOLS
from timellm.protocols.results import Results
from timellm.sizing.machine import MachineFacts
from timellm.ui import address, keys
from timellm.workspace import workspace

ROWS = 480
FACTS = MachineFacts("x", None, "float32", {"float32": 100.0}, 10.0, 400.0, 40.0, None)


@pytest.fixture(autouse=True)
def small_sets(tmp_path, monkeypatch):
    """ETTh1 means a small file in these tests, with one horizon of 12 rows; nothing was measured before."""
    records = json.loads(sets._FILE.read_text(encoding="utf-8"))
    small = {"rows": ROWS, "channels": 2, "names": [], "split": "240/120/120", "horizons": [12], "context": 48}
    records = {"ETTh1": records["ETTh1"] | small, "ETTh2": records["ETTh2"] | small}
    (tmp_path / "sets.json").write_text(json.dumps(records))
    monkeypatch.setattr(sets, "_FILE", tmp_path / "sets.json")
    monkeypatch.setattr("timellm.ui.benchmarks.results._MEASURED_BEFORE", tmp_path / "none")
    monkeypatch.setattr("timellm.ui.benchmarks.group.known_facts", lambda: FACTS)
    sets.known_sets.cache_clear()
    yield
    sets.known_sets.cache_clear()


def put_etth1(folder=None):
    folder = folder or workspace().benchmarks
    rows, noise = np.arange(ROWS), np.random.default_rng(0).normal(0, 0.3, (2, ROWS))
    daily = np.sin(rows * 2 * np.pi / 24)
    hours = pd.date_range("2016-07-01", periods=ROWS, freq="h")
    frame = pd.DataFrame({"date": hours, "HUFL": 5 + daily + noise[0], "OT": 30 + 2 * daily + noise[1]})
    folder.mkdir(parents=True)
    frame.to_csv(folder / "ETTh1.csv", index=False)


def asked(open_page):
    """The page with the one set and the ridge chosen."""
    app = open_page("benchmarks", protocol="Long-term forecasting")
    app.multiselect(key="sets").set_value(["ETTh1"])
    app.multiselect(key="models").set_value(["ridge"]).run()
    return app


def said(elements):
    return " ".join(one.value for one in elements).replace("\\", "")


def test_folder_without_files_names_what_is_wanted_and_offers_no_start(open_page):
    app = open_page("benchmarks", protocol="Long-term forecasting")
    app.multiselect(key="sets").set_value(["ETTh1"]).run()
    assert not app.exception
    assert "`ETTh1.csv` (ETTh1). Zhou et al." in said(app.markdown) and "data/benchmarks" in said(app.markdown)
    assert not any(one.label.startswith("Run") for one in app.button)
    assert "Nothing was measured yet" in app.info[0].value


def test_option_without_a_meaning_is_refused_with_the_reason(open_page):
    app = asked(open_page)
    app.text_input(key="horizons").set_value("soon").run()
    assert not app.exception and "Horizons: give whole numbers, not 'soon'" in said(app.error)
    assert "Nothing was measured yet" in app.info[0].value, "what was measured stays in view"


def test_runs_are_queued_by_one_click_counted_and_their_errors_shown_in_a_table(open_page, store):
    put_etth1()
    app = asked(open_page)
    assert "1 run would be queued, about " in said(app.caption) and "counted from the settings." in said(app.caption)
    button = next(one for one in app.button if one.label == "Run it (1 run)")
    button.click().run()
    assert not app.exception and not app.error
    (run,) = store.waiting()
    assert run.config.kind == "ridge" and run.tags == ("protocol long-term",)
    assert any(one.proto.text == "0 of 1 runs have finished, 1 waiting." for one in app.get("progress"))
    assert "1 file of 1 in **data/benchmarks**: ETTh1.csv." in said(app.caption)

    store.finish(run.id, "failed", error="the disk is full")
    app = asked(open_page)
    links = [one.proto.label.replace("\\", "") for one in app.get("page_link")]
    assert "ETTh1 12: ridge, seed 0 failed" in links and "the disk is full" in said(app.caption)
    next(one for one in app.button if one.label == "Run what is missing (1 run)").click().run()
    assert [one.id for one in store.waiting()] == [run.id]

    timellm.fit(run.config, run_dir=run.run_dir)
    store.finish(run.id, "finished", summary={})
    app = asked(open_page)
    table = app.dataframe[0].value
    assert table["model"].unique().tolist() == ["ridge"] and table["horizon"].tolist() == ["12", "mean"]
    assert 0 < float(table["MSE"].iloc[0]) < 1
    assert not any(one.label.startswith("Run") for one in app.button)


def test_runs_that_wait_are_stopped_by_one_click_and_can_be_run_later(open_page, store):
    put_etth1()
    app = asked(open_page)
    next(one for one in app.button if one.label == "Run it (1 run)").click().run()
    app = asked(open_page)
    next(one for one in app.button if one.label == "Stop these runs").click().run()
    assert not app.exception and not store.waiting()
    assert any(one.label == "Run what is missing (1 run)" for one in asked(open_page).button)


def test_files_may_lie_in_another_folder_which_is_checked(open_page, tmp_path):
    put_etth1(tmp_path / "sets")
    app = asked(open_page)
    app.text_input(key="folder").set_value(str(tmp_path / "set")).run()
    assert "There is no folder set;" in said(app.error), "shown from the workspace, which is the test's folder"
    app.text_input(key="folder").set_value(str(tmp_path / "sets")).run()
    assert not app.error and "1 file of 1 in **sets**" in said(app.caption)
    assert any(one.label == "Run it (1 run)" for one in app.button)


def test_visitors_of_a_shared_server_cannot_look_into_other_folders(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_REACHED_BY_OTHERS", "1")
    put_etth1(tmp_path / "sets")
    app = open_page("benchmarks", folder=str(tmp_path / "sets"))
    assert not app.exception and "its operator decides which folders it reads" in said(app.error)
    assert not any(one.label.startswith("Run") for one in app.button)


def test_address_shows_the_same_form_again(open_page):
    choices = {
        "protocol": "Few-shot forecasting", "sets": ["ETTh1"], "models": ["ridge", "dlinear"], "horizons": "12",
        "seeds": "0 1", "percents": "50", "settings": "steps=20",
    }  # fmt: skip
    app = open_page("benchmarks", **choices)
    assert not app.exception and not app.error and not any("address" in one.value for one in app.info)
    assert app.selectbox[0].value == "few-shot"
    assert [app.multiselect(key=name).value for name in ("sets", "models")] == [choices["sets"], choices["models"]]
    fields = ("horizons", "seeds", "percents", "settings")
    assert [app.text_input(key=name).value for name in fields] == [choices[name] for name in fields]


def test_address_of_what_is_not_here_is_said(open_page):
    app = open_page("benchmarks", protocol="Tea", sets=["ETTh1", "Atlantis"], mode="X")
    assert not app.exception
    assert "the mode “X”, which is not here; the page shows M." in said(app.info)
    assert "the experiment “Tea”, which is not here" in said(app.info)
    assert "the sets “Atlantis”, which is not here; the page shows ETTh1." in said(app.info)


def test_another_experiment_keeps_what_it_has_too_and_takes_its_own_usual_values(open_page):
    app = asked(open_page)
    app.text_input(key="seeds").set_value("0 1").run()
    app.selectbox[0].set_value("few-shot").run()
    assert app.multiselect(key="sets").value == ["ETTh1"] and app.text_input(key="percents").value == "10 5"
    app.selectbox[0].set_value("m4").run()
    assert app.multiselect(key="sets").value == list(M4_SETS), "none of them is there"
    assert app.multiselect(key="models").value == ["ridge"] and app.text_input(key="seeds").value == "0 1"
    app.multiselect(key="models").set_value(["ridge", "theta", "dlinear", "time_llm"]).run()
    app.selectbox[0].set_value("long-term").run()
    assert app.multiselect(key="models").value == list(MODELS_ASKED.usual), "it was the usual choice there"


def test_every_option_of_a_protocol_is_part_of_the_address():
    options = {option.name for protocol in PROTOCOLS.values() for option in protocol.options}
    assert options <= set(get_args(keys.View)) == set(address._CALLED)


def test_table_shows_what_is_asked_or_everything_and_each_file_can_be_had(open_page, store):
    put_etth1()
    app = asked(open_page)
    next(one for one in app.button if one.label == "Run it (1 run)").click().run()
    (run,) = store.waiting()
    timellm.fit(run.config, run_dir=run.run_dir)
    store.finish(run.id, "finished", summary={})
    app = asked(open_page)
    assert "Nothing was measured yet" not in said(app.info)
    labels = ["Table, CSV", "Table, Markdown", "Every run, CSV", "Every run, JSON"]
    assert [one.proto.label for one in app.get("download_button")] == labels
    assert list(app.dataframe[0].value)[:5] == ["set", "horizon", "model", "MSE", "MAE"]
    assert "paper" not in app.dataframe[0].value, "no paper reports a ridge"
    app.multiselect(key="models").set_value(["ridge", "time_llm"])
    app.text_input(key="settings").set_value("backbone=gpt2").run()
    assert app.dataframe[0].value["model"].unique().tolist() == ["ridge"], "a ridge has no backbone"


def test_results_of_other_tasks_are_shown_when_everything_is_chosen(open_page, tmp_path):
    numbers = {"context": 48, "mse": 0.1, "mae": 0.2, "mse_batches": 0.1, "mae_batches": 0.2, "windows": 9,
               "windows_batches": 8, "window_set": "a"}  # fmt: skip
    key = {"set": "ETTh2", "horizon": 12, "mode": "M", "model": "dlinear", "seed": 0}
    Results(LONG_TERM, (Measured(key, {}, numbers, 1.0, 2.0, "here", {}, "2026-01-01"),)).write(tmp_path / "none")
    app = asked(open_page)
    assert not app.dataframe and "of other tasks or models (1 run): choose" in said(app.info)
    app.segmented_control(key="results").set_value("Everything measured").run()
    assert not app.exception and app.dataframe[0].value["set"].unique().tolist() == ["ETTh2"]


def test_runs_that_are_not_queued_can_be_added_while_others_wait(open_page, store):
    put_etth1()
    app = asked(open_page)
    next(one for one in app.button if one.label == "Run it (1 run)").click().run()
    app.multiselect(key="models").set_value(["ridge", "naive"]).run()
    assert [one.label for one in app.button][-2:] == ["Run what is missing (1 run)", "Stop these runs"]
    app.button[-2].click().run()
    assert len(store.waiting()) == 2


def test_models_are_explained_beside_their_field(open_page):
    text = open_page("benchmarks").multiselect(key="models").proto.help
    assert "`published`: The paper's network" in text and "`dlinear`: Two linear maps" in text
