"""A deployed stack's own template, read with the values and ids that it has on AWS."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from darkroom.aws.stack import Stack
from darkroom.cloudformation import parameters
from darkroom.cloudformation.resolver import Reading
from darkroom.errors import UserError

# How ARNs are made of physical ids, by type; those of other types are ARNs themselves, or unknown.
# https://docs.aws.amazon.com/service-authorization/latest/reference/
ARNS = {
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{name}",
    "AWS::KMS::Key": "arn:{partition}:kms:{place}:key/{name}",
    "AWS::KinesisFirehose::DeliveryStream": (
        "arn:{partition}:firehose:{place}:deliverystream/{name}"
    ),
    "AWS::Lambda::Function": "arn:{partition}:lambda:{place}:function:{name}",
    "AWS::Logs::LogGroup": "arn:{partition}:logs:{place}:log-group:{name}:*",
    "AWS::S3::Bucket": "arn:{partition}:s3:::{name}",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{place}:{name}",
}


@dataclass(frozen=True)
class Live(Reading):
    """A template whose references are resolved to what AWS made of them."""

    physical: Mapping[str, str] = field(default_factory=dict)
    """Logical to physical ids."""

    def _physical(self, title: str) -> str:
        # A deleted stack's resources are forgotten one day; their names follow from the template.
        return self.physical.get(title) or super()._physical(title)

    def _getatt(self, path: list[str] | str) -> str:
        title, _, attribute = (path if isinstance(path, str) else ".".join(path)).partition(".")
        name = self._physical(title)
        if attribute == "QueueName":
            return name.rpartition("/")[2]
        pattern = ARNS.get(self.resources.get(title, {}).get("Type", ""))
        if attribute != "Arn" or not pattern or title not in self.physical:
            return f"<{title}.{attribute}>"
        return pattern.format(
            partition=self.values["AWS::Partition"],
            account=self.values["AWS::AccountId"],
            place=f"{self.values['AWS::Region']}:{self.values['AWS::AccountId']}",
            name=name.rpartition("/")[2] if name.startswith("https://") else name,
        )


def read(stack: Stack) -> Live:
    """Return the template that a stack was last deployed with.

    Raises UserError when it is no JSON; `generate.py --format yaml` is for reading.
    """
    body = stack.client("cloudformation").get_template(
        StackName=stack.id, TemplateStage="Original"
    )["TemplateBody"]
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            raise UserError(
                f"the template of {stack.name} is not JSON; deploy what `python generate.py` writes"
            ) from None
    values = parameters.usable(body.get("Parameters", {}), stack.parameters.items())
    return Live(body, {**values, **stack.pseudo_parameters(stack.name)}, stack.resources)
