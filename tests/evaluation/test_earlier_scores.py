"""Files of scores that version 1 wrote, with wide rows and no points, still open."""

import json
from pathlib import Path

import pandas as pd
import pytest

from timellm.errors import CheckpointError
from timellm.evaluation.comparisons import COMPARISONS, read_comparisons
from timellm.evaluation.judge import judge
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.scores import Scores
from timellm.files.sealed import read_sealed_json

RUNS = Path(__file__).parents[1] / "earlier" / "version-1"
VERSION_1_MODELS = ("Time-LLM", "Last value", "Seasonal naive")


@pytest.fixture(params=["finished", "stopped"])
def tree(request) -> dict:
    return read_sealed_json(RUNS / request.param / "scores.json")


def test_files_of_version_1_open_with_their_numbers(tree):
    opened = Scores.from_dict(tree)
    assert opened.models == VERSION_1_MODELS
    assert (opened.own, opened.notes, opened.scored.window_set) == ("Time-LLM", tuple(tree["notes"]), "")
    assert (opened.scored.windows, opened.scored.horizon, opened.scored.season) == (50, 8, 0)
    for name in ("overall", "by_channel", "by_step"):
        before = pd.DataFrame(tree[name])
        pd.testing.assert_frame_equal(getattr(opened, name)[list(before)], before, check_dtype=False)
    assert opened.by_channel["points"].isna().all()
    verdict = judge(opened, "mae", comparisons=read_comparisons(RUNS / "finished" / COMPARISONS))
    assert "No test was made: the errors by window were not kept; evaluate the run again." in verdict.sentence()


def test_what_was_opened_is_written_in_today_s_form(tree):
    opened = Scores.from_dict(tree)
    again = Scores.from_dict(json.loads(json.dumps(opened.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(again.overall, opened.overall)
    assert set(METRICS) < set(again.by_step)


def test_files_of_version_1_that_lack_a_part_are_refused(tree):
    del tree["by_channel"]
    with pytest.raises(CheckpointError, match="the scores lack 'by_channel'"):
        Scores.from_dict(tree)
