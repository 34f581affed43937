"""The template as a whole."""

from tests.mutation.additions import Template, arn, sub
from tests.mutation.defects.seed import (
    defect,
    named,
    of,
)


@defect("cfn-template-size")
def template_too_large(t: Template) -> None:
    t["Metadata"]["Notes"] = "x" * 1_000_000


@defect("iam-policy-size")
def policy_too_large(t: Template) -> None:
    resources = named(t, "WorkerRole", "ReadUploads")["Resource"]
    more = [{"Fn::Join": ["/", [arn("UploadBucket"), f"uploads/{n:0400}/*"]]} for n in range(20)]
    resources.extend(more)
    named(t, "S3Endpoint", "ReadUploads")["Resource"].extend(more)


@defect("iam-policy-size")
def queue_policy_with_a_statement_for_each_sender(t: Template) -> None:
    statements = of(t, "WorkQueuePolicy")["PolicyDocument"]["Statement"]
    one = named(t, "WorkQueuePolicy", "SendNotifications")
    statements.extend({**one, "Sid": f"Send{n}"} for n in range(20))


@defect("cfn-unique-names")
def fixed_name(t: Template) -> None:
    of(t, "DeadLetterAlarm")["AlarmName"] = "dead-letters"


@defect("cfn-unique-names")
def fixed_alias(t: Template) -> None:
    of(t, "EncryptionKeyAlias")["AliasName"] = "alias/darkroom"


@defect("s3-bucket-name")
def name_prefix_too_long(t: Template) -> None:
    t["Parameters"]["NamePrefix"]["MaxLength"] = 30


@defect("s3-bucket-name")
def name_prefix_with_capitals(t: Template) -> None:
    t["Parameters"]["NamePrefix"]["AllowedPattern"] = "^[A-Za-z][A-Za-z0-9-]*$"


@defect("s3-bucket-name")
def bucket_named_without_account(t: Template) -> None:
    name = "${NamePrefix}-thumbnails-${AWS::Region}"
    of(t, "ThumbnailBucket")["BucketName"] = sub(name)


@defect("cfn-hardcoded-account-or-region")
def typed_account(t: Template) -> None:
    condition = named(t, "EncryptionKey", "PublishAlarms")["Condition"]
    condition["StringEquals"]["aws:SourceAccount"] = "111122223333"


@defect("cfn-hardcoded-account-or-region")
def typed_region(t: Template) -> None:
    of(t, "S3Endpoint")["ServiceName"] = "com.amazonaws.eu-west-1.s3"


@defect("cfn-hardcoded-account-or-region")
def typed_partition(t: Template) -> None:
    condition = named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]
    condition["ArnLike"]["aws:SourceArn"] = sub(
        "arn:aws:s3:::${NamePrefix}-uploads-${AWS::AccountId}-${AWS::Region}"
    )


@defect("cfn-parameter-default")
def default_out_of_bounds(t: Template) -> None:
    t["Parameters"]["MemorySize"]["Default"] = 256


@defect("cfn-parameter-constraints")
def parameter_without_bounds(t: Template) -> None:
    del t["Parameters"]["MaximumConcurrency"]["MaxValue"]


@defect("cfn-rules-pass")
def defaults_break_a_rule(t: Template) -> None:
    t["Parameters"]["AvailabilityZoneIndexB"]["Default"] = 0


@defect("cfn-rules-pass")
def prefix_list_is_everywhere(t: Template) -> None:
    t["Mappings"]["S3PrefixLists"]["af-south-1"]["Id"] = "0.0.0.0/0"
