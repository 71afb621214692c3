"""Forecasts of a run whose prompts say something else: what the prompt does is what changes with it.

Inputs: a run folder, windows, and texts in place of their prompts. Outputs: forecasts in original units. The run's
language model is loaded; with the windows' own prompts a forecast is the run's own, to the bit.

Shapes: W windows, B batch, H horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.explain.prompt import check_prompt, facts_of
from timellm.forecasters.time_llm.forecaster import TimeLLMForecaster
from timellm.forecasters.time_llm.wording import PromptFacts
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.training.evaluation_batch import EVALUATION_BATCH

OnBatch = Callable[[int], None]
"""Called after every batch with the number of windows that are done."""


class PromptedRun:
    """A trained Time-LLM that forecasts with whatever prompts it is given."""

    def __init__(self, fitted: FittedRun) -> None:
        assert isinstance(fitted.forecaster, TimeLLMForecaster)
        self._fitted, self._forecaster = fitted, fitted.forecaster
        self.prepared: PreparedData = fitted.prepared
        self._source = fitted.forecaster.source(fitted.prepared)

    @classmethod
    def open(cls, run_dir: str | Path, *, trust_remote_code: bool = False) -> Self:
        """Load a run with its language model.

        Raises:
            BackboneError: the backbone cannot be loaded on this machine.
            CheckpointError: the run folder is incomplete or damaged.
            ConfigError: the run has no prompt.
        """
        check_prompt(RunFolder(Path(run_dir)).config())
        return cls(FittedRun.load(run_dir, trust_remote_code=trust_remote_code))

    @property
    def style(self) -> str:
        """Wording of the prompts."""
        return self._fitted.config.model.prompt_style

    def facts(self, index: WindowIndex) -> list[PromptFacts]:
        """What the windows' own prompts say."""
        return facts_of(self.prepared, self._fitted.config.model, index)

    @torch.inference_mode()
    def forecast(
        self,
        index: WindowIndex,
        texts: list[str] | None = None,
        *,
        batch: int = EVALUATION_BATCH,
        on_batch: OnBatch = lambda done: None,
    ) -> np.ndarray:
        """Forecasts [W, H] in original units, with `texts` read in place of the windows' own prompts.

        The last batch is filled up with its last window, as in every forecast of a run. Another size of `batch` shows
        what rounding alone changes.

        Raises:
            BackboneError: a prompt and the patches exceed the backbone's positions.
        """
        network = self._forecaster.network.eval()
        scaled_WH = np.empty((len(index), self.prepared.horizon), np.float32)
        for begin in range(0, len(index), batch):
            end = min(begin + batch, len(index))
            chosen = np.arange(begin, begin + batch).clip(max=len(index) - 1)
            channel, origin = index.channel[chosen], index.origin[chosen]
            given = self._source.beside(channel, origin=origin)
            if texts is not None:
                given["texts"] = [texts[place] for place in chosen]
            forecast_BH = network(self._source.contexts(channel, origin=origin), **given)
            scaled_WH[begin:end] = forecast_BH.float().cpu().numpy()[: end - begin]
            on_batch(end)
        return self.prepared.restore(scaled_WH, index)


@dataclass(frozen=True)
class Changed:
    """A window's forecast with its own prompt and with another one, in original units, over time."""

    original: pd.Series
    changed: pd.Series

    @property
    def size(self) -> float:
        """Mean absolute change, in the units of the data."""
        return float((self.changed - self.original).abs().mean())

    @property
    def share(self) -> float:
        """Mean absolute change by the forecast's own deviation over the horizon; NaN where the forecast is flat."""
        deviation = float(np.std(self.original.to_numpy()))
        return self.size / deviation if deviation > 0 else float("nan")

    def frame(self) -> pd.DataFrame:
        """One row a step: ds, yhat with the own prompt, and yhat_changed."""
        return pd.DataFrame(
            {"ds": self.original.index, "yhat": self.original.to_numpy(), "yhat_changed": self.changed.to_numpy()}
        )


def change_prompt(run: PromptedRun, text: str, *, channel: str, cutoff: pd.Timestamp) -> Changed:
    """Forecast the window of `channel` that ends at `cutoff` with its own prompt and with `text`.

    Raises:
        BackboneError: text and patches exceed the backbone's positions.
    """
    table = run.prepared.table
    origin = int(table.values.index.get_loc(cutoff)) + 1
    index = WindowIndex(np.array([table.channels.index(channel)]), np.array([origin]), 0)
    steps = pd.DatetimeIndex([*table.values.index[origin:], *table.future_index(run.prepared.horizon)])
    steps = steps[: run.prepared.horizon]
    original, changed = (run.forecast(index, texts)[0] for texts in (None, [text]))
    return Changed(pd.Series(original, steps, name=channel), pd.Series(changed, steps, name=channel))
