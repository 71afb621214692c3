"""Which words of the prompt the patches read: bars of words, and a heatmap of tokens by patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from timellm.plots.prompt import ReadPicture, read_chart, words_chart
from timellm.plots.prompt_print import read_figure
from timellm.ui import charts, keys
from timellm.ui.address import ALL_LAYERS, ITS_HEADS
from timellm.ui.errors import explained
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.seeing.prompt_tokens import seen
from timellm.ui.seeing.working import Report, on_button, working
from timellm.ui.words import moment, plain

if TYPE_CHECKING:
    from timellm.explain.prompt import WindowPrompt
    from timellm.explain.prompt_attention import PromptAttention

_MOST_WORDS, FEWEST_TOKENS, MOST_TOKENS = 20, 10, 160


def show(chosen: Chosen, prompt: WindowPrompt) -> None:
    """Draw the button, and what came of it."""
    config = chosen.results.run.config
    if not config.model.layers_run:
        st.info(
            f"One trained layer reads the prompt in this run (body: {config.model.body}), not a language model. Its "
            "attention is not shown.",
            icon=":material/info:",
        )
        return
    st.caption(
        "The language model's own attention from the patches to the tokens of the prompt. A long bar: the patches give "
        "much of their attention to this word. It shows where they look, not what it does to the forecast."
    )
    if not prompt.causal:
        st.caption(
            "This backbone reads in both directions: prompt and patches read each other, so a word of the prompt also "
            "stands for what it has read of the patches."
        )
    run = chosen.results.run
    with explained("The attention cannot be read"):
        found: PromptAttention | None = on_button(
            "Read the attention",
            keys.view("prompt", "reading"),
            lambda report: _work(chosen, report),
            result=("reading", str(run.run_dir), str(run.ended), chosen.channel, str(chosen.cutoff)),
            icon=":material/visibility:",
        )
    if found is not None:
        _result(chosen, found)


def _work(chosen: Chosen, report: Report) -> PromptAttention:
    from timellm.explain.prompt_attention import PromptAttentionReader

    run = chosen.results.run
    key = ("plain", str(run.run_dir), str(run.ended))
    reader = working().model(key, lambda: PromptAttentionReader.open(run.run_dir))
    report(0.9)
    return reader.of(chosen.channel, chosen.cutoff)


def _result(chosen: Chosen, found: PromptAttention) -> None:
    from timellm.explain.prompt_attention import SINK

    left, middle, right = st.columns([2, 2, 3], vertical_alignment="bottom")
    layers, heads = [None, *range(found.layers)], [None, *range(found.heads)]
    layer = left.selectbox(
        "Layer", layers, format_func=lambda one: ALL_LAYERS if one is None else f"Layer {one + 1}",
        **keys.in_address("layer", layers),
    )  # fmt: skip
    head = middle.selectbox(
        "Head", heads, format_func=lambda one: ITS_HEADS if one is None else f"Head {one + 1}",
        **keys.in_address("layer_head", heads),
    )  # fmt: skip
    without = right.toggle("Leave out the attention sinks", **keys.in_address("sinks"))
    shares = found.shares(layer, head)
    st.markdown(
        f"The patches give **{shares.first:.1%}** of their attention to the first token, **{shares.sinks:.1%}** to "
        f"other sinks, **{shares.rest:.1%}** to the rest of the prompt, and **{shares.patches:.1%}** to themselves."
    )
    sinks = found.sinks(layer, head)
    names = ", ".join(
        f"“{plain(seen(token.strip()) or '␣')}” in “{plain(seen(word))}”"
        for token, word in found.sink_words(layer, head)
    )
    st.caption(
        f"Sinks here: {names}. Much attention to the first token or to a few others is usual: language models rest "
        "there what they have no use for. It says nothing about these words. A token counts as a sink if it gets more "
        f"than {SINK:.0f} times an even share."
    )
    words = found.words(layer, head)
    others = words[~words["sink"]].sort_values("attention", ascending=False, kind="stable")
    best = ", ".join(f"“{plain(seen(one.word))}” ({one.attention:.1%})" for one in others.head(3).itertuples())
    words = words[~words["sink"]] if without else words
    most = words.sort_values("attention", ascending=False, kind="stable").head(_MOST_WORDS)
    st.markdown(f"Apart from words with a sink, most is read of {best}.")
    charts.draw(words_chart, tuple(most["word"]), most["attention"].to_numpy(), alt="The words that are read most")

    weights_PL, tokens = found.to_prompt(layer, head), found.prompt.tokens
    left_out = set(sinks) if without else set()
    places = np.array([place for place in range(len(tokens)) if place not in left_out])
    most_tokens = min(len(places), MOST_TOKENS)
    if most_tokens > FEWEST_TOKENS:
        offered = range(FEWEST_TOKENS, most_tokens + 1)
        count = st.slider(
            "Tokens shown, those that are read most", FEWEST_TOKENS, most_tokens, min(40, most_tokens),
            **keys.in_address("tokens", offered),
        )  # fmt: skip
        places = np.sort(places[np.argsort(-weights_PL[:, places].sum(axis=0), kind="stable")[:count]])
    picture = ReadPicture(
        weights_PL[:, places], tuple(tokens[place].text for place in places),
        found.context.index[found.spans_P2[:, 0]],
    )  # fmt: skip
    charts.draw(read_chart, picture, alt="Attention of each patch to each token of the prompt")
    where = (ALL_LAYERS if layer is None else f"layer {layer + 1}").lower()
    downloads.offer(
        f"prompt-attention-{chosen.results.run.id}",
        lambda: read_figure(picture, title=f"{chosen.channel}, window to {moment(chosen.cutoff)}, {where}"),
        lambda: found.frame(layer, head),
    )
