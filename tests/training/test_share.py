"""Of what a network adds to its base, training keeps the share that suits the validation windows best."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.conftest import SMALL
from tests.shift import Shift
from timellm.config import RunConfig, TrainingConfig
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.training_report import training_report
from timellm.training.loop import TrainingResult, train
from timellm.training.progress import never_stop
from timellm.training.share import SHARES, keeping_share
from timellm.training.state import _position
from timellm.training.step import TrainingWindows

HORIZON = 4


def kept_of(by: float) -> tuple[float, float, float]:
    """What is saved of a network that adds `by` to a base that is wrong by one; the share; the validation error."""
    values = np.random.default_rng(0).normal(size=(400, 1))

    def base(index: WindowIndex) -> np.ndarray:
        return np.stack([values[origin : origin + HORIZON, 0] - 1 for origin in index.origin])

    windows = WindowIndex(np.zeros(200, np.int64), np.arange(20, 220), 0)
    network, saved = Shift(by), []
    result = train(
        network,
        TrainingWindows(WindowSource(values, context=8, horizon=HORIZON, base=base), windows, windows),
        TrainingConfig(steps=2, batch_size=4, learning_rate=1e-12, validations=1, device="cpu"),
        save_best=lambda: saved.append(float(network.by.detach())),
        on_progress=lambda _: None, should_stop=never_stop, validate_first=True, adds_first=True,
    )  # fmt: skip
    assert float(network.by.detach()) == pytest.approx(by), "training itself goes on with all of it"
    return saved[-1], result.share, result.best_validation_loss


@pytest.mark.parametrize(
    ("by", "share"),
    [
        (1.0, 0.5),
        (2.0, 0.5),
        (4.0, 0.25),
        (6.0, 0.125),
        (8.0, 0.125),
        (0.04, 0.5),
        (0.02, 0.0),
        (-1.0, 0.0),
        (40.0, 0.0),
    ],
)
def test_share_that_is_best_is_kept(by, share):
    kept, found, error = kept_of(by)
    assert found == share
    assert kept == pytest.approx(by * share, abs=1e-6)
    assert error == pytest.approx((1 - by * share) ** 2, abs=1e-6)


@pytest.mark.parametrize("linear_path", ["fixed", "weighted", "trained"])
@pytest.mark.parametrize("share", [1.0, *SHARES, 0.0])
def test_weights_that_are_kept_add_that_share(tiny_backbone, linear_path, share):
    settings = SMALL | {"backbone_dtype": "float32", "linear_path": linear_path}
    config = RunConfig.create("table.csv", backbone=str(tiny_backbone), **settings)
    torch.manual_seed(0)
    network = TimeLLM(config.model, backbone=load_backbone(config.model, device="cpu"), description="Load.").eval()
    context_BT, base_BH = torch.randn(4, config.model.context).cumsum(1), torch.randn(4, config.model.horizon)
    with torch.no_grad():
        for name in network.forecast_start():
            network.get_parameter(name).normal_(std=0.3)
        added_BH = network(context_BT, base_BH=base_BH) - base_BH
        trained = {name: weight.clone() for name, weight in network.state_dict().items()}
        with keeping_share(network, share):
            kept_BH = network(context_BT, base_BH=base_BH)
    assert added_BH.abs().mean() > 0.1
    torch.testing.assert_close(kept_BH, base_BH + share * added_BH, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(weight, trained[name]) for name, weight in network.state_dict().items())


@pytest.mark.parametrize(("kept", "share"), [(True, 1.0), (False, 0.0)])
def test_state_of_an_earlier_version_goes_on(kept, share):
    tree = json.loads(json.dumps({"step": 4, "best": 0.5, "best_step": 2, "start": [1.0], "with_forecast": kept}))
    assert _position(tree).share == share


@pytest.mark.parametrize(("share", "said"), [(1.0, False), (0.125, True), (0.0, False)])
def test_report_says_which_share_is_kept(share, said):
    trained = TrainingResult(100, 75, 0.5, 1.0, 1.0, stopped=False, early=False, share=share)
    report = training_report(trained, seconds=1.0, quantiles=False)
    assert any("Of what step 75 adds" in note and "0.125 is kept" in note for note in report.notes) == said
    assert report.facts.get("share") == (share if said else None)
