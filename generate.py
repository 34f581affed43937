"""Prints the CloudFormation template that a specification describes."""

import argparse
import sys
from pathlib import Path

from templates import pipeline, specification

DEFAULT_PIPELINE = Path(__file__).parent / "params" / "pipeline.toml"

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
DIRECT_LIMIT = 51_200


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 when the output cannot be written, 2 for a wrong input."""
    parser = argparse.ArgumentParser(
        description="Print the CloudFormation template that a specification describes.",
        epilog="example: python generate.py --pipeline mine.toml > stack.json",
    )
    parser.add_argument(
        "--pipeline",
        type=Path,
        default=DEFAULT_PIPELINE,
        metavar="FILE.toml",
        help="the specification (default: params/pipeline.toml)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write there instead of to standard output"
    )
    parser.add_argument("--format", choices=("json", "yaml"), default="json")
    options = parser.parse_args(arguments)

    try:
        template = pipeline.build(specification.load(options.pipeline))
    except specification.SpecificationError as error:
        print(error, file=sys.stderr)
        return 2
    text = pipeline.render(template) if options.format == "json" else template.to_yaml()
    if (size := len(text.encode())) > DIRECT_LIMIT:
        print(
            f"note: {size:,} bytes; CloudFormation takes {DIRECT_LIMIT:,} directly."
            " Deploy it with `aws cloudformation deploy --s3-bucket BUCKET`.",
            file=sys.stderr,
        )
    try:
        if options.output is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{options.output or 'standard output'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
