"""All parameters of the stack, by their groups in the console."""

from collections.abc import Mapping
from dataclasses import dataclass

from troposphere import Ref, Template

from templates.parameters.api import ApiParameters, add_api_parameters
from templates.parameters.capacity import Capacity, add_capacity
from templates.parameters.cdn import CdnParameters, add_cdn_parameters
from templates.parameters.controls import Controls, add_controls
from templates.parameters.general import FunctionPackage, add_function_package, add_general
from templates.parameters.monitoring import Monitoring, Retention, add_monitoring, add_retention
from templates.parameters.network import NetworkParameters, add_network_parameters
from templates.parameters.sources import ExternalBucket, add_external_buckets
from templates.specification import Specification


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """References to the parameters, and the conditions that follow from them."""

    environment: Ref
    package: FunctionPackage
    capacity: Mapping[str, Capacity]
    """By queue."""

    external: Mapping[str, ExternalBucket]
    """By source, for those with an external bucket."""

    network: NetworkParameters
    cdn: CdnParameters | None
    api: ApiParameters | None
    retention: Retention
    monitoring: Monitoring
    controls: Controls


def add_parameters(template: Template, specification: Specification) -> Parameters:
    """Add the parameters, conditions, rules and console groups of the specified stack."""
    logs = specification.logs
    has_upload_buckets = any(source.type == "s3" for source in specification.sources.values())
    return Parameters(
        environment=add_general(template),
        package=add_function_package(template),
        capacity=add_capacity(template, specification.queues),
        external=add_external_buckets(template, specification.sources),
        network=add_network_parameters(template, specification.network),
        cdn=add_cdn_parameters(template, specification.cdn) if specification.cdn else None,
        api=add_api_parameters(template, specification),
        retention=add_retention(
            template,
            stores_logs=logs.archive or logs.s3_access_logs,
            is_compliance=logs.object_lock == "compliance",
        ),
        monitoring=add_monitoring(
            template,
            has_upload_buckets=has_upload_buckets,
            alarm_settings=specification.alarms,
        ),
        controls=add_controls(template, has_upload_buckets=has_upload_buckets),
    )
