"""The verb `fit`: fine-tune in this process, with a bar on standard error, into a folder of the user's choice."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.training.progress import Progress

UNITS = {"fetching": "B", "loading": " tensors", "training": " steps", "evaluating": " windows"}


def fit(arguments: argparse.Namespace) -> Answer:
    """Fine-tune on a table; Ctrl-C stops and keeps the best checkpoint, a second one ends at once.

    Raises:
        TimeLLMError: the table, a setting or the backbone cannot be used, or the folder is not empty.
    """
    _check_run_dir(arguments.run_dir)
    config = _configuration(arguments)
    from timellm.pipeline import fit as run_pipeline

    with _stop_on_signals() as stopping, Bar() as bar:
        result = run_pipeline(config, run_dir=arguments.run_dir, on_progress=bar.show, should_stop=stopping.is_set)
    data = {"run_dir": arguments.run_dir.resolve(), "stopped": result.stopped, "summary": result.summary}
    ending = "stopped; the best checkpoint is kept" if result.stopped else "finished"
    rows = [item for item in result.summary.items() if not isinstance(item[1], dict | list)]
    return Answer(data, f"{ending}: {arguments.run_dir}\n\n{columns(('', ''), rows).lstrip()}")


def _check_run_dir(folder: Path) -> None:
    from timellm.errors import ConfigError

    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--run-dir {folder} is a file; name a new or an empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(
            f"--run-dir {folder} is not empty; name a new or an empty folder, so that no run is overwritten"
        )


def _configuration(arguments: argparse.Namespace) -> RunConfig:
    """Defaults, then --config, then --set; what suits the table is chosen only for settings that neither names."""
    from timellm.config import parse_setting
    from timellm.data.season import suggest_description, suggest_lengths
    from timellm.data.table import load_table

    config, given = _starting_config(arguments)
    settings = dict(map(parse_setting, arguments.settings))
    given |= settings.keys()
    of_table = config.to_dict()["data"].keys() & settings.keys()
    reading = config.updated(**{name: settings[name] for name in of_table}).data
    table = load_table(reading)
    chosen: dict[str, Any] = {}
    if not {"context", "horizon"} <= given:
        chosen |= zip(("context", "horizon"), suggest_lengths(table, reading), strict=True)
    if "description" not in given:
        chosen["description"] = suggest_description(table, arguments.table.stem)
    chosen = {name: value for name, value in chosen.items() if name not in given}
    for name, value in chosen.items():
        print(f"chosen for this table: {name}={value}", file=sys.stderr)
    return config.updated(**chosen, **settings)


def _starting_config(arguments: argparse.Namespace) -> tuple[RunConfig, set[str]]:
    """The configuration before --set, and the names of the settings that --config gives."""
    from timellm.config import RunConfig
    from timellm.errors import ConfigError

    path = str(arguments.table.resolve())
    if arguments.config is None:
        return RunConfig.create(path), set()
    try:
        tree = json.loads(arguments.config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--config {arguments.config} cannot be read: {error}") from None
    if isinstance(tree, dict) and isinstance(tree.get("data", {}), dict):
        tree = {**tree, "data": {**tree.get("data", {}), "path": path}}
    config = RunConfig.from_dict(tree)
    return config, {
        name for section in (config.data, config.model, config.training) for name in section.model_fields_set
    }


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) asks for a stop; the second ends the process."""
    stopping = threading.Event()

    def stop(number: int, _: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        print("\nstopping after this step; the best checkpoint is kept. Ctrl-C again ends at once", file=sys.stderr)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Bar:
    """Progress on standard error, one bar a phase; where a bar cannot move, in a file or pipe, a line now and then."""

    def __enter__(self) -> Bar:
        self._bar, self._phase, self._notes = None, None, {}
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """Move the bar to where the run is."""
        if progress.phase != self._phase:
            self._begin(progress)
        if progress.total and progress.total != self._bar.total:
            self._bar.total = progress.total
        for name, value in (("train", progress.train_loss), ("validation", progress.validation_loss)):
            if value is not None:
                self._notes[name] = f"{value:.4f}"
        self._bar.set_postfix(self._notes, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def _begin(self, progress: Progress) -> None:
        from tqdm import tqdm

        self.__exit__()
        fetching = progress.phase == "fetching"
        self._phase = progress.phase
        self._bar = tqdm(
            total=progress.total or None,
            desc=progress.phase,
            unit=UNITS[progress.phase],
            unit_scale=fetching,
            unit_divisor=1024 if fetching else 1000,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            dynamic_ncols=True,
            file=sys.stderr,
        )
