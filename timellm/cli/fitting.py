"""The verb `fit`: fine-tune in this process, with a bar on standard error, into a folder that the user chooses."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns
from timellm.cli.bar import Bar
from timellm.workspace import is_main_process

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.pipeline import Result


def fit(arguments: argparse.Namespace) -> Answer:
    """Fine-tune on a table; Ctrl-C stops and keeps the best checkpoint, a second one ends at once.

    Raises:
        TimeLLMError: the table, a setting or the backbone cannot be used, or the folder is not empty, cannot be
            written, or another process works in it.
    """
    with contextlib.ExitStack() as held:
        if is_main_process():  # another one could find what the main one has already written
            _take_run_dir(arguments.run_dir, held)
        return _run(_configuration(arguments), arguments.run_dir)


def resume(arguments: argparse.Namespace) -> Answer:
    """Continue an interrupted or stopped run, as `fit` would have.

    Raises:
        TimeLLMError: the folder holds no run that can be resumed, or it is damaged.
    """
    from timellm.config import TimeLLMConfig
    from timellm.errors import CheckpointError, ConfigError
    from timellm.forecasters.start_rules import PRETRAINED
    from timellm.forecasting.artifacts import SUMMARY
    from timellm.training.checkpoint import load_config
    from timellm.training.state import has_state

    config = load_config(arguments.run_dir)
    # Between its two trainings a run may have weights and no state.
    pretrained = (arguments.run_dir / PRETRAINED).is_dir() and not (arguments.run_dir / SUMMARY).is_file()
    if not (has_state(arguments.run_dir) or pretrained):
        raise CheckpointError(
            f"{arguments.run_dir} holds no training state to resume: the run has finished, or ended before its first"
            " validation; look at it with 'evaluate --stored', or start a new one with 'fit'"
        )
    # The folder may be somebody else's, whose word is not enough to run code here.
    forecaster = config.forecaster
    if isinstance(forecaster, TimeLLMConfig) and forecaster.trust_remote_code and not arguments.trust_remote_code:
        raise ConfigError(
            f"the run in {arguments.run_dir} executes code that comes with {forecaster.backbone}; give"
            " --trust-remote-code if you trust its source"
        )
    return _run(config, arguments.run_dir)


def _run(config: RunConfig, folder: Path) -> Answer:
    from timellm.config import TimeLLMConfig
    from timellm.forecasters.time_llm.catalog import check_cache

    if isinstance(config.forecaster, TimeLLMConfig):
        check_cache(config.forecaster.backbone)  # before torch is loaded, which takes seconds
    from timellm.pipeline import fit as run_pipeline

    with _stop_on_signals() as stopping, Bar() as bar, _offering_what_fits(config, folder):
        result = run_pipeline(config, run_dir=folder, on_progress=bar.show, should_stop=stopping.is_set)
    data = {"run_dir": folder.resolve(), "stopped": result.stopped, "summary": result.summary}
    return Answer(data, _in_words(folder, result))


def _in_words(folder: Path, result: Result) -> str:
    if not result.summary:
        return "stopped before anything was learned; nothing is kept"
    summary = result.summary
    ending = "stopped; the best checkpoint is kept, and 'resume' goes on" if result.stopped else "finished"
    learned = f"fitted and scored in {summary['seconds']:,.0f} s"
    if "steps" in summary:
        steps, best = f"{summary['steps']:,} steps", f"best at step {summary['best_step']:,}"
        learned = f"{steps} in {summary['training_seconds']:,.0f} s, {best}"
    test = columns(("test error", "value"), summary["test"].items())
    return "\n".join([f"{ending}: {folder}", learned, "", test, "", summary["verdict"], *summary["notes"]])


def _take_run_dir(folder: Path, held: contextlib.ExitStack) -> None:
    """Let no other process work in the folder until `held` is closed, and look whether it is empty."""
    from timellm.errors import ConfigError
    from timellm.sizing.occupancy import LOCK, occupied

    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--run-dir {folder} is a file; name a new or an empty folder")
    held.enter_context(occupied(folder))
    if any(path.name != LOCK for path in folder.iterdir()):
        raise ConfigError(
            f"--run-dir {folder} is not empty; name a new or an empty folder, so that no run is overwritten"
        )


def _configuration(arguments: argparse.Namespace) -> RunConfig:
    """Defaults, then --config or --preset, then --set; other settings are chosen to suit the table."""
    from timellm.config import DataConfig, TaskConfig, TimeLLMConfig, parse_setting
    from timellm.data.suggested import suggested
    from timellm.data.table import load_table

    config, given = _starting_config(arguments)
    if arguments.model and arguments.model != config.kind:
        config = config.updated(kind=arguments.model)
    settings = dict(parse_setting(text, config.kind) for text in arguments.settings)
    known = getattr(arguments, "known", None)  # the verb receipt fits nothing, and has no such option
    if known is not None:
        settings["known_file"] = str(known)
    settings |= repair_of(arguments) | _description(arguments, settings)
    if settings.get("known_file"):
        settings["known_file"] = str(Path(settings["known_file"]).resolve())
    if getattr(arguments, "pretrain", None):
        settings["pretrain"] = tuple(str(path.resolve()) for path in arguments.pretrain)
    if settings.get("start_from"):
        settings["start_from"] = str(Path(settings["start_from"]).expanduser().resolve())
    given |= settings.keys()
    of_table = DataConfig.model_fields.keys() & settings.keys()
    table = load_table(config.updated(**{name: settings[name] for name in of_table}).data)
    told = {name: value for name, value in settings.items() if name in (*TaskConfig.model_fields, "channels")}
    chosen = {}
    for one in suggested(table, config.updated(**told), given=given):
        chosen[one.name] = one.value
        _tell(f"chosen for this table: {one.name}={one.value} ({one.reason})")
    _check_trust(config, said="trust_remote_code" in settings)
    config = config.updated(**chosen, **settings)
    if isinstance(config.forecaster, TimeLLMConfig) and config.forecaster.trust_remote_code:
        _tell(f"warning: Python code that ships with {config.forecaster.backbone} will run with all your rights")
    return config


def _description(arguments: argparse.Namespace, settings: Mapping[str, Any]) -> dict[str, str]:
    """The setting that `--describe` makes; nothing where it is not given.

    Raises:
        ConfigError: there is no such set, or --set describes the data, too.
    """
    from timellm.errors import ConfigError
    from timellm.protocols.sets import find_set

    name = getattr(arguments, "describe", None)  # the verb receipt has no such option
    if name is None:
        return {}
    if "description" in settings:
        raise ConfigError("--describe and --set description both describe the data; leave one of them out")
    return {"description": find_set(name).description}


def repair_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The setting that `--repair`, given once for each step, makes; nothing where it is not given."""
    steps = getattr(arguments, "repair", None)  # the verb receipt has no such option
    return {"repair": tuple(steps)} if steps else {}


def _check_trust(config: RunConfig, *, said: bool) -> None:
    """A file of settings may come from someone else, who must not decide which code runs here."""
    from timellm.config import TimeLLMConfig
    from timellm.errors import ConfigError

    forecaster = config.forecaster
    if isinstance(forecaster, TimeLLMConfig) and forecaster.trust_remote_code and not said:
        raise ConfigError(
            f"--config switches on 'trust_remote_code', which runs Python code that ships with {forecaster.backbone};"
            " add --set trust_remote_code=true if you trust its source, or =false"
        )


def _starting_config(arguments: argparse.Namespace) -> tuple[RunConfig, set[str]]:
    """The configuration before --set, and the names of the settings that --config or --preset gives."""
    from timellm.config import RunConfig
    from timellm.errors import ConfigError
    from timellm.json_text import read_json
    from timellm.presets import find_preset

    path = str(arguments.table.resolve())
    if arguments.preset is not None:
        chosen = find_preset(arguments.preset)
        return chosen.over(RunConfig.create(path)), set(chosen.settings)
    if arguments.config is None:
        return RunConfig.create(path), set()
    try:
        tree = read_json(arguments.config)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--config {arguments.config} cannot be read: {error}") from None
    if isinstance(tree, dict) and isinstance(tree.get("data", {}), dict):
        tree = {**tree, "data": {**tree.get("data", {}), "path": path}}
    config = RunConfig.from_dict(tree)
    return config, {
        name
        for section in (config.data, config.task, config.forecaster, config.training)
        if section is not None
        for name in section.model_fields_set
    }


@contextlib.contextmanager
def _offering_what_fits(config: RunConfig, run_dir: Path) -> Iterator[None]:
    """Turn an out-of-memory failure into an error that names settings with which the run would fit."""
    from timellm.errors import ConfigError
    from timellm.jobs.store.cause import mendable
    from timellm.jobs.store.shortage import smaller_settings
    from timellm.sizing.outofmemory import is_out_of_memory

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # what the attempt holds, so that there is room to count
        raise ConfigError(mendable(error, smaller_settings(config, run_dir))) from None


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) requests a stop; the second ends the process."""
    stopping = threading.Event()

    def stop(number: int, _: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        _tell("\nstopping after this step; the best checkpoint is kept. Ctrl-C again ends at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: str) -> None:
    """Print it once, also when several processes work on the run."""
    if is_main_process():
        print(text, file=sys.stderr)
