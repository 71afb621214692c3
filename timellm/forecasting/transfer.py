"""A finished run on another table: its forecaster, as it is, on the test part of a table that it has not seen.

Nothing is trained but what is compared with it: the simple rules and a ridge, fitted to the other table. Its scale is
that of its own training rows, as in the published zero-shot protocol (Time-LLM, section 4.4). Context, horizon, split
and the treatment of gaps are the run's; whatever belongs to a table (channels, bounds, repairs) is the other table's.

Inputs: a run's folder and the other table. Outputs: scores of every test window, and the verdict on the run's own row.

Shapes: W windows, H horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from timellm.config import DataConfig, RunConfig
from timellm.data.prepared import PreparedData, in_force
from timellm.data.season import step_name
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError, DataError
from timellm.evaluation.judge import judge
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison
from timellm.evaluation.verdict import Verdict
from timellm.forecasters.protocol import OnBatch, Predictor, ignore_batch, tied_to_table
from timellm.forecasters.registry import kind_of
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import on_this_machine
from timellm.forecasting.overlap import seen_note
from timellm.forecasting.quick import QuickForecasters
from timellm.forecasting.scoring import ScoredModels, score_test_part
from timellm.training.progress import OnProgress, ShouldStop, ignore_progress, never_stop

OF_THE_RUN = ("context", "horizon")
"""Settings of the task that the run's weights are made for."""
OF_THE_TABLE = ("training_rows", "training_side", "lower_bound", "upper_bound", "closed_weekdays")
"""Settings of the task that belong to a table: the run's own do not count for another one."""
KEPT_OF_THE_TASK = ("split", "missing", "forecast_from")
"""Settings of the task that the other table has like the run's, unless they are given."""
_NOT_TAKEN = ("path", "known_ahead", "known_file", "known_holidays")


@dataclass(frozen=True)
class Transferred:
    """What a run is worth on a table that it has not seen."""

    config: RunConfig
    """The other table and its task, with the run's forecaster."""
    scores: Scores
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    """What the reader of the scores should know."""

    def verdict(self, metric: str) -> Verdict:
        """What the scores say of the run by a metric."""
        return judge(self.scores, metric, comparisons=self.comparisons)


@dataclass(frozen=True)
class FromAnotherTable:
    """A forecaster under a name that says where it was fitted; a ridge of the other table is a row beside it."""

    forecaster: Predictor
    table: str

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return f"{self.forecaster.name} from {self.table}"

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, in original units."""
        return self.forecaster.predict(prepared, index, on_batch=on_batch)


def score_elsewhere(
    run_dir: Path,
    config: RunConfig,
    scored_in: Path,
    *,
    trust_remote_code: bool = False,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
) -> Transferred | None:
    """Score the run in `run_dir` on the table of `config`, which `config_elsewhere` makes; None if the user stops it.

    What is compared with it, and every file of scores, is written into the empty folder `scored_in`.

    Raises:
        CheckpointError: the run's folder is incomplete or damaged.
        ConfigError: the run is tied to its own table; says what to set when it is trained.
        DataError: the table cannot be used, or has another step between rows, which the run's forecaster reads.
        BackboneError: the backbone cannot be loaded on this machine.
    """
    own = RunFolder(run_dir)
    own_config = own.config()
    _check_known(own_config)
    table = load_table(config.data)
    config = in_force(config, table)
    prepared = PreparedData.of(table, config)
    prepared.windows("test")  # refuse early, not late
    loaded = on_this_machine(own_config, trust_remote_code=trust_remote_code)
    # The prompt tells of the table that is forecast.
    loaded = loaded.updated(description=config.data.description)
    forecaster = kind_of(loaded.kind).load().load(run_dir, loaded)
    name = Path(own_config.data.path).stem
    if tied := tied_to_table(forecaster):
        raise ConfigError(f"the run in {run_dir} cannot forecast another table than {name}: {tied}")
    steps = own_config.data.frequency or "", table.frequency
    notes = list(seen_note(run_dir, prepared))
    if steps[0] and steps[0] != steps[1]:
        names = tuple(map(step_name, steps))
        if forecaster.reads_time:
            raise DataError(
                f"the table has one row every {names[1]}, but the run in {run_dir} learned from one every {names[0]},"
                f" and reads the calendar; resample the table (--repair resample:{steps[0]}:mean)"
            )
        notes.append(f"The run learned from one row every {names[0]}; this table has one row every {names[1]}.")
    if own.adds_nothing():
        notes.append(
            f"No step of the run's training was kept, so this is the linear path that it began with: a ridge of {name}."
        )
    quick = QuickForecasters.fit(prepared, scored_in, on_progress=on_progress, should_stop=should_stop, own_too=True)
    notes += quick.notes
    carried, folder = FromAnotherTable(forecaster, name), RunFolder(scored_in)
    scores = score_test_part(
        ScoredModels(carried, quick.rows), prepared, folder, on_progress=on_progress, should_stop=should_stop
    )
    if scores is None:
        return None
    return Transferred(config, scores, folder.comparisons(), tuple(notes))


def config_elsewhere(run_dir: Path, table: Path, settings: Mapping[str, Any]) -> RunConfig:
    """The run's forecaster with another table; `settings` are of the table and of how it is divided.

    Raises:
        CheckpointError: `run_dir` is no run folder.
        ConfigError: a setting is the run's own, or its value is not allowed.
    """
    own = RunFolder(run_dir).config()
    allowed = [name for name in DataConfig.model_fields if name not in _NOT_TAKEN]
    allowed += [*KEPT_OF_THE_TASK, *OF_THE_TABLE]
    for name in settings:
        if name not in allowed:
            raise ConfigError(f"setting '{name}' is the run's own; for another table --set takes {', '.join(allowed)}")
    kept = {name: getattr(own.task, name) for name in (*OF_THE_RUN, *KEPT_OF_THE_TASK)}
    tree = own.to_dict() | {"data": {"path": str(table)}, "task": kept}
    return RunConfig.from_dict(tree).updated(**settings)


def _check_known(config: RunConfig) -> None:
    """Refuse a run that was told of columns which another table does not have."""
    data = config.data
    if data.known_ahead or data.known_holidays:
        raise ConfigError(
            f"the run was told what is known ahead ({', '.join(data.known_ahead) or data.known_holidays}), and the "
            "effect of that belongs to its own table; train a run without known_ahead and known_holidays"
        )
