"""Runs side by side: their settings that differ, best errors and costs, and whether these can be compared.

Inputs: runs of the store, and the scores in their folders. Outputs: a `Comparison`, which a page or the command line
draws, and its CSV.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from timellm.config import KINDS, names_affecting, sections
from timellm.data.exported import safe_cell
from timellm.data.uploads import table_title
from timellm.errors import CheckpointError, ConfigError, JobError
from timellm.evaluation.scores import Scores
from timellm.files.sealed import read_sealed_json
from timellm.jobs.store.run import Run
from timellm.jobs.store.run_store import Store

MOST = 8
"""More runs than these are no longer told apart side by side."""
TEST_METRICS = ("mae", "mse", "rmse", "smape", "mase", "mse_scaled", "mae_scaled")
_WINDOWS = (
    "path",
    *names_affecting("windows", section="data"),
    *(name for name in names_affecting("windows", section="task") if name != "context"),
)
"""Settings that decide which windows are scored; a context does only where values are missing."""
_WORDS = {"path": "the table", "missing": "the treatment of missing values"}


@dataclass(frozen=True)
class Row:
    """One setting or measure of every run, in the order of the runs; None where it is not known."""

    name: str
    values: tuple[Any, ...]
    better: Literal["lower", "higher"] | None = None
    """Which value is the better one; None also where the runs' values cannot be compared."""

    @property
    def differs(self) -> bool:
        """Whether the runs have different values."""
        return any(value != self.values[0] for value in self.values)

    @property
    def best(self) -> frozenset[int]:
        """Places of the best value; empty when there is nothing to choose between."""
        known = {place: value for place, value in enumerate(self.values) if value is not None}
        if self.better is None or len(set(known.values())) < 2:
            return frozenset()
        best = (min if self.better == "lower" else max)(known.values())
        return frozenset(place for place, value in known.items() if value == best)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[Run, ...]
    measures: tuple[Row, ...]
    """Errors at their best, errors of the simple forecasts (named `mae of Last value`), and costs."""
    settings: tuple[Row, ...]
    warnings: tuple[str, ...]
    """Why some of it cannot be compared."""
    same_windows: bool
    """Whether the runs are scored on the same windows, so that the baselines' errors are the same for all."""

    def labels(self) -> tuple[str, ...]:
        """The runs' names, told apart by the end of their ids where two have the same."""
        names = [run.name for run in self.runs]
        return tuple(run.name if names.count(run.name) == 1 else f"{run.name} ({run.id[-5:]})" for run in self.runs)

    def to_csv(self) -> str:
        """Every measure and every setting, a column for each run, named by its id."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["kind", "name", *(run.id for run in self.runs)])
        lines.writerow(["run", "name", *(safe_cell(run.name) for run in self.runs)])
        lines.writerow(["run", "state", *(run.state for run in self.runs)])
        for kind, rows in (("measure", self.measures), ("setting", self.settings)):
            lines.writerows(
                [kind, row.name, *(safe_cell(shown_value(row.name, value)) for value in row.values)] for row in rows
            )
        return text.getvalue()


def compare(store: Store, ids: Sequence[str]) -> Comparison:
    """Compare the runs with these ids.

    Raises:
        JobError: there is no such run, or there are too few or too many of them.
    """
    ids = tuple(dict.fromkeys(ids))
    if not 2 <= len(ids) <= MOST:
        raise JobError(f"two to {MOST} different runs can be compared; {len(ids)} given")
    compared = tuple(store.get(run_id) for run_id in ids)
    warnings: list[str] = []
    trees = [_settings(run, warnings) for run in compared]
    scores = [_scores(run, warnings) for run in compared]
    same_windows = _why_not_comparable(trees, scores, warnings)
    same_validation = same_windows and _same_validation(trees, warnings)
    names = dict.fromkeys(name for kind in KINDS for fields in sections(kind).values() for name in fields.model_fields)
    settings = tuple(
        Row(name, tuple(tree.get(name) for tree in trees)) for name in names if any(name in tree for tree in trees)
    )
    return Comparison(
        compared, _measures(compared, scores, same_windows, same_validation), settings, tuple(warnings), same_windows
    )


def _measures(
    compared: Sequence[Run], scores: Sequence[_Scored], same_windows: bool, same_validation: bool
) -> tuple[Row, ...]:
    def row(name: str, values: Any, better: Literal["lower", "higher"] | None = None) -> Row:
        return Row(name, tuple(_number(value) for value in values), better)

    lower: Literal["lower"] | None = "lower" if same_windows else None
    higher: Literal["higher"] | None = "higher" if same_windows else None
    rows = [
        row("best_validation_loss", (run.best_validation_loss for run in compared), lower if same_validation else None),
        row("best_step", (run.summary.get("best_step") for run in compared)),
        row("skill", (run.summary.get("skill") for run in compared), higher),
    ]
    beside = dict.fromkeys(name for one in scores for name in one.beside)
    for metric in TEST_METRICS:
        rows.append(row(metric, (one.errors.get(one.own, {}).get(metric) for one in scores), lower))
        rows += [
            row(f"{metric} of {name}", (one.beside.get(name, {}).get(metric) for one in scores)) for name in beside
        ]
    rows += [  # costs of other windows are other work
        row("seconds", (None if run.active else run.seconds for run in compared), lower),
        row("windows_per_s", (run.windows_per_s for run in compared), higher),
        row("memory_mib", (run.memory_mib for run in compared), lower),
    ]
    return tuple(one for one in rows if any(value is not None for value in one.values))


def _why_not_comparable(trees: Sequence[dict], scores: Sequence[_Scored], warnings: list[str]) -> bool:
    """Whether the runs are scored on the same windows; if not, a warning says why.

    Where an earlier version has not kept which windows they are, the simple forecasts tell: they have no trained
    weights, so if their errors are equal, the windows are too, whatever the settings say.
    """
    known = all(one.window_set or one.beside for one in scores)
    if known and all(_same(one, scores[0]) for one in scores):
        return True
    # A run of all channels and a run that names them can mean the same; then their scores are equal.
    differing = [name for name in _WINDOWS if any(tree and tree[name] != trees[0].get(name) for tree in trees)]
    if differing:
        said = "; ".join(f"{_WORDS.get(name, name)} is {_values(name, trees)}" for name in differing)
        warnings.append(f"These runs are not scored on the same windows: {said}. Their errors cannot be compared.")
        return False
    if known:
        warnings.append(
            "These runs are not scored on the same windows, although table, split and horizon are the same: the table"
            " was changed in between, or a longer context leaves out more windows. Their errors cannot be compared."
        )
        return False
    return all(trees)  # without its settings, nobody knows on which windows a run is scored


def _values(name: str, trees: Sequence[dict]) -> str:
    """A setting's value in each run; two tables of one name are said to be two."""
    values = [shown_value(name, tree.get(name)) or "not set" for tree in trees]
    same = " (different files of this name)" if len(set(values)) == 1 else ""
    return " / ".join(values) + same


def shown_value(name: str, value: Any) -> str:
    """A setting as text; of a table or a backbone's folder the name alone, since the path is the server's affair."""
    if name == "members" and value:  # run folders
        return ", ".join(Path(one).name for one in value)
    if name == "pretrain" and value:
        return ", ".join(table_title(Path(one)) for one in value)
    if name == "path" and value:
        return table_title(Path(value))
    if name == "start_from" and value:
        return Path(value).name
    if name == "backbone" and value and Path(value).is_absolute():
        return Path(value).name
    return _cell(value)


def _same_validation(trees: Sequence[dict], warnings: list[str]) -> bool:
    looked_at = [tree.get("validation_windows") for tree in trees]
    if len(set(looked_at)) == 1:
        return True
    said = " / ".join(map(_cell, looked_at))
    warnings.append(
        f"The runs were validated on different windows (validation_windows is {said}), so their validation losses"
        " cannot be compared; their errors on the test part can."
    )
    return False


def _settings(run: Run, warnings: list[str]) -> dict[str, Any]:
    try:
        return run.config.settings()
    except ConfigError as error:  # written by another version; its measures can still be looked at
        warnings.append(f"The settings of {run.name} cannot be read: {error}")
        return {}


@dataclass(frozen=True)
class _Scored:
    """The errors on the test part, as far as they are known."""

    own: str
    """The run's own model."""
    errors: dict[str, dict[str, Any]]
    """Model -> metric -> error."""
    window_set: str
    """Which windows; empty where it is not known."""

    @property
    def beside(self) -> dict[str, dict[str, Any]]:
        """Those of the other models."""
        return {model: errors for model, errors in self.errors.items() if model != self.own}


def _scores(run: Run, warnings: list[str]) -> _Scored:
    """From the run's folder, else the little that the store knows."""
    path, own = run.run_dir / "scores.json", str(run.summary.get("model", "Time-LLM"))
    test = {own: run.summary["test"]} if run.summary.get("test") else {}
    in_store = _Scored(own, test, str(run.summary.get("window_set", "")))
    if not path.is_file():  # not ended, or worked on by another machine
        return in_store
    try:
        return _read_scores(path)
    except CheckpointError as error:
        warnings.append(f"The scores of {run.name} cannot be read, so its simple forecasts are missing: {error}")
        return in_store


def _read_scores(path: Path) -> _Scored:
    try:
        found = Scores.from_dict(read_sealed_json(path))
        rows = found.overall.to_dict(orient="records")
        return _Scored(found.own, {str(row["model"]): dict(row) for row in rows}, found.scored.window_set)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error})") from error


def _same(one: _Scored, other: _Scored) -> bool:
    """Whether two runs are scored on the same windows."""
    if one.window_set and other.window_set:
        return one.window_set == other.window_set
    shared = one.beside.keys() & other.beside.keys()
    return bool(shared) and all(_alike(one.errors[model], other.errors[model]) for model in shared)


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two models make the same errors, but for the rounding of another processor."""
    return all(
        _number(one.get(name)) == (theirs := _number(other.get(name)))
        or (theirs is not None and math.isclose(_number(one.get(name)) or math.nan, theirs, rel_tol=1e-9))
        for name in (*TEST_METRICS, "windows")
    )


def _number(value: Any) -> float | int | None:
    """A finite number, or None."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if usable else None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
