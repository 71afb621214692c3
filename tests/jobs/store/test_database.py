"""Where runs are kept: what is refused, in which words, that no password is shown, and stores of earlier versions."""

import socket
import sqlite3
import sys
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.jobs.postgresql import PASSWORD
from timellm.errors import JobError
from timellm.jobs.store.database import Database
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace

OLD = (Path(__file__).parent / "old_store.sql").read_text(encoding="utf-8")


def test_file_that_is_no_store_is_named(tmp_path):
    place = Workspace(tmp_path)
    place.checkpoints.mkdir()
    (place.checkpoints / "runs.sqlite").write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(JobError, match=r"file is not a database \(.*runs.sqlite\); check that the disk has room"):
        Store.open(place)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(JobError, match="cannot make the folder for runs"):
        Store.open(Workspace(tmp_path))


@pytest.mark.parametrize("named", ["mysql://me:hunter2@host/runs", "hunter2", "sqlite:///hunter2.sqlite", "://hunter2"])
def test_other_database_is_refused_without_showing_its_url(tmp_path, monkeypatch, named):
    monkeypatch.setenv("TIMELLM_STORE", named)
    with pytest.raises(JobError, match=r"TIMELLM_STORE must be a URL like postgresql\+psycopg://") as caught:
        Database.of(tmp_path / "runs.sqlite")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value, chain=True)).replace(repr(named), "")


def test_missing_driver_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_STORE", "postgresql://me:hunter2@host/runs")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JobError, match=r"driver is not installed: pip install 'psycopg\[binary\]==3"):
        Database.of(tmp_path / "runs.sqlite")


def test_server_that_is_not_there_is_named_without_its_password(tmp_path, monkeypatch):
    with socket.socket() as held:  # nobody listens at its port, and no other process can take it meanwhile
        held.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{held.getsockname()[1]}/runs"
        monkeypatch.setenv("TIMELLM_STORE", f"postgresql://me:hunter2@{place}")
        with pytest.raises(JobError, match=rf"refused.*me:\*\*\*@{place}.*check that the server runs") as caught:
            Store.open(Workspace(tmp_path))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_wrong_password_is_refused_and_not_shown(tmp_path, monkeypatch, postgresql):
    monkeypatch.setenv("TIMELLM_STORE", postgresql.replace(PASSWORD, "hunter2"))
    with pytest.raises(JobError, match="password authentication failed") as caught:
        Store.open(Workspace(tmp_path))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_server_is_found_again_after_its_connections_were_cut(tmp_path, monkeypatch, postgresql):
    monkeypatch.setenv("TIMELLM_STORE", postgresql)
    store = Store.open(Workspace(tmp_path))
    before = store.runs()
    engine = sa.create_engine(postgresql)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'timellm'"
    with engine.begin() as connection:
        assert connection.execute(sa.text(cut)).scalars().all()
    engine.dispose()
    assert store.runs() == before
    store.close()


def test_store_of_an_earlier_version_opens_with_its_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    place = Workspace(tmp_path)
    place.checkpoints.mkdir()
    with sqlite3.connect(place.checkpoints / "runs.sqlite") as connection:
        connection.executescript(OLD)
    for _ in range(2):  # made new, then as it is
        store = Store.open(place)
        waiting, before = store.runs()
        assert (before.name, before.state, before.machine) == ("Before", "finished", "local")
        assert before.summary == {"skill": 0.2}
        assert store.curve(before.id)["train_loss"].to_list() == [0.5]
        assert store.events(before.id) == ()
        store.close()
    store = Store.open(place)
    assert store.claim(waiting.id)
    assert [event.kind for event in store.events(waiting.id)] == ["started"]
    store.close()


def test_failure_while_a_store_is_made_new_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.delenv("TIMELLM_STORE", raising=False)
    place = Workspace(tmp_path)
    place.checkpoints.mkdir()
    file = place.checkpoints / "runs.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript(OLD)
    columns = "SELECT name FROM pragma_table_info('runs')"
    with sqlite3.connect(file) as connection:
        before = connection.execute(columns).fetchall()

    def broken(connection):
        connection.execute(sa.text("ALTER TABLE runs ADD COLUMN half VARCHAR(3)"))
        raise sa.exc.OperationalError("ALTER", None, OSError("the disk is full"))

    monkeypatch.setattr("timellm.jobs.store.run_store.migrate", broken)
    with pytest.raises(JobError, match="the disk is full"):
        Store.open(place)
    with sqlite3.connect(file) as connection:
        assert connection.execute(columns).fetchall() == before
