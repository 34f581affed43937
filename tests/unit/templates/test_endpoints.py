import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from tests.unit.templates.conftest import generate

ENDPOINTS = ("S3Endpoint", "SqsEndpoint")


def test_these_are_all_the_endpoints(stack: ResolvedTemplate) -> None:
    """Pitfall 42, S6: only what the worker's code calls; the rest happens outside the VPC."""
    assert set(stack.resources_of_type("EC2::VPCEndpoint")) == set(ENDPOINTS)


@pytest.mark.parametrize("title", ENDPOINTS)
def test_an_endpoint_allows_the_worker_and_nobody_else(stack: ResolvedTemplate, title: str) -> None:
    """Pitfall 26, S6: its own policy; a gateway endpoint takes `*` with the role as condition."""
    statements = stack.statements(title)
    assert statements
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == "*"
        assert statement["Condition"]["ArnEquals"] == {"aws:PrincipalArn": "<WorkerRole.Arn>"}


@pytest.mark.parametrize("title", ENDPOINTS)
def test_an_endpoint_allows_what_the_role_allows(stack: ResolvedTemplate, title: str) -> None:
    """S6, S5: the same statements, so that the two cannot drift."""
    role = {s["Sid"]: s for s in stack.statements("WorkerRole")}
    for statement in stack.statements(title):
        granted = role[statement["Sid"]]
        assert granted["Action"] == statement["Action"]
        assert granted["Resource"] == statement["Resource"]
        conditions = {k: v for k, v in statement["Condition"].items() if k != "ArnEquals"}
        assert granted.get("Condition", {}) == conditions


def test_every_s3_and_retry_permission_has_an_endpoint(stack: ResolvedTemplate) -> None:
    """S6: the worker's own calls would hang without an endpoint."""
    behind = {s["Sid"] for title in ENDPOINTS for s in stack.statements(title)}
    own = {
        s["Sid"]
        for s in stack.statements("WorkerRole")
        if s["Action"][0].startswith("s3:") or s["Sid"] == "DeleteOrDelayMessages"
    }
    assert behind == own


def test_the_road_to_s3_is_in_every_subnets_table(stack: ResolvedTemplate) -> None:
    """S6: a gateway endpoint works through route tables."""
    endpoint = stack.properties("S3Endpoint")
    tables = {
        association["SubnetId"]: association["RouteTableId"]
        for association in stack.resources_of_type("EC2::SubnetRouteTableAssociation").values()
    }
    assert set(tables) == {f"<{title}>" for title in stack.resources_of_type("EC2::Subnet")}
    assert set(tables.values()) == set(endpoint["RouteTableIds"])
    assert endpoint["VpcEndpointType"] == "Gateway"


def test_the_queue_endpoint_stands_in_every_zone_under_its_usual_name(
    stack: ResolvedTemplate,
) -> None:
    """S6, pitfall 45: private DNS, so that the SDK needs no other address."""
    endpoint = stack.properties("SqsEndpoint")
    assert endpoint["SubnetIds"] == [
        f"<{title}>" for title in stack.resources_of_type("EC2::Subnet")
    ]
    assert endpoint["PrivateDnsEnabled"] is True
    assert endpoint["SecurityGroupIds"] == ["<EndpointSecurityGroup>"]


def test_the_queue_endpoint_can_be_left_out(stack: ResolvedTemplate) -> None:
    """S6: no fixed cost, and then the worker does not try."""
    without = stack.with_parameters(CreateSqsEndpoint="false")
    assert set(without.resources_of_type("EC2::VPCEndpoint")) == {"S3Endpoint"}
    variables = without.properties("Worker")["Environment"]["Variables"]
    assert variables["WORK_QUEUE_URL"] == ""


def test_the_services_are_called_by_their_name_in_each_partition(stack: ResolvedTemplate) -> None:
    """D2: China's interface endpoints carry another prefix, its gateway does not."""
    for region, partition, prefix in (
        ("eu-west-1", "aws", "com"),
        ("us-gov-west-1", "aws-us-gov", "com"),
        ("cn-north-1", "aws-cn", "cn.com"),
    ):
        there = stack.with_parameters(**{"AWS::Region": region, "AWS::Partition": partition})
        storage, queue = (there.properties(title)["ServiceName"] for title in ENDPOINTS)
        assert storage == f"com.amazonaws.{region}.s3"
        assert queue == f"{prefix}.amazonaws.{region}.sqs"


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("kms", "com.amazonaws.cn-north-1.kms"),
        ("secretsmanager", "com.amazonaws.cn-north-1.secretsmanager"),
        ("sts", "cn.com.amazonaws.cn-north-1.sts"),
        ("ecr.api", "cn.com.amazonaws.cn-north-1.ecr.api"),
        ("transcribe", "cn.com.amazonaws.cn-north-1.transcribe.cn"),
    ],
)
def test_china_prefixes_the_names_of_some_services_only(service: str, name: str) -> None:
    """Pitfall 68: an endpoint with the other name cannot be created."""
    stack = generate(network={"interface_endpoints": {service: ["kms:Decrypt"]}})
    title = "".join(word.capitalize() for word in service.split(".")) + "Endpoint"
    there = stack.with_parameters(**{"AWS::Region": "cn-north-1", "AWS::Partition": "aws-cn"})
    assert there.properties(title)["ServiceName"] == name
    assert stack.properties(title)["ServiceName"] == f"com.amazonaws.eu-west-1.{service}"
