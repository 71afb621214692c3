"""A panel: series one a line, of different lengths, that end together on a grid."""

import numpy as np
import pytest

from timellm.data.panel import MOST_VALUES, Panel, read_panel
from timellm.errors import DataError


def written(tmp_path, *lines):
    path = tmp_path / "Hourly-train.csv"
    path.write_text("\n".join(['"V1","V2","V3","V4"', *lines]) + "\n")
    return path


def test_panel_has_every_series_at_its_own_length(tmp_path):
    panel = read_panel(written(tmp_path, '"H1","605","586",""', "H2,1.5", "H3,-1,2e3,0.25", ""))
    assert panel.names == ("H1", "H2", "H3")
    assert [one.tolist() for one in panel.series] == [[605.0, 586.0], [1.5], [-1.0, 2000.0, 0.25]]
    assert panel.lengths.tolist() == [2, 1, 3]


def test_panel_takes_na_and_blanks_at_the_end_of_a_line_for_its_end(tmp_path):
    assert read_panel(written(tmp_path, "H1,605,NA, ")).series[0].tolist() == [605.0]


def test_series_of_a_panel_end_in_the_last_row():
    panel = Panel(("a", "b"), (np.array([1.0, 2.0, 3.0]), np.array([4.0])))
    np.testing.assert_array_equal(panel.ended_together(), [[1, np.nan], [2, np.nan], [3, 4]])
    np.testing.assert_array_equal(panel.ended_together(2), [[2, np.nan], [3, 4]])
    np.testing.assert_array_equal(panel.ended_together(4)[0], [np.nan, np.nan])


def test_blocks_of_a_panel_hold_each_series_once():
    panel = Panel(tuple("abcde"), tuple(np.full(n, float(n)) for n in range(1, 6)))
    parts = list(panel.blocks(2))
    assert [part.names for part in parts] == [("a", "b"), ("c", "d"), ("e",)]
    assert [len(part.ended_together()) for part in parts] == [2, 4, 5]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["H1,1,2", "H1,3"], "Hourly-train.csv, line 3: series 'H1' is also in line 2; rename or remove one"),
        (["H1,1", ",2"], "line 3: the series has no name"),
        (["H1,1,x,3"], r"line 2, series 'H1': column 3 holds 'x'; give numbers"),
        (["H1,1,,3"], "line 2, series 'H1': column 3 is empty before a later value"),
        (["H1,inf"], "line 2, series 'H1': column 2 holds 'inf'"),
        (["H1,1e40"], "line 2, series 'H1': column 2 holds '1e40'; give numbers up to 1e[+]36"),
        (["H1,,NA"], "line 2, series 'H1': there is no value; remove the line"),
        ([], "Hourly-train.csv holds no series"),
    ],
    ids=["twice", "nameless", "text", "gap", "infinite", "huge", "empty", "nothing"],
)
def test_panel_that_cannot_be_used_names_file_line_and_series(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        read_panel(written(tmp_path, *lines))


def test_panel_without_a_header_is_refused_before_its_first_series_is_lost(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("H1,605,586\n")
    with pytest.raises(DataError, match=r"bare\.csv, line 1: its second cell is the number 605; put a header"):
        read_panel(path)
    path.write_text("H1\n")
    with pytest.raises(DataError, match=r"bare\.csv, line 1: a header of two or more columns"):
        read_panel(path)


def test_panel_that_is_missing_or_no_text_is_an_error_of_the_data(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        read_panel(tmp_path / "none.csv")
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"V1,V2\nH\xff,1\n")
    with pytest.raises(DataError, match=r"bytes\.csv cannot be read as a table of series"):
        read_panel(path)


def test_panel_with_too_many_values_says_so_before_it_holds_them(tmp_path, monkeypatch):
    monkeypatch.setattr("timellm.data.panel.MOST_VALUES", 3)
    assert MOST_VALUES > 11_000_000  # the largest file of the competition
    with pytest.raises(DataError, match="holds more than 3 values at line 3; divide it"):
        read_panel(written(tmp_path, "H1,1,2", "H2,1,2"))
