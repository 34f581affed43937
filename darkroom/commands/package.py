"""`darkroom package`: options, one build, perhaps an upload."""

from pathlib import Path

import click

from darkroom.bundle.target import DEFAULT_ARCHITECTURE, DEFAULT_RUNTIME, MACHINES, RUNTIMES
from darkroom.console.command import Command
from darkroom.console.option_types import DIRECTORY
from darkroom.errors import UsageError

EXAMPLES = """
  darkroom package
  darkroom package --upload MY-CODE-BUCKET > build/code
  darkroom package --runtime python3.14 --architecture x86_64 --output dist
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default=DEFAULT_RUNTIME,
    show_default=True,
    help="Runtime of the function: the stack's parameter Runtime.",
)
@click.option(
    "--architecture",
    type=click.Choice(list(MACHINES)),
    default=DEFAULT_ARCHITECTURE,
    show_default=True,
    help="Architecture of the function: the stack's parameter Architecture.",
)
@click.option(
    "--output",
    type=DIRECTORY,
    default=Path("build"),
    show_default=True,
    help="Directory for the zip and its SBOM.",
)
@click.option(
    "--upload",
    "bucket",
    metavar="BUCKET",
    help="Upload the zip to this bucket, and print the two parameters to deploy with.",
)
@click.option("--region", metavar="REGION", help="AWS Region of the bucket; with --upload.")
@click.option("--profile", metavar="NAME", help="Profile of ~/.aws/config; with --upload.")
@click.option(
    "--python",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Interpreter that compiles the bytecode; default: one of the runtime's version that is"
    " found. Another patch release may compile to other bytes.",
)
@click.option(
    "--no-bytecode",
    is_flag=True,
    help="Leave the bytecode out: the same zip on every host, but a slower cold start.",
)
def command(
    *,
    runtime: str,
    architecture: str,
    output: Path,
    bucket: str | None,
    region: str | None,
    profile: str | None,
    python: Path | None,
    no_bytecode: bool,
) -> int:
    """Build the function's zip and its SBOM, the same bytes on any host."""
    from darkroom.aws.session import open_account
    from darkroom.bundle.build import build
    from darkroom.bundle.upload import check_bucket, upload

    if python and no_bytecode:
        raise UsageError("--python and --no-bytecode exclude each other")
    account = None
    if bucket:
        account = open_account(region=region, profile=profile)
        check_bucket(account, bucket)
    package = build(
        runtime=runtime,
        architecture=architecture,
        output=output,
        python=python,
        with_bytecode=not no_bytecode,
    )
    if not package.bytecode and not no_bytecode:
        click.echo(
            f"warning: no Python {runtime.removeprefix('python')} found on this host, so the"
            " package has no bytecode, and each cold start compiles all modules; install that"
            " Python (pyenv, uv) or name it with --python",
            err=True,
        )
    if not package.resizes_with_vectors:
        click.echo(
            "warning: ziglang is not installed, so the package resizes with Pillow alone, which"
            " takes a quarter more processor time; install darkroom with its dependencies",
            err=True,
        )
    bytecode = f"bytecode by Python {package.bytecode}" if package.bytecode else "no bytecode"
    click.echo(
        f"{package.path}: {package.size:,} bytes, unpacked {package.unpacked_size:,}, {bytecode}\n"
        f"{package.sbom}: its contents, as CycloneDX",
        err=True,
    )
    if not account or not bucket:
        click.echo(package.path)
        return 0
    if not upload(package, bucket, s3=account.client("s3")):
        click.echo(f"{package.key} is already in {bucket}", err=True)
    click.echo(f"CodeBucket={bucket} CodeKey={package.key}")
    return 0
