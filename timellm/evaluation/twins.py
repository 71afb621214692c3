"""A run beside its twins, which lack one part each: what each part is worth, and whether the language model is.

Inputs: the errors by window of the run and of its twins, and what each took. Outputs: `TwinsReport`: a row for each,
and one sentence. Errors are on z-scored values, so that every channel counts alike.

A twin without the language model that is as good answers no. Yes needs all of them to be worse, each by a test at the
usual level; then none of the tests has to be corrected for their number. A twin that is better was chosen as the best
of several, so its p-value is multiplied by their number.

Shapes: K cut-offs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.confidence_set import SIZE, confidence_of_models
from timellm.evaluation.judge import EQUAL, LUCK
from timellm.evaluation.significance import Comparison, compare
from timellm.evaluation.window_errors import WINDOW_ERRORS, WindowErrors, read_window_errors
from timellm.training.gain import FEWEST_INDEPENDENT

METRIC, BESIDE = "mse_scaled", "mae_scaled"
_SAME = 1e-4
"""A change of less is rounding: no window tells the two apart, so there is nothing that could be luck."""
Answer = Literal["yes", "no", "too little", "not known"]


@dataclass(frozen=True)
class Scored:
    """The run or one of its twins, finished and scored."""

    name: str
    """As the twin's; `run` for the run."""
    title: str
    folder: Path
    model: str
    """The name of its own model in its scores."""
    language_model: bool
    """Whether it has the trained language model."""
    seconds: float | None
    memory_mib: float | None


@dataclass(frozen=True)
class TwinRow:
    """One of them beside the run; what is not known or not defined is None."""

    name: str
    title: str
    mse: float | None
    mae: float | None
    change: float | None
    """How much larger its MSE is than the run's, as a share; None for the run."""
    p_value: float | None
    """How often luck alone would make such a difference to the run."""
    reason: str
    """Why there is no p-value; empty where there is one, or for the run."""
    won: float | None
    """Share of the windows in which it is closer than the run."""
    confidence: float | None
    """P-value of the model confidence set; it is among the models that may be the best from 0.1 on."""
    seconds: float | None
    memory_mib: float | None


@dataclass(frozen=True)
class TwinsReport:
    """The run first, then its twins."""

    rows: tuple[TwinRow, ...]
    answer: Answer
    sentence: str
    windows: int
    independent: float
    """How many windows that do not overlap would cover the same rows."""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return asdict(self)


def judge_twins(run: Scored, twins: Sequence[Scored]) -> TwinsReport:
    """Compare a run with its finished twins; `twins` from the one with most of the run to the one with least.

    Raises:
        CheckpointError: the errors by window of one are missing or damaged.
        ConfigError: one was scored on other windows.
    """
    by_metric = {metric: {one.name: _errors(one, metric) for one in (run, *twins)} for metric in (METRIC, BESIDE)}
    found = {metric: {one.name: _beside(run, one, errors) for one in twins} for metric, errors in by_metric.items()}
    notes: list[str] = []
    confidence = _confidence(run, twins, by_metric[METRIC], notes)
    own = {metric: _own_error(run, errors) for metric, errors in by_metric.items()}
    rows = [_row(run, own[METRIC], own[BESIDE], None, confidence)]
    for twin in twins:
        one = found[METRIC][twin.name]
        rows.append(_row(twin, one.other_error, found[BESIDE][twin.name].other_error, one, confidence))
    answer, sentence = _answer(run, twins, rows, found[METRIC])
    first = next(iter(found[METRIC].values()), None)
    scored = by_metric[METRIC][run.name].scored
    windows, independent = (first.windows, first.independent) if first else (scored.windows, scored.independent)
    return TwinsReport(tuple(rows), answer, sentence, windows, independent, tuple(notes))


def _errors(one: Scored, metric: str) -> WindowErrors:
    try:
        return read_window_errors(one.folder / WINDOW_ERRORS, metric)
    except CheckpointError as error:
        raise CheckpointError(f"{one.title}: {error}") from error


def _beside(run: Scored, twin: Scored, errors: dict[str, WindowErrors]) -> Comparison:
    try:
        return compare(run.model, twin.model, errors[run.name], other_errors=errors[twin.name])
    except ConfigError as error:
        raise ConfigError(f"{twin.title} cannot be compared with the run: {error}") from error


def _own_error(run: Scored, errors: dict[str, WindowErrors]) -> float:
    mine = errors[run.name].of(run.model)
    return float(mine.total.sum() / mine.count.sum()) if mine.count.sum() else math.nan


def _row(one: Scored, mse: float, mae: float, beside: Comparison | None, confidence: dict[str, float]) -> TwinRow:
    change = None if beside is None else _defined(beside.other_error / beside.error - 1 if beside.error else math.nan)
    return TwinRow(
        name=one.name,
        title=one.title,
        mse=_defined(mse),
        mae=_defined(mae),
        change=change,
        p_value=beside.p_value if beside else None,
        reason=beside.reason if beside else "",
        won=_defined(1 - beside.won) if beside else None,
        confidence=confidence.get(one.name),
        seconds=one.seconds,
        memory_mib=one.memory_mib,
    )


def _confidence(
    run: Scored, twins: Sequence[Scored], errors: dict[str, WindowErrors], notes: list[str]
) -> dict[str, float]:
    """P-values of the model confidence set; none, with a note that says why, where it cannot be calculated."""
    if not twins:
        return {}
    models = {one.name: errors[one.name].of(one.model) for one in (run, *twins)}
    found, why = confidence_of_models(models, horizon=errors[run.name].scored.horizon)
    if why and "horizons" not in why:  # the sentence says how little the windows cover
        notes.append(why)
    return found


def _answer(
    run: Scored, twins: Sequence[Scored], rows: Sequence[TwinRow], found: dict[str, Comparison]
) -> tuple[Answer, str]:
    by_name = {row.name: row for row in rows}
    without = [twin for twin in twins if not twin.language_model and by_name[twin.name].change is not None]
    if not without:
        return "not known", "Not known yet: no twin without the language model has been scored."
    changes = {twin.name: by_name[twin.name].change or 0.0 for twin in without}
    best = min(without, key=lambda twin: changes[twin.name])
    # The last one is the simplest.
    as_good = next((twin for twin in reversed(without) if changes[twin.name] < EQUAL), None)
    one = found[best.name]
    if one.independent < FEWEST_INDEPENDENT and abs(changes[best.name]) > _SAME:
        return "too little", (
            f"Too little to tell: the {one.windows:,} test windows cover about {one.independent:.2g} horizons, and"
            f" fewer than {FEWEST_INDEPENDENT} tell little."
        )
    if as_good is None:
        return _yes_if_sure(run, best, without, rows, found)
    better, p_value = -changes[best.name], one.p_value
    if better >= EQUAL and p_value is not None and p_value * len(without) < LUCK:
        return "no", (
            f"No: {_title(best)} is better: its MSE is {better:.1%} lower ({_numbers(by_name, run, best)},"
            f" {_p(p_value * len(without))}){_cost(run, best)}."
        )
    if changes[as_good.name] > -EQUAL:
        how = f"as good: the MSE is {_numbers(by_name, run, as_good)}"
    else:
        how = f"at least as good: its MSE is {-changes[as_good.name]:.1%} lower ({_numbers(by_name, run, as_good)})"
    return "no", f"No: {_title(as_good)} is {how}{_cost(run, as_good)}."


def _yes_if_sure(
    run: Scored, best: Scored, without: Sequence[Scored], rows: Sequence[TwinRow], found: dict[str, Comparison]
) -> tuple[Answer, str]:
    """All twins are worse by a percent or more; it is yes if none of the differences may be luck."""
    change = next(row.change for row in rows if row.name == best.name) or 0.0
    closest = f"the closest twin without it, {_title(best)}, has a {change:.1%} higher MSE"
    if untested := next((found[twin.name].reason for twin in without if found[twin.name].p_value is None), ""):
        return "too little", f"Too little to tell: {closest}, but no test could be made, because {untested}."
    least_sure = max(without, key=lambda twin: found[twin.name].p_value or 0.0)
    p_value = found[least_sure.name].p_value or 0.0
    if p_value >= LUCK:
        whose = "the difference" if least_sure is best else f"the difference to {_title(least_sure)}"
        return "too little", f"Too little to tell: {closest}, and {whose} may be luck ({_p(p_value)})."
    return "yes", f"Yes: {closest} ({_p(found[best.name].p_value or 0.0)}){_cost(run, best)}."


def _title(twin: Scored) -> str:
    """The twin inside a sentence."""
    words = {
        "no-language-model": "the run without a language model",
        "linear-path": "the linear path alone",
        "random-weights": "the language model with random weights",
    }
    return words.get(twin.name, twin.title[:1].lower() + twin.title[1:])


def _numbers(by_name: dict[str, TwinRow], run: Scored, twin: Scored) -> str:
    return f"{by_name[twin.name].mse:.4g} against {by_name[run.name].mse:.4g} with it"


def _p(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {min(p_value, 1.0):.2g}"


def _cost(run: Scored, twin: Scored) -> str:
    if run.seconds is None or twin.seconds is None:
        return ""
    return f", in {_seconds(twin.seconds)} instead of {_seconds(run.seconds)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def in_set(row: TwinRow) -> bool | None:
    """Whether a model is among those that may be the best; None where it is not known."""
    return None if row.confidence is None else row.confidence >= SIZE


def _defined(number: float) -> float | None:
    return number if math.isfinite(number) else None
