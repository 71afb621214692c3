"""Weights of a foundation model from a local folder or a model hub, read as safetensors; code from a hub never runs.

Inputs: a class of Transformers models and a name. Outputs: the model, and its revision on the hub.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from timellm.errors import BackboneError
from timellm.forecasters.time_llm.backbone import quiet_loading
from timellm.training.checkpoint import device_of


def open_model(
    model_class: Any, weights: str, *, title: str, revision: str | None, is_right: Callable[[Any], bool]
) -> tuple[Any, str | None]:
    """The model with every one of its weights, float32, ready to forecast; `is_right` judges its configuration.

    Raises:
        BackboneError: the weights are not here and cannot be fetched, are damaged, or are another model's.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise BackboneError(f"the folder {weights} holds no config.json; give the folder of {title} that does")
    source = str(folder) if folder.is_dir() else weights
    options = {} if folder.is_dir() else {"revision": revision or "main"}
    try:
        with quiet_loading():
            config = model_class.config_class.from_pretrained(source, **options)
            if not is_right(config):
                raise BackboneError(f"{weights} is another model than {title}; give a folder or a hub id of {title}")
            model, found = model_class.from_pretrained(
                source, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise BackboneError(_explained(weights, title, error)) from error
    if found["missing_keys"] or found["mismatched_keys"]:  # Transformers would go on with random numbers in their place
        raise BackboneError(
            f"{weights} holds weights for only a part of {title}: {len(found['missing_keys'])} are missing and"
            f" {len(found['mismatched_keys'])} are of another shape; fetch them again"
        )
    device = device_of("auto")
    return model.eval().requires_grad_(False).to(device), getattr(config, "_commit_hash", None)


def _explained(weights: str, title: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    if any(words in reason.lower() for words in ("couldn't connect", "offline", "not the path to a directory")):
        return (
            f"the weights of {title} ({weights}) are not on this machine, and the model hub could not be reached or"
            f" does not have them; fetch '{weights}' where there is a network, and give its folder as setting 'weights'"
        )
    return f"the weights of {title} ({weights}) could not be loaded: {reason[:400].rstrip('.')}; fetch them again"
