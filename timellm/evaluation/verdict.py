"""The verdict: which of all models is the best by one metric, by how much, how sure that is, and what to do.

Inputs: what `timellm.evaluation.judge` found in the scores. Outputs: `Verdict`, data that is JSON-safe, and plain
sentences made from it: the result, how sure it is, where metrics disagree, and what to do. Pages and the command line
show the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from timellm.errors import CheckpointError
from timellm.evaluation.metrics import METRICS

VERSION = 1
_SMALLEST = 0.001
"""A smaller change would be said as 0.0 % or 0.1 %: it comes from rounding as often as from the models."""

_MANY_TIMES = 10
"""A change from which on it is said as a multiple: on a table that a rule forecasts exactly, it had 16 digits of %."""

_ADDED = {"adds_nothing": False}
"""Fields that earlier verdicts do not have, and what stands for them there."""

Outcome = Literal["best", "worse", "equal", "luck", "too little", "alone", "undefined"]
Action = Literal["use", "keep", "either", "more data", "compare", "other metric"]


@dataclass(frozen=True)
class Disagreement:
    """Metrics by which another model than the verdict's best is the best."""

    model: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the scores say by one metric. Errors and windows are of the two models `own` and `rival`."""

    metric: str
    outcome: Outcome
    """best: own is the best; worse: another one is; equal: about as good as the best, or as the second if own is the
    best; luck: the difference may be luck; too little: too few windows to tell; alone: no other model has a defined
    error; undefined: own has none."""
    own: str
    best: str | None
    """The best of all models that were scored."""
    rival: str | None
    """Whom own is compared with: the best, or the second if own is the best."""
    models: int
    """How many have a defined error."""
    own_error: float | None
    rival_error: float | None
    change: float | None
    """How much larger the own error is than the rival's, as a share of it; None if the rival makes no error."""
    p_value: float | None
    """How often luck alone would make such a difference, for the number of models that the rival is the best of."""
    untested: str
    """Why there is no p-value, or no error; empty if there is one, or if none is needed."""
    windows: int
    """That both models cover."""
    cutoffs: int
    independent: float
    """How many windows that do not overlap would cover the same rows; 0 where it is not known."""
    shared_points: int | None
    """Points that the comparison rests on, if the two models cover different ones."""
    disagreeing: tuple[Disagreement, ...]
    near_zero: float | None
    """Share of values near zero, if percentages are unfit for that."""
    season_name: str
    """MASE's season."""
    action: Action
    faster: float | None
    """How many times faster the rival is, if that decides between equals."""
    adds_nothing: bool = False
    """No step of training made own better than the linear path from which it began."""

    def sentence(self) -> str:
        """The verdict in a few plain sentences."""
        return _in_words(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, with the sentence."""
        tree = asdict(self)
        tree["disagreeing"] = [{"model": one.model, "metrics": list(one.metrics)} for one in self.disagreeing]
        return {"version": VERSION, **tree, "sentence": self.sentence()}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; the sentence is made anew.

        Raises:
            CheckpointError: a part is missing, or a newer version wrote it.
        """
        if tree.get("version") != VERSION:
            raise CheckpointError(
                f"the verdict is of version {tree.get('version')}, and this program reads {VERSION}; evaluate again"
            )
        try:
            fields = {name: tree[name] for name in cls.__dataclass_fields__ if name not in _ADDED}
            fields |= {name: tree.get(name, usual) for name, usual in _ADDED.items()}
            disagreeing = tuple(Disagreement(one["model"], tuple(one["metrics"])) for one in fields["disagreeing"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the verdict lacks {error}; evaluate the run again") from None
        return cls(**fields | {"disagreeing": disagreeing})


def _in_words(verdict: Verdict) -> str:
    parts = [_result(verdict), _shared(verdict), _season(verdict), _sure(verdict), _added(verdict)]
    return " ".join(part for part in [*parts, _disagreeing(verdict), _unfit(verdict), _action(verdict)] if part)


def _result(verdict: Verdict) -> str:
    own, rival, name = verdict.own, verdict.rival, METRICS[verdict.metric].name
    if verdict.outcome == "undefined":
        best = f" The best of the other models is {verdict.best}." if verdict.best else ""
        return f"There is no verdict: {own} has no {name} here.{best} {verdict.untested}".rstrip()
    if rival is None:
        return (
            f"There is no verdict: {own} is the only model with a {name} ({verdict.own_error:.4g}, "
            f"{_windows(verdict)}), and without another one nobody can tell whether that is good."
        )
    span = f"{verdict.own_error:.4g} against {verdict.rival_error:.4g}, {_windows(verdict)}"
    if verdict.own_error == verdict.rival_error:
        return f"{own} is exactly as good as {rival}: the {name} is the same ({span})."
    best_is_own, many = verdict.best == own, verdict.models > 2
    place = f"the best of {verdict.models} models" if many else "the better of 2 models"
    if verdict.change is None:
        return f"{rival} is {place} and makes no error here; {own} makes one ({name} {span})."
    change = _changed(verdict.change)
    if verdict.outcome == "equal":
        about = f"{own} is {place}, but {rival} is about as good"
        about = about if best_is_own else f"{own} is about as good as {rival}, {place}"
        return f"{about}: the {name} of {own} is {change} ({span})."
    if verdict.outcome in ("luck", "too little"):  # which is the best is not known then
        place = f"has the lowest {name} of {verdict.models} models" if many else f"has the lower {name}"
        if best_is_own:
            return f"{own} {place}, {change} than that of {rival}{', the second' if many else ''} ({span})."
        return f"{rival} {place}: that of {own} is {change} ({span})."
    if best_is_own:
        return (
            f"{own} is {place}: its {name} is {change} than that of {rival}{', the second' if many else ''} ({span})."
        )
    return f"{rival} is {place}: the {name} of {own} is {change} ({span})."


def _changed(change: float) -> str:
    if abs(change) < _SMALLEST:
        return f"the same within {_SMALLEST:.1%}"
    if change < _MANY_TIMES:
        return f"{abs(change):.1%} {'lower' if change < 0 else 'higher'}"
    times = 1 + change
    return f"{times:,.0f} times as high" if times < 1000 else "more than 1,000 times as high"


def _added(verdict: Verdict) -> str:
    if not verdict.adds_nothing:
        return ""
    return (
        "The language model adds nothing on this table: on the validation windows, no step of training improved "
        f"on the linear path enough to be kept. The forecast of {verdict.own} is that of the path alone, which a ridge "
        "gives in seconds."
    )


def _windows(verdict: Verdict) -> str:
    count = f"{verdict.windows:,} test window{'' if verdict.windows == 1 else 's'}"
    if verdict.outcome == "too little" or not 0 < verdict.independent < verdict.cutoffs:
        return count
    return f"{count}, which overlap and cover about {verdict.independent:,.0f} horizons"


def _shared(verdict: Verdict) -> str:
    if verdict.shared_points is None:
        return ""
    return (
        f"{verdict.own} and {verdict.rival} cover different points; they are compared on the {verdict.windows:,} "
        f"windows ({verdict.shared_points:,} points) that both cover."
    )


def _season(verdict: Verdict) -> str:
    if verdict.metric != "mase" or not verdict.season_name:
        return ""
    return f"MASE is measured against a seasonal naive with this season: {verdict.season_name}."


def _sure(verdict: Verdict) -> str:
    if verdict.outcome == "too little":
        return _too_little(verdict)
    if verdict.outcome not in ("best", "worse", "luck"):
        return ""
    if verdict.p_value is None:
        return f"No test was made: {verdict.untested}." if verdict.untested else ""
    shown = "p < 0.001" if verdict.p_value < 0.001 else f"p = {verdict.p_value:.2g}"
    if verdict.outcome == "luck":
        return f"But the difference may be luck ({shown})."
    return f"The difference is {'very ' if verdict.p_value < 0.01 else ''}unlikely to be luck ({shown})."


def _too_little(verdict: Verdict) -> str:
    windows = f"{verdict.windows:,} window{'' if verdict.windows == 1 else 's'}"
    if verdict.cutoffs == 1:
        begin = "is only 1 window" if verdict.windows == 1 else f"are {windows}, but all begin at the same time"
        return f"There {begin}: too little to tell."
    if verdict.independent >= verdict.cutoffs:
        return f"There are {windows}, which begin at only {verdict.cutoffs} different times: too little to tell."
    horizons = (
        "little more than 1 horizon" if verdict.independent < 1.5 else f"only about {verdict.independent:.0f} horizons"
    )
    return f"The {windows} overlap and cover {horizons}: too little to tell."


def _disagreeing(verdict: Verdict) -> str:
    if not verdict.disagreeing or verdict.outcome == "too little":
        return ""
    parts = [
        f"by {listed([METRICS[one].short for one in d.metrics])}, {d.model} is the best" for d in verdict.disagreeing
    ]
    return f"Metrics disagree: {'; '.join(parts)}."


def _unfit(verdict: Verdict) -> str:
    if verdict.near_zero is None:
        return ""
    return (
        f"{METRICS[verdict.metric].short} is unfit for this data: {verdict.near_zero:.1%} of the values are zero or "
        "near zero (below 1% of their channel's mean), and a small error there is a huge percentage."
    )


def _action(verdict: Verdict) -> str:
    if verdict.action == "use":
        reason = f"{verdict.rival} is {verdict.faster:,.0f} times faster. " if verdict.faster else ""
        return f"{reason}Use {verdict.rival}: it is one click away."
    return {
        "keep": "",
        "either": "Either will do.",
        "more data": "Before you decide, bring more rows, or choose a shorter horizon or a larger test part.",
        "compare": "Compare with other models: it is one click away.",
        "other metric": "Look at SMAPE or MASE instead."
        if METRICS[verdict.metric].relative
        else "Look at another metric, or at the notes on why it is undefined.",
    }[verdict.action]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
