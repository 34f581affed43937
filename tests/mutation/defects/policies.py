"""Policies."""

from tests.mutation import additions
from tests.mutation.additions import Template, arn, statements, sub
from tests.mutation.defects.seed import (
    defect,
    named,
    of,
)


@defect("iam-wildcard-action")
def wildcard_action(t: Template) -> None:
    named(t, "WorkerRole", "DeleteOrDelayMessages")["Action"] = ["sqs:*"]


@defect("iam-wildcard-action")
def action_by_exclusion(t: Template) -> None:
    statement = named(t, "LogDeliveryRole", "LogDeliveryErrors")
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
    of(t, "LogDeliveryRole")["ManagedPolicyArns"] = [
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
    del named(t, "EncryptionKey", "SendEvents")["Condition"]


@defect("iam-confused-deputy", on=additions.rule_to_queue)
def key_for_rules_of_anybody(t: Template) -> None:
    del named(t, "EncryptionKey", "AnnounceExisting")["Condition"]


@defect("iam-confused-deputy", on=additions.flow_log_group)
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
    condition = named(t, "CriticalAlarmTopicPolicy", "PublishAlarms")["Condition"]
    del condition["StringEquals"]
    condition["ArnLike"]["aws:SourceArn"] = sub("arn:${AWS::Partition}:cloudwatch:*:*:alarm:*")


@defect("iam-statement-elements")
def statement_without_resource(t: Template) -> None:
    del named(t, "LogDeliveryRole", "WriteLogs")["Resource"]


@defect("iam-statement-elements")
def statement_without_principal(t: Template) -> None:
    del named(t, "SqsEndpoint", "DeleteOrDelayMessages")["Principal"]


@defect("iam-statement-elements")
def endpoint_policy_without_statements(t: Template) -> None:
    of(t, "S3Endpoint")["PolicyDocument"]["Statement"] = []


@defect("iam-unconditional-deny")
def deny_everyone(t: Template) -> None:
    del named(t, "DeadLetterQueuePolicy", "DenyPlaintext")["Condition"]
