"""The example specifications, each deployed and put to work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.template_sizes.sizes import EXAMPLES
from darkroom.emulator import deployment, prerequisites
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline

# Boundary and signing are refused where they name nothing: the template's tests have them.
GIVEN = {"regulated": {"AllowedUploadCidrs": "127.0.0.0/8"}}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(
    path: Path,
    emulator: Emulator,
    package_parameters: dict[str, str],
    terminal: Callable[[str], Operator],
) -> None:
    """D4, D5, T5: with its own template's permissions, events and settings; and verified."""
    plan = specification.load(path)
    name = path.stem
    parameters = prerequisites.create(emulator, plan, name)
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=name,
        parameters={**package_parameters, **parameters, **GIVEN.get(name, {})},
    )
    for source, settings in plan.sources.items():
        one = Pipeline(emulator, stack, source)
        key = f"{settings.prefixes[0]}a cat.jpg"
        stored = one.thumbnails(key, one.upload(key, pictures.jpeg()))
        made = plan.variants[settings.variants[0]]
        assert len(stored) == len(one.variant_names)
        first = next(iter(stored.values()))
        assert first.head["CacheControl"] == made.cache_control
        assert first.metadata["source-bucket"] == one.uploads
        if settings.propagate_deletes:
            one.s3.delete_object(Bucket=one.uploads, Key=key)
            assert one.rejection(key)["state"] == "deleted"
    terminal(name).does("verify", "--skip", "canary")
