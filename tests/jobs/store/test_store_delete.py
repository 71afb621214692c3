"""Deleting a run: its row and its files, and nothing else."""

import pytest
import sqlalchemy as sa

from timellm.errors import JobError
from timellm.jobs.store.schema import runs as runs_table
from timellm.training.progress import Progress


def test_delete_removes_a_run_with_its_files_and_nothing_else(store, config):
    gone, kept = store.create_run(config), store.create_run(config)
    for run in (gone, kept):
        run.run_dir.mkdir(parents=True)
        (run.run_dir / "log.txt").write_text("line")
    store.claim(gone.id)
    store.record(gone.id, Progress("training", done=1, train_loss=1.0))
    store.finish(gone.id, "finished")
    store.delete(gone.id)
    assert [run.id for run in store.runs()] == [kept.id]
    assert not gone.run_dir.exists()
    assert kept.log_file.exists()
    assert store.curve(gone.id).empty


def test_delete_refuses_a_run_that_has_not_ended(store, config):
    run = store.create_run(config)
    with pytest.raises(JobError, match="is queued; stop it before you delete it"):
        store.delete(run.id)
    store.claim(run.id)
    with pytest.raises(JobError, match="is running; stop it before you delete it"):
        store.delete(run.id)


def test_delete_does_not_follow_a_link_out_of_the_folder(store, config, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    run = store.request_stop(store.create_run(config).id)
    run.run_dir.parent.mkdir(exist_ok=True)
    run.run_dir.symlink_to(precious)
    store.delete(run.id)
    assert (precious / "thesis.txt").exists()
    assert not run.run_dir.is_symlink()


def test_delete_refuses_an_id_that_leaves_the_folder(store, config, tmp_path):
    run = store.request_stop(store.create_run(config).id)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs_table).where(runs_table.c.id == run.id).values(id=".."))
    with pytest.raises(JobError, match="is not the id of a run made here"):
        store.delete("..")
