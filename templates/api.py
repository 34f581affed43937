"""The upload API: its function, its limits, and who may call it from where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import awacs.execute_api as execute_api
import awacs.s3 as s3
from awacs.aws import (
    NotIpAddress,
    Null,
    NumericGreaterThan,
    Statement,
    StringLike,
    StringNotEquals,
)
from troposphere import GetAtt, If, NoValue, Output, Ref, Sub, Template, encode_to_dict
from troposphere.apigateway import (
    AccessLogSetting,
    ApiKey,
    ApiStage,
    Deployment,
    EndpointConfiguration,
    MethodSetting,
    QuotaSettings,
    RestApi,
    Stage,
    ThrottleSettings,
    UsagePlan,
    UsagePlanKey,
)
from troposphere.awslambda import (
    Code,
    Environment,
    Function,
    LoggingConfig,
    Permission,
    TracingConfig,
    VPCConfig,
)
from troposphere.iam import Policy, Role
from troposphere.logs import LogGroup
from troposphere.s3 import Bucket

from templates import naming, policies
from templates.api_document import FUNCTION, STAGE, document
from templates.buckets import Buckets
from templates.encryption import Encryption
from templates.function import run_grants
from templates.log_group import add_log_group
from templates.network import Network
from templates.parameters.api import ApiParameters
from templates.parameters.controls import Controls
from templates.parameters.stack import Parameters
from templates.security_groups import add_api_security_group
from templates.specification import Specification
from templates.specification_sources import HASH_PATTERN
from templates.suppressions import suppress

HANDLER = "worker.api.handle"
MEMORY_MEGABYTES = 512
TIMEOUT_SECONDS = 10
"""Two calls of S3, each repeated once; API Gateway waits for 29 s."""

LONGEST_SIGNATURE_MILLISECONDS = 300_000
"""The expiry of the URLs, which worker/api_states.py has in seconds."""

ACCESS_LOGS = f"{FUNCTION}-access"

# What the stage writes of each request; nothing that grants anything.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    # A caller may choose the other one.
    "extendedRequestId": "$context.extendedRequestId",
    # Of the function's invocation.
    "functionRequestId": "$context.integration.requestId",
    "time": "$context.requestTimeEpoch",
    "caller": "$context.identity.userArn",
    "address": "$context.identity.sourceIp",
    "apiKeyId": "$context.identity.apiKeyId",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "latency": "$context.responseLatency",
}


@dataclass(frozen=True, kw_only=True)
class ApiIdentity:
    """The role of the API's function, its log group, and the bucket that it grants uploads to."""

    role: Role
    log_group: LogGroup
    grants: Sequence[Statement]
    """Through the S3 endpoint, whose policy allows the same."""

    source: str
    uploads: Bucket
    prefix: str

    def deny_other_uploads(self) -> list[Statement]:
        """Return what the upload bucket denies the role: all but fresh URLs of new objects.

        It limits whoever has the role's credentials, and the URLs that its own code could sign.
        """
        objects = [policies.within(GetAtt(self.uploads, "Arn"), "*")]
        by_role = policies.by_principal(GetAtt(self.role, "Arn"))
        return [
            policies.deny(sid, [s3.PutObject], objects, by_role, test, principal=policies.anyone())
            for sid, test in (
                ("DenyApiOverwrites", Null({"s3:if-none-match": "true"})),
                ("DenyApiWithoutUrl", StringNotEquals({"s3:authType": "REST-QUERY-STRING"})),
                (
                    "DenyApiOldUrls",
                    NumericGreaterThan({"s3:signatureAge": LONGEST_SIGNATURE_MILLISECONDS}),
                ),
            )
        ]


@dataclass(frozen=True, kw_only=True)
class UploadApi:
    """The API, its stage and its key."""

    api: RestApi
    stage: Stage
    key: ApiKey
    uploads: Bucket
    log_groups: Mapping[str, LogGroup]
    """Of the function and of the stage, by kind of log."""

    @property
    def name(self) -> Sub:
        """Name of the API, by which CloudWatch has its metrics."""
        name: Sub = self.api.Name
        return name

    def outputs(self) -> list[Output]:
        """Return the stack's outputs about the API."""
        host = f"${{{self.api.title}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}"
        url = Sub(f"https://{host}/{STAGE}")
        return [
            Output("UploadApiUrl", Description="URL of the upload API", Value=url),
            Output(
                "UploadApiKeyId",
                Description="ID of the API key that callers of the upload API need",
                Value=Ref(self.key),
            ),
        ]


def add_api_identity(
    template: Template,
    specification: Specification,
    parameters: Parameters,
    buckets: Buckets,
    encryption: Encryption,
) -> ApiIdentity | None:
    """Add the role of the API's function and its log group; None for a stack without an API."""
    if specification.api is None:
        return None
    source, prefix = specification.api.source, specification.api.prefix
    uploads, thumbnails = buckets.uploads[source], buckets.thumbnails
    upload_arn, thumbnail_arn = GetAtt(uploads, "Arn"), GetAtt(thumbnails, "Arn")
    below = _records_below(specification)
    grants = [
        # As the caller of a URL, for which S3 takes whoever signed it.
        policies.allow(
            "UploadByUrl",
            [s3.PutObject],
            [policies.within(upload_arn, f"{prefix}*")],
            policies.in_this_account(),
        ),
        policies.allow(
            "FindUploads",
            [s3.ListBucket],
            [upload_arn],
            policies.in_this_account(),
            StringLike({"s3:prefix": [f"{prefix}*"]}),
        ),
        policies.allow(
            "ReadRecords",
            [s3.GetObject],
            [policies.within(thumbnail_arn, f"{below}*/index.json")],
            policies.in_this_account(),
        ),
        # Without it S3 answers 403 for a missing record.
        policies.allow(
            "ListRecords",
            [s3.ListBucket],
            [thumbnail_arn],
            policies.in_this_account(),
            policies.listing([below]),
        ),
    ]
    log_group = add_log_group(
        template,
        "UploadApiLogGroup",
        FUNCTION,
        encryption=encryption,
        retention_days=parameters.retention.log_days,
    )
    keys = [
        encryption.decrypt("DecryptRecords", "aws:s3:arn", thumbnail_arn),
        encryption.encrypt_and_decrypt("EncryptUploads", "aws:s3:arn", upload_arn),
    ]
    tracing_enabled = parameters.monitoring.tracing_enabled
    run = run_grants([naming.function_arn(FUNCTION)], log_group, encryption, tracing_enabled)
    role = template.add_resource(
        Role(
            "UploadApiRole",
            # Without a source condition, as the worker's role (pitfall 59).
            AssumeRolePolicyDocument=policies.document(
                policies.allow_assume("lambda.amazonaws.com")
            ),
            PermissionsBoundary=parameters.controls.permissions_boundary,
            Policies=[
                Policy(PolicyName="work", PolicyDocument=policies.document(*grants, *keys)),
                Policy(PolicyName="run", PolicyDocument=policies.document(*run)),
            ],
        )
    )
    return ApiIdentity(
        role=role,
        log_group=log_group,
        grants=grants,
        source=source,
        uploads=uploads,
        prefix=prefix,
    )


def add_api(
    template: Template,
    *,
    specification: Specification,
    identity: ApiIdentity,
    parameters: Parameters,
    network: Network,
    buckets: Buckets,
    encryption: Encryption,
) -> UploadApi:
    """Add the function, the REST API with its stage, and the usage plan with its key."""
    package, monitoring = parameters.package, parameters.monitoring
    limits = parameters.api
    if limits is None:
        raise ValueError("the stack has no parameters of an upload API")
    group = add_api_security_group(
        template,
        vpc=network.vpc,
        s3_prefix_list=parameters.network.s3_prefix_list,
        interfaces_owner=identity.role,
    )
    function = template.add_resource(
        Function(
            "UploadApiFunction",
            FunctionName=naming.name(FUNCTION),
            Runtime=package.runtime,
            Architectures=[package.architecture],
            Handler=HANDLER,
            Metadata=suppress(
                CKV_AWS_115="The stage's throttling limits it; a reservation takes from others",
                CKV_AWS_116="Lambda uses it for asynchronous calls; API Gateway's are not",
            ),
            Code=Code(S3Bucket=package.bucket, S3Key=package.key),
            CodeSigningConfigArn=package.signing_config,
            Role=GetAtt(identity.role, "Arn"),
            MemorySize=MEMORY_MEGABYTES,
            Timeout=TIMEOUT_SECONDS,
            KmsKeyArn=encryption.arn,
            VpcConfig=VPCConfig(SubnetIds=network.subnets, SecurityGroupIds=[group]),
            LoggingConfig=LoggingConfig(LogGroup=Ref(identity.log_group), LogFormat="JSON"),
            TracingConfig=TracingConfig(Mode=monitoring.tracing_mode),
            Environment=Environment(
                Variables={
                    "UPLOADS": _settings(specification),
                    "UPLOAD_BUCKET": Ref(identity.uploads),
                    "THUMBNAIL_BUCKET": Ref(buckets.thumbnails),
                    "LOG_LEVEL": "INFO",
                }
            ),
        )
    )
    api, deployment = _add_rest_api(template, specification, limits, parameters.controls)
    template.add_resource(
        Permission(
            "UploadApiPermission",
            Action="lambda:InvokeFunction",
            FunctionName=Ref(function),
            Principal="apigateway.amazonaws.com",
            SourceAccount=policies.ACCOUNT,
            SourceArn=_execute_api_arn(api),
        )
    )
    access_log_group = add_log_group(
        template,
        "UploadApiAccessLogGroup",
        ACCESS_LOGS,
        encryption=encryption,
        retention_days=parameters.retention.log_days,
    )
    stage = _add_stage(template, api, deployment, parameters, limits, access_log_group)
    return UploadApi(
        api=api,
        stage=stage,
        key=_add_usage_plan(template, api, stage, limits),
        uploads=identity.uploads,
        log_groups={FUNCTION: identity.log_group, ACCESS_LOGS: access_log_group},
    )


def _add_rest_api(
    template: Template,
    specification: Specification,
    parameters: ApiParameters,
    controls: Controls,
) -> tuple[RestApi, Deployment]:
    settings = specification.api
    is_private = settings is not None and settings.access == "private"
    queue = specification.queues[specification.sources[settings.source].queue] if settings else None
    body = document(queue.max_file_size_mb * 10**6 if queue else 0)
    endpoint = parameters.endpoint or Ref("ExecuteApiEndpoint")
    policy = policies.document(
        policies.deny(
            "DenyOtherAccounts",
            [execute_api.Invoke],
            ["execute-api:/*"],
            StringNotEquals({"aws:PrincipalAccount": policies.ACCOUNT}),
            principal=policies.anyone(),
        ),
        *_deny_elsewhere(endpoint if is_private else None, controls),
    )
    api = template.add_resource(
        RestApi(
            "UploadApi",
            Name=naming.name("uploads"),
            Body=body,
            FailOnWarnings=True,
            # The IAM policies of the callers allow; this only denies.
            Policy=policy,
            EndpointConfiguration=EndpointConfiguration(
                Types=["PRIVATE"], VpcEndpointIds=[endpoint]
            )
            if is_private
            else EndpointConfiguration(Types=["REGIONAL"]),
        )
    )
    # A deployment is what a stage serves: only another one serves another document or policy.
    content = json.dumps([body, policy], default=encode_to_dict, sort_keys=True)
    title = f"UploadApiDeployment{sha256(content.encode()).hexdigest()[:8]}"
    return api, template.add_resource(Deployment(title, RestApiId=Ref(api)))


def _deny_elsewhere(endpoint: Ref | None, controls: Controls) -> list[Statement | If]:
    """Return the statement that denies calls that do not come from where they may."""
    common = ([execute_api.Invoke], ["execute-api:/*"])
    outside = (
        StringNotEquals({"aws:SourceVpce": endpoint})
        if endpoint
        else NotIpAddress({"aws:SourceIp": controls.upload_cidrs})
    )
    deny = policies.deny("DenyElsewhere", *common, outside, principal=policies.anyone())
    return [deny if endpoint else If(controls.restrict_upload_cidrs, deny, NoValue)]


def _add_stage(
    template: Template,
    api: RestApi,
    deployment: Deployment,
    parameters: Parameters,
    limits: ApiParameters,
    log_group: LogGroup,
) -> Stage:
    return template.add_resource(
        Stage(
            "UploadApiStage",
            StageName=STAGE,
            RestApiId=Ref(api),
            DeploymentId=Ref(deployment),
            TracingEnabled=If(parameters.monitoring.tracing_enabled, True, False),
            AccessLogSetting=AccessLogSetting(
                DestinationArn=GetAtt(log_group, "Arn"),
                Format=json.dumps(ACCESS_LOG, separators=(",", ":")),
            ),
            MethodSettings=[
                # Of each method, whoever calls; the usage plan has the same limit for a key.
                MethodSetting(
                    HttpMethod="*",
                    ResourcePath="/*",
                    MetricsEnabled=True,
                    ThrottlingRateLimit=limits.rate,
                    ThrottlingBurstLimit=limits.burst,
                )
            ],
            Metadata=suppress(
                CKV_AWS_73="On with the parameter Tracing",
                CKV_AWS_120="Every answer is of one caller, and a stored state would be old",
            ),
        )
    )


def _add_usage_plan(
    template: Template, api: RestApi, stage: Stage, parameters: ApiParameters
) -> ApiKey:
    """Add the plan and its key; the key counts requests and identifies nobody."""
    plan = template.add_resource(
        UsagePlan(
            "UploadApiUsagePlan",
            ApiStages=[ApiStage(ApiId=Ref(api), Stage=Ref(stage))],
            Quota=QuotaSettings(Limit=parameters.quota, Period="DAY"),
            Throttle=ThrottleSettings(RateLimit=parameters.rate, BurstLimit=parameters.burst),
        )
    )
    key = template.add_resource(ApiKey("UploadApiKey", Enabled=True))
    template.add_resource(
        UsagePlanKey(
            "UploadApiUsagePlanKey", KeyId=Ref(key), KeyType="API_KEY", UsagePlanId=Ref(plan)
        )
    )
    return key


def _execute_api_arn(api: RestApi) -> Sub:
    here = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}"
    return Sub(f"{here}:${{{api.title}}}/{STAGE}/*")


def _records_below(specification: Specification) -> str:
    """Return the prefix of the records of all uploads; see HASH_PATTERN."""
    api = specification.api
    if api is None:
        return ""
    hashed = HASH_PATTERN if specification.sources[api.source].hash_prefix else ""
    return f"thumbnails/{specification.output_prefix(api.source)}{hashed}{api.prefix}"


def _settings(specification: Specification) -> str:
    """Return what worker/api_settings.py reads; a default value is left out."""
    api = specification.api
    if api is None:
        return ""
    source = specification.sources[api.source]
    queue = specification.queues[source.queue]
    content: dict[str, Any] = {
        "source": api.source,
        "prefix": api.prefix,
        "suffixes": source.filtered_suffixes(),
        "max_bytes": queue.max_file_size_mb * 10**6,
        "longest_seconds": queue.max_receive_count * queue.visibility_seconds,
    }
    if output_prefix := specification.output_prefix(api.source):
        content["output_prefix"] = output_prefix
    if source.hash_prefix:
        content["hash_prefix"] = True
    return json.dumps(content, separators=(",", ":"))
