"""The coverage card: how often values of the test part lay inside their bands, and how wide these were.

Inputs: bands and actual values of test windows, added up channel by channel. Outputs: `CoverageCard`, its file, and
what is said about it. Width and Winkler score (timellm.evaluation.probabilistic) are divided by each channel's scale,
so that channels can be averaged. The Winkler score of a band is 4 / (1 - level) times the mean pinball loss of its two
ends (Gneiting and Raftery, 2007, section 6.2), so that quantile loss and CRPS follow from it.

coverage.parquet  long rows: model, method, by (overall, channel, step), key, level, points, coverage, width, winkler,
                  size: the mean absolute actual value, divided by the channel's scale, too

Shapes: W windows, H horizon, N channels, L levels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm.errors import CheckpointError, ConfigError, one_line
from timellm.evaluation.probabilistic import covered, width, winkler
from timellm.files.parquetfile import read_parquet, write_parquet

COVERAGE = "coverage.parquet"
CARD_LEVELS = (50, 80, 90, 95, 99)
SPLIT, ADAPTIVE = "split", "adaptive"
OWN, ROUND = "own", "round"
"""Of a model that gives quantiles: these as they are; and split conformal round its forecast, without them."""
NEAR = 0.03
"""Coverage that differs from the promise by no more than this share counts as kept."""
_FACTS = "timellm.coverage"
_COLUMNS_1 = ("model", "method", "by", "key", "level", "points", "coverage", "width", "winkler")
"""What earlier versions wrote."""
_COLUMNS = (*_COLUMNS_1, "size")
_SUMS = ("points", "inside", "width", "winkler", "size")


@dataclass
class CoverageSums:
    """Sums of one model's bands of one method by channel and by step."""

    scale_N: np.ndarray
    horizon: int
    _channel: dict[str, np.ndarray] = field(init=False)
    _step: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        levels = len(CARD_LEVELS)
        self._channel = {name: np.zeros((len(self.scale_N), levels)) for name in _SUMS}
        self._step = {name: np.zeros((self.horizon, levels)) for name in _SUMS}

    def add(self, channel: int, actual_WH: np.ndarray, lower_WHL: np.ndarray, upper_WHL: np.ndarray) -> None:
        """Add windows of one channel; points without an actual value or a band are left out."""
        scale = self.scale_N[channel]
        for place, level in enumerate(CARD_LEVELS):
            low_WH, high_WH = lower_WHL[..., place], upper_WHL[..., place]
            inside_WH = covered(actual_WH, low_WH, high_WH)
            terms = {
                "points": ~np.isnan(inside_WH),
                "inside": inside_WH,
                "width": width(low_WH, high_WH) / scale,
                "winkler": winkler(actual_WH, low_WH, high_WH, level=level / 100) / scale,
                "size": np.abs(actual_WH) / scale,
            }
            for name, term_WH in terms.items():
                by_step_H = np.where(terms["points"], term_WH, 0.0).sum(axis=0)
                self._step[name][:, place] += by_step_H
                self._channel[name][channel, place] += by_step_H.sum()

    def rows(self, model: str, method: str, channels: tuple[str, ...]) -> pd.DataFrame:
        """Long rows."""
        overall = {name: sums.sum(axis=0, keepdims=True) for name, sums in self._channel.items()}
        steps = [str(step) for step in range(1, self.horizon + 1)]
        parts = [("overall", [""], overall), ("channel", list(channels), self._channel), ("step", steps, self._step)]
        frames = [_frame(by, keys, sums) for by, keys, sums in parts]
        return pd.concat(frames, ignore_index=True).assign(model=model, method=method)[list(_COLUMNS)]


@dataclass(frozen=True)
class Measured:
    """What the card was measured on."""

    own: str
    """The run's own model."""
    cutoffs: int
    """Test windows of a channel that were looked at, at most."""
    calibrated_on: int
    """Validation windows that a channel's quantiles rest on, at most; those of all channels where few were forecast."""
    independent: float
    """Validation windows of a channel that do not overlap."""
    error_ratio: float | None
    """Median error on the test part as a share of that on the validation part; None where it is not defined."""
    quantiles: tuple[float, ...] = ()
    """Levels of the quantiles of which the own model's bands are made; empty where they lie round its forecast."""


@dataclass(frozen=True)
class CoverageCard:
    """Promised and achieved coverage of a run's bands."""

    rows: pd.DataFrame
    measured: Measured

    @classmethod
    def of(cls, frames: Iterable[pd.DataFrame], measured: Measured) -> Self:
        """That of the rows of every model and method."""
        return cls(pd.concat(list(frames), ignore_index=True), measured)

    def at(self, level: int, *, by: str = "overall", model: str | None = None, method: str = ADAPTIVE) -> pd.DataFrame:
        """Rows of one model, the run's own if none is named, at a level: key, points, coverage, width, winkler.

        Raises:
            ConfigError: the card has no such level.
        """
        if level not in CARD_LEVELS:
            raise ConfigError(f"the coverage card has levels {', '.join(map(str, CARD_LEVELS))}, and not {level}")
        rows = self.rows
        name = self.measured.own if model is None else model
        kept = (rows["model"] == name) & (rows["method"] == method) & (rows["by"] == by) & (rows["level"] == level)
        return rows.loc[kept, ["key", "points", "coverage", "width", "winkler"]].reset_index(drop=True)

    def achieved(self, level: int, method: str = ADAPTIVE) -> float:
        """Share of the values inside; NaN if there is no band."""
        return float(self.at(level, method=method)["coverage"].iloc[0])

    def rival(self, level: int) -> tuple[str, float, float] | None:
        """The other model whose bands have the lowest Winkler score, with its width and score; None without one."""
        rows = self.rows
        kept = (rows["model"] != self.measured.own) & (rows["by"] == "overall") & (rows["level"] == level)
        others = rows[kept & rows["winkler"].notna()]
        if others.empty:
            return None
        best = others.loc[others["winkler"].idxmin()]
        return str(best["model"]), float(best["width"]), float(best["winkler"])

    @property
    def scored_levels(self) -> tuple[int, ...]:
        """The levels at which the own model has bands: quantile losses rest on the same ones for each method."""
        rows = self.rows
        own = rows[(rows["model"] == self.measured.own) & (rows["method"] == SPLIT) & (rows["by"] == "overall")]
        return tuple(own.loc[own["winkler"].notna(), "level"].tolist())

    def quantile_loss(self, method: str = ADAPTIVE, *, model: str | None = None) -> float:
        """Weighted quantile loss of all ends of a model's bands at `scored_levels`; NaN where they are not known.

        Values are divided by each channel's scale, so that for one channel it is the usual loss.
        """
        return self._loss("overall", method, model)

    def scaled_crps(self, method: str = ADAPTIVE, *, model: str | None = None) -> float:
        """The same for each channel alone, as a mean over channels; NaN where it is not known."""
        return self._loss("channel", method, model)

    def _loss(self, by: str, method: str, model: str | None) -> float:
        rows, name = self.rows, self.measured.own if model is None else model
        kept = rows[(rows["model"] == name) & (rows["method"] == method) & (rows["by"] == by)]
        kept = kept[kept["level"].isin(self.scored_levels)]
        loss = kept["winkler"] * (1 - kept["level"] / 100) / 4 * 2 / kept["size"].where(kept["size"] > 0)
        by_key = loss.groupby(kept["key"]).agg(lambda one: one.mean(skipna=False))
        return float(by_key.mean())

    def made_of(self, level: int) -> str:
        """Of what the own model's bands are made, and what the other way would give."""
        if not self.measured.quantiles:
            return "Bands lie round the forecast and rest on its errors alone: the model gives no quantiles of its own."
        named = ", ".join(f"{100 * one:g}" for one in self.measured.quantiles)
        made, own, plain = (self.at(level, method=one).iloc[0] for one in (SPLIT, OWN, ROUND))
        return (
            f"Bands are made of the model's own quantiles at {named} %, conformalised on the validation part. As they"
            f" are, the quantiles held {own['coverage']:.1%} of the values in the {level} % band. Conformalised, and"
            f" without adapting to the test period, the band held {made['coverage']:.1%} at a width of"
            f" {made['width']:.3g} and a Winkler score of {made['winkler']:.3g}. A band round the forecast would have"
            f" held {plain['coverage']:.1%} at {plain['width']:.3g} and {plain['winkler']:.3g}."
            f" {_worth(made['winkler'], plain['winkler'])}"
        ).strip()

    def sentence(self, level: int) -> str:
        """What was promised, what was achieved, and why if the two differ."""
        adaptive, split = self.achieved(level), self.achieved(level, SPLIT)
        if math.isnan(adaptive):
            return (
                f"There is no {level} % band: it needs more validation windows of each channel than the"
                f" {self.measured.calibrated_on:,} that there are."
            )
        text = (
            f"Of the values in the test period, {adaptive:.1%} lay inside the {level} % band"
            f" ({split:.1%} without adapting to the test period)."
        )
        return f"{text} {self.why_off(level)}".strip()

    def why_off(self, level: int) -> str:
        """Why the adapted band is off its promise by more than three points; empty if it is not."""
        off = self.achieved(level) - level / 100
        if math.isnan(off) or abs(off) <= NEAR:
            return ""
        few = f"The validation part holds {self.measured.independent:.0f} windows that do not overlap"
        ratio = self.measured.error_ratio
        if ratio is not None and (ratio > 1) == (off < 0) and not 0.9 <= ratio <= 1.1:
            size = f"{ratio:.1f} times as large as" if ratio > 1 else f"{1 - ratio:.0%} smaller than"
            return (
                f"That is {abs(off) * 100:.0f} points off: the middle error in the test period is {size} that on the"
                f" validation part. {few}."
            )
        return f"That is {abs(off) * 100:.0f} points off. {few}, so that its errors say little of other times."

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the overall rows by level, and what they were measured on."""
        rows = self.rows[self.rows["by"] == "overall"].drop(columns=["by", "key"])
        return {
            "measured": asdict(self.measured),
            "levels": rows.astype(object).where(rows.notna(), None).to_dict("records"),
            "sentences": {str(level): self.sentence(level) for level in CARD_LEVELS},
            "made_of": self.made_of(CARD_LEVELS[1]),
            "quantile_loss": self._losses("overall"),
            "scaled_crps": self._losses("channel"),
        }

    def _losses(self, by: str) -> dict[str, float | None]:
        """The own model's by method, None where one is not known."""
        mine = self.rows[self.rows["model"] == self.measured.own]
        found = {method: self._loss(by, method, None) for method in mine["method"].unique()}
        return {method: None if math.isnan(loss) else loss for method, loss in found.items()}

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: the disk is full; the one before stays.
        """
        table = pa.Table.from_pandas(self.rows, preserve_index=False)
        facts = json.dumps(asdict(self.measured), allow_nan=False)
        write_parquet(path, table.replace_schema_metadata({_FACTS: facts}))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """That of a run; None in one of an earlier version.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            table = read_parquet(path)
            facts: Mapping[str, Any] = json.loads(table.schema.metadata[_FACTS.encode()])
            if tuple(table.column_names) not in (_COLUMNS, _COLUMNS_1):
                raise ValueError("its columns are others")
            rows = table.to_pandas(ignore_metadata=True).reindex(columns=_COLUMNS)
            numbers = dict.fromkeys(("coverage", "width", "winkler", "size"), "float64")
            rows = rows.astype({"level": "int64", "points": "int64", **numbers})
            return cls(rows, _measured(facts))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({one_line(error)}); evaluate the run again") from error
        except (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            raise CheckpointError(f"{path} is damaged ({one_line(error)}); evaluate the run again") from error


def _worth(quantiles: float, plain: float) -> str:
    """Whether quantiles made a band better, by its Winkler score; empty where one is not known."""
    if math.isnan(quantiles) or math.isnan(plain):
        return ""
    if quantiles < plain:
        return f"So the quantiles made its Winkler score {1 - quantiles / plain:.1%} lower."
    return f"So the quantiles made its Winkler score {quantiles / plain - 1:.1%} higher: leave 'quantiles' empty here."


def _measured(facts: Mapping[str, Any]) -> Measured:
    ratio = facts["error_ratio"]
    return Measured(
        own=str(facts["own"]),
        cutoffs=int(facts["cutoffs"]),
        calibrated_on=int(facts["calibrated_on"]),
        independent=float(facts["independent"]),
        error_ratio=None if ratio is None else float(ratio),
        quantiles=tuple(map(float, facts.get("quantiles", ()))),
    )


def _frame(by: str, keys: list[str], sums: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Rows of sums [len(keys), L]."""
    points = sums["points"]
    means = {
        name: np.divide(sums[total], points, out=np.full(points.shape, np.nan), where=points > 0).ravel()
        for name, total in (("coverage", "inside"), *((one, one) for one in ("width", "winkler", "size")))
    }
    return pd.DataFrame(
        {
            "by": by,
            "key": np.repeat(np.array(keys, dtype=object), len(CARD_LEVELS)),
            "level": np.tile(CARD_LEVELS, len(keys)),
            "points": points.ravel().astype(np.int64),
            **means,
        }
    )
