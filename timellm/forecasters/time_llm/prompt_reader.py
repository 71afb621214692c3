"""Keys and values of prompts in a causal backbone: token ids in, a cache for the patches behind them out.

They depend on no trained weight. So a prompt that several windows share is read once in a batch, and once in a whole
training as long as there is room to keep what was read. Prompts are read in passes of one shape, whatever they are
read with and whatever was kept: a sum in a matrix product of another size can round to another forecast, and a run that
goes on with nothing kept must find the same numbers.

Shapes: B windows of a batch, C prompts of a pass, g key/value heads, L tokens, K head size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache

from timellm.forecasters.time_llm.backbone import Backbone
from timellm.forecasters.time_llm.fast.attention import only_keys_and_values
from timellm.forecasters.time_llm.fast.checkpointing import read_only
from timellm.forecasters.time_llm.pass_sizes import LENGTHS, MOST_KEPT_BYTES, prompts_in_pass

Ids = tuple[int, ...]
Layers = list[tuple[Tensor, Tensor]]
"""Keys and values [g, L, K] in each layer."""


class PromptReader:
    """Reads prompts, of which all that are foreseen begin with the tokens `shared_ids`."""

    def __init__(self, backbone: Backbone, *, shared_ids: list[int]):
        self.backbone, self.shared_ids = backbone, tuple(shared_ids)
        quantized = bool(getattr(backbone.model, "is_quantized", False))
        self._pass_size = prompts_in_pass(on_cpu=backbone.device.type == "cpu", quantized=quantized)
        self._shared: Layers = []
        self._kept: KeptPrompts | None = None

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """While this is open, prompts that were read are kept, up to a bound."""
        self._kept = KeptPrompts(MOST_KEPT_BYTES)
        try:
            yield
        finally:
            self._kept = None

    @torch.no_grad()
    def read(self, prompts: Sequence[Ids], *, length: int, lasting: bool = False) -> DynamicCache:
        """Keys and values of the prompts, padded at their ends to `length` tokens, closed to writing.

        `lasting` prompts will be asked for again, and take the place of kept ones that are not.
        """
        found = self._found(dict.fromkeys(prompts), lasting=lasting)
        foreseen = all(map(self._is_foreseen, prompts))
        shared = self._shared_layers() if self.shared_ids else []
        layers = []
        for number in range(self.backbone.layers):
            sides = []
            for side in (0, 1):
                begin = shared[number][side] if shared else None
                rows = [found[ids][number][side] for ids in prompts]
                if not foreseen and begin is not None:
                    rows = [
                        torch.cat([begin, row], dim=1) if self._is_foreseen(ids) else row
                        for ids, row in zip(prompts, rows, strict=True)
                    ]
                    begin = None
                sides.append(_joined(begin, rows, length))
            layers.append(tuple(sides))
        return read_only(DynamicCache(layers))

    def _found(self, asked: dict[Ids, None], *, lasting: bool) -> dict[Ids, Layers]:
        """The own tokens of each prompt, kept or read now."""
        kept = self._kept
        found = {ids: layers for ids in asked if kept and (layers := kept.get(ids, lasting=lasting)) is not None}
        groups: dict[tuple[bool, int], list[Ids]] = {}
        for ids in asked:
            if ids not in found:
                groups.setdefault((self._is_foreseen(ids), -(-len(ids) // LENGTHS) * LENGTHS), []).append(ids)
        for (foreseen, length), group in groups.items():
            for begin in range(0, len(group), self._pass_size):
                part = group[begin : begin + self._pass_size]
                for ids, layers in zip(part, self._pass(part, foreseen=foreseen, length=length), strict=False):
                    found[ids] = layers if kept is None else kept.add(ids, layers, lasting=lasting)
        return found

    def _pass(self, part: list[Ids], *, foreseen: bool, length: int) -> Iterator[Layers]:
        """Own tokens of the prompts `part`, padded to `length`; the last one fills the pass up."""
        rows = [*part, *part[-1:] * (self._pass_size - len(part))]
        cache, size = DynamicCache(), len(self.shared_ids) if foreseen else 0
        if size:
            cache = DynamicCache(
                [(_repeated(key, rows), _repeated(value, rows)) for key, value in self._shared_layers()]
            )
        pad, device = self.backbone.pad_token_id, self.backbone.device
        ids_CL = torch.tensor([[*ids[size:], *[pad] * (length - len(ids))] for ids in rows], device=device)
        lengths_C1 = torch.tensor([[len(ids)] for ids in rows], device=device)
        with only_keys_and_values(self.backbone.layers):
            self.backbone.model(
                input_ids=ids_CL,
                attention_mask=(torch.arange(length, device=device) < lengths_C1).long(),
                position_ids=torch.arange(size, length, device=device).expand_as(ids_CL),
                past_key_values=cache,
                use_cache=True,
            )
        for row in range(len(part)):
            yield [(layer.keys[row, :, size:], layer.values[row, :, size:]) for layer in cache.layers]

    def _is_foreseen(self, ids: Ids) -> bool:
        """Whether it begins with the shared tokens, and has one of its own."""
        return len(ids) > len(self.shared_ids) and ids[: len(self.shared_ids)] == self.shared_ids

    def _shared_layers(self) -> Layers:
        """Keys and values of the shared tokens, computed at first use."""
        if not self._shared:
            ids_1L = torch.tensor([self.shared_ids], device=self.backbone.device)
            cache = DynamicCache()
            self.backbone.model(input_ids=ids_1L, past_key_values=cache, use_cache=True)
            self._shared = [(layer.keys[0], layer.values[0]) for layer in cache.layers]
        return self._shared


class KeptPrompts:
    """What was read of prompts, up to a number of bytes.

    Most prompts of training steps are read once, those of the validation windows at each validation. So the first ones
    stay until there is no room for prompts that last.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes, self._bytes = most_bytes, 0
        self._lasting: dict[Ids, Layers] = {}
        self._passing: dict[Ids, Layers] = {}

    def get(self, ids: Ids, *, lasting: bool) -> Layers | None:
        """What is kept of a prompt."""
        if lasting and ids in self._passing:
            self._lasting[ids] = self._passing.pop(ids)
        return self._lasting.get(ids) or self._passing.get(ids)

    def add(self, ids: Ids, layers: Layers, *, lasting: bool) -> Layers:
        """The same keys and values, kept if there is room."""
        size = sum(key.nbytes + value.nbytes for key, value in layers)
        while lasting and self._passing and self._bytes + size > self._most_bytes:
            self._bytes -= _bytes(self._passing.pop(next(iter(self._passing))))
        if self._bytes + size > self._most_bytes:
            return layers
        own = [(key.clone(), value.clone()) for key, value in layers]  # a part would hold all of the pass
        (self._lasting if lasting else self._passing)[ids] = own
        self._bytes += size
        return own


def _bytes(layers: Layers) -> int:
    return sum(key.nbytes + value.nbytes for key, value in layers)


def _repeated(one_gLK: Tensor, rows: Sequence[object]) -> Tensor:
    """The same for each of `rows`, [rows, g, L, K]."""
    return one_gLK.expand(len(rows), -1, -1, -1)


def _joined(begin_gLK: Tensor | None, rows: list[Tensor], length: int) -> Tensor:
    """Rows [g, L, K] behind what all of them begin with, [B, g, length, K]; zeros at the end, which are masked."""
    longest = max(row.shape[1] for row in rows)
    own_BgLK = torch.stack([F.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows])
    parts = [own_BgLK] if begin_gLK is None else [_repeated(begin_gLK, rows), own_BgLK]
    missing = length - sum(part.shape[2] for part in parts)
    if missing > 0:
        parts.append(own_BgLK.new_zeros(*own_BgLK.shape[:2], missing, own_BgLK.shape[3]))
    return torch.cat(parts, dim=2)[:, :, :length]
