"""templates/dns_firewall.py: the names that a created VPC resolves."""

from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from tests.unit.templates.conftest import generate
from worker import handler

PLACES = [
    ("us-east-1", "aws", "amazonaws.com"),
    ("eu-central-1", "aws", "amazonaws.com"),
    ("ap-southeast-6", "aws", "amazonaws.com"),
    ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
]


def answered(stack: ResolvedTemplate, name: str) -> bool:
    """Return whether the firewall lets a query through, by the rule of the lowest priority."""
    (group,) = stack.resources_of_type("Route53Resolver::FirewallRuleGroup").values()
    lists = {
        stack.resolve({"Ref": title}): one["Domains"]
        for title, one in stack.resources_of_type("Route53Resolver::FirewallDomainList").items()
    }
    for rule in sorted(group["FirewallRules"], key=lambda one: int(one["Priority"])):
        if any(fnmatch(name, domain) for domain in lists[rule["FirewallDomainListId"]]):
            return bool(rule["Action"] != "BLOCK")
    return True


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], set[str]]:
    """Return a function that returns the hosts which the worker's clients call in a Region."""

    class StopError(Exception):
        pass

    def called(region: str) -> set[str]:
        found: set[str] = set()

        def note(**arguments: Any) -> None:
            found.add(str(urlsplit(arguments["request"].url).hostname))
            raise StopError

        session = botocore.session.Session()
        session.set_config_variable("region", region)
        session.set_credentials("AKIDEXAMPLE", "secret")
        session.register("before-send", note)
        for bucket in ("plain-name", "name.with.dots"):
            s3 = handler.s3_client(session)
            for call in (s3.get_object, s3.head_object, s3.delete_object):
                with pytest.raises(StopError):
                    call(Bucket=bucket, Key="key")
        sqs: Any = session.create_client("sqs", config=handler.client_config())
        url = f"https://{urlsplit(sqs.meta.endpoint_url).hostname}/111122223333/work"
        with pytest.raises(StopError):
            sqs.delete_message(QueueUrl=url, ReceiptHandle="x")
        return found

    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_USE_FIPS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return called


@pytest.mark.parametrize(("region", "partition", "suffix"), PLACES)
def test_the_worker_resolves_what_it_calls_and_nothing_else(
    stack: ResolvedTemplate,
    hosts: Callable[[str], set[str]],
    region: str,
    partition: str,
    suffix: str,
) -> None:
    """S9, pitfall 69: the hosts that botocore chooses, in each partition."""
    there = stack.with_parameters(
        **{"AWS::Region": region, "AWS::Partition": partition, "AWS::URLSuffix": suffix}
    )
    names = hosts(region)
    assert {f"s3.{region}.{suffix}", f"plain-name.s3.{region}.{suffix}"} <= names
    assert f"sqs.{region}.{suffix}" in names
    assert [name for name in names if not answered(there, name)] == []
    for name in (
        *(
            "data.attacker.example",
            "example.com",
            f"kms.{region}.{suffix}",
            f"ec2.{region}.{suffix}",
        ),
        *(
            "s3.af-south-1.amazonaws.com",
            f"x.sqs.{region}.{suffix}",
            f"s3.{region}.{suffix}.evil.com",
        ),
    ):
        assert not answered(there, name), name


def test_the_firewall_is_associated_and_hides_what_it_blocks(stack: ResolvedTemplate) -> None:
    """S9, pitfall 70: aliases of the allowed names resolve; a blocked name does not exist."""
    (association,) = stack.resources_of_type(
        "Route53Resolver::FirewallRuleGroupAssociation"
    ).values()
    assert association["VpcId"] == stack.resolve({"Ref": "Vpc"})
    assert association["FirewallRuleGroupId"] == stack.resolve({"Ref": "DnsFirewallRules"})
    assert 100 < association["Priority"] < 9900
    assert "MutationProtection" not in association, "the stack could not be deleted"
    allow, block = stack.properties("DnsFirewallRules")["FirewallRules"]
    assert allow["FirewallDomainRedirectionAction"] == "TRUST_REDIRECTION_DOMAIN"
    assert block["BlockResponse"] == "NXDOMAIN"


def test_the_names_of_other_endpoints_resolve() -> None:
    """S9: their workloads are in the same VPC."""
    services = ("kms", "ecr.api", "kinesis-streams")
    stack = generate(network={"interface_endpoints": {one: ["kms:Decrypt"] for one in services}})
    for host in ("kms", "api.ecr", "kinesis", "stream.kinesis"):
        assert answered(stack, f"{host}.eu-west-1.amazonaws.com")
    assert not answered(stack, "ecr.eu-west-1.amazonaws.com")


@pytest.mark.parametrize("network", [{"dns_firewall": False}, {"vpc": "existing"}])
def test_a_stack_can_be_without_firewall(network: dict[str, Any]) -> None:
    """S9: an existing VPC's resolver is its owner's; nothing is left of it, no alarm either."""
    stack = generate(network=network)
    assert not [one for one in stack.resources.values() if "Resolver" in one["Type"]]
    assert "BlockedDnsQueryAlarm" not in stack.resources
