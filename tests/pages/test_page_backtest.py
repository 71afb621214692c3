"""Where the error is, on the Metrics page: any choice of windows, and links to the worst ones."""

import pytest

from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.backtest import Cutoffs, backtest


def said(app):
    return next(one.value for one in app.caption if "cut-off" in one.value and "windows of" in one.value)


def test_page_breaks_the_errors_down_and_links_to_the_worst_windows(open_page, finished):
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    found = backtest(RunFolder(finished.run_dir))
    assert said(app).startswith("138 windows of 69 cut-offs: MAE 0.5,")
    by = next(one for one in app.segmented_control if one.label == "By")
    assert by.options == ["Horizon step", "Channel", "Hour", "Weekday"], "the table is of one month"
    by.set_value("hour").run()
    assert not app.exception
    table = next(one.value for one in app.dataframe if "hour" in one.value.columns)
    assert len(table) == len(found.by["hour"]) and {"mae", "mae_scaled"} <= set(table.columns)
    links = [one for one in app.page_link if "from 2024" in one.label]
    assert len(links) == len(found.worst("mae")) + len(found.worst("mae", best=True))


def test_windows_can_be_the_last_horizon_or_a_rolling_origin(open_page, finished):
    app = open_page("metrics", run=finished.id)
    which = next(one for one in app.segmented_control if one.label == "Windows")
    which.set_value("Last horizon alone").run()
    assert not app.exception and said(app).startswith("2 windows of 1 cut-off:")
    which = next(one for one in app.segmented_control if one.label == "Windows")
    which.set_value("Rolling origin").run()
    assert not app.exception
    rolling = backtest(RunFolder(finished.run_dir), Cutoffs(step=12))
    assert said(app).startswith(f"{len(rolling.windows)} windows of {rolling.cutoffs} cut-offs:")
    next(one for one in app.number_input if one.label.startswith("Cut-offs")).set_value(2).run()
    assert said(app).startswith("4 windows of 2 cut-offs:")


@pytest.mark.parametrize("metric", ["owa", "bias", "wape"])
def test_metrics_of_every_kind_can_be_chosen(open_page, finished, metric):
    app = open_page("metrics", run=finished.id)
    app.selectbox(key="metric").select(metric).run()
    assert not app.exception and not app.error
    assert any("OWA is not worked out by window" in one.value for one in app.caption) == (metric == "owa")


def test_damaged_forecasts_are_named_in_one_line(open_page, finished):
    (finished.run_dir / "test_forecasts.parquet").write_bytes(b"PAR1")
    app = open_page("metrics", run=finished.id)
    assert not app.exception
    assert any("cannot be broken down" in one.value and "damaged" in one.value for one in app.error)
