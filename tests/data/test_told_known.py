"""What a prompt says of columns known ahead: of the horizon and the context, bounded in length, and of no channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.shop_sales import shop_sales
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import read_table
from timellm.data.told import Told, example_words
from timellm.explain.prompt import facts_of

SETTINGS = {"context": 28, "horizon": 7, "prompt_known": True, "known_ahead": ("promotion", "price", "weather")}


@pytest.fixture(params=["wide", "long"])
def table(request, tmp_path):
    shop = shop_sales(days=120, ahead=7, layout=request.param)
    shop["weather"] = np.resize(["sun", "rain", "fog"], len(shop))
    shop.to_csv(tmp_path / "shop.csv", index=False)
    return read_table(tmp_path / "shop.csv", known_ahead=SETTINGS["known_ahead"])


def test_words_say_what_the_columns_do_in_horizon_and_context(table):
    config = RunConfig.create("shop.csv", **SETTINGS)
    (words,) = Told(table, config.model).words([60], [1])
    known = table.known.frame(table.values.index, channel=1)
    ahead, before = known.iloc[60:67], known.iloc[32:60]
    on = [int((part["promotion"] == "yes").sum()) for part in (ahead, before)]
    low, high = ahead["price"].min(), ahead["price"].max()
    assert f"Known ahead: promotion on {on[0]} of 7 steps, {on[1]} of 28 before; price {low:.3g} to {high:.3g}" in words
    changes = int((ahead["weather"].astype(str).shift() != ahead["weather"].astype(str)).iloc[1:].sum())
    assert f"weather changes {changes} times in 7 steps. " in words


def test_windows_are_given_the_words_of_their_own_channel(table):
    config = RunConfig.create("shop.csv", **SETTINGS)
    prepared = PreparedData.of(table, config)
    channel, origin = np.array([0, 1, 1]), np.array([60, 60, 90])
    told = prepared.source().beside(channel, origin=origin)["told"]
    assert told == Told(table, config.model).words(origin, channel)
    assert (told[0] == told[1]) == (not table.known.by_channel)
    index = prepared.windows("training").part(0, 2)
    assert facts_of(prepared, config.model, index)[0].told[3].startswith("Known ahead: ")


def test_no_words_are_longer_than_the_examples(table):
    model = RunConfig.create("shop.csv", **SETTINGS).model
    longest = max(map(len, example_words(model, [])))
    words = Told(table, model).words(range(28, 121))
    assert max(map(len, words)) <= longest and len(set(words)) > 20


def test_words_follow_from_known_columns_alone(table):
    model = RunConfig.create("shop.csv", **SETTINGS).model
    scrambled = replace(table, values=table.values * np.nan)
    assert Told(scrambled, model).words(range(28, 121)) == Told(table, model).words(range(28, 121))
    assert Told(table, model.model_copy(update={"prompt_known": False})).words([60]) == [""]
