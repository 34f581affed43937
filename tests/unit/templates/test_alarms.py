import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.cli import COMMANDS
from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import buckets
from templates.dashboard import NAMESPACE
from tests.unit.templates.conftest import generate
from worker.metrics import Metrics

# Whether an alarm is critical or a warning, and the metrics it watches with their resources.
WATCHED = {
    "DeadLetterAlarm": ("critical", {("ApproximateNumberOfMessagesVisible", "DeadLetterQueue")}),
    "QueueAgeAlarm": ("critical", {("ApproximateAgeOfOldestMessage", "WorkQueue")}),
    "RetryAlarm": ("critical", {("ImagesProcessed", "Worker")}),
    "WorkerErrorAlarm": ("critical", {("Errors", "Worker")}),
    "QueueNotConsumedAlarm": (
        "critical",
        {("ApproximateNumberOfMessagesVisible", "WorkQueue"), ("Invocations", "Worker")},
    ),
    "MissingNotificationAlarm": (
        "warning",
        {
            ("PutRequests", "UploadBucket"),
            ("4xxErrors", "UploadBucket"),
            ("NumberOfMessagesSent", "WorkQueue"),
        },
    ),
    "WorkerThrottleAlarm": ("warning", {("Throttles", "Worker")}),
    "WorkerDurationAlarm": ("warning", {("Duration", "Worker")}),
    "ConcurrencyLimitAlarm": (
        "warning",
        {("ConcurrentExecutions", "Worker")},
    ),
    "QueueDepthAlarm": ("warning", {("ApproximateNumberOfMessagesVisible", "WorkQueue")}),
    "RejectionAlarm": ("warning", {("ImagesProcessed", "Worker"), ("Rejected", "Worker")}),
    "BlockedDnsQueryAlarm": ("warning", {("FirewallRuleQueryVolume", "DnsFirewallRules")}),
    "WorkerLogDeliveryAlarm": (
        "warning",
        {
            ("IncomingRecords", "WorkerLogDelivery"),
            ("DeliveryToS3.Records", "WorkerLogDelivery"),
            ("DeliveryToS3.DataFreshness", "WorkerLogDelivery"),
        },
    ),
}
OF_THE_STACK = {"MissingNotificationAlarm", "BlockedDnsQueryAlarm", "WorkerLogDeliveryAlarm"}
TOPICS = {"critical": "CriticalAlarmTopic", "warning": "WarningAlarmTopic"}
NAMESPACES = {
    "SQS::Queue": ("AWS/SQS", "QueueName"),
    "Lambda::Function": ("AWS/Lambda", "FunctionName"),
    "S3::Bucket": ("AWS/S3", "BucketName"),
    "KinesisFirehose::DeliveryStream": ("AWS/Firehose", "DeliveryStreamName"),
    "Route53Resolver::FirewallRuleGroup": ("AWS/Route53Resolver", "FirewallRuleGroupId"),
}
RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"


def watched(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "MetricName" in alarm:
        yield alarm
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


def anchors() -> set[str]:
    """Return what GitHub would call the runbook's sections."""
    headings = re.findall(r"^## (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    return {heading.lower().replace(" ", "-") for heading in headings}


def test_these_are_watched(stack: ResolvedTemplate) -> None:
    """O2, pitfall 34: queue age misses what was received often; dead letters count as well."""
    assert set(stack.resources_of_type("CloudWatch::Alarm")) == set(WATCHED)


@pytest.mark.parametrize("title", WATCHED)
def test_an_alarm_names_real_resources_and_reaches_its_topic(
    stack: ResolvedTemplate, title: str
) -> None:
    """O2, O5, pitfall 33: a dimension that does not exist never fires; missing data is a choice."""
    severity, expected = WATCHED[title]
    alarm = stack.properties(title)
    for metric in watched(alarm):
        ((resource,),) = [[at for name, at in expected if name == metric["MetricName"]]]
        kind = stack.resources[resource]["Type"].removeprefix("AWS::")
        namespace, dimension = NAMESPACES[kind]
        own = metric["Namespace"] == NAMESPACE
        assert metric["Namespace"] == namespace or own
        values = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
        identifiers = (stack.properties(resource).get(dimension), stack.resolve({"Ref": resource}))
        assert values.pop(dimension) in identifiers
        blocked = {"FirewallDomainListId": stack.resolve({"Ref": "BlockedDomains"})}
        assert values in ({}, {"FilterId": buckets.REQUEST_METRICS}, blocked)
    assert {metric["MetricName"] for metric in watched(alarm)} == {name for name, _ in expected}
    topic = stack.resolve({"Ref": TOPICS[severity]})
    assert alarm["AlarmActions"] == [topic]
    # Pitfall 77: the first OK of a new alarm is reported, of a warning for nothing.
    assert alarm.get("OKActions") == ([topic] if severity == "critical" else None)
    assert alarm["TreatMissingData"] == "notBreaching"


def test_every_alarm_has_a_section_of_the_runbook() -> None:
    """O2: and every section has an alarm; the email is all that an operator has at night."""
    stack = generate(api={}).with_parameters(MaximumHourlyCost=5)
    sections = set()
    for alarm in stack.resources_of_type("CloudWatch::Alarm").values():
        words, _, place = alarm["AlarmDescription"].partition(": docs/runbook.md#")
        meaning, first = words.split(". ")
        assert len(meaning) > 15
        assert len(first) > 10
        logs = ("", "worker-", "upload-api-", "upload-api-access-")
        assert alarm["AlarmName"] in {f"darkroom-{kind}{place}" for kind in logs}
        sections.add(place)
    assert sections == anchors()


def test_logs_that_are_archived_are_watched_on_their_way(stack: ResolvedTemplate) -> None:
    """O2, O6, pitfall 75: by the stream that takes it; late is three of Firehose's own waits."""
    alarm = stack.properties("WorkerLogDeliveryAlarm")
    assert f"FILL(age,0)>{3 * 300}" in alarm["Metrics"][0]["Expression"]


def test_what_the_runbook_points_to_is_there() -> None:
    """O2, C1: its commands, and the files that it and the alarms' own page link to."""
    text = RUNBOOK.read_text(encoding="utf-8") + RUNBOOK.with_name("alarms.md").read_text("utf-8")
    commands = set(re.findall(r"darkroom ([a-z-]+)", text))
    assert commands
    assert commands <= set(COMMANDS)
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    assert [link for link in links if not (RUNBOOK.parent / link).exists()] == []


def test_the_worker_sends_what_is_watched(stack: ResolvedTemplate) -> None:
    """O3: under the namespace and the dimension that the alarms have."""
    line = json.loads(Metrics().line({"AWS_LAMBDA_FUNCTION_NAME": "darkroom-worker"}))
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    for metric in watched(stack.properties("RejectionAlarm")):
        assert metric["Namespace"] == directive["Namespace"]
        assert metric["MetricName"] in {one["Name"] for one in directive["Metrics"]}
        ((name, value),) = [(one["Name"], one["Value"]) for one in metric["Dimensions"]]
        assert [name] in directive["Dimensions"]
        assert line[name] == value


def test_thresholds_follow_the_specification() -> None:
    """R4, O2: nobody types a number twice."""
    stack = generate(queues={"default": {"timeout_seconds": 600}})
    assert stack.properties("QueueAgeAlarm")["Threshold"] == 3 * (3600 + 5)
    assert stack.properties("WorkerDurationAlarm")["Threshold"] == 0.8 * 600_000
    # While every slot works for ten minutes, none is begun for ten minutes.
    assert stack.properties("QueueNotConsumedAlarm")["EvaluationPeriods"] == 20
    assert stack.properties("QueueDepthAlarm")["Threshold"] == 5 * 24 * 3600 / 600
    given = stack.with_parameters(MaximumConcurrency=7)
    assert given.properties("ConcurrencyLimitAlarm")["Threshold"] == 7


def test_uploads_are_counted_where_it_is_wanted(stack: ResolvedTemplate) -> None:
    """O2: S3's request metrics have a price."""
    on, off = stack, stack.with_parameters(EnableUploadMetrics="false")
    counted = on.properties("UploadBucket")["MetricsConfigurations"]
    assert counted == [{"Id": buckets.REQUEST_METRICS, "Prefix": "uploads/"}]
    with_api = generate(api={})
    counted = with_api.properties("UploadBucket")["MetricsConfigurations"]
    assert counted[1:] == [{"Id": buckets.API_REQUEST_METRICS, "Prefix": "uploads/api/"}]
    uncounted = with_api.with_parameters(EnableUploadMetrics="false")
    assert "UploadApiBypassAlarm" not in uncounted.resources_of_type("CloudWatch::Alarm")
    for prefixes in ([""], ["one/", "two/"]):  # S3 filters by one prefix (pitfall 76)
        other = generate(sources={"default": {"prefixes": prefixes}})
        counted = other.properties("UploadBucket")["MetricsConfigurations"]
        assert counted == [{"Id": buckets.REQUEST_METRICS}]
    assert "MetricsConfigurations" not in off.properties("UploadBucket")
    assert set(on.resources_of_type("CloudWatch::Alarm")) - set(
        off.resources_of_type("CloudWatch::Alarm")
    ) == {"MissingNotificationAlarm"}


def test_every_queue_and_every_bucket_has_its_own_alarms() -> None:
    """O2: the same for each, with ids and names that lead with the queue or the source."""
    stack = generate(
        sources={"default": {}, "scans": {"queue": "bulk"}},
        queues={"default": {}, "bulk": {"provisioned_mode": True, "timeout_seconds": 300}},
    )
    alarms = stack.resources_of_type("CloudWatch::Alarm")
    queue = set(WATCHED) - OF_THE_STACK
    bulk = {f"Bulk{title}" for title in queue}
    assert set(alarms) == {*WATCHED, *bulk, "ScansMissingNotificationAlarm"}
    names = {
        value
        for title in bulk
        for metric in watched(alarms[title])
        for value in (one["Value"] for one in metric["Dimensions"])
    }
    assert names == {
        stack.properties("BulkWorkQueue")["QueueName"],
        stack.properties("BulkDeadLetterQueue")["QueueName"],
        stack.properties("BulkWorker")["FunctionName"],
    }
    assert alarms["BulkQueueNotConsumedAlarm"]["AlarmName"] == "darkroom-bulk-queue-not-consumed"
    assert alarms["BulkQueueNotConsumedAlarm"]["AlarmDescription"].endswith("#queue-not-consumed")
    assert alarms["BulkQueueAgeAlarm"]["Threshold"] == 3 * (1800 + 5)
    # Each of ten pollers takes ten batches at once.
    concurrency = stack.with_parameters(BulkMaximumPollers=7).properties(
        "BulkConcurrencyLimitAlarm"
    )
    assert concurrency["Metrics"][0]["Expression"] == "used/10"
    assert concurrency["Threshold"] == 7
    values = {
        one["Value"]
        for metric in watched(alarms["ScansMissingNotificationAlarm"])
        for one in metric["Dimensions"]
    }
    assert values == {
        stack.properties("ScansUploadBucket")["BucketName"],
        buckets.REQUEST_METRICS,
        stack.properties("BulkWorkQueue")["QueueName"],
    }


def test_an_hour_of_a_queue_that_costs_more_than_the_limit_is_a_warning() -> None:
    """O2, D6: by the dashboard's estimate, so that both have the price of the README."""
    assert "CostAlarm" not in generate().resources_of_type("CloudWatch::Alarm")  # off by default
    stack = generate(
        sources={"default": {}, "scans": {"queue": "bulk"}},
        queues={"default": {}, "bulk": {}},
    ).with_parameters(MaximumHourlyCost=5, MemorySize=1792, BulkMemorySize=3584)
    for owner, price in (("", 9.33), ("Bulk", 18.67)):
        alarm = stack.properties(f"{owner}CostAlarm")
        assert alarm["Threshold"] == 5
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["AlarmActions"] == [stack.resolve({"Ref": "WarningAlarmTopic"})]
        expression, *metrics = alarm["Metrics"]
        assert {one["MetricStat"]["Period"] for one in metrics} == {3600}
        assert {one["MetricStat"]["Stat"] for one in metrics} == {"Sum"}
        name = [
            {"Name": "FunctionName", "Value": stack.properties(f"{owner}Worker")["FunctionName"]}
        ]
        assert all(metric["Dimensions"] == name for metric in watched(alarm))
        sums = {"Duration": 400e6, "ThumbnailsWritten": 6e6, "ImagesProcessed": 1e6}
        values = {one["Id"]: sums[one["MetricStat"]["Metric"]["MetricName"]] for one in metrics}
        text = re.sub(r"FILL\((\w+),0\)", r"\1", expression["Expression"])
        cost = eval(text, {"__builtins__": {}}, values)  # noqa: S307 -- arithmetic of ours
        assert cost == pytest.approx(price + 30.00 + 5.40 + 5.40, abs=0.01)


def test_a_template_may_have_no_limit_of_cost() -> None:
    """O2, D7: the template is smaller by the parameter and an alarm for each queue."""
    without = generate(alarms={"hourly_cost": False})
    assert "MaximumHourlyCost" not in without.parameters
    assert "CostAlarm" not in without.resources


@pytest.mark.parametrize("topic", TOPICS.values())
def test_only_alarms_of_this_stack_publish(stack: ResolvedTemplate, topic: str) -> None:
    """O5, pitfall 32: by account and by name."""
    statement = stack.statement(f"{topic}Policy", "PublishAlarms")
    assert statement["Principal"] == {"Service": ["cloudwatch.amazonaws.com"]}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:darkroom-*"},
    }
    for alarm in stack.resources_of_type("CloudWatch::Alarm").values():
        assert alarm["AlarmName"].startswith("darkroom-")


def test_both_topics_are_encrypted_and_guarded(stack: ResolvedTemplate) -> None:
    """O5, S2, pitfall 66: each by a policy of its own; plain HTTP is refused too."""
    for topic in TOPICS.values():
        arn = [stack.resolve({"Ref": topic})]
        assert stack.properties(f"{topic}Policy")["Topics"] == arn
        for sid, effect in (("PublishAlarms", "Allow"), ("DenyPlaintext", "Deny")):
            statement = stack.statement(f"{topic}Policy", sid)
            assert (statement["Effect"], statement["Action"]) == (effect, ["sns:Publish"])
            assert statement["Resource"] == arn
    other = "arn:aws:kms:eu-west-1:111122223333:key/other"
    for topic in TOPICS.values():
        assert stack.properties(topic)["KmsMasterKeyId"] == "<EncryptionKey.Arn>"
        assert (
            stack.with_parameters(AlarmTopicKmsKeyArn=other).properties(topic)["KmsMasterKeyId"]
            == other
        )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        (
            {"CriticalAlarmEmail": "a@x.org"},
            {"CriticalAlarmTopic": "a@x.org", "WarningAlarmTopic": "a@x.org"},
        ),
        ({"WarningAlarmEmail": "t@x.org"}, {"WarningAlarmTopic": "t@x.org"}),
        (
            {"CriticalAlarmEmail": "a@x.org", "WarningAlarmEmail": "t@x.org"},
            {"CriticalAlarmTopic": "a@x.org", "WarningAlarmTopic": "t@x.org"},
        ),
    ],
)
def test_mail_where_there_is_an_address(
    stack: ResolvedTemplate, given: dict[str, str], expected: dict[str, str]
) -> None:
    """O5: none by default; it must be confirmed (pitfall 35). One address gets both."""
    found = list(stack.with_parameters(**given).resources_of_type("SNS::Subscription").values())
    assert {one["TopicArn"]: one["Endpoint"] for one in found} == {
        stack.resolve({"Ref": topic}): email for topic, email in expected.items()
    }
    assert {one["Protocol"] for one in found} <= {"email"}


EXISTING = "arn:aws:sns:eu-west-1:444455556666:on-call"


@pytest.mark.parametrize("severity", ["Critical", "Warning"])
def test_an_existing_topic_takes_the_place_of_the_stacks(
    stack: ResolvedTemplate, severity: str
) -> None:
    """O5: its alarms notify it, and neither a topic nor a policy nor an address is added to it."""
    own = f"{severity}AlarmTopic"
    (other,) = {*TOPICS.values()} - {own}
    mail = {"CriticalAlarmEmail": "a@x.org", "WarningAlarmEmail": "t@x.org"}
    given = stack.with_parameters(**{f"Existing{severity}TopicArn": EXISTING}, **mail)
    active = {title for title, _ in given.active_resources()}
    assert not {title for title in active if title.startswith(f"{severity}Alarm")}
    assert {other, f"{other}Policy", other.replace("Topic", "Subscription")} <= active
    recipients = {
        TOPICS["critical"]: stack.resolve({"Ref": "CriticalAlarmTopic"}),
        TOPICS["warning"]: stack.resolve({"Ref": "WarningAlarmTopic"}),
        own: EXISTING,
    }
    for title, (level, _) in WATCHED.items():
        alarm = given.properties(title)
        topic = [recipients[TOPICS[level]]]
        assert alarm["AlarmActions"] == topic
        assert alarm.get("OKActions", topic) == topic
    for title, arn in recipients.items():
        assert given.resolve(given.template["Outputs"][f"{title}Arn"]["Value"]) == arn


def test_a_template_may_have_no_parameters_of_topics() -> None:
    """O5, D7: the template is smaller by the parameters and the choice in each alarm."""
    without = generate(alarms={"topic_parameters": False})
    assert not {name for name in without.parameters if name.startswith("Existing")}
    assert set(TOPICS.values()) < {title for title, _ in without.active_resources()}
    used = without.with_parameters(AlarmTopicKmsKeyArn="arn:aws:kms:eu-west-1:111122223333:key/x")
    for one, allowed in ((without, True), (used, False)):
        sids = {statement["Sid"] for statement in one.statements("EncryptionKey")}
        assert ("PublishAlarms" in sids) is allowed
