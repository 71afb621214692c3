"""Is attention faithful? What is attended most is taken away, and the forecast is watched.

Inputs: a finished run's folder, its backbone, and test windows spread evenly. Outputs: how far their forecasts move,
and their errors change, when prototypes or patches are masked, the most attended first, the least attended first and in
random orders; what integrated gradients say beside attention; and the linear path's share, which attention does not
touch.

- A prototype is masked by taking its score out before the softmax: the others share its weight as they stand to each
  other. Prototypes are ranked, window by window, by the attention that the page shows: the mean over heads and patches,
  read from the prototypes that the run keeps.
- A patch is masked by putting the window's mean patch in its place, as an embedding, so that level and scale stay and
  nothing strange comes in (timellm.forecasters.time_llm.masks). Attention does not weigh patches against each other:
  each patch spreads a weight of 1 over the prototypes. Patches are ranked by how far their attention lies from the
  average of their window (total variation, mean over heads), which is what stands out in the heatmap.
- A random order gives the units of all windows other names, by one permutation for all windows. So a random draw is
  what attention would look like if its prototypes had been shuffled, with all that windows have in common.
- The prompt is never masked. It tells the language model the window's least, greatest and median value, trend and lags.

Keeping only the most attended ones (insertion) is removing the least attended first, read from the other end.

Shapes: W windows, B windows of a batch, P patches, V prototypes, U units (P or V), O orders, K numbers, H horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import DataError
from timellm.explain.answer import ADDS_NOTHING, answer
from timellm.explain.attention import attention_map
from timellm.explain.gradients import Attributions, how_to_get_them
from timellm.explain.masked import BATCH, Moved, batches, moved, passes
from timellm.explain.orders import Attended, Orders, rank_correlations
from timellm.explain.parts import linear_path, shares
from timellm.explain.reader import AttentionReader
from timellm.explain.removals import Blocks, Removals
from timellm.explain.study import Faithfulness, Gradients, OneStudy, OneWindow, Study
from timellm.forecasters.time_llm.forecaster import TimeLLMForecaster
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun

WINDOWS = 64

Load = Callable[[], FittedRun]
OnPart = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1. What it raises ends the work."""


def faithfulness(
    run_dir: str | Path,
    *,
    channel: str | None = None,
    windows: int = WINDOWS,
    one: OneWindow | None = None,
    load: Load | None = None,
    on_part: OnPart = lambda share: None,
) -> Faithfulness:
    """Whether attention explains a run's forecasts, by some test windows spread evenly, of one channel or of all.

    The window `one` is measured, too, and does not count for the answer. `load` gives the run with its language
    model, where it is not to be loaded from its folder.

    Raises:
        BackboneError: the backbone cannot be loaded on this machine.
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no such attention.
        DataError: there is no such channel or window, or no test window of the channel.
    """
    folder = RunFolder(Path(run_dir))
    reader = AttentionReader.open(run_dir)
    if folder.adds_nothing():
        return Faithfulness(ADDS_NOTHING, None)
    apart = None if one is None else _find(one, folder)
    fitted = load() if load else FittedRun.load(run_dir)
    prepared = fitted.prepared
    index = _test_windows(prepared, channel=channel, count=windows)
    full = -(-len(index) // BATCH)
    share = full / (full + 1) if apart else 1.0  # of the work; one window is a batch of its own
    attended = Attended.read(reader, prepared, index)
    found = _measured(fitted, index, attended, on_part=lambda part: on_part(part * share))
    study = _study(found, attended, Blocks(index.origin, horizon=prepared.horizon))
    if folder.config().model.linear_path != "none":
        tested, forecast_WH = folder.test_windows(prepared)
        linear = shares(linear_path(folder.path), prepared, index=tested, forecast_WH=forecast_WH).linear_path
        study = replace(study, linear_share=linear)
    alone = None
    if one is not None and apart is not None:
        reading = (fitted, reader)
        alone = _alone(
            one, apart, reading, unit=study.deviation, on_part=lambda part: on_part(share + part * (1 - share))
        )
    notes = () if study.gradients else (how_to_get_them(),)
    return Faithfulness(answer(study.even, study.prototypes, study.patches), study, alone, notes)


def one_window(
    run_dir: str | Path,
    one: OneWindow,
    *,
    deviation: float,
    load: Load | None = None,
    on_part: OnPart = lambda share: None,
) -> OneStudy:
    """What masking does to the forecast of one window, in units of the `deviation` of a study of the run.

    `load` gives the run with its language model, where it is not to be loaded from its folder.

    Raises:
        BackboneError: the backbone cannot be loaded on this machine.
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no such attention.
        DataError: there is no such channel or window.
    """
    reader = AttentionReader.open(run_dir)
    index = _find(one, RunFolder(Path(run_dir)))
    fitted = load() if load else FittedRun.load(run_dir)
    return _alone(one, index, (fitted, reader), unit=deviation, on_part=on_part)


def _find(one: OneWindow, folder: RunFolder) -> WindowIndex:
    attention_map(folder.path, channel=one.channel, cutoff=one.cutoff)  # says what is wrong with it
    table = folder.table()
    origin = table.values.index.get_loc(one.cutoff) + 1
    return WindowIndex(np.array([table.channels.index(one.channel)]), np.array([origin]), 0)


def _measured(fitted: FittedRun, index: WindowIndex, attended: Attended, *, on_part: OnPart) -> Moved:
    """Mask the windows batch by batch."""
    assert isinstance(fitted.forecaster, TimeLLMForecaster)
    orders = _orders(attended)
    parts: list[Moved] = []
    each = passes(orders)
    total = each * -(-len(index) // BATCH)
    for which, opened, actual_BH in batches(fitted.forecaster, fitted.prepared, index):
        before = len(parts) * each

        def on_pass(done: int, before: int = before) -> None:
            on_part((before + done) / total)

        parts.append(moved(opened, actual_BH, [order.part(which) for order in orders], on_pass=on_pass))
    return Moved.joined(parts)


def _orders(attended: Attended) -> tuple[Orders, Orders]:
    return Orders.of("prototypes", attended.prototypes_WV), Orders.of("patches", attended.patches_WP)


def _test_windows(prepared: PreparedData, *, channel: str | None, count: int) -> WindowIndex:
    index, channels = prepared.windows("test"), prepared.table.channels
    if channel is not None:
        if channel not in channels:
            raise DataError(f"there is no channel '{channel}'; the run has {', '.join(channels)}")
        own = np.flatnonzero(index.channel == channels.index(channel))
        if not len(own):
            raise DataError(f"channel '{channel}' has no test window without missing values; choose another one")
        index = WindowIndex(index.channel[own], index.origin[own], 0)
    return index.evenly(count)


def _study(found: Moved, attended: Attended, blocks: Blocks) -> Study:
    """Movements in units of the forecasts' own deviation, changes of the error in units of the error."""
    deviation = float(np.sqrt(np.square(found.deviation_B).mean()))
    # Forecasts that are all flat have no deviation, so that no movement is large or small.
    unit = deviation or np.nan
    prototypes, patches = _removals(found, attended, blocks, unit=unit)
    return Study(
        windows=len(found.even_B),
        deviation=deviation,
        even=blocks.mean(found.even_B / unit),
        prototypes=prototypes,
        patches=patches,
        gradients=_gradients(found.attributions, attended, blocks) if found.attributions else None,
        linear_share=None,
    )


def _alone(
    one: OneWindow, index: WindowIndex, reading: tuple[FittedRun, AttentionReader], *, unit: float, on_part: OnPart
) -> OneStudy:
    fitted, reader = reading
    attended = Attended.read(reader, fitted.prepared, index)
    found = _measured(fitted, index, attended, on_part=on_part)
    blocks = Blocks(np.zeros(1, np.int64), horizon=1)
    prototypes, patches = _removals(found, attended, blocks, unit=unit or np.nan)
    return OneStudy(one, float(found.even_B[0] / (unit or np.nan)), prototypes, patches)


def _removals(found: Moved, attended: Attended, blocks: Blocks, *, unit: float) -> tuple[Removals, Removals]:
    error = float(found.error_B.mean()) or np.nan
    prototypes, patches = (
        Removals(
            unit=order.unit,
            total=order.place_OWU.shape[2],
            removed_K=order.removed_K,
            orders=order.names,
            moved_OKW=moved_OKW / unit,
            error_OKW=error_OKW / error,
            blocks=blocks,
        )
        for order, moved_OKW, error_OKW in zip(_orders(attended), found.moved_OKB, found.error_OKB, strict=True)
    )
    return prototypes, patches


def _gradients(found: Attributions, attended: Attended, blocks: Blocks) -> Gradients:
    correlation_W = rank_correlations(np.abs(found.attribution_BP), attended.patches_WP)
    return Gradients(blocks.mean(correlation_W), found.gap)
