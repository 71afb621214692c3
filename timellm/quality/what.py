"""What a finding says was found, as a sentence or two for each kind.

Inputs: a `Finding`. Outputs: text; `timellm.quality.words` puts it together with place, effect and repair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from timellm.data.seasonality import season_title
from timellm.quality.finding import Finding
from timellm.quality.phrases import (
    MOST_PLACES,
    are,
    counted,
    have,
    less,
    listed,
    moment,
    more,
    number,
    percent,
    rows,
    seconds,
    signed,
)


def _named(finding: Finding) -> str:
    return f"'{finding.channel}'"


def _frequency(finding: Finding, values: Mapping[str, Any]) -> str:
    every = f"There is one row every {values['step']}"
    if finding.count == values["steps"]:
        return f"{every}: all {finding.count:,} steps are that long."
    longer = ", ".join(f"{one['times']:,} of {rows(one['rows'])}" for one in values["longer"])
    return f"{every}: {finding.count:,} of {values['steps']:,} steps are that long; others are longer ({longer})."


def _missing_rows(finding: Finding, values: Mapping[str, Any]) -> str:
    return (
        f"{rows(finding.count)} ({percent(finding.share)}) {are(finding.count)} not in the file, in"
        f" {counted(values['gaps'], 'gap')}; the longest has {rows(values['longest'])}."
    )


def _duplicates(finding: Finding, values: Mapping[str, Any]) -> str:
    alike, same = values["alike"], ""
    if alike:
        which = "It equals" if finding.count == 1 else "All equal" if alike == finding.count else f"{alike:,} equal"
        same = f" {which} the earlier one in every cell."
    return f"{rows(finding.count)} {have(finding.count)} the timestamp of an earlier row.{same}"


def _irregular(finding: Finding, values: Mapping[str, Any]) -> str:
    return (
        f"{rows(finding.count)} ({percent(finding.share)}) {are(finding.count)} off the step of"
        f" {values['frequency']}; steps last from {seconds(values['shortest_step_s'])} to"
        f" {seconds(values['longest_step_s'])}, half of them at most {seconds(values['median_step_s'])}."
    )


def _daylight(finding: Finding, values: Mapping[str, Any]) -> str:
    if values["change"] == "autumn":
        return (
            f"{rows(finding.count)} {have(finding.count)} the timestamp of an earlier row, all of them in the hour"
            f" that comes twice when clocks go back (as in {values['zone']})."
        )
    hours = "An hour is" if finding.count == 1 else f"{finding.count:,} hours are"
    return f"{hours} missing where clocks go forward in spring (as in {values['zone']}): the times are local ones."


def _missing_values(finding: Finding, values: Mapping[str, Any]) -> str:
    begin = f"{_named(finding)} has no value in {rows(finding.count)} ({percent(finding.share)})"
    if not values:
        return f"{begin}."
    before, after, inner = (values[name] for name in ("rows_before_first_value", "rows_after_last_value", "inner_gaps"))
    parts = [f"it begins {rows(before)} after the table"] if before else []
    parts += [f"it ends {rows(after)} before the table, and a forecast begins after the table"] if after else []
    if not parts:
        return f"{begin}, in {counted(inner, 'gap')}; the longest has {rows(values['longest_inner'])}."
    if inner:
        parts.append(f"it has {counted(inner, 'gap')} in between, the longest of {rows(values['longest_inner'])}")
    return f"{begin}: {'; '.join(parts)}."


def _non_numeric(finding: Finding, values: Mapping[str, Any]) -> str:
    texts = ", ".join(f"'{one['text']}' {one['times']:,} times" for one in values["texts"][:MOST_PLACES])
    lines = ", ".join(f"{line:,}" for line in values["lines"][:MOST_PLACES])
    return f"{_named(finding)} has {counted(finding.count, 'cell')} that {are(finding.count)} no number: {texts} (line {lines}{more(finding.count)})."  # noqa: E501


def _empty(finding: Finding, values: Mapping[str, Any]) -> str:
    return f"{_named(finding)} has no value in any row."


def _constant(finding: Finding, values: Mapping[str, Any]) -> str:
    return f"{_named(finding)} is always {number(values['value'])}."


def _nearly_constant(finding: Finding, values: Mapping[str, Any]) -> str:
    other = "another value" if values["other_value"] is None else number(values["other_value"])
    return (
        f"{_named(finding)} is {number(values['value'])} in {percent(1 - (finding.share or 0.0))} of its rows, and"
        f" {other} in {rows(finding.count)} ({percent(finding.share)}), in {counted(values['times'], 'stretch')}."
    )


def _counter(finding: Finding, values: Mapping[str, Any]) -> str:
    verb = "grows" if values["step"] > 0 else "falls"
    return f"{_named(finding)} {verb} by {number(abs(values['step']))} in every row, like a row number or an ID."


def _outliers(finding: Finding, values: Mapping[str, Any]) -> str:
    examples = ", ".join(number(one) for one in values["examples"])
    return (
        f"{_named(finding)} has {counted(finding.count, 'value')} far from {values['far_from']}: {examples}"
        f"{' and others' if finding.count > len(values['examples']) else ''}; the others lie from"
        f" {number(values['usual_low'])} to {number(values['usual_high'])}."
    )


def _level_shift(finding: Finding, values: Mapping[str, Any]) -> str:
    shifts = ", ".join(f"by {signed(one['by'])} at {moment(one['at'])}" for one in values["shifts"][:MOST_PLACES])
    return f"The level of {_named(finding)} changes {shifts}."


def _growing_variance(finding: Finding, values: Mapping[str, Any]) -> str:
    return (
        f"{_named(finding)} changes from row to row {values['ratio']:.1f} times as much in its last quarter"
        f" ({number(values['now'])}) as in its first ({number(values['before'])})."
    )


def _few_rows(finding: Finding, values: Mapping[str, Any]) -> str:
    return f"The table has {rows(finding.count)}, {values['test']:,} of them in the test part."


def _too_short(finding: Finding, values: Mapping[str, Any]) -> str:
    if "why" in values:
        return values["why"][0].upper() + values["why"][1:].rstrip(".") + "."
    return (
        f"{rows(finding.count)} give {values['training']:,} to train on, {values['validation']:,} to validate and"
        f" {values['test']:,} to test, too few for a context of {values['context']:,} and a horizon of"
        f" {values['horizon']:,}."
    )


def _seasons(finding: Finding, values: Mapping[str, Any]) -> str:
    channels = values["channels"]
    if not values["seasons"]:
        return f"No season shows in {counted(channels, 'channel')}."
    each = [
        f"{season_title(one['rows'], values['frequency'])}"
        + (f" in {len(one['channels']):,} of {channels:,} channels" if channels > 1 else "")
        + f", correlation {one['correlation']:.2f}"
        for one in values["seasons"]
    ]
    return f"Values repeat every {'; every '.join(each)}."


def _predictability(finding: Finding, values: Mapping[str, Any]) -> str:
    channels = values["channels"]
    held_out = f"over {rows(values['horizon'])}, on rows that it was not chosen on"
    if len(channels) == 1:
        one = channels[0]
        return f"The best simple rule ({one['rule']}) has {less(one['skill'])} a constant {held_out}."
    poor = values["without_skill"]
    without = f" It is no better for {listed(poor)}." if poor else ""
    return (
        f"The best simple rule of each channel has {less(values['median_skill'])} a constant {held_out}"
        f" (median of {len(channels):,} channels).{without}"
    )


def _leak(finding: Finding, values: Mapping[str, Any]) -> str:
    of, lead = f"'{values['of']}'", values["rows_ahead"]
    if lead > 0:
        return (
            f"{_named(finding)} shows what {of} will be {rows(lead)} later (correlation {values['correlation']:.4f})."
        )
    when = "of the same row" if lead == 0 else f"of {rows(-lead)} before"
    return f"{_named(finding)}, known ahead, holds the values of {of} {when} (correlation {values['correlation']:.4f})."


def _copy(finding: Finding, values: Mapping[str, Any]) -> str:
    return f"{_named(finding)} moves as '{values['of']}' does (correlation {values['correlation']:.4f})."


WHAT: Mapping[str, Callable[[Finding, Mapping[str, Any]], str]] = {
    "frequency": _frequency,
    "missing_rows": _missing_rows,
    "duplicates": _duplicates,
    "irregular_steps": _irregular,
    "daylight_saving": _daylight,
    "missing_values": _missing_values,
    "non_numeric": _non_numeric,
    "empty": _empty,
    "constant": _constant,
    "nearly_constant": _nearly_constant,
    "counter": _counter,
    "outliers": _outliers,
    "level_shift": _level_shift,
    "growing_variance": _growing_variance,
    "few_rows": _few_rows,
    "too_short": _too_short,
    "seasons": _seasons,
    "predictability": _predictability,
    "leak": _leak,
    "copy": _copy,
}
