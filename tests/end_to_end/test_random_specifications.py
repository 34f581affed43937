"""Specifications at random, each deployed, with a picture through each of its sources."""

import pytest

from ops import deployment
from ops.emulator import Emulator
from templates import naming
from tests.end_to_end import beforehand, pictures
from tests.end_to_end.conftest import template
from tests.end_to_end.running import Pipeline, Stored
from tests.shapes.random import drawn
from tests.shapes.strategies import parsed
from worker import keys

# The last of eight for each seed; with variants that fit the memory there is by default.
SEEDS = (1, 14, 19)
PLANS = {f"seed{seed}": parsed(drawn(8, seed)[-1]) for seed in SEEDS}


def test_the_sample_has_every_envelope() -> None:
    """T5: S3's own, EventBridge's, and S3's in SNS's or without it."""
    sources = [source for plan in PLANS.values() for source in plan.sources.values()]
    assert {(source.type, source.raw_delivery) for source in sources} == {
        ("bucket", False),
        ("existing-bucket", False),
        ("topic", False),
        ("topic", True),
    }
    assert {plan.network.vpc for plan in PLANS.values()} == {"own", "existing"}


@pytest.mark.parametrize("name", PLANS)
def test_a_random_specification_runs(
    name: str, emulator: Emulator, package_parameters: dict[str, str]
) -> None:
    """D5, T5: a picture through each source, in its envelope, gives its variants in its folder."""
    plan = PLANS[name]
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=name,
        parameters={**package_parameters, **beforehand.parameters(emulator, plan, name)},
    )
    for source, settings in plan.sources.items():
        if settings.type == "existing-bucket":
            command = stack.outputs[naming.title(source, "TurnEventsOn")]
            beforehand.turn_events_on(emulator, command)
    uploaded = {}
    for source, settings in plan.sources.items():
        pipeline = Pipeline(emulator, stack, source)
        key = f"{settings.prefixes[-1]}a b+c{settings.suffixes[0].upper()}"
        pipeline.upload(key, pictures.jpeg())
        uploaded[key] = pipeline
    for key, pipeline in uploaded.items():
        made = plan.variants[plan.sources[pipeline.source].variants]

        def complete(pipeline: Pipeline = pipeline, key: str = key) -> list[Stored] | None:
            outputs = [
                pipeline.stored(keys.output_key(key, name, plan.folder(pipeline.source)))
                for name in pipeline.variant_names
            ]
            there = [stored for stored in outputs if stored]
            return there if len(there) == len(outputs) else None

        stored = pipeline.until(complete, f"outputs of {key} of {pipeline.source}")
        assert len(stored) == len(made.widths) * len(made.formats)
        for one in stored:
            assert one.metadata["source-bucket"] == pipeline.uploads
            assert one.head["CacheControl"] == made.cache_control
