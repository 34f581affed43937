"""The memory that a process takes for batches of large pictures."""

from __future__ import annotations

import subprocess
import sys

import pytest

BATCHES = """
import io, re
from tests.unit.worker.memory_s3 import MemoryS3
from tests.unit.worker.test_handler import SETTINGS, UPLOADS, Clock, replace, uploads
from PIL import Image
from worker import handler
from worker.imaging import memory, thumbnails
from worker.settings import Source, Variants

memory.configure_malloc()
variants = Variants((400,), {"jpeg": 80}, 9_000_000)
sources = {UPLOADS: Source("default", (variants,), "no-cache")}
settings = replace(SETTINGS, max_object_bytes=1_000_000, sources=sources)
_, room = memory.divide_memory(400, threads=8, file_bytes=settings.max_object_bytes)
picture = io.BytesIO()
Image.linear_gradient("L").resize((3_000, 2_000)).convert("RGB").save(picture, "WEBP", method=0)
s3 = MemoryS3()
worker = handler.Worker(
    settings=settings, s3=s3, sqs=None, memory=room, threads=8,
    processor=lambda body, source, memory: thumbnails.make(body, source.variants, memory),
)
for _ in range(3):
    batch = uploads(s3, 8)
    for place in s3.versions:
        s3.versions[place] = picture.getvalue()
    s3.objects.clear()
    assert worker.handle_batch(batch, Clock()) == {"batchItemFailures": []}
    assert not [key for key in s3.objects if key.startswith("rejected/")]
with open("/proc/self/status") as status:
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")
def test_batches_of_large_pictures_stay_within_the_function() -> None:
    """P5: eight at once, each a third of it, again and again: what was freed is not held."""
    command = [sys.executable, "-c", BATCHES]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 100 < int(child.stdout.splitlines()[-1]) < 400
