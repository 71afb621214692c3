"""What a prompt says of columns known ahead: what they do in the horizon, and what they did in the context.

The sentence has a name and a few numbers for each of the first columns, so that its length is bounded by the settings.
It reads rows of the horizon, which are known ahead, and rows of the context; never a value of a channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timellm.data.known import Known

MOST_TOLD = 4
"""Columns that are told of, the first ones: each costs tokens in every window."""
_LONGEST = -1.23e-36


def known_words(known: Known, *, origin: int, channel: int, context: int, horizon: int) -> str:
    """The sentence for a window that begins its forecast at row `origin`; empty where nothing is known there."""
    at = channel if known.by_channel else 0
    parts = []
    for place, name in enumerate(known.names[:MOST_TOLD]):
        values_S = known.values_SNK[:, at, place]
        ahead = _known(values_S[origin : origin + horizon])
        before = _known(values_S[max(origin - context, 0) : origin])
        if not len(ahead):
            continue
        texts = len(known.categories.get(name, ()))
        if texts > 2:
            parts.append(_changes(name, int((np.diff(ahead) != 0).sum()), len(ahead)))
        elif texts or set(np.unique(np.concatenate([ahead, before]))) <= {0.0, 1.0}:
            parts.append(_on(name, int(ahead.sum()), len(ahead), int(before.sum()), len(before)))
        else:
            past = (before.min(), before.max()) if len(before) else None
            parts.append(_range(name, ahead.min(), ahead.max(), past))
    return _sentence(parts)


def known_examples(names: Sequence[str], *, context: int, horizon: int) -> list[str]:
    """Sentences of every form for columns of these names, among them the longest; the first is empty."""
    names = names[:MOST_TOLD]
    longest = (_LONGEST, _LONGEST)
    return [
        "",
        _sentence([_on(name, horizon, horizon, context, context) for name in names]),
        _sentence([_changes(name, horizon, horizon) for name in names]),
        _sentence([_range(name, *longest, longest) for name in names]),
    ]


def _known(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def _on(name: str, ahead: int, of: int, before: int, of_before: int) -> str:
    return f"{name} on {ahead} of {of} steps, {before} of {of_before} before"


def _changes(name: str, times: int, of: int) -> str:
    return f"{name} changes {times} times in {of} steps"


def _range(name: str, low: float, high: float, before: tuple[float, float] | None) -> str:
    past = f", {before[0]:.3g} to {before[1]:.3g} before" if before else ""
    return f"{name} {low:.3g} to {high:.3g}{past}"


def _sentence(parts: Sequence[str]) -> str:
    return f"Known ahead: {'; '.join(parts)}. " if parts else ""
