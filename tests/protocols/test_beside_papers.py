"""Our numbers beside those of papers: noise by the spread over seeds, means over horizons, sources."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy import stats

from timellm.protocols.beside import beside
from timellm.protocols.few_shot import FEW_SHOT
from timellm.protocols.long_term import LONG_TERM, RESULTS
from timellm.protocols.models import MODELS
from timellm.protocols.protocol import Measured
from timellm.protocols.published import published, published_of
from timellm.protocols.registry import PROTOCOLS
from timellm.protocols.result_rows import Row, rows_of
from timellm.protocols.sets import known_sets


def cell(mse: float, *, name="ETTh1", model="dlinear", horizon=96, seed=0, mode="M", windows="a") -> Measured:
    key = {"set": name, "horizon": horizon, "mode": mode, "model": model, "seed": seed}
    numbers = {"context": 512, "mse": mse, "mae": mse, "mse_batches": mse, "mae_batches": mse, "windows": 100,
               "windows_batches": 96, "window_set": windows}  # fmt: skip
    return Measured(key, {}, numbers, 10.0, 500.0, "a processor", {"torch": "2"}, "2026-11-30 07:00")


def row(*mses: float) -> Row:
    (one,) = rows_of([cell(mse, seed=seed) for seed, mse in enumerate(mses)])
    return one


DLINEAR = next(one for one in published_of("long-term", name="ETTh1", horizon="96") if one.model == "DLinear")


def test_records_name_models_and_sets_that_there_are_and_a_source():
    for name in PROTOCOLS:
        for one in published(name):
            assert set(one.ours) <= set(MODELS) and one.source and all(map(float, one.numbers.values()))
    for one in published("long-term"):
        assert one.horizon == "mean" or int(one.horizon) in known_sets()[one.set].horizons


def test_a_difference_within_the_spread_of_seeds_is_called_noise():
    mine = row(0.370, 0.380, 0.390)
    found = beside(mine, DLINEAR)
    assert found.difference == pytest.approx(0.005) and found.judgement == "within noise"
    assert found.noise == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 * math.sqrt(4 / 3) + 0.0005)
    assert str(found) == "+0.005, within noise, context 336"
    assert beside(row(0.3801, 0.3800, 0.3799), DLINEAR).judgement == "beyond noise"


def test_one_seed_tells_nothing_about_noise():
    found = beside(row(0.9), DLINEAR)
    assert found.noise is None and found.judgement == "one seed" and "one seed" in str(found)


def test_table_has_the_papers_numbers_beside_ours_and_their_sources():
    table = RESULTS.table([cell(0.38), cell(0.37, model="ridge"), cell(0.39, mode="S")])
    place = table.header.index("paper")
    papers = {(line[1], line[4]): line[place] for line in table.rows}
    assert papers == {("M", "ridge"): "", ("M", "dlinear"): "DLinear 0.375 / 0.399", ("S", "dlinear"): ""}
    said = " ".join(table.notes)
    assert "Time-LLM (7B) 0.362 / 0.392 (context 512)" in said and "arXiv 2310.01728" in said
    assert "paper" not in FEW_SHOT.table([]).header


def test_means_over_all_horizons_stand_below_them():
    cells = [cell(0.1 * place + seed, horizon=horizon, seed=seed) for seed in (0, 1)
             for place, horizon in enumerate((96, 192, 336, 720))]  # fmt: skip
    lines = LONG_TERM.table(cells).rows
    assert [line[3] for line in lines] == ["96", "192", "336", "720", "mean"]
    assert lines[-1][6] == f"{0.15 + 0.5:.4f} ± {math.sqrt(0.5):.4f}" and lines[-1][-2:] == ("40", "500")
    assert "DLinear, run again 0.418" in lines[-1]
    assert [line[3] for line in LONG_TERM.table(cells[:3]).rows] == ["96", "192", "336"]
    assert "mean" not in [line[3] for line in LONG_TERM.table(cells[:7]).rows], "a seed is missing at 720"


def test_rows_on_other_windows_are_said_not_to_be_comparable():
    notes = LONG_TERM.table([cell(0.3), cell(0.4, model="ridge", windows="b")]).notes
    assert any(note.startswith("ETTh1 M 96: rows were scored on different windows") for note in notes)
    assert not any("different windows" in note for note in LONG_TERM.table([cell(0.3), cell(0.4, seed=1)]).notes)


def test_how_a_file_was_read_is_said_wherever_its_set_has_a_row():
    weather = cell(0.1, name="Weather")
    gaps = replace(weather, numbers={**weather.numbers, "left_out": 1234})
    notes = LONG_TERM.table([cell(0.3), gaps]).notes
    assert sum(note.startswith("Weather: One timestamp stands in two lines") for note in notes) == 1
    assert "Weather 96: 1,234 windows of the test part miss a value and are left out." in notes
    assert not any(note.startswith("Weather") for note in LONG_TERM.table([cell(0.3)]).notes)


def test_row_of_fewer_windows_than_the_others_is_said_to_be_one():
    few = cell(0.5, model="ets")
    table = LONG_TERM.table([cell(0.4), replace(few, numbers={**few.numbers, "windows": 30})])
    (said,) = [note for note in table.notes if "test windows were forecast" in note]
    assert said.startswith("ETTh1 M 96, ets: 30 of 100 test windows were forecast, as many as its time")
