"""The dictionary of prototypes on the Attention page."""

from __future__ import annotations

import json

import pytest
import torch

from timellm.files.sealed import write_sealed_json
from timellm.forecasters.time_llm.kept import DICTIONARY, PROTOTYPES, WORDS
from timellm.forecasters.time_llm.kept_dictionary import KeptDictionary
from timellm.forecasting.artifacts import RunFolder


@pytest.fixture
def named(finished):
    """A finished run whose folder says of its 24 prototypes what a run of this version keeps."""
    words = [["rise", "climb"], ["price", "cost"], *([f"word{i}", "other"] for i in range(22))]
    nearest = [0.995, 0.5, 0.1, 0.6, *[0.1] * 20]
    kept = KeptDictionary(
        random_cosine=0.25,
        cosines=[[cosine, cosine - 0.05] for cosine in nearest],
        nearest=nearest,
        unlisted=[None, None, "stop word", "stop word", *[None] * 20],
        heaviest=None,
        start_words=["fall", *[None] * 23],
        start_cosines=[0.5, *[1.0] * 23],
    )
    write_sealed_json(finished.run_dir / WORDS, words)
    write_sealed_json(finished.run_dir / DICTIONARY, kept.to_json())
    return finished


def open_dictionary(open_page, run, **choices):
    app = open_page("attention", run=run.id, view="Dictionary", **choices)
    assert not app.exception
    return app


def said(app) -> str:
    return " ".join(one.value for kind in (app.markdown, app.info, app.caption) for one in kind)


def test_table_has_every_prototype_and_sentences_give_the_numbers(open_page, named):
    app = open_dictionary(open_page, named)
    table = app.dataframe[0].value.set_index("prototype")
    assert len(table) == 24
    assert list(table.loc[[1, 2, 3], "what"]) == ["is the word 'rise'", "near words", "dense mixture"]
    assert table.loc[4, "what"] == "near a stop word"
    assert table["attended"].sum() == pytest.approx(100) and table["attended"].is_monotonic_decreasing
    assert '"label": "Attended, %"' in json.dumps(json.loads(app.dataframe[0].proto.columns))
    assert table.loc[1, "turned_degrees"] == pytest.approx(60)
    assert "1 are still vocabulary words, 2 lie near words (1 of them nearest to a stop word" in said(app).replace(
        "\\", ""
    )
    assert "and 21 are dense mixtures" in said(app)
    assert "prototypes in effect" in said(app) and "by 60.0 at most" in said(app)


def test_search_shows_the_prototypes_that_have_the_word_now_or_had_it(open_page, named):
    for text in ("RISE", "fall"):
        app = open_dictionary(open_page, named, word=text)
        assert list(app.dataframe[0].value["prototype"]) == [1]
        assert "Prototype 1: rise, climb" in app.subheader[0].value
        assert "It started at “fall”. Training turned it by 60.0 degrees" in said(app)
    assert 24 in list(open_dictionary(open_page, named, word="24").dataframe[0].value["prototype"])
    app = open_dictionary(open_page, named, word="nowhere")
    assert not app.dataframe and "No prototype has “nowhere” among its words" in said(app)


def test_selected_row_shows_its_prototype_and_the_patches_that_attend_to_it(open_page, named):
    app = open_dictionary(open_page, named)
    place = 4
    number = int(app.dataframe[0].value["prototype"].iloc[place])
    key = f"attention/dictionary/{named.id}/"
    app.session_state[key] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    app.run()
    assert app.subheader[0].value.startswith(f"Prototype {number}:")
    assert len(app.get("plotly_chart")) == 1
    assert [button.label for button in app.get("download_button")][-1] == "Download CSV"


def test_run_of_an_earlier_version_says_what_it_did_not_keep(open_page, finished):
    app = open_dictionary(open_page, finished)
    assert "not kept by the version that made this run" in said(app)
    assert {"cosine", "what", "started_at"}.isdisjoint(app.dataframe[0].value.columns)
    assert "“price”, stands on 24 prototypes (100.0%), so that names hardly tell the prototypes apart" in said(app)


def test_run_that_kept_its_first_step_says_that_nothing_moved(open_page, named):
    RunFolder(named.run_dir).save_summary({"adds_nothing": True})
    assert "every prototype is where it started" in said(open_dictionary(open_page, named))


def test_damaged_dictionary_is_told_and_ends_nothing(open_page, named):
    (named.run_dir / DICTIONARY).write_text("{}")
    app = open_dictionary(open_page, named)
    assert "This run cannot be looked into" in " ".join(one.value for one in app.error)


def test_prototypes_that_are_attended_alike_are_said_to_be(open_page, named):
    from timellm.files.tensorfile import write_tensors

    write_tensors(named.run_dir / PROTOTYPES, {"prototypes": torch.ones(24, 32)}, facts={"of": "prototypes"})
    assert "24 of 24 prototypes in effect, which is practically even attention" in said(
        open_dictionary(open_page, named)
    )
