"""What there is and what each part is given: the whole stack on one page."""

import json
from typing import Any

from awacs.aws import Statement
from troposphere import GetAtt, If, Output, Ref, Tags, Template
from troposphere.cloudwatch import Alarm

from templates import naming
from templates.alarms import add_topics, watch_delivery, watch_queue, watch_uploads
from templates.buckets import Perimeter, add_bucket_policies, add_storage
from templates.cdn import add_distribution, archive_requests
from templates.dashboard import add_dashboard
from templates.encryption import add_encryption
from templates.endpoints import add_endpoints, add_further_endpoints
from templates.function import add_function, add_identity
from templates.log_archive import add_access_logs, add_log_archive
from templates.network import add_network
from templates.parameters.stack import add_parameters
from templates.queues import add_queues
from templates.sources import add_sources, sender
from templates.specification import Specification


def build(specification: Specification) -> Template:
    """Return the template of the stack that `specification` describes; the same each time."""
    template = Template(Description="Pictures in, thumbnails out, in a network without a road out")
    template.set_version()
    sources, logs = specification.sources, specification.logs

    parameters = add_parameters(
        template,
        structure=specification.network,
        queues=specification.queues,
        sources=sources,
        cdn=specification.cdn,
        keeps_logs=logs.archive or logs.s3_access_logs,
    )
    senders = {name: sender(name, parameters.foreign.get(name)) for name in sources}
    archives_requests = specification.cdn is not None and logs.archive
    encryption = add_encryption(
        template,
        announcers={one.service for one in senders.values()},
        delivers=specification.cdn is not None,
        archives_requests=archives_requests,
    )
    queues = {
        queue: add_queues(
            template,
            queue=queue,
            settings=settings,
            encryption=encryption,
            senders=[senders[name] for name in sources if sources[name].queue == queue],
        )
        for queue, settings in specification.queues.items()
    }
    access_logs = add_access_logs(template, parameters=parameters) if logs.s3_access_logs else None
    buckets = add_storage(
        template,
        encryption=encryption,
        queues=queues,
        sources=sources,
        noncurrent_days=parameters.noncurrent_days,
        watches_uploads=parameters.watches_uploads,
        access_logs=access_logs,
    )
    origins = add_sources(
        template,
        sources=sources,
        own=buckets.uploads,
        foreign=parameters.foreign,
        queues=queues,
    )

    # What the worker's code does through a door, and what is done for it from outside.
    s3_grants: list[Statement] = [
        *(grant for origin in origins for grant in origin.read()),
        *buckets.write_thumbnails(),
    ]
    sqs_grants = [grant for pair in queues.values() for grant in pair.settle()]
    outside_grants: list[Statement | If] = [
        *(
            grant
            for pair in queues.values()
            for grant in (pair.receive(), pair.use_key(encryption))
        ),
        *buckets.use_key(),
        *(grant for origin in origins for grant in origin.use_key()),
    ]

    identity = add_identity(
        template,
        queues=specification.queues,
        grants=[*s3_grants, *sqs_grants, *outside_grants],
        encryption=encryption,
        log_retention_days=parameters.log_retention_days,
        permissions_boundary=parameters.permissions_boundary,
        traces=parameters.traces,
    )
    network = add_network(
        template,
        place=parameters.network,
        s3_prefix_list=parameters.s3_prefix_list,
        has_sqs_endpoint=parameters.has_sqs_endpoint,
        encryption=encryption,
        log_retention_days=parameters.log_retention_days,
        permissions_boundary=parameters.permissions_boundary,
        interfaces_owner=identity.role,
    )
    storage_endpoint = add_endpoints(
        template,
        network=network,
        role=identity.role,
        s3_grants=s3_grants,
        sqs_grants=sqs_grants,
        has_sqs_endpoint=parameters.has_sqs_endpoint,
    )
    add_further_endpoints(
        template,
        network=network,
        services=specification.network.interface_endpoints,
    )
    published = parameters.cdn and add_distribution(
        template, bucket=buckets.thumbnails, parameters=parameters.cdn
    )
    add_bucket_policies(
        template,
        storage=buckets,
        readers=[published.read()] if published else [],
        perimeter=Perimeter(
            worker_arn=GetAtt(identity.role, "Arn"),
            endpoint=storage_endpoint,
            requires_endpoint=parameters.requires_endpoint,
            upload_ranges=parameters.upload_ranges,
            limits_uploads=parameters.limits_uploads,
        ),
    )
    functions = {
        queue: add_function(
            template,
            queue=queue,
            settings=settings,
            identity=identity,
            parameters=parameters,
            network=network,
            encryption=encryption,
            queues=queues[queue],
            thumbnail_bucket=Ref(buckets.thumbnails),
            origins=[origin for origin in origins if origin.settings.queue == queue],
            specification=specification,
        )
        for queue, settings in specification.queues.items()
    }
    archive = None
    if logs.archive:
        log_groups = {"worker": identity.log_group}
        if logs.archive_flow_logs and network.flow_log_group:
            log_groups["flow"] = network.flow_log_group
        archive = add_log_archive(
            template,
            encryption=encryption,
            log_groups=log_groups,
            object_lock=logs.object_lock,
            access_logs=access_logs,
            admits_deliveries=archives_requests,
            parameters=parameters,
        )
        if published:
            archive_requests(template, published, archive.bucket)
    topics = add_topics(
        template,
        # The stack's own key, once it is disabled, encrypts no message that says so.
        key_arn=If(parameters.has_alarm_key, parameters.alarm_key, encryption.arn),
        page_email=parameters.alarm_email,
        has_page_email=parameters.has_alarm_email,
        ticket_email=parameters.ticket_email,
        has_ticket_email=parameters.has_ticket_email,
    )
    for queue, settings in specification.queues.items():
        watch_queue(
            template,
            topics,
            queue=queue,
            settings=settings,
            queues=queues[queue],
            function=functions[queue],
            capacity=parameters.capacity[queue],
        )
    for source, bucket in buckets.uploads.items():
        watch_uploads(
            template,
            topics,
            source=source,
            uploads=bucket,
            queues=queues[sources[source].queue],
            watches_uploads=parameters.watches_uploads,
        )
    for kind, stream in archive.streams.items() if archive else ():
        watch_delivery(template, topics, kind=kind, stream=stream)
    add_dashboard(
        template,
        # Whichever module they are from, so that none is forgotten.
        alarms=[one for one in template.resources.values() if isinstance(one, Alarm)],
        queues=queues,
        functions=functions,
    )

    outputs: list[tuple[str, str, Any]] = [
        ("ThumbnailBucketName", "Thumbnails and rejections come out here", Ref(buckets.thumbnails)),
        ("LogGroupName", "The worker's log", Ref(identity.log_group)),
        ("CriticalAlarmTopicArn", "Where alarms go", Ref(topics.page)),
        ("EncryptionKeyArn", "The key of everything at rest", encryption.arn),
    ]
    for one in origins:
        prefixes, suffixes = ",".join(one.settings.prefixes), ",".join(one.settings.suffixes)
        outputs += [
            (naming.logical_id(one.name, "UploadBucketName"), "Pictures go here", one.bucket),
            (
                naming.logical_id(one.name, "UploadPrefixes"),
                "Under one of these prefixes",
                prefixes,
            ),
            (naming.logical_id(one.name, "UploadSuffixes"), "Ending in one of these", suffixes),
        ]
        if one.settings.type == "eventbridge":
            outputs.append(
                (
                    naming.logical_id(one.name, "EnableEventBridgeCommand"),
                    "Run it once: the bucket then announces to EventBridge as well",
                    one.enable_eventbridge_command(),
                )
            )
    if any(one.foreign for one in origins):
        reader = "Reads the sources' buckets; those that are not the stack's own must let it"
        outputs.append(("WorkerRoleArn", reader, GetAtt(identity.role, "Arn")))
    for queue, waiting in queues.items():
        dead = Ref(waiting.dead_letters)
        outputs += [
            (naming.logical_id(queue, "WorkQueueUrl"), "Work that waits", Ref(waiting.work)),
            (naming.logical_id(queue, "DeadLetterQueueUrl"), "Work that failed every try", dead),
            (naming.logical_id(queue, "FunctionName"), "The worker", Ref(functions[queue])),
        ]
    if published:
        domain = GetAtt(published.distribution, "DomainName")
        outputs.append(("DistributionDomainName", "Where thumbnails are on the web", domain))
    for title, kept in (("LogArchive", archive), ("AccessLog", access_logs)):
        if kept:
            outputs.append((f"{title}BucketName", "Logs are kept here", Ref(kept.bucket)))
    for title, description, value in outputs:
        template.add_output(Output(title, Description=description, Value=value))

    _tag_everything(template, environment=parameters.environment)
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


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _tag_everything(template: Template, *, environment: Ref) -> None:
    """Tag each resource that takes tags, so that no module can forget one (S8)."""
    for resource in template.resources.values():
        if "Tags" in resource.props:
            resource.Tags = Tags(Application=Ref(naming.NAME_PREFIX), Environment=environment)
