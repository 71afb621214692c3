"""What a run keeps of its prototypes beside their words."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from timellm.config import RunConfig
from timellm.errors import CheckpointError
from timellm.files.sealed import write_sealed_json
from timellm.files.tensorfile import read_tensors
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.kept import DICTIONARY, START, WORDS
from timellm.forecasters.time_llm.start_words import start_words
from timellm.forecasters.time_llm.unlisted import NO_NAME
from timellm.forecasting.artifacts import RunFolder
from timellm.pipeline import fit
from timellm.training.state import has_state


def stop_after(step: int):
    """Callbacks of a fit that stop it once the step is done."""
    done = []
    return {
        "on_progress": lambda now: done.append(now.done) if now.phase == "training" else None,
        "should_stop": lambda: bool(done) and done[-1] >= step,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory, hourly_csv, tiny_backbone) -> RunFolder:
    """A finished small run."""
    from tests.conftest import SMALL

    path = tmp_path_factory.mktemp("whole") / "run"
    settings = SMALL | {"learning_rate": 0.05}
    fit(RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **settings), run_dir=path)
    return RunFolder(path)


def test_start_and_end_of_prototypes_are_compared(whole):
    kept, config = whole.dictionary(), whole.config().model
    start_VD = start_words(load_backbone(config, device="cpu"), count=config.prototypes, start="spread").double()
    end_VD = whole.prototypes().double()
    expected = (start_VD * end_VD).sum(1) / start_VD.norm(dim=1) / end_VD.norm(dim=1)
    np.testing.assert_allclose(kept.start_cosines, expected, atol=1e-3)
    assert max(kept.start_cosines) < 0.9999, "training moved them, or this compares a thing with itself"
    assert all(kept.start_words) and kept.heaviest is None
    assert not (whole.path / START).exists(), "nothing goes on from here"


def test_stopped_and_resumed_run_keeps_its_true_start(whole, tmp_path):
    config, path = whole.config(), tmp_path / "run"
    assert fit(config, run_dir=path, **stop_after(3)).stopped
    assert has_state(path)
    stopped = RunFolder(path).dictionary()
    begun, _ = read_tensors(path / START, remedy="")
    assert fit(config, run_dir=path).summary["steps"] == config.trained.steps
    resumed, expected = RunFolder(path).dictionary(), whole.dictionary()
    assert resumed == expected
    assert np.mean(stopped.start_cosines) > np.mean(resumed.start_cosines)
    assert begun["prototypes"].shape == (config.model.prototypes, 32)


def test_training_that_an_earlier_version_began_says_nothing_of_its_start(whole, tmp_path):
    config, path = whole.config(), tmp_path / "run"
    fit(config, run_dir=path, **stop_after(3))
    (path / START).unlink()
    fit(config, run_dir=path)
    kept = RunFolder(path).dictionary()
    assert kept.start_words is None and kept.start_cosines is None
    assert kept.cosines == whole.dictionary().cosines


def test_paper_s_map_keeps_its_heaviest_words(tmp_path, small_config):
    path = tmp_path / "run"
    fit(small_config.updated(prototype_source="map", attention_scores="dot"), run_dir=path)
    kept = RunFolder(path).dictionary()
    sizes = [[abs(weight) for _, weight in row] for row in kept.heaviest]
    assert all(row == sorted(row, reverse=True) and len(row) == 5 for row in sizes)
    assert min(kept.start_cosines) < 0.99999 and set(kept.start_words) == {None}


def test_run_of_an_earlier_version_has_no_dictionary_and_shows_listed_words_alone(whole, tmp_path):
    folder = RunFolder(shutil.copytree(whole.path, tmp_path / "earlier"))
    (folder.path / DICTIONARY).unlink()
    write_sealed_json(folder.path / WORDS, [["the", "rise"], ["and", "with"], ["price", "Cost"]])
    assert folder.dictionary() is None
    assert folder.words() == [["rise"], [NO_NAME], ["price", "Cost"]]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("nearest", [0.5], "not 20 prototypes"),
        ("unlisted", ["curse"] * 20, "what no version says"),
        ("start_words", [3] * 20, "no text"),
        ("cosines", None, "damaged"),
    ],
)
def test_damaged_dictionary_is_refused(whole, tmp_path, name, value, why):
    folder = RunFolder(shutil.copytree(whole.path, tmp_path / "damaged"))
    write_sealed_json(folder.path / DICTIONARY, whole.dictionary().to_json() | {name: value})
    with pytest.raises(CheckpointError, match=why):
        folder.dictionary()


def test_dictionary_of_a_run_without_prototypes_is_not_written(tmp_path, small_config):
    path = tmp_path / "run"
    fit(small_config.updated(reprogramming="linear"), run_dir=path)
    assert not (path / DICTIONARY).exists() and not (path / START).exists()
