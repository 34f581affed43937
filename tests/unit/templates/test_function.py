import importlib
import json

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import function
from tests.unit.templates.conftest import generate


def test_the_handler_is_there() -> None:
    """T1: what the template names, the worker has."""
    module, _, attribute = function.HANDLER.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_one_bad_message_fails_alone(stack: ResolvedTemplate) -> None:
    """T4, pitfall 9: partial batch response, and no filter: it would delete what does not match."""
    mapping = stack.properties("WorkerEventSourceMapping")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["EventSourceArn"] == "<WorkQueue.Arn>"
    assert "FilterCriteria" not in mapping


def test_concurrency_is_capped_by_the_pollers(stack: ResolvedTemplate) -> None:
    """Pitfall 17, R4: throttled messages age into the dead-letter queue."""
    mapping = stack.with_parameters(MaximumConcurrency=7).properties("WorkerEventSourceMapping")
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 7}
    assert "ProvisionedPollerConfig" not in mapping


def test_reserved_concurrency_is_unset_unless_asked_for(stack: ResolvedTemplate) -> None:
    """Pitfall 18: it fails in new accounts."""
    assert "ReservedConcurrentExecutions" not in stack.properties("Worker")


def test_reserved_concurrency_is_never_below_the_pollers_appetite(stack: ResolvedTemplate) -> None:
    """Pitfall 17, R4: the same number, by construction."""
    asked = stack.with_parameters(ReserveConcurrency="true", MaximumConcurrency=7)
    assert asked.properties("Worker")["ReservedConcurrentExecutions"] == 7


def test_a_large_batch_has_its_window() -> None:
    """Pitfall 49: the specification's relation reaches the mapping."""
    stack = generate(queues={"default": {"batch_size": 50, "maximum_batching_window_seconds": 3}})
    mapping = stack.properties("WorkerEventSourceMapping")
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (50, 3)


def test_a_loop_is_stopped(stack: ResolvedTemplate) -> None:
    """Pitfall 16, R5: should output ever come back as input."""
    assert stack.properties("Worker")["RecursiveLoop"] == "Terminate"
    variables = stack.properties("Worker")["Environment"]["Variables"]
    assert variables["THUMBNAIL_BUCKET"] not in variables["SOURCES"]


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("mx-central-1", "aws"),
        ("ap-southeast-6", "aws"),
    ],
)
def test_a_region_without_the_recursion_api_gets_no_setting(
    stack: ResolvedTemplate, region: str, partition: str
) -> None:
    """Pitfall 67: CloudFormation calls the API, and the function's creation fails."""
    there = stack.with_parameters(**{"AWS::Region": region, "AWS::Partition": partition})
    assert "RecursiveLoop" not in there.properties("Worker")


def test_the_function_lives_in_the_private_subnets(stack: ResolvedTemplate) -> None:
    """S6: all of them (R3)."""
    config = stack.properties("Worker")["VpcConfig"]
    assert config["SubnetIds"] == [f"<{title}>" for title in stack.resources_of_type("EC2::Subnet")]


def test_the_log_group_is_there_before_the_function(stack: ResolvedTemplate) -> None:
    """Pitfall 27, O1: with retention and key, and no right to make one."""
    group = stack.properties("WorkerLogGroup")
    assert group["RetentionInDays"] == 30
    logging = stack.properties("Worker")["LoggingConfig"]
    assert logging == {"LogGroup": group["LogGroupName"], "LogFormat": "JSON"}
    write = stack.statement("WorkerRole", "WriteLogs")
    assert write["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert write["Resource"] == ["<WorkerLogGroup.Arn>"]


def test_code_cannot_use_the_interface_rights(stack: ResolvedTemplate) -> None:
    """Pitfall 23, S7: Lambda's permissions are denied to the code of any function."""
    refusal = stack.statement("WorkerRole", "DenyNetworkInterfacesToCode")
    assert refusal["Effect"] == "Deny"
    assert refusal["Action"] == ["ec2:*"]
    assert refusal["Resource"] == ["*"]
    assert refusal["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


def test_lambda_may_assume_the_role_without_a_condition(stack: ResolvedTemplate) -> None:
    """Pitfall 59: a condition key that Lambda did not send would keep the function from running."""
    trust = stack.statement("WorkerRole", "Assume")
    assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}
    assert "Condition" not in trust


def test_the_role_is_exactly_this(stack: ResolvedTemplate) -> None:
    """S5: a right more or less is a decision, made here."""
    assert {s["Sid"]: s["Action"] for s in stack.statements("WorkerRole")} == {
        "Assume": ["sts:AssumeRole"],
        "ReadUploads": ["s3:GetObjectVersion"],
        "ListUploads": ["s3:ListBucket", "s3:ListBucketVersions"],
        "WriteOutputs": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        "ListOutputs": ["s3:ListBucket"],
        "DeleteOrDelayMessages": ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage"],
        "ReceiveMessages": ["sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
        "DecryptMessages": ["kms:Decrypt"],
        "DecryptUploads": ["kms:Decrypt"],
        "EncryptOutputs": ["kms:Decrypt", "kms:GenerateDataKey"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "DecryptEnvironment": ["kms:Decrypt"],
        "ManageNetworkInterfaces": [
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:UnassignPrivateIpAddresses",
        ],
        "DescribeNetworkInterfaces": ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"],
        "DenyNetworkInterfacesToCode": ["ec2:*"],
    }


@pytest.mark.parametrize(("created", "endpoint"), [("true", "<SqsEndpoint>"), ("false", "none")])
def test_sqs_is_denied_to_the_code_outside_its_endpoint(
    stack: ResolvedTemplate, created: str, endpoint: str
) -> None:
    """S5: the code's credentials are of no use on the queue elsewhere, or without an endpoint."""
    stack = stack.with_parameters(CreateSqsEndpoint=created)
    statement = stack.statement("WorkerSqsPerimeter", "DenySqsToCodeOutsideEndpoint")
    assert (statement["Effect"], statement["Action"]) == ("Deny", ["sqs:*"])
    assert statement["Condition"] == {
        "Null": {"lambda:SourceFunctionArn": "false"},  # not to Lambda's pollers
        "StringNotEquals": {"aws:SourceVpce": endpoint},
    }
    assert stack.properties("WorkerSqsPerimeter")["Roles"] == ["<WorkerRole>"]
    mapping = stack.resources["WorkerEventSourceMapping"]
    assert mapping["DependsOn"] == ["WorkerSqsPerimeter"]  # nothing is processed without it
    off = stack.with_parameters(EnforceVpcEndpoint="false")
    assert [one["Sid"] for one in off.statements("WorkerSqsPerimeter")] == ["DenyReceivingToCode"]


def test_code_cannot_receive(stack: ResolvedTemplate) -> None:
    """Pitfall 62, S5: what Lambda needs to poll is denied to the code of any function."""
    statement = stack.statement("WorkerSqsPerimeter", "DenyReceivingToCode")
    assert statement["Effect"] == "Deny"
    assert statement["Action"] == ["sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    assert statement["Resource"] == ["*"]
    assert statement["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


VARIANTS = {"widths": [640, 320], "formats": {"avif": 60}, "cache_control": "no-store"}


def test_the_environment_says_what_the_specification_says() -> None:
    """P1, pitfall 43: variants and limits reach the worker."""
    stack = generate(
        variants={"default": VARIANTS},
        queues={"default": {"max_file_size_mb": 20, "max_megapixels": 30}},
    )
    variables = stack.properties("Worker")["Environment"]["Variables"]
    assert json.loads(variables["VARIANTS"]) == {"default": VARIANTS}
    assert variables["MAX_OBJECT_BYTES"] == "20000000"
    assert variables["MAX_PIXELS"] == "30000000"


def test_the_fullest_environment_fits() -> None:
    """Pitfall 31: Lambda takes 4,096 bytes of environment."""
    stack = generate(
        variants={
            "default": {
                "widths": list(range(8185, 8193)),
                "formats": {"jpeg": 100, "webp": 100, "avif": 100},
                "cache_control": "x" * 200,
            }
        }
    )
    longest = stack.with_parameters(NamePrefix="x" * 20, **{"AWS::Region": "ap-southeast-1"})
    variables = longest.properties("Worker")["Environment"]["Variables"]
    assert sum(len(key) + len(value) for key, value in variables.items()) < 3000


@pytest.mark.parametrize(
    ("parameter", "key", "value"),
    [
        ("Runtime", "Runtime", "python3.12"),
        ("MemorySize", "MemorySize", 3008),
        ("CodeSigningConfigArn", "CodeSigningConfigArn", "arn:x"),
    ],
)
def test_parameters_reach_the_function(
    stack: ResolvedTemplate, parameter: str, key: str, value: object
) -> None:
    """R4, S8: settings, and a code signing configuration where there is one."""
    assert stack.with_parameters(**{parameter: value}).properties("Worker")[key] == value


def test_traces_are_sent_only_when_asked_for(stack: ResolvedTemplate) -> None:
    """O1, S5: what tracing costs and what it may do are there with it, and not without."""
    traced = stack.with_parameters(Tracing="Active")
    assert traced.properties("Worker")["TracingConfig"] == {"Mode": "Active"}
    right = traced.statement("WorkerRole", "SendTraces")
    assert right["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    assert stack.properties("Worker")["TracingConfig"] == {"Mode": "PassThrough"}
    assert "SendTraces" not in {one["Sid"] for one in stack.statements("WorkerRole")}


def test_arm64_and_no_signing_unless_asked_for(stack: ResolvedTemplate) -> None:
    """S8, D1: the defaults."""
    worker = stack.properties("Worker")
    assert worker["Architectures"] == ["arm64"]
    assert worker["Runtime"] == "python3.13"
    assert "CodeSigningConfigArn" not in worker
