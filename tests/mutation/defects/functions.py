"""The function and its role."""

from tests.mutation.additions import Template, arn, sub
from tests.mutation.defects.seed import (
    defect,
    drop,
    named,
    of,
)


@defect("lambda-poll-permissions")
def role_cannot_receive(t: Template) -> None:
    named(t, "WorkerRole", "ReceiveMessages")["Action"].remove("sqs:ReceiveMessage")


@defect("kms-role-access")
def role_cannot_decrypt_messages(t: Template) -> None:
    drop(t, "WorkerRole", "DecryptMessages")


@defect("kms-role-access")
def role_cannot_encrypt_outputs(t: Template) -> None:
    named(t, "WorkerRole", "EncryptOutputs")["Action"].remove("kms:GenerateDataKey")


@defect("kms-role-access")
def encryption_context_of_the_objects(t: Template) -> None:
    condition = named(t, "WorkerRole", "EncryptOutputs")["Condition"]
    context = {"Fn::Join": ["/", [arn("ThumbnailBucket"), "*"]]}
    condition["StringLike"]["kms:EncryptionContext:aws:s3:arn"] = [context]


@defect("lambda-log-group")
def function_without_log_group(t: Template) -> None:
    del of(t, "Worker")["LoggingConfig"]["LogGroup"]


@defect("lambda-log-group")
def log_group_by_name_only(t: Template) -> None:
    of(t, "Worker")["LoggingConfig"]["LogGroup"] = sub("/${NamePrefix}/worker")
    of(t, "WorkerRole")["Policies"][1]["PolicyDocument"]["Statement"][0]["Resource"] = [
        sub(
            "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
            ":log-group:/${NamePrefix}/worker:*"
        )
    ]


@defect("iam-create-log-group")
def role_creates_log_groups(t: Template) -> None:
    named(t, "WorkerRole", "WriteLogs")["Action"].append("logs:CreateLogGroup")


@defect("lambda-log-permissions")
def role_cannot_log(t: Template) -> None:
    drop(t, "WorkerRole", "WriteLogs")


@defect("lambda-eni-permissions")
def role_cannot_place_interfaces(t: Template) -> None:
    named(t, "WorkerRole", "ManageNetworkInterfaces")["Action"].remove("ec2:CreateNetworkInterface")


@defect("lambda-eni-permissions-denied")
def code_may_use_interface_rights(t: Template) -> None:
    drop(t, "WorkerRole", "DenyNetworkInterfacesToCode")


@defect("lambda-eni-permissions-denied")
def deny_for_one_function_by_name(t: Template) -> None:
    named(t, "WorkerRole", "DenyNetworkInterfacesToCode")["Condition"] = {
        "ArnEquals": {"lambda:SourceFunctionArn": [arn("Worker")]}
    }


@defect("lambda-eni-permissions-denied")
def deny_to_lambda_itself(t: Template) -> None:
    del named(t, "WorkerRole", "DenyNetworkInterfacesToCode")["Condition"]


@defect("lambda-poll-permissions-denied")
def code_may_receive(t: Template) -> None:
    del t["Resources"]["WorkerSqsPerimeter"]
    del t["Resources"]["WorkerEventSourceMapping"]["DependsOn"]


@defect("vpc-eni-deletion-order")
def security_group_without_order(t: Template) -> None:
    del t["Resources"]["WorkerSecurityGroup"]["DependsOn"]


@defect("lambda-recursive-loop")
def outputs_into_uploads(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["THUMBNAIL_BUCKET"] = {"Ref": "UploadBucket"}


@defect("lambda-recursive-loop")
def recursion_allowed(t: Template) -> None:
    of(t, "Worker")["RecursiveLoop"] = "Allow"


@defect("lambda-recursive-loop-region")
def recursion_set_in_each_region(t: Template) -> None:
    of(t, "Worker")["RecursiveLoop"] = "Terminate"


@defect("lambda-recursive-loop")
def role_may_write_uploads(t: Template) -> None:
    named(t, "WorkerRole", "ReadUploads")["Action"].append("s3:PutObject")


@defect("lambda-environment-secret")
def secret_in_the_environment(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["API_TOKEN"] = "hunter2"


@defect("lambda-environment-size")
def environment_too_large(t: Template) -> None:
    of(t, "Worker")["Environment"]["Variables"]["NOTES"] = "x" * 4000


@defect("lambda-code-key")
def code_under_a_fixed_key(t: Template) -> None:
    of(t, "Worker")["Code"]["S3Key"] = "worker.zip"


@defect("iam-permissions-boundary")
def role_without_boundary(t: Template) -> None:
    del of(t, "LogDeliveryRole")["PermissionsBoundary"]


@defect("iam-lambda-trust")
def role_trusted_by_another_service(t: Template) -> None:
    trust = of(t, "WorkerRole")["AssumeRolePolicyDocument"]["Statement"][0]
    trust["Principal"]["Service"].append("ec2.amazonaws.com")
