"""Whether code that ships with a backbone may run: on a server that others reach, its operator has to agree.

On the command line, and on a page that only this machine reaches, the setting `trust_remote_code` alone decides. A
server that others reach marks this in its environment, which its workers and its jobs on a cluster inherit. There the
operator agrees with `TIMELLM_ALLOW_REMOTE_CODE=1`; otherwise every visitor could run code with the operator's rights.
"""

from __future__ import annotations

import os

from timellm.config import ForecasterConfig, TimeLLMConfig
from timellm.errors import BackboneError

CONSENT = "TIMELLM_ALLOW_REMOTE_CODE"
REACHED_BY_OTHERS = "TIMELLM_REACHED_BY_OTHERS"
"""Set by the server itself (timellm.ui.hosts), never by a user."""


def reached_by_others() -> bool:
    """Whether this process serves pages that other machines reach, or works for such a server."""
    return os.environ.get(REACHED_BY_OTHERS) == "1"


def needs_consent() -> bool:
    """Whether the operator of this server has to agree before code of a backbone runs, and has not."""
    return reached_by_others() and os.environ.get(CONSENT) != "1"


def check_remote_code(config: ForecasterConfig) -> None:
    """Refuse to run a backbone's code on a server for others whose operator has not agreed.

    Raises:
        BackboneError: says what the operator has to set.
    """
    if isinstance(config, TimeLLMConfig) and config.trust_remote_code and needs_consent():
        raise BackboneError(
            f"the run would execute Python code that ships with {config.backbone}, and this server can be reached from"
            f" other machines; its operator has to allow that with {CONSENT}=1 in the server's environment, or switch"
            " off 'trust_remote_code'"
        )


def inherited() -> dict[str, str]:
    """What a job elsewhere has to know in its environment, to decide as this process does."""
    return {name: os.environ[name] for name in (CONSENT, REACHED_BY_OTHERS) if name in os.environ}
