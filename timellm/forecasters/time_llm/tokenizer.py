"""A backbone's tokenizer alone, without a weight: what its prompts are cut into can be shown at once.

Inputs: the model settings. Outputs: token ids as the loaded backbone gives them, and where in a text each token lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from timellm.config import ModelConfig
from timellm.errors import BackboneError
from timellm.forecasters.time_llm.backbone import explained_loading, locate, quiet_loading, token_ids
from timellm.forecasters.time_llm.catalog import is_ready
from timellm.forecasters.time_llm.remote_code import check_remote_code


@dataclass(frozen=True)
class Token:
    """A token of a text."""

    id: int
    begin: int
    end: int
    """It stands for these letters of the text; a token of the tokenizer's own stands for none."""
    text: str
    """As it is shown: its letters, or the name of a token of the tokenizer's own."""


@dataclass(frozen=True)
class PromptTokenizer:
    """Cuts texts into tokens as the backbone does."""

    tokenizer: Any
    max_positions: int | None
    """Tokens and patches that the backbone reads at most; None when the architecture has no limit."""

    @classmethod
    def load(cls, config: ModelConfig) -> PromptTokenizer:
        """The tokenizer of a backbone that is on this machine; nothing is fetched.

        Raises:
            BackboneError: it is not here, cannot be read, or its code may not run here.
        """
        check_remote_code(config)
        if not is_ready(config.backbone):
            raise BackboneError(
                f"{config.backbone} is not on this machine, so its tokenizer is not either; forecast with the run once,"
                " which fetches it"
            )
        options = {"trust_remote_code": config.trust_remote_code}
        with quiet_loading(), explained_loading(config):
            source = locate(config.backbone)
            settings = AutoConfig.from_pretrained(source, **options)
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
        return cls(tokenizer, getattr(settings, "max_position_embeddings", None))

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, with the tokenizer's own special tokens."""
        return token_ids(self.tokenizer, texts)

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text, in order.

        A letter that several tokens write together is shown with the first of them.
        """
        (ids,) = self.token_ids([text])
        spans = self._spans(text, ids)
        found: list[Token] = []
        for number, (begin, end) in zip(ids, spans, strict=True):
            if begin == end:
                shown = str(self.tokenizer.convert_ids_to_tokens(number))
            else:
                shown = "" if found and found[-1].begin == begin and found[-1].end == end else text[begin:end]
            found.append(Token(number, begin, end, shown))
        return found

    def _spans(self, text: str, ids: list[int]) -> list[tuple[int, int]]:
        """Which letters each token stands for. A tokenizer that does not say it has each token's own text searched."""
        if self.tokenizer.is_fast:
            offsets: list[tuple[int, int]] = self.tokenizer(text, add_special_tokens=True, return_offsets_mapping=True)[
                "offset_mapping"
            ]
            return offsets
        spans, place = [], 0
        for number in ids:
            piece = self.tokenizer.decode([number]).strip()
            begin = text.find(piece, place) if piece else -1
            begin, place = (begin, begin + len(piece)) if begin >= 0 else (place, place)
            spans.append((begin, place))
        return spans
