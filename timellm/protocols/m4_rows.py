"""Rows of the table of M4 results: models beside the reference forecasts, set by set, and over several sets.

Inputs: `Row`s, whose cells differ in their seed alone. Outputs: cells of text. Means over several sets weigh every
series alike, as the competition's do, and OWA is the mean of the ratios of such means. Papers report means over all
series of the competition; only a row that is over all of them is held against those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from timellm.protocols.beside import beside
from timellm.protocols.m4_sets import ALL_SERIES, M4_SETS
from timellm.protocols.protocol import Measured
from timellm.protocols.published import Published, published
from timellm.protocols.result_rows import Row

HEADER = ("set", "series", "horizon", "context", "model", "seeds", "SMAPE", "MASE", "OWA", "paper", "difference", "s",
          "MiB")  # fmt: skip
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
                (*named, "", name, "", *(_shown(errors[one]) for one in _ERRORS), "", "", "", "")
                for name, errors in numbers["rules"].items()
            ]
        errors_shown = (row.shown(one, 3) for one in _ERRORS)
        found.append(
            (
                *named,
                str(numbers["context"]),
                _model(row),
                str(len(row.cells)),
                *errors_shown,
                "",
                "",
                row.seconds,
                row.memory,
            )
        )
    return found


def rows_of_whole(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A row for every model that forecast more than one set: means over all of its series, beside the paper's."""
    found = []
    for row in wholes(rows):
        first = row.first
        seeds = str(len(row.cells)) if first.numbers["same_seeds"] else ""
        errors_shown = (row.shown(one, 3) for one in _ERRORS)
        named = (str(first.key["set"]), f"{first.numbers['series']:,}", "", "", _model(row), seeds)
        found.append((*named, *errors_shown, *_beside(row), "", ""))
    return found


def wholes(rows: Sequence[Row]) -> list[Row]:
    """For every model that forecast more than one set, a row over all of their series.

    It has a cell for each seed, or one alone, of the means over seeds, where the sets were run with different seeds.
    """
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_model[_model(row)].append(row)
    found = []
    for some in by_model.values():
        names = [str(row.first.key["set"]) for row in some]
        if len(set(names)) < 2 or len(set(names)) < len(names):  # the same model twice, with other settings
            continue
        seeds = [tuple(cell.key["seed"] for cell in row.cells) for row in some]
        if len(set(seeds)) == 1:
            parts = [[Row((cell,)) for cell in cells] for cells in zip(*(row.cells for row in some), strict=True)]
        else:
            parts = [some]
        found.append(Row(tuple(_whole(part, same_seeds=len(set(seeds)) == 1) for part in parts)))
    return found


def _whole(rows: Sequence[Row], *, same_seeds: bool) -> Measured:
    """Several sets as one cell."""
    own = {one: _mean(rows, one) for one in ("smape", "mase")}
    naive2 = [_mean(rows, one) for one in ("naive2_smape", "naive2_mase")]
    ratios = [a / b for a, b in zip(own.values(), naive2, strict=True) if a is not None and b]
    series = sum(int(row.first.numbers["series"]) for row in rows)
    names = [str(row.first.key["set"]) for row in rows]
    numbers = {"series": series, "sets": len(names), "same_seeds": same_seeds, **own}
    numbers["owa"] = sum(ratios) / 2 if len(ratios) == 2 else None
    return replace(rows[0].first, key={**rows[0].first.key, "set": " + ".join(names)}, numbers=numbers)


def _beside(row: Row) -> tuple[str, str]:
    """What the paper reports of this model, and the difference or why there is none."""
    record = next((one for one in published("m4") if row.first.key["model"] in one.ours), None)
    if record is None:
        return "", ""
    numbers = row.first.numbers
    if numbers["sets"] < len(M4_SETS) or numbers["series"] < ALL_SERIES:
        return str(record), f"cannot be compared: {numbers['series']:,} of {ALL_SERIES:,} series"
    parts = []
    for name in _ERRORS:
        found = beside(row, record, ours=name, theirs=name)
        if found is not None:
            digits = len(record.numbers[name].partition(".")[2])
            parts.append(f"{name.upper()} {found.difference:+.{digits}f}, {found.judgement}")
    return str(record), "; ".join(parts)


def papers() -> list[str]:
    """Sentences on what papers report of the whole competition, and when a row is held against it."""
    records: Sequence[Published] = published("m4")
    if not records:
        return []
    said = "; ".join(f"{one}, {one.source}" for one in records)
    return [
        f"Papers on all {ALL_SERIES:,} series, every series alike (SMAPE / MASE / OWA): {said}.",
        "paper: what it reports of this model; difference: ours less that, only where a row is over all these series. A"
        " row over fewer sets or series cannot be compared, as sets differ much in their errors. The difference is"
        " within noise if one more of our runs could lie as far from the mean of ours, with 95 % certainty. One seed"
        " tells nothing about noise. A paper's Time-LLM has LLaMA 7B; ours has the backbone that its row names, or the"
        " default one, and sees more values of the weekly and the hourly series (column context).",
    ]


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
