"""Which runs still need an uploaded table, and its deletion.

Inputs: the store and a table's id. Outputs: the runs that have not read the table yet. A run that has read it keeps a
copy in its own folder and needs the upload no more.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from timellm.data.uploads import delete_upload, table_path, table_title
from timellm.errors import ConfigError, JobError
from timellm.jobs.store.run import ACTIVE, Run
from timellm.jobs.store.run_store import Store
from timellm.jobs.store.schema import runs

_COPY = "table.json"  # as timellm.forecasting.artifacts names it; written before the first step


def runs_in_need(store: Store, path: Path) -> tuple[Run, ...]:
    """Waiting and working runs that have not copied the table at `path` into their folder yet.

    Raises:
        JobError: the store cannot be read.
    """
    with store.database.reading() as connection:
        active = connection.scalars(sa.select(runs.c.id).where(runs.c.state.in_(ACTIVE))).all()
    return tuple(run for run in map(store.get, active) if not (run.run_dir / _COPY).is_file() and _reads(run, path))


def delete_table(store: Store, table_id: str) -> None:
    """Remove an uploaded table.

    Raises:
        DataError: no upload has this id, or it cannot be removed.
        JobError: a run still needs it.
    """
    path = table_path(table_id)
    if needed := runs_in_need(store, path):
        names = ", ".join(f"'{run.name}'" for run in needed[:3]) + (" and others" if len(needed) > 3 else "")
        raise JobError(
            f"the table '{table_title(path)}' is still needed by {names}: a run copies its table when it starts. Wait"
            " until the run trains, or withdraw it; then delete the table"
        )
    delete_upload(table_id)


def _reads(run: Run, path: Path) -> bool:
    try:
        data = run.config.data
        return path.resolve() in {Path(file).resolve() for file in (data.path, data.known_file) if file}
    except ConfigError:  # written by another version: it cannot run here and reads nothing
        return False
