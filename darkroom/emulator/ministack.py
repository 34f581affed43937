"""An emulator of AWS (MiniStack) in a process of its own, isolated from the caller's AWS."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self

import botocore.session
import trustme
from botocore.config import Config

from darkroom.errors import UserError
from worker.connections import send_first_request_alone

HOST = "127.0.0.1"
ACCESS_KEY = "test"  # MiniStack's own root caller; means nothing to the real AWS
SECRET_KEY = "test"  # noqa: S105  # nosec B105 # the fake that goes with it
START_SECONDS = 60.0  # a cold start takes 2 s; a slow disk or a busy machine several times that

# Signals that end the program as Ctrl-C does; Windows has no SIGHUP.
TERMINATION = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)

# What a child process needs from the caller's environment to start; nothing else is passed on.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Emulator:
    """An AWS emulator: `with Emulator() as emulator: emulator.client("s3")`.

    TLS is on and IAM is enforced. All its files are in one directory,
    which is deleted when the block ends, also by Ctrl-C, SIGTERM or SIGHUP.
    """

    def __init__(
        self,
        *,
        region: str = "eu-west-1",
        plain_http: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare an emulator; entering the context starts it.

        Args:
            region: the AWS Region that it emulates.
            plain_http: also listen without TLS at `plain_url`, to test policies that refuse that.
            progress: called with a sentence while the emulator starts.
        """
        self.region = region
        self._plain_http = plain_http
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Start the emulator and wait until it answers.

        Raises:
            UserError: the emulator cannot start on this host.
        """
        _check_host()
        self._handle_signals()
        self.directory = Path(tempfile.mkdtemp(prefix="darkroom-"))
        self.certificate = self.directory / "certificate.pem"
        self.log = self.directory / "emulator.log"
        try:
            self._make_certificates()
            with ExitStack() as sockets:
                binds = {"--bind": sockets.enter_context(_listener())}
                self.url = f"https://{HOST}:{_port(binds['--bind'])}"
                if self._plain_http:
                    binds["--insecure-bind"] = sockets.enter_context(_listener())
                    self.plain_url = f"http://{HOST}:{_port(binds['--insecure-bind'])}"
                self._process = self._start(binds)
            self._wait_until_healthy(self._process)
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the emulator and delete its files."""
        self._clean_up()

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a program that may use this AWS and no other."""
        return {
            **_inherited(),
            "HOME": str(self.directory),  # no ~/.aws: no profiles, aliases, plug-ins, caches
            "TMPDIR": str(self.directory),
            **self.settings,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "NO_PROXY": HOST,
            "PYTHONUTF8": "1",
        }

    @property
    def settings(self) -> dict[str, str]:
        """The variables that point the AWS CLI or an SDK to this AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str, *, credentials: Mapping[str, Any] | None = None) -> Any:
        """Return a botocore client of this AWS, with the root user's credentials by default.

        Neither the caller's AWS configuration nor a proxy setting is read. There is one client of
        the root user for each service, because making one takes as long as dozens of requests.

        Args:
            service: botocore's name of the service.
            credentials: `aws_access_key_id`, `aws_secret_access_key` and optionally
                `aws_session_token`; a 12-digit account id as the key id is that account's root.
        """
        if credentials is None and service in self._clients:
            return self._clients[service]
        session = botocore.session.Session(session_vars=_isolated_variables())
        root: Mapping[str, Any] = {
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
        }
        client = session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self.url,
            verify=str(self.certificate),
            config=Config(
                proxies={},
                max_pool_connections=32,
                s3={"addressing_style": "path"},  # HOST has no subdomains
            ),
            **(credentials or root),
        )
        send_first_request_alone(client)
        if credentials is None:
            self._clients[service] = client
        return client

    def wait(self, seconds: float | None = None) -> None:
        """Wait for Ctrl-C, or for some seconds.

        Raises:
            UserError: the emulator stopped on its own.
        """
        if self._process is not None:
            try:
                status = self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return
            raise UserError(f"The emulator stopped with status {status}.\n{self.log_tail()}")

    def log_tail(self, *, lines: int = 15, about: str = "") -> str:
        """Return the last lines of the emulator's log that contain `about`."""
        written = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in written if about in line][-lines:])

    def _handle_signals(self) -> None:
        """Let SIGTERM and SIGHUP unwind the program as Ctrl-C does."""
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may, and only it receives them
        self._handlers = {number: signal.signal(number, _leave) for number in TERMINATION}
        self._handlers[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        if self._handlers[signal.SIGINT] != signal.SIG_IGN:  # a shell's background job ignores it
            # A terminal sends SIGINT to the whole process group, and tox sends it once more.
            signal.signal(signal.SIGINT, _interrupt_once)

    def _clean_up(self) -> None:
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave files behind
        if self._process is not None:
            _stop(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _make_certificates(self) -> None:
        """Write a certificate authority, and a certificate for HOST with its key."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.certificate))
        server = authority.issue_cert(HOST)
        self._chain, self._key = self.directory / "chain.pem", self.directory / "key.pem"
        for part in server.cert_chain_pems:
            part.write_to_path(str(self._chain), append=True)
        server.private_key_pem.write_to_path(str(self._key))

    def _start(self, binds: Mapping[str, socket.socket]) -> subprocess.Popen[bytes]:
        """Start it on open sockets: its own command looks for a port, and takes 443."""
        environment = self.environment | {
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": self.region,
            "MINISTACK_SSL_CERT": str(self._chain),
            "MINISTACK_SSL_KEY": str(self._key),
            "GATEWAY_PORT": str(_port(binds["--bind"])),
            "USE_SSL": "1",
            "AUTH": "true",  # IAM is enforced
            "IOT_MTLS_ENABLED": "0",  # no second listener
            "SFTP_ENABLED": "0",  # nor a third
            "STATE_DIR": str(self.directory / "state"),
            "S3_DATA_DIR": str(self.directory / "s3"),
            "DOCKER_HOST": f"unix://{self.directory}/none",  # leaves the host's containers alone
        }
        command = [sys.executable, "-m", "hypercorn", "ministack.app:app", "--workers", "0"]
        command += ["--keep-alive", "75"]
        for option, listener in binds.items():
            command += [option, f"fd://{listener.fileno()}"]
        command += ["--certfile", str(self._chain), "--keyfile", str(self._key)]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                env=environment,
                cwd=self.directory,
                pass_fds=[listener.fileno() for listener in binds.values()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # we handle Ctrl-C, and end the group with its workers
            )

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        began = time.monotonic()
        while not self._is_healthy():
            waited = time.monotonic() - began
            status = process.poll()
            if status is not None or waited > START_SECONDS:
                what = f"stopped with status {status}" if status is not None else "did not answer"
                raise UserError(
                    f"The emulator {what} after {waited:.0f} s. The end of its log:\n"
                    + (self.log_tail() or "(empty)")
                )
            self._progress(f"Starting the emulator, for {waited:.0f} s so far")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(
                context=ssl.create_default_context(cafile=self.certificate)
            ),
        )
        try:
            with opener.open(f"{self.url}/_ministack/health", timeout=1) as response:
                return bool(response.status == 200)
        except OSError:  # not listening yet
            return False


def _isolated_variables() -> dict[str, tuple[None, None, Any, Any]]:
    """Return botocore's session variables with their defaults, read from nowhere else."""
    defaults = botocore.session.Session.SESSION_VARIABLES
    isolated = {
        name: (None, None, default, convert) for name, (_, _, default, convert) in defaults.items()
    }
    for file in ("config_file", "credentials_file"):
        isolated[file] = (None, None, os.devnull, None)
    return isolated


def _listener() -> socket.socket:
    listener = socket.create_server((HOST, 0))  # any free port
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _check_host() -> None:
    """Check at once what would otherwise be an emulator that does not answer.

    Raises:
        UserError: The emulator cannot run here.
    """
    if sys.platform == "win32":
        raise UserError("The local run needs Linux or macOS. On Windows, run it in WSL.")
    try:
        with socket.create_server((HOST, 0)) as listener:
            socket.create_connection(listener.getsockname(), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"The emulator cannot be reached: no connection to {HOST} is possible"
            f" ({error.strerror or error}). Is the loopback interface up?"
        ) from error


def _interrupt_once(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _leave(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)  # the shell's convention


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator and the function workers that it started: its process group.

    There is no state to save, and its graceful stop waits for idle connections.
    """
    with suppress(ProcessLookupError):  # none left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
