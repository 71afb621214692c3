"""Verbs that move a run from one workspace to another: `export` and `import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from timellm.cli.answer import Answer
from timellm.cli.output import check_out


def export_run(arguments: argparse.Namespace) -> Answer:
    """Write a run of this workspace as one archive.

    Raises:
        TimeLLMError: there is no such run, it has not ended, or the file is there already.
    """
    from timellm.jobs.archive.writing import Contents, write_archive
    from timellm.jobs.store.run_store import Store
    from timellm.workspace import write_whole

    store = Store.open()
    held: Contents | None = None
    store.reconcile()
    out = arguments.file or Path(f"{store.get(arguments.run).id}.zip")
    check_out(out, option="", force=arguments.force)

    def write(path: Path) -> None:
        nonlocal held
        with path.open("wb") as file:
            held = write_archive(store, arguments.run, file, with_table=not arguments.without_table)

    write_whole(out, write)
    assert held is not None
    with_table = held.table is not None and not arguments.without_table
    data = {
        "file": out.resolve(),
        "bytes": out.stat().st_size,
        "files": held.files,
        "left_out": held.left_out,
        "table": with_table,
    }
    lines = [f"{out}: {out.stat().st_size / 1e6:,.1f} MB, {len(held.files)} files of run {arguments.run}"]
    lines.append("with its table" if with_table else "without its table")
    lines += [f"left out: {', '.join(held.left_out)}"] if held.left_out else []
    return Answer(data, "\n".join(lines))


def import_run(arguments: argparse.Namespace) -> Answer:
    """Import a run from an archive into this workspace.

    Raises:
        TimeLLMError: the file is not an archive of a run, or it is damaged or was changed.
    """
    from timellm.errors import ConfigError
    from timellm.jobs.archive.importing import import_run as take_in
    from timellm.jobs.store.run_store import Store

    if arguments.file.exists() and not arguments.file.is_file():
        raise ConfigError(f"{arguments.file} is no file; name the archive that 'export' has written")
    try:
        file = arguments.file.open("rb")
    except OSError as error:
        raise ConfigError(f"{arguments.file} cannot be read: {error.strerror}") from None
    with file:
        found = take_in(Store.open(), file)
    run = found.run
    data = {"run": run.id, "name": run.name, "state": run.state, "run_dir": run.run_dir, "notes": found.notes}
    return Answer(data, "\n".join([f"{run.id}: {run.name}, {run.state}, in {run.run_dir}", *found.notes]))
