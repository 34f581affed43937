"""worker/events.py: every envelope, every record, and nothing lost that cannot be read."""

from __future__ import annotations

import ast
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker import events
from worker.events import Notification, SourceObject, UnreadableMessageError, parse

RECORDED = Path(__file__).parent / "events"
THE_OBJECT = SourceObject(
    bucket="uploads-bucket",
    key="uploads/são paulo 100% +1.JPG",
    version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
    etag="d41d8cd98f00b204e9800998ecf8427e",
    sequencer="0055AED6DCD90281E5",
    size=1024,
    time="2026-01-02T03:04:05.678Z",
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text(encoding="utf-8")


def notification(**details: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(recorded("s3-notification"))
    body["Records"][0]["s3"]["object"].update(details)
    return body


def event(**details: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(recorded("eventbridge-object-created"))
    body["detail"]["object"].update(details)
    return body


def through_sns(body: dict[str, Any]) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(recorded("sns-s3-notification"))
    return envelope | {"Message": json.dumps(body)}


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("s3-notification", "2026-01-02T03:04:05.678Z"),
        ("sns-s3-notification", "2026-01-02T03:04:05.678Z"),
        ("eventbridge-object-created", "2026-01-02T03:04:05Z"),
        ("sns-eventbridge-object-created", "2026-01-02T03:04:05Z"),
    ],
)
def test_every_envelope_names_the_same_object(name: str, time: str) -> None:
    """T5, pitfall 13: one object, however it was wrapped and its key encoded."""
    (found,) = parse(recorded(name)).objects
    assert found == SourceObject(**{**vars(THE_OBJECT), "time": time})


def test_every_record_is_read() -> None:
    """T4: a notification may carry several records."""
    found = parse(recorded("s3-notification-two-records")).objects
    assert [(source.key, source.version_id) for source in found] == [
        ("uploads/a.jpg", "v1"),
        ("uploads/b.png", "v2"),
    ]


@pytest.mark.parametrize("name", ["s3-test-event", "sns-s3-test-event"])
def test_the_test_event_names_no_object(name: str) -> None:
    """Pitfall 8: S3 sends it when the notification is set up; it is understood, not an error."""
    assert parse(recorded(name)) == Notification()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "null",
        "[]",
        '"text"',
        "{}",
        '{"Records": []}',
        '{"Records": {}}',
        '{"Records": null}',
        '{"Event": "s3:SomethingElse"}',
        '{"source": "aws.ec2", "detail-type": "Object Created"}',
        '{"TopicArn": "t", "Type": "Notification", "Message": {"Records": []}}',
        '{"TopicArn": "t", "Type": "Notification", "Message": "plain text"}',
        "[" * 100_000,
    ],
)
def test_a_message_of_unknown_format_is_an_error(body: str) -> None:
    """Pitfalls 8, 10: what cannot be read must stay in the queue."""
    with pytest.raises(UnreadableMessageError):
        parse(body)


def test_a_subscription_to_confirm_is_an_error() -> None:
    """Pitfall 10: an operator finds it among the dead letters, with the address to confirm."""
    with pytest.raises(UnreadableMessageError, match="SubscriptionConfirmation"):
        parse(recorded("sns-subscription-confirmation"))


@pytest.mark.parametrize("name", ["s3-object-removed", "eventbridge-object-deleted"])
@pytest.mark.parametrize("wrap", [False, True])
def test_a_deletion_is_distinguished_from_an_upload(name: str, wrap: bool) -> None:
    """T5: in every envelope."""
    body = json.loads(recorded(name))
    (found,) = parse(json.dumps(through_sns(body) if wrap else body)).objects
    assert found.deleted
    assert (found.bucket, found.key) == ("uploads-bucket", "uploads/a.jpg")
    assert (found.version_id, found.sequencer) == ("marker-1", "0055AED6DCD90281E5")
    assert not parse(recorded("s3-notification")).objects[0].deleted


@pytest.mark.parametrize(
    "name",
    [
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectRemoved:Delete",
        "LifecycleExpiration:DeleteMarkerCreated",
    ],
)
def test_each_kind_of_deletion_has_its_place(name: str) -> None:
    """P6: all of these may change what the bucket has."""
    body = json.loads(recorded("s3-object-removed"))
    body["Records"][0]["eventName"] = name
    (found,) = parse(json.dumps(body)).objects
    assert (found.deleted, found.sequencer) == (True, "0055AED6DCD90281E5")


@pytest.mark.parametrize("version", ["v1", None])
def test_an_expired_version_was_not_the_current_one(version: str | None) -> None:
    """P6: it changes nothing, unless the bucket has no versioning."""
    body = json.loads(recorded("s3-object-removed"))
    body["Records"][0]["eventName"] = "LifecycleExpiration:Delete"
    body["Records"][0]["s3"]["object"]["versionId"] = version
    event = json.loads(recorded("eventbridge-object-deleted"))
    event["detail"] |= {"reason": "Lifecycle Expiration", "deletion-type": "Permanently Deleted"}
    event["detail"]["object"]["version-id"] = version
    for each in (body, event):
        (found,) = parse(json.dumps(each)).objects
        assert (found.deleted, found.sequencer is None) == (True, version is not None)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "ObjectTagging:Put",
        "s3:ObjectAcl:Put",
        "ObjectRestore:Completed",
        "IntelligentTiering",
        "LifecycleTransition",
        "Replication:OperationFailedReplication",
    ],
)
def test_an_event_that_is_not_about_content_is_skipped(name: str, wrap: bool) -> None:
    """T5, pitfall 56: an external topic may carry it; it is neither an object nor an error."""
    body = json.loads(recorded("s3-object-removed"))
    body["Records"][0]["eventName"] = name
    found = parse(json.dumps(through_sns(body) if wrap else body))
    assert found == Notification(skipped=(name,))


def test_each_event_of_s3_is_known() -> None:
    """T5, pitfall 56: all that botocore's model of S3 names."""
    names: Any = botocore.session.get_session().get_service_model("s3").shape_for("Event")
    families = {name.split(":")[1] for name in names.enum}
    about_content = {"ObjectCreated", "ObjectRemoved", "LifecycleExpiration"}
    about_content |= {"ReducedRedundancyLostObject"}  # lost by S3: a person has to know
    assert families == about_content | set(events._WITHOUT_CONTENT)


@pytest.mark.parametrize("name", events._EVENTBRIDGE_WITHOUT_CONTENT)
def test_an_eventbridge_event_that_is_not_about_content_is_skipped(name: str) -> None:
    """T5, pitfall 56: a topic that EventBridge sends to may carry it as well."""
    body = event() | {"detail-type": name}
    assert parse(json.dumps(through_sns(body))) == Notification(skipped=(name,))


@pytest.mark.parametrize(
    "name", ["ObjectTransmuted:Put", "ObjectTaggingX:Put", "ReducedRedundancyLostObject", "Test"]
)
def test_unknown_events_are_reported(name: str) -> None:
    """Pitfall 10: what they say about the object is not known."""
    body = json.loads(recorded("s3-object-removed"))
    body["Records"][0]["eventName"] = name
    for found in (
        parse(json.dumps(body)),
        parse(json.dumps(event() | {"detail-type": f"Object {name}"})),
    ):
        assert (found.objects, found.skipped) == ((), ())
        assert name in found.problems[0]


@pytest.mark.parametrize(
    "details",
    [
        {"key": ""},
        {"key": None},
        {"key": 7},
        {"key": "%FF"},
        {"key": "\ud800"},
        {"sequencer": "xyz"},
        {"sequencer": 7},
        {"size": "1024"},
        {"size": -1},
        {"size": True},
        {"versionId": 7},
        {"eTag": "\ud800"},
    ],
)
def test_a_damaged_record_is_named_and_hides_no_other(details: dict[str, Any]) -> None:
    """T4, pitfall 10: the good record is read, the bad one is reported."""
    body = notification()
    body["Records"] = [*notification(**details)["Records"], *body["Records"]]
    found = parse(json.dumps(body))
    assert found.objects == (THE_OBJECT,)
    assert len(found.problems) == 1
    assert "record 1 of 2" in found.problems[0]


def test_optional_fields_may_be_absent_or_empty() -> None:
    """T5: a bucket without versions sends no version, other producers send no sequencer."""
    body = notification(versionId="", sequencer=None)
    del body["Records"][0]["s3"]["object"]["eTag"]
    (found,) = parse(json.dumps(body)).objects
    assert (found.version_id, found.sequencer, found.etag) == (None, None, None)


@given(KEYS)
def test_a_key_survives_each_envelope(key: str) -> None:
    """Pitfall 13: decoded exactly once in a notification, not at all in an EventBridge event."""
    encoded, plain = notification(key=quote_plus(key)), event(key=key)
    for body in (encoded, through_sns(encoded), plain, through_sns(plain)):
        (found,) = parse(json.dumps(body)).objects
        assert found.key == key


@given(JSON)
def test_any_json_is_read_or_rejected_and_never_ignored(value: Any) -> None:
    """P5, pitfall 10: no other exception, and nothing ignored except the test event."""
    for body in (value, {"Records": value}, {"Records": [value]}, event() | {"detail": value}):
        try:
            found = parse(json.dumps(body))
        except UnreadableMessageError:
            continue
        assert found.objects or found.skipped or found.problems


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("place", ["eventName", "bucket", "key", "versionId", "size", "Records"])
@settings(max_examples=15)
@given(depth=st.integers(1, 1_200) | st.integers(1_200, 30_000))
def test_any_nesting_is_read_or_rejected(
    depth: int, place: str, opening: str, closing: str
) -> None:
    """P5, pitfall 10: however deep, in whichever field; also where an error has to quote it."""
    nested = opening * depth + "1" + closing * depth
    marked = notification()
    holder = marked["Records"][0]["s3"]
    if place == "Records":
        marked["Records"] = "HERE"
    elif place == "eventName":
        marked["Records"][0][place] = "HERE"
    else:
        (holder if place == "bucket" else holder["object"])[place] = "HERE"
    body = json.dumps(marked).replace('"HERE"', nested)
    try:
        found = parse(body)
    except UnreadableMessageError:
        return
    assert found.problems


@given(st.text())
def test_any_text_is_read_or_rejected(body: str) -> None:
    """P5: whatever is in the queue."""
    with suppress(UnreadableMessageError):
        parse(body)


def test_only_the_standard_library_is_imported() -> None:
    """C1: the parser runs in any tool, without Pillow or botocore."""
    tree = ast.parse(Path(events.__file__).read_text(encoding="utf-8"))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
