"""The section of the kinds that train step by step: `TrainingConfig`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from timellm.config.section import Section, setting


class TrainingConfig(Section):
    """How weights are learned step by step, and when that ends."""

    affects = "weights"

    steps: int = setting(100, title="Steps at most", ge=1, le=10_000_000)
    """Optimiser steps at most."""
    minutes: float | None = setting(None, title="Time budget, minutes", gt=0, le=100_000)
    """Time budget for training; the schedule then follows the clock, and `steps` remains an upper bound."""
    batch_size: int = setting(32, ge=1, le=65_536)
    """Windows (one channel each) in one step."""
    learning_rate: float = setting(5e-4, gt=0, le=1)
    """Peak learning rate."""
    optimizer: Literal["adamw", "adam"] = setting("adamw", title="Optimiser")
    """Adam with decoupled weight decay, or plain Adam."""
    weight_decay: float = setting(0.01, ge=0, le=1)
    """Decoupled weight decay; AdamW only."""
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    """one-cycle: rise for 30 %, fall to nothing; cosine: fall only; constant."""
    loss: Literal["mse", "mae", "huber"] = "mse"
    """Training loss on z-scored values."""
    accumulation: int = setting(1, affects="speed", ge=1, le=4096)
    """Parts in which a batch is worked through; more take less memory and more time, and the result is the same."""
    gradient_checkpointing: bool = setting(False, affects="speed")
    """Compute the backbone's activations again in the backward pass: much less memory, about a third more time."""
    clip_norm: float = setting(1.0, title="Gradient norm limit", gt=0)
    """Gradients are scaled down to this norm."""
    validations: int = setting(8, ge=1, le=1000)
    """How often the validation part is looked at during the run."""
    validation_windows: int = setting(256, ge=1)
    """Windows of the validation part looked at each time, evenly spaced; all of them if there are fewer."""
    pinned_windows: int = setting(4, affects="place", ge=0, le=16)
    """Validation windows whose forecast is kept at every validation, so that one sees how it came about; 0: none."""
    patience: int = setting(5, title="Patience, validations", ge=1)
    """Validations without a lower error than all before, until training stops early. Of a network that adds to a linear
    path, one counts twice if the training windows since the last one gained nothing, either."""
    start_from: str = setting("", affects="place", title="Start from trained adapters")
    """Folder of a finished run, or of adapters, at which training begins. Forecaster and context must be the same. A
    copy of what was taken lies in the run's folder and belongs to its weights. Empty: training begins anew."""
    pretrain: tuple[str, ...] = setting((), affects="place", title="Pre-train on")
    """Tables on which the adapters are trained together first, each with its own split and scale; then training on the
    run's table begins at them. What was learned there lies in the run's folder and belongs to its weights."""
    pretrain_steps: int | None = setting(None, title="Steps of pre-training", ge=1, le=10_000_000)
    """Optimiser steps of the pre-training at most; as many as 'steps' when not given."""
    seed: int = setting(0, ge=0, le=2**31 - 1)
    """Seed of initial weights, batch order and dropout."""
    device: Literal["auto", "cpu", "cuda"] = setting("auto", affects="place")
    """auto uses a GPU where there is one."""
    deepspeed: str | None = setting(None, affects="speed")
    """DeepSpeed configuration file (JSON) with a ZeRO stage of 0 to 2, for a run of several processes; it is optional,
    and has to be installed."""
    tracker: Literal["none", "tensorboard", "mlflow", "wandb"] = setting(
        "none", affects="place", title="Experiment tracker"
    )
    """Experiment tracker that also gets the run's numbers; it has to be installed. wandb is Weights & Biases."""

    @model_validator(mode="after")
    def _begins_at_one_place(self) -> Self:
        if self.start_from and self.pretrain:
            raise ValueError("start_from and pretrain both say what training begins at; give one of them")
        if self.pretrain_steps is not None and not self.pretrain:
            raise ValueError("pretrain_steps is given without pretrain; name the tables, or leave it out")
        return self

    @model_validator(mode="after")
    def _parts_hold_windows(self) -> Self:
        if self.accumulation > self.batch_size:
            raise ValueError(
                f"accumulation {self.accumulation} makes more parts than a batch of {self.batch_size} has windows;"
                " lower it to at most batch_size"
            )
        return self
