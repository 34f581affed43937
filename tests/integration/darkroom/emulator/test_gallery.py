"""The gallery in a browser."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from darkroom.emulator.gallery import Entry
from tests.unit.darkroom.emulator.test_gallery import output, picture, written

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
@pytest.mark.parametrize("width", [1400, 390])
def test_a_browser_shows_the_page(tmp_path: Path, width: int) -> None:
    """D5: every image loads, filters work without a script, nothing is wider than the window."""
    path = tmp_path / "a b#?.jpg"
    path.write_bytes(picture(size=(1600, 900)))
    sizes = [(1200, 675), (400, 225), (128, 72)]
    made = [output(f"w{size[0]}.webp", picture("WEBP", size)) for size in sizes]
    record = {
        "placeholder": "data:image/webp;base64,UklGRg==",
        "color": "#c82828",
        "outputs": [
            {
                "name": one.key.rpartition("/")[2],
                "key": one.key,
                "type": "image/webp",
                "width": size[0],
                "height": size[1],
            }
            for one, size in zip(made, sizes, strict=True)
        ],
    }
    entry = Entry(
        "a rather long folder/with a rather long name of a picture in it.jpg",
        path,
        "succeeded",
        outputs=lambda: made,
        record=record,
    )
    junk = tmp_path / "junk.jpg"
    junk.write_bytes(b"junk")
    directory, _ = written(tmp_path, entry, Entry("junk.jpg", junk, "rejected", 40 * "reason "))
    # The same page with a script that measures it: the page itself has none.
    page = (directory / "index.html").read_text()
    page = re.sub(r"<meta http-equiv[^>]*>", "", page).replace('loading="lazy"', "")
    (directory / "measured.html").write_text(page)
    (directory / "frame.html").write_text(FRAME % width)
    assert BROWSER
    done = subprocess.run(
        [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--allow-file-access-from-files", "--virtual-time-budget=20000"),
            *(f"--user-data-dir={tmp_path / 'profile'}", (directory / "frame.html").as_uri()),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    ).stdout
    found = re.search(r"<pre>(images=.*)</pre>", done)
    assert found, done
    facts = dict(part.split("=") for part in found[1].split())
    assert facts["broken"] == "0"
    assert facts["images"] == "5"
    assert int(facts["overflow"]) <= 0
    assert facts["ratio"] == "3.0", "to scale: 1200 is three times as wide as 400"
    assert facts["filtered"] == "1"


FRAME = """<!DOCTYPE html><body>
<iframe src="measured.html" style="width:%dpx;height:900px"></iframe>
<script>
onload = async () => {
  const page = document.querySelector("iframe").contentDocument;
  const images = [...page.images];
  while (!images.every(image => image.complete)) await new Promise(done => setTimeout(done, 50));
  const root = page.documentElement;
  const outputs = page.querySelectorAll(".format img");
  const ratio = outputs[0].getBoundingClientRect().width / outputs[1].getBoundingClientRect().width;
  const overflow = root.scrollWidth - root.clientWidth;
  page.querySelector("#show-rejected").click();
  const filtered = [...page.querySelectorAll("article")].filter(one => one.offsetHeight).length;
  const facts = {images: images.length, broken: images.filter(one => !one.naturalWidth).length,
    overflow, ratio: ratio.toFixed(1), filtered};
  const text = Object.entries(facts).map(pair => pair.join("=")).join(" ");
  document.body.innerHTML = "<pre>" + text + "</pre>";
};
</script></body>
"""
