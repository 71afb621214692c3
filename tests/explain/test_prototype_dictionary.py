"""The dictionary of a run's prototypes, and how much they are attended."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SMALL
from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.explain.attended import attended, shapes
from timellm.explain.dictionary import COLUMNS, MIXTURE, NEAR, prototype_dictionary
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.kept import DICTIONARY
from timellm.forecasting.artifacts import RunFolder
from timellm.pipeline import fit

EARLIER = Path(__file__).parents[1] / "earlier"
PAPER = {"prototype_source": "map", "attention_scores": "dot"}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory, hourly_csv, backbones):
    """Finished small runs by backbone and settings, each made once."""
    made: dict[str, Path] = {}

    def one(backbone: str = "llama", **settings) -> Path:
        key = f"{backbone} {settings}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("runs") / "run"
            fit(RunConfig.create(hourly_csv, backbone=str(backbones[backbone]), **SMALL | settings), run_dir=made[key])
        return made[key]

    return one


def all_weights(run_dir: Path) -> np.ndarray:
    """Attention [W, h, P, V] of every test window."""
    prepared = RunFolder(run_dir).prepared()
    return np.concatenate([w for _, w in AttentionReader.open(run_dir).over(prepared, prepared.windows("test"))])


@pytest.mark.parametrize("settings", [{}, PAPER], ids=["words", "map"])
@pytest.mark.parametrize("backbone", ["llama", "gpt2", "bert", "qwen2"])
def test_dictionary_has_a_row_for_each_prototype(run_of, backbone, settings):
    found = prototype_dictionary(run_of(backbone, **settings))
    assert [found.frame.index.name, *found.frame.columns] == list(COLUMNS)
    assert list(found.frame.index) == list(range(1, 21))
    assert found.frame["attended"].sum() == pytest.approx(1.0)
    others = {
        NEAR,
        MIXTURE,
        *(f"{verb} {one}" for verb in ("is", "near") for one in ("a stop word", "a word not shown")),
    }
    for words, what in zip(found.frame["words"], found.frame["what"], strict=True):
        assert what in others or what == f"is the word '{words.split(', ')[0]}'"
    assert (found.frame["largest_weights"] != "").all() == bool(settings)
    if not settings:
        assert (found.frame["started_at"] != "").all()


def test_share_and_effective_number_are_those_of_numpy(run_of):
    path = run_of()
    found, weights = attended(AttentionReader.open(path), RunFolder(path).prepared()), all_weights(path)
    np.testing.assert_allclose(found.share_V, weights.mean(axis=(0, 1, 2)), rtol=1e-5)
    effective = np.exp(-(weights * np.log(weights)).sum(axis=-1))
    assert found.effective == pytest.approx(np.median(effective), rel=1e-3)
    assert found.windows == found.of_windows == len(weights)


def test_thinned_windows_are_counted_and_said(run_of):
    path = run_of()
    found = attended(AttentionReader.open(path), RunFolder(path).prepared(), most_windows=7)
    assert (found.windows, found.of_windows) == (7, len(all_weights(path)))
    assert found.share_V.sum() == pytest.approx(1.0)


def test_paper_s_attention_is_called_even_and_that_by_directions_is_not(run_of):
    assert "practically even" in " ".join(prototype_dictionary(run_of(**PAPER)).sentences())
    words = prototype_dictionary(run_of())
    assert words.attended.effective < 20
    assert ("practically even" in " ".join(words.sentences())) == (words.attended.effective >= 18)


def test_shapes_attend_most_and_do_not_overlap(run_of):
    path = run_of()
    prepared = RunFolder(path).prepared()
    found = shapes(AttentionReader.open(path), prepared)
    assert len(found) == 20
    values = prepared.table.values
    for own in found:
        assert 1 <= len(own) <= 6
        assert [shape.attention for shape in own] == sorted((shape.attention for shape in own), reverse=True)
        rows = [(shape.channel, values.index.get_loc(shape.start), len(shape.values)) for shape in own]
        for place, (channel, first, size) in enumerate(rows):
            same = [(begin, length) for other, begin, length in rows[:place] if other == channel]
            assert all(first + size <= begin or begin + length <= first for begin, length in same)
            read = values[channel].to_numpy()[first : first + size]
            shape = own[place].values
            assert np.corrcoef(read, shape)[0, 1] > 0.999, "the patch is what the table has there"


def test_search_finds_words_at_the_end_and_at_the_start(run_of):
    found = prototype_dictionary(run_of())
    word = found.frame["started_at"].iloc[3]
    assert 4 in found.matching(f" {word.upper()} ").index
    assert 17 in found.matching("17").index
    assert found.matching("")["attended"].is_monotonic_decreasing and len(found.matching("")) == 20
    assert len(found.matching("no such word (")) == 0


def test_run_of_an_earlier_version_says_what_was_not_kept(run_of, tmp_path):
    path = Path(shutil.copytree(run_of(), tmp_path / "copy"))
    (path / DICTIONARY).unlink()
    found = prototype_dictionary(path)
    assert found.frame["cosine"].isna().all() and math.isnan(found.random_cosine)
    kinds, attention, _, moved = found.sentences()
    assert all("not kept by the version that made this run" in one for one in (kinds, moved))
    assert "prototypes in effect" in attention


@pytest.mark.parametrize("version", ["version-1", "version-2"])
def test_kept_runs_of_earlier_versions_have_a_dictionary(version):
    assert len(prototype_dictionary(EARLIER / version / "finished").frame) == 4


def test_run_that_kept_its_first_step_says_that_nothing_moved(run_of):
    path = run_of(linear_path="fixed", steps=1, validations=1, learning_rate=1e-9)
    found = prototype_dictionary(path)
    assert RunFolder(path).adds_nothing() and "every prototype is where it started" in found.sentences()[-1]
    assert found.frame["turned_degrees"].max() < 0.1


def test_run_without_prototypes_has_no_dictionary(run_of):
    with pytest.raises(ConfigError, match="no attention over text prototypes"):
        prototype_dictionary(run_of(reprogramming="linear"))
