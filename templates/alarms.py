"""When to wake someone, and how the message reaches them."""

from dataclasses import dataclass
from typing import Any

import awacs.sns as sns
from troposphere import GetAtt, Ref, Sub, Template
from troposphere.awslambda import Function
from troposphere.cloudwatch import Alarm, MetricDimension
from troposphere.sns import SubscriptionResource, Topic, TopicPolicy

from templates import naming, policies
from templates.encryption import Encryption
from templates.queues import Queues

# The oldest message has waited for that many visibility timeouts: retries alone explain one.
LATE_VISIBILITIES = 3


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """Where alarms go."""

    topic: Topic


def add_alarms(
    template: Template,
    *,
    encryption: Encryption,
    queues: Queues,
    function: Function,
    visibility_seconds: int,
    email: Ref,
    has_email: str,
) -> Alarms:
    """Add the topic, its subscription where there is an address, and the first four alarms."""
    topic = template.add_resource(
        Topic(
            "AlarmTopic",
            TopicName=naming.name("alarms"),
            KmsMasterKeyId=encryption.arn,
        )
    )
    template.add_resource(
        TopicPolicy(
            "AlarmTopicPolicy",
            Topics=[Ref(topic)],
            PolicyDocument=policies.document(
                policies.allow(
                    "RaiseAlarms",
                    [sns.Publish],
                    [Ref(topic)],
                    policies.from_this_account(),
                    policies.on_behalf_of(
                        Sub(
                            "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}"
                            f":alarm:${{{naming.NAME_PREFIX}}}-*"
                        )
                    ),
                    principal=policies.service("cloudwatch.amazonaws.com"),
                ),
                policies.deny_plaintext([sns.Publish], [Ref(topic)]),
            ),
        )
    )
    template.add_resource(
        SubscriptionResource(
            "AlarmSubscription",
            Condition=has_email,
            TopicArn=Ref(topic),
            Protocol="email",
            Endpoint=email,
        )
    )

    def add(title: str, role: str, description: str, **settings: Any) -> None:
        template.add_resource(
            Alarm(
                title,
                AlarmName=naming.name(role),
                AlarmDescription=description,
                ComparisonOperator="GreaterThanThreshold",
                AlarmActions=[Ref(topic)],
                OKActions=[Ref(topic)],
                # Nothing measured is nothing wrong, for counts of faults and of waiting (trap 33).
                TreatMissingData="notBreaching",
                **settings,
            )
        )

    def of_queue(queue: Any) -> dict[str, Any]:
        name = GetAtt(queue, "QueueName")
        return {
            "Namespace": "AWS/SQS",
            "Dimensions": [MetricDimension(Name="QueueName", Value=name)],
        }

    of_function = {
        "Namespace": "AWS/Lambda",
        "Dimensions": [MetricDimension(Name="FunctionName", Value=Ref(function))],
    }
    add(
        "DeadLetterAlarm",
        "dead-letters",
        "Messages failed every try. Look at the worker's log, mend, then redrive.",
        **of_queue(queues.dead_letters),
        MetricName="ApproximateNumberOfMessagesVisible",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
    )
    add(
        "QueueAgeAlarm",
        "queue-age",
        "Work waits too long: too little concurrency, or every try fails.",
        **of_queue(queues.work),
        MetricName="ApproximateAgeOfOldestMessage",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=5,
        Threshold=LATE_VISIBILITIES * visibility_seconds,
    )
    add(
        "WorkerErrorAlarm",
        "worker-errors",
        "Whole invocations fail: time-outs, memory, or the package does not start.",
        **of_function,
        MetricName="Errors",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
    )
    add(
        "WorkerThrottleAlarm",
        "worker-throttles",
        "Lambda refuses invocations: the account's concurrency is used up.",
        **of_function,
        MetricName="Throttles",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=3,
        Threshold=0,
    )
    return Alarms(topic=topic)
