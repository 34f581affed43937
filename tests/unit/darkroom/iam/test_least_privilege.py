import copy
from dataclasses import replace
from typing import Any

import pytest

from darkroom.iam.expectations import suite
from darkroom.iam.expectations.expectation import Expectation
from darkroom.iam.least_privilege import failures, verify
from darkroom.iam.model import StackModel, model_of, model_of_template
from darkroom.iam.mutations import mutants
from templates import specification
from tests.unit.templates.conftest import generate
from tests.unit.templates.test_sources import EVERY_KIND


def stack_of(**tables: Any) -> StackModel:
    return model_of(specification.parse(tables, origin="test"))


def test_traces_may_be_sent_only_with_tracing() -> None:
    """S5: allowed when tracing is on, denied when it is off; the opposite fails."""
    on = stack_of()
    off = replace(on, values={**on.values, "Tracing": "PassThrough"})
    result = verify(off)
    assert result.is_passed
    conditions = on.template["Conditions"]
    swapped = {"TracingActive": {"Fn::Not": [conditions["TracingActive"]]}}
    for stack in (on, off):
        wrong = {**on.template, "Conditions": {**conditions, **swapped}}
        assert any("xray:Put" in one.action for one in failures(replace(stack, template=wrong)))


@pytest.mark.parametrize(
    "tables",
    [
        {"api": {}},
        {
            "api": {"access": "regional", "source": "scans", "prefix": "in/api/"},
            "sources": {"scans": {"prefixes": ["in/"], "hash_prefix": True}},
        },
        {"api": {}, "network": {"vpc": "existing", "endpoints": "existing"}},
        {
            "api": {"prefix": "api/"},
            "sources": {"default": {"prefixes": [""], "suffixes": ["*"]}},
        },
    ],
)
def test_the_upload_api_may_do_what_it_needs_and_nothing_else(tables: dict[str, Any]) -> None:
    """A1, S5: its role, endpoint, buckets and callers; every mutant is noticed."""
    assert verify(stack_of(**tables)).is_passed


TOPIC = "arn:aws:sns:eu-west-1:444455556666:alarms"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/other"


@pytest.mark.parametrize(
    ("given", "uses_key"),
    [
        ({"ExistingCriticalTopicArn": TOPIC}, True),
        ({"ExistingWarningTopicArn": TOPIC}, True),
        ({"ExistingCriticalTopicArn": TOPIC, "ExistingWarningTopicArn": TOPIC}, False),
        ({"AlarmTopicKmsKeyArn": KEY}, False),
    ],
)
def test_alarms_may_use_the_key_for_the_topics_of_the_stack_only(
    given: dict[str, str], uses_key: bool
) -> None:
    """S5, O5: an existing topic has its own policy and key; every mutant is noticed."""
    stack = stack_of()
    changed = replace(stack, values={**stack.values, **given})
    assert verify(changed).is_passed
    uses = [one for one in suite.allowed(changed) if one.reason == "notify of an alarm"]
    assert any(one.request.action == "kms:Decrypt" for one in uses) is uses_key
    conditions = stack.template["Conditions"]
    for name in ("AlarmsUseStackKey", "CreatesCriticalTopic", "CreatesWarningTopic"):
        swapped = {**conditions, name: {"Fn::Not": [conditions[name]]}}
        wrong = replace(changed, template={**stack.template, "Conditions": swapped})
        assert not verify(wrong).is_passed, name


def test_every_source_and_queue_is_tested() -> None:
    """S5: each permission for each source, an external key included, has its request."""
    stack = stack_of(**EVERY_KIND)
    assert [source.service.partition(".")[0] for source in stack.sources] == [
        "s3",
        "s3",
        "events",
        "sns",
        "sns",
    ]
    assert len(stack.queues) == 2
    tested = {(one.request.action, one.request.resource) for one in suite.allowed(stack)}
    for statement in stack.statements("WorkerRole"):
        if statement.get("Sid", "").endswith(
            ("ReadUploads", "DecryptUploads", "DeleteOrDelayMessages")
        ):
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    named = resource.replace("/*", "/a.jpg")
                    assert (action, named) in tested, statement["Sid"]


def test_the_topic_of_records_has_no_more_permissions_than_it_needs() -> None:
    """S4, S5: with each kind of source, and so of sender; every mutant is noticed."""
    result = verify(stack_of(**EVERY_KIND, events={"topic": True, "eventbridge": True}))
    assert not result.failures
    assert not result.surviving_mutants


def failures_with(title: str, sid: str, **changes: Any) -> tuple[str, ...]:
    """Return the failures of a stack in which that statement is changed."""
    stack = stack_of(**EVERY_KIND, logs={"archive": True}, events={"topic": True})
    resource = stack.resources[title]
    for statement in _statements(resource):
        if statement.get("Sid") == sid:
            for part, value in changes.items():
                statement[part] = value
    return tuple(str(one) for one in failures(stack))


def _statements(value: Any) -> list[dict[str, Any]]:
    """Return the statements anywhere in `value`, the conditional ones as well."""
    if isinstance(value, list):
        return [found for item in value for found in _statements(item)]
    if isinstance(value, dict):
        own = [value] if "Sid" in value else []
        return own + [found for item in value.values() for found in _statements(item)]
    return []


@pytest.mark.parametrize(
    ("title", "sid", "changes", "failure"),
    [
        ("WorkerRole", "WriteOutputs", {"Action": ["s3:PutObject"]}, "denied, but must be allowed"),
        ("WorkerRole", "ReadUploads", {"Action": ["s3:*"]}, "allowed, but must be denied"),
        ("WorkQueuePolicy", "SendNotifications", {"Condition": {}}, "another bucket"),
        ("S3Endpoint", "ReadUploads", {"Condition": {}}, "another principal through the endpoint"),
        (
            "UploadBucketPolicy",
            "DenyOtherAccounts",
            {"Effect": "Allow"},
            "a user of another account",
        ),
        ("EncryptionKey", "PublishAlarms", {"Condition": {}}, "another account"),
        ("EncryptionKey", "SendEvents", {"Condition": {}}, "another queue"),
        ("EncryptionKey", "SendEvents", {"Action": ["kms:Decrypt"]}, "send a notification"),
        ("BulkWorkQueuePolicy", "SendRuleEvents", {"Condition": {}}, "rule or topic"),
        (
            "DeadLetterQueuePolicy",
            "SendTopicMessages",
            {"Effect": "Deny"},
            "an undelivered event",
        ),
        ("WorkerRole", "OldReadUploads", {"Resource": ["arn:aws:s3:::*"]}, "another action"),
        ("WorkerRole", "WireDecryptUploads", {"Action": ["kms:*"]}, "under an external key"),
        ("RecordTopicPolicy", "PublishRecords", {"Condition": {}}, "another bucket"),
        ("RecordTopicPolicy", "DenyPlaintext", {"Condition": {}}, "test the topic"),
        ("EncryptionKey", "PublishRecords", {"Condition": {}}, "the key for another topic"),
        ("EncryptionKey", "PublishRecords", {"Action": ["kms:Decrypt"]}, "notify of a record"),
        ("LogDeliveryRole", "Assume", {"Condition": {}}, "another stream or account"),
        ("LogDeliveryRole", "EncryptLogs", {"Condition": {}}, "the key for another resource"),
        (
            "LogDeliveryRole",
            "WriteLogs",
            {"Action": ["s3:PutObject"]},
            "denied, but must be allowed",
        ),
        ("LogSubscriptionRole", "Assume", {"Condition": {}}, "another log"),
        ("LogSubscriptionRole", "SendLogs", {"Resource": ["*"]}, "another stream"),
        ("LogArchiveBucketPolicy", "DenyOtherKeys", {"Effect": "Allow"}, "another encryption key"),
    ],
)
def test_a_wrong_statement_is_reported(
    title: str, sid: str, changes: dict[str, Any], failure: str
) -> None:
    """S5: the test can fail, and names the policy."""
    found = "\n".join(failures_with(title, sid, **changes))
    assert failure in found
    assert title in found


@pytest.mark.parametrize(
    ("paths", "failure"),
    [
        (["uploads/*"], ""),
        (["uploads/*", "scans/*"], "an unpublished thumbnail"),
        (["*"], "an unpublished thumbnail"),
        (["scans/*"], "deliver a thumbnail"),
    ],
)
def test_a_published_path_too_many_or_too_few_is_reported(paths: list[str], failure: str) -> None:
    """S5: the distribution reads published thumbnails, and no others."""
    stack = stack_of(cdn={}, sources={"default": {}, "scans": {"published": False}})
    for statement in _statements(stack.resources["ThumbnailBucketPolicy"]):
        if statement["Sid"] == "ReadThumbnails":
            objects = [f"${{ThumbnailBucket.Arn}}/thumbnails/{path}" for path in paths]
            statement["Resource"] = [{"Fn::Sub": one} for one in objects]
    found = "\n".join(map(str, failures(stack)))
    assert failure in found
    assert bool(failure) is bool(found)


def test_a_removed_source_is_tested() -> None:
    """S5: a mutant that delivers all of `thumbnails/` is noticed, though all are published."""
    stack = stack_of(cdn={})
    policies = {"ThumbnailBucketPolicy": stack.statements("ThumbnailBucketPolicy")}
    wider = "with Resource <ThumbnailBucket.Arn>/thumbnails/*"
    assert wider in {one.change for one in mutants(policies)}
    assert verify(stack).is_passed


def test_a_hash_is_two_characters() -> None:
    """S5: the permission names the keys that the worker writes, and a mutant that names others."""
    hashed = {"prefixes": ["in/"], "hash_prefix": True}
    stack = stack_of(cdn={}, sources={"default": hashed, "scans": {**hashed, "published": False}})
    (resource,) = stack.statements("ThumbnailBucketPolicy")[-1]["Resource"]
    assert resource == "<ThumbnailBucket.Arn>/thumbnails/??/in/*"
    policies = {"ThumbnailBucketPolicy": stack.statements("ThumbnailBucketPolicy")}
    wider = {f"with Resource {resource.replace(*change)}" for change in (("??", "*"), ("in/", ""))}
    assert wider <= {one.change for one in mutants(policies)}
    assert verify(stack).is_passed


def test_reading_more_than_a_prefix_is_detected() -> None:
    """S5: a mutant that also reads the other objects in a prefix's folder is noticed."""
    stack = stack_of(sources={"default": {"prefixes": ["in/raw/", "up/"]}})
    policies = {"WorkerRole": stack.statements("WorkerRole")}
    wider = "with Resource <UploadBucket.Arn>/in/*"
    assert wider in {one.change for one in mutants(policies)}
    assert verify(stack).is_passed


def test_an_unneeded_permission_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """S5: if no request needs a permission, the mutant without it survives."""
    allowed = suite.allowed

    def fewer(stack: StackModel) -> list[Expectation]:
        return [one for one in allowed(stack) if one.request.action != "sqs:ReceiveMessage"]

    monkeypatch.setattr(suite, "allowed", fewer)
    result = verify(stack_of())
    survivor = "WorkerRole.ReceiveMessages: without Action sqs:ReceiveMessage"
    assert survivor in result.surviving_mutants
    assert not result.is_passed


def test_every_policy_of_the_stack_has_mutants() -> None:
    """S5: identity-based and resource-based policies, and the endpoints'."""
    stack = generate()
    policies = {title: found for title in stack.resources if (found := stack.statements(title))}
    changed = {mutant.title for mutant in mutants(policies)}
    assert changed == set(policies)
    assert {"WorkerRole", "LogDeliveryRole", "EncryptionKey", "S3Endpoint"} <= changed


def test_a_managed_policy_counts_for_its_role() -> None:
    """S5, pitfall 81: the test notices each resource that a merged statement lacks."""
    names = [f"s{number}" for number in range(12)]
    plan = specification.parse(
        {
            "sources": {name: {"queue": name} for name in names},
            "queues": {name: {} for name in names},
        },
        origin="test",
    )
    stack = model_of(plan)
    assert failures(stack) == ()
    (policy, *_) = stack.resources_of_type("IAM::ManagedPolicy")
    template = copy.deepcopy(dict(stack.template))
    statement = template["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"][0]
    lists = [statement["Resource"], *statement.get("Condition", {}).get("StringLike", {}).values()]
    max(lists, key=len).pop()
    assert failures(model_of_template(template, plan)) != ()
