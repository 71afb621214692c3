"""A finding in plain sentences: what, where, what it does to a forecast, which repair is offered.

Inputs: a `Finding`. Outputs: `Said`. The only place where findings become words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from timellm.config.repair import RepairStep
from timellm.quality.checks import Quality
from timellm.quality.finding import Effect, Finding, Span
from timellm.quality.phrases import MOST_PLACES, listed, moment, percent
from timellm.quality.what import WHAT

_TITLES = {
    "frequency": "Step between rows",
    "missing_rows": "Missing rows",
    "duplicates": "Duplicate timestamps",
    "irregular_steps": "Irregular steps",
    "daylight_saving": "Changes of the clocks",
    "missing_values": "Missing values",
    "non_numeric": "Cells that are no numbers",
    "empty": "No value at all",
    "constant": "Constant",
    "nearly_constant": "Nearly constant",
    "counter": "Counts the rows",
    "outliers": "Outliers",
    "level_shift": "Level shift",
    "growing_variance": "Growing variance",
    "few_rows": "Few rows",
    "too_short": "Too short for context and horizon",
    "seasons": "Seasons",
    "predictability": "Predictability",
    "leak": "Leak",
    "copy": "Copy",
}


@dataclass(frozen=True)
class Said:
    """A finding in words; each part is a sentence or two, and may be empty."""

    title: str
    what: str
    where: str
    effect: str
    repair: str

    @property
    def sentence(self) -> str:
        """All parts in a row."""
        return " ".join(filter(None, (self.what, self.where, self.effect, self.repair)))


def said(finding: Finding) -> Said:
    """A finding in words."""
    return Said(
        _TITLES[finding.kind],
        WHAT[finding.kind](finding, finding.values),
        _where(finding),
        _effect(finding),
        " ".join(filter(None, (_advice(finding), _repair(finding)))),
    )


def nothing_found(quality: Quality) -> str:
    """Which checks found nothing, by name."""
    if not quality.clear:
        return ""
    count = len(quality.clear)
    checks = "1 check" if count == 1 else f"{count} checks"
    return f"{checks} found nothing: {', '.join(quality.clear)}."


def more_found(quality: Quality) -> tuple[str, ...]:
    """What is not listed."""
    return tuple(f"{_TITLES[kind]}: {count:,} more channels are not listed." for kind, count in quality.more.items())


def in_few_words(group: Sequence[Finding]) -> str:
    """Findings of one kind that are not shown in full: how many, and of which channels."""
    names = [one.channel for one in group if one.channel is not None]
    return f"{_TITLES[group[0].kind]}: {len(group):,} more{f', {listed(names)}' if names else ''}"


_PLACELESS = ("constant", "empty", "counter", "few_rows", "too_short", "leak", "copy", "level_shift")
_EFFECTS: Mapping[Effect, str] = {
    "refused": "The table cannot be used like this.",
    "cannot_start": "No run can start with it.",
    "unsure_scores": "Which model is best there is mostly luck.",
    "nothing_to_learn": "There is nothing to learn from it.",
    "flattering_errors": "A forecast that always says this value is right nearly always, so small errors mean little.",
    "old_level": "Rows before it teach another level, and errors of tests before it say little about now.",
    "large_errors": "They weigh most in squared errors and in the scale of the channel.",
    "narrow_bands": "Bands from earlier errors are too narrow for what comes.",
    "known_answer": "Scores look better than a forecast will be.",
    "redundant": "It adds nothing that the other does not have.",
    "constant_is_best": "Expect forecasts near a constant.",
    "simple_rule_helps": "",
    "none": "",
}


def _effect(finding: Finding) -> str:
    if finding.effect == "windows_left_out":
        lost, possible = finding.values.get("windows_left_out"), finding.values.get("windows")
        if possible is None:
            return "Windows that touch them are left out."
        if not possible:
            return ""
        if finding.values["filled"]:
            return f"Gaps that a model sees are filled; {lost:,} of {possible:,} windows miss a value to forecast."
        which = f"Every one of the {possible:,}" if lost == possible else f"{lost:,} of {possible:,}"
        share = "" if lost == possible else f" ({percent(lost / possible)})"
        verbs = "touches them and is" if lost == possible else "touch them and are"
        return f"{which} windows{share} {verbs} left out, unless gaps are filled."
    return _EFFECTS[finding.effect]


def _repair(finding: Finding) -> str:
    if finding.repair is None:
        return ""
    words = RepairStep.parse(finding.repair.step).words
    return f"Repair: {words[:1].lower()}{words[1:]}."


def _advice(finding: Finding) -> str:
    """What helps beside a repair of the table, or where none does."""
    values = finding.values
    if finding.kind == "too_short" and "why" not in values:
        fits = [f"a context of {values['largest_context']:,}"] if values["largest_context"] >= 8 else []
        fits += [f"a horizon of {values['largest_horizon']:,}"] if values["largest_horizon"] else []
        both = (
            f"context {values['suggested_context']:,} with horizon {values['suggested_horizon']:,} does"
            if values["suggested_context"]
            else ""
        )
        largest = f"The largest that fits beside the other is {' or '.join(fits)}" if fits else "Neither fits alone"
        return f"{largest}; {both}." if both else f"{largest}; bring more rows."
    if finding.kind == "non_numeric":
        return "If it means that a value is missing, name it in 'missing_codes'; otherwise correct the cells."
    if finding.kind == "missing_values" and values.get("rows_after_last_value"):
        return "To forecast it from its own last value, set 'forecast_from' to series_end."
    if finding.kind == "few_rows":
        return "Bring more rows if there are any."
    return ""


def _where(finding: Finding) -> str:
    if not finding.where or finding.kind in _PLACELESS:
        return ""
    places = ", ".join(_place(span) for span in finding.where[:MOST_PLACES])
    # `where` is cut off; of a refused table, each place is a row.
    all_of_them = finding.count if finding.effect == "refused" else None
    many = all_of_them or finding.values.get("gaps") or finding.values.get("times") or len(finding.where)
    return f"Where: {places}{f' and {many - MOST_PLACES:,} more' if many > MOST_PLACES else ''}."


def _place(span: Span) -> str:
    line = f" (line {span.line:,})" if span.line else ""
    if span.rows == 1:
        return f"{moment(span.start)}{line}"
    return f"{moment(span.start)} to {moment(span.end)}{line}"
