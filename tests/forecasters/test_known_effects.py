"""The effect of what is known ahead: found where there is one, left out where there is none, and never leaking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.effects import KnownEffects
from timellm.data.events import holidays_of
from timellm.data.known import Known
from timellm.data.known_basis import KnownBasis
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import WindowIndex
from timellm.errors import DataError
from timellm.forecasters.known import find_effects
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.registry import kind_of

ROWS, HORIZON = 700, 7
CONFIG = RunConfig.create("shop.csv", kind="ridge", context=28, horizon=HORIZON)


def made_table(effect: float, *, seed: int = 0, by_channel: bool = False) -> Table:
    """Two channels of days with a weekly rhythm and slow noise; a temperature acts on them where it is high."""
    random = np.random.default_rng(seed)
    rows = np.arange(ROWS + HORIZON)
    heat = 10 * np.sin(2 * np.pi * rows / 365) + 4 * random.normal(size=len(rows))
    slow = np.cumsum(random.normal(0, 0.3, (len(rows), 2)), axis=0) * 0.5
    weekly = 5 * np.sin(2 * np.pi * rows / 7)
    values = 100 + weekly[:, None] + slow + random.normal(0, 1, slow.shape)
    values += effect * np.maximum(heat, 0)[:, None] * np.array([1.0, 2.0])
    index = pd.date_range("2022-01-03", periods=len(rows), freq="D", name="ds", unit="us")
    known = np.repeat(heat[:, None, None], 2 if by_channel else 1, axis=1)
    frame = pd.DataFrame(values[:ROWS], index=index[:ROWS], columns=["north", "south"])
    return Table(frame, "D", "ds", "wide", (), known=Known(index, ("heat",), known, {}))


def prepared_of(table: Table, config: RunConfig = CONFIG) -> PreparedData:
    return PreparedData.of(table, config)


@pytest.mark.parametrize("by_channel", [False, True])
def test_planted_effect_is_found_in_its_form(by_channel):
    table = made_table(1.0, by_channel=by_channel)
    choice = find_effects(prepared_of(table))
    assert choice.facts["known_effect"] in ("bent", "by_time")
    effect_SN = choice.effects.of(table, ahead=HORIZON, missing="skip")
    heat = np.maximum(table.known.values_SNK[:, 0, 0], 0)
    wanted = heat[:, None] * np.array([1.0, 2.0])
    wanted = wanted - wanted[:490].mean(axis=0)
    assert np.sqrt(np.mean((effect_SN - wanted) ** 2)) < 0.25 * wanted.std()
    assert "made the squared error of a linear forecast" in choice.notes[0].replace("that made", "made")


def test_column_without_effect_is_not_used_and_the_run_says_so():
    choice = find_effects(prepared_of(made_table(0.0)))
    assert choice.effects is None and choice.facts["known_effect"] == "off"
    assert "Not used: before the test part, no form" in choice.notes[0]


def test_table_that_is_too_short_to_choose_uses_nothing():
    table = made_table(1.0)
    short = replace(table, values=table.values.iloc[:100])
    choice = find_effects(prepared_of(short))
    assert choice.effects is None and "too short to find out" in choice.notes[0]
    asked = prepared_of(short, CONFIG.updated(known_effect="straight"))
    assert find_effects(asked).effects is not None


def test_nothing_known_ahead_changes_nothing():
    prepared = prepared_of(replace(made_table(1.0), known=None))
    choice = find_effects(prepared)
    assert (choice.effects, choice.facts, choice.notes) == (None, {}, ())
    assert prepared.seen is prepared.values, "the very same numbers"
    forecast = np.ones((1, HORIZON))
    assert prepared.with_effect(forecast, WindowIndex(np.array([0]), np.array([100]), 0)) is forecast


def test_effects_follow_from_training_and_validation_rows_alone():
    table = made_table(1.0)
    found = find_effects(prepared_of(table))
    values, known = table.values.copy(), table.known.values_SNK.copy()
    end = prepared_of(table).split.validation_end
    values.iloc[end:] = 1e6
    known[end:] = -50.0
    scrambled = replace(table, values=values, known=replace(table.known, values_SNK=known))
    again = find_effects(prepared_of(scrambled))
    assert again.facts["known_effect"] == found.facts["known_effect"]
    np.testing.assert_array_equal(again.effects.weights_NF, found.effects.weights_NF)


@pytest.mark.parametrize("kind", ["ridge", "naive"])
def test_values_after_the_origin_change_no_forecast_but_known_columns_do(kind, tmp_path):
    table = made_table(1.0)
    prepared = prepared_of(table)
    prepared = replace(prepared, effects=find_effects(prepared).effects)
    forecaster, _ = kind_of(kind).load().fit(prepared, FitJob(CONFIG.updated(kind=kind), tmp_path))
    for origin in (600, 650, 693):
        index = WindowIndex(np.array([0, 1]), np.array([origin] * 2), 0)
        values, known = table.values.copy(), table.known.values_SNK.copy()
        values.iloc[origin:] = 1e5
        known[origin : origin + HORIZON] += 10
        later = replace(prepared, table=replace(table, values=values), values=values.to_numpy())
        other = replace(prepared, table=replace(table, known=replace(table.known, values_SNK=known)))
        forecast = forecaster.predict(prepared, index)
        np.testing.assert_array_equal(forecaster.predict(later, index), forecast)
        moved = np.abs(forecaster.predict(other, index) - forecast).max()
        assert moved > 1 if kind == "ridge" else moved == 0, "simple rules are told nothing"


def test_forecast_beyond_what_is_known_names_column_row_and_remedy(tmp_path):
    table = made_table(1.0)
    known = replace(table.known, index=table.known.index[:-3], values_SNK=table.known.values_SNK[:-3])
    prepared = prepared_of(table)
    effects = find_effects(prepared).effects
    forecaster, _ = kind_of("ridge").load().fit(replace(prepared, effects=effects), FitJob(CONFIG, tmp_path))
    short = replace(prepared, table=replace(table, known=known), effects=effects)
    index = WindowIndex(np.array([0]), np.array([ROWS]), 0)
    with pytest.raises(
        DataError, match=r"column 'heat' is known ahead, and its value at 2023-12-08 is missing .3 of the 7"
    ):
        forecaster.predict(short, index)


def test_effects_round_trip_and_refuse_what_does_not_fit():
    table = made_table(1.0)
    effects = find_effects(prepared_of(table, CONFIG.updated(known_effect="by_time"))).effects
    again = KnownEffects.from_dict(effects.to_dict())
    np.testing.assert_array_equal(again.of(table, ahead=3, missing="skip"), effects.of(table, ahead=3, missing="skip"))
    tree = effects.to_dict() | {"centre": [0.0]}
    with pytest.raises(ValueError, match="its weights are"):
        KnownEffects.from_dict(tree)
    with pytest.raises(ValueError, match="there is no form 'round'"):
        KnownBasis.from_dict(effects.basis.to_dict() | {"form": "round"})


def test_holidays_of_a_country_act_on_their_days():
    table = made_table(0.0)
    values = table.values.copy()
    days = pd.to_datetime([day for day, _ in holidays_of("DE", (2022, 2023))])
    values.loc[values.index.isin(days)] -= 60
    config = CONFIG.updated(known_holidays="DE", known_effect="straight")
    choice = find_effects(prepared_of(replace(table, values=values, known=None), config))
    effect = choice.effects.of(replace(table, values=values, known=None), ahead=0, missing="skip")
    christmas = values.index.get_loc("2022-12-25")
    assert effect[christmas, 0] < -10 and effect[christmas - 3, 0] > -5
