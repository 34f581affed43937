import pytest
from cfnlint.helpers import REGIONS

from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import naming
from tests.unit.templates.conftest import generate


@pytest.mark.parametrize("region", REGIONS)
def test_the_longest_prefix_still_makes_a_bucket_name(stack: ResolvedTemplate, region: str) -> None:
    """Pitfall 44, D3: at most 63 characters in every region there is."""
    longest = stack.with_parameters(
        **{naming.NAME_PREFIX: "x" * naming.NAME_PREFIX_LENGTH, "AWS::Region": region}
    )
    for bucket in longest.resources_of_type("S3::Bucket").values():
        assert len(bucket["BucketName"]) <= 63
        assert bucket["BucketName"].islower()


def test_a_bucket_name_holds_stack_account_and_region(stack: ResolvedTemplate) -> None:
    """D3: unique per account, region and stack."""
    one = stack.with_parameters(**{naming.NAME_PREFIX: "one"})
    for bucket in one.resources_of_type("S3::Bucket").values():
        assert bucket["BucketName"].startswith("one-")
        assert bucket["BucketName"].endswith("-111122223333-eu-west-1")


def test_names_spelled_ahead_are_the_names_given(stack: ResolvedTemplate) -> None:
    """Pitfall 1, pitfall 2: what stands in for a reference must name the very resource."""
    resolve = stack.resolve
    buckets, queues = stack.resources_of_type("S3::Bucket"), stack.resources_of_type("SQS::Queue")
    assert resolve(naming.bucket_arn("uploads").to_dict()).endswith(
        f":{buckets['UploadBucket']['BucketName']}"
    )
    assert resolve(naming.queue_arn("work").to_dict()).endswith(
        f":{queues['WorkQueue']['QueueName']}"
    )
    assert resolve(naming.function_arn("worker").to_dict()).endswith(
        f":function:{stack.properties('Worker')['FunctionName']}"
    )


def test_two_stacks_in_an_account_share_no_name() -> None:
    """Pitfall 52: every name begins with the stack's own."""
    one, two = (_names(generate().with_parameters(NamePrefix=prefix)) for prefix in ("one", "two"))
    assert len(one) >= 12
    assert not one & two


def _names(stack: ResolvedTemplate) -> set[str]:
    return {
        str(value)
        for title in stack.resources
        for key, value in stack.properties(title).items()
        if key.endswith("Name") and key not in {"MetricName", "ServiceName"}
        if not str(value).startswith("<")
        and not stack.resources[title]["Type"].endswith(("Policy", "Mapping", "FlowLog"))
    }
