"""How the heads of a run's attention differ: how many prototypes each rests on, and how alike two of them are.

Inputs: attention [..., h, P, V]. Outputs: numbers by head and patch, and by pair of heads.

Shapes: W windows, h heads, P patches, V prototypes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from timellm.explain.profiles import EVEN, effective_number

_SAME, _OTHER = 0.9, 0.3
"""Mean cosine of two heads: above the first they attend to nearly the same prototypes, below the second to others."""


@dataclass(frozen=True)
class Heads:
    """Attention by head, of one window or the mean of several."""

    weights_hPV: np.ndarray
    effective_hP: np.ndarray
    """Prototypes that a patch's attention rests on: exp of its entropy, 1 to V."""
    alike_hh: np.ndarray
    """Cosine between the attention of two heads at the same patch, mean of patches; 1 where it is the same."""

    @classmethod
    def of(cls, weights_WhPV: np.ndarray) -> Self:
        """The mean over windows of each number."""
        return cls(weights_WhPV.mean(axis=0), effective_number(weights_WhPV).mean(axis=0), alike(weights_WhPV))

    def top(self, count: int) -> np.ndarray:
        """The `count` prototypes that all heads together attend most, most attended first."""
        return np.argsort(-self.weights_hPV.sum(axis=(0, 1)), kind="stable")[:count]

    def frame(self, labels: tuple[str, ...]) -> pd.DataFrame:
        """A row for each head and patch (from 1): prototypes attended to, and the attention to each."""
        heads, patches, prototypes = self.weights_hPV.shape
        index = pd.MultiIndex.from_product([range(1, heads + 1), range(1, patches + 1)], names=["head", "patch"])
        frame = pd.DataFrame(self.weights_hPV.reshape(-1, prototypes), index=index, columns=list(labels))
        frame.insert(0, "prototypes attended to", self.effective_hP.ravel())
        return frame

    @property
    def effective_h(self) -> np.ndarray:
        """Prototypes that a head rests on, mean of patches."""
        return self.effective_hP.mean(axis=1)

    @property
    def mean_alike(self) -> float:
        """Mean cosine of two different heads; NaN if there is only one."""
        above = np.triu_indices(len(self.alike_hh), 1)
        return float(self.alike_hh[above].mean()) if len(above[0]) else float("nan")

    def sentence(self, where: str) -> str:
        """How narrowly heads attend and how alike they are; `where` names the windows."""
        prototypes, least, most = self.weights_hPV.shape[2], self.effective_h.min(), self.effective_h.max()
        begin = where[0].upper() + where[1:]
        text = f"{begin}: heads attend to {least:,.0f} to {most:,.0f} of {prototypes:,} prototypes at a patch"
        if math.isnan(self.mean_alike):
            return f"{text}. There is only one head."
        text += f"; their attention has a mean cosine of {self.mean_alike:.2f}."
        if least > EVEN * prototypes:
            return f"{text} Attention is practically even in every head, so all heads look alike."
        if self.mean_alike > _SAME:
            return f"{text} The heads attend to nearly the same prototypes."
        if self.mean_alike < _OTHER:
            return f"{text} The heads attend to different prototypes."
        return text


def alike(weights_WhPV: np.ndarray) -> np.ndarray:
    """Cosine between the attention of two heads at the same patch, [h, h], mean over windows and patches."""
    unit_WPhV = np.moveaxis(weights_WhPV / np.linalg.norm(weights_WhPV, axis=-1, keepdims=True), 1, 2)
    found: np.ndarray = (unit_WPhV @ unit_WPhV.transpose(0, 1, 3, 2)).mean(axis=(0, 1))
    return found
