"""Importing the image core, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def test_imaging_imports_no_aws_and_no_more_of_pillow_than_it_uses() -> None:
    """C1: it runs anywhere, and starts fast."""
    code = """
import sys, io
from PIL import Image
from worker.settings import Variants
from worker.imaging.thumbnails import make
picture = io.BytesIO()
Image.new("RGB", (9, 9)).save(picture, "PNG")
picture.seek(0)
list(make(picture, [Variants((4,), {"jpeg": 80, "webp": 80, "avif": 60}, 99)]))
print(*sys.modules)
"""
    picture = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    loaded = picture.stdout.split()
    assert "PIL.WebPImagePlugin" in loaded
    unused = {"botocore", "boto3", "_pi_heif", "PIL.PdfImagePlugin", "PIL.EpsImagePlugin"}
    assert not unused & set(loaded)
