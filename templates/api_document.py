"""The upload API as an OpenAPI document with API Gateway's extensions."""

import json
from typing import Any

from troposphere import Sub

from templates import naming

STAGE = "v1"
METHODS = {"POST": "/uploads", "GET": "/uploads/{id}"}
FUNCTION = "upload-api"

# Every method asks for both: IAM identifies the caller, and the key is what a usage plan counts.
# API Gateway takes one authorizer and the key of a method, in two items as in its exports.
SECURITY: list[dict[str, list[str]]] = [{"iam": []}, {"key": []}]

_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_SHA256 = {"type": "string", "minLength": 44, "maxLength": 44}

# Gateway responses with a status of their own; the other two stand for every other type.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
_RESPONSES: dict[str, tuple[int | None, str, dict[str, str]]] = {
    "DEFAULT_4XX": (None, "$context.error.responseType", {}),
    "DEFAULT_5XX": (None, "$context.error.responseType", {}),
    "BAD_REQUEST_BODY": (400, "Invalid request", {}),
    "THROTTLED": (429, "throttled", {"Retry-After": "1"}),
    "QUOTA_EXCEEDED": (429, "quota", {"Retry-After": "3600"}),
}


def document(max_bytes: int) -> dict[str, Any]:
    """Return the document of the API, whose function rejects more than `max_bytes`."""
    described = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "bytes", "sha256"],
        "properties": {
            "name": _NAME,
            # The function tells what is too large: API Gateway names no limit.
            "bytes": {"type": "integer", "minimum": 1, "maximum": max(max_bytes, 10**12)},
            "sha256": _SHA256,
        },
    }
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Upload"}}}
    path_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.0.1",
        "info": {"title": "Uploads", "version": STAGE},
        "paths": {
            METHODS["POST"]: {
                "post": _method("201", requestBody={"required": True, "content": body})
            },
            METHODS["GET"]: {"get": _method("200", parameters=[path_id])},
        },
        "components": {
            "schemas": {"Upload": described},
            "securitySchemes": {
                "iam": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "key": {"type": "apiKey", "name": "x-api-key", "in": "header"},
            },
        },
        "x-amazon-apigateway-request-validators": {
            "all": {"validateRequestBody": True, "validateRequestParameters": True}
        },
        "x-amazon-apigateway-request-validator": "all",
        "x-amazon-apigateway-gateway-responses": {
            name: _response(status, title, headers)
            for name, (status, title, headers) in _RESPONSES.items()
        },
    }


def _method(status: str, **more: Any) -> dict[str, Any]:
    function = naming.function_arn(FUNCTION).data["Fn::Sub"]
    path = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions"
    return {
        **more,
        "security": SECURITY,
        "responses": {status: {"description": ""}},
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": Sub(f"{path}/{function}/invocations"),
        },
    }


def _response(status: int | None, title: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return a gateway response in the form of RFC 9457, as the function's own errors have it."""
    members = {
        "type": "about:blank",
        "title": title,
        **({"status": status} if status else {}),
        "detail": "$context.error.message",
        "request_id": "$context.requestId",
    }
    text = json.dumps(members, separators=(",", ":"))
    # messageString is the message in quotes, with what it contains escaped.
    text = text.replace('"$context.error.message"', "$context.error.messageString")
    parameters = {"Content-Type": "application/problem+json", **headers}
    return {
        **({"statusCode": str(status)} if status else {}),
        "responseParameters": {
            f"gatewayresponse.header.{name}": f"'{value}'" for name, value in parameters.items()
        },
        "responseTemplates": {"application/json": text},
    }
