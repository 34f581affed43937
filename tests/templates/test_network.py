import ipaddress

import pytest

from ops.reading import Reading
from ops.rules import network
from tests.templates.conftest import generate

# What a closed network is made of; anything else could be a road out of it.
CLOSED = {
    *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable", "AWS::EC2::SecurityGroup"),
    *("AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCEndpoint", "AWS::EC2::FlowLog"),
}


@pytest.mark.parametrize("zones", [2, 3, 4])
def test_each_zone_has_a_subnet_of_its_own(zones: int) -> None:
    """R3, trap 24: two or more zones, chosen by number and not by letter."""
    stack = generate(network={"zones": zones})
    subnets = [
        resource["Properties"]
        for resource in stack.resources.values()
        if resource["Type"] == "AWS::EC2::Subnet"
    ]
    assert len(subnets) == zones
    chosen = [subnet["AvailabilityZone"]["Fn::Select"] for subnet in subnets]
    assert [zone for zone, _ in chosen] == [{"Ref": f"Zone{letter}"} for letter in "ABCD"[:zones]]
    assert all(source == {"Fn::GetAZs": ""} for _, source in chosen)
    numbers = [stack.parameter(f"Zone{letter}") for letter in "ABCD"[:zones]]
    assert len(set(numbers)) == zones


def test_two_zones_that_are_one_are_refused() -> None:
    """R3: a second subnet in the same zone is no second zone."""
    stack = generate(network={"zones": 3})
    assert stack.broken_rules() == []
    assert stack.given(ZoneB=2).broken_rules() == [
        "Two Zone parameters name the same Availability Zone."
    ]


@pytest.mark.parametrize("bits", [16, 20, 24])
def test_the_subnets_fit_the_smallest_and_the_largest_network(bits: int) -> None:
    """R3: Fn::Cidr cuts four /26 out of a /24 and more."""
    stack = generate(network={"zones": 4})
    subnet = stack.resources["PrivateSubnetD"]["Properties"]
    index, cut = subnet["CidrBlock"]["Fn::Select"]
    _, count, host_bits = cut["Fn::Cidr"]
    network = ipaddress.ip_network(f"10.0.0.0/{bits}")
    pieces = list(network.subnets(new_prefix=32 - host_bits))[:count]
    assert pieces[index].num_addresses == 64


def test_there_is_no_road_out(stack: Reading) -> None:
    """S6: no gateway, no route, no public address."""
    kinds = {resource["Type"] for resource in stack.resources.values()}
    assert {kind for kind in kinds if kind.startswith("AWS::EC2::")} == CLOSED
    assert not {kind.removeprefix("AWS::") for kind in kinds} & set(network.ROADS)
    for subnet in stack.of_type("EC2::Subnet").values():
        assert subnet["MapPublicIpOnLaunch"] is False


def test_the_worker_reaches_the_endpoints_and_nothing_else(stack: Reading) -> None:
    """S6: HTTPS to S3's prefix list and to the endpoints' group; nothing comes in."""
    group = stack.properties("WorkerSecurityGroup")
    assert "SecurityGroupIngress" not in group
    to_storage, to_queue = group["SecurityGroupEgress"]
    for rule in (to_storage, to_queue):
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
        assert not {"CidrIp", "CidrIpv6"} & set(rule)
    assert to_storage["DestinationPrefixListId"] == "pl-6da54004"
    assert to_queue["DestinationSecurityGroupId"] == "<EndpointSecurityGroup>"


def test_without_the_queue_endpoint_there_is_no_way_to_it(stack: Reading) -> None:
    """S6: a door that is not there needs no rule."""
    group = stack.given(QueueEndpoint="false").properties("WorkerSecurityGroup")
    (rule,) = group["SecurityGroupEgress"]
    assert "DestinationPrefixListId" in rule


def test_the_endpoints_answer_this_network_and_ask_nobody(stack: Reading) -> None:
    """S6: an egress list that is left out would mean everywhere."""
    group = stack.properties("EndpointSecurityGroup")
    (inward,), (outward,) = group["SecurityGroupIngress"], group["SecurityGroupEgress"]
    assert inward["CidrIp"] == stack.properties("Vpc")["CidrBlock"]
    assert (inward["FromPort"], inward["ToPort"]) == (443, 443)
    assert ipaddress.ip_network(outward["CidrIp"]).is_loopback


def test_private_names_resolve(stack: Reading) -> None:
    """Trap 45: without both the SDK resolves the public address and hangs."""
    vpc = stack.properties("Vpc")
    assert vpc["EnableDnsSupport"] is True
    assert vpc["EnableDnsHostnames"] is True


def test_the_interfaces_go_before_the_right_to_remove_them(stack: Reading) -> None:
    """Trap 22: otherwise deletion hangs on the function's network interfaces."""
    assert stack.resources["WorkerSecurityGroup"]["DependsOn"] == ["WorkerRole"]
    vpc_config = stack.properties("Worker")["VpcConfig"]
    assert vpc_config["SecurityGroupIds"] == ["<WorkerSecurityGroup>"]


def test_all_traffic_is_recorded_by_a_role_that_can_do_only_that(stack: Reading) -> None:
    """S6, S5: flow logs, trusted for this account's flow logs alone (trap 32)."""
    log = stack.properties("FlowLog")
    assert (log["ResourceId"], log["TrafficType"]) == ("<Vpc>", "ALL")
    assert log["LogGroupName"] == stack.properties("FlowLogGroup")["LogGroupName"]
    trust = stack.statement("FlowLogRole", "Assume")
    assert trust["Principal"] == {"Service": ["vpc-flow-logs.amazonaws.com"]}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert "aws:SourceArn" in trust["Condition"]["ArnLike"]
    write = stack.statement("FlowLogRole", "WriteFlowLog")
    assert write["Resource"] == ["<FlowLogGroup.Arn>"]
    assert "logs:CreateLogGroup" not in write["Action"]
