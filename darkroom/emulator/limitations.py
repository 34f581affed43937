"""Properties of resources that the emulator does not keep, and so cannot show."""

import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from darkroom.aws.session import Account


@dataclass(frozen=True)
class Limitation:
    """What the emulator shows for a property instead of the template's value."""

    reason: str
    actual: str | None = ""
    """The value it shows as text, "" for none; None for a value of its own making."""

    def explains(self, actual: str) -> bool:
        """Return whether this value comes from the emulator: any other one was set."""
        return bool(actual) if self.actual is None else actual == self.actual


LIMITATIONS: Mapping[tuple[str, str], Limitation] = {
    ("api", "endpoint type"): Limitation("it ignores EndpointConfiguration"),
    ("api", "VPC endpoints"): Limitation("it ignores EndpointConfiguration"),
    ("api", "access log"): Limitation("it ignores AccessLogSetting"),
    ("api", "access log format"): Limitation("it ignores AccessLogSetting"),
    ("api", "authorization"): Limitation("a deployment's summary lacks it"),
    ("buckets", "encryption"): Limitation("it ignores BucketEncryption", "AES256 with no key"),
    ("buckets", "lifecycle"): Limitation("it ignores LifecycleConfiguration"),
    ("buckets", "policy statement DenyUploadsOutsideCidrs"): Limitation(
        "it takes an empty AllowedUploadCidrs for one range", None
    ),
    ("functions", "subnets"): Limitation("it ignores VpcConfig"),
    ("functions", "security groups"): Limitation("it ignores VpcConfig"),
    ("functions", "key"): Limitation("it ignores KmsKeyArn"),
    ("network", "policy"): Limitation("it ignores PolicyDocument"),
    ("network", "private DNS"): Limitation("it ignores PrivateDnsEnabled"),
    ("network", "S3's prefix list"): Limitation("its prefix list is an invented one", None),
    ("topics", "key"): Limitation("it ignores KmsMasterKeyId"),
    ("triggers", "minimum pollers"): Limitation("it ignores ProvisionedPollerConfig"),
    ("triggers", "maximum pollers"): Limitation("it ignores ProvisionedPollerConfig"),
}
"""By check and property of `darkroom verify`, as of MiniStack 1.5.33."""

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
HEALTH = "/_ministack/health"
TIMEOUT_SECONDS = 5


def find_limitations(account: Account) -> Mapping[tuple[str, str], Limitation]:
    """Return LIMITATIONS if the account is on the emulator, and nothing if it is on AWS."""
    return LIMITATIONS if is_emulator(account) else {}


def is_emulator(account: Account) -> bool:
    """Return whether the account's endpoint is MiniStack: local, and with its health path.

    No request goes to an endpoint that is not on this host.
    """
    endpoint = account.client("cloudformation").meta.endpoint_url
    if urlsplit(endpoint).hostname not in LOOPBACK:
        return False
    certificates = account.session.get_config_variable("ca_bundle")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificates)),
    )
    try:
        with opener.open(f"{endpoint}{HEALTH}", timeout=TIMEOUT_SECONDS) as response:
            return bool(response.status == 200)
    except OSError:  # another local endpoint, or a tunnel to AWS
        return False
