"""Uploads of a local run through the stack's upload API, as `darkroom upload` sends them."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from darkroom.aws.upload_api import UploadApi
from darkroom.aws.uploads import Checkpoint, Outcome, Uploads
from darkroom.console.progress import Progress
from darkroom.emulator.deployment import EmulatedStack
from darkroom.emulator.ministack import Emulator
from darkroom.emulator.pictures import File
from templates.specification_api import INVOKE

POLL_SECONDS = 0.2
CALLER = "uploader"
"""Name of the IAM user that a local run makes."""


@dataclass(frozen=True)
class EmulatedApi:
    """The upload API of a stack on the emulator, which has no host names of APIs: a path instead.

    `id` is the API's, `key` the value of its key.
    """

    emulator: Emulator = field(repr=False)
    id: str
    stage: str
    key: str = field(repr=False)

    @classmethod
    def of(cls, emulator: Emulator, stack: EmulatedStack) -> "EmulatedApi":
        """Return the API of a stack that has one."""
        url = urlsplit(stack.outputs["UploadApiUrl"])
        found = emulator.client("apigateway").get_api_key(
            apiKey=stack.outputs["UploadApiKeyId"], includeValue=True
        )
        return cls(emulator, url.netloc.partition(".")[0], url.path.strip("/"), found["value"])

    @property
    def url(self) -> str:
        """The URL with the stage."""
        return f"{self.emulator.url}/_aws/execute-api/{self.id}/{self.stage}"

    def add_caller(self, name: str, *, permitted: str = "*") -> Credentials:
        """Return the credentials of a new IAM user that may call the API and nothing else.

        Args:
            name: The user's.
            permitted: Methods and paths that it may call, as in the API's ARN.
        """
        iam = self.emulator.client("iam")
        iam.create_user(UserName=name)
        arn = f"arn:aws:execute-api:{self.emulator.region}:*:{self.id}/{self.stage}/{permitted}"
        allow = {"Effect": "Allow", "Action": INVOKE, "Resource": arn}
        document = {"Version": "2012-10-17", "Statement": [allow]}
        iam.put_user_policy(UserName=name, PolicyName="call", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def client(self, credentials: Credentials) -> UploadApi:
        """Return a client of the API that uses no proxy and trusts the emulator's certificate."""
        certificate: Any = str(self.emulator.certificate)
        return UploadApi(
            url=self.url,
            api_key=self.key,
            credentials=credentials,
            region=self.emulator.region,
            send=URLLib3Session(verify=certificate, proxies={}).send,
        )


def upload(
    api: UploadApi,
    files: Sequence[File],
    directory: Path,
    *,
    timeout: float,
    check: Callable[[], object],
    progress: Progress,
) -> list[Outcome]:
    """Upload files through the API, and wait until it tells what came of each.

    Args:
        api: The API.
        files: The files, each once.
        directory: For the checkpoint.
        timeout: Seconds without any news after which the run gives up.
        check: Called again and again; it raises what ends the run before.
        progress: Shows how far the uploads are.

    Raises:
        UserError: The API does not answer, or throttles for too long; or as `check` says.
    """
    uploads = Uploads(api, Checkpoint(directory / "uploads.jsonl", api.url), progress, timeout)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(uploads.run, files)
        try:
            while not run.done():
                check()
                time.sleep(POLL_SECONDS)
        finally:
            uploads.stop()  # also after Ctrl-C
        return run.result()
