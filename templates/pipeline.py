"""Builds the stack's template; `build` is its table of contents."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from awacs.aws import Statement
from troposphere import GetAtt, If, Output, Ref, Sub, Tags, Template
from troposphere.awslambda import Function
from troposphere.cloudwatch import Alarm
from troposphere.iam import PolicyType, Role

from templates import limits, naming, policy_limits
from templates.alarm_topics import Topics, add_topics
from templates.alarms import (
    add_api_alarms,
    add_dns_firewall_alarm,
    add_log_delivery_alarm,
    add_queue_alarms,
    add_upload_alarm,
)
from templates.api import ApiIdentity, UploadApi, add_api, add_api_identity
from templates.bucket import AccessLogs
from templates.buckets import (
    THUMBNAILS,
    Buckets,
    DataPerimeter,
    add_bucket_policies,
    add_buckets,
)
from templates.cdn import CdnDistribution, add_cdn_log_delivery, add_distribution
from templates.dashboard import add_dashboard
from templates.dns_firewall import DnsFirewall, add_dns_firewall
from templates.encryption import Encryption, add_encryption
from templates.endpoints import Endpoints, add_endpoints, add_interface_endpoints
from templates.flow_log import add_archived_flow_log, add_flow_log_group
from templates.function import (
    Identity,
    add_function,
    add_identity,
    add_sqs_perimeter,
    function_output,
)
from templates.log_archive import FLOW_LOGS, LogArchive, add_access_logs, add_log_archive
from templates.network import Network, add_network
from templates.parameters.stack import Parameters, add_parameters
from templates.queues import QueuePair, Sender, add_queue_pair
from templates.record_topic import RecordTopic, add_record_topic
from templates.sources import ResolvedSource, add_sources, sender
from templates.specification import Specification, SpecificationError
from templates.worker_environment import worker_environment

DESCRIPTION = "Pictures in, thumbnails out, in a VPC with no internet egress"


def build(specification: Specification) -> Template:
    """Return the template of the specified stack; the same specification gives the same template.

    Raises:
        SpecificationError: the specification needs more of a service than AWS allows.
    """
    try:
        template = _build(specification)
    except ValueError as error:
        if not str(error).startswith("Maximum number of"):  # troposphere's check of the quotas
            raise
        raise SpecificationError(
            f"the specification needs more than {limits.MAX_RESOURCES} resources,"
            f" {limits.MAX_PARAMETERS} parameters or {limits.MAX_OUTPUTS} outputs, which"
            " CloudFormation allows: use fewer sources and queues, or several stacks"
        ) from None
    policy_limits.check(template.to_dict())
    return template


def _build(specification: Specification) -> Template:
    template = Template(Description=DESCRIPTION)
    template.set_version()
    parameters = add_parameters(template, specification)
    retention, boundary = parameters.retention, parameters.controls.permissions_boundary
    logs, events, cdn = specification.logs, specification.events, None

    senders = {name: sender(name, parameters.external.get(name)) for name in specification.sources}
    encryption = add_encryption(
        template,
        event_services={one.service for one in senders.values()},
        alarms_use_key=parameters.monitoring.alarms.uses_stack_key,
        has_record_topic=events.topic,
        has_cdn=specification.cdn is not None,
        log_sources=list(_log_sources(specification).values()),
    )
    queues = _add_queues(template, specification, encryption, senders)
    access_logs = add_access_logs(template, retention=retention) if logs.s3_access_logs else None
    thumbnails = naming.bucket_arn(THUMBNAILS)
    record_topic = add_record_topic(template, thumbnails, encryption) if events.topic else None
    buckets = add_buckets(
        template,
        encryption=encryption,
        queues=queues,
        specification=specification,
        noncurrent_days=retention.noncurrent_version_days,
        uploads_monitored=parameters.monitoring.uploads_monitored,
        access_logs=access_logs,
        record_topic=record_topic,
    )
    sources = add_sources(
        template,
        specification=specification,
        created=buckets.uploads,
        external=parameters.external,
        queues=queues,
    )
    grants = _grants(encryption, queues, buckets, sources)
    identity = add_identity(
        template,
        queues=queues,
        grants=[*grants.s3, *grants.sqs, *grants.outside_vpc],
        encryption=encryption,
        log_retention_days=retention.log_days,
        permissions_boundary=boundary,
        tracing_enabled=parameters.monitoring.tracing_enabled,
    )
    api_identity = add_api_identity(template, specification, parameters, buckets, encryption)
    network = add_network(
        template,
        parameters=parameters.network,
        interfaces_owner=identity.role,
    )
    endpoints, perimeter = _add_endpoints(
        template, specification, parameters, network, identity.role, grants, api_identity
    )
    dns_firewall = add_dns_firewall(
        template,
        vpc=network.vpc,
        settings=specification.network,
        services=specification.interface_endpoints(),
    )
    if parameters.cdn:
        cdn = add_distribution(
            template,
            bucket=buckets.thumbnails,
            published=specification.published_paths(),
            parameters=parameters.cdn,
        )
    _add_bucket_policies(template, parameters, buckets, endpoints, identity.role, api_identity, cdn)
    stack = _Stack(
        encryption,
        queues,
        access_logs,
        record_topic,
        buckets,
        sources,
        identity,
        network,
        perimeter,
        dns_firewall,
        cdn,
        api_identity,
    )
    api = _add_api(template, specification, parameters, stack)
    functions = _add_functions(template, specification, parameters, stack)
    archive = (
        _add_log_archive(template, specification, parameters, stack, api) if logs.archive else None
    )
    _add_flow_log(template, specification, parameters, stack, archive)
    topics = _add_alarms(template, specification, parameters, stack, functions, archive, api)
    if specification.dashboard:
        # From the template, so that none is forgotten.
        alarms = [one for one in template.resources.values() if isinstance(one, Alarm)]
        add_dashboard(template, alarms=alarms, queues=queues, functions=functions)
    template.add_output(_outputs(stack, functions, archive, topics, api))
    _tag_everything(template, parameters.environment, specification.tags)
    return template


def render(template: Template) -> str:
    """Return the template as JSON, a line for each entry: small to deploy, readable to compare."""
    sections = []
    for section, content in template.to_dict().items():
        if isinstance(content, dict):
            entries = ",\n".join(f"{_compact(key)}:{_compact(content[key])}" for key in content)
            sections.append(f"{_compact(section)}:{{\n{entries}}}")
        else:
            sections.append(f"{_compact(section)}:{_compact(content)}")
    return "{" + ",\n".join(sections) + "}\n"


class _HasOutputs(Protocol):
    def outputs(self) -> list[Output]: ...


@dataclass(frozen=True)
class _Stack:
    """The parts of the stack that the functions, the archive and the alarms refer to."""

    encryption: Encryption
    queues: Mapping[str, QueuePair]
    access_logs: AccessLogs | None
    record_topic: RecordTopic | None
    buckets: Buckets
    sources: tuple[ResolvedSource, ...]
    identity: Identity
    network: Network
    perimeter: PolicyType
    dns_firewall: DnsFirewall | None
    cdn: CdnDistribution | None
    api_identity: ApiIdentity | None


@dataclass(frozen=True)
class _Grants:
    """The worker's permissions, by how the calls leave the VPC."""

    s3: list[Statement]
    """Through the S3 endpoint, whose policy allows the same."""

    sqs: list[Statement]
    """Through the SQS endpoint, whose policy allows the same."""

    outside_vpc: list[Statement | If]
    """Used by AWS services on the worker's behalf, from outside the VPC."""


def _grants(
    encryption: Encryption,
    queues: Mapping[str, QueuePair],
    buckets: Buckets,
    sources: Iterable[ResolvedSource],
) -> _Grants:
    reading: list[Statement | If] = []
    for pair in queues.values():
        reading += [pair.receive(), pair.use_key(encryption)]
    return _Grants(
        s3=[*chain.from_iterable(one.read_uploads() for one in sources), *buckets.write_outputs()],
        sqs=[pair.delete_or_delay() for pair in queues.values()],
        outside_vpc=[
            *reading,
            *buckets.use_key(),
            *chain.from_iterable(one.use_key() for one in sources),
        ],
    )


def _add_queues(
    template: Template,
    specification: Specification,
    encryption: Encryption,
    senders: Mapping[str, Sender],
) -> dict[str, QueuePair]:
    return {
        name: add_queue_pair(
            template,
            name=name,
            settings=settings,
            encryption=encryption,
            senders=[
                senders[source]
                for source, source_settings in specification.sources.items()
                if source_settings.queue == name
            ],
        )
        for name, settings in specification.queues.items()
    }


def _add_endpoints(
    template: Template,
    specification: Specification,
    parameters: Parameters,
    network: Network,
    role: Role,
    grants: _Grants,
    api: ApiIdentity | None,
) -> tuple[Endpoints, PolicyType]:
    """Add the endpoints, and the policy that holds the role's calls to SQS to its own."""
    has_sqs_endpoint = parameters.network.has_sqs_endpoint
    endpoints = add_endpoints(
        template,
        network=network,
        role=role,
        s3_grants=grants.s3,
        sqs_grants=grants.sqs,
        has_sqs_endpoint=has_sqs_endpoint,
        api=api,
    )
    add_interface_endpoints(template, network=network, services=specification.interface_endpoints())
    perimeter = add_sqs_perimeter(
        template,
        role,
        sqs_endpoint=endpoints.sqs,
        has_sqs_endpoint=has_sqs_endpoint,
        enforce_vpce=parameters.controls.enforce_vpce,
    )
    return endpoints, perimeter


def _add_bucket_policies(
    template: Template,
    parameters: Parameters,
    buckets: Buckets,
    endpoints: Endpoints,
    role: Role,
    api: ApiIdentity | None,
    cdn: CdnDistribution | None,
) -> None:
    add_bucket_policies(
        template,
        buckets=buckets,
        perimeter=DataPerimeter(
            worker_arn=GetAtt(role, "Arn"),
            s3_endpoint=endpoints.s3,
            controls=parameters.controls,
            api_arn=GetAtt(api.role, "Arn") if api else "",
        ),
        thumbnail_readers=[cdn.read_thumbnails()] if cdn else [],
        api_uploads={api.source: api.deny_other_uploads()} if api else {},
    )


def _add_functions(
    template: Template, specification: Specification, parameters: Parameters, stack: _Stack
) -> dict[str, Function]:
    return {
        name: add_function(
            template,
            queues=stack.queues[name],
            settings=settings,
            package=parameters.package,
            capacity=parameters.capacity[name],
            tracing_mode=parameters.monitoring.tracing_mode,
            identity=stack.identity,
            network=stack.network,
            perimeter=stack.perimeter,
            encryption=stack.encryption,
            environment=worker_environment(
                queue=name,
                settings=settings,
                sources=[one for one in stack.sources if one.settings.queue == name],
                variants=specification.variants,
                thumbnail_bucket=Ref(stack.buckets.thumbnails),
                encryption=stack.encryption,
                # Without an SQS endpoint a call would hang until the function's timeout.
                work_queue_url=If(
                    parameters.network.has_sqs_endpoint, Ref(stack.queues[name].work), ""
                ),
            ),
        )
        for name, settings in specification.queues.items()
    }


def _add_api(
    template: Template, specification: Specification, parameters: Parameters, stack: _Stack
) -> UploadApi | None:
    if stack.api_identity is None:
        return None
    return add_api(
        template,
        specification=specification,
        identity=stack.api_identity,
        parameters=parameters,
        network=stack.network,
        buckets=stack.buckets,
        encryption=stack.encryption,
    )


def _add_log_archive(
    template: Template,
    specification: Specification,
    parameters: Parameters,
    stack: _Stack,
    api: UploadApi | None,
) -> LogArchive:
    archive = add_log_archive(
        template,
        encryption=stack.encryption,
        log_groups={"worker": stack.identity.log_group, **(api.log_groups if api else {})},
        object_lock=specification.logs.object_lock,
        access_logs=stack.access_logs,
        log_sources=_log_sources(specification),
        retention=parameters.retention,
        permissions_boundary=parameters.controls.permissions_boundary,
    )
    if stack.cdn:
        add_cdn_log_delivery(template, stack.cdn, archive.bucket)
    return archive


def _log_sources(specification: Specification) -> dict[str, Sub]:
    """Return for which sources AWS delivers logs to the archive's bucket directly, by name."""
    sources = {}
    if specification.archives_flow_logs:
        sources[FLOW_LOGS] = naming.log_source_arns()
    if specification.cdn and specification.logs.archive:
        sources["cdn"] = naming.cdn_log_source_arns()
    return sources


def _add_flow_log(
    template: Template,
    specification: Specification,
    parameters: Parameters,
    stack: _Stack,
    archive: LogArchive | None,
) -> None:
    """Add the flow log of a created VPC; an existing one's owner keeps flow logs."""
    if archive and specification.archives_flow_logs:
        add_archived_flow_log(template, stack.network.vpc, archive.bucket)
    elif specification.network.vpc == "create":
        add_flow_log_group(
            template,
            stack.network.vpc,
            encryption=stack.encryption,
            log_retention_days=parameters.retention.log_days,
            permissions_boundary=parameters.controls.permissions_boundary,
        )


def _add_alarms(
    template: Template,
    specification: Specification,
    parameters: Parameters,
    stack: _Stack,
    functions: Mapping[str, Function],
    archive: LogArchive | None,
    api: UploadApi | None,
) -> Topics:
    topics = add_topics(
        template, parameters=parameters.monitoring.alarms, encryption=stack.encryption
    )
    for name, settings in specification.queues.items():
        add_queue_alarms(
            template,
            topics,
            queues=stack.queues[name],
            settings=settings,
            function=functions[name],
            capacity=parameters.capacity[name],
            cost_limit=parameters.monitoring.alarms.cost_limit,
        )
    for source, bucket in stack.buckets.uploads.items():
        add_upload_alarm(
            template,
            topics,
            source=source,
            uploads=bucket,
            queues=stack.queues[specification.sources[source].queue],
            uploads_monitored=parameters.monitoring.uploads_monitored,
        )
    if stack.dns_firewall:
        add_dns_firewall_alarm(template, topics, stack.dns_firewall)
    if api:
        add_api_alarms(template, topics, api, parameters.monitoring.uploads_monitored)
    for kind, stream in archive.streams.items() if archive else ():
        add_log_delivery_alarm(template, topics, kind=kind, stream=stream)
    return topics


def _outputs(
    stack: _Stack,
    functions: Mapping[str, Function],
    archive: LogArchive | None,
    topics: Topics,
    api: UploadApi | None,
) -> list[Output]:
    parts: list[_HasOutputs] = [
        stack.buckets,
        stack.encryption,
        topics,
        *stack.sources,
        *stack.queues.values(),
    ]
    optional = (stack.record_topic, stack.cdn, archive, stack.access_logs, api)
    parts += [part for part in optional if part]
    reads_external_buckets = any(source.external for source in stack.sources)
    return [
        *chain.from_iterable(part.outputs() for part in parts),
        *stack.identity.outputs(reads_external_buckets=reads_external_buckets),
        *(function_output(name, function) for name, function in functions.items()),
    ]


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _tag_everything(template: Template, environment: Ref, more: Mapping[str, str]) -> None:
    """Tag each resource that takes tags, so that no module can forget one (S8)."""
    for resource in template.resources.values():
        if "Tags" in resource.props:
            resource.Tags = Tags(
                **more, Application=Ref(naming.NAME_PREFIX), Environment=environment
            )
