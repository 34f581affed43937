"""Prints the CloudFormation template that a specification describes."""

import argparse
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from templates.limits import MAX_DIRECT_TEMPLATE_BYTES

ROOT = Path(__file__).parent
DEFAULT_PIPELINE = ROOT / "params" / "pipeline.toml"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status.

    0: done. 1: the output cannot be written, or a Python package is missing. 2: wrong input.
    """
    options = _parser().parse_args(arguments)
    try:
        # Here, so that --help works and a missing package is a message.
        from templates import pipeline, specification
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "templates":
            raise  # a defect of this project, so with its traceback
        return _failed(_missing(missing), 1)
    try:
        template = pipeline.build(specification.load(options.pipeline))
    except specification.SpecificationError as error:
        return _failed(f"error: {error}", 2)
    text = pipeline.render(template) if options.format == "json" else template.to_yaml()
    status = _write(text, options.output)
    size = len(text.encode())
    if status == 0 and size > MAX_DIRECT_TEMPLATE_BYTES:
        print(
            f"note: {size:,} bytes; CloudFormation takes {MAX_DIRECT_TEMPLATE_BYTES:,} directly."
            " Deploy it with `aws cloudformation deploy --s3-bucket BUCKET`.",
            file=sys.stderr,
        )
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Print the CloudFormation template that a specification describes.",
        epilog="example: python generate.py --pipeline mine.toml > stack.json",
    )
    parser.add_argument(
        "--pipeline",
        type=_path,
        default=DEFAULT_PIPELINE,
        metavar="FILE.toml",
        help="Specification; - reads standard input; default: params/pipeline.toml.",
    )
    parser.add_argument(
        "--output",
        type=_path,
        metavar="FILE",
        help="File for the template, in an existing folder or in a new one such as build; default:"
        " standard output.",
    )
    parser.add_argument(
        "--format", choices=("json", "yaml"), default="json", help="Form; default: json."
    )
    return parser


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name of the file is empty")
    return Path(text)


def _missing(package: str) -> str:
    if package == "tomllib":
        return f"error: generate.py needs Python 3.11 or later; {sys.executable} is older"
    return (
        f"error: generate.py needs the Python package {package!r}, which is not installed for"
        f" {sys.executable}; in the project's folder: python -m pip install -e ."
    )


def _write(text: str, output: Path | None) -> int:
    try:
        if output is not None:
            if not output.is_absolute():
                output.parent.mkdir(exist_ok=True)  # build/ is not in a clone
            output.write_text(text, encoding="utf-8")
        elif sys.stdout is None:
            return _failed("error: standard output: is closed", 1)
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except FileNotFoundError:
        parents = output.parents if output else ()
        missing = next((one for one in reversed(parents) if not one.exists()), output)
        return _failed(f"error: --output {output}: there is no folder {missing}", 1)
    except OSError as error:
        if output is None:
            with suppress(OSError):  # what is left in the buffer cannot be written at exit either
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno == errno.EPIPE:
                return 1  # the reader, such as `head`, has what it wanted
        where = f"--output {output}" if output else "standard output"
        return _failed(f"error: {where}: {error.strerror}", 1)
    return 0


def _failed(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
