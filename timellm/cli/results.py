"""Verbs that read a finished run folder: its forecast, its errors, its attention."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns

if TYPE_CHECKING:
    import pandas as pd

    from timellm.explain.attention import AttentionMap

METRICS = ("mae", "mse", "rmse", "smape", "mase", "mse_scaled", "mae_scaled")


def forecast(arguments: argparse.Namespace) -> Answer:
    """Write the forecast beyond the end of the run's table, or of a newer one.

    Raises:
        TimeLLMError: the run folder, the newer table or the output file cannot be used.
    """
    from timellm.data.table import load_table
    from timellm.forecasting.artifacts import RunFolder
    from timellm.forecasting.forecaster import Forecaster

    with _written_whole(arguments.out) as draft:
        table = None
        if arguments.data:
            config = RunFolder(arguments.run_dir).config()
            table = load_table(config.updated(path=str(arguments.data.resolve())).data)
        frame = Forecaster.load(arguments.run_dir).forecast(table)
        frame.to_csv(draft, index=False)
    channels, first, last = frame["unique_id"].nunique(), frame["ds"].min(), frame["ds"].max()
    data = {"out": arguments.out.resolve(), "rows": len(frame), "channels": channels, "start": first, "end": last}
    return Answer(data, f"{arguments.out}: {channels} channels, {first} to {last}")


def evaluate(arguments: argparse.Namespace) -> Answer:
    """The errors on the test part, beside those of the baselines.

    Raises:
        CheckpointError: the run folder has no scores.
    """
    from timellm.forecasting.artifacts import RunFolder

    scores = RunFolder(arguments.run_dir).scores()
    frame = {"overall": scores.overall, "channel": scores.by_channel, "step": scores.by_step}[arguments.by]
    shown = [name for name in (arguments.by, "model", *METRICS, "windows") if name in frame.columns]
    rows = frame[shown].itertuples(index=False, name=None)
    text = "\n".join([columns(shown, rows), "", scores.verdict(), *scores.notes])
    return Answer({**scores.to_dict(), "verdict": scores.verdict()}, text)


def attention(arguments: argparse.Namespace) -> Answer:
    """Write the attention of one window as a picture, or as numbers if the file ends in .csv.

    Raises:
        TimeLLMError: the run folder, the window or the output file cannot be used.
    """
    from timellm.explain.attention import attention_map
    from timellm.forecasting.artifacts import RunFolder

    with _written_whole(arguments.out) as draft:
        channel = arguments.channel or RunFolder(arguments.run_dir).table().channels[0]
        found = attention_map(arguments.run_dir, channel=channel, cutoff=_moment(arguments.cutoff))
        heads, patches, prototypes = found.weights.shape
        head = _head(arguments.head, heads)
        top = found.top(min(max(arguments.prototypes, 1), prototypes), head)
        if arguments.out.suffix.lower() == ".csv":
            found.frame(head).to_csv(draft)
        else:
            draft.write_bytes(_picture(found, top, head))
    matrix = found.matrix(head)
    most = [{"prototype": int(i) + 1, "words": found.words[i], "attention": float(matrix[:, i].mean())} for i in top]
    window = {"start": found.context.index[0], "end": found.context.index[-1]}
    data = {"out": arguments.out.resolve(), "channel": channel, "head": arguments.head, "patches": patches}
    text = columns(("prototype", "words", "attention"), [tuple(row.values()) for row in most])
    return Answer(data | {"window": window, "most_attended": most}, f"{arguments.out}: {channel}\n\n{text}")


def _picture(found: AttentionMap, top: list[int], head: int | None) -> bytes:
    from timellm.plots.attention import AttentionPicture
    from timellm.plots.attention_png import attention_png

    labels = tuple(f"{i + 1}: {found.words[i]}" for i in top)
    picture = AttentionPicture(found.matrix(head)[:, top], labels, found.spans, found.context)
    whose = "mean of all heads" if head is None else f"head {head + 1}"
    return attention_png(picture, title=f"{found.channel}, window to {found.context.index[-1]}, {whose}")


def _head(number: int | None, heads: int) -> int | None:
    from timellm.errors import ConfigError

    if number is not None and not 1 <= number <= heads:
        raise ConfigError(f"--head {number}: the run has heads 1 to {heads}")
    return None if number is None else number - 1


def _moment(text: str | None) -> pd.Timestamp | None:
    import pandas as pd

    from timellm.errors import ConfigError

    try:
        return None if text is None else pd.Timestamp(text)
    except ValueError:
        raise ConfigError(f"--cutoff '{text}' is not a timestamp; write it like 2020-01-31 13:00") from None


@contextlib.contextmanager
def _written_whole(out: Path) -> Iterator[Path]:
    """A file beside `out` that takes its name when all went well; a place that cannot be written is refused at once."""
    from timellm.errors import ConfigError

    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder; name a file")
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        draft.touch()
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from None
    try:
        yield draft
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)
