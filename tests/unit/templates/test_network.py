import ipaddress

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.lint.rules import endpoints
from tests.unit.templates.conftest import generate

# What a closed network is made of; anything else could be a route out of it.
CLOSED = {
    *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable", "AWS::EC2::SecurityGroup"),
    *("AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCEndpoint", "AWS::EC2::FlowLog"),
}


@pytest.mark.parametrize("zones", [2, 3, 4])
def test_each_zone_has_a_subnet_of_its_own(zones: int) -> None:
    """R3, pitfall 24: two or more zones, chosen by index and not by letter."""
    stack = generate(network={"availability_zones": zones})
    subnets = [
        resource["Properties"]
        for resource in stack.resources.values()
        if resource["Type"] == "AWS::EC2::Subnet"
    ]
    assert len(subnets) == zones
    chosen = [subnet["AvailabilityZone"]["Fn::Select"] for subnet in subnets]
    assert [zone for zone, _ in chosen] == [
        {"Ref": f"AvailabilityZoneIndex{letter}"} for letter in "ABCD"[:zones]
    ]
    assert all(source == {"Fn::GetAZs": ""} for _, source in chosen)
    numbers = [stack.parameter(f"AvailabilityZoneIndex{letter}") for letter in "ABCD"[:zones]]
    assert len(set(numbers)) == zones


def test_two_zones_that_are_one_are_refused() -> None:
    """R3: a second subnet in the same zone is no second zone."""
    stack = generate(network={"availability_zones": 3})
    assert stack.broken_rules() == []
    assert stack.with_parameters(AvailabilityZoneIndexB=2).broken_rules() == [
        "The AvailabilityZoneIndex values must differ."
    ]


@pytest.mark.parametrize("bits", [16, 20, 24])
def test_the_subnets_fit_the_smallest_and_the_largest_network(bits: int) -> None:
    """R3: Fn::Cidr cuts four /26 out of a /24 and more."""
    stack = generate(network={"availability_zones": 4})
    subnet = stack.resources["PrivateSubnetD"]["Properties"]
    index, cut = subnet["CidrBlock"]["Fn::Select"]
    _, count, host_bits = cut["Fn::Cidr"]
    network = ipaddress.ip_network(f"10.0.0.0/{bits}")
    pieces = list(network.subnets(new_prefix=32 - host_bits))[:count]
    assert pieces[index].num_addresses == 64


def test_there_is_no_internet_egress(stack: ResolvedTemplate) -> None:
    """S6: no gateway, no route, no public address."""
    kinds = {resource["Type"] for resource in stack.resources.values()}
    assert {kind for kind in kinds if kind.startswith("AWS::EC2::")} == CLOSED
    assert not {kind.removeprefix("AWS::") for kind in kinds} & set(endpoints.EGRESS_TYPES)
    for subnet in stack.resources_of_type("EC2::Subnet").values():
        assert subnet["MapPublicIpOnLaunch"] is False


def test_the_worker_reaches_the_endpoints_and_nothing_else(stack: ResolvedTemplate) -> None:
    """S6: HTTPS to S3's prefix list and to the endpoints' group; nothing comes in."""
    group = stack.properties("WorkerSecurityGroup")
    assert "SecurityGroupIngress" not in group
    to_storage, to_queue = group["SecurityGroupEgress"]
    for rule in (to_storage, to_queue):
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
        assert not {"CidrIp", "CidrIpv6"} & set(rule)
    assert to_storage["DestinationPrefixListId"] == "pl-6da54004"
    assert to_queue["DestinationSecurityGroupId"] == "<EndpointSecurityGroup>"


def test_without_the_queue_endpoint_there_is_no_way_to_it(stack: ResolvedTemplate) -> None:
    """S6: a missing endpoint needs no rule."""
    group = stack.with_parameters(CreateSqsEndpoint="false").properties("WorkerSecurityGroup")
    (rule,) = group["SecurityGroupEgress"]
    assert "DestinationPrefixListId" in rule


def test_the_endpoints_answer_this_network_and_ask_nobody(stack: ResolvedTemplate) -> None:
    """S6: an egress list that is left out would mean everywhere."""
    group = stack.properties("EndpointSecurityGroup")
    (inward,), (outward,) = group["SecurityGroupIngress"], group["SecurityGroupEgress"]
    assert inward["CidrIp"] == stack.properties("Vpc")["CidrBlock"]
    assert (inward["FromPort"], inward["ToPort"]) == (443, 443)
    assert ipaddress.ip_network(outward["CidrIp"]).is_loopback


def test_private_names_resolve(stack: ResolvedTemplate) -> None:
    """Pitfall 45: without both the SDK resolves the public address and hangs."""
    vpc = stack.properties("Vpc")
    assert vpc["EnableDnsSupport"] is True
    assert vpc["EnableDnsHostnames"] is True


def test_the_interfaces_go_before_the_right_to_remove_them(stack: ResolvedTemplate) -> None:
    """Pitfall 22: otherwise deletion hangs on the function's network interfaces."""
    assert stack.resources["WorkerSecurityGroup"]["DependsOn"] == ["WorkerRole"]
    vpc_config = stack.properties("Worker")["VpcConfig"]
    assert vpc_config["SecurityGroupIds"] == ["<WorkerSecurityGroup>"]


@pytest.mark.parametrize("logs", [{"archive": False}, {"archive_flow_logs": False}])
def test_traffic_that_is_not_archived_is_in_a_log_group(logs: dict[str, bool]) -> None:
    """S6, S5: by a role that can do only that, for this account's flow logs (pitfall 32)."""
    stack = generate(logs=logs)
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


EXISTING = {
    "VpcId": "vpc-1",
    "SubnetIds": ["subnet-1", "subnet-2"],
    "VpcCidr": "10.1.0.0/16",
    "RouteTableIds": ["rtb-1", "rtb-2"],
}


def test_an_existing_vpc_gets_endpoints_and_no_more() -> None:
    """S6: the same function, groups and endpoints; the subnets and routes belong to their owner."""
    stack = generate(network={"vpc": "existing"}).with_parameters(**EXISTING)
    kinds = {resource["Type"] for resource in stack.resources.values()}
    assert not kinds & {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable"}
    assert stack.properties("Worker")["VpcConfig"]["SubnetIds"] == ["subnet-1", "subnet-2"]
    assert stack.properties("S3Endpoint")["RouteTableIds"] == ["rtb-1", "rtb-2"]
    assert stack.properties("SqsEndpoint")["SubnetIds"] == ["subnet-1", "subnet-2"]
    (ingress,) = stack.properties("EndpointSecurityGroup")["SecurityGroupIngress"]
    assert (ingress["CidrIp"], ingress["FromPort"], ingress["ToPort"]) == ("10.1.0.0/16", 443, 443)


def test_existing_endpoints_are_used() -> None:
    """S6: the perimeter names the given endpoint, and the worker gets out to its group alone."""
    stack = generate(network={"vpc": "existing", "endpoints": "existing"}).with_parameters(
        VpcId="vpc-1",
        SubnetIds=["subnet-1", "subnet-2"],
        S3EndpointId="vpce-1",
        SqsEndpointId="vpce-2",
        SqsEndpointSecurityGroupId="sg-1",
    )
    assert not stack.resources_of_type("EC2::VPCEndpoint")
    refusal = stack.statement("ThumbnailBucketPolicy", "DenyWorkerOutsideEndpoint")
    assert refusal["Condition"]["StringNotEquals"] == {"aws:SourceVpce": "vpce-1"}
    refusal = stack.statement("WorkerSqsPerimeter", "DenySqsToCodeOutsideEndpoint")
    assert refusal["Condition"]["StringNotEquals"] == {"aws:SourceVpce": "vpce-2"}
    rules = stack.properties("WorkerSecurityGroup")["SecurityGroupEgress"]
    assert [rule.get("DestinationSecurityGroupId") for rule in rules] == [None, "sg-1"]


def test_subnets_of_another_network_are_refused() -> None:
    """S6: CloudFormation looks up where the subnets are, before anything is made."""
    rule = generate(network={"vpc": "existing"}).template["Rules"]["SubnetsAreInTheVpc"]
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {
        "Fn::EachMemberEquals": [
            {"Fn::ValueOf": ["SubnetIds", "VpcId"]},
            {"Ref": "VpcId"},
        ]
    }


def test_interface_endpoints_are_for_this_account_and_not_for_the_worker() -> None:
    """S6: other workloads' endpoints: named actions, own callers, own resources, own group."""
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    stack = generate(network={"interface_endpoints": {"kms": actions, "ecr.api": ["ecr:Put"]}})
    (statement,) = stack.statements("KmsEndpoint")
    assert statement["Action"] == actions
    assert statement["Condition"]["StringEquals"] == {
        "aws:PrincipalAccount": "111122223333",
        "aws:ResourceAccount": "111122223333",
    }
    endpoint = stack.properties("EcrApiEndpoint")
    assert endpoint["ServiceName"] == "com.amazonaws.eu-west-1.ecr.api"
    (group,) = endpoint["SecurityGroupIds"]
    rules = stack.properties("WorkerSecurityGroup")["SecurityGroupEgress"]
    assert group not in {rule.get("DestinationSecurityGroupId") for rule in rules}
