"""The verb that looks at the prompt of a run: its tokens, and what it does to the forecast."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from timellm.cli.answer import Answer, columns
from timellm.cli.explaining import check_figure, parse_moment, write_figure
from timellm.cli.results import opened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from timellm.explain.prompt import WindowPrompt
    from timellm.forecasting.artifacts import RunFolder

_MOST_WORDS = 15
_PICTURES = (".png", ".svg", ".pdf")


def prompt(arguments: argparse.Namespace) -> Answer:
    """Say what the prompt of a window is, and what another one, or none of a sentence, does to the forecast.

    Raises:
        TimeLLMError: the run folder, the window, a change or the output file cannot be used.
    """
    from timellm.explain.prompt import check_prompt

    folder = opened(arguments.run_dir)
    check_prompt(folder.config())
    if arguments.out is not None:
        check_figure(arguments)
    arguments.channel = arguments.channel or folder.table().channels[0]
    if arguments.windows is not None:
        return _sentences(arguments, folder)
    if arguments.attention:
        return _attention(arguments)
    return _changed(arguments, folder) if arguments.settings else _tokens(arguments)


def _tokens(arguments: argparse.Namespace) -> Answer:
    from timellm.errors import ConfigError

    found = _prompt(arguments)
    if arguments.out is not None and arguments.out.suffix.lower() in _PICTURES:
        raise ConfigError(f"--out {arguments.out}: tokens are no picture; end its name in .csv or .parquet")
    _write(arguments, None, lambda: found.frame().reset_index())
    frame, own = found.frame(), len(found.tokens) - found.shared
    kept = "cached, the same for all windows" if found.causal else "the same for all windows, read anew for each"
    data = _facts(found) | {"tokens": frame.to_dict("records"), "patches": found.patches, "limit": found.most}
    text = f"{found.text}\n\n{len(found.tokens)} tokens: {found.shared} {kept}; {own} of this window alone"
    return Answer(data, text + ("" if found.most is None else f"; the backbone reads at most {found.most:,}"))


def _changed(arguments: argparse.Namespace, folder: RunFolder) -> Answer:
    from timellm.explain.prompt import PromptReader, edited
    from timellm.explain.prompted import PromptedRun, change_prompt
    from timellm.plots.prompt import ChangedPicture
    from timellm.plots.prompt_print import changed_figure

    _refuse_nothing_added(folder)
    reader = PromptReader.open(arguments.run_dir)
    cutoff = parse_moment(arguments.cutoff)
    own = reader.of(arguments.channel, cutoff)
    other = reader.with_tokens(edited(own.facts, dict(map(_change, arguments.settings))))
    other.check_length()
    series = folder.table().values[arguments.channel]
    cutoff = series.index[-1] if cutoff is None else cutoff
    run = PromptedRun.open(arguments.run_dir, trust_remote_code=arguments.trust_remote_code)
    found = change_prompt(run, other.text, channel=arguments.channel, cutoff=cutoff)

    def figure() -> Figure:
        steps = found.original.index
        context, actual = series.loc[:cutoff].iloc[-2 * len(steps) :], series.loc[steps[0] : steps[-1]]
        picture = ChangedPicture(context, actual, found.original, found.changed)
        return changed_figure(picture, title=f"{arguments.channel}, forecast after {cutoff}")

    _write(arguments, figure, found.frame)
    data = {
        "channel": arguments.channel,
        "cutoff": cutoff,
        "prompt": own.text,
        "changed_prompt": other.text,
        "mean_absolute_change": found.size,
        "share_of_deviation": found.share,
        "forecast": found.frame().to_dict("records"),
    }
    share = f", {found.share:.2%} of the forecast's own deviation" if found.share == found.share else ""
    text = f"{other.text}\n\nThe forecast changes by {found.size:,.5g} on average{share}."
    return Answer(data, text)


def _sentences(arguments: argparse.Namespace, folder: RunFolder) -> Answer:
    from timellm.explain.prompted import PromptedRun
    from timellm.explain.sentences import sentence_effects
    from timellm.plots.prompt import EffectsPicture
    from timellm.plots.prompt_print import effects_figure

    _refuse_nothing_added(folder)
    run = PromptedRun.open(arguments.run_dir, trust_remote_code=arguments.trust_remote_code)
    found = sentence_effects(run, run.prepared.windows("test").evenly(arguments.windows))
    frame = found.frame()

    def figure() -> Figure:
        mean_E, low_E, high_E = (frame[name].to_numpy() for name in ("change", "change_p10", "change_p90"))
        title = "change, share of the own deviation"
        controls = int((frame["kind"] == "control").sum())
        picture = EffectsPicture(tuple(frame["part"]), mean_E, low_E, high_E, title, controls)
        return effects_figure(picture, title=f"Prompt left out in parts, {found.windows} windows")

    _write(arguments, figure, lambda: frame)
    shown = ["part", "change", "change_p10", "change_p90", "error", "error_p10", "error_p90"]
    data = {"windows": found.windows, "parts": frame.to_dict("records"), "answer": found.sentence()}
    rows = [tuple(one if isinstance(one, str) else f"{one:+.2%}" for one in row) for row in frame[shown].to_numpy()]
    return Answer(data, f"{columns(shown, rows)}\n\n{found.sentence()}")


def _attention(arguments: argparse.Namespace) -> Answer:
    from timellm.explain.prompt_attention import PromptAttentionReader
    from timellm.plots.prompt import ReadPicture
    from timellm.plots.prompt_print import read_figure

    reader = PromptAttentionReader.open(arguments.run_dir, trust_remote_code=arguments.trust_remote_code)
    found = reader.of(arguments.channel, parse_moment(arguments.cutoff))

    def figure() -> Figure:
        labels = tuple(token.text for token in found.prompt.tokens)
        picture = ReadPicture(found.to_prompt(), labels, found.context.index[found.spans_P2[:, 0]])
        title = f"{arguments.channel}, window to {found.context.index[-1]}, mean of all layers and heads"
        return read_figure(picture, title=title)

    _write(arguments, figure, lambda: found.frame().reset_index())
    shares, words = found.shares(), found.words()
    data = _facts(found.prompt) | {
        "causal": found.causal,
        "first_token": shares.first,
        "other_sinks": shares.sinks,
        "rest_of_prompt": shares.rest,
        "patches": shares.patches,
        "words": words.to_dict("records"),
    }
    sinks = [f"in '{word}'" for _, word in found.sink_words()[1:]]
    most = words[~words["sink"]].sort_values("attention", ascending=False, kind="stable").head(_MOST_WORDS)
    rows = [(word, f"{share:.2%}") for word, share in zip(most["word"], most["attention"], strict=True)]
    text = (
        f"The patches give {shares.first:.1%} of their attention to the first token, {shares.sinks:.1%} to other "
        f"attention sinks ({', '.join(sinks) or 'none'}), {shares.rest:.1%} to the rest of the prompt and "
        f"{shares.patches:.1%} to themselves. Words that are read most, without the sinks:\n\n"
    )
    return Answer(data, text + columns(("word", "attention"), rows))


def _change(text: str) -> tuple[str, str]:
    from timellm.errors import ConfigError
    from timellm.explain.prompt import EDITABLE

    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set '{text}' is not NAME=TEXT; a prompt has {', '.join(EDITABLE)}")
    return name.strip(), value


def _prompt(arguments: argparse.Namespace) -> WindowPrompt:
    from timellm.explain.prompt import PromptReader

    return PromptReader.open(arguments.run_dir).of(arguments.channel, parse_moment(arguments.cutoff))


def _facts(found: WindowPrompt) -> dict[str, Any]:
    return {"prompt": found.text, "token_count": len(found.tokens), "shared_tokens": found.shared}


def _write(
    arguments: argparse.Namespace, figure: Callable[[], Figure] | None, numbers: Callable[[], pd.DataFrame]
) -> None:
    if arguments.out is not None:
        assert figure is not None or arguments.out.suffix.lower() not in _PICTURES
        write_figure(arguments.out, figure or _no_figure, numbers)


def _no_figure() -> Figure:
    raise AssertionError("tokens are no picture")


def _refuse_nothing_added(folder: RunFolder) -> None:
    from timellm.errors import ConfigError

    if folder.adds_nothing():
        raise ConfigError(
            "the prompt cannot move this run's forecast: no step of its training improved on the linear path"
            " enough to be kept, and the language model adds nothing"
        )
