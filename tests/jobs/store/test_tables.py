"""An uploaded table is deleted unless a run has still to read it; runs that have read it lose nothing."""

from __future__ import annotations

import pytest

from timellm.config import RunConfig
from timellm.data.uploads import save_upload, uploads
from timellm.errors import DataError, JobError
from timellm.jobs.store.process import this_process
from timellm.jobs.store.tables import delete_table, runs_in_need


@pytest.fixture
def uploaded(monkeypatch, store):
    monkeypatch.setenv("TIMELLM_HOME", str(store.place.root))
    return save_upload("Plant Load.csv", content=b"ds,y\n2024-01-01,1\n")


def test_table_of_a_waiting_run_is_kept_until_the_run_has_its_copy(store, uploaded):
    run = store.create_run(RunConfig.create(uploaded), name="Waits")
    with pytest.raises(JobError, match="'Plant Load' is still needed by 'Waits'"):
        delete_table(store, uploaded.name)
    assert store.claim(run.id, process=this_process())
    assert runs_in_need(store, uploaded) == (store.get(run.id),), "it works, but has not read the table yet"
    run.run_dir.mkdir(parents=True, exist_ok=True)
    (run.run_dir / "table.json").write_text("{}")
    delete_table(store, uploaded.name)
    assert not uploaded.exists() and uploads() == ()
    assert list(uploaded.parent.iterdir()) == []


def test_ended_runs_and_other_tables_need_nothing(store, uploaded, config):
    store.request_stop(store.create_run(RunConfig.create(uploaded)).id)
    store.create_run(config)
    assert runs_in_need(store, uploaded) == ()


def test_sample_is_not_deleted(store):
    with pytest.raises(DataError, match="belongs to the workbench"):
        delete_table(store, "sample:seattle-weather")
