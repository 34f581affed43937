"""The upload API: its role, the buckets and the endpoint it uses, and who may call it."""

from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations import requests
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    THUMBNAIL_BUCKET_POLICY,
    Expectation,
    denied_by_trust_policy,
)
from darkroom.iam.expectations.requests import KEY, OTHER_IP, THUMBNAILS, UPLOAD_IP, USER, by
from darkroom.iam.expectations.worker import (
    DESCRIBE_INTERFACES,
    MANAGE_INTERFACES,
    S3_ACTIONS,
    S3_ENDPOINT,
    SEND_TRACES,
    traces,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, SourceModel, StackModel
from templates import naming
from worker import keys

ROLE = "<UploadApiRole.Arn>"
API_ROLE = PolicyCheck("UploadApiRole", "identity-based")
API = PolicyCheck("UploadApi", "deny-only")
URL = {
    "s3:if-none-match": "*",
    "s3:authType": "REST-QUERY-STRING",
    "s3:signatureAge": "300000",
}
"""What a fresh URL of the API has, as S3 sees it."""

METHODS = ("POST/uploads", "GET/uploads/id")


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield the calls of the API's code, the uploads by its URLs, and the calls of the API."""
    if stack.specification.api is None:
        return
    for reason, request, checks in _calls(stack):
        yield Expectation(reason, request, checks)
    source = _source(stack)
    upload = _upload(stack)
    outside = by(ROLE, "s3:PutObject", upload, **URL)
    checks = (API_ROLE, *source.bucket_checks)
    yield Expectation("upload by a URL from outside the VPC", outside, checks)
    week = by(USER, "s3:PutObject", upload, **{**URL, "s3:signatureAge": "604800000"})
    yield Expectation("another's URL of a week", week, source.bucket_checks)
    for action, context, value in (
        ("kms:GenerateDataKey", "aws:s3:arn", source.bucket),
        ("kms:Decrypt", "aws:s3:arn", source.bucket),
        ("kms:Decrypt", "aws:s3:arn", THUMBNAILS),
        ("kms:Decrypt", "aws:lambda:FunctionArn", _function(stack)),
    ):
        request = by(ROLE, action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation("use the key", request, (API_ROLE, KEY_POLICY))
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Expectation("write the log", by(ROLE, action, "<UploadApiLogGroup.Arn>"), (API_ROLE,))
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for action, resource in (
        *((one, interface) for one in MANAGE_INTERFACES),
        *((one, "*") for one in (*DESCRIBE_INTERFACES, *(SEND_TRACES if traces(stack) else ()))),
    ):
        yield Expectation("run in the VPC", by(ROLE, action, resource), (API_ROLE,))
    assume = requests.request("lambda.amazonaws.com", "sts:AssumeRole", "<UploadApiRole>", {})
    yield Expectation("run", assume, (PolicyCheck("UploadApiRole", "resource-based"),))
    for call in _api_calls(stack):
        yield Expectation("call the API", call, (API,))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield other uploads, other readers, and calls of the API from elsewhere."""
    if stack.specification.api is None:
        return
    yield from _other_calls(stack)
    source, upload = _source(stack), _upload(stack)
    for reason, changed in (
        ("overwrite an upload", {"s3:if-none-match": ""}),
        ("upload without a URL", {"s3:authType": "REST-HEADER"}),
        ("upload by an old URL", {"s3:signatureAge": "300001"}),
    ):
        context = {key: value for key, value in {**URL, **changed}.items() if value}
        put = by(ROLE, "s3:PutObject", upload, **context)
        yield Expectation(reason, put, source.bucket_checks)
    elsewhere = by(ROLE, "s3:PutObject", upload, **{**URL, "aws:SourceIp": OTHER_IP})
    yield Expectation("upload by a URL from another address", elsewhere, source.bucket_checks)
    for context in ({}, {"aws:SourceVpce": f"{stack.s3_endpoint}-other"}):
        for action, resource, check in (
            ("s3:ListBucket", source.bucket, source.bucket_checks[0]),
            ("s3:GetObject", f"{THUMBNAILS}/any", THUMBNAIL_BUCKET_POLICY),
            ("s3:ListBucket", THUMBNAILS, THUMBNAIL_BUCKET_POLICY),
        ):
            stolen = by(ROLE, action, resource, **context)
            yield Expectation("the API's role outside its endpoint", stolen, (check,))
    for action in ("kms:Encrypt", "kms:CreateGrant"):
        for value in (source.bucket, THUMBNAILS, _function(stack)):
            for name in ("aws:s3:arn", "aws:lambda:FunctionArn"):
                used = by(ROLE, action, KEY, **{f"kms:EncryptionContext:{name}": value})
                yield Expectation("another use of the key", used, (API_ROLE,))
    for action, name, value in (
        ("kms:GenerateDataKey", "aws:s3:arn", THUMBNAILS),
        ("kms:GenerateDataKey", "aws:s3:arn", f"{source.bucket}-other"),
        ("kms:Decrypt", "aws:s3:arn", f"{source.bucket}-other"),
        ("kms:Decrypt", "aws:sqs:arn", stack.queues[0].work_queue),
        ("kms:Decrypt", "aws:lambda:FunctionArn", f"{_function(stack)}-other"),
    ):
        used = by(ROLE, action, KEY, **{f"kms:EncryptionContext:{name}": value})
        yield Expectation("another use of the key", used, (API_ROLE,))
    inside = {"lambda:SourceFunctionArn": _function(stack)}
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    other_account = f"arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:network-interface/eni-1"
    for action in MANAGE_INTERFACES:
        for request in (by(ROLE, action, interface, **inside), by(ROLE, action, other_account)):
            yield Expectation("manage other interfaces", request, (API_ROLE,))
    for action in DESCRIBE_INTERFACES:
        code = by(ROLE, action, "*", **inside)
        yield Expectation("look at interfaces from the code", code, (API_ROLE,))
    for action in ("ec2:DescribeVpcs", "xray:GetTraceSummaries", "iam:PassRole"):
        yield Expectation("another service", by(ROLE, action, "*"), (API_ROLE,))
    attach = by(ROLE, "ec2:AttachNetworkInterface", interface)
    yield Expectation("more than its own interfaces", attach, (API_ROLE,))
    for action in ("logs:CreateLogGroup", "logs:DeleteLogGroup"):
        other = by(ROLE, action, "<UploadApiLogGroup.Arn>")
        yield Expectation("more than writing its log", other, (API_ROLE,))
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        for group in ("<WorkerLogGroup.Arn>", "<UploadApiLogGroup.Arn>-other"):
            yield Expectation("another log", by(ROLE, action, group), (API_ROLE,))
    yield from denied_by_trust_policy("UploadApiRole")
    for call in _api_calls(stack):
        for reason, context in (
            ("a caller of another account", {"aws:principalaccount": OTHER_ACCOUNT}),
            _elsewhere(stack),
        ):
            other = replace(call, context={**call.context, **context})
            yield Expectation(reason, other, (API,))


def _calls(stack: StackModel) -> Iterator[tuple[str, Request, tuple[PolicyCheck, ...]]]:
    """Yield what the API's code does through the endpoint, with the policies that decide."""
    source = _source(stack)
    inside = {"aws:SourceVpce": stack.s3_endpoint}
    uploads = (API_ROLE, S3_ENDPOINT, *source.bucket_checks)
    records = (API_ROLE, S3_ENDPOINT, THUMBNAIL_BUCKET_POLICY)
    put = by(ROLE, "s3:PutObject", _upload(stack), **inside, **URL)
    yield "upload by a URL", put, uploads
    key = _upload(stack).partition("/")[2]
    find = by(ROLE, "s3:ListBucket", source.bucket, **inside, **{"s3:prefix": key})
    yield "find an upload", find, uploads
    record = f"{THUMBNAILS}/{_record(stack)}"
    yield "read a record", by(ROLE, "s3:GetObject", record, **inside), records
    yield "detect a missing record", by(ROLE, "s3:ListBucket", THUMBNAILS, **inside), records


def _other_calls(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same by other principals, on others' buckets, and other actions and keys."""
    source = _source(stack)
    both = (API_ROLE, S3_ENDPOINT)
    inside = {"aws:SourceVpce": stack.s3_endpoint}
    for _, request, checks in _calls(stack):
        context = {**request.context, "aws:resourceaccount": OTHER_ACCOUNT}
        for check in both:
            other = replace(request, context=context)
            yield Expectation("another account's bucket of this name", other, (check,))
        for principal in (USER, f"{ROLE}-other"):
            context = {**request.context, "aws:principalarn": principal}
            other = replace(request, principal=principal, context=context)
            yield Expectation("another principal through the endpoint", other, (checks[1],))
        for action in S3_ACTIONS:
            if action != request.action:
                other = replace(request, action=action)
                for check in both:
                    yield Expectation("another action", other, (check,))
    record = _record(stack)
    beside = _beside(stack)
    for action, resource, more in (
        ("s3:PutObject", f"{source.bucket}/{beside}a.jpg", URL),
        ("s3:PutObject", f"{source.bucket}/other/a.jpg", URL),
        ("s3:ListBucket", source.bucket, {}),
        ("s3:ListBucket", source.bucket, {"s3:prefix": beside}),
        ("s3:ListBucket", THUMBNAILS, {"s3:prefix": "thumbnails/"}),
        ("s3:ListBucket", THUMBNAILS, {"s3:prefix": "rejected/"}),
        ("s3:GetObject", f"{THUMBNAILS}/{record.rpartition('/')[0]}/w400", {}),
        ("s3:GetObject", f"{THUMBNAILS}/thumbnails/other/a.jpg/index.json", {}),
        ("s3:GetObject", f"{THUMBNAILS}/{_with_longer_hash(stack)}", {}),
        ("s3:GetObject", f"{THUMBNAILS}/thumbnails/{beside}a.jpg/index.json", {}),
    ):
        other = by(ROLE, action, resource, **inside, **more)
        for check in both:
            yield Expectation("outside its prefix", other, (check,))


def _api_calls(stack: StackModel) -> Iterator[Request]:
    private = {"aws:SourceVpce": _endpoint(stack)} if _is_private(stack) else {}
    for method in METHODS:
        yield by(
            USER,
            "execute-api:Invoke",
            f"execute-api:/v1/{method}",
            **private,
            **_address(UPLOAD_IP),
        )


def _elsewhere(stack: StackModel) -> tuple[str, dict[str, str]]:
    if _is_private(stack):
        return "a call through another endpoint", {"aws:sourcevpce": f"{_endpoint(stack)}-other"}
    return "a call from another address", {"aws:sourceip": OTHER_IP}


def _address(ip: str) -> dict[str, str]:
    return {"aws:SourceIp": ip}


def _is_private(stack: StackModel) -> bool:
    api = stack.specification.api
    return api is not None and api.access == "private"


def _endpoint(stack: StackModel) -> str:
    if stack.specification.network.endpoints == "existing":
        return str(stack.parameter("ExecuteApiEndpointId"))
    return "<ExecuteApiEndpoint>"


def _source(stack: StackModel) -> SourceModel:
    api = stack.specification.api
    title = naming.logical_id(api.source if api else "", "UploadBucket")
    return next(one for one in stack.sources if one.bucket == f"<{title}.Arn>")


def _upload(stack: StackModel) -> str:
    api = stack.specification.api
    return f"{_source(stack).bucket}/{api.prefix if api else ''}folder/id.jpg"


def _record(stack: StackModel) -> str:
    api = stack.specification.api
    if api is None:
        return ""
    source = stack.specification.sources[api.source]
    return keys.record_key(
        f"{api.prefix}folder/id.jpg",
        stack.specification.output_prefix(api.source),
        hash_prefix=source.hash_prefix,
    )


def _beside(stack: StackModel) -> str:
    """Return the folder that the API's prefix is in, or another one if it is in none."""
    api = stack.specification.api
    folder, slash, _ = (api.prefix if api else "").rstrip("/").rpartition("/")
    return f"{folder}{slash}" or "beside/"


def _with_longer_hash(stack: StackModel) -> str:
    """Return a key with three characters where a record may have two, or none."""
    api = stack.specification.api
    if api is None:
        return ""
    prefix = stack.specification.output_prefix(api.source)
    return f"thumbnails/{prefix}abc/{api.prefix}folder/id.jpg/index.json"


def _function(stack: StackModel) -> str:
    return stack.arn("UploadApiFunction")
