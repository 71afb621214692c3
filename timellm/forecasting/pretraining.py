"""Pre-training: adapters are trained on several tables together, before a run trains them on its own table.

Inputs: a run's configuration, whose setting `pretrain` names the tables, and the run's folder. Outputs: a folder of
adapters in it, at which the run begins, and what they came to. The folder has settings, joined table and scale like
that of a run, so it goes on when it was cut off, and `evaluate --data` scores it on a table that it has not seen.

The linear path of the adapters is one plain ridge of all tables together. The run that follows has the ridge of its own
table in its place.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from timellm.config import RunConfig
from timellm.data.joined import JoinedTables
from timellm.data.joined_settings import joint_config
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.uploads import table_title
from timellm.errors import CheckpointError, DataError, TimeLLMError
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.registry import kind_of
from timellm.forecasters.start_rules import PRETRAINED
from timellm.forecasters.time_llm.kept import START
from timellm.forecasting.artifacts import SUMMARY, RunFolder
from timellm.forecasting.overlap import learned_from
from timellm.training.checkpoint import save_config
from timellm.training.processes import from_main
from timellm.training.progress import OnProgress, Progress
from timellm.training.state import has_state, remove_state


class PhasedProgress:
    """Reports of a run that trains twice: first on other tables, then on its own.

    The progress never goes back: what is loaded between the two counts as the end of the pre-training.
    """

    def __init__(self, on_progress: OnProgress, config: RunConfig) -> None:
        self._on_progress, self._config, self._begun = on_progress, config, False

    def before(self, progress: Progress) -> None:
        """Report what the training on other tables says of itself."""
        if progress.phase == "training":
            self._begun = True
            progress = replace(progress, phase="pretraining", eta_s=self._eta_s(progress), validations_to=None)
        self._on_progress(progress)

    def after(self, progress: Progress) -> None:
        """Report what the training on the run's own table says of itself."""
        if self._begun and progress.phase in ("loading", "fetching"):
            progress = replace(progress, phase="pretraining", done=0, total=0, fraction=1.0)
        self._on_progress(progress)

    def _eta_s(self, progress: Progress) -> float | None:
        """Seconds until both trainings end, if a step of the second takes as long as one of the first."""
        if progress.eta_s is None or not progress.windows_per_s:
            return None
        own = self._config.trained
        own_s = own.steps * own.batch_size / progress.windows_per_s
        return progress.eta_s + (min(own_s, 60 * own.minutes) if own.minutes else own_s)


def pretrained(prepared: PreparedData, job: FitJob, accelerator: Accelerator) -> dict[str, Any] | None:
    """Train the adapters that a run on `prepared` begins at; what they came to, or None if the user stopped it.

    Nothing is done again that was finished, and what was cut off goes on to the same weights.

    Raises:
        ConfigError: a setting needs what joined tables do not have.
        DataError: a table cannot be used; says which.
        CheckpointError: a table was changed since a training that goes on was begun.
    """
    config, folder = job.config, job.folder / PRETRAINED
    run = RunFolder(folder)
    if from_main(accelerator, lambda: (folder / SUMMARY).is_file()):
        return from_main(accelerator, run.summary)
    paths = [Path(one) for one in config.trained.pretrain]
    joint = joint_config(config)
    job.on_progress(Progress("loading", message="Reading the tables to pre-train on"))
    each = [_prepared(path, joint) for path in paths]
    joined = JoinedTables.join(each, joint)

    def enter() -> None:
        folder.mkdir(exist_ok=True)
        if not has_state(folder):
            save_config(folder, joint)
            run.save_table(joined.table)
            run.save_scaler(joined.scaler)
        elif not np.array_equal(run.table().values.to_numpy(), joined.values, equal_nan=True):
            raise CheckpointError(
                f"a table of 'pretrain' was changed after the training in {folder} was begun on it; put it back, or"
                " start again in a new folder"
            )

    from_main(accelerator, enter)
    fitted, report = kind_of(joint.kind).load().fit(joined, replace(job, config=joint, folder=folder))
    if fitted is None or report.stopped:
        return None

    def finish() -> dict[str, Any]:
        tables = [
            {"table": table_title(path), "windows": have, "share": share / sum(count for _, count in joined.counts)}
            for path, (have, share) in zip(paths, joined.counts, strict=True)
        ]
        seen = [
            note
            for path, one in zip(paths, each, strict=True)
            for note in learned_from(table_title(path), one, prepared)
        ]
        summary = report.facts | {"tables": tables, "notes": [*seen, *report.notes]}
        run.save_summary(summary)
        remove_state(folder)
        (folder / START).unlink(missing_ok=True)
        return summary

    return from_main(accelerator, finish)


def _prepared(path: Path, joint: RunConfig) -> PreparedData:
    try:
        table = load_table(RunConfig.create(path).data)
        prepared = PreparedData.of(table, joint)
        prepared.windows("training"), prepared.windows("validation")
    except TimeLLMError as error:
        raise DataError(f"{table_title(path)}, a table of 'pretrain': {error}") from error
    return prepared
