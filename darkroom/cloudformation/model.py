"""The resources of a template with their relations, by the names and ARNs they will have."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from darkroom.cloudformation.identifiers import PREDICTED, Identifiers
from darkroom.cloudformation.policy_documents import Statement, as_list, documents, normal
from darkroom.cloudformation.references import references
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.cloudformation.resource_types import RESOURCE_TYPES, resource_type


@dataclass(frozen=True)
class EventSourceMapping:
    """A mapping of a queue to a function, by logical ids; empty for what is not in the template."""

    title: str
    properties: dict[str, Any]
    queue: str
    function: str


@dataclass(frozen=True)
class TemplateModel(ResolvedTemplate):
    """A template whose functions resolve to predicted names and ARNs.

    Two spellings of one resource, e.g. `Ref` and a written ARN, resolve to the same text, so that
    `logical_id` finds the resource by either. Statements are in the shape of `normal`.
    """

    identifiers: Identifiers = PREDICTED

    @property
    def account(self) -> str:
        """The id of the account that the template is resolved for."""
        return self.pseudo("AccountId")

    def logical_id(self, value: Any, *types: str) -> str:
        """Return the logical id of the resource that `value` names or references, or nothing.

        Args:
            value: A name, an ARN, a URL or an id, resolved.
            types: The types to look among, without `AWS::`; by default all.
        """
        titles = self._by_identifier.get(str(value), [])
        return next((one for one in titles if not types or self.type_of(one) in types), "")

    def mentions(self, value: Any, title: str) -> bool:
        """Return whether a text contains an identifier of the resource `title`."""
        return any(
            identifier in str(value)
            for identifier, titles in self._by_identifier.items()
            if title in titles
        )

    def statements(self, title: str) -> list[Statement]:
        """Return all statements of all policies in the resource `title`, normal."""
        if title not in self._normal:
            self._normal[title] = [normal(one) for one in super().statements(title)]
        return self._normal[title]

    def documents(self, title: str) -> Iterator[dict[str, Any]]:
        """Yield the policy documents in the resource `title`."""
        return documents(self.properties(title))

    def role_statements(self, role: str) -> list[Statement]:
        """Return the statements of a role's own policies, inline or in other resources."""
        found = [
            normal(statement)
            for policy in self.properties(role).get("Policies", [])
            for statement in as_list(policy["PolicyDocument"]["Statement"])
        ]
        for type_name in ("IAM::Policy", "IAM::RolePolicy", "IAM::ManagedPolicy"):
            for title, policy in self.resources_of_type(type_name).items():
                roles = policy.get("Roles", [policy.get("RoleName")])
                if role in [self.logical_id(one, "IAM::Role") for one in roles]:
                    found += self.statements(title)
        for policy in self.properties(role).get("ManagedPolicyArns", []):
            if title := self.logical_id(policy, "IAM::ManagedPolicy"):
                found += self.statements(title)
        return found

    def trust_statements(self, role: str) -> list[Statement]:
        """Return the statements of a role's trust policy."""
        document = self.properties(role).get("AssumeRolePolicyDocument", {})
        return [normal(one) for one in as_list(document.get("Statement", []))]

    def resource_policies(self, title: str) -> list[str]:
        """Return the logical ids of the policy resources of a bucket, queue or topic."""
        return [
            policy
            for type_name, known in RESOURCE_TYPES.items()
            if known.attached_to
            for policy, properties in self.resources_of_type(type_name).items()
            for target in as_list(properties.get(known.attached_to, []))
            if self.logical_id(target) == title
        ]

    def resource_policy_statements(self, title: str) -> list[Statement]:
        """Return the statements of the resource-based policies of a bucket, queue, topic or key."""
        policies = [title] if self.type_of(title) == "KMS::Key" else self.resource_policies(title)
        return [statement for policy in policies for statement in self.statements(policy)]

    def event_source_mappings(self) -> list[EventSourceMapping]:
        """Return the event source mappings that read an SQS queue."""
        found = []
        for title, properties in self.resources_of_type("Lambda::EventSourceMapping").items():
            source = str(properties.get("EventSourceArn", ""))
            queue = self.logical_id(source, "SQS::Queue")
            if queue or ":sqs:" in source:
                function = self.logical_id(properties.get("FunctionName"), "Lambda::Function")
                found.append(EventSourceMapping(title, properties, queue, function))
        return found

    def role_of(self, function: str) -> str:
        """Return the logical id of a function's role, or nothing if it is not in the template."""
        return self.logical_id(self.properties(function).get("Role"), "IAM::Role")

    def kms_key_of(self, title: str) -> str:
        """Return the logical id of the KMS key that encrypts a queue, topic, bucket, ..."""
        return self.kms_key(kms_key_setting(self.type_of(title), self.properties(title)))

    def kms_key(self, value: Any) -> str:
        """Return the logical id of the KMS key that `value` names, directly or by an alias."""
        alias = self.logical_id(value, "KMS::Alias")
        key = self.properties(alias).get("TargetKeyId") if alias else value
        return self.logical_id(key, "KMS::Key")

    def queue_notifications(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield bucket, configuration and queue of each S3 notification that goes to a queue.

        The queue's logical id is empty if it is not in the template.
        """
        for bucket, properties in self.resources_of_type("S3::Bucket").items():
            settings = properties.get("NotificationConfiguration", {})
            for one in settings.get("QueueConfigurations", []):
                yield bucket, one, self.logical_id(one.get("Queue"), "SQS::Queue")

    def topic_notifications(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield bucket, configuration and topic of each S3 notification that goes to a topic.

        The topic's logical id is empty if it is not in the template.
        """
        for bucket, properties in self.resources_of_type("S3::Bucket").items():
            settings = properties.get("NotificationConfiguration", {})
            for one in settings.get("TopicConfigurations", []):
                yield bucket, one, self.logical_id(one.get("Topic"), "SNS::Topic")

    def access_log_buckets(self) -> set[str]:
        """Return the logical ids of the buckets that S3 delivers access logs to."""
        settings = (
            one.get("LoggingConfiguration", {})
            for one in self.resources_of_type("S3::Bucket").values()
        )
        return {
            self.logical_id(one.get("DestinationBucketName"), "S3::Bucket") for one in settings
        } - {""}

    def dependencies(self, title: str) -> set[str]:
        """Return the logical ids that CloudFormation creates before `title`."""
        seen: set[str] = set()
        pending = [title]
        while pending:
            for other in self._direct_dependencies.get(pending.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        return seen

    @cached_property
    def _normal(self) -> dict[str, list[Statement]]:
        """Logical id to the statements normalized so far."""
        return {}

    @cached_property
    def _direct_dependencies(self) -> dict[str, set[str]]:
        return {
            title: {one for one in references(resource) if one in self.resources}
            for title, resource in self.resources.items()
        }

    @cached_property
    def _by_identifier(self) -> dict[str, list[str]]:
        """Everything that a resource may be called, to its logical id."""
        found: dict[str, list[str]] = {}
        for title in self.resources:
            arn = self.arn(title)
            identifiers = {f"<{title}>", self.identifiers.ref(self, title), self.name(title), arn}
            if self.type_of(title) == "Logs::LogGroup":
                identifiers.add(arn.removesuffix(":*"))
            for identifier in identifiers:
                found.setdefault(identifier, []).append(title)
        return found


def kms_key_setting(type_name: str, properties: dict[str, Any]) -> Any:
    """Return the value that sets a resource's KMS key, or None if no key is set.

    An alias of a key of AWS is a value as well, e.g. `alias/aws/s3`.
    """
    if type_name == "S3::Bucket":
        encryption = properties.get("BucketEncryption", {})
        for one in encryption.get("ServerSideEncryptionConfiguration", []):
            default = one.get("ServerSideEncryptionByDefault", {})
            if str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
                return default.get("KMSMasterKeyID", "alias/aws/s3")
        return None
    if type_name == "KinesisFirehose::DeliveryStream":
        encryption = properties.get("DeliveryStreamEncryptionConfigurationInput", {})
        return encryption.get("KeyARN", encryption.get("KeyType"))
    return properties.get(resource_type(type_name).kms_key)


def number(value: Any) -> float | None:
    """Return the number that a value is or is the text of, or None."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
