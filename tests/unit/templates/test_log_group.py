from darkroom.cloudformation.resolver import ResolvedTemplate


def test_every_log_group_has_retention_and_key(stack: ResolvedTemplate) -> None:
    """O1, S4: explicit, for each writer of the stack."""
    groups = stack.with_parameters(LogRetentionDays=7).resources_of_type("Logs::LogGroup")
    assert set(groups) == {"WorkerLogGroup", "LogDeliveryLogGroup"}
    for group in groups.values():
        assert group["RetentionInDays"] == 7
        assert group["KmsKeyId"] == "<EncryptionKey.Arn>"


def test_a_log_group_does_not_block_the_next_create(stack: ResolvedTemplate) -> None:
    """Pitfall 29: gone with the stack; kept when another takes its place."""
    for title in stack.resources_of_type("Logs::LogGroup"):
        assert stack.resources[title]["DeletionPolicy"] == "Delete"
        assert stack.resources[title]["UpdateReplacePolicy"] == "Retain"
