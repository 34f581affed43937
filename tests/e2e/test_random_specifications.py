"""Specifications at random, each deployed, with a picture through each of its sources."""

from functools import cache
from itertools import count

import pytest
from PIL import Image

from darkroom.emulator import deployment, prerequisites
from darkroom.emulator.ministack import Emulator
from templates.specification import Specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Pipeline, Stored
from tests.property.random_specifications import drawn
from tests.property.strategies import parsed

SEED = 1
MEGAPIXELS = 10
"""Of a variant, so that it fits the memory that there is by default: larger ones are rejected."""


def _is_small(plan: Specification) -> bool:
    if min(one.max_megapixels for one in plan.queues.values()) < 2:
        return False  # the tests' picture has 1.6
    for one in plan.variants.values():
        across, down = map(int, (one.aspect_ratio or "1:1").split(":"))
        if max(one.widths) ** 2 * down / across > MEGAPIXELS * 10**6:
            return False
    return True


ZONES = 3
"""Availability Zones of the emulator's Region."""


@cache
def _drawn(seed: int) -> list[Specification]:
    return [plan for plan in map(parsed, drawn(100, seed)) if _is_small(plan)]


def _sample() -> dict[str, Specification]:
    """Return the first specification for each kind of network with some kind of source."""
    found = {}
    for network, kind in (
        (("create", "create"), ("eventbridge", False)),
        (("existing", "create"), ("sns", False)),
        (("existing", "existing"), ("sns", True)),
    ):
        found["-".join(network)] = next(
            plan
            for seed in count(SEED)  # the first nearly always has all three
            for plan in _drawn(seed)
            if (plan.network.vpc, plan.network.endpoints) == network
            and kind in [(one.type, one.raw_message_delivery) for one in plan.sources.values()]
            and "s3" in [one.type for one in plan.sources.values()]
            and plan.network.availability_zones <= ZONES
        )
    return found


PLANS = _sample()


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
        parameters={**package_parameters, **prerequisites.create(emulator, plan, name)},
    )
    logo = pictures.encoded(Image.new("RGBA", (40, 20), (255, 0, 0, 90)), "PNG")
    for key in plan.watermark_keys():
        emulator.client("s3").put_object(Bucket=stack.thumbnail_bucket, Key=key, Body=logo)
    uploaded = {}
    for source, settings in plan.sources.items():
        pipeline = Pipeline(emulator, stack, source)
        prefix, suffix = settings.filters()[-1]
        key = f"{prefix}a b+c{suffix}"
        pipeline.upload(key, pictures.jpeg())
        uploaded[key] = pipeline
    for key, pipeline in uploaded.items():
        made = [plan.variants[name] for name in plan.sources[pipeline.source].variants]

        def complete(pipeline: Pipeline = pipeline, key: str = key) -> list[Stored] | None:
            outputs = [
                pipeline.stored(pipeline.settings.output_key(key, name))
                for name in pipeline.variant_names
            ]
            there = [stored for stored in outputs if stored]
            return there if len(there) == len(outputs) else None

        stored = pipeline.until(complete, f"outputs of {key} of {pipeline.source}")
        for one in stored:
            assert one.metadata["source-bucket"] == pipeline.uploads
            assert one.head["CacheControl"] == made[0].cache_control
