"""Tables that cannot be used say as data what is at fault, and which repair would help."""

import pickle

import pandas as pd
import pytest

from timellm.data.table import read_table
from timellm.errors import DataError
from timellm.quality.finding import as_data
from timellm.quality.refused import findings_of
from timellm.quality.words import said


def refused(path):
    with pytest.raises(DataError) as caught:
        read_table(path)
    return caught.value


def test_duplicates_are_counted_with_lines_and_whether_rows_are_alike(tmp_path):
    lines = ["ds,load", *(f"2024-01-{day:02},{day}" for day in range(1, 21))]
    path = tmp_path / "twice.csv"
    path.write_text("\n".join([*lines, "2024-01-05,5", "2024-01-06,7"]))
    (found,) = findings_of(refused(path))
    assert (found.kind, found.severity, found.effect, found.count) == ("duplicates", "grave", "refused", 2)
    assert [span.line for span in found.where] == [22, 23]
    assert found.values == {"timestamps": 2, "alike": 1}
    assert (found.repair.kind, found.repair.arguments) == ("aggregate", {"how": "mean"})
    path.write_text("\n".join([*lines, "2024-01-05,5"]))
    assert findings_of(refused(path))[0].repair.arguments == {"how": "first"}


def test_hour_that_comes_twice_in_autumn_is_a_change_of_the_clocks(tmp_path):
    local = pd.date_range("2023-01-01", "2024-12-31", freq="h", tz="UTC").tz_convert("Europe/Rome").tz_localize(None)
    path = tmp_path / "local.csv"
    pd.DataFrame({"ds": local, "load": range(len(local))}).to_csv(path, index=False)
    (found,) = findings_of(refused(path))
    assert (found.kind, found.count, found.values["zone"]) == ("daylight_saving", 2, "Europe/Berlin")
    assert found.values["days"] == 2
    assert (found.repair.kind, found.repair.arguments) == ("time_zone", {"zone": "Europe/Berlin"})
    assert "comes twice when clocks go back" in said(found).what


def test_irregular_steps_are_to_be_resampled_to_the_round_step_that_is_nearest(tmp_path):
    times = pd.date_range("2024-01-01", periods=200, freq="10min") + pd.to_timedelta(
        [(7 * i) % 41 for i in range(200)], unit="s"
    )
    path = tmp_path / "uneven.csv"
    pd.DataFrame({"ds": times, "load": range(200)}).to_csv(path, index=False)
    (found,) = findings_of(refused(path))
    assert found.kind == "irregular_steps"
    assert found.count > 100
    assert (found.repair.kind, found.repair.arguments) == ("resample", {"frequency": "10min", "how": "mean"})


def test_cells_that_are_no_numbers_are_listed_with_lines(tmp_path):
    path = tmp_path / "words.csv"
    cells = ["1", "2", "closed", "4", "low", "6", "closed", "8"]
    path.write_text("ds,load\n" + "\n".join(f"2024-01-0{day},{cell}" for day, cell in enumerate(cells, 1)))
    (found,) = findings_of(refused(path))
    assert (found.kind, found.channel, found.count) == ("non_numeric", "load", 3)
    assert found.values["texts"] == [{"text": "closed", "times": 2}, {"text": "low", "times": 1}]
    assert found.values["lines"] == [4, 6, 8]
    assert "'closed' 2 times" in said(found).what


def test_error_with_evidence_survives_being_copied(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("ds,load\n2024-01-01,1\n2024-01-01,1\n2024-01-02,3\n")
    error = refused(path)
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(copied) == str(error)
    assert [as_data(one) for one in findings_of(copied)] == [as_data(one) for one in findings_of(error)]


def test_column_of_words_beside_others_may_be_left_out(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text(
        "ds,load,note\n" + "\n".join(f"2024-01-0{day},{day},{'ok' if day == 3 else day}" for day in range(1, 9))
    )
    (found,) = findings_of(refused(path))
    assert (found.channel, found.repair.step) == ("note", "drop:channel:note")
