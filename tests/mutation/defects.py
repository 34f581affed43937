"""The defects: each a small change to the generated template, named after what it breaks."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from darkroom.lint.rules import endpoints
from tests.mutation import additions
from tests.mutation.additions import Template, arn, statements, sub


@dataclass(frozen=True)
class Defect:
    """A change in place, and the rule of ours that must notice it."""

    rule: str
    change: Callable[[Template], None]
    on: Callable[[Template], None] | None

    @property
    def name(self) -> str:
        return self.change.__name__.replace("_", " ")

    def apply(self, template: Template) -> None:
        if self.on:
            self.on(template)
        self.change(template)


DEFECTS: list[Defect] = []


def defect(
    rule: str, on: Callable[[Template], None] | None = None
) -> Callable[[Callable[[Template], None]], Callable[[Template], None]]:
    def register(change: Callable[[Template], None]) -> Callable[[Template], None]:
        DEFECTS.append(Defect(rule, change, on))
        return change

    return register


def of(template: Template, title: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][title]["Properties"]
    return found


def named(template: Template, title: str, sid: str) -> dict[str, Any]:
    """Return the statement `sid` of any policy of a resource."""
    return next(one for one in _all(of(template, title)) if one.get("Sid") == sid)


def drop(template: Template, title: str, sid: str) -> None:
    for found in _lists(of(template, title)):
        found[:] = [one for one in found if one.get("Sid") != sid]


def _lists(value: Any) -> list[list[dict[str, Any]]]:
    if isinstance(value, list):
        return [found for item in value for found in _lists(item)]
    if isinstance(value, dict):
        here = [value["Statement"]] if isinstance(value.get("Statement"), list) else []
        return here + [found for item in value.values() for found in _lists(item)]
    return []


def _all(value: Any) -> list[dict[str, Any]]:
    return [one for found in _lists(value) for one in found]


def configurations(template: Template) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of(template, "UploadBucket")["NotificationConfiguration"][
        "QueueConfigurations"
    ]
    return found


def key_filter(configuration: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = configuration["Filter"]["S3Key"]["Rules"]
    return found


# --- Queues and the mapping ---------------------------------------------------------------------


@defect("sqs-visibility-timeout")
def visibility_of_five_timeouts(t: Template) -> None:
    of(t, "WorkQueue")["VisibilityTimeout"] = 300


@defect("sqs-visibility-timeout")
def visibility_left_to_its_default(t: Template) -> None:
    del of(t, "WorkQueue")["VisibilityTimeout"]


@defect("sqs-visibility-timeout")
def timeout_raised_alone(t: Template) -> None:
    of(t, "Worker")["Timeout"] = 120


@defect("sqs-redrive-policy")
def no_dead_letters(t: Template) -> None:
    del of(t, "WorkQueue")["RedrivePolicy"]


@defect("sqs-dlq-retention")
def dead_letters_kept_as_long_as_messages(t: Template) -> None:
    of(t, "DeadLetterQueue")["MessageRetentionPeriod"] = 345600


@defect("sqs-dlq-retention")
def messages_kept_as_long_as_dead_letters(t: Template) -> None:
    of(t, "WorkQueue")["MessageRetentionPeriod"] = 1209600


@defect("sqs-max-receive-count")
def one_receive_and_dead(t: Template) -> None:
    of(t, "WorkQueue")["RedrivePolicy"]["maxReceiveCount"] = 1


@defect("sqs-max-receive-count")
def more_tries_than_time(t: Template) -> None:
    of(t, "WorkQueue")["RedrivePolicy"]["maxReceiveCount"] = 1000


@defect("sqs-redrive-allow-policy")
def dead_letters_of_anybody(t: Template) -> None:
    del of(t, "DeadLetterQueue")["RedriveAllowPolicy"]


@defect("sqs-redrive-allow-policy")
def dead_letters_of_another_queue(t: Template) -> None:
    of(t, "DeadLetterQueue")["RedriveAllowPolicy"]["sourceQueueArns"] = [
        sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${NamePrefix}-works")
    ]


@defect("lambda-partial-batch-response")
def no_partial_batch_response(t: Template) -> None:
    del of(t, "WorkerEventSourceMapping")["FunctionResponseTypes"]


@defect("lambda-esm-no-filter")
def mapping_filters_events(t: Template) -> None:
    of(t, "WorkerEventSourceMapping")["FilterCriteria"] = {
        "Filters": [{"Pattern": '{"body":{"Records":[]}}'}]
    }


@defect("lambda-esm-max-concurrency")
def no_maximum_concurrency(t: Template) -> None:
    del of(t, "WorkerEventSourceMapping")["ScalingConfig"]


@defect("lambda-esm-max-concurrency")
def provisioned_pollers_beside_a_maximum(t: Template) -> None:
    of(t, "WorkerEventSourceMapping")["ProvisionedPollerConfig"] = {
        "MinimumPollers": 2,
        "MaximumPollers": 10,
    }


@defect("lambda-esm-max-concurrency")
def maximum_concurrency_may_be_one(t: Template) -> None:
    t["Parameters"]["MaximumConcurrency"]["MinValue"] = 1


@defect("lambda-reserved-concurrency")
def reserved_below_the_maximum(t: Template) -> None:
    of(t, "Worker")["ReservedConcurrentExecutions"] = 5


@defect("lambda-reserved-concurrency")
def reserved_only_where_asked_and_too_low(t: Template) -> None:
    reserved = of(t, "Worker")["ReservedConcurrentExecutions"]
    reserved["Fn::If"][1] = 1


@defect("lambda-batching-window")
def large_batch_without_window(t: Template) -> None:
    of(t, "WorkerEventSourceMapping")["BatchSize"] = 50


@defect("lambda-unused-dlq-config")
def function_has_its_own_dead_letters(t: Template) -> None:
    of(t, "Worker")["DeadLetterConfig"] = {"TargetArn": arn("DeadLetterQueue")}


@defect("sqs-s3-target-standard")
def fifo_queues(t: Template) -> None:
    for title in ("WorkQueue", "DeadLetterQueue"):
        of(t, title)["FifoQueue"] = True
        of(t, title)["QueueName"]["Fn::Sub"] += ".fifo"


@defect("sqs-s3-target-standard")
def dead_letters_of_the_other_kind(t: Template) -> None:
    of(t, "DeadLetterQueue")["FifoQueue"] = True
    of(t, "DeadLetterQueue")["QueueName"]["Fn::Sub"] += ".fifo"


@defect("sqs-policy-s3-source")
def queue_admits_nobody(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "SendNotifications")


@defect("sqs-policy-s3-source")
def queue_admits_another_bucket(t: Template) -> None:
    condition = named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]
    condition["ArnLike"]["aws:SourceArn"]["Fn::Sub"] += "-x"


@defect("sqs-policy-s3-source")
def queue_admits_every_bucket_of_the_account(t: Template) -> None:
    condition = named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]
    condition["ArnLike"]["aws:SourceArn"] = sub("arn:${AWS::Partition}:s3:::*")


@defect("sqs-policy-s3-source")
def queue_admits_the_bucket_of_any_account(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]["StringEquals"]


@defect("sqs-policy-s3-source")
def queue_policy_on_the_wrong_queue(t: Template) -> None:
    of(t, "WorkQueuePolicy")["Queues"] = [{"Ref": "DeadLetterQueue"}]


@defect("sqs-policy-s3-source")
def queue_policy_allows_another_action(t: Template) -> None:
    named(t, "WorkQueuePolicy", "SendNotifications")["Action"] = ["sqs:ReceiveMessage"]


@defect("sqs-policy-event-source", on=additions.rule_to_queue)
def queue_refuses_the_rule(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "AnnounceExisting")


@defect("sqs-policy-event-source", on=additions.somebodys_sources)
def queue_admits_every_rule(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "OldSendNotifications")["Condition"]["ArnLike"]


@defect("sqs-policy-event-source", on=additions.somebodys_sources)
def queue_admits_every_topic(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "PartnerSendNotifications")["Condition"]


@defect("sqs-policy-event-source", on=additions.somebodys_sources)
def dead_letter_queue_refuses_the_topic(t: Template) -> None:
    drop(t, "DeadLetterQueuePolicy", "PartnerSendUndelivered")


@defect("events-target-dlq", on=additions.somebodys_sources)
def rule_drops_what_it_cannot_deliver(t: Template) -> None:
    del of(t, "OldNotificationRule")["Targets"][0]["DeadLetterConfig"]


@defect("events-target-dlq", on=additions.somebodys_sources)
def topic_drops_what_it_cannot_deliver(t: Template) -> None:
    del of(t, "PartnerSubscription")["RedrivePolicy"]


@defect("events-target-depends-on-policy", on=additions.somebodys_sources)
def rule_before_queue_policy(t: Template) -> None:
    t["Resources"]["OldNotificationRule"]["DependsOn"].remove("WorkQueuePolicy")


@defect("events-target-depends-on-policy", on=additions.somebodys_sources)
def subscription_before_queue_policy(t: Template) -> None:
    del t["Resources"]["PartnerSubscription"]["DependsOn"]


@defect("sns-subscription-no-filter", on=additions.somebodys_sources)
def subscription_filters(t: Template) -> None:
    of(t, "PartnerSubscription")["FilterPolicy"] = {"Records": {"eventSource": ["aws:s3"]}}


@defect("events-pattern-scope", on=additions.somebodys_sources)
def rule_takes_every_kind_of_event(t: Template) -> None:
    del of(t, "OldNotificationRule")["EventPattern"]["detail-type"]


@defect("events-pattern-scope", on=additions.somebodys_sources)
def rule_takes_every_bucket(t: Template) -> None:
    del of(t, "OldNotificationRule")["EventPattern"]["detail"]["bucket"]


@defect("events-pattern-scope", on=additions.somebodys_sources)
def rule_takes_every_key(t: Template) -> None:
    del of(t, "OldNotificationRule")["EventPattern"]["detail"]["object"]


@defect("events-pattern-scope", on=additions.somebodys_sources)
def pattern_is_too_long(t: Template) -> None:
    of(t, "OldNotificationRule")["EventPattern"]["detail"]["object"]["key"] = [
        {"prefix": f"customers/{number:03}/uploads/"} for number in range(60)
    ]


@defect("iam-external-bucket-prefix", on=additions.somebodys_sources)
def worker_reads_all_of_somebodys_bucket(t: Template) -> None:
    named(t, "WorkerRole", "OldReadUploads")["Resource"] = [
        sub("arn:${AWS::Partition}:s3:::${OldBucketName}/*")
    ]


@defect("iam-external-bucket-prefix", on=additions.somebodys_sources)
def endpoint_is_open_for_all_of_somebodys_bucket(t: Template) -> None:
    named(t, "S3Endpoint", "OldReadUploads")["Resource"] = [
        sub("arn:${AWS::Partition}:s3:::${OldBucketName}/*")
    ]


@defect("sqs-sns-secure-transport")
def queue_over_plain_http(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "DenyPlaintext")


@defect("sqs-sns-secure-transport")
def topic_over_plain_http(t: Template) -> None:
    named(t, "AlarmTopicPolicy", "DenyPlaintext")["Condition"]["Bool"] = {
        "aws:SecureTransport": "true"
    }


@defect("sqs-max-receive-count")
def no_count_of_receives(t: Template) -> None:
    del of(t, "WorkQueue")["RedrivePolicy"]["maxReceiveCount"]


@defect("s3-notification-consumed")
def nothing_is_announced(t: Template) -> None:
    del of(t, "UploadBucket")["NotificationConfiguration"]


@defect("s3-notification-consumed")
def nobody_reads_the_queue(t: Template) -> None:
    del t["Resources"]["WorkerEventSourceMapping"]


@defect("iam-redrive-permissions", on=additions.operator)
def operator_cannot_take_dead_letters(t: Template) -> None:
    named(t, "OperatorPolicy", "MoveDeadLetters")["Action"].remove("sqs:DeleteMessage")


@defect("iam-redrive-permissions", on=additions.operator)
def operator_cannot_send_work(t: Template) -> None:
    drop(t, "OperatorPolicy", "SendWork")


@defect("iam-redrive-permissions", on=additions.operator)
def operator_cannot_use_the_key(t: Template) -> None:
    named(t, "OperatorPolicy", "UseKey")["Action"] = ["kms:Decrypt"]


# --- The function and its role ------------------------------------------------------------------


@defect("lambda-poll-permissions")
def role_cannot_receive(t: Template) -> None:
    named(t, "WorkerRole", "ReceiveMessages")["Action"].remove("sqs:ReceiveMessage")


@defect("kms-role-access")
def role_cannot_decrypt_messages(t: Template) -> None:
    drop(t, "WorkerRole", "DecryptMessages")


@defect("kms-role-access")
def role_cannot_encrypt_outputs(t: Template) -> None:
    named(t, "WorkerRole", "EncryptOutputs")["Action"].remove("kms:GenerateDataKey")


@defect("kms-role-access")
def encryption_context_of_the_objects(t: Template) -> None:
    condition = named(t, "WorkerRole", "EncryptOutputs")["Condition"]
    context = {"Fn::Join": ["/", [arn("ThumbnailBucket"), "*"]]}
    condition["StringLike"]["kms:EncryptionContext:aws:s3:arn"] = [context]


@defect("lambda-log-group")
def function_without_log_group(t: Template) -> None:
    del of(t, "Worker")["LoggingConfig"]["LogGroup"]


@defect("lambda-log-group")
def log_group_by_name_only(t: Template) -> None:
    of(t, "Worker")["LoggingConfig"]["LogGroup"] = sub("/${NamePrefix}/worker")
    of(t, "WorkerRole")["Policies"][1]["PolicyDocument"]["Statement"][0]["Resource"] = [
        sub(
            "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
            ":log-group:/${NamePrefix}/worker:*"
        )
    ]


@defect("iam-create-log-group")
def role_creates_log_groups(t: Template) -> None:
    named(t, "WorkerRole", "WriteLogs")["Action"].append("logs:CreateLogGroup")


@defect("lambda-log-permissions")
def role_cannot_log(t: Template) -> None:
    drop(t, "WorkerRole", "WriteLogs")


@defect("lambda-eni-permissions")
def role_cannot_place_interfaces(t: Template) -> None:
    named(t, "WorkerRole", "ManageNetworkInterfaces")["Action"].remove("ec2:CreateNetworkInterface")


@defect("lambda-eni-permissions-denied")
def code_may_use_interface_rights(t: Template) -> None:
    drop(t, "WorkerRole", "DenyNetworkInterfacesToCode")


@defect("lambda-eni-permissions-denied")
def refusal_for_another_function(t: Template) -> None:
    condition = named(t, "WorkerRole", "DenyNetworkInterfacesToCode")["Condition"]
    condition["ArnEquals"]["lambda:SourceFunctionArn"][0]["Fn::Sub"] += "s"


@defect("lambda-eni-permissions-denied")
def refusal_to_lambda_itself(t: Template) -> None:
    del named(t, "WorkerRole", "DenyNetworkInterfacesToCode")["Condition"]


@defect("vpc-eni-deletion-order")
def security_group_without_order(t: Template) -> None:
    del t["Resources"]["WorkerSecurityGroup"]["DependsOn"]


@defect("lambda-recursive-loop")
def outputs_into_uploads(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["THUMBNAIL_BUCKET"] = {"Ref": "UploadBucket"}


@defect("lambda-recursive-loop")
def recursion_allowed(t: Template) -> None:
    of(t, "Worker")["RecursiveLoop"] = "Allow"


@defect("lambda-recursive-loop")
def role_may_write_uploads(t: Template) -> None:
    named(t, "WorkerRole", "ReadUploads")["Action"].append("s3:PutObject")


@defect("lambda-environment-secret")
def secret_in_the_environment(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["API_TOKEN"] = "hunter2"


@defect("lambda-environment-size")
def environment_too_large(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["NOTES"] = "x" * 4000


@defect("lambda-code-key")
def code_under_a_fixed_key(t: Template) -> None:
    of(t, "Worker")["Code"]["S3Key"] = "worker.zip"


@defect("iam-permissions-boundary")
def role_without_boundary(t: Template) -> None:
    del of(t, "FlowLogRole")["PermissionsBoundary"]


@defect("iam-lambda-trust")
def role_trusted_by_another_service(t: Template) -> None:
    trust = of(t, "WorkerRole")["AssumeRolePolicyDocument"]["Statement"][0]
    trust["Principal"]["Service"].append("ec2.amazonaws.com")


# --- Buckets ------------------------------------------------------------------------------------


@defect("s3-public-access-block")
def public_policies_possible(t: Template) -> None:
    of(t, "UploadBucket")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


@defect("s3-public-access-block")
def no_public_access_block(t: Template) -> None:
    del of(t, "ThumbnailBucket")["PublicAccessBlockConfiguration"]


@defect("s3-acl-disabled")
def acls_possible(t: Template) -> None:
    del of(t, "UploadBucket")["OwnershipControls"]


@defect("s3-versioning")
def bucket_without_versions(t: Template) -> None:
    of(t, "UploadBucket")["VersioningConfiguration"]["Status"] = "Suspended"


@defect("s3-bucket-key")
def bucket_without_bucket_key(t: Template) -> None:
    del _encryption(t, "ThumbnailBucket")["BucketKeyEnabled"]


def _encryption(t: Template, bucket: str) -> dict[str, Any]:
    found: dict[str, Any] = of(t, bucket)["BucketEncryption"]["ServerSideEncryptionConfiguration"][
        0
    ]
    return found


@defect("kms-cmk-encryption")
def bucket_under_a_key_of_s3(t: Template) -> None:
    _encryption(t, "UploadBucket")["ServerSideEncryptionByDefault"] = {"SSEAlgorithm": "AES256"}


@defect("s3-secure-transport")
def bucket_over_plain_http(t: Template) -> None:
    drop(t, "UploadBucketPolicy", "DenyPlaintext")


@defect("s3-secure-transport")
def objects_over_plain_http(t: Template) -> None:
    named(t, "ThumbnailBucketPolicy", "DenyPlaintext")["Resource"].pop()


@defect("s3-policy-other-accounts")
def bucket_open_to_other_accounts(t: Template) -> None:
    drop(t, "UploadBucketPolicy", "DenyOtherAccounts")


@defect("s3-policy-other-keys")
def bucket_takes_other_keys(t: Template) -> None:
    drop(t, "ThumbnailBucketPolicy", "DenyOtherKeys")


@defect("s3-policy-other-keys")
def bucket_refuses_its_own_default(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherEncryption")["Condition"]["Null"]


@defect("s3-deny-service-lockout")
def refusal_locks_out_services(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherAccounts")["Condition"]["Bool"]


def refusal(t: Template, title: str, action: str, **condition: Any) -> None:
    """Add a Deny to everybody under a condition to the policy `title`."""
    statements(t, title).append(
        {
            "Sid": "Perimeter",
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": statements(t, title)[0]["Resource"],
            "Condition": condition,
        }
    )


OUTSIDE = {"aws:SourceVpce": {"Ref": "S3Endpoint"}}


@defect("s3-deny-service-lockout")
def perimeter_locks_out_services(t: Template) -> None:
    refusal(t, "ThumbnailBucketPolicy", "s3:PutObject", StringNotEquals=OUTSIDE)


@defect("s3-deny-service-lockout")
def ranges_lock_out_what_aws_does_for_a_caller(t: Template) -> None:
    refusal(
        t,
        "UploadBucketPolicy",
        "s3:PutObject",
        NotIpAddress={"aws:SourceIp": ["192.0.2.0/24"]},
        Bool={"aws:PrincipalIsAWSService": "false"},
    )


@defect("iam-deny-admin-lockout")
def perimeter_locks_out_administrators(t: Template) -> None:
    refusal(
        t,
        "ThumbnailBucketPolicy",
        "s3:*",
        StringNotEquals=OUTSIDE,
        Bool={"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"},
    )


@defect("iam-deny-admin-lockout")
def ranges_lock_out_the_keys_administrators(t: Template) -> None:
    refusal(t, "EncryptionKey", "kms:*", NotIpAddress={"aws:SourceIp": ["192.0.2.0/24"]})


@defect("s3-lifecycle-noncurrent")
def old_versions_for_ever(t: Template) -> None:
    rule = of(t, "ThumbnailBucket")["LifecycleConfiguration"]["Rules"][0]
    del rule["NoncurrentVersionExpiration"]


@defect("s3-lifecycle-noncurrent")
def unfinished_uploads_for_ever(t: Template) -> None:
    rule = of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"][0]
    del rule["AbortIncompleteMultipartUpload"]


@defect("s3-lifecycle-noncurrent")
def lifecycle_switched_off(t: Template) -> None:
    of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"][0]["Status"] = "Disabled"


@defect("s3-notification-depends-on-policy")
def bucket_before_queue_policy(t: Template) -> None:
    del t["Resources"]["UploadBucket"]["DependsOn"]


@defect("s3-notification-overlap")
def filters_overlap(t: Template) -> None:
    key_filter(configurations(t)[0])[1]["Value"] = ".JPG"


@defect("s3-notification-overlap")
def prefixes_overlap(t: Template) -> None:
    key_filter(configurations(t)[0])[0]["Value"] = "uploads/new/"
    key_filter(configurations(t)[0])[1]["Value"] = ".webp"


@defect("s3-notification-suffix-case")
def suffix_in_one_case(t: Template) -> None:
    del configurations(t)[1]


@defect("s3-notification-prefix")
def whole_bucket_announced(t: Template) -> None:
    for one in configurations(t):
        del key_filter(one)[0]


@defect("cfn-deletion-policy")
def bucket_goes_with_the_stack(t: Template) -> None:
    t["Resources"]["UploadBucket"]["DeletionPolicy"] = "Delete"


@defect("cfn-deletion-policy")
def key_replaced_and_lost(t: Template) -> None:
    del t["Resources"]["EncryptionKey"]["UpdateReplacePolicy"]


@defect("s3-policy-other-accounts")
def bucket_lists_for_other_accounts(t: Template) -> None:
    named(t, "UploadBucketPolicy", "DenyOtherAccounts")["Resource"].pop(0)


@defect("s3-policy-other-keys")
def bucket_refuses_its_own_key(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherKeys")["Condition"]["StringNotEquals"]


# --- Keys ---------------------------------------------------------------------------------------


@defect("kms-cmk-encryption")
def queue_under_the_key_of_sqs(t: Template) -> None:
    of(t, "WorkQueue")["KmsMasterKeyId"] = "alias/aws/sqs"


@defect("kms-cmk-encryption")
def topic_not_encrypted(t: Template) -> None:
    del of(t, "CriticalAlarmTopic")["KmsMasterKeyId"]


@defect("kms-cmk-encryption")
def log_group_not_encrypted(t: Template) -> None:
    del of(t, "FlowLogGroup")["KmsKeyId"]


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
    drop(t, "EncryptionKey", "SendNotifications")


@defect("kms-producer-access")
def key_gives_s3_half(t: Template) -> None:
    named(t, "EncryptionKey", "SendNotifications")["Action"] = ["kms:GenerateDataKey"]


@defect("kms-producer-access")
def key_keeps_alarms_out(t: Template) -> None:
    drop(t, "EncryptionKey", "PublishAlarms")


@defect("kms-producer-access", on=additions.rule_to_queue)
def key_keeps_rules_out(t: Template) -> None:
    drop(t, "EncryptionKey", "AnnounceExisting")


@defect("kms-producer-access", on=additions.somebodys_sources)
def key_keeps_topics_out(t: Template) -> None:
    drop(t, "EncryptionKey", "SendTopicMessages")


@defect("kms-producer-access", on=additions.somebodys_sources)
def key_is_for_other_queues(t: Template) -> None:
    named(t, "EncryptionKey", "SendRuleEvents")["Condition"] = {
        "StringLike": {
            "kms:EncryptionContext:aws:sqs:arn": sub(
                "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:others-*"
            )
        }
    }


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


# --- Rights -------------------------------------------------------------------------------------


@defect("iam-wildcard-action")
def wildcard_action(t: Template) -> None:
    named(t, "WorkerRole", "DeleteOrDelayMessages")["Action"] = ["sqs:*"]


@defect("iam-wildcard-action")
def action_by_exclusion(t: Template) -> None:
    statement = named(t, "FlowLogRole", "WriteFlowLog")
    del statement["Action"]
    statement["NotAction"] = ["logs:DeleteLogGroup"]


@defect("iam-wildcard-resource")
def every_queue(t: Template) -> None:
    named(t, "WorkerRole", "ReceiveMessages")["Resource"] = ["*"]


@defect("iam-wildcard-resource")
def every_bucket(t: Template) -> None:
    for title in ("WorkerRole", "S3Endpoint"):
        named(t, title, "ListOutputs")["Resource"] = [sub("arn:${AWS::Partition}:s3:::*")]


@defect("iam-aws-managed-policy")
def managed_policy(t: Template) -> None:
    of(t, "FlowLogRole")["ManagedPolicyArns"] = [
        sub("arn:${AWS::Partition}:iam::aws:policy/CloudWatchLogsFullAccess")
    ]


@defect("iam-public-principal")
def everybody_may_send(t: Template) -> None:
    statements(t, "WorkQueuePolicy").append(
        {
            "Sid": "Anybody",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["sqs:SendMessage"],
            "Resource": [arn("WorkQueue")],
        }
    )


@defect("iam-confused-deputy")
def key_for_s3_of_anybody(t: Template) -> None:
    del named(t, "EncryptionKey", "SendNotifications")["Condition"]


@defect("iam-confused-deputy")
def role_for_flow_logs_of_anybody(t: Template) -> None:
    del of(t, "FlowLogRole")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]


@defect("iam-confused-deputy")
def key_for_any_log_group(t: Template) -> None:
    del named(t, "EncryptionKey", "EncryptLogs")["Condition"]


@defect("kms-eventbridge-condition", on=additions.rule_to_queue)
def key_asks_rules_for_what_they_do_not_send(t: Template) -> None:
    named(t, "EncryptionKey", "AnnounceExisting")["Condition"] = {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }


@defect("iam-source-condition")
def alarms_of_every_account(t: Template) -> None:
    condition = named(t, "AlarmTopicPolicy", "PublishAlarms")["Condition"]
    del condition["StringEquals"]
    condition["ArnLike"]["aws:SourceArn"] = sub("arn:${AWS::Partition}:cloudwatch:*:*:alarm:*")


@defect("iam-statement-elements")
def statement_without_resource(t: Template) -> None:
    del named(t, "FlowLogRole", "WriteFlowLog")["Resource"]


@defect("iam-statement-elements")
def statement_without_principal(t: Template) -> None:
    del named(t, "SqsEndpoint", "DeleteOrDelayMessages")["Principal"]


@defect("iam-statement-elements")
def endpoint_policy_without_statements(t: Template) -> None:
    of(t, "S3Endpoint")["PolicyDocument"]["Statement"] = []


@defect("iam-unconditional-deny")
def refusal_of_everybody(t: Template) -> None:
    del named(t, "DeadLetterQueuePolicy", "DenyPlaintext")["Condition"]


# --- The network --------------------------------------------------------------------------------


@defect("vpce-policy")
def endpoint_without_policy(t: Template) -> None:
    del of(t, "S3Endpoint")["PolicyDocument"]


@defect("vpce-policy-too-narrow")
def endpoint_refuses_writes(t: Template) -> None:
    drop(t, "S3Endpoint", "WriteOutputs")


@defect("vpce-policy-too-narrow")
def endpoint_refuses_back_off(t: Template) -> None:
    statement = named(t, "SqsEndpoint", "DeleteOrDelayMessages")
    statement["Action"] = ["sqs:DeleteMessage"]


@defect("vpce-policy-too-narrow")
def endpoint_admits_another_role(t: Template) -> None:
    condition = named(t, "S3Endpoint", "ReadUploads")["Condition"]
    condition["ArnEquals"]["aws:PrincipalArn"] = arn("FlowLogRole")


@defect("vpce-policy-too-narrow")
def no_endpoint_for_storage(t: Template) -> None:
    del t["Resources"]["S3Endpoint"]


@defect("vpce-policy-too-broad")
def endpoint_admits_another_bucket(t: Template) -> None:
    named(t, "S3Endpoint", "WriteOutputs")["Resource"].append(
        sub("arn:${AWS::Partition}:s3:::somebody-elses/*")
    )


@defect("iam-public-principal")
def endpoint_admits_everybody(t: Template) -> None:
    del named(t, "S3Endpoint", "ReadUploads")["Condition"]


def _road(kind: str) -> Callable[[Template], None]:
    def change(t: Template) -> None:
        t["Resources"]["Road"] = {"Type": f"AWS::{kind}"}

    change.__name__ = "_".join(re.findall("[A-Z]+[a-z0-9]+|[A-Z]+", kind)).lower()
    return change


for road in endpoints.EGRESS_TYPES:
    defect("vpc-no-egress")(_road(road))


def _route(target: str, destination: str = "DestinationCidrBlock") -> Callable[[Template], None]:
    def change(t: Template) -> None:
        t["Resources"]["DefaultRoute"] = {
            "Type": "AWS::EC2::Route",
            "Properties": {
                "RouteTableId": {"Ref": "PrivateRouteTable"},
                destination: "::/0" if "6" in destination else "0.0.0.0/0",
                target: {"Ref": "Environment"},
            },
        }

    change.__name__ = f"route_by_{target}"
    return change


# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-route.html
for aim in (
    *("CarrierGatewayId", "CoreNetworkArn", "GatewayId", "InstanceId", "LocalGatewayId"),
    *("NatGatewayId", "NetworkInterfaceId", "TransitGatewayId", "VpcEndpointId"),
    "VpcPeeringConnectionId",
):
    defect("vpc-no-egress")(_route(aim))
defect("vpc-no-egress")(_route("EgressOnlyInternetGatewayId", "DestinationIpv6CidrBlock"))


@defect("vpc-no-egress")
def network_has_ipv6_addresses(t: Template) -> None:
    t["Resources"]["Addresses"] = {
        "Type": "AWS::EC2::VPCCidrBlock",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "AmazonProvidedIpv6CidrBlock": True},
    }


@defect("vpc-no-egress")
def subnet_gives_ipv6_addresses(t: Template) -> None:
    of(t, "PrivateSubnetA")["AssignIpv6AddressOnCreation"] = True


@defect("vpc-no-egress")
def interface_with_public_address(t: Template) -> None:
    t["Resources"]["Machine"] = {
        "Type": "AWS::EC2::Instance",
        "Properties": {
            "ImageId": "{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023}}",
            "NetworkInterfaces": [
                {
                    "AssociatePublicIpAddress": True,
                    "DeviceIndex": "0",
                    "SubnetId": {"Ref": "PrivateSubnetA"},
                }
            ],
        },
    }


@defect("vpce-aws-service-only")
def endpoint_of_somebodys_service(t: Template) -> None:
    of(t, "SqsEndpoint")["ServiceName"] = sub(
        "com.amazonaws.vpce.${AWS::Region}.vpce-svc-0123456789abcdef0"
    )


@defect("vpce-aws-service-only")
def endpoint_of_an_appliance(t: Template) -> None:
    of(t, "SqsEndpoint")["VpcEndpointType"] = "GatewayLoadBalancer"


@defect("vpc-no-egress")
def public_addresses(t: Template) -> None:
    of(t, "PrivateSubnetA")["MapPublicIpOnLaunch"] = True


@defect("vpc-security-group-egress")
def open_egress(t: Template) -> None:
    rule = of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]
    del rule["DestinationPrefixListId"]
    rule["CidrIp"] = "0.0.0.0/0"


@defect("vpc-security-group-egress")
def open_egress_over_ipv6(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"].append(
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv6": "::/0"}
    )


@defect("vpc-security-group-egress")
def open_egress_in_a_resource_of_its_own(t: Template) -> None:
    t["Resources"]["Egress"] = {
        "Type": "AWS::EC2::SecurityGroupEgress",
        "Properties": {
            "GroupId": {"Fn::GetAtt": ["WorkerSecurityGroup", "GroupId"]},
            "IpProtocol": "-1",
            "CidrIp": "0.0.0.0/0",
        },
    }


@defect("vpc-security-group-egress")
def egress_not_stated(t: Template) -> None:
    del of(t, "EndpointSecurityGroup")["SecurityGroupEgress"]


@defect("vpc-security-group-egress")
def egress_of_every_port(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]["ToPort"] = 65535


@defect("vpc-security-group-endpoint-access")
def no_egress_to_the_queue_endpoint(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"].pop()


@defect("vpc-security-group-endpoint-access")
def endpoint_lets_nobody_in(t: Template) -> None:
    del of(t, "EndpointSecurityGroup")["SecurityGroupIngress"]


@defect("vpc-security-group-ingress")
def ingress_from_everywhere(t: Template) -> None:
    of(t, "EndpointSecurityGroup")["SecurityGroupIngress"][0]["CidrIp"] = "0.0.0.0/0"


@defect("vpc-security-group-ingress")
def ingress_from_everywhere_in_a_resource_of_its_own(t: Template) -> None:
    t["Resources"]["Ingress"] = {
        "Type": "AWS::EC2::SecurityGroupIngress",
        "Properties": {
            "GroupId": {"Fn::GetAtt": ["EndpointSecurityGroup", "GroupId"]},
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "CidrIpv6": "::/0",
        },
    }


@defect("vpc-security-group-ingress")
def ingress_to_the_function(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupIngress"] = [
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "CidrIp": {"Ref": "VpcCidr"},
            "Description": "Nobody needs this",
        }
    ]


@defect("vpc-private-dns")
def no_dns_host_names(t: Template) -> None:
    del of(t, "Vpc")["EnableDnsHostnames"]


@defect("vpc-private-dns")
def no_private_dns(t: Template) -> None:
    of(t, "SqsEndpoint")["PrivateDnsEnabled"] = False


@defect("vpce-route-tables")
def subnet_on_another_route_table(t: Template) -> None:
    t["Resources"]["OtherTable"] = {
        "Type": "AWS::EC2::RouteTable",
        "Properties": {"VpcId": {"Ref": "Vpc"}},
    }
    of(t, "PrivateRouteTableAssociationB")["RouteTableId"] = {"Ref": "OtherTable"}


@defect("vpc-availability-zones")
def zone_by_letter(t: Template) -> None:
    of(t, "PrivateSubnetA")["AvailabilityZone"] = sub("${AWS::Region}a")


@defect("vpc-availability-zones")
def one_zone(t: Template) -> None:
    of(t, "PrivateSubnetB")["AvailabilityZone"] = of(t, "PrivateSubnetA")["AvailabilityZone"]


@defect("vpc-prefix-list-region")
def prefix_list_of_one_region(t: Template) -> None:
    rule = of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]
    rule["DestinationPrefixListId"] = "pl-6da54004"


@defect("lambda-vpc-config")
def function_outside_of_the_network(t: Template) -> None:
    del of(t, "Worker")["VpcConfig"]


@defect("vpce-missing-endpoint")
def no_endpoint_for_the_named_queue(t: Template) -> None:
    del t["Resources"]["SqsEndpoint"]


@defect("vpce-availability-zones")
def endpoint_in_one_zone(t: Template) -> None:
    of(t, "SqsEndpoint")["SubnetIds"].pop()


@defect("vpc-flow-logs")
def no_flow_log(t: Template) -> None:
    del t["Resources"]["FlowLog"]


@defect("vpc-flow-logs")
def flow_log_cannot_write(t: Template) -> None:
    named(t, "FlowLogRole", "WriteFlowLog")["Action"].remove("logs:PutLogEvents")


@defect("vpc-availability-zones")
def zone_left_to_aws(t: Template) -> None:
    del of(t, "PrivateSubnetB")["AvailabilityZone"]


@defect("lambda-eni-permissions")
def role_cannot_find_subnets(t: Template) -> None:
    named(t, "WorkerRole", "DescribeNetworkInterfaces")["Action"].remove("ec2:DescribeSubnets")


# --- Alarms, logs, delivery ---------------------------------------------------------------------


@defect("cloudwatch-alarm-metric")
def alarm_of_the_url(t: Template) -> None:
    of(t, "QueueAgeAlarm")["Dimensions"][0]["Value"] = {"Ref": "WorkQueue"}


@defect("cloudwatch-alarm-metric")
def alarm_of_an_unknown_metric(t: Template) -> None:
    of(t, "WorkerErrorAlarm")["MetricName"] = "Error"


@defect("cloudwatch-alarm-metric")
def alarm_of_another_name(t: Template) -> None:
    of(t, "WorkerThrottleAlarm")["Dimensions"][0]["Value"] = sub("${NamePrefix}-workers")


@defect("cloudwatch-alarm-metric")
def alarm_without_dimension(t: Template) -> None:
    del of(t, "QueueAgeAlarm")["Dimensions"]


@defect("cloudwatch-alarm-missing-data")
def missing_data_not_stated(t: Template) -> None:
    del of(t, "WorkerErrorAlarm")["TreatMissingData"]


@defect("cloudwatch-alarm-evaluation")
def sum_of_a_level(t: Template) -> None:
    of(t, "QueueAgeAlarm")["Statistic"] = "Sum"


@defect("cloudwatch-alarm-evaluation")
def sum_of_a_level_in_metric_math(t: Template) -> None:
    of(t, "QueueNotConsumedAlarm")["Metrics"][1]["MetricStat"]["Stat"] = "Sum"


@defect("cloudwatch-alarm-evaluation")
def period_of_ninety_seconds(t: Template) -> None:
    of(t, "WorkerErrorAlarm")["Period"] = 90


@defect("cloudwatch-alarm-evaluation")
def evaluation_of_two_days(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["EvaluationPeriods"] = 576


@defect("cloudwatch-alarm-evaluation")
def more_points_to_alarm_than_periods(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["DatapointsToAlarm"] = 13


@defect("cloudwatch-alarm-expression")
def alarm_computes_from_nothing(t: Template) -> None:
    of(t, "RejectionAlarm")["Metrics"][1]["Id"] = "images"


@defect("cloudwatch-alarm-expression")
def alarm_returns_two_results(t: Template) -> None:
    del of(t, "RejectionAlarm")["Metrics"][1]["ReturnData"]


@defect("cloudwatch-alarm-metric")
def alarm_of_another_queue_in_metric_math(t: Template) -> None:
    metric = of(t, "MissingNotificationAlarm")["Metrics"][2]["MetricStat"]["Metric"]
    metric["Dimensions"][0]["Value"] = sub("${NamePrefix}-works")


@defect("cloudwatch-alarm-description")
def alarm_without_description(t: Template) -> None:
    del of(t, "QueueNotConsumedAlarm")["AlarmDescription"]


@defect("cloudwatch-alarm-description")
def alarm_described_by_its_name(t: Template) -> None:
    of(t, "QueueNotConsumedAlarm")["AlarmDescription"] = "Stalled"


@defect("cloudwatch-alarm-action")
def alarm_without_action(t: Template) -> None:
    of(t, "DeadLetterAlarm")["AlarmActions"] = []


@defect("sns-policy-alarms")
def topic_refuses_alarms(t: Template) -> None:
    drop(t, "AlarmTopicPolicy", "PublishAlarms")


@defect("sns-policy-alarms")
def topic_admits_other_alarms(t: Template) -> None:
    condition = named(t, "AlarmTopicPolicy", "PublishAlarms")["Condition"]["ArnLike"]
    condition["aws:SourceArn"]["Fn::Sub"] = (
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:other-*"
    )


@defect("cloudwatch-dlq-alarm")
def no_alarm_of_dead_letters(t: Template) -> None:
    del t["Resources"]["DeadLetterAlarm"]


@defect("cloudwatch-dlq-alarm")
def alarm_of_the_wrong_queue(t: Template) -> None:
    of(t, "DeadLetterAlarm")["Dimensions"][0]["Value"] = {"Fn::GetAtt": ["WorkQueue", "QueueName"]}


def redraw(template: Template, old: str, new: str) -> None:
    """Write something else into the dashboard's body, in whichever function it stands."""
    properties = of(template, "Dashboard")
    text = json.dumps(properties["DashboardBody"])
    assert old in text
    properties["DashboardBody"] = json.loads(text.replace(old, new))


@defect("cloudwatch-dashboard-json")
def dashboard_is_no_json(t: Template) -> None:
    redraw(t, "'title':'Queue'", "'title':Queue")


@defect("cloudwatch-dashboard-json")
def dashboard_of_an_unquoted_name(t: Template) -> None:
    redraw(t, "'${Worker}'", "${Worker}")


@defect("cloudwatch-dashboard-json")
def dashboard_is_empty(t: Template) -> None:
    of(t, "Dashboard")["DashboardBody"] = '{"widgets": []}'


@defect("cloudwatch-dashboard-metric")
def dashboard_of_another_queue(t: Template) -> None:
    redraw(t, "${WorkQueue.QueueName}", "${NamePrefix}-jobs")


@defect("cloudwatch-dashboard-metric")
def dashboard_of_another_function(t: Template) -> None:
    redraw(
        t,
        "['Darkroom','EndToEndLatency','FunctionName','${Worker}'",
        "['Darkroom','EndToEndLatency','FunctionName','Worker'",
    )


@defect("cloudwatch-dashboard-metric")
def dashboard_of_a_metric_that_is_not(t: Template) -> None:
    redraw(t, "ApproximateAgeOfOldestMessage", "OldestMessageAge")


@defect("cloudwatch-dashboard-metric")
def dashboard_of_another_stacks_alarm(t: Template) -> None:
    redraw(t, "${QueueAgeAlarm.Arn}", "${DeadLetterAlarm.Arn}-old")


@defect("cloudwatch-dashboard-region")
def dashboard_without_region(t: Template) -> None:
    redraw(t, "'region':", "'accountId':")


@defect("cloudwatch-dashboard-region")
def dashboard_of_one_region(t: Template) -> None:
    redraw(t, "'region':'${AWS::Region}'", "'region':'eu-west-1'")


@defect("cfn-hardcoded-account-or-region")
def dashboard_with_a_region_typed_in(t: Template) -> None:
    redraw(t, "'region':'${AWS::Region}'", "'region':'eu-west-1'")


@defect("cloudwatch-dashboard-expression")
def dashboard_computes_from_nothing(t: Template) -> None:
    redraw(t, "'id':'p0',", "")


@defect("cfn-global-names")
def dashboard_named_as_in_another_region(t: Template) -> None:
    of(t, "Dashboard")["DashboardName"] = sub("${NamePrefix}")


@defect("cfn-unique-names")
def dashboard_named_as_another_stacks(t: Template) -> None:
    of(t, "Dashboard")["DashboardName"] = sub("pictures-${AWS::Region}")


def traced(template: Template) -> list[Any]:
    """Return condition, statement and nothing: the right to send traces where it is asked for."""
    return next(
        found
        for one in _all(of(template, "WorkerRole"))
        if (found := one.get("Fn::If", []))[1:] and found[1].get("Sid") == "SendTraces"
    )


@defect("lambda-tracing-permissions")
def traces_without_rights(t: Template) -> None:
    traced(t)[1] = {"Ref": "AWS::NoValue"}


@defect("lambda-tracing-permissions")
def traces_without_telemetry(t: Template) -> None:
    traced(t)[1]["Action"] = ["xray:PutTraceSegments"]


@defect("cloudwatch-required-alarms")
def no_alarm_of_waiting_work(t: Template) -> None:
    del t["Resources"]["QueueAgeAlarm"]


@defect("cloudwatch-required-alarms")
def no_alarm_of_errors(t: Template) -> None:
    del t["Resources"]["WorkerErrorAlarm"]


@defect("cloudwatch-alarm-metric")
def alarm_of_every_function(t: Template) -> None:
    del of(t, "WorkerErrorAlarm")["Dimensions"]


@defect("logs-retention")
def logs_for_ever(t: Template) -> None:
    del of(t, "WorkerLogGroup")["RetentionInDays"]


def delivered(template: Template) -> dict[str, Any]:
    found: dict[str, Any] = of(template, "WorkerLogDelivery")["ExtendedS3DestinationConfiguration"]
    return found


@defect("firehose-decompression", on=additions.archive)
def logs_compressed_twice(t: Template) -> None:
    del delivered(t)["ProcessingConfiguration"]


@defect("firehose-decompression", on=additions.archive)
def logs_left_in_their_envelope(t: Template) -> None:
    delivered(t)["ProcessingConfiguration"]["Processors"].pop()


@defect("firehose-decompression", on=additions.archive)
def logs_stored_uncompressed(t: Template) -> None:
    del delivered(t)["CompressionFormat"]


@defect("firehose-permissions", on=additions.archive)
def delivery_cannot_use_the_key(t: Template) -> None:
    drop(t, "LogDeliveryRole", "EncryptLogs")


@defect("firehose-permissions", on=additions.archive)
def delivery_writes_elsewhere(t: Template) -> None:
    delivered(t)["Prefix"] = "logs/"


@defect("logs-subscription-permissions", on=additions.archive)
def logs_sent_without_the_right(t: Template) -> None:
    named(t, "LogSubscriptionRole", "SendLogs")["Action"].pop()


@defect("logs-subscription-permissions", on=additions.archive)
def logs_sent_by_another_service(t: Template) -> None:
    trust = named(t, "LogSubscriptionRole", "Assume")
    trust["Principal"] = {"Service": ["vpc-flow-logs.amazonaws.com"]}


@defect("iam-confused-deputy", on=additions.archive)
def anybodys_logs_are_sent(t: Template) -> None:
    del named(t, "LogSubscriptionRole", "Assume")["Condition"]


@defect("iam-confused-deputy", on=additions.archive)
def anybodys_stream_writes_the_archive(t: Template) -> None:
    del named(t, "LogDeliveryRole", "Assume")["Condition"]


@defect("firehose-error-logging", on=additions.archive)
def failed_delivery_is_silent(t: Template) -> None:
    del delivered(t)["CloudWatchLoggingOptions"]


@defect("firehose-error-logging", on=additions.archive)
def failed_delivery_is_told_to_nobody(t: Template) -> None:
    del t["Resources"]["LogDeliveryLogStream"]


@defect("firehose-error-logging", on=additions.archive)
def failed_delivery_feeds_itself(t: Template) -> None:
    group = {"Ref": "WorkerLogGroup"}
    of(t, "LogDeliveryLogStream")["LogGroupName"] = group
    delivered(t)["CloudWatchLoggingOptions"]["LogGroupName"] = group


@defect("s3-lifecycle-logs", on=additions.archive)
def archive_for_ever(t: Template) -> None:
    (lifecycle,) = of(t, "LogArchiveBucket")["LifecycleConfiguration"]["Rules"]
    del lifecycle["ExpirationInDays"]


@defect("s3-versioning", on=additions.archive)
def archive_not_versioned(t: Template) -> None:
    del of(t, "LogArchiveBucket")["VersioningConfiguration"]


@defect("s3-access-log-delivery", on=additions.access_logs)
def access_log_under_a_key(t: Template) -> None:
    encryption = of(t, "UploadBucket")["BucketEncryption"]
    of(t, "AccessLogBucket")["BucketEncryption"] = encryption


@defect("s3-access-log-delivery", on=additions.access_logs)
def access_log_locked(t: Template) -> None:
    of(t, "AccessLogBucket")["ObjectLockEnabled"] = True


@defect("s3-access-log-delivery", on=additions.access_logs)
def access_log_not_admitted(t: Template) -> None:
    drop(t, "AccessLogBucketPolicy", "WriteAccessLogs")


# --- The template as a whole --------------------------------------------------------------------


@defect("cfn-template-size")
def template_too_large(t: Template) -> None:
    t["Metadata"]["Notes"] = "x" * 1_000_000


@defect("iam-policy-size")
def policy_too_large(t: Template) -> None:
    resources = named(t, "WorkerRole", "ReadUploads")["Resource"]
    more = [{"Fn::Join": ["/", [arn("UploadBucket"), f"uploads/{n:0400}/*"]]} for n in range(20)]
    resources.extend(more)
    named(t, "S3Endpoint", "ReadUploads")["Resource"].extend(more)


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
