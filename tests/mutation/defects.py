"""The defects: each a small change to the generated template, named after what it breaks."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from darkroom.lint.rules import network
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


@defect("visibility-covers-retries")
def visibility_of_five_timeouts(t: Template) -> None:
    of(t, "WorkQueue")["VisibilityTimeout"] = 300


@defect("visibility-covers-retries")
def visibility_left_to_its_default(t: Template) -> None:
    del of(t, "WorkQueue")["VisibilityTimeout"]


@defect("visibility-covers-retries")
def timeout_raised_alone(t: Template) -> None:
    of(t, "Worker")["Timeout"] = 120


@defect("queue-has-dead-letters")
def no_dead_letters(t: Template) -> None:
    del of(t, "WorkQueue")["RedrivePolicy"]


@defect("dead-letters-outlive-messages")
def dead_letters_kept_as_long_as_messages(t: Template) -> None:
    of(t, "DeadLetterQueue")["MessageRetentionPeriod"] = 345600


@defect("dead-letters-outlive-messages")
def messages_kept_as_long_as_dead_letters(t: Template) -> None:
    of(t, "WorkQueue")["MessageRetentionPeriod"] = 1209600


@defect("message-is-tried-again")
def one_receive_and_dead(t: Template) -> None:
    of(t, "WorkQueue")["RedrivePolicy"]["maxReceiveCount"] = 1


@defect("message-is-tried-again")
def more_tries_than_time(t: Template) -> None:
    of(t, "WorkQueue")["RedrivePolicy"]["maxReceiveCount"] = 1000


@defect("dead-letters-name-their-source")
def dead_letters_of_anybody(t: Template) -> None:
    del of(t, "DeadLetterQueue")["RedriveAllowPolicy"]


@defect("dead-letters-name-their-source")
def dead_letters_of_another_queue(t: Template) -> None:
    of(t, "DeadLetterQueue")["RedriveAllowPolicy"]["sourceQueueArns"] = [
        sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${NamePrefix}-works")
    ]


@defect("batch-fails-in-part")
def no_partial_batch_response(t: Template) -> None:
    del of(t, "WorkerEventSourceMapping")["FunctionResponseTypes"]


@defect("mapping-does-not-filter")
def mapping_filters_events(t: Template) -> None:
    of(t, "WorkerEventSourceMapping")["FilterCriteria"] = {
        "Filters": [{"Pattern": '{"body":{"Records":[]}}'}]
    }


@defect("mapping-limits-concurrency")
def no_maximum_concurrency(t: Template) -> None:
    del of(t, "WorkerEventSourceMapping")["ScalingConfig"]


@defect("mapping-limits-concurrency")
def provisioned_pollers_beside_a_maximum(t: Template) -> None:
    of(t, "WorkerEventSourceMapping")["ProvisionedPollerConfig"] = {
        "MinimumPollers": 2,
        "MaximumPollers": 10,
    }


@defect("mapping-limits-concurrency")
def maximum_concurrency_may_be_one(t: Template) -> None:
    t["Parameters"]["MaximumConcurrency"]["MinValue"] = 1


@defect("reserved-covers-pollers")
def reserved_below_the_maximum(t: Template) -> None:
    of(t, "Worker")["ReservedConcurrentExecutions"] = 5


@defect("reserved-covers-pollers")
def reserved_only_where_asked_and_too_low(t: Template) -> None:
    reserved = of(t, "Worker")["ReservedConcurrentExecutions"]
    reserved["Fn::If"][1] = 1


@defect("large-batch-has-window")
def large_batch_without_window(t: Template) -> None:
    of(t, "WorkerEventSourceMapping")["BatchSize"] = 50


@defect("function-leaves-dead-letters-to-queue")
def function_has_its_own_dead_letters(t: Template) -> None:
    of(t, "Worker")["DeadLetterConfig"] = {"TargetArn": arn("DeadLetterQueue")}


@defect("notified-queue-is-standard")
def fifo_queues(t: Template) -> None:
    for title in ("WorkQueue", "DeadLetterQueue"):
        of(t, title)["FifoQueue"] = True
        of(t, title)["QueueName"]["Fn::Sub"] += ".fifo"


@defect("notified-queue-is-standard")
def dead_letters_of_the_other_kind(t: Template) -> None:
    of(t, "DeadLetterQueue")["FifoQueue"] = True
    of(t, "DeadLetterQueue")["QueueName"]["Fn::Sub"] += ".fifo"


@defect("queue-admits-exactly-its-bucket")
def queue_admits_nobody(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "SendNotifications")


@defect("queue-admits-exactly-its-bucket")
def queue_admits_another_bucket(t: Template) -> None:
    condition = named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]
    condition["ArnLike"]["aws:SourceArn"]["Fn::Sub"] += "-x"


@defect("queue-admits-exactly-its-bucket")
def queue_admits_every_bucket_of_the_account(t: Template) -> None:
    condition = named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]
    condition["ArnLike"]["aws:SourceArn"] = sub("arn:${AWS::Partition}:s3:::*")


@defect("queue-admits-exactly-its-bucket")
def queue_admits_the_bucket_of_any_account(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]["StringEquals"]


@defect("queue-admits-exactly-its-bucket")
def queue_policy_on_the_wrong_queue(t: Template) -> None:
    of(t, "WorkQueuePolicy")["Queues"] = [{"Ref": "DeadLetterQueue"}]


@defect("queue-admits-exactly-its-bucket")
def queue_policy_allows_another_action(t: Template) -> None:
    named(t, "WorkQueuePolicy", "SendNotifications")["Action"] = ["sqs:ReceiveMessage"]


@defect("queue-admits-rules-and-topics", on=additions.rule_to_queue)
def queue_refuses_the_rule(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "AnnounceExisting")


@defect("queue-admits-rules-and-topics", on=additions.somebodys_sources)
def queue_admits_every_rule(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "OldSendNotifications")["Condition"]["ArnLike"]


@defect("queue-admits-rules-and-topics", on=additions.somebodys_sources)
def queue_admits_every_topic(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "PartnerSendNotifications")["Condition"]


@defect("queue-admits-rules-and-topics", on=additions.somebodys_sources)
def dead_letter_queue_refuses_the_topic(t: Template) -> None:
    drop(t, "DeadLetterQueuePolicy", "PartnerKeepUndelivered")


@defect("undelivered-events-are-kept", on=additions.somebodys_sources)
def rule_drops_what_it_cannot_deliver(t: Template) -> None:
    del of(t, "OldAnnounceRule")["Targets"][0]["DeadLetterConfig"]


@defect("undelivered-events-are-kept", on=additions.somebodys_sources)
def topic_drops_what_it_cannot_deliver(t: Template) -> None:
    del of(t, "PartnerSubscription")["RedrivePolicy"]


@defect("feed-waits-for-queue-policy", on=additions.somebodys_sources)
def rule_before_queue_policy(t: Template) -> None:
    t["Resources"]["OldAnnounceRule"]["DependsOn"].remove("WorkQueuePolicy")


@defect("feed-waits-for-queue-policy", on=additions.somebodys_sources)
def subscription_before_queue_policy(t: Template) -> None:
    del t["Resources"]["PartnerSubscription"]["DependsOn"]


@defect("subscription-does-not-filter", on=additions.somebodys_sources)
def subscription_filters(t: Template) -> None:
    of(t, "PartnerSubscription")["FilterPolicy"] = {"Records": {"eventSource": ["aws:s3"]}}


@defect("event-pattern-names-bucket-and-folder", on=additions.somebodys_sources)
def rule_takes_every_kind_of_event(t: Template) -> None:
    del of(t, "OldAnnounceRule")["EventPattern"]["detail-type"]


@defect("event-pattern-names-bucket-and-folder", on=additions.somebodys_sources)
def rule_takes_every_bucket(t: Template) -> None:
    del of(t, "OldAnnounceRule")["EventPattern"]["detail"]["bucket"]


@defect("event-pattern-names-bucket-and-folder", on=additions.somebodys_sources)
def rule_takes_every_key(t: Template) -> None:
    del of(t, "OldAnnounceRule")["EventPattern"]["detail"]["object"]


@defect("event-pattern-names-bucket-and-folder", on=additions.somebodys_sources)
def pattern_is_too_long(t: Template) -> None:
    of(t, "OldAnnounceRule")["EventPattern"]["detail"]["object"]["key"] = [
        {"prefix": f"customers/{number:03}/uploads/"} for number in range(60)
    ]


@defect("somebodys-bucket-is-read-under-its-prefixes", on=additions.somebodys_sources)
def worker_reads_all_of_somebodys_bucket(t: Template) -> None:
    named(t, "WorkerRole", "OldReadUploads")["Resource"] = [
        sub("arn:${AWS::Partition}:s3:::${OldBucketName}/*")
    ]


@defect("somebodys-bucket-is-read-under-its-prefixes", on=additions.somebodys_sources)
def endpoint_is_open_for_all_of_somebodys_bucket(t: Template) -> None:
    named(t, "S3Endpoint", "OldReadUploads")["Resource"] = [
        sub("arn:${AWS::Partition}:s3:::${OldBucketName}/*")
    ]


@defect("queue-and-topic-refuse-plain-http")
def queue_over_plain_http(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "DenyPlaintext")


@defect("queue-and-topic-refuse-plain-http")
def topic_over_plain_http(t: Template) -> None:
    named(t, "AlarmTopicPolicy", "DenyPlaintext")["Condition"]["Bool"] = {
        "aws:SecureTransport": "true"
    }


@defect("message-is-tried-again")
def no_count_of_receives(t: Template) -> None:
    del of(t, "WorkQueue")["RedrivePolicy"]["maxReceiveCount"]


@defect("announcements-arrive")
def nothing_is_announced(t: Template) -> None:
    del of(t, "UploadBucket")["NotificationConfiguration"]


@defect("announcements-arrive")
def nobody_reads_the_queue(t: Template) -> None:
    del t["Resources"]["WorkerEventSourceMapping"]


@defect("redrive-right-is-whole", on=additions.operator)
def operator_cannot_take_dead_letters(t: Template) -> None:
    named(t, "OperatorPolicy", "MoveDeadLetters")["Action"].remove("sqs:DeleteMessage")


@defect("redrive-right-is-whole", on=additions.operator)
def operator_cannot_send_work(t: Template) -> None:
    drop(t, "OperatorPolicy", "SendWork")


@defect("redrive-right-is-whole", on=additions.operator)
def operator_cannot_use_the_key(t: Template) -> None:
    named(t, "OperatorPolicy", "UseKey")["Action"] = ["kms:Decrypt"]


# --- The function and its role ------------------------------------------------------------------


@defect("role-may-poll")
def role_cannot_receive(t: Template) -> None:
    named(t, "WorkerRole", "ReceiveMessages")["Action"].remove("sqs:ReceiveMessage")


@defect("role-may-use-keys")
def role_cannot_decrypt_messages(t: Template) -> None:
    drop(t, "WorkerRole", "DecryptMessages")


@defect("role-may-use-keys")
def role_cannot_encrypt_outputs(t: Template) -> None:
    named(t, "WorkerRole", "EncryptOutputs")["Action"].remove("kms:GenerateDataKey")


@defect("role-may-use-keys")
def encryption_context_of_the_objects(t: Template) -> None:
    condition = named(t, "WorkerRole", "EncryptOutputs")["Condition"]
    context = {"Fn::Join": ["/", [arn("ThumbnailBucket"), "*"]]}
    condition["StringLike"]["kms:EncryptionContext:aws:s3:arn"] = [context]


@defect("log-group-comes-first")
def function_without_log_group(t: Template) -> None:
    del of(t, "Worker")["LoggingConfig"]["LogGroup"]


@defect("log-group-comes-first")
def log_group_by_name_only(t: Template) -> None:
    of(t, "Worker")["LoggingConfig"]["LogGroup"] = sub("/${NamePrefix}/worker")
    of(t, "WorkerRole")["Policies"][1]["PolicyDocument"]["Statement"][0]["Resource"] = [
        sub(
            "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
            ":log-group:/${NamePrefix}/worker:*"
        )
    ]


@defect("role-cannot-create-log-groups")
def role_creates_log_groups(t: Template) -> None:
    named(t, "WorkerRole", "WriteLogs")["Action"].append("logs:CreateLogGroup")


@defect("role-may-log")
def role_cannot_log(t: Template) -> None:
    drop(t, "WorkerRole", "WriteLogs")


@defect("role-may-place-interfaces")
def role_cannot_place_interfaces(t: Template) -> None:
    named(t, "WorkerRole", "ManageNetworkInterfaces")["Action"].remove("ec2:CreateNetworkInterface")


@defect("code-cannot-use-interface-rights")
def code_may_use_interface_rights(t: Template) -> None:
    drop(t, "WorkerRole", "DenyNetworkInterfacesToCode")


@defect("code-cannot-use-interface-rights")
def refusal_for_another_function(t: Template) -> None:
    condition = named(t, "WorkerRole", "DenyNetworkInterfacesToCode")["Condition"]
    condition["ArnEquals"]["lambda:SourceFunctionArn"][0]["Fn::Sub"] += "s"


@defect("code-cannot-use-interface-rights")
def refusal_to_lambda_itself(t: Template) -> None:
    del named(t, "WorkerRole", "DenyNetworkInterfacesToCode")["Condition"]


@defect("security-group-goes-before-rights")
def security_group_without_order(t: Template) -> None:
    del t["Resources"]["WorkerSecurityGroup"]["DependsOn"]


@defect("output-is-not-input")
def outputs_into_uploads(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["THUMBNAIL_BUCKET"] = {"Ref": "UploadBucket"}


@defect("output-is-not-input")
def recursion_allowed(t: Template) -> None:
    of(t, "Worker")["RecursiveLoop"] = "Allow"


@defect("output-is-not-input")
def role_may_write_uploads(t: Template) -> None:
    named(t, "WorkerRole", "ReadUploads")["Action"].append("s3:PutObject")


@defect("environment-holds-no-secret")
def secret_in_the_environment(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["API_TOKEN"] = "hunter2"


@defect("environment-fits")
def environment_too_large(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["NOTES"] = "x" * 4000


@defect("code-key-changes-with-code")
def code_under_a_fixed_key(t: Template) -> None:
    of(t, "Worker")["Code"]["S3Key"] = "worker.zip"


@defect("boundary-is-on-every-role")
def role_without_boundary(t: Template) -> None:
    del of(t, "FlowLogRole")["PermissionsBoundary"]


@defect("function-role-trusts-lambda")
def role_trusted_by_another_service(t: Template) -> None:
    trust = of(t, "WorkerRole")["AssumeRolePolicyDocument"]["Statement"][0]
    trust["Principal"]["Service"].append("ec2.amazonaws.com")


# --- Buckets ------------------------------------------------------------------------------------


@defect("bucket-blocks-public-access")
def public_policies_possible(t: Template) -> None:
    of(t, "UploadBucket")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


@defect("bucket-blocks-public-access")
def no_public_access_block(t: Template) -> None:
    del of(t, "ThumbnailBucket")["PublicAccessBlockConfiguration"]


@defect("bucket-has-no-acls")
def acls_possible(t: Template) -> None:
    del of(t, "UploadBucket")["OwnershipControls"]


@defect("bucket-is-versioned")
def bucket_without_versions(t: Template) -> None:
    of(t, "UploadBucket")["VersioningConfiguration"]["Status"] = "Suspended"


@defect("bucket-uses-bucket-key")
def bucket_without_bucket_key(t: Template) -> None:
    del _encryption(t, "ThumbnailBucket")["BucketKeyEnabled"]


def _encryption(t: Template, bucket: str) -> dict[str, Any]:
    found: dict[str, Any] = of(t, bucket)["BucketEncryption"]["ServerSideEncryptionConfiguration"][
        0
    ]
    return found


@defect("data-is-under-customer-key")
def bucket_under_a_key_of_s3(t: Template) -> None:
    _encryption(t, "UploadBucket")["ServerSideEncryptionByDefault"] = {"SSEAlgorithm": "AES256"}


@defect("bucket-refuses-plain-http")
def bucket_over_plain_http(t: Template) -> None:
    drop(t, "UploadBucketPolicy", "DenyPlaintext")


@defect("bucket-refuses-plain-http")
def objects_over_plain_http(t: Template) -> None:
    named(t, "ThumbnailBucketPolicy", "DenyPlaintext")["Resource"].pop()


@defect("bucket-refuses-other-accounts")
def bucket_open_to_other_accounts(t: Template) -> None:
    drop(t, "UploadBucketPolicy", "DenyOtherAccounts")


@defect("bucket-refuses-other-keys")
def bucket_takes_other_keys(t: Template) -> None:
    drop(t, "ThumbnailBucketPolicy", "DenyOtherKeys")


@defect("bucket-refuses-other-keys")
def bucket_refuses_its_own_default(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherEncryption")["Condition"]["Null"]


@defect("refusal-does-not-lock-out-services")
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


@defect("refusal-does-not-lock-out-services")
def perimeter_locks_out_services(t: Template) -> None:
    refusal(t, "ThumbnailBucketPolicy", "s3:PutObject", StringNotEquals=OUTSIDE)


@defect("refusal-does-not-lock-out-services")
def ranges_lock_out_what_aws_does_for_a_caller(t: Template) -> None:
    refusal(
        t,
        "UploadBucketPolicy",
        "s3:PutObject",
        NotIpAddress={"aws:SourceIp": ["192.0.2.0/24"]},
        Bool={"aws:PrincipalIsAWSService": "false"},
    )


@defect("refusal-leaves-administrators-in")
def perimeter_locks_out_administrators(t: Template) -> None:
    refusal(
        t,
        "ThumbnailBucketPolicy",
        "s3:*",
        StringNotEquals=OUTSIDE,
        Bool={"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"},
    )


@defect("refusal-leaves-administrators-in")
def ranges_lock_out_the_keys_administrators(t: Template) -> None:
    refusal(t, "EncryptionKey", "kms:*", NotIpAddress={"aws:SourceIp": ["192.0.2.0/24"]})


@defect("old-versions-expire")
def old_versions_for_ever(t: Template) -> None:
    rule = of(t, "ThumbnailBucket")["LifecycleConfiguration"]["Rules"][0]
    del rule["NoncurrentVersionExpiration"]


@defect("old-versions-expire")
def unfinished_uploads_for_ever(t: Template) -> None:
    rule = of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"][0]
    del rule["AbortIncompleteMultipartUpload"]


@defect("old-versions-expire")
def lifecycle_switched_off(t: Template) -> None:
    of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"][0]["Status"] = "Disabled"


@defect("bucket-waits-for-queue-policy")
def bucket_before_queue_policy(t: Template) -> None:
    del t["Resources"]["UploadBucket"]["DependsOn"]


@defect("filters-do-not-overlap")
def filters_overlap(t: Template) -> None:
    key_filter(configurations(t)[0])[1]["Value"] = ".JPG"


@defect("filters-do-not-overlap")
def prefixes_overlap(t: Template) -> None:
    key_filter(configurations(t)[0])[0]["Value"] = "uploads/new/"
    key_filter(configurations(t)[0])[1]["Value"] = ".webp"


@defect("suffix-has-its-twin")
def suffix_in_one_case(t: Template) -> None:
    del configurations(t)[1]


@defect("notification-names-a-folder")
def whole_bucket_announced(t: Template) -> None:
    for one in configurations(t):
        del key_filter(one)[0]


@defect("state-outlives-the-stack")
def bucket_goes_with_the_stack(t: Template) -> None:
    t["Resources"]["UploadBucket"]["DeletionPolicy"] = "Delete"


@defect("state-outlives-the-stack")
def key_replaced_and_lost(t: Template) -> None:
    del t["Resources"]["EncryptionKey"]["UpdateReplacePolicy"]


@defect("bucket-refuses-other-accounts")
def bucket_lists_for_other_accounts(t: Template) -> None:
    named(t, "UploadBucketPolicy", "DenyOtherAccounts")["Resource"].pop(0)


@defect("bucket-refuses-other-keys")
def bucket_refuses_its_own_key(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherKeys")["Condition"]["StringNotEquals"]


# --- Keys ---------------------------------------------------------------------------------------


@defect("data-is-under-customer-key")
def queue_under_the_key_of_sqs(t: Template) -> None:
    of(t, "WorkQueue")["KmsMasterKeyId"] = "alias/aws/sqs"


@defect("data-is-under-customer-key")
def topic_not_encrypted(t: Template) -> None:
    del of(t, "CriticalAlarmTopic")["KmsMasterKeyId"]


@defect("data-is-under-customer-key")
def log_group_not_encrypted(t: Template) -> None:
    del of(t, "FlowLogGroup")["KmsKeyId"]


@defect("data-is-under-customer-key")
def environment_not_encrypted(t: Template) -> None:
    del of(t, "Worker")["KmsKeyArn"]


@defect("data-is-under-customer-key", on=additions.archive)
def stream_not_encrypted(t: Template) -> None:
    del of(t, "WorkerLogDelivery")["DeliveryStreamEncryptionConfigurationInput"]


@defect("data-is-under-customer-key", on=additions.archive)
def archive_under_the_key_of_s3(t: Template) -> None:
    (one,) = of(t, "LogArchiveBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    one["ServerSideEncryptionByDefault"] = {"SSEAlgorithm": "AES256"}


@defect("key-rotates")
def key_without_rotation(t: Template) -> None:
    of(t, "EncryptionKey")["EnableKeyRotation"] = False


@defect("account-administers-key")
def key_nobody_administers(t: Template) -> None:
    drop(t, "EncryptionKey", "Administer")


@defect("sender-may-use-key")
def key_keeps_s3_out(t: Template) -> None:
    drop(t, "EncryptionKey", "SendNotifications")


@defect("sender-may-use-key")
def key_gives_s3_half(t: Template) -> None:
    named(t, "EncryptionKey", "SendNotifications")["Action"] = ["kms:GenerateDataKey"]


@defect("sender-may-use-key")
def key_keeps_alarms_out(t: Template) -> None:
    drop(t, "EncryptionKey", "PublishAlarms")


@defect("sender-may-use-key", on=additions.rule_to_queue)
def key_keeps_rules_out(t: Template) -> None:
    drop(t, "EncryptionKey", "AnnounceExisting")


@defect("sender-may-use-key", on=additions.somebodys_sources)
def key_keeps_topics_out(t: Template) -> None:
    drop(t, "EncryptionKey", "AnnounceByTopic")


@defect("sender-may-use-key", on=additions.somebodys_sources)
def key_is_for_other_queues(t: Template) -> None:
    named(t, "EncryptionKey", "AnnounceByRule")["Condition"] = {
        "StringLike": {
            "kms:EncryptionContext:aws:sqs:arn": sub(
                "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:others-*"
            )
        }
    }


@defect("logs-may-use-key")
def key_keeps_logs_out(t: Template) -> None:
    drop(t, "EncryptionKey", "EncryptLogs")


@defect("logs-may-use-key")
def key_for_logs_in_one_partition(t: Template) -> None:
    principal = named(t, "EncryptionKey", "EncryptLogs")["Principal"]
    principal["Service"] = [sub("logs.${AWS::Region}.amazonaws.com")]


@defect("logs-may-use-key")
def key_for_other_log_groups(t: Template) -> None:
    condition = named(t, "EncryptionKey", "EncryptLogs")["Condition"]["ArnLike"]
    condition["kms:EncryptionContext:aws:logs:arn"]["Fn::Sub"] = (
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/*"
    )


@defect("distribution-may-use-key", on=additions.distribution)
def key_keeps_the_distribution_out(t: Template) -> None:
    drop(t, "EncryptionKey", "Deliver")


@defect("distribution-may-use-key", on=additions.distribution)
def key_waits_for_the_distribution(t: Template) -> None:
    named(t, "EncryptionKey", "Deliver")["Condition"]["ArnLike"]["aws:SourceArn"] = sub(
        "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Website}"
    )


@defect("key-has-alias")
def key_without_alias(t: Template) -> None:
    del t["Resources"]["EncryptionKeyAlias"]


# --- Rights -------------------------------------------------------------------------------------


@defect("actions-are-named")
def wildcard_action(t: Template) -> None:
    named(t, "WorkerRole", "DeleteOrDelayMessages")["Action"] = ["sqs:*"]


@defect("actions-are-named")
def action_by_exclusion(t: Template) -> None:
    statement = named(t, "FlowLogRole", "WriteFlowLog")
    del statement["Action"]
    statement["NotAction"] = ["logs:DeleteLogGroup"]


@defect("resources-are-named")
def every_queue(t: Template) -> None:
    named(t, "WorkerRole", "ReceiveMessages")["Resource"] = ["*"]


@defect("resources-are-named")
def every_bucket(t: Template) -> None:
    for title in ("WorkerRole", "S3Endpoint"):
        named(t, title, "ListOutputs")["Resource"] = [sub("arn:${AWS::Partition}:s3:::*")]


@defect("no-managed-policy")
def managed_policy(t: Template) -> None:
    of(t, "FlowLogRole")["ManagedPolicyArns"] = [
        sub("arn:${AWS::Partition}:iam::aws:policy/CloudWatchLogsFullAccess")
    ]


@defect("nobody-is-everybody")
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


@defect("service-acts-for-this-account")
def key_for_s3_of_anybody(t: Template) -> None:
    del named(t, "EncryptionKey", "SendNotifications")["Condition"]


@defect("service-acts-for-this-account")
def role_for_flow_logs_of_anybody(t: Template) -> None:
    del of(t, "FlowLogRole")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]


@defect("service-acts-for-this-account")
def key_for_any_log_group(t: Template) -> None:
    del named(t, "EncryptionKey", "EncryptLogs")["Condition"]


@defect("condition-is-really-sent", on=additions.rule_to_queue)
def key_asks_rules_for_what_they_do_not_send(t: Template) -> None:
    named(t, "EncryptionKey", "AnnounceExisting")["Condition"] = {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }


@defect("source-condition-means-this-account")
def alarms_of_every_account(t: Template) -> None:
    condition = named(t, "AlarmTopicPolicy", "PublishAlarms")["Condition"]
    del condition["StringEquals"]
    condition["ArnLike"]["aws:SourceArn"] = sub("arn:${AWS::Partition}:cloudwatch:*:*:alarm:*")


@defect("statement-is-complete")
def statement_without_resource(t: Template) -> None:
    del named(t, "FlowLogRole", "WriteFlowLog")["Resource"]


@defect("statement-is-complete")
def statement_without_principal(t: Template) -> None:
    del named(t, "SqsEndpoint", "DeleteOrDelayMessages")["Principal"]


@defect("statement-is-complete")
def endpoint_policy_without_statements(t: Template) -> None:
    of(t, "S3Endpoint")["PolicyDocument"]["Statement"] = []


@defect("refusal-has-a-condition")
def refusal_of_everybody(t: Template) -> None:
    del named(t, "DeadLetterQueuePolicy", "DenyPlaintext")["Condition"]


# --- The network --------------------------------------------------------------------------------


@defect("endpoint-has-policy")
def endpoint_without_policy(t: Template) -> None:
    del of(t, "S3Endpoint")["PolicyDocument"]


@defect("endpoint-admits-functions-calls")
def endpoint_refuses_writes(t: Template) -> None:
    drop(t, "S3Endpoint", "WriteOutputs")


@defect("endpoint-admits-functions-calls")
def endpoint_refuses_back_off(t: Template) -> None:
    statement = named(t, "SqsEndpoint", "DeleteOrDelayMessages")
    statement["Action"] = ["sqs:DeleteMessage"]


@defect("endpoint-admits-functions-calls")
def endpoint_admits_another_role(t: Template) -> None:
    condition = named(t, "S3Endpoint", "ReadUploads")["Condition"]
    condition["ArnEquals"]["aws:PrincipalArn"] = arn("FlowLogRole")


@defect("endpoint-admits-functions-calls")
def no_endpoint_for_storage(t: Template) -> None:
    del t["Resources"]["S3Endpoint"]


@defect("endpoint-admits-no-more")
def endpoint_admits_another_bucket(t: Template) -> None:
    named(t, "S3Endpoint", "WriteOutputs")["Resource"].append(
        sub("arn:${AWS::Partition}:s3:::somebody-elses/*")
    )


@defect("nobody-is-everybody")
def endpoint_admits_everybody(t: Template) -> None:
    del named(t, "S3Endpoint", "ReadUploads")["Condition"]


def _road(kind: str) -> Callable[[Template], None]:
    def change(t: Template) -> None:
        t["Resources"]["Road"] = {"Type": f"AWS::{kind}"}

    change.__name__ = "_".join(re.findall("[A-Z]+[a-z0-9]+|[A-Z]+", kind)).lower()
    return change


for road in network.ROADS:
    defect("network-has-no-road-out")(_road(road))


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
    defect("network-has-no-road-out")(_route(aim))
defect("network-has-no-road-out")(_route("EgressOnlyInternetGatewayId", "DestinationIpv6CidrBlock"))


@defect("network-has-no-road-out")
def network_has_ipv6_addresses(t: Template) -> None:
    t["Resources"]["Addresses"] = {
        "Type": "AWS::EC2::VPCCidrBlock",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "AmazonProvidedIpv6CidrBlock": True},
    }


@defect("network-has-no-road-out")
def subnet_gives_ipv6_addresses(t: Template) -> None:
    of(t, "PrivateSubnetA")["AssignIpv6AddressOnCreation"] = True


@defect("network-has-no-road-out")
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


@defect("endpoint-leads-to-aws")
def endpoint_of_somebodys_service(t: Template) -> None:
    of(t, "SqsEndpoint")["ServiceName"] = sub(
        "com.amazonaws.vpce.${AWS::Region}.vpce-svc-0123456789abcdef0"
    )


@defect("endpoint-leads-to-aws")
def endpoint_of_an_appliance(t: Template) -> None:
    of(t, "SqsEndpoint")["VpcEndpointType"] = "GatewayLoadBalancer"


@defect("network-has-no-road-out")
def public_addresses(t: Template) -> None:
    of(t, "PrivateSubnetA")["MapPublicIpOnLaunch"] = True


@defect("egress-leads-to-endpoints-only")
def open_egress(t: Template) -> None:
    rule = of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]
    del rule["DestinationPrefixListId"]
    rule["CidrIp"] = "0.0.0.0/0"


@defect("egress-leads-to-endpoints-only")
def open_egress_over_ipv6(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"].append(
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv6": "::/0"}
    )


@defect("egress-leads-to-endpoints-only")
def open_egress_in_a_resource_of_its_own(t: Template) -> None:
    t["Resources"]["Egress"] = {
        "Type": "AWS::EC2::SecurityGroupEgress",
        "Properties": {
            "GroupId": {"Fn::GetAtt": ["WorkerSecurityGroup", "GroupId"]},
            "IpProtocol": "-1",
            "CidrIp": "0.0.0.0/0",
        },
    }


@defect("egress-leads-to-endpoints-only")
def egress_not_stated(t: Template) -> None:
    del of(t, "EndpointSecurityGroup")["SecurityGroupEgress"]


@defect("egress-leads-to-endpoints-only")
def egress_of_every_port(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]["ToPort"] = 65535


@defect("function-reaches-endpoints")
def no_egress_to_the_queue_endpoint(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"].pop()


@defect("function-reaches-endpoints")
def endpoint_lets_nobody_in(t: Template) -> None:
    del of(t, "EndpointSecurityGroup")["SecurityGroupIngress"]


@defect("ingress-is-from-the-network")
def ingress_from_everywhere(t: Template) -> None:
    of(t, "EndpointSecurityGroup")["SecurityGroupIngress"][0]["CidrIp"] = "0.0.0.0/0"


@defect("ingress-is-from-the-network")
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


@defect("ingress-is-from-the-network")
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


@defect("names-resolve-to-endpoints")
def no_dns_host_names(t: Template) -> None:
    del of(t, "Vpc")["EnableDnsHostnames"]


@defect("names-resolve-to-endpoints")
def no_private_dns(t: Template) -> None:
    of(t, "SqsEndpoint")["PrivateDnsEnabled"] = False


@defect("gateway-is-on-every-route-table")
def subnet_on_another_route_table(t: Template) -> None:
    t["Resources"]["OtherTable"] = {
        "Type": "AWS::EC2::RouteTable",
        "Properties": {"VpcId": {"Ref": "Vpc"}},
    }
    of(t, "PrivateRouteTableAssociationB")["RouteTableId"] = {"Ref": "OtherTable"}


@defect("zones-are-chosen")
def zone_by_letter(t: Template) -> None:
    of(t, "PrivateSubnetA")["AvailabilityZone"] = sub("${AWS::Region}a")


@defect("zones-are-chosen")
def one_zone(t: Template) -> None:
    of(t, "PrivateSubnetB")["AvailabilityZone"] = of(t, "PrivateSubnetA")["AvailabilityZone"]


@defect("prefix-list-follows-region")
def prefix_list_of_one_region(t: Template) -> None:
    rule = of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]
    rule["DestinationPrefixListId"] = "pl-6da54004"


@defect("function-is-in-the-network")
def function_outside_of_the_network(t: Template) -> None:
    del of(t, "Worker")["VpcConfig"]


@defect("named-services-have-endpoints")
def no_endpoint_for_the_named_queue(t: Template) -> None:
    del t["Resources"]["SqsEndpoint"]


@defect("endpoint-is-in-every-zone")
def endpoint_in_one_zone(t: Template) -> None:
    of(t, "SqsEndpoint")["SubnetIds"].pop()


@defect("traffic-is-recorded")
def no_flow_log(t: Template) -> None:
    del t["Resources"]["FlowLog"]


@defect("traffic-is-recorded")
def flow_log_cannot_write(t: Template) -> None:
    named(t, "FlowLogRole", "WriteFlowLog")["Action"].remove("logs:PutLogEvents")


@defect("zones-are-chosen")
def zone_left_to_aws(t: Template) -> None:
    del of(t, "PrivateSubnetB")["AvailabilityZone"]


@defect("role-may-place-interfaces")
def role_cannot_find_subnets(t: Template) -> None:
    named(t, "WorkerRole", "DescribeNetworkInterfaces")["Action"].remove("ec2:DescribeSubnets")


# --- Alarms, logs, delivery ---------------------------------------------------------------------


@defect("alarm-watches-real-resource")
def alarm_of_the_url(t: Template) -> None:
    of(t, "QueueAgeAlarm")["Dimensions"][0]["Value"] = {"Ref": "WorkQueue"}


@defect("alarm-watches-real-resource")
def alarm_of_an_unknown_metric(t: Template) -> None:
    of(t, "WorkerErrorAlarm")["MetricName"] = "Error"


@defect("alarm-watches-real-resource")
def alarm_of_another_name(t: Template) -> None:
    of(t, "WorkerThrottleAlarm")["Dimensions"][0]["Value"] = sub("${NamePrefix}-workers")


@defect("alarm-watches-real-resource")
def alarm_without_dimension(t: Template) -> None:
    del of(t, "QueueAgeAlarm")["Dimensions"]


@defect("alarm-states-missing-data")
def missing_data_not_stated(t: Template) -> None:
    del of(t, "WorkerErrorAlarm")["TreatMissingData"]


@defect("alarm-can-be-evaluated")
def sum_of_a_level(t: Template) -> None:
    of(t, "QueueAgeAlarm")["Statistic"] = "Sum"


@defect("alarm-can-be-evaluated")
def sum_of_a_level_in_metric_math(t: Template) -> None:
    of(t, "QueueNotConsumedAlarm")["Metrics"][1]["MetricStat"]["Stat"] = "Sum"


@defect("alarm-can-be-evaluated")
def period_of_ninety_seconds(t: Template) -> None:
    of(t, "WorkerErrorAlarm")["Period"] = 90


@defect("alarm-can-be-evaluated")
def evaluation_of_two_days(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["EvaluationPeriods"] = 576


@defect("alarm-can-be-evaluated")
def more_points_to_alarm_than_periods(t: Template) -> None:
    of(t, "WorkerDurationAlarm")["DatapointsToAlarm"] = 13


@defect("alarm-computes-from-metrics")
def alarm_computes_from_nothing(t: Template) -> None:
    of(t, "RejectionAlarm")["Metrics"][1]["Id"] = "images"


@defect("alarm-computes-from-metrics")
def alarm_returns_two_results(t: Template) -> None:
    del of(t, "RejectionAlarm")["Metrics"][1]["ReturnData"]


@defect("alarm-watches-real-resource")
def alarm_of_another_queue_in_metric_math(t: Template) -> None:
    metric = of(t, "MissingNotificationAlarm")["Metrics"][2]["MetricStat"]["Metric"]
    metric["Dimensions"][0]["Value"] = sub("${NamePrefix}-works")


@defect("alarm-says-what-to-do")
def alarm_without_description(t: Template) -> None:
    del of(t, "QueueNotConsumedAlarm")["AlarmDescription"]


@defect("alarm-says-what-to-do")
def alarm_described_by_its_name(t: Template) -> None:
    of(t, "QueueNotConsumedAlarm")["AlarmDescription"] = "Stalled"


@defect("alarm-reaches-somebody")
def alarm_without_action(t: Template) -> None:
    of(t, "DeadLetterAlarm")["AlarmActions"] = []


@defect("alarm-may-publish")
def topic_refuses_alarms(t: Template) -> None:
    drop(t, "AlarmTopicPolicy", "PublishAlarms")


@defect("alarm-may-publish")
def topic_admits_other_alarms(t: Template) -> None:
    condition = named(t, "AlarmTopicPolicy", "PublishAlarms")["Condition"]["ArnLike"]
    condition["aws:SourceArn"]["Fn::Sub"] = (
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:other-*"
    )


@defect("dead-letters-are-noticed")
def no_alarm_of_dead_letters(t: Template) -> None:
    del t["Resources"]["DeadLetterAlarm"]


@defect("dead-letters-are-noticed")
def alarm_of_the_wrong_queue(t: Template) -> None:
    of(t, "DeadLetterAlarm")["Dimensions"][0]["Value"] = {"Fn::GetAtt": ["WorkQueue", "QueueName"]}


def redraw(template: Template, old: str, new: str) -> None:
    """Write something else into the dashboard's body, in whichever function it stands."""
    properties = of(template, "Dashboard")
    text = json.dumps(properties["DashboardBody"])
    assert old in text
    properties["DashboardBody"] = json.loads(text.replace(old, new))


@defect("dashboard-is-json")
def dashboard_is_no_json(t: Template) -> None:
    redraw(t, "'title':'Queue'", "'title':Queue")


@defect("dashboard-is-json")
def dashboard_of_an_unquoted_name(t: Template) -> None:
    redraw(t, "'${Worker}'", "${Worker}")


@defect("dashboard-is-json")
def dashboard_is_empty(t: Template) -> None:
    of(t, "Dashboard")["DashboardBody"] = '{"widgets": []}'


@defect("dashboard-shows-real-metrics")
def dashboard_of_another_queue(t: Template) -> None:
    redraw(t, "${WorkQueue.QueueName}", "${NamePrefix}-jobs")


@defect("dashboard-shows-real-metrics")
def dashboard_of_another_function(t: Template) -> None:
    redraw(
        t,
        "['Darkroom','EndToEndLatency','FunctionName','${Worker}'",
        "['Darkroom','EndToEndLatency','FunctionName','Worker'",
    )


@defect("dashboard-shows-real-metrics")
def dashboard_of_a_metric_that_is_not(t: Template) -> None:
    redraw(t, "ApproximateAgeOfOldestMessage", "OldestMessageAge")


@defect("dashboard-shows-real-metrics")
def dashboard_of_another_stacks_alarm(t: Template) -> None:
    redraw(t, "${QueueAgeAlarm.Arn}", "${DeadLetterAlarm.Arn}-old")


@defect("dashboard-shows-its-region")
def dashboard_without_region(t: Template) -> None:
    redraw(t, "'region':", "'accountId':")


@defect("dashboard-shows-its-region")
def dashboard_of_one_region(t: Template) -> None:
    redraw(t, "'region':'${AWS::Region}'", "'region':'eu-west-1'")


@defect("place-is-not-typed")
def dashboard_with_a_region_typed_in(t: Template) -> None:
    redraw(t, "'region':'${AWS::Region}'", "'region':'eu-west-1'")


@defect("dashboard-computes-from-metrics")
def dashboard_computes_from_nothing(t: Template) -> None:
    redraw(t, "'id':'p0',", "")


@defect("global-names-differ-by-region")
def dashboard_named_as_in_another_region(t: Template) -> None:
    of(t, "Dashboard")["DashboardName"] = sub("${NamePrefix}")


@defect("names-differ-by-stack")
def dashboard_named_as_another_stacks(t: Template) -> None:
    of(t, "Dashboard")["DashboardName"] = sub("pictures-${AWS::Region}")


def traced(template: Template) -> list[Any]:
    """Return condition, statement and nothing: the right to send traces where it is asked for."""
    return next(
        found
        for one in _all(of(template, "WorkerRole"))
        if (found := one.get("Fn::If", []))[1:] and found[1].get("Sid") == "SendTraces"
    )


@defect("traces-may-be-sent")
def traces_without_rights(t: Template) -> None:
    traced(t)[1] = {"Ref": "AWS::NoValue"}


@defect("traces-may-be-sent")
def traces_without_telemetry(t: Template) -> None:
    traced(t)[1]["Action"] = ["xray:PutTraceSegments"]


@defect("trouble-is-noticed")
def no_alarm_of_waiting_work(t: Template) -> None:
    del t["Resources"]["QueueAgeAlarm"]


@defect("trouble-is-noticed")
def no_alarm_of_errors(t: Template) -> None:
    del t["Resources"]["WorkerErrorAlarm"]


@defect("alarm-watches-real-resource")
def alarm_of_every_function(t: Template) -> None:
    del of(t, "WorkerErrorAlarm")["Dimensions"]


@defect("logs-expire")
def logs_for_ever(t: Template) -> None:
    del of(t, "WorkerLogGroup")["RetentionInDays"]


def delivered(template: Template) -> dict[str, Any]:
    found: dict[str, Any] = of(template, "WorkerLogDelivery")["ExtendedS3DestinationConfiguration"]
    return found


@defect("delivered-logs-are-lines", on=additions.archive)
def logs_compressed_twice(t: Template) -> None:
    del delivered(t)["ProcessingConfiguration"]


@defect("delivered-logs-are-lines", on=additions.archive)
def logs_left_in_their_envelope(t: Template) -> None:
    delivered(t)["ProcessingConfiguration"]["Processors"].pop()


@defect("delivered-logs-are-lines", on=additions.archive)
def logs_stored_uncompressed(t: Template) -> None:
    del delivered(t)["CompressionFormat"]


@defect("delivery-may-encrypt", on=additions.archive)
def delivery_cannot_use_the_key(t: Template) -> None:
    drop(t, "LogDeliveryRole", "EncryptLogs")


@defect("delivery-may-encrypt", on=additions.archive)
def delivery_writes_elsewhere(t: Template) -> None:
    delivered(t)["Prefix"] = "logs/"


@defect("subscription-may-send", on=additions.archive)
def logs_sent_without_the_right(t: Template) -> None:
    named(t, "LogSubscriptionRole", "SendLogs")["Action"].pop()


@defect("subscription-may-send", on=additions.archive)
def logs_sent_by_another_service(t: Template) -> None:
    trust = named(t, "LogSubscriptionRole", "Assume")
    trust["Principal"] = {"Service": ["vpc-flow-logs.amazonaws.com"]}


@defect("service-acts-for-this-account", on=additions.archive)
def anybodys_logs_are_sent(t: Template) -> None:
    del named(t, "LogSubscriptionRole", "Assume")["Condition"]


@defect("service-acts-for-this-account", on=additions.archive)
def anybodys_stream_writes_the_archive(t: Template) -> None:
    del named(t, "LogDeliveryRole", "Assume")["Condition"]


@defect("failed-delivery-is-told", on=additions.archive)
def failed_delivery_is_silent(t: Template) -> None:
    del delivered(t)["CloudWatchLoggingOptions"]


@defect("failed-delivery-is-told", on=additions.archive)
def failed_delivery_is_told_to_nobody(t: Template) -> None:
    del t["Resources"]["LogDeliveryLogStream"]


@defect("failed-delivery-is-told", on=additions.archive)
def failed_delivery_feeds_itself(t: Template) -> None:
    group = {"Ref": "WorkerLogGroup"}
    of(t, "LogDeliveryLogStream")["LogGroupName"] = group
    delivered(t)["CloudWatchLoggingOptions"]["LogGroupName"] = group


@defect("delivered-logs-expire", on=additions.archive)
def archive_for_ever(t: Template) -> None:
    (lifecycle,) = of(t, "LogArchiveBucket")["LifecycleConfiguration"]["Rules"]
    del lifecycle["ExpirationInDays"]


@defect("bucket-is-versioned", on=additions.archive)
def archive_not_versioned(t: Template) -> None:
    del of(t, "LogArchiveBucket")["VersioningConfiguration"]


@defect("access-logs-can-be-delivered", on=additions.access_logs)
def access_log_under_a_key(t: Template) -> None:
    encryption = of(t, "UploadBucket")["BucketEncryption"]
    of(t, "AccessLogBucket")["BucketEncryption"] = encryption


@defect("access-logs-can-be-delivered", on=additions.access_logs)
def access_log_locked(t: Template) -> None:
    of(t, "AccessLogBucket")["ObjectLockEnabled"] = True


@defect("access-logs-can-be-delivered", on=additions.access_logs)
def access_log_not_admitted(t: Template) -> None:
    drop(t, "AccessLogBucketPolicy", "WriteAccessLogs")


# --- The template as a whole --------------------------------------------------------------------


@defect("template-fits")
def template_too_large(t: Template) -> None:
    t["Metadata"]["Notes"] = "x" * 1_000_000


@defect("policies-fit")
def policy_too_large(t: Template) -> None:
    resources = named(t, "WorkerRole", "ReadUploads")["Resource"]
    more = [{"Fn::Join": ["/", [arn("UploadBucket"), f"uploads/{n:0400}/*"]]} for n in range(20)]
    resources.extend(more)
    named(t, "S3Endpoint", "ReadUploads")["Resource"].extend(more)


@defect("names-differ-by-stack")
def fixed_name(t: Template) -> None:
    of(t, "DeadLetterAlarm")["AlarmName"] = "dead-letters"


@defect("names-differ-by-stack")
def fixed_alias(t: Template) -> None:
    of(t, "EncryptionKeyAlias")["AliasName"] = "alias/darkroom"


@defect("bucket-name-fits")
def name_prefix_too_long(t: Template) -> None:
    t["Parameters"]["NamePrefix"]["MaxLength"] = 30


@defect("bucket-name-fits")
def name_prefix_with_capitals(t: Template) -> None:
    t["Parameters"]["NamePrefix"]["AllowedPattern"] = "^[A-Za-z][A-Za-z0-9-]*$"


@defect("bucket-name-fits")
def bucket_named_without_account(t: Template) -> None:
    name = "${NamePrefix}-thumbnails-${AWS::Region}"
    of(t, "ThumbnailBucket")["BucketName"] = sub(name)


@defect("place-is-not-typed")
def typed_account(t: Template) -> None:
    condition = named(t, "EncryptionKey", "PublishAlarms")["Condition"]
    condition["StringEquals"]["aws:SourceAccount"] = "111122223333"


@defect("place-is-not-typed")
def typed_region(t: Template) -> None:
    of(t, "S3Endpoint")["ServiceName"] = "com.amazonaws.eu-west-1.s3"


@defect("place-is-not-typed")
def typed_partition(t: Template) -> None:
    condition = named(t, "WorkQueuePolicy", "SendNotifications")["Condition"]
    condition["ArnLike"]["aws:SourceArn"] = sub(
        "arn:aws:s3:::${NamePrefix}-uploads-${AWS::AccountId}-${AWS::Region}"
    )


@defect("default-is-allowed")
def default_out_of_bounds(t: Template) -> None:
    t["Parameters"]["MemorySize"]["Default"] = 256


@defect("parameter-is-bounded")
def parameter_without_bounds(t: Template) -> None:
    del t["Parameters"]["MaximumConcurrency"]["MaxValue"]


@defect("defaults-can-be-deployed")
def defaults_break_a_rule(t: Template) -> None:
    t["Parameters"]["AvailabilityZoneIndexB"]["Default"] = 0


@defect("defaults-can-be-deployed")
def prefix_list_is_everywhere(t: Template) -> None:
    t["Mappings"]["S3PrefixLists"]["af-south-1"]["Id"] = "0.0.0.0/0"
