"""The topics that report alarms, by severity: the stack's own, or existing ones."""

from dataclasses import dataclass
from typing import Any

import awacs.sns as sns
from troposphere import If, Output, Ref, Sub, Template
from troposphere.sns import SubscriptionResource, Topic, TopicPolicy

from templates import naming, policies
from templates.encryption import Encryption
from templates.parameters.monitoring import AlarmParameters, AlarmRecipient


@dataclass(frozen=True, kw_only=True)
class Topics:
    """The ARNs of the topics that alarms notify, the stack's own or existing ones."""

    critical: Ref | If
    """Of alarms that stop the work."""

    warning: Ref | If
    """Of warnings that can wait a day."""

    def outputs(self) -> list[Output]:
        """Return the stack's outputs about the topics."""
        return [
            Output(
                "CriticalAlarmTopicArn",
                Description="SNS topic of the critical alarms",
                Value=self.critical,
            ),
            Output(
                "WarningAlarmTopicArn", Description="SNS topic of the warnings", Value=self.warning
            ),
        ]


def add_topics(
    template: Template, *, parameters: AlarmParameters, encryption: Encryption
) -> Topics:
    """Add a topic for each severity that has no existing one, its policy and its subscription."""
    # A message about the stack's disabled key cannot be encrypted with that key.
    key = If(parameters.has_topic_kms_key, parameters.topic_kms_key, encryption.arn)
    critical, warning = (
        _add_topic(template, severity, recipient, key)
        for severity, recipient in (
            ("Critical", parameters.critical),
            ("Warning", parameters.warning),
        )
    )
    return Topics(critical=critical, warning=warning)


def _add_topic(template: Template, severity: str, recipient: AlarmRecipient, key: If) -> Ref | If:
    """Add the topic of a severity unless there is one; return the ARN of either."""
    existing = recipient.existing_topic
    conditional: dict[str, Any] = {"Condition": existing.creates_own} if existing else {}
    topic = template.add_resource(
        Topic(
            f"{severity}AlarmTopic",
            TopicName=naming.name(f"{severity.lower()}-alarms"),
            KmsMasterKeyId=key,
            **conditional,
        )
    )
    _add_policy(template, topic, conditional)
    template.add_resource(
        SubscriptionResource(
            f"{severity}AlarmSubscription",
            Condition=recipient.subscribes_email,
            TopicArn=Ref(topic),
            Protocol="email",
            Endpoint=recipient.email,
        )
    )
    return If(existing.creates_own, Ref(topic), existing.arn) if existing else Ref(topic)


def _add_policy(template: Template, topic: Topic, conditional: dict[str, Any]) -> None:
    """Let the stack's alarms publish to a topic; a policy may cover one only (pitfall 66)."""
    arn = [Ref(topic)]
    alarms = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm"
    template.add_resource(
        TopicPolicy(
            f"{topic.title}Policy",
            Topics=arn,
            PolicyDocument=policies.document(
                policies.allow(
                    "PublishAlarms",
                    [sns.Publish],
                    arn,
                    policies.from_this_account(),
                    policies.on_behalf_of(Sub(f"{alarms}:${{{naming.NAME_PREFIX}}}-*")),
                    principal=policies.service("cloudwatch.amazonaws.com"),
                ),
                policies.deny_plaintext([sns.Publish], arn),
            ),
            **conditional,
        )
    )
