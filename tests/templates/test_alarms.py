import pytest

from ops.reading import Reading
from tests.templates.conftest import generate

# What each alarm watches: namespace, metric, dimension and the resource it must name.
WATCHED = {
    "DeadLetterAlarm": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "QueueName",
        "DeadLetterQueue",
    ),
    "QueueAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "WorkQueue"),
    "WorkerErrorAlarm": ("AWS/Lambda", "Errors", "FunctionName", "Worker"),
    "WorkerThrottleAlarm": ("AWS/Lambda", "Throttles", "FunctionName", "Worker"),
}


def test_these_are_watched(stack: Reading) -> None:
    """O2, trap 34: queue age misses what was received often, so that dead letters count as well."""
    assert set(stack.of_type("CloudWatch::Alarm")) == set(WATCHED)


@pytest.mark.parametrize("title", WATCHED)
def test_an_alarm_names_a_real_resource_and_reaches_the_topic(stack: Reading, title: str) -> None:
    """O2, O5, trap 33: a dimension that does not exist never fires; missing data is a choice."""
    namespace, metric, dimension, watched = WATCHED[title]
    alarm = stack.properties(title)
    assert (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric)
    assert alarm["Dimensions"] == [
        {"Name": dimension, "Value": stack.properties(watched)[dimension]}
    ]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [stack.resolve({"Ref": "AlarmTopic"})]
    assert alarm["TreatMissingData"] == "notBreaching"
    assert len(alarm["AlarmDescription"]) > 20


def test_the_age_threshold_follows_the_retries() -> None:
    """R4, O2: derived from the visibility timeout, so that one retry is no alarm."""
    stack = generate(lanes={"default": {"timeout_seconds": 100}})
    assert stack.properties("QueueAgeAlarm")["Threshold"] == 3 * 600


def test_only_alarms_of_this_stack_publish(stack: Reading) -> None:
    """O5, trap 32: by account and by name."""
    statement = stack.statement("AlarmTopicPolicy", "RaiseAlarms")
    assert statement["Principal"] == {"Service": ["cloudwatch.amazonaws.com"]}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:darkroom-*"},
    }
    for alarm in stack.of_type("CloudWatch::Alarm").values():
        assert alarm["AlarmName"].startswith("darkroom-")


def test_plain_http_is_refused(stack: Reading) -> None:
    """S2: publishing too."""
    statement = stack.statement("AlarmTopicPolicy", "DenyPlaintext")
    assert (statement["Effect"], statement["Action"]) == ("Deny", ["sns:Publish"])


def test_mail_only_where_there_is_an_address(stack: Reading) -> None:
    """O5: none by default; it must be confirmed (trap 35)."""
    assert stack.of_type("SNS::Subscription") == {}
    (subscription,) = (
        stack.given(AlarmEmail="ops@example.com").of_type("SNS::Subscription").values()
    )
    assert subscription["Protocol"] == "email"
    assert subscription["Endpoint"] == "ops@example.com"
