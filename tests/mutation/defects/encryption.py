"""Keys and encryption."""

from tests.mutation import additions
from tests.mutation.additions import Template, sub
from tests.mutation.defects.seed import (
    defect,
    drop,
    named,
    of,
)


@defect("kms-cmk-encryption")
def queue_under_the_key_of_sqs(t: Template) -> None:
    of(t, "WorkQueue")["KmsMasterKeyId"] = "alias/aws/sqs"


@defect("kms-cmk-encryption")
def topic_not_encrypted(t: Template) -> None:
    del of(t, "CriticalAlarmTopic")["KmsMasterKeyId"]


@defect("kms-cmk-encryption")
def log_group_not_encrypted(t: Template) -> None:
    del of(t, "LogDeliveryLogGroup")["KmsKeyId"]


@defect("kms-cmk-encryption")
def environment_not_encrypted(t: Template) -> None:
    del of(t, "Worker")["KmsKeyArn"]


@defect("kms-cmk-encryption", on=additions.archive)
def stream_not_encrypted(t: Template) -> None:
    del of(t, "WorkerLogDelivery")["DeliveryStreamEncryptionConfigurationInput"]


@defect("kms-cmk-encryption", on=additions.archive)
def archive_under_the_key_of_s3(t: Template) -> None:
    (one,) = of(t, "LogArchiveBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    one["ServerSideEncryptionByDefault"] = {"SSEAlgorithm": "AES256"}


@defect("kms-key-rotation")
def key_without_rotation(t: Template) -> None:
    of(t, "EncryptionKey")["EnableKeyRotation"] = False


@defect("kms-key-root-access")
def key_nobody_administers(t: Template) -> None:
    drop(t, "EncryptionKey", "Administer")


@defect("kms-producer-access")
def key_keeps_s3_out(t: Template) -> None:
    drop(t, "EncryptionKey", "SendEvents")


@defect("kms-producer-access")
def key_gives_s3_half(t: Template) -> None:
    named(t, "EncryptionKey", "SendEvents")["Action"] = ["kms:GenerateDataKey"]


@defect("kms-producer-access", on=additions.record_topic)
def key_keeps_s3_out_of_the_topic(t: Template) -> None:
    drop(t, "EncryptionKey", "PublishRecords")


@defect("kms-producer-access")
def key_keeps_alarms_out(t: Template) -> None:
    drop(t, "EncryptionKey", "PublishAlarms")


@defect("kms-producer-access", on=additions.rule_to_queue)
def key_keeps_rules_out(t: Template) -> None:
    drop(t, "EncryptionKey", "AnnounceExisting")


@defect("kms-producer-access", on=additions.external_sources)
def key_keeps_topics_out(t: Template) -> None:
    named(t, "EncryptionKey", "SendEvents")["Principal"]["Service"].remove("sns.amazonaws.com")


@defect("kms-producer-access", on=additions.external_sources)
def key_is_for_other_queues(t: Template) -> None:
    named(t, "EncryptionKey", "SendEvents")["Condition"] = {
        "StringLike": {
            "kms:EncryptionContext:aws:sqs:arn": sub(
                "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:others-*"
            )
        }
    }


@defect("kms-create-grant")
def grants_for_anybody(t: Template) -> None:
    del named(t, "EncryptionKey", "CreateServiceGrants")["Condition"]


@defect("kms-context-action")
def described_under_an_encryption_context(t: Template) -> None:
    named(t, "EncryptionKey", "EncryptLogs")["Action"].append("kms:DescribeKey")


@defect("kms-logs-access")
def key_keeps_logs_out(t: Template) -> None:
    drop(t, "EncryptionKey", "EncryptLogs")


@defect("kms-logs-access")
def key_for_logs_in_one_partition(t: Template) -> None:
    principal = named(t, "EncryptionKey", "EncryptLogs")["Principal"]
    principal["Service"] = [sub("logs.${AWS::Region}.amazonaws.com")]


@defect("kms-logs-access")
def key_for_other_log_groups(t: Template) -> None:
    condition = named(t, "EncryptionKey", "EncryptLogs")["Condition"]["ArnLike"]
    condition["kms:EncryptionContext:aws:logs:arn"]["Fn::Sub"] = (
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/*"
    )


@defect("kms-cloudfront-access", on=additions.distribution)
def key_keeps_the_distribution_out(t: Template) -> None:
    drop(t, "EncryptionKey", "Deliver")


@defect("kms-cloudfront-access", on=additions.distribution)
def key_waits_for_the_distribution(t: Template) -> None:
    named(t, "EncryptionKey", "Deliver")["Condition"]["ArnLike"]["aws:SourceArn"] = sub(
        "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Website}"
    )


@defect("kms-key-alias")
def key_without_alias(t: Template) -> None:
    del t["Resources"]["EncryptionKeyAlias"]
