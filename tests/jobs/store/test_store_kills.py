"""A process that is killed while it writes leaves a store in which every change is whole or not there."""

from __future__ import annotations

import random
import subprocess
import sys

import sqlalchemy as sa

from timellm.jobs.store.process import this_process
from timellm.jobs.store.schema import curves, runs
from timellm.workspace import PROJECT

KILLS = 8
WRITE = """
import sys
from pathlib import Path
from timellm.jobs.store.run_store import Store
from timellm.training.progress import Progress
from timellm.workspace import Workspace
store, run_id = Store.open(Workspace(Path(sys.argv[1]))), sys.argv[2]
step = begun_at = store.get(run_id).done
while True:
    step += 1
    store.record(run_id, Progress("training", done=step, total=10**6, train_loss=1 / step, validation_loss=2 / step))
    if step == begun_at + 1:
        print("writing", flush=True)  # the first change stands, however slow the machine is
"""


def test_writer_that_is_killed_leaves_whole_changes(store, config, tmp_path):
    moments = random.Random(0)
    run = store.create_run(config)
    store.claim(run.id, process=this_process())
    command = [sys.executable, "-c", WRITE, str(tmp_path), run.id]
    before = 0
    for _ in range(KILLS):
        writer = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "writing\n"
        try:
            writer.wait(timeout=moments.uniform(0.05, 0.3))
            raise AssertionError("it ended by itself")
        except subprocess.TimeoutExpired:
            writer.kill()
            writer.communicate()
        now = store.get(run.id)
        with store.database.reading() as connection:
            points = connection.execute(sa.select(sa.func.count(), sa.func.max(curves.c.step))).one()
            if store.database.machine == "local":
                assert connection.scalar(sa.text("PRAGMA integrity_check")) == "ok"
        # The row and the curve are written in one change; the one under way at the kill is there as a whole or not.
        assert tuple(points) == (now.done, now.done)
        assert now.best_validation_loss == 2 / now.done
        assert now.done > before
        before = now.done
    with store.database.writing() as connection:  # no lock outlives its holder
        connection.execute(sa.update(runs).where(runs.c.id == run.id).values(message="goes on"))
    assert store.get(run.id).message == "goes on"
