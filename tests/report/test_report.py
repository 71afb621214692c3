"""A report is one file that needs nothing, says what the run's folder says, and takes no name for HTML."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.cli import main
from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.twins import TwinRow, TwinsReport
from timellm.forecasting.artifacts import RunFolder
from timellm.plots.report_print import forecast_figure
from timellm.report.facts import Known, Reported
from timellm.report.html import figure, number, paragraph, table, text
from timellm.report.page import report
from timellm.report.script import script_of
from timellm.workspace import PROJECT

EVIL, DOLLARS = "<script>alert('x')</script>", 'cost $a_b$ & "more"'
HORIZON = 12


@pytest.fixture(scope="session")
def evil_run(tmp_path_factory) -> Path:
    """A ridge run on a table whose channel and description would be HTML or a formula."""
    folder = tmp_path_factory.mktemp("evil")
    rows = np.arange(400)
    values = {EVIL: np.sin(rows * np.pi / 12) + rows / 100, DOLLARS: 50 + np.cos(rows * np.pi / 12)}
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=400, freq="h"), **values})
    frame.loc[5, DOLLARS] = np.nan
    frame.to_csv(folder / "t.csv", index=False)
    settings = {"kind": "ridge", "context": 48, "horizon": HORIZON, "description": f"Sales {EVIL}"}
    return timellm.fit(RunConfig.create(folder / "t.csv", **settings), run_dir=folder / "run").run_dir


@pytest.fixture(scope="session")
def naive_run(evil_run) -> Path:
    """Another forecaster on the same table."""
    config = RunFolder(evil_run).config().updated(kind="naive")
    return timellm.fit(config, run_dir=evil_run.parent / "naive").run_dir


@pytest.fixture(scope="session")
def page(evil_run) -> str:
    """The report of that run, with all that a store would know."""
    curve = pd.DataFrame({"step": [1, 2, 3], "train_loss": [3.0, np.nan, 1.0], "validation_loss": [np.nan, 2.0, 1.5]})
    row = TwinRow("run", "The run", 1.0, 0.9, None, None, "", None, 1.0, 10.0, 100.0)
    twins = TwinsReport((row,), "no", f"No: {EVIL} is as good.", 100, 10.0)
    known = Known(name=f"Plan {EVIL}", note=EVIL, tags=("a&b",), curve=curve, twins=twins)
    return report([Reported.of(evil_run, known)])


class Elements(HTMLParser):
    """Counts elements, and collects texts, ids and addresses."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags, self.ids, self.addresses, self.texts = [], [], [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "action", "data", "srcset") or name.startswith("on"):
                self.addresses.append((name, value))

    def handle_data(self, data):
        self.texts.append(data)


def test_report_needs_no_network_and_runs_no_script(page):
    found = Elements(page)
    assert not {"script", "link", "iframe", "img", "object", "embed", "form"} & set(found.tags)
    assert all(name in ("href", "xlink:href") and value.startswith("#") for name, value in found.addresses)
    assert "@import" not in page and "default-src 'none'" in page
    outside = set(re.findall(r"https?://[^\"' <]+", page))
    assert all(one.startswith("http://www.w3.org/") for one in outside), outside  # names of SVG, which nobody fetches


def test_names_of_the_user_stay_text(page):
    found = Elements(page)
    said = " ".join(found.texts)
    assert EVIL in said and DOLLARS in said and f"Sales {EVIL}" in said and f"Plan {EVIL}" in said
    assert EVIL not in page


def test_report_is_small_and_its_figures_share_no_id(page):
    assert len(page.encode()) < 3_000_000
    found = Elements(page)
    assert found.tags.count("svg") >= 5
    assert len(found.ids) == len(set(found.ids))
    for name in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page):
        assert (name[0] or name[1]) in found.ids


def test_report_says_what_the_folder_says(page, evil_run):
    said = " ".join(Elements(page).texts)
    folder = RunFolder(evil_run)
    scores = folder.scores()
    assert folder.verdict("mae").sentence() in said
    for model in scores.models:
        assert model in said and number(scores.error(model, "mae")) in said
    assert folder.coverage().sentence(80) in said
    for words in (
        "Horizon, rows",
        "Is the language model earning its cost?",
        "Training",
        "1 value is missing",
        "has no value in 1 row",
        "checks found nothing: ",
    ):
        assert words in said
    assert script_of(Reported.of(evil_run)).splitlines()[0] in said


def test_report_of_a_folder_alone_leaves_out_what_is_not_known(evil_run):
    texts = Elements(report([Reported.of(evil_run)])).texts
    said = " ".join(texts)
    assert "Training" not in [text.strip() for text in texts] and "earning its cost" not in said
    assert evil_run.name in said


def test_large_table_makes_a_small_report(tmp_path):
    """Twelve channels that are drawn of 240,000 values, and a horizon of 700."""
    rows = 20_000
    hours = pd.date_range("2019-01-01", periods=rows, freq="h")
    rng = np.random.default_rng(0)
    values = {f"channel {number}": rng.normal(size=rows).round(3) for number in range(12)}
    from timellm.plots.report_print import overview_figure

    frame = pd.DataFrame(values, index=hours)
    split = [("train", hours[0]), ("validation", hours[14_000]), ("test", hours[16_000])]
    drawn = figure(overview_figure(frame, split), alt="all", name="a")
    ahead = pd.Series(rng.normal(size=700), pd.date_range(hours[-1], periods=701, freq="h")[1:])
    history = frame["channel 1"].iloc[-2100:]
    one = figure(forecast_figure(history, {"m": ahead}, {80: (ahead - 1, ahead + 1)}), alt="one", name="b")
    assert len(drawn) + 8 * len(one) < 2_000_000


def test_comparison_has_one_leaderboard_and_the_settings_that_differ(evil_run, naive_run):
    content = report([Reported.of(evil_run), Reported.of(naive_run)])
    found = Elements(content)
    said = " ".join(found.texts)
    assert "Comparison of 2 runs" in said and "All on the same" in said and EVIL not in content
    differ = said.split("Settings in which they differ")[1].split("Data")[0]
    assert "ridge" in differ and "naive" in differ
    assert "Linear maps" not in differ, "a naive has no such setting, and the ridge has its default"
    assert len(found.ids) == len(set(found.ids)) and len(content.encode()) < 3_000_000


def test_runs_on_other_windows_are_said_not_to_compare(evil_run, naive_run):
    other = Reported.of(naive_run)
    scores = RunFolder(naive_run).scores()
    vars(other)["scores"] = replace(scores, scored=replace(scores.scored, window_set="0123456789abcdef"))
    said = " ".join(Elements(report([Reported.of(evil_run), other])).texts)
    assert "not scored on the same windows" in said and "Leaderboard" not in said


@pytest.mark.parametrize(("count", "message"), [(0, "one to 8 runs"), (2, "named twice"), (9, "one to 8 runs")])
def test_wrong_number_of_runs_is_refused(evil_run, count, message):
    with pytest.raises(ConfigError, match=message):
        report([Reported.of(evil_run)] * count)


def test_damaged_run_is_refused(evil_run, tmp_path):
    shutil.copytree(evil_run, tmp_path / "run")
    (tmp_path / "run" / "scores.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"scores\.json is damaged"):
        report([Reported.of(tmp_path / "run")])


def test_texts_and_numbers_of_the_parts():
    assert text("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"
    assert (text(None), text(float("nan")), text(1234567), text(0.00012346)) == ("–", "–", "1,234,567", "0.0001235")
    assert text("a\x00b\u202ec") == "a\ufffdb\ufffdc"
    assert paragraph("a", None, "b") == "<p>a b</p>" and paragraph("") == ""
    assert 'class="number">1.500<' in table(["x"], [[1.5]]) and "number" not in table(["x"], [["word"]])


def test_dollar_signs_begin_no_formula():
    series = pd.Series([1.0, 2.0], pd.date_range("2024-01-01", periods=2))
    drawn = figure(forecast_figure(series, {r"$\frac{1}{0}$ $bad{": series}, {}), alt="x", name="n")
    assert r"$\frac{1}{0}$ $bad{" in drawn
    assert matplotlib.rcParams["text.parse_math"] is True, "the setting is put back"


def test_program_repeats_the_run_to_the_same_forecast(evil_run, tmp_path):
    program = tmp_path / "repeat.py"
    assert main(["report", str(evil_run), "--script", str(program)]) == 0
    words = [sys.executable, str(program), str(evil_run.parent / "t.csv"), "again"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    again, before = RunFolder(tmp_path / "again"), RunFolder(evil_run)
    pd.testing.assert_frame_equal(again.future(), before.future())
    assert again.config().differences(before.config()).keys() <= {"path"}
    assert len(pd.read_csv(tmp_path / "again-forecast.csv")) == 2 * HORIZON


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def test_program_holds_names_as_literals_only(evil_run, tmp_path):
    nasty = tmp_path / '"""\nimport os #'
    shutil.copytree(evil_run, nasty)
    program = script_of(Reported.of(nasty))
    compiled = compile(program, "repeat.py", "exec")
    assert "os" not in compiled.co_names


def test_command_writes_the_report_and_refuses_what_it_cannot(evil_run, naive_run, tmp_path, capsys):
    out = tmp_path / "r.html"
    assert main(["report", str(evil_run), "--out", str(out)]) == 0
    assert "r.html" in capsys.readouterr().out and out.read_text().startswith("<!doctype html>")
    assert main(["report", str(evil_run), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["report", str(evil_run)]) == 2
    assert "name a file for the report" in capsys.readouterr().err
    assert main(["report", str(evil_run), str(naive_run), "--script", str(tmp_path / "s.py")]) == 2
    assert "--script repeats one run" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "x.html")]) == 2
    assert "not a run folder" in capsys.readouterr().err
