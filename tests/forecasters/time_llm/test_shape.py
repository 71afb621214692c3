"""A backbone's sizes, told without loading it, are those of the loaded one."""

import pytest
from transformers import AutoModel

from timellm.errors import BackboneError
from timellm.forecasters.time_llm.catalog import catalogue, is_ready
from timellm.forecasters.time_llm.shape import _read, backbone_shape


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "bert"])
def test_shape_counts_the_weights_of_the_real_model(backbones, architecture):
    shape = backbone_shape(str(backbones[architecture]))
    model = AutoModel.from_pretrained(backbones[architecture])
    matrices = {name: weight for name, weight in model.named_parameters() if weight.dim() == 2}

    def counted(*names):
        return sum(weight.numel() for name, weight in matrices.items() if any(part in name for part in names))

    in_layers, outside = counted("layers.", "layer.", "h."), counted("embed", "wte", "wpe")
    assert shape.layers * shape.layer_weights == in_layers
    assert shape.embedding_weights == outside - (2 * shape.width if architecture == "bert" else 0)  # token types
    assert shape.causal == (architecture != "bert")


@pytest.mark.parametrize("name", ["smollm2-135m", "all-minilm-l6-v2"])
def test_catalogue_says_what_the_config_file_says(name, monkeypatch):
    if not is_ready(name):
        pytest.skip(f"{name} has not been fetched here")
    read = backbone_shape(name)
    monkeypatch.setattr("timellm.forecasters.time_llm.shape._config_file", lambda *_: None)
    assert backbone_shape(name) == read


def test_every_backbone_of_the_catalogue_has_a_shape_near_its_number_of_weights(monkeypatch):
    monkeypatch.setattr("timellm.forecasters.time_llm.shape._config_file", lambda *_: None)
    for entry in catalogue():
        shape = backbone_shape(entry.name)
        counted = shape.embedding_weights + shape.layers * shape.layer_weights
        # Some have an output layer of their own, which is not loaded.
        possible = (counted, counted + shape.vocabulary * shape.width)
        assert any(one / 1e6 == pytest.approx(entry.parameters_millions, rel=0.03) for one in possible), entry.name


def test_unknown_backbone_is_refused_with_its_name():
    with pytest.raises(BackboneError, match="sizes of nobody/nothing are not known before it has been fetched"):
        backbone_shape("nobody/nothing")


def test_config_without_sizes_is_refused():
    with pytest.raises(BackboneError, match=r"a vit whose config\.json does not say"):
        _read({"model_type": "vit"}, "a picture model")
