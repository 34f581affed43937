"""The README's deployment, line by line, on the emulator."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BUCKET = "my-code-bucket"

# Lines that this machine runs differently, by how they begin: what the emulator refuses is
# left out, and the package is the one for this interpreter.
INSTEAD = {
    "python3 -m venv": "true",
    "python generate.py": "python generate.py --output build/full.json && python runnable.py",
    "darkroom package": "cat code > build/code",
}


def lines() -> list[str]:
    """Return the commands of the block, each on one line."""
    block = (
        README.partition("The same with the AWS CLI")[2]
        .partition("```console\n")[2]
        .partition("```")[0]
    )
    joined = re.sub(r"\s*\\\n\s*", " ", block)
    return [line.removeprefix("$ ") for line in joined.splitlines()]


def adapted(line: str) -> str:
    for start, instead in INSTEAD.items():
        if line.startswith(start):
            return instead
    if line.startswith("darkroom preflight"):
        # The emulator has no endpoint that requests could come through, and runs the function
        # on this interpreter.
        return line.replace("$(cat", "--skip code EnforceVpcEndpoint=false $(cat")
    if line.startswith("darkroom verify"):
        # test_verify.py asserts what it finds on the emulator.
        return f"{line} --skip canary || true"
    return line


def test_the_deployment_works_as_typed(
    emulator: Emulator, package_parameters: dict[str, str], tmp_path: Path
) -> None:
    """D7, C1: with the variables that the block defines, to the thumbnails as files."""
    s3 = emulator.client("s3")
    s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": emulator.region}
    )
    checkout = tmp_path / "a clone"
    shutil.copytree(ROOT / "params", checkout / "params")
    shutil.copytree(ROOT / "templates", checkout / "templates")
    shutil.copytree(ROOT / "darkroom", checkout / "darkroom")
    shutil.copy(ROOT / "generate.py", checkout)
    (checkout / "build").mkdir()
    (checkout / "code").write_text(
        " ".join(f"{name}={value}" for name, value in package_parameters.items())
    )
    (checkout / "runnable.py").write_text(
        "import json; from pathlib import Path; from darkroom.emulator import deployment\n"
        "template, _ = deployment.runnable(json.loads(Path('build/full.json').read_text()))\n"
        "Path('build/stack.json').write_text(json.dumps(template))\n"
    )
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, module in (("aws", "awscli"), ("darkroom", "darkroom"), ("python", "")):
        call = f'exec "{sys.executable}" {f"-m {module} " if module else ""}"$@"'
        (programs / name).write_text(f"#!/bin/sh\n{call}\n")
        (programs / name).chmod(0o755)
    bash, script = shutil.which("bash"), "\n".join(map(adapted, lines()))
    assert bash
    done = subprocess.run(
        [bash, "-euxo", "pipefail", "-c", script],
        cwd=checkout,
        env={
            **emulator.environment,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    made = {path.name for path in (checkout / "build" / "cat").iterdir()}
    assert made >= {"w1200", "w1200.webp", "w400", "w128"}
    written = json.loads((checkout / "build" / "dev.json").read_text())
    assert f"CodeKey={package_parameters['CodeKey']}" in written
    assert deployment.EMULATOR_PARAMETERS.keys() <= {one.split("=")[0] for one in written}
