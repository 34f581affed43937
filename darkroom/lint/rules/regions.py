"""Rules about what differs between Regions."""

import re
from collections.abc import Iterable, Iterator

from darkroom.cloudformation.model import TemplateModel
from darkroom.lint.rule import Problems, rule
from templates.parameters.regions import (
    REGIONS_WITHOUT_RECURSION_API,
    interface_endpoint_service,
)

AWS_SERVICE = re.compile(r"(?:cn\.)?com\.amazonaws\.[a-z0-9-]+\.(.+?)(?:\.cn)?")


CHINA = (("aws-cn", "cn-north-1"), ("aws-cn", "cn-northwest-1"))
WITHOUT_RECURSION_API = (
    *CHINA,
    *(("aws-us-gov", region) for region in ("us-gov-east-1", "us-gov-west-1")),
    *(("aws", region) for region in REGIONS_WITHOUT_RECURSION_API),
)
"""Partition and Region."""


def _in_regions(
    model: TemplateModel, regions: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, TemplateModel]]:
    """Yield each Region with the template as it is there."""
    for partition, region in regions:
        yield (
            region,
            model.with_parameters(**{"AWS::Partition": partition, "AWS::Region": region}),
        )


@rule(
    "DR-LAMBDA-019",
    "warning",
    remediation=(
        "Set RecursiveLoop by a condition on AWS::Region, or leave it out: Terminate is the default"
        " where there is a choice."
    ),
    source=(
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html"
        "#invocation-recursion-regions"
    ),
    requirements=("D2",),
    pitfalls=(67,),
)
def lambda_recursive_loop_region(model: TemplateModel) -> Problems:
    """RecursiveLoop is set only in Regions with the API that CloudFormation calls for it.

    In China, GovCloud and the newest Regions the function cannot be created with it.
    """
    for region, there in _in_regions(model, WITHOUT_RECURSION_API):
        for title, properties in there.resources_of_type("Lambda::Function").items():
            if "RecursiveLoop" in properties:
                yield title, f"has RecursiveLoop in {region}, where Lambda has no such setting"


@rule(
    "DR-VPCE-008",
    "error",
    remediation=(
        "Choose the name by a condition on AWS::Partition; `aws ec2 describe-vpc-endpoint-services`"
        " lists the names of a Region."
    ),
    source=(
        "https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-vpc-endpoint-services.html"
    ),
    requirements=("D2",),
    pitfalls=(68,),
)
def vpce_china_service_name(model: TemplateModel) -> Problems:
    """Interface endpoints have the names of their services in China.

    Some services have the prefix cn. there, others have not; no endpoint has the other name.
    """
    for region, there in _in_regions(model, CHINA):
        for title, properties in there.resources_of_type("EC2::VPCEndpoint").items():
            name = str(properties.get("ServiceName", ""))
            found = AWS_SERVICE.fullmatch(name)
            if properties.get("VpcEndpointType") == "Interface" and found:
                right = interface_endpoint_service(found[1], region, is_china=True)
                if name != right:
                    yield title, f"is for {name}, which in China is {right}"
