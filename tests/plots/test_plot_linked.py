"""The linked heatmap's specification: parts are aligned by rows, and every link names the axes it should."""

import json

import numpy as np
import pandas as pd
import pytest

from timellm.plots.attention import AttentionPicture, Scale
from timellm.plots.linked import HEATMAP, SPAN, Marks, linked_chart, linked_height, picked


def made(patches=12, prototypes=5, *, stride=8, length=16, frequency="h"):
    starts = np.arange(patches) * stride
    rows = int(starts[-1]) + length - stride
    spans = np.stack([starts, np.minimum(starts + length, rows)], axis=1)
    weights = np.random.default_rng(0).dirichlet(np.ones(prototypes), size=patches).astype("float32")
    index = pd.date_range("2024-01-01", periods=rows, freq=frequency)
    window = pd.Series(np.arange(rows) / 3, index=index, name="load")
    return AttentionPicture(weights, tuple(map(str, range(prototypes))), spans, window, Scale.of(1000))


def edges(grid):
    return float(grid["left"].rstrip("%")), 100 - float(grid["right"].rstrip("%"))


def named(spec, name):
    return next(one for one in spec["series"] if one["name"] == name)


def test_specification_is_json_and_holds_every_cell_once():
    picture = made()
    spec = json.loads(json.dumps(linked_chart(picture, Marks(3, 2)), allow_nan=False))
    heat = spec["series"][HEATMAP]
    assert heat["type"] == "heatmap" and len(heat["data"]) == 12 * 5
    for index, (patch, row, percent) in enumerate(heat["data"]):
        assert picked(index, 5) == (patch, row)
        assert percent == pytest.approx(100 * picture.weights_PV[patch, row], abs=1e-4)
    assert named(spec, "chosen cell")["data"] == [heat["data"][3 * 5 + 2]]


@pytest.mark.parametrize(("stride", "length"), [(8, 16), (16, 16), (24, 16), (4, 16)])
def test_columns_and_series_share_one_scale_of_rows(stride, length):
    picture = made(stride=stride, length=length)
    spec = linked_chart(picture, Marks(0))
    for grids in (spec["grid"], *(one["option"]["grid"] for one in spec["media"])):
        (left, right), (first, last) = edges(grids[0]), edges(grids[2])
        row = (right - left) / len(picture.window)
        for patch, start in enumerate(picture.spans_P2[:, 0]):
            middle = first + (last - first) * (patch + 0.5) / 12
            assert middle == pytest.approx(left + (start + length / 2) * row, abs=1e-3)
        assert edges(grids[1]) == edges(grids[2]) == edges(grids[4])
        assert edges(grids[0]) == edges(grids[3])
        assert min(left, first) >= 0 and max(right, last) <= 100
    wide = float(named(spec, "pointed at")["barWidth"].rstrip("%")) / 100
    assert wide * (last - first) / 12 == pytest.approx(length * row, abs=1e-3)  # a bar covers the patch's rows


def test_links_join_axes_of_the_same_kind():
    spec = linked_chart(made(), Marks(0))
    lengths = [len(axis["data"]) for axis in spec["xAxis"]]
    for link in spec["axisPointer"]["link"]:
        assert len({lengths[axis] for axis in link["xAxisIndex"]}) == 1
    assert sorted(axis for link in spec["axisPointer"]["link"] for axis in link["xAxisIndex"]) == list(range(6))
    brushed = [spec["series"][place] for place in spec["brush"]["brushLink"]]
    assert brushed[0] is spec["series"][SPAN] and brushed[0]["xAxisIndex"] in spec["brush"]["xAxisIndex"]
    assert [one["name"] for one in brushed] == ["span", "veil"]
    assert all(len(one["data"]) == 12 for one in brushed)
    assert spec["series"][spec["visualMap"]["seriesIndex"][1]]["name"] == "chosen cell"


def test_chosen_patch_is_marked_in_both_parts():
    spec = linked_chart(made(), Marks(7))
    for name in ("chosen", "chosen column"):
        assert [place for place, value in enumerate(named(spec, name)["data"]) if value] == [7]
    assert named(spec, "chosen cell")["data"] == []


def test_colours_keep_to_the_scale_whatever_the_values_are():
    spec = linked_chart(made(), Marks(0))
    assert (spec["visualMap"]["min"], spec["visualMap"]["max"]) == (0, pytest.approx(8))


def test_rows_keep_their_height_on_a_telephone():
    spec = linked_chart(made(prototypes=16), Marks(0))
    for grids in (spec["grid"], *(one["option"]["grid"] for one in spec["media"])):
        assert grids[2]["height"] == 16 * 22
        assert grids[2]["top"] + grids[2]["height"] < linked_height(made(prototypes=16))


def test_clusters_are_numbered_and_coloured_alike():
    spec = linked_chart(made(), Marks(0, clusters=(0, 1, 2) * 4))
    cells = named(spec, "cluster")["data"]
    assert [cell["label"]["formatter"] for cell in cells[:3]] == ["1", "2", "3"]
    assert cells[0]["itemStyle"] == cells[3]["itemStyle"] != cells[1]["itemStyle"]
    assert "cluster" not in [one["name"] for one in linked_chart(made(), Marks(0))["series"]]


@pytest.mark.parametrize(("frequency", "first"), [("h", "2 Jan"), ("D", "2 Jan"), ("MS", "2025"), ("min", "01:00")])
def test_ticks_stand_where_something_begins(frequency, first):
    spec = linked_chart(made(frequency=frequency), Marks(0))
    axis = spec["xAxis"][4]
    ticks = axis["axisLabel"]["customValues"]
    assert 1 <= len(ticks) <= 8
    assert axis["data"][ticks[0]] == first
    assert [place for place, word in enumerate(axis["data"]) if word] == ticks


def test_one_patch_is_drawn():
    spec = linked_chart(made(patches=1, stride=0), Marks(0))
    assert len(spec["series"][HEATMAP]["data"]) == 5
