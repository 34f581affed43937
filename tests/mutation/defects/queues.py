"""Queues, what sends to them, and the event source mapping."""

from tests.mutation import additions
from tests.mutation.additions import Template, arn, sub
from tests.mutation.defects.seed import (
    defect,
    drop,
    named,
    of,
)


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
    of(t, "WorkerEventSourceMapping").update({"BatchSize": 50, "MaximumBatchingWindowInSeconds": 0})


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


@defect("sns-policy-s3-source", on=additions.record_topic)
def topic_admits_nobody(t: Template) -> None:
    drop(t, "RecordTopicPolicy", "PublishRecords")


@defect("sns-policy-s3-source", on=additions.record_topic)
def topic_admits_every_bucket_of_the_account(t: Template) -> None:
    del named(t, "RecordTopicPolicy", "PublishRecords")["Condition"]["ArnLike"]


@defect("sns-policy-s3-source", on=additions.record_topic)
def topic_admits_the_bucket_of_any_account(t: Template) -> None:
    del named(t, "RecordTopicPolicy", "PublishRecords")["Condition"]["StringEquals"]


@defect("sqs-policy-event-source", on=additions.rule_to_queue)
def queue_refuses_the_rule(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "AnnounceExisting")


@defect("sqs-policy-event-source", on=additions.external_sources)
def queue_admits_every_rule(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "SendRuleEvents")["Condition"]["ArnLike"]


@defect("sqs-policy-event-source", on=additions.external_sources)
def queue_admits_every_topic(t: Template) -> None:
    del named(t, "WorkQueuePolicy", "SendTopicMessages")["Condition"]


@defect("sqs-policy-event-source", on=additions.external_sources)
def dead_letter_queue_refuses_the_topic(t: Template) -> None:
    drop(t, "DeadLetterQueuePolicy", "SendTopicMessages")


@defect("events-target-dlq", on=additions.external_sources)
def rule_drops_what_it_cannot_deliver(t: Template) -> None:
    del of(t, "OldNotificationRule")["Targets"][0]["DeadLetterConfig"]


@defect("events-target-dlq", on=additions.external_sources)
def topic_drops_what_it_cannot_deliver(t: Template) -> None:
    del of(t, "PartnerSubscription")["RedrivePolicy"]


@defect("events-target-depends-on-policy", on=additions.external_sources)
def rule_before_queue_policy(t: Template) -> None:
    t["Resources"]["OldNotificationRule"]["DependsOn"].remove("WorkQueuePolicy")


@defect("events-target-depends-on-policy", on=additions.external_sources)
def subscription_before_queue_policy(t: Template) -> None:
    del t["Resources"]["PartnerSubscription"]["DependsOn"]


@defect("sns-subscription-no-filter", on=additions.external_sources)
def subscription_filters(t: Template) -> None:
    of(t, "PartnerSubscription")["FilterPolicy"] = {"Records": {"eventSource": ["aws:s3"]}}


@defect("events-pattern-scope", on=additions.external_sources)
def rule_takes_every_kind_of_event(t: Template) -> None:
    del of(t, "OldNotificationRule")["EventPattern"]["detail-type"]


@defect("events-pattern-scope", on=additions.external_sources)
def rule_takes_every_bucket(t: Template) -> None:
    del of(t, "OldNotificationRule")["EventPattern"]["detail"]["bucket"]


@defect("events-pattern-scope", on=additions.external_sources)
def rule_takes_every_key(t: Template) -> None:
    del of(t, "OldNotificationRule")["EventPattern"]["detail"]["object"]


@defect("events-pattern-scope", on=additions.external_sources)
def pattern_is_too_long(t: Template) -> None:
    of(t, "OldNotificationRule")["EventPattern"]["detail"]["object"]["key"] = [
        {"prefix": f"customers/{number:03}/uploads/"} for number in range(60)
    ]


@defect("iam-external-bucket-prefix", on=additions.external_sources)
def worker_reads_all_of_somebodys_bucket(t: Template) -> None:
    named(t, "WorkerRole", "OldReadUploads")["Resource"] = [
        sub("arn:${AWS::Partition}:s3:::${OldBucketName}/*")
    ]


@defect("iam-external-bucket-prefix", on=additions.external_sources)
def endpoint_is_open_for_all_of_somebodys_bucket(t: Template) -> None:
    named(t, "S3Endpoint", "OldReadUploads")["Resource"] = [
        sub("arn:${AWS::Partition}:s3:::${OldBucketName}/*")
    ]


@defect("sqs-sns-secure-transport")
def queue_over_plain_http(t: Template) -> None:
    drop(t, "WorkQueuePolicy", "DenyPlaintext")


@defect("sqs-sns-secure-transport")
def topic_over_plain_http(t: Template) -> None:
    named(t, "CriticalAlarmTopicPolicy", "DenyPlaintext")["Condition"]["Bool"] = {
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
