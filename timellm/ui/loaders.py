"""What pages read, read once: the store, tables, and the artefacts of runs that have ended.

Cached objects are frozen and shared between sessions; a page must not change the frames in them. A table is read again
when its file changes, a run's artefacts when the run ends anew. Heavy modules are imported where they are needed, so
that the first page paints at once. The arguments `stamp` and `ended` are there to be part of the cache's key, which
leaves out arguments that begin with an underscore.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from timellm.config import DataConfig, RunConfig, TaskConfig, TimeLLMConfig
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store
from timellm.workspace import workspace

if TYPE_CHECKING:
    from timellm.data.columns import ColumnRoles
    from timellm.data.prepared import PreparedData
    from timellm.data.repair.apply import Repaired
    from timellm.data.table import Table
    from timellm.data.usable import WindowCounts
    from timellm.evaluation.coverage import CoverageCard
    from timellm.evaluation.scores import Scores
    from timellm.evaluation.significance import Comparison
    from timellm.explain.attention import AttentionMap
    from timellm.explain.clusters import PatchClusters
    from timellm.explain.dictionary import PrototypeDictionary
    from timellm.explain.profiles import AttentionProfile
    from timellm.explain.prompt import PromptReader
    from timellm.explain.reader import AttentionReader
    from timellm.forecasters.ridge.forecaster import Ridge
    from timellm.forecasting.bands import Intervals
    from timellm.forecasting.channel import RunForecasts
    from timellm.forecasting.validation import PinnedForecasts
    from timellm.quality.checks import Quality


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(root: str) -> Store:
    return Store.open()


def store() -> Store:
    """The store of the workspace in force.

    Raises:
        JobError: it cannot be opened.
    """
    return _store(str(workspace().root))


def table(config: DataConfig) -> Table:
    """The table that a configuration describes.

    Raises:
        DataError: it cannot be used.
    """
    reading = config.model_copy(update={"description": ""})
    return _table(reading.model_dump_json(), _stamp(Path(config.path)))


@st.cache_resource(max_entries=6, show_spinner="Reading the table …")
def _table(config_json: str, stamp: tuple[int, int] | None) -> Table:
    from timellm.data.table import load_table

    return load_table(DataConfig.model_validate_json(config_json))


def before_grid(config: DataConfig) -> Repaired:
    """The records of a configuration's file, repaired, of which no regular table can be made yet.

    Raises:
        DataError, ConfigError: they cannot be read or repaired.
    """
    reading = config.model_copy(update={"description": ""})
    return _before_grid(reading.model_dump_json(), _stamp(Path(config.path)))


@st.cache_resource(max_entries=4, show_spinner="Reading the table …")
def _before_grid(config_json: str, stamp: tuple[int, int] | None) -> Repaired:
    from timellm.data.table import load_entries

    return load_entries(DataConfig.model_validate_json(config_json))


def window_counts(config: RunConfig, content: Table) -> WindowCounts:
    """How many windows a run of `config` on its table would have; counted once for the settings that decide it."""
    reading = config.data.model_dump_json(exclude={"description"})
    decides = f"{config.task.model_dump_json()} {config.forecaster.model_dump_json(include={'patch_length', 'stride'})}"
    return _window_counts(config, content, f"{reading} {decides}", _stamp(Path(config.data.path)))


@st.cache_resource(max_entries=128, show_spinner="Counting windows …")
def _window_counts(_config: RunConfig, _table: Table, key: str, stamp: tuple[int, int] | None) -> WindowCounts:
    from timellm.data.usable import count_windows

    return count_windows(_table, _config)


def quality(config: DataConfig, content: Table, task: TaskConfig, *, filled: bool) -> Quality:
    """What the checks find in a table, for this context, horizon and split; checked once for each."""
    reading = config.model_dump_json(exclude={"description"})
    return _quality(content, task, filled, f"{reading} {task.model_dump_json()}", _stamp(Path(config.path)))


@st.cache_resource(max_entries=32, show_spinner="Checking the table …")
def _quality(_table: Table, _task: TaskConfig, filled: bool, key: str, stamp: tuple[int, int] | None) -> Quality:
    from timellm.quality.checks import check

    return check(_table, _task, filled=filled)


def columns(config: DataConfig) -> ColumnRoles:
    """What the columns of a configuration's file could mean, whatever roles it gives them.

    Raises:
        DataError: it cannot be read as a table at all.
    """
    from timellm.data.columns import WRITTEN

    reading = DataConfig(path=config.path, **{name: getattr(config, name) for name in WRITTEN})
    return _columns(reading.model_dump_json(), _stamp(Path(config.path)))


@st.cache_resource(max_entries=6, show_spinner="Reading the columns …")
def _columns(config_json: str, stamp: tuple[int, int] | None) -> ColumnRoles:
    from timellm.data.columns import suggest_columns

    return suggest_columns(DataConfig.model_validate_json(config_json))


def _stamp(file: Path) -> tuple[int, int] | None:
    return (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None


def backbone_ready(name: str) -> bool:
    """Whether a backbone loads without fetching anything; looked up anew every half minute."""
    return _backbone_ready(name)


@st.cache_data(ttl=30, max_entries=64, show_spinner=False)
def _backbone_ready(name: str) -> bool:
    from timellm.forecasters.time_llm.catalog import is_ready

    try:
        return is_ready(name)
    except ValueError:  # half a name, or a folder that is not there: no hub id can look like this
        return False


def pinned_forecasts(run: Run) -> PinnedForecasts | None:
    """The forecasts of a run's pinned windows, read again when another validation has been written.

    Raises:
        CheckpointError: a file is damaged.
    """
    from timellm.training.pinned import PINNED

    return _pinned_forecasts(str(run.run_dir), _stamp(run.run_dir / PINNED))


@st.cache_resource(max_entries=16, show_spinner=False)
def _pinned_forecasts(run_dir: str, stamp: tuple[int, int] | None) -> PinnedForecasts | None:
    from timellm.forecasting.validation import PinnedForecasts

    return PinnedForecasts.read(Path(run_dir))


def baseline_to_beat(run: Run) -> tuple[str, float] | None:
    """The baseline with the lowest error on the windows of a run's validations, and that error.

    Raises:
        CheckpointError: the file is damaged.
    """
    from timellm.forecasting.validation import BASELINES

    errors = _baselines(str(run.run_dir), _stamp(run.run_dir / BASELINES))
    known = [one for one in errors.items() if math.isfinite(one[1])]
    return min(known, key=lambda one: one[1], default=None)


@st.cache_resource(max_entries=64, show_spinner=False)
def _baselines(run_dir: str, stamp: tuple[int, int] | None) -> dict[str, float]:
    from timellm.forecasting.validation import read_baselines

    return read_baselines(Path(run_dir))


@dataclass(frozen=True)
class Results:
    """The finished artefacts of one run, each read when first asked for.

    Raises:
        CheckpointError: the run folder lacks the artefact or it is damaged.
    """

    run: Run

    def _read(self, name: str) -> Any:
        return _artefact(str(self.run.run_dir), str(self.run.ended), name)

    def table(self) -> Table:
        """The table the run learned from."""
        return self._read("table")

    def scores(self) -> Scores:
        """Errors of every model on the test part."""
        return self._read("scores")

    def comparisons(self) -> tuple[Comparison, ...]:
        """The run's own model beside every other one."""
        return self._read("comparisons")

    def forecasts(self) -> RunForecasts:
        """Every window of the test part."""
        return self._read("run_forecasts")

    def future(self) -> pd.DataFrame:
        """The forecast beyond the data; columns unique_id, ds, yhat."""
        return self._read("future")

    def intervals(self) -> Intervals | None:
        """What bands are made of; None in a run of an earlier version."""
        return self._read("intervals")

    def coverage(self) -> CoverageCard | None:
        """Promised and achieved coverage of the bands; None in a run of an earlier version."""
        return self._read("coverage")

    def adds_nothing(self) -> bool:
        """Whether no step of training made the run's model better than the linear path from which it began."""
        return self._read("adds_nothing")

    @property
    def _has_two_parts(self) -> bool:
        forecaster = self.run.config.forecaster
        return isinstance(forecaster, TimeLLMConfig) and forecaster.has_two_parts

    def linear_path(self) -> Ridge | None:
        """The linear path of the run's model; None if it has none, or no language model beside it."""
        return _linear_path(str(self.run.run_dir), str(self.run.ended)) if self._has_two_parts else None

    def prepared(self) -> PreparedData:
        """The table as the run's model saw it."""
        return self._read("prepared")

    def attention_reader(self) -> AttentionReader:
        """Reads the attention of any window."""
        return _attention_reader(str(self.run.run_dir), str(self.run.ended))

    def attention(self, channel: str, *, cutoff: pd.Timestamp | None) -> AttentionMap:
        """Reprogramming attention of one window, which ends at `cutoff` or with the data."""
        return _attention(self, str(self.run.run_dir), str(self.run.ended), channel, cutoff)

    def attention_profile(self) -> AttentionProfile:
        """The run's attention over its test windows."""
        return _attention_profile(self, str(self.run.run_dir), str(self.run.ended))

    def patch_clusters(self) -> PatchClusters | None:
        """Patches of the test windows that attend alike; None where there are too few."""
        return _patch_clusters(self, str(self.run.run_dir), str(self.run.ended))

    def dictionary(self) -> PrototypeDictionary:
        """The run's prototypes, and how they are attended over the test period."""
        return _dictionary(str(self.run.run_dir), str(self.run.ended))

    def prompts(self) -> PromptReader:
        """The prompts of the run's windows, from the tokenizer alone."""
        return _prompts(str(self.run.run_dir), str(self.run.ended))


@st.cache_resource(max_entries=24, show_spinner="Reading the run …")
def _artefact(run_dir: str, ended: str, name: str) -> Any:
    from timellm.forecasting.artifacts import RunFolder

    return getattr(RunFolder(Path(run_dir)), name)()


@st.cache_resource(max_entries=24, show_spinner=False)
def _linear_path(run_dir: str, ended: str) -> Ridge:
    from timellm.explain.parts import linear_path

    return linear_path(Path(run_dir))


@st.cache_resource(max_entries=8, show_spinner=False)
def _attention_reader(run_dir: str, ended: str) -> AttentionReader:
    from timellm.explain.reader import AttentionReader

    return AttentionReader.open(run_dir)


@st.cache_resource(max_entries=32, show_spinner="Working out the attention …")
def _attention(_results: Results, run_dir: str, ended: str, channel: str, cutoff: pd.Timestamp | None) -> AttentionMap:
    from timellm.explain.attention import window_attention

    return window_attention(_results.attention_reader(), _results.prepared(), channel=channel, cutoff=cutoff)


# A profile keeps up to 32 MB of weights.
@st.cache_resource(max_entries=4, show_spinner="Reading the attention of the test windows …")
def _attention_profile(_results: Results, run_dir: str, ended: str) -> AttentionProfile:
    from timellm.explain.profiles import attention_profile

    return attention_profile(_results.attention_reader(), _results.prepared())


@st.cache_resource(max_entries=8, show_spinner="Finding patches that attend alike …")
def _patch_clusters(_results: Results, run_dir: str, ended: str) -> PatchClusters | None:
    from timellm.explain.clusters import cluster_patches

    return cluster_patches(_results.attention_profile())


@st.cache_resource(max_entries=8, show_spinner="Reading the attention of the test period …")
def _dictionary(run_dir: str, ended: str) -> PrototypeDictionary:
    from timellm.explain.dictionary import prototype_dictionary

    return prototype_dictionary(Path(run_dir))


@st.cache_resource(max_entries=3, show_spinner="Reading the tokenizer …")
def _prompts(run_dir: str, ended: str) -> PromptReader:
    from timellm.explain.prompt import PromptReader

    return PromptReader.open(run_dir)
