"""Tables of the specification for parts that a stack has only where they are asked for."""

from typing import Literal, Self

from pydantic import BaseModel, model_validator

from templates.specification_values import TABLE_CONFIG


class _Table(BaseModel):
    model_config = TABLE_CONFIG


class Cdn(_Table):
    """A CloudFront distribution that makes the thumbnails public; without this table, none."""

    custom_domain: bool = False
    """Use a domain and certificate of your own, with TLS 1.2 as the minimum."""

    web_acl: bool = False
    """Attach a web ACL of AWS WAF."""


class Alarms(_Table):
    """Alarms, and who receives them."""

    topic_parameters: bool = True
    """Have parameters for existing SNS topics, which take the place of the stack's."""

    hourly_cost: bool = True
    """Have the parameter `MaximumHourlyCost`, with which each queue has an alarm on its cost."""


class Logs(_Table):
    """Logs that are kept in buckets."""

    archive: bool = True
    """Archive the logs of the worker and of the upload API in a bucket, for
    `LogArchiveRetentionDays`."""

    archive_flow_logs: bool = True
    """Deliver the flow log of a created VPC to the archive, and not to a log group. Without an
    archive, and in an existing VPC, the default has no effect and `true` is an error."""

    object_lock: Literal["off", "governance", "compliance"] = "off"
    """Lock archived logs for their retention; needs `archive`, and cannot be switched off again."""

    s3_access_logs: bool = True
    """Let S3 write the access logs of the stack's buckets to another bucket."""

    @model_validator(mode="after")
    def _of_an_archive(self) -> Self:
        if self.object_lock != "off" and not self.archive:
            raise ValueError(f'object_lock = "{self.object_lock}" needs archive = true')
        if self.asks_for_flow_logs and not self.archive:
            raise ValueError("archive_flow_logs needs archive = true")
        return self

    @property
    def asks_for_flow_logs(self) -> bool:
        """Whether archived flow logs were asked for by name, and not only by default."""
        return self.archive_flow_logs and "archive_flow_logs" in self.model_fields_set


class Events(_Table):
    """Events about records: one for each picture that is finished, rejected or deleted."""

    topic: bool = False
    """Create an SNS topic that S3 notifies of each record, whose ARN is the output
    `RecordTopicArn`."""

    eventbridge: bool = False
    """Send the thumbnail bucket's events to EventBridge, those of thumbnails as well; a rule
    selects the records by the suffix `/index.json`."""
