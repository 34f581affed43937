"""The topic that S3 notifies of each record, for consumers that wait for pictures."""

from dataclasses import dataclass

import awacs.sns as sns
from troposphere import Output, Ref, Template
from troposphere.sns import Topic, TopicPolicy

from templates import naming, policies
from templates.encryption import Encryption
from templates.policies import Arn


@dataclass(frozen=True, kw_only=True)
class RecordTopic:
    """The topic of records and its policy, which the bucket has to wait for (pitfall 1)."""

    topic: Topic
    policy: TopicPolicy

    def outputs(self) -> list[Output]:
        """Return the stack's output about the topic."""
        description = "Topic that S3 notifies of each record"
        return [Output("RecordTopicArn", Description=description, Value=Ref(self.topic))]


def add_record_topic(template: Template, bucket_arn: Arn, encryption: Encryption) -> RecordTopic:
    """Add the topic that only the bucket with the ARN `bucket_arn` may publish to.

    The ARN is by name: a reference would be a cycle with the bucket's notifications.
    """
    topic = template.add_resource(
        Topic("RecordTopic", TopicName=naming.name(naming.RECORDS), KmsMasterKeyId=encryption.arn)
    )
    policy = template.add_resource(
        TopicPolicy(
            "RecordTopicPolicy",
            Topics=[Ref(topic)],
            PolicyDocument=policies.document(
                policies.allow(
                    "PublishRecords",
                    [sns.Publish],
                    [Ref(topic)],
                    policies.from_this_account(),
                    policies.on_behalf_of(bucket_arn),
                    principal=policies.service("s3.amazonaws.com"),
                ),
                policies.deny_plaintext([sns.Publish], [Ref(topic)]),
            ),
        )
    )
    return RecordTopic(topic=topic, policy=policy)
