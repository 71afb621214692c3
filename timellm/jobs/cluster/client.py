"""A Ray cluster that a team runs: send a job, read its state, stop it, read its output.

Inputs: `TIMELLM_RAY`, the address of the cluster's dashboard, and Ray's own `RAY_AUTH_TOKEN`. Outputs: jobs on the
cluster, and failures in words. Runs are handled in timellm.jobs.cluster.runs; their
state is in the store alone, never in the cluster. Ray is loaded at its first use.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from timellm.config import RunConfig
from timellm.errors import JobError
from timellm.forecasters.time_llm import remote_code
from timellm.installation import PROJECT, install_command
from timellm.jobs.store.run import QUEUE_PREFIX

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

T = TypeVar("T")
_ADDRESS, _CPUS, _GPUS = "TIMELLM_RAY", "TIMELLM_RAY_CPUS", "TIMELLM_RAY_GPUS"
_OTHERS = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_TIMEOUT_S = 15.0
_MOST_LOG = 256 * 1024


@dataclass(frozen=True)
class Job:
    """The cluster's answer about a job."""

    state: Literal["waits", "works", "ended", "unknown"]
    """unknown: the cluster does not know the job, or was restarted since."""
    why: str
    """In the cluster's words: what the job waits for, or how it ended."""


@dataclass(frozen=True)
class Room:
    """Cores and GPUs that one process of a run requests."""

    cpus: int
    gpus: int

    @classmethod
    def of(cls, config: RunConfig) -> Room:
        """What a run's settings and `TIMELLM_RAY_CPUS`, `TIMELLM_RAY_GPUS` ask for.

        Raises:
            JobError: one of these settings is not a number, or the run needs a GPU that they do not request.
        """
        cpus, gpus = _number(_CPUS, 1, least=1), _number(_GPUS, 1 if config.device == "cuda" else 0, least=0)
        if config.device == "cuda" and not gpus:
            raise JobError(f"setting 'device' is 'cuda', but {_GPUS} is 0; set it to 1, or use device 'cpu' or 'auto'")
        return cls(cpus, 0 if config.device == "cpu" else gpus)


@dataclass(frozen=True)
class Cluster:
    """One cluster, by the address of its dashboard (http://host:8265). No request is made before its first use."""

    address: str

    @classmethod
    def configured(cls) -> Cluster | None:
        """The cluster that `TIMELLM_RAY` names; None if it is not set.

        Raises:
            JobError: it is not an address.
        """
        named = (os.environ.get(_ADDRESS) or "").strip().rstrip("/")
        if not named:
            return None
        parts = urlsplit(named)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise JobError(
                f"{_ADDRESS} must be the address of a Ray cluster's dashboard, like http://head:8265; leave it out to"
                " work on this machine"
            )
        return cls(named)

    @property
    def queue(self) -> str:
        """The value of a run's `machine` when it works on this cluster."""
        return QUEUE_PREFIX + urlsplit(self.address).netloc

    def submit(self, job: str, entrypoint: str, *, room: Room, workers: int) -> None:
        """Send a command, and this program's code with it.

        One worker is the command's own process, which takes `room`; with several workers, each requests it.

        Raises:
            JobError: Ray is not installed here, or the cluster cannot be reached or refuses the job.
        """
        # Only the code travels: no password, no address of the store, no token. Those the nodes have for themselves,
        # because whatever is sent along can be read by everybody who may look at the cluster's jobs.
        variables = {"OMP_NUM_THREADS": str(room.cpus)} | remote_code.inherited()
        if not room.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ""  # a card that was not asked for may be another job's
        environment = {"py_modules": [str(PROJECT / "timellm")], "env_vars": variables}
        takes = {"entrypoint_num_cpus": room.cpus, "entrypoint_num_gpus": room.gpus} if workers == 1 else {}
        with self._failures():
            self._client.submit_job(entrypoint=entrypoint, submission_id=job, runtime_env=environment, **takes)

    def look(self, job: str) -> Job:
        """State of a job.

        Raises:
            JobError: the cluster does not answer.
        """
        found = self._ask(lambda client: client.get_job_info(job))
        if found is None:
            return Job("unknown", "the cluster does not know its job")
        if found.status.is_terminal():
            return Job("ended", _in_words(found.status.value, found.message))
        return Job("waits" if found.status == "PENDING" else "works", " ".join((found.message or "").split()))

    def stop(self, job: str) -> None:
        """End a job's processes; one that has ended or is unknown stays as it is.

        Raises:
            JobError: the cluster does not answer.
        """
        self._ask(lambda client: client.stop_job(job))

    def log(self, job: str, *, lines: int = 200) -> str:
        """The last lines of what a job has printed; empty for an unknown one.

        Raises:
            JobError: the cluster does not answer.
        """
        text = self._ask(lambda client: client.get_job_logs(job)) or ""
        return "\n".join(text[-_MOST_LOG:].splitlines()[-lines:])

    def _ask(self, question: Callable[[JobSubmissionClient], T]) -> T | None:
        """The answer to a question about a job; None when the cluster does not know the job."""
        with self._failures():
            try:
                return question(self._client)
            except RuntimeError as error:
                if _is_unknown(error):
                    return None
                raise

    @cached_property
    def _client(self) -> JobSubmissionClient:
        return _client(self.address)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn an exception of Ray into an error that a user can act on, never with the token in it."""
        try:
            yield
        except JobError:
            raise
        except Exception as error:  # noqa: BLE001, Ray and requests raise whatever they like; it is raised again
            raise JobError(_explained(error, self.address)) from None


def token() -> str:
    """The cluster's token, from the same places as Ray's own.

    Raises:
        JobError: there is none, or its file cannot be read.
    """
    if text := (os.environ.get("RAY_AUTH_TOKEN") or "").strip():
        return text
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        text = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"the token of the Ray cluster cannot be read from {file}: {error}") from None
    if not text:
        raise JobError(
            "there is no token for the Ray cluster: a cluster without one runs anybody's code, so start it with"
            " RAY_AUTH_MODE=token and set RAY_AUTH_TOKEN here too"
        )
    return text


def _client(address: str) -> JobSubmissionClient:
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise JobError(
            f"{_ADDRESS} names a Ray cluster, but Ray is not installed here: {install_command('ray')}"
        ) from None

    class Client(JobSubmissionClient):
        """Ray's own client, which would wait for ever for a cluster that does not answer."""

        def _do_request(self, *arguments: object, **named: object) -> object:
            return super()._do_request(*arguments, **({"timeout": _TIMEOUT_S} | named))

    for name in _OTHERS:  # Ray's client lets them override any address it is given
        if os.environ.get(name):
            raise JobError(f"{name} is set, which Ray would use instead of {_ADDRESS}={address}; unset it")
    logging.getLogger("ray.dashboard").setLevel(logging.WARNING)
    return Client(address, headers={"Authorization": f"Bearer {token()}"})


def _explained(error: Exception, address: str) -> str:
    said = " ".join(str(error).split())
    if type(error).__name__ == "AuthenticationError":
        return f"the Ray cluster at {address} refuses the token; set RAY_AUTH_TOKEN to the one it was started with"
    if isinstance(error, OSError):  # what requests raises, too
        return (
            f"the Ray cluster at {address} cannot be reached ({type(error).__name__}); check that it runs, that"
            f" its dashboard listens there, and whether {_ADDRESS} is right"
        )
    return f"the Ray cluster at {address} refuses the request: {said[:400]}"


def _is_unknown(error: RuntimeError) -> bool:
    return "status code 404" in str(error)


def _in_words(status: str, message: str | None) -> str:
    ways = {"SUCCEEDED": "its job ended", "STOPPED": "its job was stopped on the cluster", "FAILED": "its job failed"}
    said = " ".join((message or "").split())[:300]
    return f"{ways.get(status, status)} ({said})" if said and status == "FAILED" else ways.get(status, status)


def _number(name: str, usual: int, *, least: int) -> int:
    text = os.environ.get(name) or str(usual)
    if not text.isdigit() or not least <= int(text) <= 1024:
        raise JobError(f"{name} is '{text}'; give a number from {least} to 1024, or leave it out for {usual}")
    return int(text)
