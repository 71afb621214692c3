"""What a report is about: a run's folder, and what the workspace knows of it beside that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pandas as pd

from timellm.config import RunConfig
from timellm.data.table import Table
from timellm.evaluation.scores import Scores
from timellm.evaluation.twins import TwinsReport
from timellm.forecasting.artifacts import RunFolder
from timellm.quality.checks import Quality, check


@dataclass(frozen=True)
class Known:
    """What the store of the workspace knows of a run; all of it may be missing for a folder from elsewhere."""

    name: str = ""
    machine: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    note: str = ""
    tags: tuple[str, ...] = ()
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    """step, train_loss, validation_loss; empty for a kind that does not train step by step."""
    twins: TwinsReport | None = None


@dataclass(frozen=True)
class Reported:
    """One run of a report, each of its files read once.

    Raises:
        CheckpointError: a file of the folder is missing or damaged.
    """

    folder: RunFolder
    known: Known

    @classmethod
    def of(cls, run_dir: Path, known: Known | None = None) -> Reported:
        """That of a run's folder."""
        return cls(RunFolder(run_dir.resolve()), known or Known())

    @property
    def name(self) -> str:
        """What the run is called, or its folder."""
        return self.known.name or self.folder.path.name

    @cached_property
    def config(self) -> RunConfig:
        """Its settings in force."""
        return self.folder.config()

    @cached_property
    def table(self) -> Table:
        """The table that it learned from."""
        return self.folder.table()

    @cached_property
    def quality(self) -> Quality:
        """What the checks find in that table, for its context and horizon."""
        return check(self.table, self.config.task, filled=self.config.missing != "skip")

    @cached_property
    def scores(self) -> Scores:
        """Errors of every model on its test part."""
        return self.folder.scores()
