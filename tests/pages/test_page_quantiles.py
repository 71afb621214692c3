"""Own quantiles on the pages: they are chosen on the form, and the results say of what bands are made."""

from __future__ import annotations

import timellm
from timellm.config import RunConfig
from timellm.ui import draft, keys
from timellm.workspace import workspace


def said(app):
    return " ".join(one.value for one in (*app.caption, *app.markdown)).replace("\\", "")


def test_levels_that_are_chosen_are_those_of_the_run(open_page, table_id, store, monkeypatch):
    monkeypatch.setattr("timellm.jobs.local.launcher.launch", lambda run, *, store: 0)
    app = open_page("finetune", table=table_id)
    app.segmented_control(key="face").set_value(keys.FACES[1]).run()
    box = app.multiselect(key=f"setting/{table_id}/quantiles")
    assert box.value == [] and "makes its last layer larger" in box.help
    box.set_value([0.9]).run()
    assert "give a level below 0.5 and one above it" in " ".join(one.value for one in (*app.caption, *app.error))
    app.multiselect(key=f"setting/{table_id}/quantiles").set_value([0.1, 0.9, 0.5]).run()
    next(button for button in app.button if button.label == "Start fine-tuning").click().run()
    assert not app.exception
    (run,) = store.runs()
    assert run.config.quantiles == (0.1, 0.5, 0.9)


def test_results_of_a_run_with_quantiles_say_of_what_bands_are_made(open_page, table_id, store):
    config = RunConfig.create(
        workspace().uploads / table_id, kind="dlinear", context=48, horizon=12, steps=20, moving_average=5,
        quantiles=(0.1, 0.5, 0.9), pinned_windows=0,
    )  # fmt: skip
    run = store.create_run(config, name="With quantiles")
    timellm.fit(config, run_dir=run.run_dir)
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = open_page("metrics", run=run.id)
    assert not app.exception and not app.error
    assert "Bands are made of the model's own quantiles at 10, 50, 90 %" in said(app)
    assert "the weighted quantile loss is" in said(app)
    (card,) = [one.value for one in app.dataframe if "promised" in one.value]
    assert {"own", "round"} <= set(card) and card["own"].between(0, 1).all()
    app = open_page("forecast", run=run.id)
    assert not app.exception and not app.error
    assert list(app.dataframe[0].value)[2:] == ["80 % low", "80 % high", "95 % low", "95 % high"]
    app.segmented_control(key="show").set_value("Test period").run()
    assert not app.exception and not app.error


def test_draft_keeps_levels_and_nothing_else_in_their_place():
    assert draft._allowed("quantiles", [0.1, 0.9]) and draft._allowed("quantiles", [])
    assert not any(draft._allowed("quantiles", one) for one in ("0.1", 0.1, [2], ["0.1"], [True]))
