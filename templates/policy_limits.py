"""Checks that each policy fits the limits of its service, whatever the parameter values."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from troposphere import encode_to_dict

from templates.limits import (
    MAX_KEY_ID_CHARACTERS,
    MAX_ROLE_NAME_CHARACTERS,
    POLICY_LIMITS,
    ROLE_POLICIES,
    TRUST_POLICY,
    PolicyLimit,
)
from templates.specification_file import SpecificationError

Document = Mapping[str, Any]

ROLE = "AWS::IAM::Role"
INLINE = ("AWS::IAM::Policy", "AWS::IAM::RolePolicy")
"""The types that add to a role's inline policies."""

# As long as any that there is; `ap-northeast-1` has 14 characters.
LONGEST_PSEUDO = {
    "AWS::AccountId": 12 * "1",
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": 15 * "r",
    "AWS::URLSuffix": "amazonaws.com.cn",
}
# Of a parameter; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_VALUE_BYTES = 4096
SHORTEST_CIDR = "::/1"  # the most items of a list, each with two quotes in JSON
EC2_ID = "vpce-" + 17 * "0"

# What follows `arn:PARTITION:`; names in braces are properties.
_HERE = "${AWS::Region}:${AWS::AccountId}"
ARNS = {
    "AWS::IAM::Role": "iam::${AWS::AccountId}:role/" + MAX_ROLE_NAME_CHARACTERS * "r",
    "AWS::KMS::Key": f"kms:{_HERE}:key/" + MAX_KEY_ID_CHARACTERS * "k",
    "AWS::KinesisFirehose::DeliveryStream": (
        f"firehose:{_HERE}:deliverystream/{{DeliveryStreamName}}"
    ),
    "AWS::Lambda::Function": f"lambda:{_HERE}:function:{{FunctionName}}",
    "AWS::Logs::LogGroup": f"logs:{_HERE}:log-group:{{LogGroupName}}:*",
    "AWS::S3::Bucket": "s3:::{BucketName}",
    "AWS::SNS::Topic": f"sns:{_HERE}:{{TopicName}}",
    "AWS::SQS::Queue": f"sqs:{_HERE}:{{QueueName}}",
}
IDS = {"AWS::CloudFront::Distribution": "E" + 13 * "0", "AWS::EC2::VPCEndpoint": EC2_ID}


def check(template: Mapping[str, Any]) -> None:
    """Check every policy of a template, with the longest names and parameter values.

    Raises:
        SpecificationError: a policy could be larger than its service allows.
    """
    longest = _Longest(template)
    for title, resource in template["Resources"].items():
        attached = [
            other["Properties"]["PolicyDocument"]
            for other in template["Resources"].values()
            if resource["Type"] == ROLE
            and other["Type"] in INLINE
            and {"Ref": title}
            in [*other["Properties"].get("Roles", []), other["Properties"].get("RoleName")]
        ]
        for limit, documents in policies(resource["Type"], resource["Properties"], attached):
            for excess in excesses(limit, [longest.value(one) for one in documents]):
                advice = (
                    "give some of its sources another queue, or use several stacks"
                    if limit.service == "SQS"
                    else "use fewer queues, sources and prefixes, or several stacks"
                )
                raise SpecificationError(
                    f"{title} {excess} with the longest names that the parameters allow: {advice}"
                )


def sizes(template: Mapping[str, Any], statements: Iterable[Any]) -> Iterator[int]:
    """Yield how many bytes each statement has at most, with the comma after it."""
    longest = _Longest(template)
    for one in statements:
        yield _size(longest.value(json.loads(json.dumps(one, default=encode_to_dict)))) + 1


def policies(
    type_name: str, properties: Mapping[str, Any], attached: Sequence[Document] = ()
) -> Iterator[tuple[PolicyLimit, list[Document]]]:
    """Yield each limit that a resource has, with the policies that count together.

    Args:
        type_name: The resource's type, such as `AWS::IAM::Role`.
        properties: Its properties.
        attached: The inline policies that other resources add to a role.
    """
    if type_name == ROLE:
        yield TRUST_POLICY, [properties["AssumeRolePolicyDocument"]]
        own = [one["PolicyDocument"] for one in properties.get("Policies", [])]
        yield ROLE_POLICIES, [*own, *attached]
    elif limit := POLICY_LIMITS.get(type_name):
        document = properties.get("PolicyDocument", properties.get("KeyPolicy"))
        if isinstance(document, dict):
            yield limit, [document]


def excesses(limit: PolicyLimit, documents: Sequence[Document]) -> Iterator[str]:
    """Yield what is more than allowed in resolved policies, as the end of a sentence."""
    statements = [one for document in documents for one in _list(document["Statement"])]
    principals = [
        names if isinstance(names, dict) else {"AWS": names}
        for one in statements
        if (names := one.get("Principal"))
    ]
    tests = [one.get("Condition", {}) for one in statements]
    found = (
        ("bytes of policy", sum(map(_size, documents)), limit.characters),
        ("statements", len(statements), limit.statements),
        ("conditions", sum(len(keys) for one in tests for keys in one.values()), limit.conditions),
        (
            "principals",
            sum(len(_list(names)) for one in principals for names in one.values()),
            limit.principals,
        ),
        (
            "actions in a statement",
            max((len(_list(one.get("Action", []))) for one in statements), default=0),
            limit.actions,
        ),
    )
    for what, count, most in found:
        if most is not None and count > most:
            yield f"has {count:,} {what} ({limit.service} allows {most:,})"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _size(document: Document) -> int:
    return len(json.dumps(document, separators=(",", ":")).encode())


class _Longest:
    """Resolves a template's functions to the longest values that they can have."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self._parameters = template.get("Parameters", {})
        self._resources = template["Resources"]

    def value(self, value: Any) -> Any:
        """Return `value` resolved.

        Raises:
            LookupError: the length of something in it is not known.
        """
        if isinstance(value, list):
            return [found for item in value if (found := self.value(item)) is not None]
        if not isinstance(value, dict):
            return value
        if "Fn::If" in value:
            branches = [self.value(branch) for branch in value["Fn::If"][1:]]
            return max(branches, key=lambda one: 0 if one is None else len(json.dumps(one)))
        if "Fn::GetAtt" in value:
            return self._attribute(*value["Fn::GetAtt"])
        if "Fn::Sub" in value:
            return self._text(value["Fn::Sub"])
        if "Ref" in value:
            return self._reference(value["Ref"])
        for name in value:
            if name.startswith("Fn::"):
                raise LookupError(f"how long {name} can be is not known")
        return {key: self.value(item) for key, item in value.items()}

    def _text(self, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            title, dot, attribute = match[2].partition(".")
            if match[1]:  # ${!Literal} stands for ${Literal}
                return f"${{{match[2]}}}"
            return str(self._attribute(title, attribute) if dot else self._reference(title))

        return re.sub(r"\$\{(!?)([^}]+)\}", replace, text)

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return None
        if name in LONGEST_PSEUDO:
            return LONGEST_PSEUDO[name]
        if name in self._parameters:
            return self._parameter(name)
        kind = self._resources[name]["Type"]
        if kind == "AWS::S3::Bucket":
            return self.value(self._resources[name]["Properties"]["BucketName"])
        return IDS[kind] if kind in IDS else self._attribute(name, "Arn")

    def _parameter(self, name: str) -> Any:
        parameter = self._parameters[name]
        if parameter["Type"] == "CommaDelimitedList":
            return [SHORTEST_CIDR] * (MAX_VALUE_BYTES // (len(SHORTEST_CIDR) + 1))
        if parameter["Type"].startswith("AWS::EC2::"):
            return EC2_ID
        if "AllowedValues" in parameter:
            return max(map(str, parameter["AllowedValues"]), key=len)
        if "MaxLength" not in parameter:
            raise LookupError(f"{name} is in a policy: it needs a MaxLength")
        return int(parameter["MaxLength"]) * "x"

    def _attribute(self, title: str, attribute: str) -> str:
        resource = self._resources[title]
        if attribute != "Arn" or resource["Type"] not in ARNS:
            raise LookupError(f"how long {title}.{attribute} can be is not known")

        def name(match: re.Match[str]) -> str:
            return str(self.value(resource["Properties"][match[1]]))

        path = re.sub(r"(?<!\$)\{(\w+)\}", name, ARNS[resource["Type"]])
        return self._text("arn:${AWS::Partition}:" + path)
