"""Reports of a run to an experiment tracker: TensorBoard, MLflow or Weights & Biases, through Accelerate's trackers.

Inputs: settings, the progress of training and the final errors. Outputs: the tracker's own records. TensorBoard
writes into the run's folder, as does Weights & Biases unless `WANDB_DIR` says otherwise; MLflow writes where
`MLFLOW_TRACKING_URI` says, otherwise into one database beside all runs. Keys and addresses of servers are the
tracker's own settings, taken from its environment and never shown.

A tracker that cannot start ends the run before it trains. After a later failure the run stops reporting to it and goes
on, and its log and its notes say so.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, MLflowTracker, TensorBoardTracker, WandBTracker

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.installation import install_command
from timellm.json_text import read_json
from timellm.training.processes import from_main
from timellm.training.progress import OnProgress, Progress
from timellm.workspace import workspace, write_whole

PROJECT_NAME = "timellm"
"""Experiment (MLflow) or project (Weights & Biases) that runs appear in; its own environment variable overrides it."""
TRACKED = "tracker.json"
"""File in the run's folder that names the tracker's run, so that a run that goes on is the same there."""
PACKAGES = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow-skinny", "alembic"), "wandb": ("wandb",)}
"""What each tracker needs of requirements-trackers.txt."""
_MEASURED = ("train_loss", "validation_loss", "learning_rate", "windows_per_s", "memory_mib")
_EVERY_S = 1.0

log = logging.getLogger(__name__)


def check_tracker(name: str) -> None:
    """Make sure that the tracker called `name` can be used.

    Raises:
        ConfigError: it is not installed; the message has the command that installs it.
    """
    if name != "none" and importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"setting 'tracker' is '{name}', which is not installed; install it with"
            f" {install_command('trackers', PACKAGES[name])}, or use tracker=none"
        )


class Tracking:
    """The reports of one run."""

    def __init__(self, accelerator: Accelerator | None) -> None:
        self._accelerator = accelerator
        self._told = -float("inf")
        self.notes: list[str] = []
        """What went wrong with tracking, for the run's summary."""

    def following(self, on_progress: OnProgress) -> OnProgress:
        """`on_progress`, and the tracker gets every validation, and the steps once a second."""

        def report(progress: Progress) -> None:
            on_progress(progress)
            due = progress.validation_loss is not None or time.monotonic() - self._told >= _EVERY_S
            if progress.phase == "training" and due:
                values = {name: getattr(progress, name) for name in _MEASURED}
                self._tell({name: value for name, value in values.items() if value is not None}, step=progress.done)

        return report

    def outcome(self, summary: Mapping[str, Any]) -> None:
        """Report the errors on the test part."""
        if self._accelerator is None:
            return
        test = {f"test_{name}": value for name, value in summary["test"].items() if value is not None}
        ended = {name: summary[name] for name in ("best_step", "best_validation_loss", "training_seconds")}
        self._tell(test | ended, step=summary["steps"])

    def _tell(self, values: dict[str, float], *, step: int) -> None:
        if self._accelerator is None:
            return
        self._told = time.monotonic()
        try:
            self._accelerator.log(values, step=step)
        except Exception as error:  # noqa: BLE001 - each tracker has errors of its own, and none may cost the run
            self._give_up(f"at step {step:,}", error)

    def _give_up(self, when: str, error: Exception) -> None:
        assert self._accelerator is not None
        name = self._accelerator.trackers[0].name
        note = f"Tracking with {name} ended {when} ({_in_a_line(error)}); the run's own records are complete."
        log.warning(note)
        self.notes.append(note)
        self._accelerator = None


@contextlib.contextmanager
def tracking(accelerator: Accelerator, config: RunConfig, run_dir: Path) -> Iterator[Tracking]:
    """The tracker that `config` names, from its beginning to its end; only the main process has one.

    Raises:
        ConfigError: the tracker cannot begin; nothing has been trained yet.
    """
    if config.training is None or config.training.tracker == "none":
        yield Tracking(None)
        return
    from_main(accelerator, lambda: _begin(accelerator, config, run_dir))
    if not accelerator.is_main_process:
        yield Tracking(None)
        return
    line = Tracking(accelerator)
    went_well = False
    try:
        yield line
        went_well = True
    finally:
        try:
            _end(accelerator.trackers.pop(), went_well=went_well)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("tracker %s did not end well: %s", config.trained.tracker, _in_a_line(error))


_REMEDIES = {
    "tensorboard": "Make sure that the run's folder can be written",
    "mlflow": "Check MLFLOW_TRACKING_URI, or use tracker=none",
    "wandb": "Log in with 'wandb login', set WANDB_MODE=offline to work without its server, or use tracker=none",
}


def _begin(accelerator: Accelerator, config: RunConfig, run_dir: Path) -> None:
    name = config.trained.tracker
    check_tracker(name)
    try:
        accelerator.trackers = [_begun(name, config, run_dir)]
    except Exception as error:
        raise ConfigError(f"tracker '{name}' cannot begin: {_in_a_line(error)}. {_REMEDIES[name]}") from error


def _begun(name: str, config: RunConfig, run_dir: Path) -> GeneralTracker:
    """Begin the tracker's run, or go on with the one that the folder names."""
    known = _known(run_dir, name)
    run_dir.mkdir(parents=True, exist_ok=True)
    if name == "tensorboard":
        tracker: GeneralTracker = TensorBoardTracker("tensorboard", logging_dir=run_dir)
        tracker.start()
        number = known or "tensorboard"
    elif name == "mlflow":
        import mlflow

        if not os.environ.get("MLFLOW_TRACKING_URI"):
            mlflow.set_tracking_uri(f"sqlite:///{workspace().checkpoints / 'mlflow.db'}")
            workspace().checkpoints.mkdir(parents=True, exist_ok=True)
        tracker = MLflowTracker(PROJECT_NAME, run_id=known, run_name=run_dir.name)
        tracker.start()
        number = tracker.tracker.info.run_id
    else:
        import wandb

        number = known or uuid.uuid4().hex[:12]
        place = {} if os.environ.get("WANDB_DIR") else {"dir": str(run_dir)}
        tracker = WandBTracker(
            os.environ.get("WANDB_PROJECT", PROJECT_NAME),
            id=number,
            resume="allow",
            name=run_dir.name,
            # What the process prints and the code it was started with are nobody else's business.
            settings=wandb.Settings(console="off", disable_code=True, disable_git=True, silent=True),
            **place,
        )
        tracker.start()
    if known is None:
        tracker.store_init_configuration(_flat(config))
        text = json.dumps({"tracker": name, "run": number})
        write_whole(run_dir / TRACKED, lambda path: path.write_text(text, encoding="utf-8"))
    return tracker


def _known(run_dir: Path, name: str) -> str | None:
    """The tracker's run that this run began with, if it has begun."""
    try:
        kept = read_json(run_dir / TRACKED)
        return str(kept["run"]) if kept["tracker"] == name else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{run_dir / TRACKED} is damaged ({error}); delete it to begin a new one") from error


def _flat(config: RunConfig) -> dict[str, str | int | float | bool]:
    """Settings as `section.name`, in the types that every tracker takes."""
    return {
        f"{section}.{name}": value if isinstance(value, str | int | float | bool) else json.dumps(value)
        for section, settings in config.to_dict().items()
        if isinstance(settings, dict)
        for name, value in settings.items()
    }


def _end(tracker: GeneralTracker, *, went_well: bool) -> None:
    if went_well or tracker.name == "tensorboard":
        tracker.finish()
    elif tracker.name == "wandb":
        tracker.tracker.finish(exit_code=1)
    else:
        import mlflow

        mlflow.end_run("FAILED")


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
