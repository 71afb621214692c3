"""The linked heatmap: what is chosen is what the chart gets, and the page opens with what a reader must know first."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from tests.pages.conftest import config_for, fill
from timellm.explain.attention import attention_map
from timellm.forecasting.artifacts import RunFolder
from timellm.plots.linked import HEATMAP, SPAN
from timellm.ui.seeing.heatmap import _take_cell
from timellm.ui.windows import test_cutoffs as cutoffs_of

PROTOTYPES = 24


def spec(app):
    return json.loads(app.get("echarts_chart")[0].proto.spec)


def shares(app):
    """[P, K] of the cells, as shares."""
    cells = np.array(spec(app)["series"][HEATMAP]["data"])
    return cells[:, 2].reshape(int(cells[:, 0].max()) + 1, -1) / 100


def labels(app):
    return spec(app)["yAxis"][2]["data"]


def marked(app):
    chosen = next(one for one in spec(app)["series"] if one["name"] == "chosen")
    return [place + 1 for place, value in enumerate(chosen["data"]) if value]


def said(app):
    return " ".join(one.value.replace("\\", "") for one in app.markdown)


@pytest.fixture
def page(open_page, finished):
    return open_page("attention", run=finished.id)


def test_prototypes_are_labelled_with_words_and_the_chosen_patch_is_marked(page):
    assert len(labels(page)) == 16
    assert all("price, cost" in label for label in labels(page))
    assert marked(page) == [page.slider(key="patch").value]
    page.slider(key="patch").set_value(1).run()
    assert not page.exception
    assert marked(page) == [1] and "Patch 1 of" in said(page)


def test_chart_has_the_weights_of_the_window(page, finished):
    found = attention_map(finished.run_dir, channel="load")
    np.testing.assert_allclose(shares(page), found.matrix()[:, found.top(16)], atol=1e-6)
    page.selectbox(key="head").set_value(1).run()
    np.testing.assert_allclose(shares(page), found.matrix(1)[:, found.top(16, 1)], atol=1e-6)
    page.selectbox(key="head").set_value("max").run()
    np.testing.assert_allclose(shares(page), found.matrix("max")[:, found.top(16, "max")], atol=1e-6)


def test_deviation_is_from_the_runs_average_on_a_scale_around_zero(page):
    before = shares(page)
    page.segmented_control(key="weights").set_value("Deviation").run()
    assert not page.exception
    taken_off = before - shares(page)
    np.testing.assert_allclose(taken_off, np.broadcast_to(taken_off[0], taken_off.shape), atol=2e-6)
    scale = spec(page)["visualMap"]
    assert scale["min"] == -scale["max"] < 0


def test_rows_may_be_all_and_in_another_order(page):
    page.select_slider(key="prototypes").set_value(PROTOTYPES).run()
    attended = labels(page)
    assert len(set(attended)) == PROTOTYPES
    for order in ("changed", "attention", "embedding"):
        page.selectbox(key="order").set_value(order).run()
        assert not page.exception
        assert sorted(labels(page)) == sorted(attended) and labels(page) != attended


def test_many_prototypes_are_looked_through_part_by_part(page, finished, monkeypatch):
    assert not [one for one in page.select_slider if one.label == "Rows in view"]
    monkeypatch.setattr("timellm.ui.seeing.heatmap.ROWS_IN_VIEW", 10)
    page.select_slider(key="prototypes").set_value(PROTOTYPES).run()
    top = attention_map(finished.run_dir, channel="load").top(PROTOTYPES) + 1
    seen = []
    for first in (0, 10, 20):
        page.select_slider(key="rows").set_value(first).run()
        assert not page.exception and page.selectbox(key="prototype").options[1:] == labels(page)
        seen += [int(label.split(":")[0]) for label in labels(page)]
    assert seen == top.tolist()
    assert page.select_slider(key="rows").options == ["1 to 10", "11 to 20", "21 to 24"]


def test_prototype_can_be_chosen_without_the_mouse_and_is_told_with_its_weight(page, finished):
    options = page.selectbox(key="prototype").options
    assert options[0] == "The one this patch attends most" and options[1:] == labels(page)
    row = 5
    number = int(labels(page)[row].split(":")[0])
    page.selectbox(key="prototype").set_value(number - 1).run()
    patch = page.slider(key="patch").value
    weight = attention_map(finished.run_dir, channel="load").matrix()[patch - 1, number - 1]
    assert f"prototype {number} " in said(page) and f"{weight:.2%}" in said(page)
    cell = next(one for one in spec(page)["series"] if one["name"] == "chosen cell")["data"][0]
    assert cell[:2] == [patch - 1, row]


class Clicked:
    """What the browser says of the chart."""

    def __init__(self, cell: int | None, span: list[int] | None = None):
        groups = [(HEATMAP, None if cell is None else [cell]), (SPAN, span)]
        self.selection = self
        self.selected = [{"series_index": place, "data_indices": found} for place, found in groups if found]


def test_clicked_cell_is_taken_over_also_when_it_is_clicked_again(monkeypatch):
    state = {}
    monkeypatch.setattr("streamlit.session_state", state)
    take = _take_cell((30, 10, 20), 4)

    def click(cell, span=None):
        state["attention/linked"] = Clicked(cell, span)
        take()
        return state.get("patch"), state.get("prototype")

    assert click(2 * 3 + 1) == (3, 10)
    state["patch"] = 1  # the slider was moved
    assert click(2 * 3 + 1, span=[0, 1]) == (1, 10), "a span that is drawn chooses no cell"
    assert click(None) == (3, 10), "the same cell again takes the browser's selection off it"
    assert click(None) == (3, 10)
    assert click(11) == (4, 20)
    state["patch"] = 2
    assert click(4 * 3) == (2, 20), "a cell that is no longer there"


def test_patches_that_attend_alike_are_shown_with_their_share(page):
    captions = [one.value for one in page.caption if "of the patches. They give" in one.value]
    assert 2 <= len(captions) <= 8
    assert 98 <= sum(int(one.split("%")[0]) for one in captions) <= 102
    drawn = next(one for one in spec(page)["series"] if one["name"] == "cluster")
    assert {cell["name"] for cell in drawn["data"]} <= {f"cluster {n + 1}" for n in range(len(captions))}


def test_even_attention_is_said_before_anything_else(open_page, table_id, store):
    run = store.create_run(config_for(table_id).updated(attention_scores="dot"), name="Even")
    fill(RunFolder(run.run_dir), run.config)
    store.finish(run.id, "finished", summary={"skill": 0.1})
    app = open_page("attention", run=run.id)
    assert not app.exception
    assert app.info[0].value.startswith("**Attention is practically even in this run**")


def test_attention_that_differs_is_not_called_even(page):
    assert not [one for one in page.info if "practically even" in one.value]


def test_run_that_kept_step_0_says_that_attention_explains_nothing(open_page, finished):
    RunFolder(finished.run_dir).save_summary({"adds_nothing": True})
    app = open_page("attention", run=finished.id)
    assert "The language model adds nothing to this run's forecasts" in app.info[0].value
    assert len(app.get("echarts_chart")) == 1


def test_windows_offered_are_those_of_the_test_part(page, finished):
    options = [pd.Timestamp(one) for one in page.select_slider(key="until").options]
    prepared = RunFolder(finished.run_dir).prepared()
    times = prepared.table.values.index
    assert options[0] == times[prepared.split.validation_end - 1]
    assert options[-1] == times[-1]
    page.select_slider(key="until").set_value(options[0]).run()
    assert not page.exception
    assert spec(page)["xAxis"][0]["data"][-1] == f"{options[0]:%a %Y-%m-%d %H:%M}"


def test_cutoffs_are_a_divisor_or_multiple_of_the_season_apart(finished):
    prepared = RunFolder(finished.run_dir).prepared()
    for most, step in ((400, 1), (50, 2), (30, 3), (20, 6), (10, 12), (4, 24)):
        ends, found = cutoffs_of(prepared, "load", most)
        assert found == step and len(ends) <= most
        assert ends[-1] == prepared.table.values.index[-1]
        assert {later - earlier for earlier, later in itertools.pairwise(ends)} == {pd.Timedelta(hours=step)}
