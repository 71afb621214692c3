"""The list of runs: one light statement however many there are, searched and sorted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from timellm.jobs.local.actions import label
from timellm.jobs.store.listing import Search, found, list_runs
from timellm.jobs.store.schema import curves, runs
from timellm.training.progress import Progress


@pytest.fixture
def three(store, config):
    """A finished, a failed and a waiting run, oldest first."""
    good = store.create_run(config, name="Wide, rate 0.01")
    label(store, good.id, tags=["paper", "wide"], note="after lunch")
    store.claim(good.id)
    store.record(good.id, Progress("training", 1, 2, validation_loss=0.5))
    store.finish(good.id, "finished", summary={"skill": 0.25, "verdict": "long"})
    bad = store.create_run(config.updated(backbone="org/other", path="/data/Oven.csv", quantization="4bit"), name="Bad")
    store.finish(bad.id, "failed", error="no")
    label(store, bad.id, tags=["paper"], note="")
    return good, bad, store.create_run(config, name="waits")


def names(listed):
    return [run.name for run in listed]


def test_list_says_of_each_run_what_its_row_says(store, three):
    waiting, bad, good = list_runs(store.database)
    assert (good.id, good.state, good.best_validation_loss, good.skill) == (three[0].id, "finished", 0.5, 0.25)
    assert (good.tags, good.note, good.table, good.forecaster, good.backbone) == (
        ("paper", "wide"), "after lunch", "table", "Time-LLM", "smollm2-135m",
    )  # fmt: skip
    assert (bad.table, bad.backbone, bad.quantization, bad.skill) == ("Oven", "org/other", "4bit", None)
    assert waiting.active and not good.active
    assert good.created == store.get(good.id).created


def test_list_takes_one_statement_however_many_runs_there_are(store, config):
    statements = []
    engine = store.database._reader
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    taken = []
    for _ in range(2):
        for _ in range(5):
            store.create_run(config)
        statements.clear()
        list_runs(store.database)
        taken.append([statement for statement in statements if statement.lstrip().upper().startswith("SELECT")])
    few, many = taken
    assert len(few) == len(many) == 1
    assert curves.name not in many[0]


def test_unreadable_settings_do_not_hide_a_run(store, three):
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == three[0].id).values(config='{"data": 3}'))
        connection.execute(sa.update(runs).where(runs.c.id == three[1].id).values(config="half a fi"))
    listed = {run.name: run for run in list_runs(store.database)}
    assert len(listed) == 3
    assert listed["Bad"].backbone == listed["Wide, rate 0.01"].backbone == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["waits", "Bad", "Wide, rate 0.01"]),
        ("WIDE", ["Wide, rate 0.01"]),
        ("lunch paper", ["Wide, rate 0.01"]),
        ("paper", ["Bad", "Wide, rate 0.01"]),
        ("oven", ["Bad"]),
        ("org/", ["Bad"]),
        ("paper nothing", []),
        ("%", []),
    ],
)
def test_every_word_is_sought_in_all_that_names_a_run(store, three, text, expected):
    assert names(found(list_runs(store.database), Search(text))) == expected


def test_run_is_found_by_its_id(store, three):
    assert names(found(list_runs(store.database), Search(three[1].id[-5:]))) == ["Bad"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(states=("failed", "queued")), ["waits", "Bad"]),
        (Search(tags=("wide", "unknown")), ["Wide, rate 0.01"]),
        (Search(backbones=("org/other",)), ["Bad"]),
        (Search(tables=("table",)), ["waits", "Wide, rate 0.01"]),
        (Search(tables=("table",), states=("queued",)), ["waits"]),
        (Search("paper", states=("queued",)), []),
    ],
)
def test_choices_leave_out_what_was_not_chosen(store, three, search, expected):
    assert search.leaves_out
    assert names(found(list_runs(store.database), search)) == expected


@pytest.mark.parametrize(
    ("order", "first"), [("newest", "waits"), ("oldest", "Wide, rate 0.01"), ("validation", "Wide, rate 0.01"),
                         ("skill", "Wide, rate 0.01"), ("name", "Bad")],
)  # fmt: skip
def test_runs_come_in_the_order_asked_for_and_unknown_values_last(store, three, order, first):
    assert not Search(order=order).leaves_out
    listed = found(list_runs(store.database), Search(order=order))
    assert len(listed) == 3 and listed[0].name == first
