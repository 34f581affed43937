"""What there is and what each part is given: the whole stack on one page."""

import json

from troposphere import GetAtt, Output, Ref, Tags, Template

from templates import naming, storage
from templates.alarms import add_alarms
from templates.encryption import add_encryption
from templates.endpoints import add_endpoints
from templates.function import add_function, add_identity
from templates.network import add_network
from templates.parameters import add_parameters
from templates.queues import add_queues
from templates.specification import Specification
from templates.storage import Perimeter, add_bucket_policies, add_storage


def build(specification: Specification) -> Template:
    """Return the template of the stack that `specification` describes; the same each time."""
    template = Template(Description="Pictures in, thumbnails out, in a network without a road out")
    template.set_version()
    uploads, processing = specification.uploads, specification.processing

    parameters = add_parameters(template, zones=specification.network.zones)
    encryption = add_encryption(template)
    queues = add_queues(
        template,
        encryption=encryption,
        visibility_seconds=processing.visibility_seconds,
        maximum_receives=processing.maximum_receives,
        uploads_arn=naming.bucket_arn(storage.UPLOADS),
    )
    buckets = add_storage(
        template,
        encryption=encryption,
        queues=queues,
        announced=uploads,
        noncurrent_days=parameters.noncurrent_days,
    )

    # What the worker's code does through a door, and what is done for it from outside.
    s3_grants = [*buckets.read_uploads(), *buckets.write_thumbnails()]
    sqs_grants = queues.settle()
    outside_grants = [queues.receive(), queues.use_key(encryption), *buckets.use_key()]

    identity = add_identity(
        template,
        grants=[*s3_grants, *sqs_grants, *outside_grants],
        encryption=encryption,
        log_retention_days=parameters.log_retention_days,
        permissions_boundary=parameters.permissions_boundary,
    )
    network = add_network(
        template,
        cidr=parameters.vpc_cidr,
        zone_numbers=parameters.zone_numbers,
        s3_prefix_list=parameters.s3_prefix_list,
        has_queue_endpoint=parameters.has_queue_endpoint,
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
        has_queue_endpoint=parameters.has_queue_endpoint,
        in_china=parameters.in_china,
    )
    add_bucket_policies(
        template,
        storage=buckets,
        perimeter=Perimeter(
            worker_arn=GetAtt(identity.role, "Arn"),
            endpoint=storage_endpoint,
            requires_endpoint=parameters.requires_endpoint,
            upload_ranges=parameters.upload_ranges,
            limits_uploads=parameters.limits_uploads,
        ),
    )
    function = add_function(
        template,
        identity=identity,
        parameters=parameters,
        network=network,
        encryption=encryption,
        queues=queues,
        storage=buckets,
        thumbnails=specification.thumbnails,
        processing=processing,
    )
    alarms = add_alarms(
        template,
        encryption=encryption,
        queues=queues,
        function=function,
        visibility_seconds=processing.visibility_seconds,
        email=parameters.alarm_email,
        has_email=parameters.has_alarm_email,
    )

    for title, description, value in (
        ("UploadBucketName", "Pictures go here", Ref(buckets.uploads)),
        ("UploadPrefixes", "Under one of these prefixes", ",".join(uploads.prefixes)),
        ("ThumbnailBucketName", "Thumbnails and rejections come out here", Ref(buckets.thumbnails)),
        ("WorkQueueUrl", "Work that waits", Ref(queues.work)),
        ("DeadLetterQueueUrl", "Work that failed every try", Ref(queues.dead_letters)),
        ("FunctionName", "The worker", Ref(function)),
        ("LogGroupName", "The worker's log", Ref(identity.log_group)),
        ("AlarmTopicArn", "Where alarms go", Ref(alarms.topic)),
        ("EncryptionKeyArn", "The key of everything at rest", encryption.arn),
    ):
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
