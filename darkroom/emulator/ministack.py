"""An embedded AWS (MiniStack) in a process of its own, with nothing of the caller's AWS in it."""

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
from botocore.config import Config

from darkroom.errors import UserError

HOST = "127.0.0.1"
ACCESS_KEY = "test"  # MiniStack's own root caller; means nothing to the real AWS
SECRET_KEY = "test"  # noqa: S105  # nosec B105 # the fake that goes with it
START_SECONDS = 60.0  # a cold start takes 2 s; a slow disk or a busy machine several times that

# What a child process needs from the caller's environment to start at all: nothing else is passed.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Emulator:
    """The embedded AWS: `with Emulator() as emulator: emulator.client("s3")…`.

    TLS and IAM are on. State, log, certificate and temporary files live in one
    directory that goes when the block ends, however it ends: also on Ctrl-C,
    SIGTERM and SIGHUP. Raises UserError when the emulator cannot start.
    """

    def __init__(
        self,
        *,
        region: str = "eu-west-1",
        plain_http: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare one for `region`; `progress` hears how its start goes.

        With `plain_http` it also answers at `plain_url`, to show that policies refuse that.
        """
        self.region = region
        self._plain_http = plain_http
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Starts it and waits until it answers."""
        _check_host()
        self._handle_signals()
        self.directory = Path(tempfile.mkdtemp(prefix="darkroom-"))
        self.certificate = self.directory / "certificate.pem"
        self._key = self.directory / "key.pem"
        self.log = self.directory / "emulator.log"
        try:
            self._make_certificate()
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
        """Stops it and removes all that it wrote."""
        self._clean_up()

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment for a program that shall use this AWS and no other."""
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
        """What a person exports to use this AWS with the AWS CLI or an SDK."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str, *, credentials: Mapping[str, str] | None = None) -> Any:
        """A botocore client of this AWS, as its root or with `credentials`.

        `credentials` are create_client's own: `aws_access_key_id`, `aws_secret_access_key` and
        perhaps `aws_session_token`; the first may be a 12-digit account id to be its root.
        Neither the caller's AWS configuration nor a proxy of his is read.
        """
        session = botocore.session.Session(session_vars=_nothing_from_outside())
        root = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        return session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self.url,
            verify=str(self.certificate),
            config=Config(
                proxies={},
                max_pool_connections=32,
                s3={"addressing_style": "path"},  # HOST has no sub-domains
            ),
            **(credentials or root),
        )

    def wait(self) -> None:
        """Return never: until Ctrl-C or, with a UserError, until the emulator ends by itself."""
        if self._process is not None:
            status = self._process.wait()
            raise UserError(f"The embedded AWS stopped with status {status}.\n{self.log_tail()}")

    def log_tail(self, *, lines: int = 15, about: str = "") -> str:
        """The last lines that the emulator wrote, of those that contain `about`."""
        written = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in written if about in line][-lines:])

    def _handle_signals(self) -> None:
        """Lets SIGTERM and SIGHUP unwind the program as Ctrl-C does."""
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may, and only it receives them
        self._handlers = {
            number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)
        }
        self._handlers[signal.SIGINT] = signal.getsignal(signal.SIGINT)

    def _clean_up(self) -> None:
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)  # the few seconds of tidying are not for cutting
        if self._process is not None:
            _stop(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _make_certificate(self) -> None:
        """Writes a certificate for HOST and its key: ours alone, known to nobody else."""
        command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={HOST}"]
        command += ["-addext", f"subjectAltName=IP:{HOST}"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-addext", "keyUsage=critical,digitalSignature"]
        command += ["-out", str(self.certificate), "-keyout", str(self._key)]
        made = subprocess.run(
            command, env=_inherited(), capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise UserError(f"openssl could not make a certificate:\n{made.stderr}")

    def _start(self, binds: Mapping[str, socket.socket]) -> subprocess.Popen[bytes]:
        """Starts it on open sockets: its own start command would look for a port and take 443."""
        environment = self.environment | {
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": self.region,
            "MINISTACK_SSL_CERT": str(self.certificate),
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
        command += ["--certfile", str(self.certificate), "--keyfile", str(self._key)]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                env=environment,
                cwd=self.directory,
                pass_fds=[listener.fileno() for listener in binds.values()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to handle; its workers stop with it
            )

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        began = time.monotonic()
        while not self._is_healthy():
            waited = time.monotonic() - began
            status = process.poll()
            if status is not None or waited > START_SECONDS:
                what = f"stopped with status {status}" if status is not None else "did not answer"
                raise UserError(
                    f"The embedded AWS {what} after {waited:.0f} s. The end of its log:\n"
                    + (self.log_tail() or "(empty)")
                )
            self._progress(f"starting the embedded AWS, {waited:.0f} s")
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


def _nothing_from_outside() -> dict[str, tuple[None, None, Any, Any]]:
    """botocore's session variables with their defaults, cut off from environment and files."""
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
    if sys.platform != "linux":
        raise UserError(
            "The local run needs Linux, for it runs the function's own package, which is built for"
            " Linux. On Windows use WSL, on macOS a Linux virtual machine or container."
        )
    if shutil.which("openssl") is None:
        raise UserError("The embedded AWS makes its certificate with `openssl`: install it first.")


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)  # the shell's convention


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the emulator and the function workers it started: the process group it leads.

    At once: there is no state to save, and its graceful stop waits for idle connections.
    """
    with suppress(ProcessLookupError):  # none left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
