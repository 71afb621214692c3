"""Whether the head of a Ray cluster answers, checked in seconds, because Ray itself tries again for more than a minute.

Inputs: the address of the head, as Ray's own programs take it. Outputs: nothing, or a refusal in one line.
"""

from __future__ import annotations

import importlib.util
import socket
from urllib.parse import urlsplit

from timellm.errors import JobError
from timellm.installation import install_command

ANSWERS_WITHIN_S = 8.0
"""Half of it for the connection, half for the answer."""
_USUAL_PORT = 6379


def check_head(address: str) -> None:
    """Make sure that a head answers at `address` (host:port) and takes this process's token.

    Raises:
        JobError: Ray is not installed, the address has no meaning, no head answers there in time, or it refuses the
            token.
    """
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("grpc") is None:
        raise JobError(f"a forecast on a cluster needs Ray: {install_command('ray')}")
    host, port, scheme = _parts(address)
    _connect(address, host, port, timeout_s=ANSWERS_WITHIN_S / 2)  # before Ray is loaded, which takes seconds
    if scheme != "ray":  # that is a Ray Client server, which speaks otherwise and is asked by Ray alone
        _greet(address)


def _parts(address: str) -> tuple[str, int, str]:
    """Host, port and scheme."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        if parts.hostname and parts.scheme in ("", "ray"):
            return parts.hostname, parts.port or _USUAL_PORT, parts.scheme
    except ValueError:  # no port
        pass
    raise JobError(f"'{address}' is no address of a Ray cluster; name its head as host:port, like head:{_USUAL_PORT}")


def _connect(address: str, host: str, port: int, *, timeout_s: float) -> None:
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        raise _silent(address, error.strerror or str(error) or type(error).__name__) from None


def _greet(address: str) -> None:
    """Ask the head for its cluster's name, at the address and with the token that Ray would use."""
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
    from ray.exceptions import AuthenticationError

    used = canonicalize_bootstrap_address(address)  # for a loopback address, that of this machine in its network
    with init_grpc_channel(used) as channel:
        head = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        try:
            head.GetClusterId(gcs_service_pb2.GetClusterIdRequest(), timeout=ANSWERS_WITHIN_S / 2)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise _refused(address) from None
            raise _silent(address, f"Ray uses {used}: {error.code().name}") from None
        except AuthenticationError:  # there is none to send
            raise _refused(address) from None


def _refused(address: str) -> JobError:
    return JobError(
        f"the Ray cluster at {address} refuses the token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the one it was"
        " started with"
    )


def _silent(address: str, why: str) -> JobError:
    return JobError(
        f"no head of a Ray cluster answers at {address} ({why}); look whether it runs there, whether host and port are"
        " right (not those of its dashboard), and whether this machine reaches it"
    )
