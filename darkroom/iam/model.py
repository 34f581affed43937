"""A stack's template with the sources and queues of its specification."""

import json
from dataclasses import dataclass, field
from typing import Any

from darkroom.cloudformation.resolver import PSEUDO, ResolvedTemplate
from darkroom.iam.evaluator import PolicyCheck
from templates import naming, pipeline
from templates.specification import Specification
from worker import keys

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
OTHER_ACCOUNT = "999999999999"
UPLOAD_CIDR = "198.51.100.0/24"
"""The addresses that uploads may come from; reserved for documentation by RFC 5737."""


@dataclass(frozen=True, kw_only=True)
class QueueModel:
    """A work queue with its dead-letter queue and its function.

    `work_queue` and `dead_letter_queue` are as policies refer to them, e.g. `<WorkQueue.Arn>`;
    names that end in `_arn` are ARNs as services send them, and `..._policy` are logical ids.
    """

    work_queue: str
    work_queue_arn: str
    work_queue_policy: str
    dead_letter_queue: str
    dead_letter_queue_arn: str
    dead_letter_queue_policy: str
    function_arn: str


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A bucket of uploads, the service that sends its events, and the queue they go to.

    Attributes:
        bucket: As policies refer to it.
        bucket_policy: The policy's logical id; empty for an external bucket.
        kms_key: The ARN of an external bucket's key; empty for a managed bucket.
        outputs: The key of an output of an upload to each prefix.
        rejection: The key of the record of a rejected upload.
        is_published: Whether a distribution may read them.
        reads_current: Whether the worker also reads objects without a version id.
        service: The producer's service principal.
        producer_arn: What the service sends as `aws:SourceArn`.
        producer_account: What it sends as `aws:SourceAccount`; a topic may be in another account.
    """

    bucket: str
    bucket_policy: str
    kms_key: str
    prefixes: tuple[str, ...]
    outputs: tuple[str, ...]
    rejection: str
    is_published: bool
    reads_current: bool
    queue: QueueModel
    service: str
    producer_arn: str
    producer_account: str

    @property
    def bucket_checks(self) -> tuple[PolicyCheck, ...]:
        """The check of a managed bucket's policy; none for an external bucket."""
        return (PolicyCheck(self.bucket_policy, "deny-only"),) if self.bucket_policy else ()


@dataclass(frozen=True)
class StackModel(ResolvedTemplate):
    """A resolved template with its sources and queues."""

    specification: Specification = field(default_factory=Specification)
    sources: tuple[SourceModel, ...] = ()
    queues: tuple[QueueModel, ...] = ()

    def statements(self, title: str) -> list[dict[str, Any]]:
        """Return the statements of a resource; of a role also those of its managed policies."""
        properties = self.resources[title].get("Properties", {})
        managed = [one["Ref"] for one in properties.get("ManagedPolicyArns", [])]
        return [
            one for each in (title, *managed) for one in super(StackModel, self).statements(each)
        ]

    @property
    def external_resources(self) -> frozenset[str]:
        """Logical ids of the resources that the stack lacks because an existing VPC has them."""
        network = self.specification.network
        endpoints = {"S3Endpoint", "SqsEndpoint"} if network.endpoints == "existing" else ()
        return frozenset(endpoints)

    @property
    def s3_endpoint(self) -> str:
        """The id of the VPC endpoint for S3, as policies refer to it."""
        is_managed = "S3Endpoint" not in self.external_resources
        return "<S3Endpoint>" if is_managed else str(self.parameter("S3EndpointId"))

    @property
    def sqs_endpoint(self) -> str:
        """The id of the VPC endpoint for SQS, as policies refer to it."""
        is_managed = "SqsEndpoint" not in self.external_resources
        return "<SqsEndpoint>" if is_managed else str(self.parameter("SqsEndpointId"))

    @property
    def managed_sources(self) -> tuple[SourceModel, ...]:
        """The sources whose bucket is in the stack."""
        return tuple(source for source in self.sources if source.bucket_policy)


def model_of(specification: Specification) -> StackModel:
    """Return the stack of a specification, with every optional permission and denial."""
    template = json.loads(pipeline.render(pipeline.build(specification)))
    return model_of_template(template, specification)


def model_of_template(template: dict[str, Any], specification: Specification) -> StackModel:
    """Return the model of `template`: the specification's own, or a mutant of that."""
    values: dict[str, Any] = {"AllowedUploadCidrs": [UPLOAD_CIDR], "Tracing": "Active"}
    for name, source in specification.sources.items():
        if source.type != "s3":
            values[naming.logical_id(name, "KmsKeyArn")] = _external_key(name)
        if source.type == "sns":
            values[naming.logical_id(name, "TopicArn")] = _external_topic(name)
    resolved = ResolvedTemplate(template, values)
    queues = {name: _queue(resolved, name) for name in specification.queues}
    sources = tuple(
        _source(resolved, specification, name, queues[source.queue])
        for name, source in specification.sources.items()
    )
    return StackModel(
        template,
        values,
        specification=specification,
        sources=sources,
        queues=tuple(queues.values()),
    )


def _queue(template: ResolvedTemplate, name: str) -> QueueModel:
    work, dead_letter, worker = (
        naming.logical_id(name, noun) for noun in ("WorkQueue", "DeadLetterQueue", "Worker")
    )
    return QueueModel(
        work_queue=f"<{work}.Arn>",
        work_queue_arn=template.arn(work),
        work_queue_policy=f"{work}Policy",
        dead_letter_queue=f"<{dead_letter}.Arn>",
        dead_letter_queue_arn=template.arn(dead_letter),
        dead_letter_queue_policy=f"{dead_letter}Policy",
        function_arn=template.arn(worker),
    )


def _source(
    template: ResolvedTemplate, specification: Specification, name: str, queue: QueueModel
) -> SourceModel:
    settings = specification.sources[name]
    output_prefix = specification.output_prefix(name)
    uploads = [f"{prefix}a.jpg" for prefix in settings.prefixes]
    common: dict[str, Any] = {
        "prefixes": settings.prefixes,
        "outputs": tuple(
            keys.output_key(key, "w400", output_prefix, hash_prefix=settings.hash_prefix)
            for key in uploads
        ),
        "rejection": keys.rejection_key(uploads[0], output_prefix),
        "is_published": settings.published,
        "queue": queue,
    }
    if settings.type == "s3":
        title = naming.logical_id(name, "UploadBucket")
        return SourceModel(
            bucket=f"<{title}.Arn>",
            bucket_policy=f"{title}Policy",
            kms_key="",
            reads_current=settings.propagate_deletes,
            service="s3.amazonaws.com",
            producer_arn=template.arn(title),
            producer_account=ACCOUNT,
            **common,
        )
    common |= {
        "bucket": f"arn:aws:s3:::{template.parameter(naming.logical_id(name, 'BucketName'))}",
        "bucket_policy": "",
        "kms_key": _external_key(name),
        "reads_current": True,  # an external bucket may not be versioned
    }
    if settings.type == "sns":
        return SourceModel(
            service="sns.amazonaws.com",
            producer_arn=_external_topic(name),
            producer_account=OTHER_ACCOUNT,
            **common,
        )
    return SourceModel(
        service="events.amazonaws.com",
        producer_arn=template.arn(naming.logical_id(name, "NotificationRule")),
        producer_account=ACCOUNT,
        **common,
    )


def _external_key(source: str) -> str:
    return f"arn:aws:kms:{REGION}:{OTHER_ACCOUNT}:key/{source}"


def _external_topic(source: str) -> str:
    return f"arn:aws:sns:{REGION}:{OTHER_ACCOUNT}:{source}"
