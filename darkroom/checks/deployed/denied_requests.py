"""Check of CloudTrail for requests to KMS that were denied to the stack."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from darkroom.checks.deployed.comparison import Target
from darkroom.checks.framework import Finding, failed, passed, where_possible
from darkroom.console.text import plural

HOURS = 1

PAGES = 5
"""Of 50 events; CloudTrail allows two requests per second.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

DENIED = ("AccessDenied", "KMSInvalidState", "DisabledException")


def check_denied_requests(target: Target) -> Iterator[Finding]:
    """KMS has refused nothing to the stack's roles, or to a service that uses its key.

    Requests to S3 and SQS are data events, which LookupEvents does not return.
    """
    yield from where_possible(_denied(target), "CloudTrail")


def _denied(target: Target) -> Iterator[Finding]:
    roles = {
        target.template.resolve({"Fn::GetAtt": [title, "Arn"]})
        for title, _, _ in target.resources("IAM::Role")
    }
    keys = {
        target.template.resolve({"Fn::GetAtt": [title, "Arn"]})
        for title, _, _ in target.resources("KMS::Key")
    }
    pages = (
        target.stack.client("cloudtrail")
        .get_paginator("lookup_events")
        .paginate(
            LookupAttributes=[
                {"AttributeKey": "EventSource", "AttributeValue": "kms.amazonaws.com"}
            ],
            StartTime=datetime.now(UTC) - timedelta(hours=HOURS),
            PaginationConfig={"PageSize": 50},
        )
    )
    count = 0
    found: dict[str, tuple[int, str]] = {}
    for page in islice(pages, PAGES):
        for event in page["Events"]:
            count += 1
            text = event.get("CloudTrailEvent") or "{}"
            detail = json.loads(text)
            if str(detail.get("errorCode", "")).startswith(DENIED) and (
                _role(detail) in roles or (_is_service(detail) and any(one in text for one in keys))
            ):
                label = f"{detail.get('eventName')} to {_role(detail) or detail['sourceIPAddress']}"
                number, reason = found.get(label, (0, str(detail.get("errorMessage", ""))))
                found[label] = (number + 1, reason)
    for label, (number, reason) in found.items():
        yield failed(
            f"KMS refused {label} {plural(number, 'time')} in the last hour: {reason}",
            "compare the key's policy and the role with the template: docs/first-deployment.md",
        )
    if not found:
        limit = ", the newest ones" if count == PAGES * 50 else ""
        yield passed(f"KMS refused nothing in the last hour ({plural(count, 'event')}{limit})")


def _role(event: Mapping[str, Any]) -> str:
    session = event.get("userIdentity", {}).get("sessionContext", {})
    return str(session.get("sessionIssuer", {}).get("arn", ""))


def _is_service(event: Mapping[str, Any]) -> bool:
    return bool(event.get("userIdentity", {}).get("type") == "AWSService")
