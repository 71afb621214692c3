"""What a run has to show, read once: the artefacts of one that has ended, and the forecasts of one that still trains.

Cached objects are frozen and shared between sessions; a page must not change the frames in them. A run's artefacts are
read again when the run ends anew. Heavy modules are imported where they are needed. The arguments `stamp` and `ended`
are there to be part of the cache's key, which leaves out arguments that begin with an underscore.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from timellm.config import TimeLLMConfig
from timellm.jobs.store.run import Run
from timellm.ui.loaders import file_stamp

if TYPE_CHECKING:
    from timellm.data.prepared import PreparedData
    from timellm.data.table import Table
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


def pinned_forecasts(run: Run) -> PinnedForecasts | None:
    """The forecasts of a run's pinned windows, read again when another validation has been written.

    Raises:
        CheckpointError: a file is damaged.
    """
    from timellm.training.pinned import PINNED

    return _pinned_forecasts(str(run.run_dir), file_stamp(run.run_dir / PINNED))


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

    errors = _baselines(str(run.run_dir), file_stamp(run.run_dir / BASELINES))
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
