"""Several processes and threads at one store: a claim that is exclusive, and no update lost."""

import os
import subprocess
import sys
import threading

import sqlalchemy as sa

from timellm.jobs.store.schema import runs as runs_table
from timellm.workspace import PROJECT


def in_processes(count, program, *arguments):
    """Run `program` in `count` processes at once and return what each printed."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    started = [
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    results = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * count, [error for _, error in results]
    return [out.strip() for out, _ in results]


def test_claim_takes_a_queued_run_once(store, config):
    run = store.create_run(config)
    assert store.claim(run.id)
    assert not store.claim(run.id)
    claimed = store.get(run.id)
    assert (claimed.state, claimed.pid) == ("running", os.getpid())
    assert claimed.started >= claimed.created


def test_claim_waits_for_the_run_that_works_and_for_older_ones(store, config):
    first, second, third = (store.create_run(config).id for _ in range(3))
    assert not store.claim(second)
    assert store.claim(first)
    assert not store.claim(second)
    store.finish(first, "finished")
    assert not store.claim(third)
    assert store.claim(second)


CLAIM_ALL = """
import sys, time
from pathlib import Path
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace
store, won = Store.open(Workspace(Path(sys.argv[1]))), []
for run_id in sys.argv[2:]:
    while store.get(run_id).state == "queued":
        if store.claim(run_id):
            assert [run.state for run in store.runs()].count("running") == 1
            won.append(run_id)
            time.sleep(0.01)
            store.finish(run_id, "finished")
        time.sleep(0.005)
print(" ".join(won))
"""


def test_claim_is_exclusive_between_processes(store, config, tmp_path):
    ids = [store.create_run(config).id for _ in range(12)]
    won = " ".join(in_processes(8, CLAIM_ALL, tmp_path, *ids)).split()
    assert sorted(won) == sorted(ids)


READ_THEN_WRITE = """
import sys
from pathlib import Path
import sqlalchemy as sa
from timellm.jobs.store.schema import runs
from timellm.jobs.store.run_store import Store
from timellm.workspace import Workspace
store = Store.open(Workspace(Path(sys.argv[1])))
for _ in range(50):
    with store.database.writing() as connection:
        done = connection.execute(sa.select(runs.c.done)).scalar_one()
        connection.execute(sa.update(runs).values(done=done + 1))
"""


def test_store_loses_no_update_between_processes(store, config, tmp_path):
    run = store.create_run(config)
    in_processes(4, READ_THEN_WRITE, tmp_path)
    assert store.get(run.id).done == 200


def test_store_opens_in_many_processes_at_once(database, tmp_path):
    program = (
        "import sys; from pathlib import Path; from timellm.jobs.store.run_store import Store; "
        "from timellm.workspace import Workspace; print(len(Store.open(Workspace(Path(sys.argv[1]))).runs()))"
    )
    assert in_processes(4, program, tmp_path / "new") == ["0"] * 4


def test_store_is_read_while_another_thread_writes(store, config):
    run = store.create_run(config)
    store.claim(run.id)
    with store.database.writing() as connection:
        connection.execute(sa.update(runs_table).values(message="half-way"))
        seen = []
        reader = threading.Thread(target=lambda: seen.append(store.get(run.id).message))
        reader.start()
        reader.join(timeout=5)
        assert seen == [""]
