"""A template as the rules see it: every resource by the name and the ARN that it will have."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from darkroom.cloudformation.policy_documents import Statement, as_list, documents, normal
from darkroom.cloudformation.resolver import Reading

# The property that names a resource, and what its ARN is then.
NAMES = {
    "CloudWatch::Alarm": ("AlarmName", "cloudwatch:{here}:alarm:{name}"),
    "CloudWatch::Dashboard": ("DashboardName", "cloudwatch::{account}:dashboard/{name}"),
    "EC2::FlowLog": ("", "ec2:{here}:vpc-flow-log/{name}"),
    "Events::Rule": ("Name", "events:{here}:rule/{name}"),
    "IAM::Role": ("RoleName", "iam::{account}:role/{name}"),
    "KMS::Alias": ("AliasName", "kms:{here}:{name}"),
    "KMS::Key": ("", "kms:{here}:key/{name}"),
    "KinesisFirehose::DeliveryStream": (
        "DeliveryStreamName",
        "firehose:{here}:deliverystream/{name}",
    ),
    "Lambda::Function": ("FunctionName", "lambda:{here}:function:{name}"),
    "Logs::LogGroup": ("LogGroupName", "logs:{here}:log-group:{name}:*"),
    "S3::Bucket": ("BucketName", "s3:::{name}"),
    "SNS::Topic": ("TopicName", "sns:{here}:{name}"),
    "SQS::Queue": ("QueueName", "sqs:{here}:{name}"),
}
IDS = ("GroupId", "RouteTableId", "SubnetId", "VpcId")  # attributes that say what Ref says
ATTACHED = {
    "S3::BucketPolicy": ("Bucket", "PolicyDocument"),
    "SQS::QueuePolicy": ("Queues", "PolicyDocument"),
    "SNS::TopicPolicy": ("Topics", "PolicyDocument"),
}


@dataclass(frozen=True)
class Mapping:
    """An SQS event source mapping: both ends by logical id, empty where elsewhere."""

    title: str
    properties: dict[str, Any]
    queue: str
    function: str


@dataclass(frozen=True)
class Stack(Reading):
    """A reading whose functions resolve to names and ARNs, so that two spellings are one."""

    def pseudo(self, name: str) -> str:
        """Return the value of the pseudo parameter AWS::`name`."""
        return str(self._ref(f"AWS::{name}"))

    @property
    def account(self) -> str:
        """The account that the stack is read for."""
        return self.pseudo("AccountId")

    @property
    def parameters(self) -> dict[str, Any]:
        """Name to parameter, as written."""
        found: dict[str, Any] = self.template.get("Parameters", {})
        return found

    def properties(self, title: str) -> dict[str, Any]:
        """Return the resolved properties of the resource `title`."""
        if title not in self._resolved:
            self._resolved[title] = super().properties(title)
        return self._resolved[title]

    def kind(self, title: str) -> str:
        """Return a resource's type without `AWS::`."""
        return str(self.resources[title].get("Type", "")).removeprefix("AWS::")

    def existing(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield logical id and resource, as written, where its condition holds."""
        for title, resource in self.resources.items():
            if self._exists(resource):
                yield title, resource

    def name(self, title: str) -> str:
        """Return the name that a resource is given, or a stand-in where AWS makes one up."""
        key, _ = NAMES.get(self.kind(title), ("", ""))
        given = self.properties(title).get(key) if key else None
        return str(given) if given else f"<{title}>"

    def arn(self, title: str) -> str:
        """Return the ARN that a resource will have."""
        _, pattern = NAMES.get(self.kind(title), ("", ""))
        here = f"{self.pseudo('Region')}:{self.account}"
        filled = pattern.format(here=here, account=self.account, name=self.name(title))
        return f"arn:{self.pseudo('Partition')}:{filled}" if pattern else f"<{title}.Arn>"

    def owner(self, value: Any, *kinds: str) -> str:
        """Return the logical id of the resource that `value` names or references, or nothing."""
        named = self._owners.get(str(value), [])
        return next((one for one in named if not kinds or self.kind(one) in kinds), "")

    def mentions(self, value: Any, title: str) -> bool:
        """Tell whether a text holds a name of the resource `title`, perhaps among others."""
        return any(name in str(value) for name, owners in self._owners.items() if title in owners)

    def statements(self, title: str) -> list[Statement]:
        """Return all statements of all policies written in the resource `title`, normal."""
        if title not in self._normal:
            self._normal[title] = [
                normal(statement)
                for document in self.documents(title)
                for statement in as_list(document["Statement"])
            ]
        return self._normal[title]

    def documents(self, title: str) -> Iterator[dict[str, Any]]:
        """Yield the policies written in the resource `title`."""
        return documents(self.properties(title))

    def all_statements(self) -> Iterator[tuple[str, Statement]]:
        """Yield logical id and statement, for every policy of resources that exist."""
        for title, _ in self.existing():
            for statement in self.statements(title):
                yield title, statement

    def granted(self, role: str) -> list[Statement]:
        """Return the statements of a role's own policies, wherever they are written."""
        found = [
            normal(statement)
            for policy in self.properties(role).get("Policies", [])
            for statement in as_list(policy["PolicyDocument"]["Statement"])
        ]
        for kind in ("IAM::Policy", "IAM::RolePolicy", "IAM::ManagedPolicy"):
            for title, policy in self.of_type(kind).items():
                holders = policy.get("Roles", [policy.get("RoleName")])
                if role in [self.owner(holder, "IAM::Role") for holder in holders]:
                    found += self.statements(title)
        return found

    def trusts(self, role: str) -> list[Statement]:
        """Return the statements that say who may assume a role."""
        document = self.properties(role).get("AssumeRolePolicyDocument", {})
        return [normal(one) for one in as_list(document.get("Statement", []))]

    def guarding(self, title: str) -> list[Statement]:
        """Return the statements of the policies on a bucket, queue, topic or key."""
        if self.kind(title) == "KMS::Key":
            return self.statements(title)
        return [
            statement
            for kind, (target, _) in ATTACHED.items()
            for policy, properties in self.of_type(kind).items()
            if title in [self.owner(one) for one in as_list(properties.get(target, []))]
            for statement in self.statements(policy)
        ]

    def guards(self, title: str) -> list[str]:
        """Return the logical ids of the policy resources on a bucket, queue or topic."""
        return [
            policy
            for kind, (target, _) in ATTACHED.items()
            for policy, properties in self.of_type(kind).items()
            if title in [self.owner(one) for one in as_list(properties.get(target, []))]
        ]

    def mappings(self) -> list[Mapping]:
        """Return the event source mappings that read a queue."""
        found = []
        for title, properties in self.of_type("Lambda::EventSourceMapping").items():
            source = str(properties.get("EventSourceArn", ""))
            queue = self.owner(source, "SQS::Queue")
            if queue or ":sqs:" in source:
                function = self.owner(properties.get("FunctionName"), "Lambda::Function")
                found.append(Mapping(title, properties, queue, function))
        return found

    def role_of(self, function: str) -> str:
        """Return the logical id of a function's role, or nothing when it is elsewhere."""
        return self.owner(self.properties(function).get("Role"), "IAM::Role")

    def key_of(self, title: str) -> str:
        """Return the logical id of the key that a queue, topic, log group … is encrypted with."""
        return self.key(key_property(self.kind(title), self.properties(title)))

    def key(self, value: Any) -> str:
        """Return the logical id of the key that `value` names, through an alias too."""
        alias = self.owner(value, "KMS::Alias")
        return self.owner(self.properties(alias).get("TargetKeyId") if alias else value, "KMS::Key")

    def notifications(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield bucket, configuration and queue (or nothing) of each S3 → SQS notification."""
        for bucket, properties in self.of_type("S3::Bucket").items():
            for one in properties.get("NotificationConfiguration", {}).get(
                "QueueConfigurations", []
            ):
                yield bucket, one, self.owner(one.get("Queue"), "SQS::Queue")

    def access_logs(self) -> set[str]:
        """Return the logical ids of the buckets that S3 delivers access logs to."""
        return {
            self.owner(
                one.get("LoggingConfiguration", {}).get("DestinationBucketName"), "S3::Bucket"
            )
            for one in self.of_type("S3::Bucket").values()
        } - {""}

    def waits_for(self, title: str) -> set[str]:
        """Return the logical ids that CloudFormation creates before `title`."""
        seen: set[str] = set()
        pending = [title]
        while pending:
            for other in self._needs.get(pending.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        return seen

    @cached_property
    def _resolved(self) -> dict[str, dict[str, Any]]:
        """What has been resolved so far: each resource once."""
        return {}

    @cached_property
    def _normal(self) -> dict[str, list[Statement]]:
        return {}

    @cached_property
    def _needs(self) -> dict[str, set[str]]:
        return {
            title: {one for one in references(resource) if one in self.resources}
            for title, resource in self.resources.items()
        }

    @cached_property
    def _owners(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for title in self.resources:
            arn = self.arn(title)
            spellings = {f"<{title}>", self._physical(title), self.name(title), arn}
            if self.kind(title) == "Logs::LogGroup":
                spellings.add(arn.removesuffix(":*"))
            for spelling in spellings:
                found.setdefault(spelling, []).append(title)
        return found

    def _physical(self, title: str) -> str:
        """Return what `Ref` gives: a topic's ARN, a queue's URL, otherwise the name."""
        if title not in self.resources:
            return f"<{title}>"
        kind = self.kind(title)
        if kind == "SNS::Topic":
            return self.arn(title)
        if kind == "SQS::Queue":
            region, suffix = self.pseudo("Region"), self.pseudo("URLSuffix")
            return f"https://sqs.{region}.{suffix}/{self.account}/{self.name(title)}"
        return self.name(title)

    def _getatt(self, path: list[str] | str) -> str:
        title, _, attribute = (path if isinstance(path, str) else ".".join(path)).partition(".")
        if title in self.resources:
            if attribute == "Arn" or attribute.endswith(("TopicArn", "KeyArn")):
                return self.arn(title)
            if attribute in IDS:
                return self._physical(title)
            if attribute and attribute == NAMES.get(self.kind(title), ("", ""))[0]:
                return self.name(title)
        return f"<{title}.{attribute}>"


def references(value: Any) -> Iterator[str]:
    """Yield every name that a piece of a template refers to, `DependsOn` included."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("Ref", "DependsOn"):
                yield from as_list(item)
            elif key == "Fn::GetAtt":
                yield item.partition(".")[0] if isinstance(item, str) else item[0]
            elif key == "Fn::Sub":
                text, given = (item, {}) if isinstance(item, str) else item
                named = re.findall(r"\$\{([^!}]+)\}", text)
                yield from (name.partition(".")[0] for name in named if name not in given)
                yield from references(given)
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def key_property(kind: str, properties: dict[str, Any]) -> Any:
    """Return what a resource's properties say about its key, or None."""
    if kind == "S3::Bucket":
        for one in properties.get("BucketEncryption", {}).get(
            "ServerSideEncryptionConfiguration", []
        ):
            default = one.get("ServerSideEncryptionByDefault", {})
            if str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
                return default.get("KMSMasterKeyID", "alias/aws/s3")
        return None
    if kind == "KinesisFirehose::DeliveryStream":
        given = properties.get("DeliveryStreamEncryptionConfigurationInput", {})
        return given.get("KeyARN", given.get("KeyType"))
    names = {
        "SQS::Queue": "KmsMasterKeyId",
        "SNS::Topic": "KmsMasterKeyId",
        "Logs::LogGroup": "KmsKeyId",
        "Lambda::Function": "KmsKeyArn",
    }
    return properties.get(names.get(kind, ""))


def number(value: Any) -> float | None:
    """Return a number that may be written as text, or None for what is not known here."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
