"""A log group as every part of the stack keeps one: under the key, for as long as it is told."""

from troposphere import Ref, Template
from troposphere.logs import LogGroup

from templates import naming
from templates.encryption import Encryption


def add_log_group(
    template: Template, title: str, role: str, *, encryption: Encryption, retention_days: Ref
) -> LogGroup:
    """Add the log group for `role`, before whatever writes to it (trap 27)."""
    return template.add_resource(
        LogGroup(
            title,
            LogGroupName=naming.log_group_name(role),
            RetentionInDays=retention_days,
            KmsKeyId=encryption.arn,
            DeletionPolicy="Delete",  # kept, it would block the next create (trap 29)
            UpdateReplacePolicy="Retain",
        )
    )
