"""What is printed of a deployment: where pictures go in, and where thumbnails come out."""

from dataclasses import replace
from typing import Any

from darkroom.aws.stack import Stack
from darkroom.checks.framework import CheckResult, failed, passed
from darkroom.cloudformation.changes import Change
from darkroom.deploy import report
from darkroom.deploy.deployment import Result

SESSION: Any = None
STACK = Stack(
    session=SESSION,
    name="s",
    id="arn:s",
    status="UPDATE_COMPLETE",
    outputs={
        "UploadBucketName": "uploads",
        "UploadPrefixes": "in/,more/",
        "ScansUploadBucketName": "scans",
        "ScansUploadPrefixes": "",
        "ThumbnailBucketName": "thumbnails",
        "UploadApiUrl": "https://api/",
        "DistributionDomainName": "d1.example",
    },
    parameters={},
    resources={},
)
CHANGE = Change(
    resource="Worker", type="AWS::Lambda::Function", action="update", properties=("Code",)
)
GOOD, BAD = (CheckResult("x", (one,)) for one in (passed("fine"), failed("broken", "mend it")))
DONE = Result(stack_name="s", preflight=[GOOD], changes=(CHANGE,), stack=STACK)


def test_every_place_is_listed() -> None:
    """D8: each prefix of each source, the API and the distribution."""
    assert report.places(STACK) == {
        "in": ["s3://scans/", "s3://uploads/in/", "s3://uploads/more/", "https://api/"],
        "out": ["s3://thumbnails/thumbnails/", "https://d1.example/"],
    }
    assert report.text(DONE).splitlines()[0] == "Put pictures into  s3://scans/"


def test_a_result_is_the_table_that_matters() -> None:
    """D8: failed checks, the changes of a dry run, or the verification and the places."""
    assert "→ mend it" in report.text(replace(DONE, preflight=[BAD], stack=None))
    planned = report.text(replace(DONE, stack=None)).splitlines()
    assert planned[1].split() == ["update", "Worker", "Lambda::Function", "Code"]
    assert planned[-1] == "1 to update."
    verified = report.text(replace(DONE, verification=[BAD]))
    assert "verify s: fail" in verified
    assert "Put pictures into" in verified


def test_programs_get_all_of_it() -> None:
    found = report.data(replace(DONE, verification=[GOOD]))
    assert (found["stack"], found["status"]) == ("s", "UPDATE_COMPLETE")
    assert found["changes"][0]["properties"] == ("Code",)
    assert found["verification"]["verdict"] == found["preflight"]["verdict"] == "pass"
    assert found["outputs"] == STACK.outputs
    assert "places" not in report.data(replace(DONE, stack=None))
