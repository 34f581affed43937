"""Reads the template of a deployed stack, with the parameters and ids that the stack has."""

import json

from darkroom.aws.stack import Stack
from darkroom.cloudformation import parameters
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.errors import UserError


def read(stack: Stack) -> ResolvedTemplate:
    """Return the template that a stack was last deployed with.

    Raises:
        UserError: The template is not JSON, e.g. what `generate.py --format yaml` writes.
    """
    body = stack.client("cloudformation").get_template(
        StackName=stack.id, TemplateStage="Original"
    )["TemplateBody"]
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            raise UserError(
                f"the template of {stack.name} is not JSON: deploy what `python generate.py` writes"
            ) from None
    values = parameters.typed_values(body.get("Parameters", {}), stack.parameters.items())
    return ResolvedTemplate(
        body, {**values, **stack.pseudo_parameters(stack.name)}, deployed(stack.resources)
    )
