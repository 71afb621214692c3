"""The protocols that there are; a new one is one file in this room and one line here."""

from __future__ import annotations

from timellm.errors import ConfigError
from timellm.protocols.few_shot import FEW_SHOT
from timellm.protocols.long_term import LONG_TERM
from timellm.protocols.m4 import M4
from timellm.protocols.protocol import Protocol
from timellm.protocols.zero_shot import ZERO_SHOT

PROTOCOLS: dict[str, Protocol] = {
    one.name: one
    for one in (
        LONG_TERM,
        FEW_SHOT,
        M4,
        ZERO_SHOT,
    )
}  # fmt: skip


def find_protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol '{name}'; there are: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
