"""Scores: how every model did on the same windows, overall, by channel and by step.

Inputs: sums of errors (`timellm.evaluation.accumulator`) or a file of scores. Outputs: `Scores`, three tidy frames with
a row for each model, and a JSON form with a version; the forms of every earlier version open, too. Overall scores are
kept as long rows with the keys window set, fold, model and metric, so that a new metric or fold is more rows and no new
form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.windows import ScoredWindows

VERSION = 2
_COUNTS = {"windows": "int64", "points": "Int64"}  # points are missing where an earlier version did not count them
_OWN_OF_VERSION_1 = "Time-LLM"


@dataclass(frozen=True)
class Scores:
    """A row for each model (and channel, or step): model, the metrics, windows, points.

    Each model is scored on its own points. mse_scaled and mae_scaled are on z-scores by the training rows, as in the
    published benchmarks. An undefined metric is NaN; the notes say why.
    """

    overall: pd.DataFrame
    by_channel: pd.DataFrame  # + channel
    by_step: pd.DataFrame  # + step, from 1
    notes: tuple[str, ...]
    own: str
    """The run's own model."""
    scored: ScoredWindows
    known_points: int | None = None
    """Points with an actual value, of all windows; None where an earlier version did not count them."""
    not_measured: frozenset[str] = frozenset()
    """Metrics that the version which made these scores did not have; they are undefined."""

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that has a row."""
        return tuple(self.overall["model"])

    def error(self, model: str, metric: str) -> float:
        """A model's overall error; NaN if it is undefined.

        Raises:
            ConfigError: there is no such metric or model.
        """
        if metric not in METRICS:
            raise ConfigError(f"there is no metric '{metric}'; choose one of {', '.join(METRICS)}")
        return float(self._row(model)[metric])

    def why_undefined(self, metric: str) -> str:
        """Why a metric has no value at all, in a sentence; empty where that is not known."""
        if metric in self.not_measured:
            return f"{METRICS[metric].short} was not measured by the version that made this run; evaluate it again."
        if metric == "owa":
            return "OWA is undefined: Naive2 has no forecast here, or no SMAPE or MASE above 0 to compare with."
        return ""

    def points(self, model: str) -> int:
        """Points that a model is scored on.

        Raises:
            ConfigError: there is no such model.
        """
        return int(self._row(model)["points"])

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        """The overall row of each model: a verdict looks up thousands, and a look-up in a frame takes a millisecond."""
        return {row["model"]: row for row in reversed(self.overall.to_dict("records"))}

    def _row(self, model: str) -> dict[str, Any]:
        if model not in self._rows:
            raise ConfigError(f"there are no scores of '{model}'; there are: {', '.join(self.models)}")
        return self._rows[model]

    def skill(self, baseline: str, metric: str = "mae") -> float:
        """Share of a model's error that the run's own takes away: 1 - own / baseline; NaN if either is undefined.

        Raises:
            ConfigError: there is no such metric or baseline.
        """
        own, other = self.error(self.own, metric), self.error(baseline, metric)
        return 1 - own / other if other > 0 else float("nan")

    def long(self) -> pd.DataFrame:
        """Overall scores in long rows: window_set, fold, model, metric, value, windows, points."""
        measured = [name for name in METRICS if name not in self.not_measured]
        rows = self.overall.melt(["model", *_COUNTS], measured, var_name="metric")
        rows.insert(0, "window_set", self.scored.window_set)
        rows.insert(1, "fold", self.scored.fold)
        return rows[["window_set", "fold", "model", "metric", "value", *_COUNTS]]

    def joined(self, other: Scores) -> Scores:
        """These scores with the models of `other` added; a model that both have is taken from `other`.

        Raises:
            ConfigError: they are of different windows.
        """
        if (self.scored.window_set, self.scored.fold) != (other.scored.window_set, other.scored.fold):
            raise ConfigError("the two scores are of different windows; score both models on the same table and split")
        frames = {
            name: pd.concat([mine[~mine["model"].isin(other.models)], getattr(other, name)], ignore_index=True)
            for name, mine in (("overall", self.overall), ("by_channel", self.by_channel), ("by_step", self.by_step))
        }
        stale = tuple(f"{name} has " for name in other.models)
        kept = [note for note in self.notes if not note.startswith(stale)]
        notes = tuple(dict.fromkeys([*kept, *other.notes]))
        return replace(self, **frames, notes=notes)

    def own_alone(self, name: str) -> Scores:
        """The run's own model alone, called `name`."""
        frames = {
            key: frame[frame["model"] == self.own].assign(model=name)
            for key, frame in (("overall", self.overall), ("by_channel", self.by_channel), ("by_step", self.by_step))
        }
        return replace(self, **frames, notes=(), own=name, known_points=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with None where a metric is undefined."""
        return {
            "version": VERSION,
            "own": self.own,
            "scored": self.scored.to_dict(),
            "known_points": self.known_points,
            "rows": _records(self.long()),
            "by_channel": _records(self.by_channel.drop(columns=list(self.not_measured))),
            "by_step": _records(self.by_step.drop(columns=list(self.not_measured))),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Scores:
        """Inverse of `to_dict`; a tree of an earlier version is upgraded first.

        Raises:
            CheckpointError: a part is missing or damaged, or a newer version wrote it.
        """
        tree = upgrade(tree)
        try:
            rows = pd.DataFrame(tree["rows"]).astype({"value": "float64"})
            models = list(dict.fromkeys(rows["model"]))
            counts = rows.drop_duplicates("model").set_index("model")[list(_COUNTS)]
            not_measured = frozenset(METRICS) - set(rows["metric"])
            overall = rows.pivot(index="model", columns="metric", values="value").join(counts).loc[models]
            overall = overall.rename_axis(index="model", columns=None).reset_index()
            frames = {
                "overall": _typed(overall, {"model": str}),
                "by_channel": _typed(pd.DataFrame(tree["by_channel"]), {"model": str, "channel": str}),
                "by_step": _typed(pd.DataFrame(tree["by_step"]), {"model": str, "step": "int64"}),
            }
            scored, own, notes = ScoredWindows.from_dict(tree["scored"]), str(tree["own"]), tuple(tree["notes"])
            known_points = None if tree["known_points"] is None else int(tree["known_points"])
        except KeyError as error:
            raise CheckpointError(f"the scores lack {error}; evaluate the run again") from None
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"the scores are damaged ({error}); evaluate the run again") from None
        if list(frames["overall"]["model"]).count(own) != 1:
            raise CheckpointError(f"the scores lack {own}; evaluate the run again")
        return cls(**frames, notes=notes, own=own, scored=scored, known_points=known_points, not_measured=not_measured)


def upgrade(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tree of this version from that of any earlier one.

    Raises:
        CheckpointError: it is of a newer version, or a part is missing.
    """
    version = tree.get("version", 1)
    if version == VERSION:
        return tree
    if version != 1:
        raise CheckpointError(
            f"the scores are of version {version}, and this program reads up to {VERSION}; install a newer one"
        )
    try:
        return _from_version_1(tree)
    except KeyError as error:
        raise CheckpointError(f"the scores lack {error}; evaluate the run again") from None


def _from_version_1(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 had wide rows, one model of its own, and no points: all models shared the same ones.

    Of its windows it kept their number alone, so nothing can be said of how far they overlap.
    """
    steps: dict[str, int] = {}
    for row in tree["by_step"]:  # a step's windows are its points
        steps[row["model"]] = steps.get(row["model"], 0) + row["windows"]
    overall = [{**row, "points": steps.get(row["model"], 0)} for row in tree["overall"]]
    windows = max((row["windows"] for row in overall), default=0)
    horizon = max((row["step"] for row in tree["by_step"]), default=0)
    unknown = dict.fromkeys(("cutoffs", "first_origin", "span", "season"), 0)
    scored = {"window_set": "", "fold": "test", "windows": windows, "horizon": horizon, "season_name": ""}
    keys = {"window_set": "", "fold": "test"}
    return {
        "version": VERSION,
        "own": _OWN_OF_VERSION_1,
        "scored": scored | unknown | {"near_zero": None},
        "known_points": None,
        "rows": [
            {**keys, "model": row["model"], "metric": metric, "value": row[metric]}
            | {name: row[name] for name in _COUNTS}
            for row in overall
            for metric in METRICS
            if metric in row
        ],
        "by_channel": [{**row, "points": None} for row in tree["by_channel"]],
        "by_step": [{**row, "points": row["windows"]} for row in tree["by_step"]],
        "notes": tree["notes"],
    }


def _typed(frame: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    """`frame` with its columns in order; a metric that an earlier version did not have is undefined."""
    frame = frame.assign(**{name: np.nan for name in METRICS if name not in frame})
    kinds = {**keys, **dict.fromkeys(METRICS, "float64"), **_COUNTS}
    return frame[list(kinds)].astype(kinds)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
