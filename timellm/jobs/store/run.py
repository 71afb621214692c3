"""One run as the store has it, for pages, command line and worker. Frozen: read it again to see changes."""

from __future__ import annotations

import math
import re
import secrets
import shutil
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.uploads import table_title
from timellm.errors import ConfigError, JobError
from timellm.forecasters.registry import kind_of
from timellm.forecasters.start_rules import PRETRAINED
from timellm.json_text import parse_json
from timellm.training.progress import Phase

if TYPE_CHECKING:
    import sqlalchemy as sa

State = Literal["queued", "running", "finished", "stopped", "failed"]
ACTIVE: tuple[State, ...] = ("queued", "running")
Ending = Literal["finished", "stopped", "failed"]
CauseKind = Literal["data", "settings", "memory", "backbone", "disk", "crash", "lost"]
"""What a failure has to do with; a crash is a bug, lost is a process that ended without writing an ending.

Settings have a kind of their own: two that contradict each other, or a learning rate with which training diverges, are
the user's to change, and neither the data's fault nor a bug.
"""
TERMINAL: tuple[Ending, ...] = ("finished", "stopped", "failed")

RUN_ID = re.compile(r"\d{8}-\d{4}-[a-z0-9]{5}")
QUEUE_PREFIX = "ray:"
"""Begins what stands as the machine of a run on a cluster; no host's name has a colon."""
TRAINING_STATE = "training_state.safetensors"
"""The same name as in timellm.training.state, whose import would load torch."""
_OUTCOME = "summary.json"
"""What a training came to, as timellm.forecasting.artifacts calls it."""
IMPORTED = "imported"
"""In the summary of a run that came from elsewhere: what it took says nothing about this machine."""
ODD_LETTERS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Control characters, line ends, and marks that turn the direction of writing; as part of a regular expression."""
_ID_LETTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Run:
    """A row of the store. Times are UTC; `None` is not yet, or not measured."""

    id: str
    name: str
    state: State
    config_text: str
    run_dir: Path
    created: datetime
    started: datetime | None
    updated: datetime | None
    """When the worker last reported."""
    ended: datetime | None
    phase: Phase | None
    done: int
    total: int
    """Units of the phase (bytes, tensors, steps, windows); 0 when unknown."""
    fraction: float
    """Share of the phase that is finished, 0 to 1."""
    eta_s: float | None
    """Seconds to the end of the whole run, as of `updated`."""
    train_loss: float | None
    validation_loss: float | None
    best_validation_loss: float | None
    learning_rate: float | None
    windows_per_s: float | None
    memory_mib: float | None
    message: str
    stop_requested: bool
    pid: int | None
    """The process that works on the run, or did last."""
    error: str | None
    """Cause of a failure, in one line."""
    summary: dict[str, Any]
    """What the pipeline reported at the end: best step, test scores, seconds."""
    machine: str
    """Whose queue it is in: this machine's name, or "local" where the store is a file."""
    position: int
    """Orders the runs that wait."""
    device: str
    """The device it is queued for."""
    cause: CauseKind | None
    """What a failure has to do with; None also where an earlier version wrote the failure down."""
    tags: tuple[str, ...]
    note: str
    attempt: int
    """How often a worker has taken the run."""
    worked_s: float
    """Working time of earlier attempts, in seconds."""
    job: str | None = None
    """What the cluster calls the job that works on the run, or did last; None on a machine."""
    workers: int = 1
    """Processes that train together."""
    promise: str | None = None
    """The time that was told before it started, as `timellm.jobs.store.promise` writes it."""

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration; read only when asked for, so that one unreadable row does not hide the others.

        Raises:
            ConfigError: the configuration was written by a version with other settings.
        """
        return RunConfig.from_json(self.config_text)

    @property
    def active(self) -> bool:
        """Whether the run still waits or works."""
        return self.state in ACTIVE

    @property
    def on_cluster(self) -> bool:
        """Whether the run is a cluster's, not a machine's."""
        return self.machine.startswith(QUEUE_PREFIX)

    @property
    def can_go_on(self) -> bool:
        """Whether the run ended early and can be resumed."""
        return self.state in ("stopped", "failed") and self.has_saved_steps

    @property
    def has_saved_steps(self) -> bool:
        """Whether a training state is kept, or one of a pre-training, or what a pre-training came to."""
        before = self.run_dir / PRETRAINED
        return self.state_file.is_file() or any((before / name).is_file() for name in (TRAINING_STATE, _OUTCOME))

    @property
    def pretrains(self) -> bool:
        """Whether the run trains on other tables first; no for settings of another version, which nobody can read."""
        try:
            training = self.config.training
        except ConfigError:
            return False
        return training is not None and bool(training.pretrain)

    @property
    def state_file(self) -> Path:
        """The training state, from which a run is resumed."""
        return self.run_dir / TRAINING_STATE

    @property
    def log_file(self) -> Path:
        """Output of the worker."""
        return self.run_dir / "log.txt"

    @property
    def seconds(self) -> float | None:
        """Working time so far over all attempts, in seconds; `None` while the run waits for its first."""
        if self.started is None:
            return self.worked_s or None
        # Nobody was there when a lost run's process ended; it is known to have worked until its last report.
        end = self.updated if self.cause == "lost" else self.ended
        return self.worked_s + max(0.0, ((end or datetime.now(UTC)) - self.started).total_seconds())


def ending_loss(summary: Mapping[str, Any] | None) -> float | None:
    """The validation error that a run's outcome names, if it is a number that can be compared."""
    loss = (summary or {}).get("best_validation_loss")
    return float(loss) if isinstance(loss, int | float) and math.isfinite(loss) else None


def run_of(row: sa.RowMapping, folders: Path) -> Run:
    """The run of a row of the store; its folder is one of `folders` and has its id as name."""
    values = dict(row)
    del values["pid_started"], values["heartbeat"], values["doubted"]
    values["config_text"] = values.pop("config")
    values["summary"] = _outcome(values["summary"])
    values["tags"] = tuple(values["tags"].split("\n")) if values["tags"] else ()
    return Run(**values, run_dir=folders / row["id"])


def _outcome(text: str) -> dict[str, Any]:
    """What a run's row says about its outcome; a damaged text becomes a note, so that it hides no other run."""
    try:
        found = parse_json(text, constants=True)
        if isinstance(found, dict):
            return found
        why = "it is not a JSON object"
    except ValueError as error:
        why = str(error)
    return {"notes": [f"The outcome of this run cannot be read from the store: {why}"]}


def remove_folder(run: Run) -> None:
    """Remove the files of a run; of a folder that is a link, the link alone.

    Raises:
        JobError: the run's id is none that was made here, or its files cannot be removed.
    """
    if not RUN_ID.fullmatch(run.id):  # the folder follows from the id
        raise JobError(f"'{run.id}' is not the id of a run made here, so no folder of it is deleted")
    try:
        if run.run_dir.is_symlink():
            run.run_dir.unlink()
        elif run.run_dir.exists():
            shutil.rmtree(run.run_dir)
    except OSError as error:
        raise JobError(f"the files of run '{run.id}' cannot be removed: {error}") from None


def new_run_id(moment: datetime) -> str:
    """An id that sorts by time and can stand in a URL, like 20261122-1530-ab12c (UTC)."""
    tail = "".join(secrets.choice(_ID_LETTERS) for _ in range(5))
    return f"{moment.astimezone(UTC):%Y%m%d-%H%M}-{tail}"


def one_line(text: str) -> str:
    """The text as one line without characters that change how others look."""
    return " ".join(re.sub(f"[{ODD_LETTERS}]", " ", text).split())


def default_name(config: RunConfig) -> str:
    """Table and backbone or forecaster, for a run that nobody named."""
    forecaster = config.forecaster
    what = Path(forecaster.backbone).name if isinstance(forecaster, TimeLLMConfig) else kind_of(config.kind).title
    return one_line(f"{table_title(Path(config.data.path))}, {what}")


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """The configuration as a process in any folder can read it: table and folders by absolute path."""
    changes: dict[str, Any] = {"path": str(Path(config.data.path).expanduser().resolve())}
    if config.data.known_file:
        changes["known_file"] = str(Path(config.data.known_file).expanduser().resolve())
    if config.training is not None and config.training.start_from:
        changes["start_from"] = str(Path(config.training.start_from).expanduser().resolve())
    if config.training is not None and config.training.pretrain:
        changes["pretrain"] = tuple(str(Path(one).expanduser().resolve()) for one in config.training.pretrain)
    if isinstance(config.forecaster, TimeLLMConfig):
        backbone = Path(config.forecaster.backbone).expanduser()
        if len(backbone.parts) > 1 and backbone.is_dir():  # a bare name is the catalogue's
            changes["backbone"] = str(backbone.resolve())
    return config.updated(**changes)


def log_tail(path: Path, *, lines: int = 200) -> str:
    """The last `lines` lines of a log, from its last 256 KiB; empty while there is no log."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 256 * 1024))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
