"""What `darkroom verify` does not show on the emulator, and that nothing else is excused."""

from typing import Any

import botocore.session
import pytest

from darkroom.aws.session import Account
from darkroom.checks.deployed.comparison import Difference, Target, judge
from darkroom.checks.names import VERIFY
from darkroom.emulator import limitations
from darkroom.emulator.limitations import LIMITATIONS, Limitation


def target(found: dict[tuple[str, str], Limitation]) -> Target:
    unused: Any = None
    return Target(stack=unused, template=unused, progress=unused, timeout=1.0, limitations=found)


def verdicts(found: Target, *differences: Difference) -> list[str]:
    return [one.verdict for one in judge(found, "buckets", ("B", "b"), list(differences))]


def test_only_the_listed_value_is_excused() -> None:
    """D4: a difference of another property, or of another value, still fails."""
    local = target({("buckets", "encryption"): Limitation("ignored", "AES256")})
    listed = Difference("encryption", "encryption is AES256, not aws:kms", "AES256")
    other_value = Difference("encryption", "encryption is none", "")
    other_property = Difference("versioning", "versioning is Suspended", "Suspended")
    assert verdicts(local, listed) == ["skip"]
    assert verdicts(local, other_value) == ["fail"]
    assert verdicts(local, listed, other_property) == ["fail", "skip"]
    assert verdicts(local) == ["pass"]
    assert verdicts(target({}), listed) == ["fail"]


def test_each_limitation_names_a_check() -> None:
    assert {check for check, _ in LIMITATIONS} <= set(VERIFY)


def test_no_request_leaves_this_host_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """S6: with AWS's endpoint the answer is known without a request."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr("urllib.request.build_opener", None)
    session = botocore.session.Session()
    session.set_config_variable("region", "eu-west-1")
    assert limitations.find_limitations(Account(session=session)) == {}
