"""Parameters of the whole stack and of the function package."""

from dataclasses import dataclass

from troposphere import If, Ref, Template

from templates import naming
from templates.limits import MAX_KEY_BYTES
from templates.parameters.builder import BUCKET_NAME, Group, if_given


@dataclass(frozen=True, kw_only=True)
class FunctionPackage:
    """Where the function package is and what it was built for."""

    bucket: Ref
    key: Ref
    runtime: Ref
    architecture: Ref
    signing_config: If


def add_general(template: Template) -> Ref:
    """Add the prefix of all names and the environment; return the latter."""
    group = Group(template, "General")
    group.add(
        naming.NAME_PREFIX,
        "Prefix of every resource name; unique in an account and Region",
        Default="darkroom",
        # Pitfall 82. A hyphen follows the prefix in a bucket's name, so `sthree` is refused too.
        AllowedPattern="^(?!xn--|(sthree|amzn-s3-demo)(-|$))[a-z][a-z0-9-]*[a-z0-9]$",
        ConstraintDescription=(
            "lower-case letters, digits and hyphens, as in a bucket name,"
            " which may not begin with xn--, sthree- or amzn-s3-demo-"
        ),
        MaxLength=naming.NAME_PREFIX_LENGTH,
    )
    return group.add(
        "Environment",
        "Environment tag of every resource, such as dev",
        Default="dev",
        AllowedPattern="^[A-Za-z0-9_.:/=+@-]{1,64}$",
    )


def add_function_package(template: Template) -> FunctionPackage:
    """Add the parameters of the function package."""
    group = Group(template, "Function package")
    return FunctionPackage(
        bucket=group.add(
            "CodeBucket",
            "Bucket with the function's package, in the stack's Region",
            AllowedPattern=BUCKET_NAME,
        ),
        key=group.add(
            "CodeKey",
            "Key of the function's package in CodeBucket; new code needs a new key",
            AllowedPattern=rf"^.{{1,{MAX_KEY_BYTES - len('.zip')}}}\.zip$",
        ),
        runtime=group.add(
            "Runtime",
            "Python version that the package was built for",
            Default="python3.13",
            AllowedValues=["python3.12", "python3.13", "python3.14"],
        ),
        architecture=group.add(
            "Architecture",
            "Processor architecture that the package was built for",
            Default="arm64",
            AllowedValues=["arm64", "x86_64"],
        ),
        signing_config=if_given(
            template,
            "HasCodeSigning",
            group.add(
                "CodeSigningConfigArn",
                "ARN of the function's code signing configuration; empty for none",
                Default="",
                AllowedPattern=r"^$|^arn:[a-z-]+:lambda:.+:code-signing-config:csc-[a-z0-9]{17}$",
            ),
        ),
    )
