"""The M4 protocol on small panels of its own: plan, runs through the real pipeline, errors, table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from timellm.data.panel import read_panel
from timellm.data.table import load_table
from timellm.errors import CheckpointError, ConfigError, DataError
from timellm.forecasting.artifacts import RunFolder
from timellm.pipeline import fit
from timellm.protocols.m4 import M4
from timellm.protocols.m4_sets import M4_SETS
from timellm.protocols.m4_table import M4Reference
from timellm.protocols.protocol import Measured

LENGTHS = {"Q1": 60, "Q2": 44, "Q3": 71, "Q4": 52, "Q5": 58, "Q6": 12, "Q7": 8}
"""Q6 is shorter than a context of 16, Q7 has nothing before the 8 values of its validation."""


def line(name: str, values: np.ndarray) -> str:
    return ",".join([name, *(f"{value:.6f}" for value in values)])


def series(length: int, seed: int) -> np.ndarray:
    rows, noise = np.arange(length + 8), np.random.default_rng(seed).normal(0, 1, length + 8)
    return 100 * (seed + 1) + 0.5 * rows + 10 * np.sin(rows * np.pi / 2) + noise


def write(folder: Path, *, held_out=lambda values: values, lengths=LENGTHS) -> Path:
    """A folder with the quarterly set; `held_out` changes its held-out values."""
    folder.mkdir()
    training, test = ["V1,V2,V3"], ["V1,V2,V3"]
    for seed, (name, length) in enumerate(lengths.items()):
        values = series(length, seed)
        training.append(line(name, values[:-8]))
        test.append(line(name, held_out(values[-8:])))
    (folder / "Quarterly-train.csv").write_text("\n".join(training) + "\n")
    (folder / "Quarterly-test.csv").write_text("\n".join(test) + "\n")
    return folder


def plan(folder: Path, *settings: str, **given: list[str]):
    return M4.plan(M4.asked(folder, {"sets": ["Quarterly"], "models": ["ridge"]} | given, settings))


@pytest.fixture
def panel(tmp_path) -> Path:
    return write(tmp_path / "panel")


def measured(cell, numbers) -> Measured:
    return Measured(cell.key, {}, numbers, 1.0, 2.0, "here", {"python": "3"}, "2026-01-01")


def test_what_is_there_is_planned_and_what_is_missing_is_named_with_its_source(panel):
    found = plan(panel, sets=["Yearly", "Quarterly"], models=["ridge", "dlinear"], seeds=["0", "1"])
    assert [(one.key["model"], one.key["seed"]) for one in found.cells] == [
        ("ridge", 0), ("dlinear", 0), ("dlinear", 1)
    ]  # fmt: skip
    assert [one.name for one in found.missing] == ["Yearly-train.csv", "Yearly-test.csv", "submission-Naive2.csv"]
    assert "repository M4-methods of Mcompetitions, folder Dataset/Train" in str(found.missing[0])
    task = found.cells[0].config.task
    assert (task.context, task.horizon, task.split) == (16, 8, "63/8/8")
    assert found.notes == (
        "Quarterly: 1 series are left out, such as Q7: it has 8 training values, and validation takes 8",
    )


def test_series_end_together_on_rows_whose_last_ones_are_held_out(panel):
    config = plan(panel).cells[0].config
    table = load_table(config.data)
    training, test = read_panel(panel / "Quarterly-train.csv"), read_panel(panel / "Quarterly-test.csv")
    assert table.channels == ("Q1", "Q2", "Q3", "Q4", "Q5", "Q6")
    assert len(table.values) == max(LENGTHS.values()) + 8
    for number, name in enumerate(table.channels):
        values = table.values[name].to_numpy()
        np.testing.assert_array_equal(values[-8:], test.series[number])
        np.testing.assert_array_equal(values[:-8][-LENGTHS[name] :], training.series[number])
        assert np.isnan(values[: -LENGTHS[name] - 8]).all()


def test_planning_again_finds_the_same_table_and_another_file_makes_another(panel, tmp_path):
    paths = [
        plan(folder).cells[0].config.data.path for folder in (panel, panel, write(tmp_path / "x", held_out=np.flip))
    ]
    assert paths[0] == paths[1] != paths[2]


SHORT = ("steps=4", "batch_size=8", "validations=2")
SMALL = ("layers=2", "d_model=8", "d_ff=8", "heads=2", "prototypes=20", "linear_path=none")


@pytest.mark.parametrize(
    ("model", "settings"), [("ridge", ()), ("dlinear", SHORT), ("time_llm", (*SHORT, *SMALL))],
    ids=["ridge", "dlinear", "time_llm"],
)  # fmt: skip
def test_errors_are_those_of_the_competition_and_held_out_values_change_no_forecast(
    tmp_path, tiny_backbone, model, settings
):
    forecasts, numbers = [], []
    settings += (f"backbone={tiny_backbone}",) if model == "time_llm" else ()
    for name, change in (("seen", lambda values: values), ("other", lambda values: values[::-1] * 3 + 50)):
        (cell,) = plan(write(tmp_path / name, held_out=change), *settings, models=[model]).cells
        folder = tmp_path / f"run-{name}"
        fit(cell.config, run_dir=folder)
        run = RunFolder(folder)
        index, forecast = run.test_windows(run.prepared())
        assert index.channel.tolist() == [0, 1, 2, 3, 4] and len(set(index.origin.tolist())) == 1
        forecasts.append(forecast)
        numbers.append(M4.measure(cell, folder))
    np.testing.assert_array_equal(*forecasts)
    smape, mase = [], []
    for seed, name in enumerate(list(LENGTHS)[:5]):
        values = series(LENGTHS[name], seed)
        error = np.abs(values[-8:] - forecasts[0][seed])
        smape.append(np.mean(200 * error / (np.abs(values[-8:]) + np.abs(forecasts[0][seed]))))
        mase.append(np.mean(error) / np.mean(np.abs(values[4:-8] - values[:-12])))
    np.testing.assert_allclose([numbers[0]["smape"], numbers[0]["mase"]], [np.mean(smape), np.mean(mase)], rtol=1e-6)
    naive2 = numbers[0]["rules"]["Naive2"]
    ratios = numbers[0]["smape"] / naive2["smape"] + numbers[0]["mase"] / naive2["mase"]
    assert numbers[0]["owa"] == pytest.approx(ratios / 2) and naive2["owa"] == 1
    assert numbers[1]["smape"] > numbers[0]["smape"]
    assert (numbers[0]["series"], numbers[0]["without"], numbers[0]["series_without"]) == (5, ["Q6"], 2)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_series_with_room_for_a_test_window_alone_is_forecast_by_what_the_others_taught(tmp_path):
    folder = write(tmp_path / "panel", lengths={"Q1": 60, "Q2": 44, "Q3": 20})
    (cell,) = plan(folder).cells
    fit(cell.config, run_dir=tmp_path / "run")
    prepared = RunFolder(tmp_path / "run").prepared()
    assert 2 not in prepared.windows("validation").channel and 2 not in prepared.windows("training").channel
    numbers = M4.measure(cell, tmp_path / "run")
    assert (numbers["series"], numbers["without"]) == (3, [])


def test_reference_forecasts_are_those_of_the_whole_training_series(panel):
    path = Path(plan(panel).cells[0].config.data.path)
    reference = M4Reference.read(path)
    values = series(60, 0)[:-8]
    assert reference.naive_error_N[0] == pytest.approx(np.abs(values[4:] - values[:-4]).mean(), rel=1e-6)
    held_out, repeated = series(60, 0)[-8:], np.tile(values[-4:], 2)
    expected = np.mean(200 * np.abs(held_out - repeated) / (np.abs(held_out) + np.abs(repeated)))
    assert reference.rules["Seasonal naive"].smape_N[0] == pytest.approx(expected, rel=1e-6)
    assert reference.naive2 is reference.rules["Naive2"]


def test_forecasts_of_the_competition_are_what_owa_is_measured_against_where_they_are_there(panel):
    lines = ["id,F1,F2,F3,F4,F5,F6,F7,F8,F9,F10", "Y1,1,2,3,4,5,6,NA,NA,NA,NA"]
    lines += [line(name, np.full(8, 100.0)) + ",NA,NA" for name in LENGTHS]
    (panel / "submission-Naive2.csv").write_text("\n".join(lines) + "\n")
    found = plan(panel)
    reference = M4Reference.read(Path(found.cells[0].config.data.path))
    assert not found.missing
    assert reference.naive2 is reference.rules["Naive2 (the competition's file)"]
    held_out = series(60, 0)[-8:]
    assert reference.naive2.smape_N[0] == pytest.approx(np.mean(200 * np.abs(held_out - 100) / (held_out + 100)))


def test_files_that_do_not_belong_together_are_refused(panel):
    lines = (panel / "Quarterly-test.csv").read_text().splitlines()
    (panel / "Quarterly-test.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match=r"Quarterly-test\.csv lacks 1 series of the training file, such as 'Q7'"):
        plan(panel)
    (panel / "Quarterly-test.csv").write_text("\n".join([*lines[:-1], "Q7,1,2"]) + "\n")
    with pytest.raises(DataError, match="series 'Q7' has 2 values and not 8, the horizon of the competition"):
        plan(panel)


@pytest.mark.parametrize("decided", ["channels=Q1", "split=60%/20%/20%", "layout=long", "frequency=D", "seed=3"])
def test_setting_that_the_files_decide_is_refused(panel, decided):
    with pytest.raises(ConfigError, match="the options of the protocol decide this setting"):
        plan(panel, decided)


def test_made_up_dates_reach_no_model(panel):
    for settings, words in (
        (["linear_features=calendar"], "linear_features=calendar would read the dates of the rows"),
        (["linear_features=auto"], "linear_features=auto would read the dates"),
        (["closed_weekdays=sunday"], "closed_weekdays=sunday would read the dates"),
    ):
        with pytest.raises(ConfigError, match=words):
            plan(panel, *settings)
    with pytest.raises(ConfigError, match="words on the calendar, on holidays or on days"):
        plan(panel, "prompt_calendar=true", models=["time_llm"])
    (cell,) = plan(panel, models=["time_llm"]).cells
    assert cell.config.model.linear_features == "plain" and not cell.config.model.tells_time


def test_patches_and_averages_are_shorter_where_a_context_has_no_room_for_them(tmp_path):
    folder = tmp_path / "yearly"
    folder.mkdir()
    for part, count in (("train", 40), ("test", 6)):
        values = [line(f"Y{n}", series(40, n)[:count]) for n in range(3)]
        (folder / f"Yearly-{part}.csv").write_text("\n".join(["V1,V2", *values]) + "\n")
    (cell,) = plan(folder, sets=["Yearly"], models=["time_llm"]).cells
    model = cell.config.model
    assert (model.context, model.patch_length, model.stride) == (12, 6, 3)
    (dlinear,) = plan(folder, "context=16", sets=["Yearly"], models=["dlinear"]).cells
    assert dlinear.config.task.context == 16 and dlinear.config.forecaster.moving_average == 15


def test_damaged_reference_is_refused(panel):
    path = Path(plan(panel).cells[0].config.data.path).with_suffix(".json")
    path.write_text(path.read_text().replace("Q1", "Q9"))
    with pytest.raises(CheckpointError, match="is what M4 forecasts are measured against, so remove it"):
        plan(panel)


def measured_cell(name: str, series: int, smape: float, *, model: str = "ridge", seed: int = 0) -> Measured:
    rule = {"smape": 10.0, "mase": 2.0, "owa": 1.0}
    numbers = {
        "context": 16, "horizon": 8, "adds_nothing": series == 3, "series": series,
        "without": ["Q6"] if series == 1 else [], "series_without": int(series == 1),
        "smape": smape, "mase": 1.0, "owa": (smape / 10 + 0.5) / 2,
        "naive2_smape": 10.0, "naive2_mase": 2.0, "rules": {"Naive2": rule},
    }  # fmt: skip
    key = {"set": name, "model": model, "seed": seed}
    return Measured(key, {}, numbers, 3.0, 4.0, "here", {"python": "3"}, "2026-01-01")


def test_table_has_rules_above_models_and_means_over_series_of_several_sets():
    table = M4.table([measured_cell("Hourly", 3, 8.0), measured_cell("Weekly", 1, 4.0)])
    assert [(row[0], row[4], *row[6:9]) for row in table.rows] == [
        ("Weekly", "Naive2", "10.000", "2.000", "1.000"),
        ("Weekly", "ridge", "4.000", "1.000", "0.450"),
        ("Hourly", "Naive2", "10.000", "2.000", "1.000"),
        ("Hourly", "ridge", "8.000", "1.000", "0.650"),
        ("Weekly + Hourly", "ridge", "7.000", "1.000", "0.600"),
    ]
    assert any(note.startswith("Hourly, ridge: no step of the training had a surely") for note in table.notes)
    assert not any(note.startswith("Weekly, ridge: no step") for note in table.notes)
    assert any(note.startswith("Weekly, ridge: 1 series are not scored, such as Q6.") for note in table.notes)


def test_sets_have_the_horizons_and_seasons_of_the_competition():
    assert {name: (one.horizon, one.season) for name, one in M4_SETS.items()} == {
        "Yearly": (6, 1), "Quarterly": (8, 4), "Monthly": (18, 12),
        "Weekly": (13, 1), "Daily": (14, 1), "Hourly": (48, 24),
    }  # fmt: skip


SERIES = {"Yearly": 23_000, "Quarterly": 24_000, "Monthly": 48_000, "Weekly": 359, "Daily": 4_227, "Hourly": 414}


def whole_rows(series: dict[str, int], *, errors: dict[int, float], model: str = "time_llm") -> list[dict[str, str]]:
    """The last rows of a table with these sets; `errors` are SMAPE by seed, the same of each set."""
    cells = [measured_cell(name, count, smape, model=model, seed=seed)
             for name, count in series.items() for seed, smape in errors.items()]  # fmt: skip
    table = M4.table(cells)
    return [dict(zip(table.header, row, strict=True)) for row in table.rows if " + " in row[0]]


def test_paper_is_beside_a_row_over_all_series_of_the_competition():
    (row,) = whole_rows(SERIES, errors={0: 11.0, 1: 12.0, 2: 13.0})
    assert (row["series"], row["seeds"]) == ("100,000", "3")
    assert (row["SMAPE"], row["MASE"], row["OWA"]) == ("12.000 ± 1.000", "1.000 ± 0.000", "0.850 ± 0.050")
    assert row["paper"] == "Time-LLM (7B) 11.98 / 1.60 / 0.859"
    assert row["difference"] == "SMAPE +0.02, within noise; MASE -0.60, beyond noise; OWA -0.009, within noise"
    (one,) = whole_rows(SERIES, errors={0: 12.0})
    assert one["difference"].startswith("SMAPE +0.02, one seed;")
    assert whole_rows(SERIES, errors={0: 12.0}, model="ridge")[0]["paper"] == "", "no paper reports a ridge"


@pytest.mark.parametrize(
    ("series", "count"),
    [({"Weekly": 359, "Hourly": 414}, "773"), (SERIES | {"Yearly": 22_999}, "99,999")],
    ids=["two sets", "one series has no error"],
)
def test_row_over_fewer_series_is_not_compared_and_says_so(series, count):
    (row,) = whole_rows(series, errors={0: 12.0})
    assert row["paper"] and row["difference"] == f"cannot be compared: {count} of 100,000 series"


def test_sets_with_different_seeds_have_a_mean_without_a_spread():
    cells = [measured_cell("Weekly", 359, smape, model="dlinear", seed=seed) for seed, smape in ((0, 8.0), (1, 10.0))]
    table = M4.table([*cells, measured_cell("Hourly", 359, 5.0, model="dlinear")])
    last = dict(zip(table.header, table.rows[-1], strict=True))
    assert (last["set"], last["seeds"], last["SMAPE"]) == ("Weekly + Hourly", "", "7.000")
    assert any("arXiv 2310.01728" in note and "all 100,000 series" in note for note in table.notes)


def test_workspace_that_cannot_be_written_is_named(panel, monkeypatch):
    monkeypatch.setenv("TIMELLM_HOME", "/proc/no-place")
    with pytest.raises(DataError, match=r"M4 Quarterly cannot be laid out as a table .*and /proc/no-place writable"):
        plan(panel)
