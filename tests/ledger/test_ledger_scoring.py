"""Actual values come in, each kept forecast that they belong to is scored by itself, and what was revised is named."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import timellm
from benchmarks.shop_sales import shop_sales
from tests.ledger.conftest import HORIZON, ROWS, grown_frame
from timellm.config import RunConfig
from timellm.errors import LedgerError
from timellm.ledger.adjusting import adjust
from timellm.ledger.arriving import INBOX, bring, inbox
from timellm.ledger.folder import Ledger
from timellm.ledger.keeping import keep
from timellm.ledger.points import points
from timellm.ledger.promise import Promise
from timellm.ledger.scoring import score
from timellm.ledger.words import adjustment_sentence, promise_sentence


def test_grown_table_scores_the_forecast_as_plain_numpy_does(ledger, entry, grown):
    (outcome,) = bring(ledger, [grown()], by="Ada")
    assert (outcome.new, outcome.revised, outcome.refused) == (2 * HORIZON, 0, "")
    found = score(ledger, entry.id)
    assert found.state == "scored"
    kept = ledger.forecast(entry)
    for one in found.channels:
        actual = grown_frame()[one.channel].to_numpy()[-HORIZON:]
        mine = kept[kept["unique_id"] == one.channel]
        error = np.abs(actual - mine["yhat"].to_numpy())
        naive = np.abs(actual - mine["seasonal_naive"].to_numpy())
        assert one.mae == pytest.approx(error.mean())
        assert one.skill == pytest.approx(1 - error.mean() / naive.mean())
        past = grown_frame(ROWS)[one.channel].to_numpy()[: ROWS * 70 // 100]
        assert one.mase == pytest.approx(error.mean() / np.abs(past[24:] - past[:-24]).mean())
        errors_WH = ledger.promise(entry).error_WNH[:, entry.channels.index(one.channel)]
        assert one.judged.promised == pytest.approx(errors_WH.mean())
        assert one.judged.limit == pytest.approx(np.quantile(errors_WH.mean(axis=1), 0.95))
    assert found.overall.mae == pytest.approx(np.mean([one.mae for one in found.channels]))


def test_partly_known_forecast_is_scored_on_what_is_known_and_says_so(ledger, entry, grown):
    assert score(ledger, entry.id).state == "due"
    bring(ledger, [grown(ROWS + 5)], by="Ada")
    found = score(ledger, entry.id)
    assert (found.state, found.overall.known, found.overall.of) == ("partly scored", 10, 24)
    errors_WH = ledger.promise(entry).error_WNH[:, 0, :5]  # the same steps, and no others
    assert found.channels[0].judged.promised == pytest.approx(errors_WH.mean())
    assert "on the 10 of 24 values that are known" in promise_sentence(found)


def test_forecast_of_the_future_waits(ledger, entry):
    before = entry.cutoff.to_pydatetime().replace(tzinfo=None)
    assert score(ledger, entry.id, now=before).state == "waiting"


def test_missing_actual_values_are_left_out(ledger, entry, grown):
    bring(ledger, [grown(ROWS + HORIZON, ("load", ROWS + 2, np.nan))], by="Ada")
    found = score(ledger, entry.id)
    assert (found.state, found.channels[0].known, found.channels[1].known) == ("scored", HORIZON - 1, HORIZON)
    assert np.isfinite(found.channels[0].judged.promised)


def test_same_table_twice_changes_nothing(ledger, entry, grown):
    path = grown()
    bring(ledger, [path], by="Ada")
    stamp = ledger.stamp(entry.id)
    (again,) = bring(ledger, [path], by="Bo")
    assert again.new == 0 and ledger.stamp(entry.id) == stamp


def test_revised_context_is_named_and_not_used(ledger, entry, grown):
    bring(ledger, [grown()], by="Ada")
    before = score(ledger, entry.id)
    revised = grown(ROWS + HORIZON, ("load", ROWS - 2, 1.0), name="revised.csv")
    (outcome,) = bring(ledger, [revised], by="Ada")
    after = score(ledger, entry.id)
    assert outcome.revised == 1
    (one,) = after.revised
    assert (one.channel, one.now, one.seen) == ("load", 1.0, grown_frame()["load"].iloc[ROWS - 2])
    assert after.channels == before.channels


def test_revised_actual_value_is_counted_and_the_newest_is_scored(ledger, entry, grown):
    bring(ledger, [grown()], by="Ada")
    bring(ledger, [grown(ROWS + HORIZON, ("load", ROWS, 0.0), name="revised.csv")], by="Ada")
    found = score(ledger, entry.id)
    assert found.revised_actuals == 1
    rows = points(ledger, entry)
    assert rows["y"].iloc[0] == 0.0 and rows["y_first"].iloc[0] == grown_frame()["load"].iloc[ROWS]


def test_table_of_another_series_is_refused(ledger, entry, grown, tmp_path):
    other = grown_frame()
    other["load"] += 3
    other["price"] *= 2
    other.to_csv(tmp_path / "other.csv", index=False)
    (outcome,) = bring(ledger, [tmp_path / "other.csv"], by="Ada")
    assert "another series" in outcome.refused and not ledger.arrivals(entry.id)


def test_table_that_begins_after_the_context_is_refused(ledger, entry, tmp_path):
    grown_frame().iloc[ROWS:].to_csv(tmp_path / "late.csv", index=False)
    (outcome,) = bring(ledger, [tmp_path / "late.csv"], by="Ada")
    assert "nobody can tell whether it is the same series" in outcome.refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.rename(columns={"load": "a", "price": "b"}), "none of the forecast's channels"),
        (lambda frame: frame.iloc[::2], "differs from what the forecast saw in 24 of 48 rows"),
        (lambda frame: frame.drop(columns="date"), "timestamps|date"),
    ],
)
def test_table_that_does_not_fit_is_refused_with_its_reason(ledger, tmp_path, change, message):
    change(grown_frame()).to_csv(tmp_path / "odd.csv", index=False)
    (outcome,) = bring(ledger, [tmp_path / "odd.csv"], by="Ada")
    assert re.search(message, outcome.refused), outcome.refused


def test_inbox_is_read_oldest_first(ledger, entry, grown):
    assert inbox(ledger) == ()
    folder = ledger.root / INBOX
    folder.mkdir()
    grown(ROWS + 5).rename(folder / "b.csv")
    grown().rename(folder / "a.csv")
    (folder / "note.md").write_text("no table")
    assert [one.name for one in inbox(ledger)] == ["b.csv", "a.csv"]
    bring(ledger, inbox(ledger), by="Ada")
    stamp = ledger.stamp(entry.id)
    assert score(ledger, entry.id).state == "scored"
    bring(ledger, inbox(ledger), by="Ada")
    assert ledger.stamp(entry.id) == stamp, "a second look changes nothing"


def test_coverage_is_the_share_within_the_bounds(ledger, entry, grown, monkeypatch):
    plain = ledger.forecast(entry)
    banded = plain.assign(**{"yhat-lo-80": plain["yhat"] - 0.5, "yhat-hi-80": plain["yhat"] + 0.5})
    monkeypatch.setattr(Ledger, "forecast", lambda self, entry: banded)
    bring(ledger, [grown()], by="Ada")
    found = score(ledger, entry.id)
    rows = points(ledger, entry)
    assert found.overall.coverage[80.0] == pytest.approx((abs(rows["y"] - rows["yhat"]) <= 0.5).mean())
    inside = (rows["y"] >= rows["yhat-lo-95"]) & (rows["y"] <= rows["yhat-hi-95"])
    assert found.overall.coverage[95.0] == pytest.approx(inside.mean())


def promise(windows: int = 40, horizon: int = 6) -> Promise:
    rng = np.random.default_rng(1)
    error_VH = np.abs(rng.normal(size=(2 * windows, horizon))) * np.repeat([[1.0], [1000.0]], windows, axis=0)
    channel_V, origin_V = np.repeat([0, 1], windows), np.tile(np.arange(windows), 2)
    return Promise.of(("small", "large"), channel_V=channel_V, origin_V=origin_V, error_VH=error_VH)


def test_error_above_95_of_100_windows_is_a_drop():
    found = promise()
    limit = np.quantile(found.error_WNH[:, 0].mean(axis=1), 0.95)
    for factor, above in ((0.99, False), (1.01, True)):
        judged = found.judge(np.full((1, 6), limit * factor), channels=["small"])
        assert judged.above is above and judged.limit == pytest.approx(limit)
        assert judged.windows == 40 and judged.independent == pytest.approx(45 / 6)


def test_channel_of_large_numbers_does_not_decide_alone():
    found = promise()
    mean_NH = np.nanmean(found.error_WNH, axis=(0, 2))[:, None] * np.ones((2, 6))
    usual = found.judge(mean_NH, channels=["small", "large"])
    assert usual.ratio == pytest.approx(1) and usual.above is False
    drop = found.judge(mean_NH * [[4.0], [1.0]], channels=["small", "large"])
    assert drop.ratio == pytest.approx(2.5) and drop.above is True, "although the sum of errors hardly changed"


def test_too_few_windows_say_nothing():
    judged = promise(windows=12).judge(np.ones((1, 6)), channels=["small"])
    assert judged.above is None and judged.reason == "the backtest has 12 whole windows at these steps, and it takes 20"


def test_few_windows_of_many_are_kept_evenly():
    windows = 3000
    found = Promise.of(
        ("a",), channel_V=np.zeros(windows, int), origin_V=np.arange(windows), error_VH=np.ones((windows, 2))
    )
    assert len(found.origin_W) == 256 and (found.origin_W[0], found.origin_W[-1]) == (0, windows - 1)
    assert np.diff(found.origin_W).max() <= 12
    back = Promise.from_arrow(found.to_arrow(), channels=("a",), horizon=2)
    np.testing.assert_array_equal(back.error_WNH, found.error_WNH)


def test_drop_suggests_a_refit(ledger, entry, grown):
    changes = [("load", row, 500.0) for row in range(ROWS, ROWS + HORIZON)]
    path = grown(ROWS + HORIZON, *changes)
    bring(ledger, [path], by="Ada")
    found = score(ledger, entry.id)
    assert found.below_promise and found.newest_file == str(path)
    assert "fit the run again" in promise_sentence(found)


def wanted(entry, value: float, *, hours: tuple[int, ...] = (1,), channel: str = "load") -> pd.DataFrame:
    moments = [entry.cutoff + pd.Timedelta(hours=hour) for hour in hours]
    return pd.DataFrame({"unique_id": channel, "ds": moments, "value": float(value)})


def test_adjustments_stay_apart_from_the_model_and_are_scored(ledger, entry, grown):
    before = ledger.forecast(entry)
    actual = grown_frame()["load"].to_numpy()[ROWS : ROWS + 2]
    made = adjust(ledger, entry, wanted(entry, actual[0] + 0.5, hours=(1, 2)), by="Bo", reason="a strike")
    pd.testing.assert_frame_equal(ledger.forecast(entry), before)
    assert (made.adjustment.by, made.adjustment.reason) == ("Bo", "a strike")
    bring(ledger, [grown()], by="Ada")
    found = score(ledger, entry.id)
    model = before["yhat"].to_numpy()[:2]
    assert found.overall.adjusted.points == 2
    assert found.overall.adjusted.model == pytest.approx(np.abs(actual - model).mean())
    assert found.overall.adjusted.adjusted == pytest.approx(np.abs(actual - actual[0] - 0.5).mean())
    assert f"by {abs(found.overall.adjusted.change):.0%}" in adjustment_sentence(found)
    assert found.overall.mae == pytest.approx((points(ledger, entry)["y"] - before["yhat"]).abs().mean())


def test_two_who_adjust_at_once_lose_nothing_and_the_later_is_told(ledger, entry):
    seen = [one.id for one in ledger.adjustments(entry.id)]
    first = adjust(ledger, entry, wanted(entry, 90, hours=(1, 2)), by="Bo", reason="a strike", seen=seen)
    second = adjust(ledger, entry, wanted(entry, 95, hours=(2, 3)), by="Cy", reason="a holiday", seen=seen)
    assert (first.met, second.met) == ((), ("Bo",))
    rows = points(ledger, entry)
    assert rows["adjusted"].tolist()[:3] == [90, 95, 95]
    assert rows["adjusted_by"].tolist()[:3] == ["Bo", "Cy", "Cy"]
    history = ledger.adjustments(entry.id)
    assert [one.by for one in history] == ["Bo", "Cy"] and history[1].changes[0].was == 90


def test_withdrawn_adjustment_gives_the_model_s_value_back(ledger, entry):
    adjust(ledger, entry, wanted(entry, 90), by="Bo", reason="a strike")
    adjust(ledger, entry, wanted(entry, np.nan), by="Bo", reason="no strike")
    rows = points(ledger, entry)
    assert rows["adjusted"].isna().all() and len(ledger.adjustments(entry.id)) == 2


@pytest.mark.parametrize(
    ("value", "hours", "words", "message"),
    [
        (90, (1,), {"by": "Bo", "reason": " "}, "the reason is missing"),
        (90, (1,), {"by": "", "reason": "x"}, "the name of the person who adjusts is missing"),
        (90, (99,), {"by": "Bo", "reason": "x"}, "not among the moments of this forecast"),
        (1e37, (1,), {"by": "Bo", "reason": "x"}, "too large to be scored"),
        (np.nan, (1,), {"by": "Bo", "reason": "x"}, "nothing was adjusted"),
        (90, (1,), {"by": "Bo", "reason": "x" * 3000}, "3,000 letters"),
    ],
)
def test_adjustment_that_cannot_stand_is_refused(ledger, entry, value, hours, words, message):
    with pytest.raises(LedgerError, match=message):
        adjust(ledger, entry, wanted(entry, value, hours=hours), **words)
    assert not ledger.adjustments(entry.id)


def test_adjustment_after_the_fact_is_refused_as_hindsight(ledger, entry, grown):
    bring(ledger, [grown(ROWS + 1)], by="Ada")
    with pytest.raises(LedgerError, match="hindsight"):
        adjust(ledger, entry, wanted(entry, 90), by="Bo", reason="I knew it")
    adjust(ledger, entry, wanted(entry, 90, hours=(2,)), by="Bo", reason="still open")


def test_values_known_ahead_are_kept_and_the_grown_table_scores(tmp_path):
    shop = shop_sales(days=160, ahead=7)
    shop.to_csv(tmp_path / "shop.csv", index=False)
    settings = {"kind": "ridge", "context": 21, "horizon": 7, "known_ahead": ("promotion", "price")}
    run = timellm.fit(RunConfig.create(tmp_path / "shop.csv", **settings), run_dir=tmp_path / "run").run_dir
    ledger = Ledger.open()
    entry = keep(run, by="Ada").entry
    known = ledger.known_future(entry)
    mine = known[(known["unique_id"] == entry.channels[0]) & (known["ds"] > entry.cutoff)]
    assert list(mine["promotion"]) == list(shop["promotion"][160:])
    grown = shop_sales(days=164, ahead=3)
    grown.to_csv(tmp_path / "grown.csv", index=False)
    (outcome,) = bring(ledger, [tmp_path / "grown.csv"], by="Ada")
    assert outcome.refused == "" and outcome.new == 4 * len(entry.channels)
    assert score(ledger, entry.id).state == "partly scored", "rows that are known ahead are no actual values"
