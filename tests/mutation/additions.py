"""Sound parts that the default template does not have, for defects to be seeded into."""

import json
from typing import Any

from templates import pipeline, specification

Template = dict[str, Any]

KEY = {"Fn::GetAtt": ["EncryptionKey", "Arn"]}


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def arn(title: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [title, "Arn"]}


def statements(template: Template, title: str) -> list[dict[str, Any]]:
    """Return the statements of the only policy of a resource, to be changed in place."""
    properties = template["Resources"][title]["Properties"]
    document = properties.get("PolicyDocument") or properties["KeyPolicy"]
    found: list[dict[str, Any]] = document["Statement"]
    return found


def external_sources(template: Template) -> None:
    """A stack with external buckets, through a rule and through a topic."""
    sources = {"old": {"type": "eventbridge"}, "partner": {"type": "sns"}}
    plan = specification.parse({"sources": sources}, origin="additions")
    template.clear()
    template.update(json.loads(pipeline.render(pipeline.build(plan))))


def archived_distribution(template: Template) -> None:
    """A stack with a distribution whose access logs are archived."""
    tables = {"cdn": {}, "logs": {"archive_flow_logs": False}}
    plan = specification.parse(tables, origin="additions")
    template.clear()
    template.update(json.loads(pipeline.render(pipeline.build(plan))))


def upload_api(template: Template) -> None:
    """A stack with a private upload API."""
    plan = specification.parse({"api": {}}, origin="additions")
    template.clear()
    template.update(json.loads(pipeline.render(pipeline.build(plan))))


def record_topic(template: Template) -> None:
    """A stack whose thumbnail bucket notifies a topic of each record."""
    plan = specification.parse({"events": {"topic": True}}, origin="additions")
    template.clear()
    template.update(json.loads(pipeline.render(pipeline.build(plan))))


def archived_uploads(template: Template) -> None:
    """A stack whose uploads move to another storage class on their first day."""
    sources = {"default": {"archive_after_days": 0}}
    plan = specification.parse({"sources": sources}, origin="additions")
    template.clear()
    template.update(json.loads(pipeline.render(pipeline.build(plan))))


def rule_to_queue(template: Template) -> None:
    """Existing buckets through EventBridge: the queue allows the rule, and the key EventBridge."""
    name = "${NamePrefix}-existing"
    template["Resources"]["ExistingRule"] = {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Name": sub(name),
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"bucket": {"name": ["old"]}, "object": {"key": [{"prefix": "in/"}]}},
            },
            "Targets": [
                {
                    "Id": "work",
                    "Arn": arn("WorkQueue"),
                    "DeadLetterConfig": {"Arn": arn("DeadLetterQueue")},
                }
            ],
        },
        "DependsOn": ["WorkQueuePolicy", "DeadLetterQueuePolicy"],
    }
    source = sub(f"arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:rule/{name}")
    for queue in ("WorkQueue", "DeadLetterQueue"):
        statements(template, f"{queue}Policy").append(
            {
                "Sid": "AnnounceExisting",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn(queue),
                "Condition": {"ArnEquals": {"aws:SourceArn": source}},
            }
        )
    # The default template's key admits S3 only.
    queues = sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${NamePrefix}-*")
    statements(template, "EncryptionKey").append(
        {
            "Sid": "AnnounceExisting",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringLike": {"kms:EncryptionContext:aws:sqs:arn": queues}},
        }
    )


def operator(template: Template) -> None:
    """A policy for operators who redrive dead-letter messages to the work queue."""
    moving = ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage"]
    granted = [
        {
            "Sid": "MoveDeadLetters",
            "Action": [*moving, "sqs:GetQueueAttributes"],
            "Resource": arn("DeadLetterQueue"),
        },
        {"Sid": "SendWork", "Action": "sqs:SendMessage", "Resource": arn("WorkQueue")},
        {"Sid": "UseKey", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": KEY},
    ]
    template["Resources"]["OperatorPolicy"] = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", **one} for one in granted],
            }
        },
    }


def distribution(template: Template) -> None:
    """Thumbnails through CloudFront, which reads the bucket as itself."""
    resources = template["Resources"]
    resources["DistributionAccessControl"] = {
        "Type": "AWS::CloudFront::OriginAccessControl",
        "Properties": {
            "OriginAccessControlConfig": {
                "Name": sub("${NamePrefix}-thumbnails"),
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            }
        },
    }
    resources["Website"] = {
        "Type": "AWS::CloudFront::Distribution",
        "Properties": {
            "DistributionConfig": {
                "Enabled": True,
                "Origins": [
                    {
                        "Id": "thumbnails",
                        "DomainName": {"Fn::GetAtt": ["ThumbnailBucket", "RegionalDomainName"]},
                        "OriginAccessControlId": {"Ref": "DistributionAccessControl"},
                        "S3OriginConfig": {"OriginAccessIdentity": ""},
                    }
                ],
                "DefaultCacheBehavior": {
                    "TargetOriginId": "thumbnails",
                    "ViewerProtocolPolicy": "https-only",
                    "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
                },
            }
        },
    }
    any_of_account = sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/*")
    for title, action, resource in (
        (
            "ThumbnailBucketPolicy",
            "s3:GetObject",
            {"Fn::Join": ["/", [arn("ThumbnailBucket"), "*"]]},
        ),
        ("EncryptionKey", "kms:Decrypt", "*"),
    ):
        statements(template, title).append(
            {
                "Sid": "Deliver",
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": action,
                "Resource": resource,
                "Condition": {"ArnLike": {"aws:SourceArn": any_of_account}},
            }
        )


def flow_log_group(template: Template) -> None:
    """A VPC whose flow log is in a log group, and not in the archive."""
    plan = specification.parse({"logs": {"archive_flow_logs": False}}, origin="additions")
    template.clear()
    template.update(json.loads(pipeline.render(pipeline.build(plan))))


def archive(template: Template) -> None:
    """The worker's log in a bucket of its own."""
    _with_logs(template, archive=True)


def access_logs(template: Template) -> None:
    """Each request to the buckets is noted in another."""
    _with_logs(template, s3_access_logs=True)


def _with_logs(template: Template, **settings: bool) -> None:
    plan = specification.parse({"logs": settings}, origin="mutations")
    built = json.loads(pipeline.render(pipeline.build(plan)))
    for section in ("Parameters", "Resources"):
        template[section] |= built[section]
