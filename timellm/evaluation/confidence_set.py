"""The model confidence set: the models that cannot be told from the best one (Hansen, Lunde and Nason 2011).

Inputs: errors by window of several models. Outputs: a p-value for each model. The package `arch` calculates them; it is
optional, and without it a note says how to install it.

Shapes: K cut-offs, J models.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping

import numpy as np

from timellm.evaluation.significance import losses_by_cutoff
from timellm.evaluation.window_errors import ModelErrors
from timellm.installation import install_command
from timellm.optional import import_optional
from timellm.training.gain import FEWEST_INDEPENDENT

SIZE = 0.10
"""A model is in the set if its p-value is at least this: the set holds the best model in 90 of 100 such samples."""
_REPS, _SEED = 1000, 0
_SAME = 1e-4
"""Losses that differ by less than this share of their mean in every cut-off count as one model's."""


def has_confidence_sets() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("arch") is not None


def how_to_get_them() -> str:
    """What to install, in a sentence."""
    return f"For the model confidence set, install the package arch: {install_command('arch')}"


def confidence_set(losses: Mapping[str, np.ndarray], *, block: int) -> dict[str, float]:
    """P-value of each model, by name, from its losses [K] at the same cut-offs in order.

    `block` is the mean length of the stretches of cut-offs that are drawn together: at least a horizon, because the
    windows of neighbouring cut-offs overlap. Models with the same losses share one p-value.

    Raises:
        ConfigError: the package `arch` is not installed.
    """
    bootstrap = import_optional("arch.bootstrap", title="The model confidence set", install=install_command("arch"))
    apart: dict[str, np.ndarray] = {}
    stands_for: dict[str, str] = {}
    for name, loss_K in losses.items():
        near = _SAME * float(np.mean(np.abs(loss_K)))
        same = (other for other, theirs_K in apart.items() if np.abs(loss_K - theirs_K).max() <= near)
        stands_for[name] = next(same, name)
        apart.setdefault(stands_for[name], loss_K)
    if len(apart) == 1:
        return dict.fromkeys(losses, 1.0)
    names = list(apart)
    found = bootstrap.MCS(
        np.column_stack([apart[name] for name in names]), SIZE, reps=_REPS, block_size=block, seed=_SEED
    )
    found.compute()
    p_values = {names[int(place)]: float(row["Pvalue"]) for place, row in found.pvalues.iterrows()}
    return {name: p_values[stands_for[name]] for name in losses}


def confidence_of_models(errors: Mapping[str, ModelErrors], *, horizon: int) -> tuple[dict[str, float], str]:
    """P-value of each model, by name, on the windows that all of them cover, and why there is none where there is none.

    `horizon` is in rows. There is none without the package, of windows that cover too few horizons, or of errors that
    are too large for a number.
    """
    if not has_confidence_sets():
        return {}, how_to_get_them()
    cutoffs, losses = losses_by_cutoff(list(errors.values()))
    rows = int(cutoffs[-1] - cutoffs[0]) + horizon if len(cutoffs) else 0
    if (independent := min(rows / horizon, len(cutoffs))) < FEWEST_INDEPENDENT:
        return {}, (
            f"There is no model confidence set: the windows that all models cover come to about {independent:.2g}"
            f" horizons, and fewer than {FEWEST_INDEPENDENT} tell little."
        )
    if not all(np.isfinite(loss_K).all() for loss_K in losses):
        return {}, "There is no model confidence set: an error is too large for a number."
    # Two horizons: each block then holds windows that share no row with one another.
    block = min(len(cutoffs), math.ceil(2 * horizon / int(np.diff(cutoffs).min())))
    return confidence_set(dict(zip(errors, losses, strict=True)), block=block), ""
