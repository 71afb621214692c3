"""The Metrics page asks whether retraining would have helped: before the folds, while they work, and after."""

import pytest

import timellm
from timellm.config import RunConfig
from timellm.data.uploads import save_upload
from timellm.workspace import workspace


def button(app, label):
    return next(one for one in app.button if one.label == label)


@pytest.fixture
def ridge(home, store, hourly_csv):
    """A finished ridge, which is fitted in no time, so that its folds are, too."""
    table = save_upload("plant.csv", content=hourly_csv(rows=500))
    config = RunConfig.create(workspace().uploads / table.name, kind="ridge", context=48, horizon=12)
    run = store.create_run(config, name="Ridge")
    timellm.fit(config, run_dir=run.run_dir)
    return store.finish(run.id, "finished", summary={"skill": 0.1})


def test_folds_are_queued_by_one_click_counted_and_then_compared(open_page, ridge, store):
    app = open_page("metrics", run=ridge.id)
    assert any("trained again at each fold" in one.value for one in app.markdown)
    button(app, "Retrain in folds").click().run()
    assert not app.exception and not any("folds" in one.value for one in app.error)
    waiting = store.waiting()
    assert len(waiting) == 3 and all(run.config.kind == "ridge" for run in waiting)
    assert any(one.proto.text == "0 of 3 folds have finished, 3 waiting." for one in app.get("progress"))

    for run in waiting[:2]:
        timellm.fit(run.config, run_dir=run.run_dir)
        store.finish(run.id, "finished", summary={})
    store.finish(waiting[2].id, "failed", error="the disk is full")
    app = open_page("metrics", run=ridge.id)
    assert not app.exception and any("failed: the disk is full" in one.value.replace("\\", "") for one in app.caption)
    button(app, "Train what is missing").click().run()
    assert not app.exception and [run.id for run in store.waiting()] == [waiting[2].id]

    timellm.fit(waiting[2].config, run_dir=waiting[2].run_dir)
    store.finish(waiting[2].id, "finished", summary={})
    app = open_page("metrics", run=ridge.id)
    table = next(one.value for one in app.dataframe if "retrained_error" in one.value.columns)
    assert table["fold"].tolist() == [1, 2, 3] and (table["retrained_error"] > 0).all()
    assert any("etrain" in one.value and "of 3 folds" in one.value.replace("\\", "") for one in app.markdown)
    assert not any(one.label == "Train what is missing" for one in app.button)
