"""`darkroom COMMAND`: the table of commands, and how each of them may end."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from darkroom.errors import UsageError, UserError

OWN_PACKAGES = {"darkroom", "templates", "worker"}


@dataclass(frozen=True)
class Command:
    """A module with `add_arguments(parser)` and `run(arguments) -> int`, imported when needed."""

    module: str
    summary: str
    examples: str
    group: str = "local"  # the dependency group that it needs


COMMANDS = {
    "local": Command(
        module="darkroom.commands.local",
        summary="run the whole pipeline on this computer, on an embedded AWS",
        examples="""\
  darkroom local                          the sample photographs
  darkroom local ~/Pictures --output /tmp/x  your own; the gallery in /tmp/x
  darkroom local --keep                   leave it running to look around""",
    ),
    "package": Command(
        module="darkroom.commands.package",
        summary="build the function's zip, and put it where CloudFormation finds it",
        examples="""\
  darkroom package                        python3.13 on arm64, into build/
  darkroom package --architecture x86_64
  darkroom package --upload my-code-bucket
  aws cloudformation deploy --template-file stack.json --stack-name darkroom \\
    --capabilities CAPABILITY_IAM \\
    --parameter-overrides $(darkroom package --upload my-code-bucket)""",
    ),
    "validate": Command(
        module="darkroom.commands.validate",
        summary="check a template and its parameter files before they are deployed",
        group="validate",
        examples="""\
  darkroom validate stack.json params/dev.json params/prod.json
  darkroom validate --tools rules theirs.yaml   without cfn-lint and checkov
  darkroom validate --output sarif stack.json > validate.sarif""",
    ),
    "preflight": Command(
        module="darkroom.commands.preflight",
        summary="find what would keep a stack from being deployed, and fill in its parameters",
        group="ops",
        examples="""\
  darkroom preflight --stack-name darkroom-prod --parameters params/prod.json \\
    $(darkroom package --upload my-code-bucket) --write build/prod.json
  aws cloudformation deploy --stack-name darkroom-prod --template-file build/stack.json \\
    --capabilities CAPABILITY_IAM --parameter-overrides file://build/prod.json
It changes nothing in the account. It ends with 0 when nothing fails (`--strict`: nor warns), 1 when
something does, 2 for wrong usage, 130 when interrupted.""",
    ),
    "readiness": Command(
        module="darkroom.commands.verify",
        summary="verify a deployed stack against its template, and send a picture through it",
        examples="""\
  darkroom readiness --stack-name darkroom-prod
  darkroom readiness --stack-name darkroom-prod --skip drift --skip canary
  darkroom readiness --stack-name darkroom-prod --output junit > readiness.xml
The canary is removed afterwards, with all its versions, also after Ctrl-C. It ends with 0 when
nothing fails (`--strict`: nor warns), 1 when something does, 2 for wrong usage, 130 when
interrupted.""",
    ),
    "teardown": Command(
        module="darkroom.commands.delete",
        summary="take a stack away without losing work, and say what stays and costs",
        examples="""\
  darkroom teardown --stack-name darkroom-dev --dry-run      the steps, as things stand
  darkroom teardown --stack-name darkroom-dev                keeps buckets and key
  darkroom teardown --stack-name darkroom-dev --delete-data  and deletes all data, for good
Interrupted, the same command goes on where it was, also when the stack is gone already. It ends
with 0 when it is gone, 1 when it failed or refused, 2 for wrong usage, 130 when interrupted.""",
    ),
    "backfill": Command(
        module="darkroom.commands.backfill",
        summary="put objects that a source has already onto its queue",
        group="ops",
        examples="""\
  darkroom backfill --stack-name darkroom-prod --dry-run       count, and what it costs
  darkroom backfill --stack-name darkroom-prod                 count, ask, go
  darkroom backfill --stack-name darkroom-prod --skip-done --yes --rate 100
  darkroom backfill --stack-name darkroom-prod --prefix uploads/2025/ --since 30d
  darkroom backfill --stack-name darkroom-prod --source scans \\
    --inventory s3://inventories/scans/all/2026-11-20T01-00Z/manifest.json
Interrupted, the same command goes on where it was. It ends with 0 when all is announced, 1 when it
failed, 2 for wrong usage, 130 when interrupted.""",
    ),
    "diff": Command(
        module="darkroom.commands.diff",
        summary="say what deploying one template over another would replace or remove",
        group="rules",
        examples="""\
  darkroom diff old.json new.json
  python generate.py --pipeline new.toml --output new.json
  aws cloudformation get-template --stack-name darkroom --query TemplateBody > old.json
It ends with 0 when nothing that is there is replaced or removed, with 1 when something is.""",
    ),
    "dead-letters": Command(
        module="darkroom.commands.dlq",
        summary="messages that failed every try: list, show, redrive, purge",
        group="ops",
        examples="""\
  darkroom dead-letters list --stack-name darkroom-prod              grouped by cause
  darkroom dead-letters show MESSAGE-ID --stack-name darkroom-prod   with the worker's words
  darkroom dead-letters redrive --stack-name darkroom-prod           all, after the repair
  darkroom dead-letters redrive --stack-name darkroom-prod --cause AccessDenied
  darkroom dead-letters purge MESSAGE-ID --stack-name darkroom-prod  saved to a file before
  darkroom dead-letters policy --stack-name darkroom-prod            the rights it all takes
They end with 0 when done (`list --exit-code`: 1 if there are letters), 1 when it failed or a letter
was not there, 2 for wrong usage, 130 when interrupted.""",
    ),
    "rejections": Command(
        module="darkroom.commands.rejections",
        summary="uploads that gave no thumbnails: list them with reasons, try them again",
        group="ops",
        examples="""\
  darkroom rejections list --stack-name darkroom-prod --summary
  darkroom rejections list --stack-name darkroom-prod --reason too_large --since 7d
  darkroom rejections retry --stack-name darkroom-prod --reason too_large --dry-run
  darkroom rejections retry --stack-name darkroom-prod --key uploads/cat.jpg --yes
They end with 0 when done (`list --exit-code`: 1 if there are rejections), 1 when it failed, 2 for
wrong usage, 130 when interrupted; then the same command goes on.""",
    ),
    "logs": Command(
        module="darkroom.commands.logs",
        summary="show all that the worker's log says of a picture, from message to result",
        group="ops",
        examples="""\
  darkroom logs uploads/cat.jpg --stack-name darkroom-dev
  darkroom logs 6f0a3c1e-… --since 6h --stack-name darkroom-dev   a request or message id
  darkroom logs uploads/cat.jpg --archive --since 2026-05-01 --until 2026-05-03 \\
    --stack-name darkroom-prod --region eu-west-1 --profile reader""",
    ),
    "privilege": Command(
        module="darkroom.commands.iam_test",
        summary="prove that the policies allow what is needed and nothing else",
        examples="""\
  darkroom privilege
  darkroom privilege --pipeline mine.toml""",
    ),
    "plan": Command(
        module="darkroom.commands.capacity",
        summary="capacity and cost: throughput, bursts, quotas, prices; needs no AWS account",
        group="plan",
        examples="""\
  darkroom plan                             a million phone pictures a month, as in prod.json
  darkroom plan --rate 30M/month --burst 20x30min --plot plan.png
  darkroom plan --parameters params/dev.json --region eu-central-1
  darkroom plan --megapixels 24:46 --failures 1% --outage 30min --simulate
  darkroom plan --rate 1G/month --concurrency 10000 --output json""",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        status: int = arguments.run(arguments)
    except KeyboardInterrupt as stop:
        # A command says what is done and how to go on by raising it anew with a sentence.
        print(": ".join(["interrupted", *stop.args]), file=sys.stderr)
        return 130  # as shells say it: 128 + SIGINT
    except (UserError, OSError) as error:  # OSError: a full disk, a directory without rights, …
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return status


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; only the module of the command that it names is imported."""
    parser = argparse.ArgumentParser(
        prog="darkroom",
        description="Commands for those who build, try and run the pipeline.",
        epilog="darkroom COMMAND --help shows a command's options, with examples.",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((argument for argument in argv if not argument.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"examples:\n{command.examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen:
            module = _load(name, command)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser.parse_args(argv)


def _load(name: str, command: Command) -> ModuleType:
    try:
        return import_module(command.module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OWN_PACKAGES:
            raise  # ours to repair, so with its traceback
        raise UserError(
            f"the command {name!r} needs the Python package {missing!r}, which is not installed"
            f" for {sys.executable}; install this project's with:"
            f" python -m pip install --group {command.group}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
