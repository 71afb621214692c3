"""Verbs that look inside a finished run: the attention of its patches, and whether it explains the forecasts."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.bar import Bar
from timellm.cli.output import check_out, write_out
from timellm.cli.results import opened, run_inputs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from timellm.explain.profiles import Head


def attention(arguments: argparse.Namespace) -> Answer:
    """Write the attention of one window as a picture, or as numbers.

    Raises:
        TimeLLMError: the run folder, the window or the output file cannot be used.
    """
    from timellm.explain.attention import window_attention
    from timellm.explain.profiles import attention_profile
    from timellm.explain.reader import AttentionReader
    from timellm.plots.attention import AttentionPicture, Scale
    from timellm.plots.attention_html import attention_html
    from timellm.plots.attention_print import attention_figure

    check_figure(arguments, ".html")
    prepared, reader = opened(arguments.run_dir).prepared(), AttentionReader.open(arguments.run_dir)
    channel = arguments.channel or prepared.table.channels[0]
    found = window_attention(reader, prepared, channel=channel, cutoff=parse_moment(arguments.cutoff))
    head = _head(arguments.head, len(found.weights))
    top = found.top(max(arguments.prototypes, 1), head)
    average = attention_profile(reader, prepared).average(head) if arguments.deviation else None
    weights = found.matrix(head) if average is None else found.matrix(head) - average
    labels = tuple(found.label(i) for i in top)
    scale = Scale.of(len(found.words), deviation=arguments.deviation)
    picture = AttentionPicture(weights[:, top], labels, found.spans, found.context, scale)
    whose = {None: "mean of all heads", "max": "maximum over heads"}.get(arguments.head, f"head {arguments.head}")
    title = f"{found.channel}, window to {found.context.index[-1]}, {whose}"
    write_figure(
        arguments.out,
        lambda: attention_figure(picture, title=title),
        lambda: found.frame(head, less=average).reset_index(),
        page=lambda: attention_html(picture, title=title),
    )
    mean = found.matrix(head).mean(axis=0)
    most = [{"prototype": int(i) + 1, "words": found.words[i], "attention": float(mean[i])} for i in top]
    data = {
        "out": arguments.out.resolve(),
        "channel": channel,
        "head": head + 1 if isinstance(head, int) else head,
        "deviation": arguments.deviation,
        "window": {"start": found.context.index[0], "end": found.context.index[-1]},
        "patches": found.weights.shape[1],
        "most_attended": most,
    }
    text = columns(("prototype", "words", "attention"), [tuple(row.values()) for row in most])
    return Answer(data, f"{arguments.out}: {channel}\n\n{text}")


def faithfulness(arguments: argparse.Namespace) -> Answer:
    """Say whether attention explains the run's forecasts, and write the curves as a picture or as numbers.

    Raises:
        TimeLLMError: the run folder, the backbone, the window or the output file cannot be used.
    """
    from timellm.errors import ConfigError
    from timellm.explain.faithfulness import faithfulness as measure
    from timellm.explain.study import OneWindow
    from timellm.forecasting.fitted import FittedRun
    from timellm.plots.faithful_print import faithfulness_figure
    from timellm.training.progress import Progress

    if arguments.out is not None:
        check_figure(arguments)
    cutoff = parse_moment(arguments.cutoff)
    if cutoff is not None and arguments.channel is None:
        raise ConfigError("--cutoff names the end of one channel's window; give --channel, too")
    with Bar() as bar:
        found = measure(
            arguments.run_dir,
            channel=arguments.channel,
            windows=arguments.windows,
            one=None if cutoff is None else OneWindow(arguments.channel, cutoff),
            load=lambda: FittedRun.load(arguments.run_dir, trust_remote_code=arguments.trust_remote_code),
            on_part=lambda share: bar.show(
                Progress("evaluating", int(share * arguments.windows), arguments.windows, fraction=share)
            ),
        )
    study, sentences = found.study, [found.answer.sentence]
    if study is None:
        if arguments.out is not None:
            sentences.append(f"Nothing was worked out, so {arguments.out} was not written.")
        return Answer({"answer": found.answer.word, "sentence": found.answer.sentence}, "\n".join(sentences))
    if found.one is not None:
        sentences.append(found.one.sentence())
    sentences.extend([*study.sentences(), *found.notes])
    frames = study.frames()
    if arguments.out is not None:
        title = found.title(arguments.run_dir.resolve().name)
        write_figure(
            arguments.out,
            lambda: faithfulness_figure(frames, areas=study.areas(), title=title),
            study.frame,
        )
        sentences.insert(0, f"{arguments.out}:")
    data = {
        "answer": found.answer.word,
        "sentence": found.answer.sentence,
        "out": arguments.out and arguments.out.resolve(),
        **study.to_dict(),
        "notes": found.notes,
    }
    rows = study.frame()[["unit", "order", "share", "moved", "error"]].itertuples(index=False, name=None)
    table = columns(("masked", "order", "share", "forecast moves by", "error changes by"), rows)
    return Answer(data, "\n".join([*sentences, "", table]))


def check_figure(arguments: argparse.Namespace, *more: str) -> None:
    """Make sure, before anything is worked out, that --out names a file of a known kind that can be written.

    `more` are endings that this verb knows beside those of every figure.

    Raises:
        ConfigError: it does not.
    """
    from timellm.errors import ConfigError
    from timellm.plots.exporting import FORMATS

    check_out(arguments.out, force=arguments.force, inputs=run_inputs(arguments.run_dir, None))
    known = [*(f".{format}" for format in FORMATS), *more, ".csv", ".parquet"]
    if arguments.out.suffix.lower() not in known:
        raise ConfigError(f"--out {arguments.out}: end its name in {', '.join(known[:-1])} or {known[-1]}")


def write_figure(
    out: Path,
    figure: Callable[[], Figure],
    numbers: Callable[[], pd.DataFrame],
    *,
    page: Callable[[], str] | None = None,
) -> None:
    """Write a figure, its numbers, or the page on which it can be explored, by the ending of the file's name.

    Raises:
        ConfigError: it cannot be written.
    """
    from timellm.data.exported import write_csv
    from timellm.plots.exporting import FORMATS, figure_bytes

    ending = out.suffix.lower().removeprefix(".")
    format = next((one for one in FORMATS if one == ending), None)
    if format is not None:
        content = figure_bytes(figure(), format)
        write_out(out, lambda path: path.write_bytes(content))
        return
    if page is not None and ending == "html":
        text = page()
        write_out(out, lambda path: path.write_text(text, encoding="utf-8"))
        return
    frame = numbers()
    write_out(out, frame.to_parquet if ending == "parquet" else lambda path: write_csv(frame, path))


def _head(asked: str | None, heads: int) -> Head:
    from timellm.errors import ConfigError

    if asked is None:
        return None
    if asked == "max":
        return "max"
    if not (asked.isdecimal() and 1 <= int(asked) <= heads):
        raise ConfigError(f"--head {asked}: the run has heads 1 to {heads}; or write max")
    return int(asked) - 1


def parse_moment(text: str | None) -> pd.Timestamp | None:
    """The moment that --cutoff names; None if it is not given.

    Raises:
        ConfigError: it is no timestamp.
    """
    import pandas as pd

    from timellm.errors import ConfigError

    try:
        return None if text is None else pd.Timestamp(text)
    except ValueError:
        raise ConfigError(f"--cutoff '{text}' is not a timestamp; write it like 2020-01-31 13:00") from None
