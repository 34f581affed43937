"""Parameters of the upload API."""

from dataclasses import dataclass

from troposphere import Ref, Template

from templates.parameters.builder import Group
from templates.specification import Specification


@dataclass(frozen=True, kw_only=True)
class ApiParameters:
    """Limits of the upload API, and the endpoint of a VPC that has its endpoints."""

    rate: Ref
    burst: Ref
    quota: Ref
    endpoint: Ref | None


def add_api_parameters(template: Template, specification: Specification) -> ApiParameters | None:
    """Add the parameters of the upload API; None for a stack without one."""
    if specification.api is None:
        return None
    group = Group(template, "Upload API")
    number = {"Type": "Number", "MinValue": 1}
    needs_endpoint = (
        specification.api.access == "private" and specification.network.endpoints == "existing"
    )
    return ApiParameters(
        rate=group.add("ApiRate", "Requests per second", Default=20, MaxValue=10_000, **number),
        burst=group.add(
            "ApiBurst", "Requests at once, above the rate", Default=40, MaxValue=5_000, **number
        ),
        quota=group.add("ApiQuota", "Requests per day", Default=10_000, MaxValue=10**9, **number),
        endpoint=group.add(
            "ExecuteApiEndpointId",
            "Interface endpoint of the VPC for execute-api, with private DNS",
            AllowedPattern="^vpce-[0-9a-f]+$",
            MaxLength=len("vpce-") + 17,
        )
        if needs_endpoint
        else None,
    )
