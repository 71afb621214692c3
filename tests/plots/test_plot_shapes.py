"""Shapes of patches are drawn with their mean, and all groups on one scale."""

import numpy as np

from timellm.plots.exporting import figure_bytes
from timellm.plots.shapes import ShapeGroup, reach, shapes_chart, shapes_figure


def groups(count):
    rng = np.random.default_rng(0)
    return [ShapeGroup(f"cluster {n + 1}", np.full(16, float(n)), n + rng.normal(size=(7, 16))) for n in range(count)]


def test_chart_draws_each_shape_and_their_mean():
    two = groups(2)
    figure = shapes_chart(two[1], number=1, between=reach(two))
    thin = np.asarray(figure.data[0].y).reshape(7, 17)  # in one trace, with a gap after each shape
    np.testing.assert_array_equal(thin[:, :16], two[1].shapes_KS)
    assert np.isnan(thin[:, 16]).all()
    assert len(figure.data) == 2
    assert list(figure.data[-1].y) == [1.0] * 16
    assert tuple(figure.layout.yaxis.range) == reach(two)
    assert min(one.shapes_KS.min() for one in two) == reach(two)[0]


def test_figure_has_a_panel_for_each_group():
    for count in (1, 4, 6):
        figure = shapes_figure(groups(count), title="Patches")
        assert [axis.get_title() for axis in figure.axes if axis.get_visible()] == [
            f"cluster {n + 1}" for n in range(count)
        ]
    assert figure_bytes(figure, "png").startswith(b"\x89PNG")
