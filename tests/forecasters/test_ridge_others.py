"""What a channel's linear map is told of the other channels: chosen where it helps, and never from what comes later."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import timellm
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, DataError
from timellm.explain.linear_map import linear_maps
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.forecaster import FILE, Ridge
from timellm.forecasters.ridge.recent import Recent

CONTEXT, HORIZON, ROWS = 24, 4, 1200
OPEN = {"linear_features": "auto", "linear_maps": "auto", "linear_fallback": "auto", "linear_others": "auto"}
TOLD = {"linear_others": "recent"}


def following(rows: int = ROWS) -> dict[str, np.ndarray]:
    """`second` does what `first` did three rows before, which its own past does not show."""
    first = np.random.default_rng(5).normal(size=rows)
    return {"first": first, "second": np.roll(first, 3) + 0.1 * np.random.default_rng(6).normal(size=rows)}


def prepared_of(folder, channels: dict[str, np.ndarray], **settings) -> PreparedData:
    rows = len(next(iter(channels.values())))
    stamps = pd.date_range("2024-01-01", periods=rows, freq="h")
    pd.DataFrame({"date": stamps} | channels).to_csv(folder / "table.csv", index=False)
    config = RunConfig.create(
        folder / "table.csv", kind="ridge", **({"context": CONTEXT, "horizon": HORIZON} | settings)
    )
    return PreparedData.of(load_table(config.data), config)


def fitted(prepared: PreparedData, folder):
    return Ridge.fit(prepared, FitJob(prepared.config, folder))


def test_what_another_channel_did_lately_is_told_where_it_helps(tmp_path):
    plain, _ = fitted(prepared_of(tmp_path, following()), tmp_path)
    told, report = fitted(prepared_of(tmp_path, following(), **OPEN), tmp_path)
    # Two of four rows ahead of one of two channels follow from it.
    assert told.validation_loss < 0.85 * plain.validation_loss
    assert report.facts["linear_others"] == "recent"
    assert any(name.endswith(" others") for name in report.facts["map_shares"])
    assert "how the other channels moved lately" in report.notes[0]


def test_it_is_not_told_where_channels_say_nothing_of_each_other(tmp_path):
    drawn = np.random.default_rng(7).normal(size=(3, ROWS)).cumsum(axis=1)
    found, _ = fitted(prepared_of(tmp_path, dict(zip("abc", drawn, strict=True)), **OPEN), tmp_path)
    assert sum(share for name, share in found.shares.items() if name.endswith(" others")) < 0.1


@pytest.mark.parametrize("missing", ["skip", "interpolate"])
def test_forecast_does_not_change_with_what_stands_at_its_origin_or_after(tmp_path, missing):
    channels = following()
    channels["first"][[700, 701, 702, 990, 991, 992, 993]] = np.nan
    settings = {"missing": missing} | TOLD
    prepared = prepared_of(tmp_path, channels, **settings)
    found, _ = fitted(prepared, tmp_path)
    origins = np.array([700, 702, 991, 992, 1000])
    index = WindowIndex(np.ones(len(origins), np.int64), origins, 0)
    expected = found.predict(prepared, index)
    assert np.isfinite(expected).all()
    for place, origin in enumerate(origins):
        changed = {name: np.where(np.arange(ROWS) >= origin, 50.0, values) for name, values in channels.items()}
        other = prepared_of(tmp_path, changed, **settings)
        seen = replace(prepared, table=other.table, values=other.table.measured(missing))
        np.testing.assert_array_equal(found.predict(seen, index.part(place, place + 1))[0], expected[place])


def test_one_wild_cell_of_another_channel_moves_no_forecast_far(tmp_path):
    prepared = prepared_of(tmp_path, following(), **TOLD)
    found, _ = fitted(prepared, tmp_path)
    index = WindowIndex(np.ones(1, np.int64), np.array([1100]), 0)
    forecasts = []
    for cell in (50.0, 99_999.0):
        channels = following()
        channels["first"][1099] = cell
        other = prepared_of(tmp_path, channels, **TOLD)
        forecasts.append(
            found.predict(replace(prepared, table=other.table, values=other.table.measured("skip")), index)
        )
    np.testing.assert_array_equal(*forecasts)
    assert np.abs(forecasts[1]).max() < 10


def test_movements_are_differences_of_means_in_units_of_what_is_usual(tmp_path):
    prepared = prepared_of(tmp_path, following())
    recent = Recent.of(prepared)
    columns_PR = recent.on(prepared)(np.arange(ROWS + 1))
    scaled = (prepared.values - prepared.scaler.mean) / prepared.scaler.scale
    for number, rows in enumerate(limits.RECENT_ROWS):
        moved_N = scaled[100 - rows : 100].mean(axis=0) - scaled[100 - 2 * rows : 100].mean(axis=0)
        usual_N = recent.usual_R[2 * number : 2 * number + 2]
        np.testing.assert_allclose(columns_PR[100, 2 * number : 2 * number + 2], moved_N / usual_N, rtol=1e-9)
    begin, end = prepared.split.bounds("training")
    assert np.sqrt(np.square(columns_PR[begin : end + 1]).mean()) == pytest.approx(1, abs=0.05)  # few are cut off


def test_channel_that_never_moves_or_begins_late_tells_nothing(tmp_path):
    channels = following() | {"flat": np.full(ROWS, 7.0), "late": np.r_[np.full(500, np.nan), following(700)["first"]]}
    prepared = prepared_of(tmp_path, channels)
    columns_PR = Recent.of(prepared).on(prepared)(np.arange(ROWS + 1))
    columns_PNR = columns_PR.reshape(ROWS + 1, -1, 4).transpose(0, 2, 1)
    assert not columns_PNR[:, 2].any() and not columns_PNR[:501, 3].any()
    assert np.isfinite(columns_PNR).all() and columns_PNR[540:, 3].any(axis=1).all()


def test_saved_maps_forecast_the_same(tmp_path):
    prepared = prepared_of(tmp_path, following(), **(OPEN | TOLD))
    found, _ = fitted(prepared, tmp_path)
    again = Ridge.load(tmp_path, prepared.config)
    np.testing.assert_array_equal(again.recent.usual_R, found.recent.usual_R)
    index = prepared.windows("test")
    np.testing.assert_array_equal(again.predict(prepared, index), found.predict(prepared, index))


@pytest.mark.parametrize("usual", [None, np.ones(4)])
def test_damaged_maps_are_refused(tmp_path, usual):
    prepared = prepared_of(tmp_path, following(), **TOLD)
    fitted(prepared, tmp_path)
    tensors, facts = read_tensors(tmp_path / FILE, remedy="")
    tensors.pop("usual")
    if usual is not None:
        tensors["usual"] = torch.from_numpy(usual)
    write_tensors(tmp_path / FILE, tensors, facts=facts)
    with pytest.raises(CheckpointError, match=r"ridge\.safetensors"):
        Ridge.load(tmp_path, prepared.config)


def test_another_table_is_refused(tmp_path):
    found, _ = fitted(prepared_of(tmp_path, following(), **TOLD), tmp_path)
    assert "linear_maps=shared" in found.tied_to_table
    other = prepared_of(tmp_path, following() | {"third": following()["first"]})
    with pytest.raises(DataError, match="reads the channels first, second, and the table has first, second, third"):
        found.on(other)


@pytest.mark.parametrize(
    ("channels", "settings", "note"),
    [
        (1, OPEN, ""),
        (3, OPEN | {"linear_maps": "shared"}, ""),
        (4, TOLD, "nothing of other channels, because there are 4"),
        (4, OPEN, "nothing of other channels, because there are 4"),
    ],
    ids=["alone", "shared", "many", "many-open"],
)
def test_where_it_is_not_told(tmp_path, monkeypatch, channels, settings, note):
    monkeypatch.setattr(limits, "MOST_RECENT_CHANNELS", 3)
    drawn = {f"c{number}": np.roll(following()["first"], number) for number in range(channels)}
    found, report = fitted(prepared_of(tmp_path, drawn, **settings), tmp_path)
    assert found.recent is None and "linear_others" not in report.facts
    assert any(note in one for one in report.notes) if note else not any("other channels" in n for n in report.notes)


def test_maps_that_are_shared_may_be_told_of_others_when_asked(tmp_path):
    settings = TOLD | {"linear_maps": "shared"}
    found, _ = fitted(prepared_of(tmp_path, following(), **settings), tmp_path)
    lags_MFH = found.weights_MFH[:, :CONTEXT]
    np.testing.assert_array_equal(lags_MFH, np.broadcast_to(lags_MFH[:1], lags_MFH.shape))
    assert not found.weights_MFH[0, CONTEXT:-1].any() and found.weights_MFH[2, CONTEXT:-1].any()


def test_others_take_part_only_if_better_than_the_same_map_without_them(tmp_path, monkeypatch):
    asked = []

    def better(loss, *_, **__):
        first, *tried = loss
        asked.append(first)
        return [] if first.maps == "by_channel" else tried

    monkeypatch.setattr("timellm.forecasters.ridge.choice.better_than_first", better)
    found, _ = fitted(prepared_of(tmp_path, following(), **OPEN), tmp_path)
    assert not any("by_channel" in name and name.endswith(" others") for name in found.shares)
    assert any("shared" in name and name.endswith(" others") for name in found.shares)
    assert {first.name for first in asked} >= {"plain shared", "plain by_channel", "level shared"}


def test_explanation_names_the_channel_that_counts_most(tmp_path):
    prepared = prepared_of(tmp_path, following(), **TOLD)
    timellm.fit(prepared.config, run_dir=tmp_path / "run")
    of_all, _, of_second = linear_maps(tmp_path / "run")
    assert "moved in the last" not in of_all.beside
    expected = r"How the channels moved in the last 16 rows is added, too; of the others, first counts most \(\d+%"
    assert re.search(expected, of_second.beside)
