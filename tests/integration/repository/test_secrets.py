"""No secret is in any file, nor in what is generated from them."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from detect_secrets.util.git import get_tracked_files

from benchmarks.camera_files import FILES, PYTHON_PACKAGES
from templates import pipeline, specification

ROOT = Path(__file__).parents[3]

# What looks like a secret and is none: the value, and why.
EXCEPTED = {
    "test": "what the emulator and its clients sign with; means nothing to the real AWS",
    "canary": "stands for the caller's own credentials, which must not be used",
    "cd5f416b3083e00d402a92e449a7ff67af46f11241073eea0461802a3b5aef98": "a file's SHA-256",
    "d41d8cd98f00b204e9800998ecf8427e": "an ETag: the MD5 of nothing",
    "9b2cf535f27731c974343645a3985328": "an ETag: the upload's in docs/record.md",
    "f16b236fa0c5c2e2a408e67c508fd069": "an ETag: an output's there",
    "fa7b4dc0203743f2e9915e59c4fc6a87": "an ETag: another output's there",
    "d0d0b42eac6fc9d3": "a digest of settings there",
    "0055AED6DCD90281E5": "a sequencer, from S3's example of a notification",
    "0055AED6DCD90281E6AA": "a sequencer, a later and longer one",
    "C3D13FE58DE4C810": "a request id, from the same example",
    "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD": "its second half",
    "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE": "of S3's test event",
    **{file.sha256: "a photograph's SHA-256" for file in FILES.values()},
    **{package.sha256: "a package's SHA-256" for package in PYTHON_PACKAGES},
}


def found(paths: Iterable[Path]) -> set[tuple[str, str]]:
    """Return file and value of whatever looks like a secret."""
    with default_settings():
        return {
            (path.name, (secret.secret_value or "").rstrip("\\"))  # JSON within JSON
            for path in paths
            for secret in scan_file(str(path))
        }


def test_no_file_holds_a_secret() -> None:
    """S7: all files of the repository; what is excepted is there, and says why."""
    files = [ROOT / name for name in get_tracked_files(str(ROOT)) or ()]
    assert ROOT / "README.md" in files
    seen = found(path for path in files if path.is_file())
    assert {(name, value) for name, value in seen if value not in EXCEPTED} == set()
    assert EXCEPTED.keys() - {value for _, value in seen} == set(), "excepted, and not there"


@pytest.mark.parametrize(
    "line",
    [
        'aws_secret_access_key = "' + "wJalr7UtnF" * 4 + '"',
        "AKIA" + "IOSFODNN7ABCDEFG",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        '{"password": "' + 'hunter2hunter2"}',
    ],
)
def test_a_secret_would_be_found(line: str, tmp_path: Path) -> None:
    """S7: written here in parts, so that this file holds none."""
    path = tmp_path / "settings.py"
    path.write_text(f"{line}\n")
    assert found([path])


def test_the_template_holds_no_secret(tmp_path: Path) -> None:
    """S7: nothing that a scanner for secrets knows."""
    path = tmp_path / "stack.json"
    template = pipeline.build(specification.Specification())
    path.write_text(template.to_json(indent=1))
    assert found([path]) == set()
