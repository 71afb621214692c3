"""Rows of the table of M4 results: models beside the reference forecasts, set by set, and over several sets.

Inputs: `Row`s, whose cells differ in their seed alone. Outputs: cells of text. Means over several sets weigh every
series alike, as the competition's do, and OWA is the mean of the ratios of such means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from timellm.protocols.result_rows import Row

HEADER = ("set", "series", "horizon", "context", "model", "seeds", "SMAPE", "MASE", "OWA", "s", "MiB")
_ERRORS = ("smape", "mase", "owa")


def rows_of_sets(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The rows of every set; those of the reference forecasts stand above its models."""
    found: list[tuple[str, ...]] = []
    shown: set[tuple[str, int]] = set()
    for row in rows:
        numbers = row.first.numbers
        place = str(row.first.key["set"]), int(numbers["series"])
        named = (place[0], f"{place[1]:,}", str(numbers["horizon"]))
        if place not in shown:  # a model that forecast other series is compared with the rules on those
            shown.add(place)
            found += [
                (*named, "", name, "", *(_shown(errors[one]) for one in _ERRORS), "", "")
                for name, errors in numbers["rules"].items()
            ]
        errors_shown = (row.shown(one, 3) for one in _ERRORS)
        found.append(
            (*named, str(numbers["context"]), _model(row), str(len(row.cells)), *errors_shown, row.seconds, row.memory)
        )
    return found


def rows_of_whole(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A row for every model that forecast more than one set: means over all of its series."""
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_model[_model(row)].append(row)
    found = []
    for model, some in by_model.items():
        names = [str(row.first.key["set"]) for row in some]
        if len(set(names)) < 2 or len(set(names)) < len(names):  # the same model twice, with other settings
            continue
        own = [_mean(some, one) for one in ("smape", "mase")]
        naive2 = [_mean(some, one) for one in ("naive2_smape", "naive2_mase")]
        series = sum(int(row.first.numbers["series"]) for row in some)
        ratios = [a / b for a, b in zip(own, naive2, strict=True) if a is not None and b]
        owa = sum(ratios) / 2 if len(ratios) == 2 else None
        found.append((" + ".join(names), f"{series:,}", "", "", model, "", *map(_shown, (*own, owa)), "", ""))
    return found


def sentences(rows: Sequence[Row]) -> list[str]:
    """Which series have no error of a model, and which models are no more than their linear path."""
    found = []
    for row in rows:
        numbers = row.first.numbers
        if all(cell.numbers["adds_nothing"] for cell in row.cells):
            found.append(
                f"{row.first.key['set']}, {_model(row)}: no step of the training had a surely lower error on the"
                " validation windows than the ridge from which it began, so its forecasts are those of the ridge."
            )
        if numbers["series_without"]:
            named = f", such as {', '.join(numbers['without'])}" if numbers["without"] else ""
            found.append(
                f"{row.first.key['set']}, {_model(row)}: {numbers['series_without']:,} series are not scored{named}."
                f" They are shorter than the context of {numbers['context']:,}, or the model has no forecast of them,"
                " or they never moved before. The rules and OWA are of the other series."
            )
    return found


def _model(row: Row) -> str:
    further = "".join(f", {name}={value}" for name, value in row.first.settings.items())
    return f"{row.first.key['model']}{further}"


def _mean(rows: Sequence[Row], name: str) -> float | None:
    """The mean of a number over the series of several sets."""
    values = [row.mean(name) for row in rows]
    counts = [int(row.first.numbers["series"]) for row in rows]
    if any(value is None for value in values):
        return None
    return sum(value * count for value, count in zip(values, counts, strict=True) if value is not None) / sum(counts)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
