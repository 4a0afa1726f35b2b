"""Ray's start and end: a local one with a folder of its own, or a cluster at an address. Every wait is bounded."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import psutil

from .. import text
from ..types import Resources, UserError
from . import guard
from .folder import Folder

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing calls out of the machine
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's future default, without its warning
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")  # a head that is away: else a minute
import ray
from ray._private import ray_constants, services
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined] # a compiled module
from ray.job_config import JobConfig

START_S = 55.0  # for Ray to start, or to take us in
END_S = 20.0
PROBE_S = 5.0  # for an address to answer
BEAT_S = 0.5
TOKEN = Path(".ray", "auth_token")  # below the home folder: where Ray looks for it
HEARTS = ("gcs_server", "raylet")  # the processes without which Ray does nothing
LONGEST = 600  # characters of a cause

log = logging.getLogger("albench")

_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class EngineError(UserError):
    """The cluster cannot run the grid; ``str()`` is one line that says why."""

    exit_status = 1


class Session:
    """A connection to Ray: a local one started for this run, or a running cluster at ``address``.

    Raises
    ------
    EngineError, FolderError
        Within a minute, when Ray does not start or nothing usable answers at the address.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        self._where = f"at {address}" if address else "on this machine"
        self._folder: Folder | None = None
        self._hearts: dict[str, psutil.Process] = {}
        self._beat_at = 0.0
        late = f"Ray {self._where} does not answer within {START_S:.0f} s{_REFUSED if address else ''}"
        with guard.within(START_S, late):
            if address:
                found = _found(address)
                _authenticate(found)
                self._init(address=found)
            else:
                self._start(workers or os.cpu_count() or 1)
        self.workers = workers or max(1, int(self._resources().get("CPU", 1)))

    def _start(self, cpus: int) -> None:
        _token()
        self._folder = Folder()
        guard.litter(self._folder.path)
        ray_constants.ENABLE_RAY_CLUSTER = False  # all of it listens on loopback only, as Ray does on a Mac
        try:
            folder = str(self._folder.path)
            self._init(address="local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder)
        except BaseException:
            guard.leave_at_once()
            self._clear()
            raise
        self._hearts = {child.name(): child for child in psutil.Process().children() if child.name() in HEARTS}

    def _init(self, **how: Any) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)  # Ray greets on stderr
        ray_worker.print_to_stdstream = _unsaid
        try:
            with guard.handlers_kept(), _silence():
                ray.init(
                    job_config=JobConfig(_client_job=True),  # else the current folder comes first in each worker's path
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    configure_logging=False,
                    **how,
                )
        except Exception as error:  # Ray raises what it likes
            refused = isinstance(error, ConnectionError) and "address" in how
            raise EngineError(f"Ray {self._where}: {cause(error)}{_REFUSED if refused else ''}") from error

    def beat(self) -> None:
        """Raise `EngineError` when Ray has died on this machine: no call would ever return."""
        if time.monotonic() - self._beat_at > BEAT_S:
            self._beat_at = time.monotonic()
            if died := self._died():
                line = f"Ray has died on this machine ({died}); {guard.KEPT}"
                guard.leave_word(line)  # Ray ends this process too, perhaps before it can speak
                raise EngineError(line)

    def alive(self) -> bool:
        """Return whether Ray can be asked for something: it has not died, and there is time."""
        return not guard.leaving() and not self._died()

    def _died(self) -> str:
        for name, heart in self._hearts.items():
            with suppress(psutil.TimeoutExpired):
                how = heart.wait(timeout=0)
                ended = f"was ended by {signal.Signals(-how).name}" if how and how < 0 else "ended"
                return f"its process {name} {ended}"
        return ""

    def check(self, resources: Resources) -> None:
        """Raise `EngineError` when the cluster as a whole does not have what one trial asks for."""
        have = self._resources()
        for name, asked in (("CPU", resources.num_cpus), ("GPU", resources.num_gpus)):
            if asked > have.get(name, 0):
                raise EngineError(
                    f"resources: a trial asks for num_{name.lower()}s: {asked:g}, the cluster has {have.get(name, 0):g}"
                )

    def _resources(self) -> dict[str, float]:
        return dict(ray.cluster_resources())  # type: ignore[no-untyped-call] # Ray left it untyped

    def close(self) -> None:
        """Leave the cluster; a local one ends, and its folder goes."""
        if self.alive():
            with guard.within(END_S, f"Ray does not end within {END_S:.0f} s; {guard.KEPT}"), _silence():
                ray.shutdown()
        else:
            guard.leave_at_once()  # Ray would wait for what is dead
        self._clear()

    def _clear(self) -> None:
        """End what is left of a local Ray without asking it, and remove its folder."""
        if self._folder is None:
            return
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if str(self._folder.path) in " ".join(child.cmdline()):
                    child.kill()
        self._folder.close()


def cause(error: BaseException) -> str:
    """Return all that an error says, on one line and bounded: what matters stands at the end of Ray's."""
    return text.reason(error, LONGEST)


_COPY = "copy ~/.ray/auth_token from the machine of `ray start --head`, or set RAY_AUTH_TOKEN"
_REFUSED = (
    f", though its port is open: is it that of `ray start --head`, and the token here the cluster's? Else {_COPY}"
)


def _found(address: str) -> str:
    """Return the cluster's host:port, at which something answers."""
    latest = services.find_bootstrap_address(None)  # of `ray start`; Ray might take a local run of somebody else
    asked = (os.environ.get("RAY_ADDRESS") or latest or address) if address == "auto" else address
    try:
        found: str = services.canonicalize_bootstrap_address_or_die(asked)
        host, _, port = found.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
    except (ConnectionError, ValueError, OSError) as error:
        raise EngineError(
            f"Ray at {asked}: {cause(error)}; is a cluster running there (ray start --head), and does a firewall let"
            " its port through?"
        ) from error
    return found


def _unsaid(*_: object, **__: object) -> None:
    """Take the messages of Ray's daemons, which it would print among ours (twenty lines of a log when one dies)."""


def _authenticate(address: str) -> None:
    """Show the token of this user to a cluster that asks for one, and only then: its workers must answer ours."""
    if "RAY_AUTH_MODE" in os.environ:
        return
    asks = _asks_for_a_token(address)
    if asks and not AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        raise EngineError(f"Ray at {address} asks for a token, and there is none here: {_COPY}")
    if not asks:
        log.warning(
            "Ray at %s asks for no token: whoever reaches its ports runs what they like there (README)", address
        )
    os.environ["RAY_AUTH_MODE"] = "token" if asks else "disabled"
    Config.initialize("")  # Ray keeps what it has read


def _asks_for_a_token(address: str) -> bool:
    """Return whether the cluster refuses who comes without a token; Ray says so only in what it prints."""
    code = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
    env = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-P", "-c", code, address]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as asking:  # noqa: S603 (our own code)
        for line in cast(IO[str], asking.stderr):
            if "InvalidAuthToken" in line:
                asking.kill()
                return True
    return False


def _token() -> None:
    """Make the token with which this user's clusters know him, for him alone to read, unless there is one."""
    if "RAY_AUTH_MODE" in os.environ or any(name in os.environ for name in _TOKENS):
        return
    try:
        path = Path.home() / TOKEN
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            new = path.with_name(f"{path.name}.{os.getpid()}")
            new.touch(mode=0o600)
            new.write_text(secrets.token_hex(32), encoding="ascii")
            new.replace(path)
        path.read_text(encoding="ascii")
    except (OSError, RuntimeError):  # no home folder, or not ours: a token for this run
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what Ray's C++ prints while it starts and ends from standard error: it says nothing that we do not say."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
