"""Processes files with what an unpacked package holds, and nothing else: run by __main__.py.

Prints a line of JSON for each file and set of variants: the digests of its outputs and its
properties, or the words of its rejection.
"""

import hashlib
import json
import sys
from pathlib import Path

package, folder = sys.argv[1:]
sys.path.insert(0, package)
sys.dont_write_bytecode = True

from worker.imaging import resize, thumbnails  # noqa: E402 -- from the package, which is on the path only now
from worker.results import Output, Rejection  # noqa: E402 -- from the package, which is on the path only now
from worker.settings import Variants  # noqa: E402 -- from the package, which is on the path only now

FORMATS = {"jpeg": 80, "webp": 80, "avif": 60}
VARIANTS = {
    "inside": Variants((400, 128), FORMATS, 2_000_000),
    "cover": Variants((96,), FORMATS, 2_000_000, fit="cover", sharpen=60),
    "animated": Variants((128,), {"webp": 80}, 2_000_000, animated=True),
    "contain": Variants((64,), FORMATS, 2_000_000, fit="contain", background=(255, 255, 255)),
}

if not resize.is_vectorised():
    sys.exit("the package's own library does not run: Pillow would be compared with Pillow")

for path in sorted(Path(folder).iterdir()):
    for name, variants in VARIANTS.items():
        found: list[object] = []
        try:
            with path.open("rb") as body:
                for made in thumbnails.make(body, [variants]):
                    if isinstance(made, Output):
                        found.append([made.name, hashlib.sha256(made.body).hexdigest()])
                    else:
                        found.append([dict(made.source), dict(made.record)])
        except Rejection as rejection:
            found.append(str(rejection))
        print(json.dumps([path.name, name, found]), flush=True)
