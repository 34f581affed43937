"""Sources of every type: who sends their events, who may send, the worker's settings."""

import fnmatch
import json
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from darkroom.cloudformation.policy_documents import as_list
from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import naming, pipeline, specification
from templates.specification import SpecificationError
from templates.specification_values import RESERVED_NAMES
from tests.unit.templates.conftest import generate
from worker import keys, settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "sources.md"
EVERY_KIND: dict[str, Any] = {
    "sources": {
        "default": {"suffixes": [".jpg"]},
        "scans": {
            "prefixes": ["in/", "raw/"],
            "suffixes": [".tif"],
            "variants": ["small", "default"],
            "keep_metadata": ["taken"],
            "copy_metadata": ["author"],
            "choose_variants": True,
        },
        "old": {"type": "eventbridge", "queue": "bulk", "propagate_deletes": True},
        "partner": {"type": "sns", "queue": "bulk", "prefixes": ["out/"], "hash_prefix": True},
        "wire": {"type": "sns", "raw_message_delivery": True},
    },
    "queues": {"default": {}, "bulk": {}},
    "variants": {"default": {}, "small": {"widths": [64]}},
}
TOPIC = "arn:aws:sns:eu-west-1:444455556666:pictures"
KEY = "arn:aws:kms:eu-west-1:444455556666:key/1"
GIVEN = {
    "OldBucketName": "old-pictures",
    "PartnerBucketName": "partners-pictures",
    "PartnerTopicArn": TOPIC,
    "WireBucketName": "wires-pictures",
    "WireTopicArn": f"{TOPIC}-raw",
}


@pytest.fixture(scope="module")
def every() -> ResolvedTemplate:
    """Two own buckets, one by EventBridge, two topics of another account, on two queues."""
    return generate(**EVERY_KIND).with_parameters(**GIVEN)


def worker_sources(stack: ResolvedTemplate, worker: str) -> dict[str, settings.Source]:
    """What a queue's function reads out of its environment: bucket → source."""
    variables = stack.properties(worker)["Environment"]["Variables"]
    environment = {name: str(value) for name, value in variables.items()}
    return dict(settings.Settings.from_environment(environment).sources)


def test_an_existing_bucket_is_notified_by_a_rule(every: ResolvedTemplate) -> None:
    """T5, T2: of that bucket, under the prefixes, and its deletions where they are followed."""
    rule = every.properties("OldNotificationRule")
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created", "Object Deleted"],
        "detail": {
            "bucket": {"name": ["old-pictures"]},
            "object": {"key": [{"prefix": "uploads/"}]},
        },
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == "<BulkWorkQueue.Arn>"
    plain = generate(sources={"default": {"type": "eventbridge"}})
    kinds = plain.properties("NotificationRule")["EventPattern"]["detail-type"]
    assert kinds == ["Object Created"]


def test_a_source_may_be_a_whole_bucket_with_any_suffix() -> None:
    """T2, T5: a notification, a rule and a permission without the part that is left out."""
    whole = {"prefixes": [""], "suffixes": ["*"]}
    stack = generate(
        sources={
            "default": {**whole, "output_prefix": "d/"},
            "scans": {"prefixes": [""], "suffixes": [".tif"], "output_prefix": "s/"},
            "old": {"type": "eventbridge", **whole},
        }
    ).with_parameters(OldBucketName="old-pictures")
    configurations = [
        stack.properties(title)["NotificationConfiguration"]["QueueConfigurations"]
        for title in ("UploadBucket", "ScansUploadBucket")
    ]
    assert [[one.get("Filter") for one in found] for found in configurations] == [
        [None],
        [
            {"S3Key": {"Rules": [{"Name": "suffix", "Value": suffix}]}}
            for suffix in (".tif", ".TIF")
        ],
    ]
    detail = stack.properties("OldNotificationRule")["EventPattern"]["detail"]
    assert detail == {"bucket": {"name": ["old-pictures"]}}
    assert stack.statement("WorkerRole", "ReadUploads")["Resource"] == [
        "<UploadBucket.Arn>/*",
        "<ScansUploadBucket.Arn>/*",
    ]
    matches = {
        source.name: source.matches("b.xyz") for source in worker_sources(stack, "Worker").values()
    }
    assert matches == {"default": True, "scans": True, "old": True}  # S3 filters those of scans


def test_a_rule_has_no_wildcards() -> None:
    """T2: with the default suffixes they would be 60, and EventBridge refuses too complex ones."""
    stack = generate(sources={"default": {"type": "eventbridge", "prefixes": ["a/", "b/"]}})
    assert "wildcard" not in json.dumps(stack.properties("NotificationRule"))


def test_a_pattern_that_eventbridge_refuses_is_refused_when_generating() -> None:
    """T2: 2,048 characters, with the longest name a bucket can have."""
    folders = [f"customers/{number:03}/uploads/" for number in range(60)]
    with pytest.raises(SpecificationError, match=r"sources\.old: 60 prefixes .* allows 2048"):
        generate(sources={"old": {"type": "eventbridge", "prefixes": folders}})
    fits = generate(sources={"old": {"type": "eventbridge", "prefixes": folders[:40]}})
    pattern = fits.with_parameters(OldBucketName="b" * 63).properties("OldNotificationRule")[
        "EventPattern"
    ]
    assert len(json.dumps(pattern)) <= 2048


def test_a_topic_has_a_subscription(every: ResolvedTemplate) -> None:
    """T5, pitfall 9: raw or not, and without a filter, which loses what does not match."""
    partner, wire = (every.properties(f"{name}Subscription") for name in ("Partner", "Wire"))
    assert (partner["TopicArn"], partner["Endpoint"]) == (TOPIC, "<BulkWorkQueue.Arn>")
    assert (wire["TopicArn"], wire["Endpoint"]) == (f"{TOPIC}-raw", "<WorkQueue.Arn>")
    assert (partner["RawMessageDelivery"], wire["RawMessageDelivery"]) == (False, True)
    for subscription in (partner, wire):
        assert subscription["Protocol"] == "sqs"
        assert not [name for name in subscription if name.startswith("Filter")]


def test_what_cannot_be_delivered_is_a_dead_letter(every: ResolvedTemplate) -> None:
    """R2: EventBridge and SNS drop what they cannot deliver without a dead-letter queue."""
    (target,) = every.properties("OldNotificationRule")["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": "<BulkDeadLetterQueue.Arn>"}
    for name, queue in (("Partner", "BulkDeadLetterQueue"), ("Wire", "DeadLetterQueue")):
        redrive = every.properties(f"{name}Subscription")["RedrivePolicy"]
        assert redrive == {"deadLetterTargetArn": f"<{queue}.Arn>"}


BUCKETS = [
    "arn:aws:s3:::darkroom-uploads-111122223333-eu-west-1",
    "arn:aws:s3:::darkroom-scans-111122223333-eu-west-1",
]
RULE = "arn:aws:events:eu-west-1:111122223333:rule/darkroom-old-notifications"
SERVICES = {
    "SendNotifications": "s3.amazonaws.com",
    "SendRuleEvents": "events.amazonaws.com",
    "SendTopicMessages": "sns.amazonaws.com",
}


@pytest.mark.parametrize(
    ("policy", "admitted"),
    [
        ("WorkQueuePolicy", {"SendNotifications": BUCKETS, "SendTopicMessages": f"{TOPIC}-raw"}),
        ("DeadLetterQueuePolicy", {"SendTopicMessages": f"{TOPIC}-raw"}),
        ("BulkWorkQueuePolicy", {"SendRuleEvents": RULE, "SendTopicMessages": TOPIC}),
        ("BulkDeadLetterQueuePolicy", {"SendRuleEvents": RULE, "SendTopicMessages": TOPIC}),
    ],
)
def test_each_queue_allows_its_sources(
    every: ResolvedTemplate, policy: str, admitted: dict[str, Any]
) -> None:
    """T3, T5, pitfall 32: nobody but the buckets, rules or topics; one statement a service."""
    allowed = [s for s in every.statements(policy) if s["Effect"] == "Allow"]
    assert [statement["Sid"] for statement in allowed] == list(admitted)
    for statement in allowed:
        service = SERVICES[statement["Sid"]]
        assert statement["Action"] == ["sqs:SendMessage"]
        assert statement["Resource"] == [f"<{policy.removesuffix('Policy')}.Arn>"]
        assert statement["Principal"] == {"Service": [service]}
        assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": admitted[statement["Sid"]]}
        # A topic may be of another account; its ARN names the account.
        own = statement["Condition"].get("StringEquals")
        assert own == (None if service.startswith("sns") else {"aws:SourceAccount": "111122223333"})


def test_senders_wait_for_the_queue_policies(every: ResolvedTemplate) -> None:
    """Pitfall 1, R2: what comes before the policy would be refused, and dropped at once."""
    for title, queue in (
        ("OldNotificationRule", "Bulk"),
        ("PartnerSubscription", "Bulk"),
        ("WireSubscription", ""),
    ):
        waits = set(every.resources[title]["DependsOn"])
        assert waits == {f"{queue}WorkQueuePolicy", f"{queue}DeadLetterQueuePolicy"}
    assert "WorkQueuePolicy" in every.resources["ScansUploadBucket"]["DependsOn"]


def test_the_key_is_for_the_services_that_send(every: ResolvedTemplate) -> None:
    """Pitfall 3, pitfall 47: under the encryption context, which SQS adds for each of them."""
    statement = every.statement("EncryptionKey", "SendEvents")
    services = ["events.amazonaws.com", "s3.amazonaws.com", "sns.amazonaws.com"]
    assert statement["Principal"] == {"Service": services}
    assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    queues = {"kms:EncryptionContext:aws:sqs:arn": "arn:aws:sqs:eu-west-1:111122223333:darkroom-*"}
    assert statement["Condition"] == {"StringLike": queues}


@pytest.mark.parametrize(
    ("kind", "service"), [("s3", "s3"), ("eventbridge", "events"), ("sns", "sns")]
)
def test_the_key_is_for_no_other_service(kind: str, service: str) -> None:
    """S4: only the service that sends the events of a source may use the key for a queue."""
    stack = generate(sources={"default": {"type": kind}})
    principal = stack.statement("EncryptionKey", "SendEvents")["Principal"]
    assert principal == {"Service": [f"{service}.amazonaws.com"]}


@pytest.mark.parametrize("holder", ["WorkerRole", "S3Endpoint"])
def test_the_right_to_read_follows_each_source(every: ResolvedTemplate, holder: str) -> None:
    """S5, S6: exact prefixes of exact buckets, in the role and in the endpoint's policy alike."""
    for is_own, bucket, prefixes, actions in (
        (True, "<UploadBucket.Arn>", ["uploads"], {"s3:GetObjectVersion"}),
        (True, "<ScansUploadBucket.Arn>", ["in", "raw"], {"s3:GetObjectVersion"}),
        (
            False,
            "arn:aws:s3:::old-pictures",
            ["uploads"],
            {"s3:GetObject", "s3:GetObjectVersion"},
        ),
        (
            False,
            "arn:aws:s3:::partners-pictures",
            ["out"],
            {"s3:GetObject", "s3:GetObjectVersion"},
        ),
    ):
        (statement,) = (
            one
            for one in every.statements(holder)
            if one["Sid"].endswith("ReadUploads")
            and any(resource.startswith(f"{bucket}/") for resource in one["Resource"])
        )
        found = [
            resource for resource in statement["Resource"] if resource.startswith(f"{bucket}/")
        ]
        assert found == [f"{bucket}/{prefix}/*" for prefix in prefixes]
        assert set(statement["Action"]) == actions
        owner = statement.get("Condition", {}).get("StringEquals")
        # An external bucket may belong to another account.
        assert owner == ({"aws:ResourceAccount": "111122223333"} if is_own else None)


def test_an_external_key_is_a_permission_only_where_there_is_one(every: ResolvedTemplate) -> None:
    """S5: without a key the role names none; with one, it decrypts and no more."""
    sids = {statement["Sid"] for statement in every.statements("WorkerRole")}
    assert "OldDecryptUploads" not in sids
    statement = every.with_parameters(OldKmsKeyArn=KEY).statement("WorkerRole", "OldDecryptUploads")
    assert (statement["Action"], statement["Resource"]) == (["kms:Decrypt"], [KEY])


def test_a_function_knows_the_buckets_of_its_queue_only(every: ResolvedTemplate) -> None:
    """T5, R5: sources of another queue are not this one's to read."""
    ours, bulk = worker_sources(every, "Worker"), worker_sources(every, "BulkWorker")
    suffix = "111122223333-eu-west-1"
    assert set(ours) == {f"darkroom-uploads-{suffix}", f"darkroom-scans-{suffix}", "wires-pictures"}
    assert set(bulk) == {"old-pictures", "partners-pictures"}
    scans = ours[f"darkroom-scans-{suffix}"]
    assert (scans.name, scans.output_prefix) == ("scans", "scans/")
    assert [each.widths for each in scans.variants] == [(64,), (1200, 400, 128)]
    assert scans.keep_metadata == ("taken",)
    assert scans.copy_metadata == ("author",)
    assert scans.choose_variants
    uploads = ours[f"darkroom-uploads-{suffix}"]
    assert (uploads.output_prefix, uploads.keep_metadata) == ("", ())
    assert bulk["old-pictures"].propagate_deletes
    assert not bulk["partners-pictures"].propagate_deletes
    assert (bulk["partners-pictures"].hash_prefix, bulk["old-pictures"].hash_prefix) == (
        True,
        False,
    )


def test_what_nobody_has_filtered_the_worker_filters(every: ResolvedTemplate) -> None:
    """T2, pitfall 11: a rule looks at the prefix, a topic at nothing; the suffix in any case."""
    bulk = worker_sources(every, "BulkWorker")
    assert bulk["partners-pictures"].matches("out/a.JPG")
    assert not bulk["partners-pictures"].matches("in/a.jpg")
    assert not bulk["old-pictures"].matches("uploads/a.txt")
    ours = worker_sources(every, "Worker")
    assert ours["darkroom-uploads-111122223333-eu-west-1"].matches("anything")  # S3 has filtered


def test_a_source_that_is_the_destination_stops_at_the_start(every: ResolvedTemplate) -> None:
    """R5, pitfall 16: a parameter may name it, which no rule of CloudFormation can compare."""
    thumbnails = every.properties("ThumbnailBucket")["BucketName"]
    with pytest.raises(settings.SettingsError, match="must be another bucket"):
        worker_sources(every.with_parameters(OldBucketName=thumbnails), "BulkWorker")


def test_two_sources_of_one_bucket_stop_the_deployment(every: ResolvedTemplate) -> None:
    """T2: by a rule of the template, across queues; and an own bucket's name at the start."""
    assert every.broken_rules() == []
    twice = every.with_parameters(WireBucketName="old-pictures")
    assert twice.broken_rules() == [
        "Two sources name the same bucket; give one source both prefixes."
    ]
    own = every.properties("ScansUploadBucket")["BucketName"]
    with pytest.raises(settings.SettingsError, match="names a key twice"):
        worker_sources(every.with_parameters(WireBucketName=own), "Worker")


def test_an_environment_that_lambda_refuses_is_refused_when_generating() -> None:
    """T5: 4,096 bytes of environment, with the longest possible names."""
    sources = {f"s{number}": {"type": "sns"} for number in range(30)}
    with pytest.raises(SpecificationError, match=r"queues\.default: .* 30 sources .* allows 4096"):
        generate(sources=sources)
    most = dict(list(sources.items())[:12])
    stack = generate(sources=most)
    names = {f"S{number}BucketName": f"{number:02}{'b' * 61}" for number in range(12)}
    variables = stack.with_parameters(**names).properties("Worker")["Environment"]["Variables"]
    assert sum(len(name) + len(str(value)) for name, value in variables.items()) <= 4096


def test_the_command_that_enables_eventbridge_is_an_output(every: ResolvedTemplate) -> None:
    """T5: S3 replaces all notifications of a bucket, so that it keeps those that are there."""
    command = every.resolve(every.template["Outputs"]["OldEnableEventBridgeCommand"]["Value"])
    assert command.count("--bucket old-pictures ") == 2
    assert "get-bucket-notification-configuration" in command
    assert "EventBridgeConfiguration" in command
    others = [
        name for name in every.template["Outputs"] if name.endswith("EnableEventBridgeCommand")
    ]
    assert others == ["OldEnableEventBridgeCommand"]


def test_external_resources_are_parameters(every: ResolvedTemplate) -> None:
    """D2, pitfall 46: no external name or ARN is typed; a bucket is in the stack's region."""
    parameters = every.template["Parameters"]
    for name in ("OldBucketName", "PartnerBucketName", "WireTopicArn"):
        assert "Default" not in parameters[name]
    assert "in this Region" in parameters["OldBucketName"]["Description"]
    assert "Default" in parameters["OldKmsKeyArn"]
    assert re.fullmatch(parameters["WireTopicArn"]["AllowedPattern"], TOPIC)
    assert not re.fullmatch(parameters["WireTopicArn"]["AllowedPattern"], f"{TOPIC}.fifo")


def test_the_role_that_reads_an_external_bucket_is_an_output(
    every: ResolvedTemplate, stack: ResolvedTemplate
) -> None:
    """T5, D7: the bucket's and the key's policies have to name it."""
    output = every.template["Outputs"]["WorkerRoleArn"]["Value"]
    assert every.resolve(output) == "<WorkerRole.Arn>"
    assert "WorkerRoleArn" not in stack.template["Outputs"]


def test_the_documents_examples_are_specifications() -> None:
    """T5: what docs/sources.md shows can be generated, and its command is the output."""
    text = DOCUMENT.read_text()
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        plan = specification.parse(tomllib.loads(example), origin="docs/sources.md")
        outputs = pipeline.build(plan).to_dict()["Outputs"]
        if "AssetsEnableEventBridgeCommand" in outputs:
            command = outputs["AssetsEnableEventBridgeCommand"]["Value"]["Fn::Sub"]
            shown = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0]
            plain = " ".join(shown.replace("\\\n", " ").split())
            assert command.replace("${AssetsBucketName}", "BUCKET") == plain


def test_the_documents_pattern_is_of_the_outputs_with_a_hash() -> None:
    """P2: of all of them and no others; `aws s3` matches as fnmatch does."""
    (pattern,) = re.findall(r"--include '(.*)'", DOCUMENT.read_text())
    for number in range(1000):
        upload = f"in/in/{number:02x}/in/a.jpg"
        hashed, plain = (
            keys.output_key(upload, "w400", "imports/", hash_prefix=has_hash)
            for has_hash in (True, False)
        )
        for key, is_meant in ((hashed, True), (plain, False)):
            path = key.removeprefix("thumbnails/imports/")
            assert fnmatch.fnmatchcase(path, pattern) is is_meant, key


def test_names_that_only_logical_ids_tell_apart_are_refused() -> None:
    """T2: `a-1` and `a1` would both be A1UploadBucket."""
    with pytest.raises(SpecificationError, match=r"sources\.a-1: .*starting with a letter"):
        generate(sources={"a-1": {}, "a1": {}})


def mixes() -> st.SearchStrategy[dict[str, Any]]:
    """Describe any mix of sources, under one folder each, on one queue or two."""
    name = st.from_regex(r"[a-z]{1,5}(-[a-z]{1,4})?", fullmatch=True).filter(
        lambda one: one not in RESERVED_NAMES
    )
    source = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["s3", "eventbridge", "sns"]),
            "queue": st.sampled_from(["default", "bulk"]),
            "prefixes": st.lists(st.sampled_from(["a/", "b/c/", "d.e/"]), min_size=1, unique=True),
            "suffixes": st.just([".jpg"]),
            "propagate_deletes": st.booleans(),
        }
    )
    return st.dictionaries(name, source, min_size=1, max_size=5)


@settings_of_hypothesis(max_examples=25, deadline=None)
@given(mixes())
def test_any_mix_of_sources_feeds_its_queues(sources: dict[str, Any]) -> None:
    """T5, T3: each is notified once, allowed by its queue, and known to its function."""
    queues: dict[str, Any] = {source["queue"]: {} for source in sources.values()}
    stack = generate(sources=sources, queues=queues)
    for queue in queues:
        mine = {name for name, source in sources.items() if source["queue"] == queue}
        policy, worker = (
            naming.logical_id(queue, "WorkQueuePolicy"),
            naming.logical_id(queue, "Worker"),
        )
        allowed = [s for s in stack.statements(policy) if s["Effect"] == "Allow"]
        assert len(allowed) <= len(SERVICES)
        arns = [as_list(s["Condition"]["ArnLike"]["aws:SourceArn"]) for s in allowed]
        assert len(set(chain.from_iterable(arns))) == len(mine)
        assert {source.name for source in worker_sources(stack, worker).values()} == mine
    senders = [
        *stack.resources_of_type("Events::Rule"),
        *[
            one
            for one, topic in stack.resources_of_type("SNS::Subscription").items()
            if "Redrive" in str(topic)
        ],
        *[one for one in stack.resources_of_type("S3::Bucket") if one.endswith("UploadBucket")],
    ]
    assert len(senders) == len(sources)


def test_every_kind_holds_together(every: ResolvedTemplate) -> None:
    """D7: the same bytes each time, and every reference resolves."""
    plan = specification.parse(EVERY_KIND, origin="test")
    assert pipeline.render(pipeline.build(plan)) == pipeline.render(pipeline.build(plan))
    for title in every.resources:
        every.properties(title)


def test_a_source_may_have_several_variants() -> None:
    """T5, P1: the worker gets all of them, in the order of the specification."""
    stack = generate(
        sources={"default": {"variants": ["square", "default"]}},
        variants={
            "default": {"formats": {"jpeg": 80, "webp": {"quality": 70, "min_width": 300}}},
            "square": {
                "fit": "cover",
                "aspect_ratio": "1:1",
                "widths": [64],
                "formats": {"avif": 50},
            },
        },
    )
    (source,) = worker_sources(stack, "Worker").values()
    square, plain = source.variants
    assert (square.name, square.fit, square.formats_at(64)) == ("square", "cover", {"avif": 50})
    assert (plain.name, plain.formats_at(400)) == ("default", {"jpeg": 80, "webp": 70})
    assert plain.formats_at(128) == {"jpeg": 80}
