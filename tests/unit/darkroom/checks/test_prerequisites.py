"""Checks before a deployment, with responses that the emulator does not have.

Those are zones and their services, quotas, and endpoints with private DNS.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.checks import prerequisites
from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.existing_endpoints import check_private_s3_names, check_sqs_endpoint
from darkroom.checks.existing_network import check_existing_network
from darkroom.checks.existing_sources import external_topic
from darkroom.checks.framework import Finding
from tests.unit.darkroom.checks.conftest import respond
from tests.unit.templates.conftest import generate


def built(description: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(generate(**(description or {})).template)


@dataclass
class Stubbed:
    """A plan whose AWS gives these responses, in this order and no others."""

    plan: DeploymentPlan

    def answers(self, service: Any, *answers: tuple[str, dict[str, Any]]) -> None:
        respond(self.plan.account.client(service), *answers)


@pytest.fixture
def stubbed(planned: Callable[..., DeploymentPlan]) -> Callable[..., Stubbed]:
    def make(description: dict[str, Any] | None = None, **values: str) -> Stubbed:
        return Stubbed(planned(description, **values))

    return make


def zones_of_us_east_1(stubbed: Stubbed, served: str, default: str = "") -> list[Finding]:
    region = "us-east-1"
    stubbed.answers(
        "ec2",
        (
            "describe_availability_zones",
            {"AvailabilityZones": [{"ZoneName": region + letter} for letter in "fabcde"]},
        ),
        (
            "describe_subnets",
            {
                "Subnets": [
                    {"AvailabilityZone": region + letter, "DefaultForAz": True}
                    for letter in default
                ]
            },
        ),
        (
            "describe_vpc_endpoint_services",
            {
                "ServiceDetails": [
                    {
                        "ServiceName": f"com.amazonaws.{region}.sqs",
                        "AvailabilityZones": [region + letter for letter in served],
                    }
                ]
            },
        ),
    )
    return list(prerequisites.check_availability_zones(stubbed.plan))


def test_zones_without_the_endpoint_are_passed_over(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 24: numbers count zones by name; where nobody chose, usable ones are taken."""
    one = stubbed()
    (found,) = zones_of_us_east_1(one, served="bdf")
    assert found.verdict == "pass"
    assert found.discovered == {"AvailabilityZoneIndexA": "1", "AvailabilityZoneIndexB": "3"}


def test_chosen_zones_are_not_changed(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 24: a chosen zone that is not usable is reported, with those that are."""
    one = stubbed(AvailabilityZoneIndexA="0", AvailabilityZoneIndexB="1")
    (found,) = zones_of_us_east_1(one, served="bdf")
    assert found.verdict == "fail"
    assert "AvailabilityZoneIndexA=0: SqsEndpoint (com.amazonaws.us-east-1.sqs)" in found.message
    assert "1 (us-east-1b), 3 (us-east-1d), 5 (us-east-1f)" in found.remediation
    assert not found.discovered


def test_zones_are_those_with_a_default_subnet(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 24: Fn::GetAZs leaves out the others, so that the numbers mean other zones."""
    one = stubbed()
    (found,) = zones_of_us_east_1(one, served="abcdef", default="df")
    assert (
        "AvailabilityZoneIndexA is us-east-1d, AvailabilityZoneIndexB is us-east-1f"
        in found.message
    )
    (found,) = zones_of_us_east_1(
        stubbed(AvailabilityZoneIndexB="2"), served="abcdef", default="df"
    )
    assert "AvailabilityZoneIndexB=2: there is no such zone" in found.message


@pytest.mark.parametrize(
    ("values", "kept", "discovered"),
    [
        ({"Environment": "prod"}, {}, "us-east-1"),
        ({"Environment": "Production"}, {}, "us-east-1"),
        ({"Environment": "prod", "AllowedRegions": "eu-west-1"}, {}, None),
        ({"Environment": "prod", "AllowedRegions": "*"}, {}, None),
        ({}, {"Environment": "prod", "AllowedRegions": "*"}, "us-east-1"),
        ({}, {"Environment": "prod", "AllowedRegions": "us-east-1,us-west-2"}, None),
    ],
)
def test_a_production_stack_stays_in_its_region(
    stubbed: Callable[..., Stubbed],
    deployed: Callable[..., Stack],
    values: dict[str, str],
    kept: dict[str, str],
    discovered: str | None,
) -> None:
    """D2: the Region is filled in where nobody gave one, and a deployment would keep none."""
    plan = stubbed(**values).plan
    stack = deployed(parameters=kept)
    plan = replace(plan, find_existing=lambda: stack if kept else None)
    (found,) = prerequisites.check_allowed_regions(plan)
    assert found.verdict == "pass"
    assert found.discovered.get("AllowedRegions") == discovered


@pytest.mark.parametrize("environment", ["dev", "staging", "preprod"])
def test_other_stacks_may_be_anywhere(stubbed: Callable[..., Stubbed], environment: str) -> None:
    one = stubbed(Environment=environment)
    assert list(prerequisites.check_allowed_regions(one.plan)) == []


@pytest.mark.parametrize(
    ("quota", "left", "values", "verdict"),
    [
        (10, 10, {"MaximumConcurrency": "10"}, "pass"),
        (10, 10, {"MaximumConcurrency": "11"}, "warn"),
        (10, 10, {"MaximumConcurrency": "2", "ReserveConcurrency": "true"}, "fail"),
        (1000, 1000, {"MaximumConcurrency": "900", "ReserveConcurrency": "true"}, "pass"),
        (1000, 1000, {"MaximumConcurrency": "901", "ReserveConcurrency": "true"}, "fail"),
        (1000, 100, {"MaximumConcurrency": "2", "ReserveConcurrency": "true"}, "fail"),
        (1000, 40, {"MaximumConcurrency": "41"}, "warn"),
    ],
)
def test_the_accounts_quota_bounds_concurrency(
    stubbed: Callable[..., Stubbed], quota: int, left: int, values: dict[str, str], verdict: str
) -> None:
    """Pitfall 18: Lambda keeps 100 unreserved, or all of a new account's 10."""
    one = stubbed(**values)
    limit = {"ConcurrentExecutions": quota, "UnreservedConcurrentExecutions": left}
    one.answers("lambda", ("get_account_settings", {"AccountLimit": limit}))
    (found,) = prerequisites.check_concurrency(one.plan)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("DELETE_FAILED", "delete-stack"),
        ("ROLLBACK_COMPLETE", "delete-stack"),
        ("UPDATE_FAILED", "rollback-stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("IMPORT_ROLLBACK_FAILED", "describe-stack-events"),
    ],
)
def test_a_failed_state_has_its_own_way_out(
    stubbed: Callable[..., Stubbed], deployed: Callable[..., Stack], status: str, command: str
) -> None:
    """D4: what CloudFormation accepts in that state; another command is refused."""
    plan = stubbed().plan
    existing = deployed(status)
    (found,) = prerequisites.check_stack(replace(plan, find_existing=lambda: existing))
    assert found.remediation == f"aws cloudformation {command} --stack-name planned"


def test_a_region_without_the_prefix_list_fails(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 25: never a guess."""
    one = stubbed()
    one.answers("ec2", ("describe_managed_prefix_lists", {"PrefixLists": []}))
    (found,) = prerequisites.check_prefix_list(one.plan)
    assert found.verdict == "fail"


def test_another_accounts_topic_may_hide(stubbed: Callable[..., Stubbed]) -> None:
    """T5: that it cannot be found is no proof that it is not there."""
    one = stubbed()
    client = Stubber(one.plan.account.client("sns"))
    client.add_client_error("get_topic_attributes", "AuthorizationError", http_status_code=403)
    client.activate()
    found = external_topic(one.plan.inputs, "arn:aws:sns:us-east-1:444455556666:theirs")
    assert found.verdict == "warn"


def sqs_endpoint(**properties: Any) -> dict[str, Any]:
    """Return an endpoint for SQS as EC2 describes it."""
    return {
        "VpcEndpointId": "vpce-1",
        "VpcEndpointType": "Interface",
        "ServiceName": "com.amazonaws.us-east-1.sqs",
        "State": "available",
        "PrivateDnsEnabled": True,
        "Groups": [{"GroupId": "sg-1", "GroupName": "endpoints"}],
        **properties,
    }


@pytest.mark.parametrize(
    ("endpoints", "private", "group", "verdict"),
    [
        ("existing", True, "sg-1", "pass"),
        ("existing", True, "sg-2", "fail"),
        ("existing", False, "sg-1", "fail"),
        ("create", True, "sg-1", "fail"),  # a second private name for SQS in a VPC is refused
        ("create", False, "sg-1", "pass"),
    ],
)
def test_the_networks_endpoint_for_sqs_is_the_one_that_is_meant(
    stubbed: Callable[..., Stubbed], endpoints: str, private: bool, group: str, verdict: str
) -> None:
    """Pitfall 45, S6: with private DNS and the named group, or none that prevents a new one."""
    one = stubbed(
        {"network": {"vpc": "existing", "endpoints": endpoints}}, SqsEndpointSecurityGroupId=group
    )
    there = sqs_endpoint(PrivateDnsEnabled=private)
    gone = {**there, "State": "deleted", "PrivateDnsEnabled": True}
    one.answers(
        "ec2",
        ("describe_vpc_endpoints", {"VpcEndpoints": [gone, there]}),
        ("describe_security_groups", {"SecurityGroups": []}),
    )
    found = list(check_sqs_endpoint(one.plan.inputs, "vpc-1", []))
    assert found[0].verdict == verdict


@pytest.mark.parametrize(("given", "verdict"), [("vpce-1", "pass"), ("vpce-2", "fail")])
def test_the_endpoint_id_is_that_of_the_endpoint(
    stubbed: Callable[..., Stubbed], given: str, verdict: str
) -> None:
    """S6: with EnforceVpcEndpoint the worker's calls through another one are denied."""
    one = stubbed(
        {"network": {"vpc": "existing", "endpoints": "existing"}},
        SqsEndpointSecurityGroupId="sg-1",
        SqsEndpointId=given,
    )
    one.answers(
        "ec2",
        ("describe_vpc_endpoints", {"VpcEndpoints": [sqs_endpoint()]}),
        ("describe_security_groups", {"SecurityGroups": []}),
    )
    found = next(iter(check_sqs_endpoint(one.plan.inputs, "vpc-1", [])))
    assert found.verdict == verdict
    assert found.remediation == ("" if verdict == "pass" else "SqsEndpointId=vpce-1")


SUBNETS: list[Any] = [
    {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "a", "CidrBlock": "10.0.0.0/26"},
    {"SubnetId": "subnet-2", "VpcId": "vpc-1", "AvailabilityZone": "b", "CidrBlock": "10.0.1.0/26"},
]
ROLE = "arn:aws:iam::111122223333:role/planned-WorkerRole-*"


def everything(**condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    return {**statement, "Condition": condition}


HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


@pytest.mark.parametrize(
    ("rule", "statement", "verdicts"),
    [
        ({**HTTPS, "IpRanges": [{"CidrIp": "10.0.0.0/23"}]}, everything(), ["pass", "pass"]),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, everything(), ["pass"] * 2),
        ({**HTTPS, "IpRanges": [{"CidrIp": "10.0.0.0/24"}]}, everything(), ["fail", "pass"]),
        ({**HTTPS, "ToPort": 80, "FromPort": 22}, everything(), ["fail", "pass"]),
        ({**HTTPS, "UserIdGroupPairs": [{"GroupId": "sg-9"}]}, everything(), ["fail", "pass"]),
        ({**HTTPS, "PrefixListIds": [{"PrefixListId": "pl-1"}]}, everything(), ["pass", "pass"]),
        (
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            everything(ArnLike={"aws:PrincipalArn": ROLE}),
            ["pass", "pass"],
        ),
        (
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {**everything(), "Action": "sqs:SendMessage"},
            ["pass", "fail"],
        ),
        (
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            everything(StringEquals={"aws:PrincipalOrgID": "o-1"}),
            ["pass", "warn"],
        ),
    ],
)
def test_the_networks_endpoint_for_sqs_lets_the_worker_in(
    stubbed: Callable[..., Stubbed],
    rule: dict[str, Any],
    statement: dict[str, Any],
    verdicts: list[str],
) -> None:
    """Pitfall 72: by the group's rules from all subnets, and by the endpoint's policy."""
    one = stubbed(
        {"network": {"vpc": "existing", "endpoints": "existing"}},
        SqsEndpointSecurityGroupId="sg-1",
    )
    there = sqs_endpoint(PolicyDocument=json.dumps({"Statement": [statement]}))
    one.answers(
        "ec2",
        ("describe_vpc_endpoints", {"VpcEndpoints": [there]}),
        ("describe_security_groups", {"SecurityGroups": [{"IpPermissions": [rule]}]}),
        *(
            [("get_managed_prefix_list_entries", {"Entries": [{"Cidr": "10.0.0.0/16"}]})]
            if "PrefixListIds" in rule
            else []
        ),
    )
    _, *found = check_sqs_endpoint(one.plan.inputs, "vpc-1", SUBNETS)
    assert [finding.verdict for finding in found] == verdicts


def test_an_endpoints_unreadable_group_is_a_warning(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 72: a refused call is no proof that the worker is kept out."""
    one = stubbed(
        {"network": {"vpc": "existing", "endpoints": "existing"}},
        SqsEndpointSecurityGroupId="sg-1",
    )
    client = Stubber(one.plan.account.client("ec2"))
    client.add_response("describe_vpc_endpoints", {"VpcEndpoints": [sqs_endpoint()]})
    client.add_client_error("describe_security_groups", "UnauthorizedOperation")
    client.activate()
    verdicts = [one.verdict for one in check_sqs_endpoint(one.plan.inputs, "vpc-1", SUBNETS)]
    assert verdicts == ["pass", "warn", "pass"]


@pytest.mark.parametrize(("only_inbound", "count"), [(False, 1), (True, 0)])
def test_s3s_name_leads_to_the_gateway(only_inbound: bool, count: int) -> None:
    """Pitfall 73: private DNS of an interface endpoint for S3 is for inbound resolvers only."""
    endpoint: Any = {
        "VpcEndpointId": "vpce-2",
        "VpcEndpointType": "Interface",
        "PrivateDnsEnabled": True,
        "DnsOptions": {"PrivateDnsOnlyForInboundResolverEndpoint": only_inbound},
    }
    assert [one.verdict for one in check_private_s3_names("vpc-1", [endpoint])] == ["fail"] * count


def test_an_endpoint_takes_one_subnet_in_each_zone(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 71: Lambda takes both, EC2 refuses the endpoint."""
    third = {**SUBNETS[1], "SubnetId": "subnet-3"}
    one = stubbed(
        {"network": {"vpc": "existing"}},
        VpcId="vpc-1",
        SubnetIds="subnet-1,subnet-2,subnet-3",
        VpcCidr="10.0.0.0/16",
        RouteTableIds="rtb-1",
    )
    main = {"RouteTableId": "rtb-1", "Associations": [{"Main": True}]}
    one.answers(
        "ec2",
        ("describe_subnets", {"Subnets": [*SUBNETS, third]}),
        ("describe_vpc_attribute", {"EnableDnsSupport": {"Value": True}}),
        ("describe_vpc_attribute", {"EnableDnsHostnames": {"Value": True}}),
        ("describe_route_tables", {"RouteTables": [main]}),
        ("describe_vpc_endpoints", {"VpcEndpoints": []}),
        ("describe_vpc_endpoints", {"VpcEndpoints": []}),
    )
    (wrong,) = [
        found for found in check_existing_network(one.plan.inputs) if found.verdict == "fail"
    ]
    assert "subnet-2 and subnet-3, which are both in b" in wrong.message
