"""Where a run works: asked for only where a cluster is set, and told on the run's page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import config_for
from timellm.jobs.cluster import runs as cluster_runs
from timellm.jobs.store.run_store import Store

ADDRESS = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def cluster(monkeypatch):
    """A cluster that cannot be reached."""
    monkeypatch.setenv("TIMELLM_RAY", ADDRESS)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token")
    cluster_runs._contact.cache_clear()


def where(app: AppTest, table_id: str):
    return [one for one in app.segmented_control if one.key == f"setting/{table_id}/where"]


def test_without_a_cluster_nothing_is_asked(open_page, table_id, monkeypatch):
    monkeypatch.delenv("TIMELLM_RAY", raising=False)
    assert not where(open_page("finetune", table=table_id), table_id)


def test_cluster_is_offered_and_says_that_it_needs_a_shared_store(open_page, table_id, cluster, store: Store):
    app = open_page("finetune", table=table_id)
    (choice,) = where(app, table_id)
    assert choice.value == "This machine"
    choice.set_value("Cluster").run()
    assert app.number_input(key=f"setting/{table_id}/workers").value == 1
    assert any("set TIMELLM_STORE to a PostgreSQL server" in caption.value for caption in app.caption)
    next(button for button in app.button if button.label == "Start fine-tuning").click().run()
    assert not app.exception
    assert any("which is a file" in error.value or "is a file on this machine" in error.value for error in app.error)
    assert store.runs() == ()


def test_workers_are_asked_for_where_several_can_train_the_kind(open_page, table_id, cluster):
    app = open_page("finetune", table=table_id)
    where(app, table_id)[0].set_value("Cluster").run()
    for kind, asked in (("ridge", False), ("dlinear", True)):
        app.session_state[f"setting/{table_id}/kind"] = kind
        app.run()
        assert not app.exception
        assert any(one.key == f"setting/{table_id}/workers" for one in app.number_input) == asked


def test_address_that_is_none_is_said_and_runs_start_here(open_page, table_id, monkeypatch):
    monkeypatch.setenv("TIMELLM_RAY", "head")
    app = open_page("finetune", table=table_id)
    assert not app.exception
    assert not where(app, table_id)
    assert any("must be the address of a Ray cluster" in caption.value for caption in app.caption)


def test_run_of_a_cluster_says_where_it_is_and_that_it_could_not_be_asked(open_page, table_id, cluster, store: Store):
    run = store.create_run(config_for(table_id), cluster="ray:elsewhere:8265", workers=3)
    app = open_page("runs", run=run.id)
    assert not app.exception
    assert any("On the cluster elsewhere" in caption.value and "3 workers" in caption.value for caption in app.caption)
    assert any("not the one that TIMELLM\\_RAY names here" in warning.value for warning in app.warning)
    labels = [button.label for button in app.button]
    assert "Withdraw" in labels
    assert "First" not in labels, "the cluster has its own order"
