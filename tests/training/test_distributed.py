"""Several processes train as one: two that talk over gloo against one with the same global batch.

The processes are real ones, started by torchrun as users start them; each start costs seconds, so that one start serves
several tests: every file of `cases` is a run, and its result lands beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import timellm
from tests.conftest import SMALL
from tests.kept_forecasts import kept_forecasts
from timellm.forecasting.artifacts import RunFolder
from timellm.training.checkpoint import ADAPTER

ROOT = Path(__file__).resolve().parents[2]
STILL = {"dropout": 0.0, "backbone_dtype": "float32", "device": "cpu"}
"""Without dropout, whose numbers differ between processes."""
WITHOUT_EFFECT = "reprogramming.key.bias"
"""Keys are centred, so that its gradient is the rounding alone."""
CASES = {
    "plain": {},
    "uneven": {"batch_size": 7, "accumulation": 3},
    "fewer windows than processes": {"batch_size": 1},
    "patience": {"steps": 60, "validations": 30, "patience": 2, "learning_rate": 0.3},
    "stopped": {},
    "no such table": {"path": "nowhere.csv"},
}
ALONE = ("stopped", "no such table")
"""Cases that one process does not do, too."""
WORKER = """
import json, os, shutil, sys
from pathlib import Path
import timellm
from timellm.training import state

# What only the main process may decide: the others would say something else.
main = os.environ["RANK"] == "0"
state.StateFile.due = lambda _: main
for case in sys.argv[1:]:
    case = json.loads(case)
    config = timellm.RunConfig.from_dict(case["config"])
    heard = []

    def on_progress(progress):
        assert main, "only the main process reports"
        heard.append((progress.phase, progress.done, progress.train_loss, progress.validation_loss))
        if case.get("copy_at") == progress.done and progress.phase == "training" and progress.learning_rate:
            shutil.copytree(case["run_dir"], case["copy"])  # what a process that was killed here would leave

    def should_stop():
        assert main, "only the main process is asked"
        return case.get("stop_at") is not None and any(done >= case["stop_at"] for phase, done, *_ in heard)

    try:
        result = timellm.fit(config, run_dir=case["run_dir"], on_progress=on_progress, should_stop=should_stop)
        answer = {"summary": result.summary, "stopped": result.stopped}
    except timellm.errors.TimeLLMError as error:
        answer = {"error": str(error)}
    path = Path(case["run_dir"]).with_suffix(f".{os.environ['RANK']}.json")
    path.write_text(json.dumps(answer | {"heard": heard}))
"""


def torchrun(processes: int, *cases: dict) -> subprocess.CompletedProcess:
    """Fit `cases` one after the other in so many processes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "--no-python"]
    process = subprocess.Popen(
        [sys.executable, *launcher, sys.executable, "-c", WORKER, *map(json.dumps, cases)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said, told = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            process.terminate()  # killed, it would leave its workers behind
            process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, said, told)


def answer(folder: Path, rank: int) -> dict:
    return json.loads(folder.with_suffix(f".{rank}.json").read_text())


@pytest.fixture(scope="module")
def settings(hourly_csv, tiny_backbone) -> dict:
    return {"backbone": str(tiny_backbone), **SMALL, **STILL, "steps": 12, "validations": 3, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def config_of(hourly_csv, settings):
    return lambda **changes: timellm.RunConfig.create(**({"path": hourly_csv} | settings | changes))


@pytest.fixture(scope="module")
def pairs(config_of, tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """For each case the folder of two processes and that of one."""
    base = tmp_path_factory.mktemp("pairs")
    cases = [
        {
            "config": config_of(**changes).to_dict(),
            "run_dir": str(base / name / "two"),
            "stop_at": 5 if name == "stopped" else None,
        }
        for name, changes in CASES.items()
    ]
    for name in CASES:
        (base / name).mkdir()
    done = torchrun(2, *cases)
    assert done.returncode == 0, done.stderr[:3000]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, changes in [(name, changes) for name, changes in CASES.items() if name not in ALONE]:
        timellm.fit(config_of(**changes), run_dir=base / name / "one")
    torch.set_num_threads(threads)
    return {name: (base / name / "two", base / name / "one") for name in CASES}


def assert_close(ours: Path, theirs: Path) -> None:
    left, right = load_file(ours / ADAPTER), load_file(theirs / ADAPTER)
    assert left.keys() == right.keys()
    for name in left.keys() - {WITHOUT_EFFECT}:
        # Adam divides by the gradient's size, so that a rounding can turn the step of a weight that hardly matters.
        assert float((left[name] - right[name]).norm()) <= 2e-3 * float(right[name].norm()) + 1e-6, name


@pytest.mark.parametrize("case", ["plain", "uneven", "fewer windows than processes"])
def test_two_processes_learn_what_one_learns(pairs, case):
    two, one = pairs[case]
    theirs, ours = RunFolder(one).summary(), RunFolder(two).summary()
    assert ours["processes"] == 2 and theirs["processes"] == 1
    assert ours["steps"] == theirs["steps"] == 12
    assert ours["best_validation_loss"] == pytest.approx(theirs["best_validation_loss"], rel=1e-4)
    assert ours["test"] == pytest.approx(theirs["test"], rel=1e-3)
    assert_close(two, one)


def test_every_process_returns_the_result_and_the_main_one_alone_writes(pairs):
    two, one = pairs["plain"]
    assert answer(two, 0)["summary"] == answer(two, 1)["summary"] == RunFolder(two).summary()
    assert answer(two, 1)["heard"] == []
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    assert len(kept_forecasts(RunFolder(two)).forecast["Time-LLM"]) == RunFolder(one).summary()["test_windows"]


def test_losses_on_the_way_are_those_of_one_process(pairs, config_of, tmp_path):
    two, _ = pairs["uneven"]
    heard = []
    timellm.fit(
        config_of(**CASES["uneven"]), run_dir=tmp_path / "one",
        on_progress=lambda progress: heard.append((progress.phase, progress.done, progress.train_loss)),
    )  # fmt: skip
    expected = [entry for entry in heard if entry[0] == "training"]
    ours = [(phase, done, loss) for phase, done, loss, _ in answer(two, 0)["heard"] if phase == "training"]
    assert [entry[:2] for entry in ours] == [entry[:2] for entry in expected]
    assert [entry[2] for entry in ours] == pytest.approx([entry[2] for entry in expected], rel=1e-4)


def test_all_processes_end_when_patience_runs_out(pairs):
    two, one = pairs["patience"]
    ours, theirs = RunFolder(two).summary(), RunFolder(one).summary()
    assert ours["ended_early"] and theirs["ended_early"]
    assert ours["steps"] < 60


def test_run_of_several_processes_goes_on_to_the_same_weights(config_of, tmp_path):
    """With dropout, which every process draws for itself; three processes, whose sums depend on their order."""
    config = config_of(dropout=0.2, batch_size=8).to_dict()
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done = torchrun(
        3,
        {"config": config, "run_dir": str(whole), "copy_at": 7, "copy": str(cut)},
        {"config": config, "run_dir": str(cut)},
    )
    assert done.returncode == 0, done.stderr[:3000]
    assert RunFolder(whole).summary()["processes"] == 3
    heard = [step for phase, step, *_ in answer(cut, 0)["heard"] if phase == "training"]
    assert 6 <= min(heard) <= 8, "it goes on where it was cut"
    left, right = load_file(cut / ADAPTER), load_file(whole / ADAPTER)
    assert all(torch.equal(left[name], right[name]) for name in right)
    ours, theirs = RunFolder(cut).scores().to_dict(), RunFolder(whole).scores().to_dict()
    assert ours == theirs


def test_stop_reaches_all_processes_and_one_process_takes_over(pairs, config_of):
    two, _ = pairs["stopped"]
    for rank in (0, 1):
        stopped = answer(two, rank)
        assert stopped["stopped"] and 5 <= stopped["summary"]["steps"] <= 6
    finished = timellm.fit(config_of(), run_dir=two)
    assert finished.summary["steps"] == 12 and finished.summary["processes"] == 1


def test_error_of_the_main_process_is_raised_in_all(pairs):
    two, _ = pairs["no such table"]
    assert answer(two, 0)["error"] == answer(two, 1)["error"]
    assert "nowhere.csv" in answer(two, 1)["error"]
