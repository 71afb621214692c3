"""Numbers, times and states in the words that every page uses. Values go in, short texts come out."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import pandas as pd

from timellm.jobs.store.listing import Listed
from timellm.jobs.store.run import Run

QUANTIZATION = {"none": "None", "8bit": "8-bit", "4bit": "4-bit"}
STATE_COLOURS = {"queued": "gray", "running": "blue", "finished": "green", "stopped": "orange", "failed": "red"}
CAUSE_WORDS = {
    "data": "the data",
    "settings": "the settings",
    "memory": "out of memory",
    "backbone": "the backbone",
    "disk": "the disk",
    "crash": "a bug",
    "lost": "its process is gone",
}
PHASE_WORDS = {
    "fetching": "Fetching the backbone",
    "loading": "Preparing",
    "pretraining": "Pre-training on other tables",
    "training": "Training",
    "evaluating": "Evaluating on the test part",
}
PHASE_UNITS = {
    "fetching": "MB",
    "loading": "tensors",
    "pretraining": "step",
    "training": "step",
    "evaluating": "windows",
}
# Which stretch of the whole bar a phase fills. A run says that it loads, then fetches what is not there, then loads.
_PHASE_SPANS = {"loading": (0.01, 0.10), "fetching": (0.01, 0.06), "training": (0.10, 0.88), "evaluating": (0.88, 0.99)}
_PRETRAINING_SPANS = _PHASE_SPANS | {"pretraining": (0.10, 0.49), "training": (0.49, 0.88)}

NO_STEP_LIMIT = 1_000_000  # with a time budget the clock ends the run, not the steps
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>$#~:|])")
_INDENTS = re.compile(r"(?m)^[ \t]+")
_LINE_STARTS = re.compile(r"(?m)^(\d*)([-+=.)])(?=[-+=\s]|$)")
# An address becomes a link even when its colon is escaped; a mark of no width in it keeps it text.
_ADDRESSES = re.compile(r"(?i)https?(?=\\?:)|ftp(?=\\?:)|www(?=\.)|[-.+\w](?=@)")
_JOINER = "\u2060"


def plain(text: str) -> str:
    """Text as it is, with nothing in it read as Markdown: no links, pictures, colours, lists or headings."""
    text = _MARKDOWN.sub(r"\\\1", _INDENTS.sub("", text))
    return _ADDRESSES.sub(f"\\g<0>{_JOINER}", _LINE_STARTS.sub(r"\1\\\2", text))


def duration(seconds: float | None) -> str:
    """A length of time in at most two units, like 1 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return "not known yet"
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    minutes = total // 60
    if minutes < 60:
        return f"{minutes} min {total % 60} s" if minutes < 10 else f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} days"


def about(seconds: float) -> str:
    """A length of time as round as an estimate is."""
    if seconds < 55:
        return duration(max(5 if seconds < 7.5 else 10, round(seconds, -1)))
    return duration(round(seconds / 60) * 60).removesuffix(" 0 s")


def ago(moment: datetime, *, now: datetime | None = None) -> str:
    """How long before `now` a moment was, like 5 min ago."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86_400:
        return f"{round(seconds / 3600)} h ago"
    return f"{moment.day} {moment:%b %Y}"


def number(value: float | None, digits: int = 4) -> str:
    """A number with `digits` significant digits and thousands separators; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 8)}f}"


def without_minus_zero(share: float, *, decimals: int) -> float:
    """A share as a percentage column takes it: 0 where its `decimals` are zeros, so that none shows as -0 %."""
    return 0.0 if abs(share) < 0.5 * 10**-decimals else share


def skill_words(skill: float | None, rival: str | None = None) -> str:
    """How the test MAE compares with that of the best other model; a skill of 0.1 is an error a tenth lower.

    Runs of earlier versions have no such model: theirs is the seasonal naive with the season of the frequency.
    """
    rival = rival or "the seasonal naive"
    if skill is None or not math.isfinite(skill):
        return "no comparison with other models"
    if abs(skill) < 0.005:
        return f"error about that of {rival}"
    return f"error {abs(skill):.0%} {'lower' if skill > 0 else 'higher'} than that of {rival}"


def memory(mib: float | None) -> str:
    """Memory in MB or GB; a dash when it was not measured."""
    if mib is None or not math.isfinite(mib):
        return "–"
    return f"{mib * 1.048576:,.0f} MB" if mib < 1000 else f"{mib * 1.048576 / 1000:,.1f} GB"


def file_size(size_bytes: float) -> str:
    """The size of a file in kB or MB."""
    if size_bytes < 1e6:
        return f"{max(size_bytes / 1e3, 0.1):,.1f} kB"
    return f"{size_bytes / 1e6:,.1f} MB"


def moment(stamp: pd.Timestamp) -> str:
    """A timestamp without the zeros that say nothing."""
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.normalize() else f"{stamp:%Y-%m-%d %H:%M}"


def state_badge(run: Run) -> str:
    """A run's state as a coloured word; it says so when a stop was asked for."""
    word: str = "stopping" if run.active and run.stop_requested else run.state
    if run.cause is not None:
        word += f", {CAUSE_WORDS[run.cause]}"
    return f":{STATE_COLOURS[run.state]}-badge[{word}]"


def overall_share(run: Run | Listed) -> float:
    """How far the whole run is, 0 to 1; 1 only when it has ended."""
    if not run.active:
        return 1.0
    if run.phase is None:
        return 0.0
    begin, end = (_PRETRAINING_SPANS if run.pretrains else _PHASE_SPANS)[run.phase]
    return begin + (end - begin) * (min(max(run.fraction, 0.0), 1.0) if math.isfinite(run.fraction) else 0.0)


def phase_line(run: Run) -> str:
    """What a run does at this moment, in a line."""
    if run.state == "queued":
        return "Waiting for its turn"
    if run.phase is None:
        return "Starting"
    text = PHASE_WORDS[run.phase]
    if not run.total:  # what is loaded, or that a cluster has no room yet
        return plain(run.message) if run.phase in ("loading", "pretraining") and run.message else text
    if run.phase == "fetching":
        return f"{text}, {run.done / 1e6:,.0f} of {run.total / 1e6:,.0f} MB"
    if run.phase in ("pretraining", "training"):
        if run.total >= NO_STEP_LIMIT:
            return f"{text}, step {run.done:,}"
        return f"{text}, step {run.done:,} of {run.total:,}"
    return f"{text}, {run.done:,} of {run.total:,} {PHASE_UNITS[run.phase]}"
