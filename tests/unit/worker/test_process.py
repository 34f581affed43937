"""worker/process.py: the processor that the worker has, with its reasons."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.workload import outputs_of, thumbnails_only
from worker.imaging.memory import Memory
from worker.process import REASONS, process
from worker.results import Rejection
from worker.settings import Source, Variants

SOURCE = Source("default", (Variants((40, 10), {"jpeg": 85, "webp": 80}, 10_000),), "no-cache")


@thumbnails_only
def test_an_image_becomes_its_thumbnails() -> None:
    """P1: those of its source's variants."""
    body = io.BytesIO()
    Image.new("RGB", (60, 30), "red").save(body, "JPEG")
    body.seek(0)
    outputs = {output.name: output for output in outputs_of(process(body, SOURCE, Memory()))}
    assert set(outputs) == {"w40", "w40.webp", "w10", "w10.webp"}
    assert Image.open(io.BytesIO(outputs["w40.webp"].body)).size == (40, 20)


@thumbnails_only
def test_junk_is_rejected_for_a_reason_that_has_a_metric() -> None:
    """P5, O3: a reason that is listed."""
    with pytest.raises(Rejection) as rejected:
        outputs_of(process(io.BytesIO(b"not an image at all"), SOURCE, Memory()))
    assert rejected.value.reason in REASONS


def test_the_reasons_are_few_and_well_formed() -> None:
    """O3: CloudWatch charges for each one as a metric."""
    assert len(set(REASONS)) == len(REASONS) <= 20
    for reason in REASONS:
        Rejection(reason, "A sentence.")
