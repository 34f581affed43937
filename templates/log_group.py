"""A log group with the stack's key and retention."""

from troposphere import Ref, Template
from troposphere.logs import LogGroup

from templates import naming
from templates.encryption import Encryption


def add_log_group(
    template: Template, logical_id: str, suffix: str, *, encryption: Encryption, retention_days: Ref
) -> LogGroup:
    """Add a log group, before the resource that writes to it (pitfall 27)."""
    return template.add_resource(
        LogGroup(
            logical_id,
            LogGroupName=naming.log_group_name(suffix),
            RetentionInDays=retention_days,
            KmsKeyId=encryption.arn,
            DeletionPolicy="Delete",  # retained, it would block the next create (pitfall 29)
            UpdateReplacePolicy="Retain",
        )
    )
