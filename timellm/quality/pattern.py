"""Checks of what a forecast can build on: seasons, and how well the simplest rules do.

Inputs: `Examined`. Outputs: findings that are facts. Both look at the latest rows alone, because a forecast continues
those, and a glance must not take longer on a long table.

Shapes: R rows, n channels looked at, W windows, H horizon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from timellm.data.gaps import Past
from timellm.forecasters.simple_rules import Rule, Windows, rules_for
from timellm.quality.examined import Channel, Examined
from timellm.quality.finding import Finding

_LATEST = 2**16
"""Rows that are looked at: six weeks of minutes, seven years of hours."""
_MOST_SEASONS = 4
_HELD_OUT = 0.2
"""Share of the latest rows on which rules are judged; on an equal part before, the best one is chosen."""
_WINDOWS = 32
"""Windows of each part and channel; with 32 a mean error is known to about a sixth."""
_LONGEST_HORIZON = 288
_NOTHING = 0.05
"""Skill below which the best rule is no better than a constant, as far as so few windows tell."""


def seasons(table: Examined) -> Iterator[Finding]:
    """What repeats in the values: periods in rows, each with its autocorrelation."""
    shown = table.seasons
    if not shown:
        return
    by_rows: dict[int, dict[str, float]] = {}
    for channel, found in shown.items():
        for rows, correlation in found:
            by_rows.setdefault(rows, {})[channel] = correlation
    commonest = sorted(by_rows.items(), key=lambda one: -len(one[1]))[:_MOST_SEASONS]
    yield Finding(
        "seasons",
        "fact",
        "simple_rule_helps" if by_rows else "none",
        len(commonest),
        values={
            "frequency": table.table.frequency,
            "seasons": [
                {"rows": rows, "correlation": float(np.median(list(found.values()))), "channels": list(found)}
                for rows, found in sorted(commonest)
            ],
            "channels": len(shown),
        },
    )


def predictability(table: Examined) -> Iterator[Finding]:
    """The best simple rule's error against that of a constant, on windows that it was not chosen on."""
    judged = [one for channel in table.lively if (one := _judge(table, channel)) is not None]
    if not judged:
        return
    skills = [one.skill for one in judged]
    poor = [one for one in judged if one.skill < _NOTHING]
    yield Finding(
        "predictability",
        "fact",
        "constant_is_best" if len(poor) == len(judged) else "simple_rule_helps",
        len(judged) - len(poor),
        (len(judged) - len(poor)) / len(judged),
        values={
            "horizon": min(table.task.horizon, _LONGEST_HORIZON),
            "median_skill": float(np.median(skills)),
            "channels": [{"channel": one.channel, "skill": one.skill, "rule": one.rule} for one in judged],
            "without_skill": [one.channel for one in poor],
        },
    )


@dataclass(frozen=True)
class _Judged:
    channel: str
    rule: str
    skill: float
    """1 - error / error of a constant: 1 is perfect, 0 as good as the constant."""


def _judge(table: Examined, channel: Channel) -> _Judged | None:
    """The rule with the lowest absolute error of one part, and its skill on the next; None where rows are too few."""
    values_R = channel.values_R[-_LATEST:]
    rows = len(values_R)
    horizon = min(table.task.horizon, _LONGEST_HORIZON)
    part = int(_HELD_OUT * rows)
    learned = rows - 2 * part
    if part < horizon or learned < 2 * horizon or not (~np.isnan(values_R[:learned])).any():
        return None
    calendar = [size for name, size in table.calendar.items() if name != "hour"]
    shown = [size for size, _ in table.seasons.get(channel.name, ())]
    periods = tuple(size for size in dict.fromkeys([*shown, *calendar]) if size <= learned // 2)
    positive = bool(np.nanmin(values_R) > 0)
    rules = rules_for(periods[:_MOST_SEASONS], context=min(table.task.context, learned), positive=positive)
    past = Past.of(values_R[:, None], "interpolate")
    choosing = _errors(past, values_R, rules, learned, rows - part, horizon)
    best = int(np.argmin(np.where(np.isnan(choosing), np.inf, choosing)))
    if not np.isfinite(choosing[best]):
        return None
    judging = _errors(past, values_R, (rules[best],), rows - part, rows, horizon)[0]
    constant = _error_of_constant(values_R, rows - part, horizon)
    if not (np.isfinite(judging) and constant > 0):
        return None
    return _Judged(channel.name, rules[best].title(table.table.frequency), float(1 - judging / constant))


def _origins(begin: int, end: int, horizon: int) -> np.ndarray:
    """Windows of a part, evenly spaced; drawn a little apart, so that they do not all begin at one hour."""
    last = end - horizon
    spaced = np.linspace(begin, last, min(_WINDOWS, last - begin + 1)).astype(int)
    step = max(1, (last - begin) // _WINDOWS)
    shift = np.random.default_rng(0).integers(0, step, size=len(spaced))
    return np.unique(np.clip(spaced - shift, begin, last))


def _errors(
    past: Past, values_R: np.ndarray, rules: tuple[Rule, ...], begin: int, end: int, horizon: int
) -> np.ndarray:
    """Mean absolute error of each rule over the windows of a part; NaN where it cannot forecast half of them."""
    origin_W = _origins(begin, end, horizon)
    actual_WH = values_R[origin_W[:, None] + np.arange(horizon)]
    windows = Windows(past, np.zeros(len(origin_W), int), origin_W, horizon)
    found = []
    for rule in rules:
        error_WH = np.abs(rule.forecast(windows) - actual_WH)
        known = ~np.isnan(error_WH)
        enough = known.sum() > 0.5 * (~np.isnan(actual_WH)).sum()
        found.append(float(error_WH[known].mean()) if enough else np.nan)
    return np.array(found)


def _error_of_constant(values_R: np.ndarray, begin: int, horizon: int) -> float:
    """Mean absolute error, on the same windows, of the mean or the median of all values before them, the better one."""
    origin_W = _origins(begin, len(values_R), horizon)
    actual_WH = values_R[origin_W[:, None] + np.arange(horizon)]
    if np.isnan(actual_WH).all():
        return np.nan
    before = values_R[:begin]
    return min(float(np.nanmean(np.abs(actual_WH - one))) for one in (np.nanmean(before), np.nanmedian(before)))
