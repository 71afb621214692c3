"""How attention to the text prototypes came about: a summary of it is kept at every validation.

Inputs: the network in training, and its pinned windows. Leaves: `attention_history.parquet` in the run's folder, a row
for each validation: step, windows, effective [h], top_share [h], prototype [U] and attention [U]. It holds at most
`MOST_VALUES` attentions: all prototypes where they fit, otherwise those most attended at each validation.

Shapes: K validations, P patches, h heads, V prototypes, U prototypes kept, B pinned windows, R = B x P rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from timellm.errors import CheckpointError
from timellm.files.parquetfile import read_parquet
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.training.kept_rows import RowsByStep

if TYPE_CHECKING:
    from timellm.forecasters.time_llm.network import TimeLLM

ATTENTION_HISTORY = "attention_history.parquet"
MOST_VALUES = 1_000_000
"""Of all validations together: 8 MB with the prototypes' numbers."""
TOP = 10
"""Prototypes whose share is kept by head."""
_MOST_VALIDATIONS, _MOST_HEADS, _MOST_PROTOTYPES = 1002, 64, 20_000  # as the settings allow, the start and a stop


@dataclass(frozen=True)
class AttentionRecord:
    """Keeps the summary, as a record of the training loop."""

    folder: Path
    network: TimeLLM
    contexts_BT: Tensor
    """The pinned windows, z-scored by channel, where the network works."""
    validations: int
    """That the settings ask for."""

    def go_on_from(self, step: int | None) -> None:
        """Training goes on after a validation at `step`: rows of later ones are dropped; all if None.

        Raises:
            CheckpointError: the file is damaged.
        """
        self._rows.go_on_from(step)

    @torch.no_grad()
    def add(self, step: int, forecast_WH: np.ndarray) -> None:
        """Keep the attention of the pinned windows at `step`; the forecasts are not needed.

        Raises:
            OSError: the disk is full; what was kept before stays.
            CheckpointError: the file is damaged.
        """
        network = self.network
        assert network.prototypes is not None
        normed_BT, _, _ = instance_norm(self.contexts_BT, as_published=network.config.statistic_digits == 0)
        weights_BhPV = network.reprogramming.attention(
            network.patch_embedding(normed_BT), prototypes_VD=network.prototypes()
        )
        summed_hV = weights_BhPV.mean(dim=(0, 2), dtype=torch.float64).cpu().numpy()
        mean_V = summed_hV.mean(axis=0)
        kept = np.sort(np.argsort(-mean_V, kind="stable")[: MOST_VALUES // (self.validations + 2)])
        best = weights_BhPV.topk(min(TOP, weights_BhPV.shape[-1]), dim=-1).values.sum(dim=-1).mean(dim=(0, 2))
        row = {
            "step": pa.array([step], pa.int64()),
            "windows": pa.array([len(self.contexts_BT)], pa.int64()),
            "effective": _list(effective(weights_BhPV).mean(dim=(0, 2)).cpu().numpy()),
            "top_share": _list(best.cpu().numpy()),
            "prototype": pa.array([kept.astype(np.int32)], pa.list_(pa.int32())),
            "attention": _list(mean_V[kept]),
        }
        self._rows.add(pa.table(row))

    @property
    def _rows(self) -> RowsByStep:
        return RowsByStep(self.folder / ATTENTION_HISTORY)


def effective(weights: Tensor) -> Tensor:
    """How many prototypes each row of attention rests on: exp of its entropy over the last axis, 1 to V."""
    return torch.special.entr(weights).sum(dim=-1).exp()


@dataclass(frozen=True)
class AttentionHistory:
    """Attention at every validation, of the same few windows."""

    step_K: np.ndarray
    windows: int
    effective_Kh: np.ndarray
    """Prototypes that a patch's attention rests on, mean of patches."""
    top_share_Kh: np.ndarray
    """Share of a patch's attention that its ten most attended prototypes get, mean of patches."""
    attention_KV: np.ndarray
    """Mean attention to each prototype; NaN where it was not among those that are kept."""

    def top(self, count: int) -> np.ndarray:
        """The `count` prototypes that are attended most at the last validation, most attended first."""
        return np.argsort(-np.nan_to_num(self.attention_KV[-1]), kind="stable")[:count]

    @classmethod
    def read(cls, folder: Path) -> AttentionHistory | None:
        """That of a run's folder; None if it keeps none, as those of earlier versions.

        Raises:
            CheckpointError: the file is damaged.
        """
        path = folder / ATTENTION_HISTORY
        if not path.is_file():
            return None
        most = _MOST_VALIDATIONS * (2 + 2 * _MOST_HEADS) + 2 * MOST_VALUES
        try:
            return cls._of(read_parquet(path, most_rows=_MOST_VALIDATIONS, most_values=most))
        except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
            raise CheckpointError(f"{path} is damaged ({error}); start the run again") from error

    @classmethod
    def _of(cls, rows: pa.Table) -> AttentionHistory:
        if not len(rows):
            raise ValueError("it has no row")
        effective_Kh, top_share_Kh = (
            np.array(rows[name].to_pylist(), np.float64).reshape(len(rows), -1) for name in ("effective", "top_share")
        )
        prototypes = [np.array(one, np.int64) for one in rows["prototype"].to_pylist()]
        if any(not len(one) or one.min() < 0 or one.max() >= _MOST_PROTOTYPES for one in prototypes):
            raise ValueError("it names a prototype that no run has")
        attention_KV = np.full((len(rows), 1 + max(int(one.max()) for one in prototypes)), np.nan)
        for row_V, one, found in zip(attention_KV, prototypes, rows["attention"].to_pylist(), strict=True):
            if len(one) != len(found):
                raise ValueError("it has not one attention for each prototype")
            row_V[one] = np.array(found, np.float64)
        step_K, windows = rows["step"].to_numpy(), int(rows["windows"][0].as_py())
        return cls(step_K, windows, effective_Kh, top_share_Kh, attention_KV)


def _list(values: np.ndarray) -> pa.Array:
    return pa.array([values.astype(np.float32)], pa.list_(pa.float32()))
