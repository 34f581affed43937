"""`darkroom local`: runs the pipeline on this computer."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.console.command import Command, format_option, pipeline_option
from darkroom.console.option_types import DIRECTORY, OptionType

if TYPE_CHECKING:
    from darkroom.emulator.run import LocalRun

EXAMPLES = """
  darkroom local
  darkroom local holiday/ "my cat.jpg" --output build/holiday
  darkroom local --pipeline params/examples/web.toml
  darkroom local cat.jpg --keep-running
  darkroom local --pipeline marked.toml --watermark logo.png
"""


def _path(text: str) -> Path:
    if not text:  # it would stand for the current directory
        raise ValueError("the name is empty: is a variable not set?")
    return Path(text)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("pictures", nargs=-1, type=OptionType("PICTURES", _path))
@pipeline_option("Specification to run")
@click.option(
    "--output",
    type=DIRECTORY,
    default=Path("build/local"),
    show_default=True,
    help="Directory for the gallery page and its files.",
)
@click.option(
    "--watermark",
    "watermarks",
    multiple=True,
    type=OptionType("FILE", _path),
    help="Watermark of the specification; with several, each by the file name in its key.",
)
@click.option(
    "--keep-running",
    is_flag=True,
    help="Leave the emulator running until Ctrl-C, and print how to use it.",
)
@format_option()
def command(
    pictures: tuple[Path, ...],
    pipeline: Path,
    output: Path,
    watermarks: tuple[Path, ...],
    keep_running: bool,
    format_: str,
) -> int:
    """Run the pipeline on this computer, on an emulator of AWS, and show the results in a gallery.

    PICTURES are files or directories; without any, the sample photographs. Each picture goes to
    every source of the specification that matches its suffix, under the source's prefixes in turn;
    to the source of an upload API through the API, as `darkroom upload` does.
    """
    from darkroom.console.output import print_result
    from darkroom.console.progress import Progress
    from darkroom.emulator import report
    from darkroom.emulator.run import LocalRun

    progress = Progress()
    with LocalRun(pipeline, pictures, output, watermarks=watermarks, progress=progress) as run:
        finished = run.process()
        text = [
            report.results_table(finished.results, run.selection),
            "",
            *report.summary(finished.results, run.selection, finished.elapsed),
            *report.events(finished.events),
            f"Gallery: {finished.page.resolve().as_uri()}",
        ]
        text += [f"Log archive: {address}" for address in finished.log_objects]
        if finished.warnings:
            text += ["", "The worker's last warnings:", *(f"  {one}" for one in finished.warnings)]
        facts = report.data(finished.results, run.selection, finished.elapsed, finished.page)
        facts |= {"events": finished.events, "log_objects": finished.log_objects}
        print_result(facts, "\n".join(text), format_)
        if keep_running:
            _keep_running(run)
    if keep_running:
        click.echo("The emulator is stopped, and its files are deleted.", err=True)
    return 0 if finished.is_complete else 1


def running_program() -> str:
    """Return how to start this program from a shell: its name if it is on PATH, else its path."""
    name = "darkroom"
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside.exists():
        return name if found else f"{shlex.quote(sys.executable)} -m {name}"
    return name if found and beside.samefile(found) else shlex.quote(str(beside))


def _keep_running(run: "LocalRun") -> None:
    """Print how to use the running stack, and wait for Ctrl-C."""
    exports = "".join(
        f"  export {name}={shlex.quote(value)}\n" for name, value in run.settings.items()
    )
    uploads = "".join(f"  aws s3 cp FILE s3://{place}\n" for place in run.upload_places)
    if api := run.api:
        exports += f"  export DARKROOM_API_KEY={shlex.quote(api.key)}\n"
        uploads += f"  {running_program()} upload FILE --api {api.url}\n"
    try:
        click.echo(
            "\nThe emulator keeps running. To use it from another terminal:\n"
            f"  unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN\n{exports}{uploads}"
            f"  aws s3 ls --recursive s3://{run.thumbnail_bucket}/\n"
            f"  {running_program()} logs KEY --stack-name {run.stack_name}"
            f"{'  # or with --archive' if run.has_log_archive else ''}\n"
            "Version 2 of the AWS CLI reads AWS_ENDPOINT_URL for every service; version 1 needs"
            " --endpoint-url $AWS_ENDPOINT_URL for some.\n"
            "Ctrl-C stops the emulator and deletes everything in it."
        )
        run.wait()
    except KeyboardInterrupt:
        click.echo()
