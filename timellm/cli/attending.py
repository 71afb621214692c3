"""All views of the verb `attention`: heads side by side, conditions, two channels or runs, over training."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from timellm.cli.answer import Answer, columns
from timellm.cli.explaining import attention as heatmap
from timellm.cli.explaining import check_figure, parse_moment, write_figure
from timellm.cli.results import opened
from timellm.errors import ConfigError

_OWN = {"heatmap": ("head", "deviation"), "heads": (), "when": ("when",), "beside": ("beside",), "training": ()}
"""Options that only one view knows."""
_WITH_WINDOW = ("heatmap", "heads")


def attention(arguments: argparse.Namespace) -> Answer:
    """Write one view of a run's attention as a picture, or as numbers.

    Raises:
        TimeLLMError: the run folder, an option or the output file cannot be used.
    """
    foreign = [name for view, names in _OWN.items() if view != arguments.view for name in names]
    if arguments.view not in _WITH_WINDOW:
        foreign.append("cutoff")
    for name in foreign:
        if getattr(arguments, name):
            raise ConfigError(f"--{name} means nothing in the view '{arguments.view}'; leave it out, or change --view")
    if arguments.view != "heatmap":
        check_figure(arguments)
    return _VIEWS[arguments.view](arguments)


def _heads(arguments: argparse.Namespace) -> Answer:
    from timellm.explain.attention import window_attention
    from timellm.explain.heads import Heads
    from timellm.explain.period import PeriodAttention, labels
    from timellm.explain.reader import AttentionReader
    from timellm.plots.heads import HeadsPicture, heads_figure

    channel = _channel(arguments)
    if arguments.cutoff is None:
        period = PeriodAttention.open(arguments.run_dir, channel)
        heads, named, where = period.heads, period.labels, f"mean of {period.windows_read}"
    else:
        reader, prepared = AttentionReader.open(arguments.run_dir), opened(arguments.run_dir).prepared()
        found = window_attention(reader, prepared, channel=channel, cutoff=parse_moment(arguments.cutoff))
        heads, named = Heads.of(found.weights[None]), labels(reader.words)
        where = f"window to {found.context.index[-1]}"
    top = heads.top(arguments.prototypes)
    picture = HeadsPicture(
        heads.weights_hPV[:, :, top], tuple(named[i] for i in top), heads.effective_hP, heads.alike_hh
    )
    write_figure(
        arguments.out,
        lambda: heads_figure(picture, title=f"{channel}, {where}"),
        lambda: heads.frame(named).reset_index(),
    )
    rows = [{"head": number, "prototypes": effective} for number, effective in enumerate(heads.effective_h.tolist(), 1)]
    return _answer(arguments, channel, heads.sentence(where), rows)


def _when(arguments: argparse.Namespace) -> Answer:
    from timellm.explain.condition_names import parse_condition
    from timellm.explain.differences import differences
    from timellm.explain.period import PeriodAttention
    from timellm.plots.differences import DifferencesPicture, differences_figure

    if not arguments.when:
        raise ConfigError("the view 'when' needs --when: hours as 22-5, days as weekend, a month, or peak, rise, flat")
    condition, channel = parse_condition(arguments.when), _channel(arguments)
    period = PeriodAttention.open(arguments.run_dir, channel)
    found, labels = differences(period, condition), period.labels
    top = found.order()[: arguments.prototypes]
    picture = DifferencesPicture(
        tuple(labels[i] for i in top), found.difference_V[top], found.half_V[top], found.sure_V[top], found.all_V[top]
    )
    write_figure(
        arguments.out,
        lambda: differences_figure(picture, title=f"{channel}: patches that {condition.words}"),
        lambda: found.frame(labels).reset_index(),
    )
    rows = [
        {
            "prototype": labels[i],
            "here": float(found.mean_V[i]),
            "average": float(found.all_V[i]),
            "sure": bool(found.sure_V[i]),
        }
        for i in top
    ]
    return _answer(arguments, channel, found.sentence(period, condition), rows)


def _beside(arguments: argparse.Namespace) -> Answer:
    import pandas as pd

    from timellm.explain.comparison import compare
    from timellm.explain.period import PeriodAttention
    from timellm.plots.pairs import PairsPicture, pairs_figure

    if not arguments.beside:
        raise ConfigError("the view 'beside' needs --beside: another channel of the run, or the folder of another run")
    own, channel = opened(arguments.run_dir), _channel(arguments)
    first = PeriodAttention.open(arguments.run_dir, channel)
    if arguments.beside in own.prepared().table.channels:
        second, names = PeriodAttention.open(arguments.run_dir, arguments.beside), (channel, arguments.beside)
    else:
        folder = Path(arguments.beside)
        channels = opened(folder).prepared().table.channels
        of_other = channel if channel in channels else channels[0]
        second = PeriodAttention.open(folder, of_other)
        names = (f"{arguments.run_dir.resolve().name}: {channel}", f"{folder.resolve().name}: {of_other}")
    pairs = compare(first, second)
    picture = PairsPicture(names, pairs.labels, pairs.first_M, pairs.second_M)
    frame = pd.DataFrame({"prototype": pairs.labels, names[0]: pairs.first_M, names[1]: pairs.second_M})
    write_figure(
        arguments.out,
        lambda: pairs_figure(picture, title="Mean attention over the test period"),
        lambda: frame,
    )
    rows = frame.iloc[picture.named].to_dict("records")
    return _answer(arguments, channel, pairs.sentence(), rows)


def _training(arguments: argparse.Namespace) -> Answer:
    from timellm.explain.over_training import history_frame, history_sentence
    from timellm.explain.period import labels
    from timellm.forecasters.time_llm.attention_history import AttentionHistory
    from timellm.plots.attention_history import HistoryPicture, history_figure

    folder = opened(arguments.run_dir)
    found = AttentionHistory.read(arguments.run_dir)
    if found is None:
        raise ConfigError(
            f"{arguments.run_dir} kept nothing of its attention while it trained; train it with pinned_windows above 0"
        )
    words, top = labels(folder.words()), found.top(arguments.prototypes)
    named, kept = [words[i] for i in top], int(folder.summary().get("best_step") or 0)
    heads = tuple(f"Head {number + 1}" for number in range(found.effective_Kh.shape[1]))
    pictures = (
        HistoryPicture(found.step_K, found.effective_Kh, heads, kept, "prototypes", ".0f"),
        HistoryPicture(found.step_K, found.attention_KV[:, top], tuple(named), kept, "attention", ".2%"),
    )
    write_figure(
        arguments.out,
        lambda: history_figure(pictures, title=f"{arguments.run_dir.resolve().name}: attention over training"),
        lambda: history_frame(found, named, top).reset_index(),
    )
    rows = [
        {"step": int(step), "prototypes": float(effective)}
        for step, effective in zip(found.step_K, found.effective_Kh.mean(axis=1), strict=True)
    ]
    return _answer(arguments, None, history_sentence(found, prototypes=len(words), kept=kept), rows)


_VIEWS: dict[str, Callable[[argparse.Namespace], Answer]] = {
    "heatmap": heatmap, "heads": _heads, "when": _when, "beside": _beside, "training": _training,
}  # fmt: skip
VIEWS = tuple(_VIEWS)
"""What --view may be."""


def _channel(arguments: argparse.Namespace) -> str:
    channels = opened(arguments.run_dir).prepared().table.channels
    if arguments.channel is not None and arguments.channel not in channels:
        raise ConfigError(f"--channel {arguments.channel}: the run has {', '.join(channels)}")
    return str(arguments.channel or channels[0])


def _answer(
    arguments: argparse.Namespace, channel: str | None, sentence: str, rows: Sequence[Mapping[str, object]]
) -> Answer:
    """The sentence, and a table of what it rests on."""
    data = {
        "out": arguments.out.resolve(),
        "view": arguments.view,
        "channel": channel,
        "sentence": sentence,
        "rows": rows,
    }
    table = columns(tuple(rows[0]), [tuple(row.values()) for row in rows])
    return Answer(data, f"{arguments.out}: {sentence}\n\n{table}")
