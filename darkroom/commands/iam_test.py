"""`darkroom privilege`: the proof of least privilege, counted for people."""

import argparse
from pathlib import Path

from darkroom.errors import UsageError
from darkroom.iam.model import model_of
from darkroom.iam.proof import prove
from templates import specification

PIPELINE = Path(__file__).parents[2] / "params" / "pipeline.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--pipeline",
        type=Path,
        default=PIPELINE,
        metavar="FILE.toml",
        help="the specification whose stack is proven (default: params/pipeline.toml)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what was claimed and what was found; return 0 when all holds, else 1."""
    try:
        stack = model_of(specification.load(arguments.pipeline))
    except specification.SpecificationError as error:
        raise UsageError(str(error)) from None
    proof = prove(stack)
    noticed = proof.mutations - len(proof.survivors)
    print(f"{proof.required:5} requests that must be allowed")
    print(f"{proof.forbidden:5} requests that must be refused, each at the gate that has to")
    print(f"{len(proof.broken):5} of these are not")
    for line in proof.broken:
        print(f"      {line}")
    print(f"{proof.mutations:5} single changes to the policies: a right less, a right more")
    print(f"{noticed:5} of these break one of the above")
    for line in proof.survivors:
        print(f"      not noticed: {line}")
    return 1 if proof.broken or proof.survivors else 0
