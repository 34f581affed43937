"""The whole pipeline on this computer: pictures through the generated template to a gallery."""

import argparse
import json
import os
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from darkroom.console import tables
from darkroom.console.progress import Progress
from darkroom.emulator import deployment, gallery
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UsageError, UserError
from templates import naming, pipeline, specification
from worker import events, keys, settings

ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / "params" / "pipeline.toml"
SAMPLES = ROOT / "darkroom" / "emulator" / "samples"

STACK_NAME = "darkroom"
UPLOADS_AT_ONCE = 8
POLL_SECONDS = 0.2
STALL_SECONDS = 120.0  # twice the worker's time-out: after that nothing more is to be expected

End = Literal["thumbnails", "rejected", "dead letter", "unfinished", "not watched"]
UNWATCHED = "its name does not end in a suffix that the pipeline picks up"
ACCOUNTED_FOR: tuple[End, ...] = ("thumbnails", "rejected", "not watched")


@dataclass(frozen=True)
class Picture:
    """A file to process: what people call it, and its key in the upload bucket."""

    path: Path
    label: str
    key: str
    size: int


@dataclass(frozen=True)
class Output:
    """An object in the thumbnail bucket, without its bytes."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Result:
    """How a picture ended: `seconds` after its upload began, for the reason in `detail`."""

    picture: Picture
    end: End
    seconds: float | None = None
    outputs: tuple[Output, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Door:
    """Where pictures are put, what the worker is told of it, and where its failures end."""

    bucket: str
    source: settings.Source
    dead_letters: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURES",
        type=Path,
        help="picture files, or directories with them (default: the sample photographs)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("build/local"),
        help="where the gallery page goes (default: %(default)s)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave the embedded AWS running until Ctrl-C and print how to use it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Process the pictures and show them; return 0 when each is accounted for, else 1."""
    progress = Progress()
    try:
        plan = specification.load(PIPELINE)
    except specification.SpecificationError as error:
        raise UserError(str(error)) from None
    own = [name for name, source in plan.sources.items() if source.type == "s3"]
    if not own:
        raise UserError(f"{PIPELINE}: no source has a bucket of the stack's own to upload to")
    source = plan.sources[own[0]]
    prefix = source.prefixes[0]
    pictures = collect(arguments.pictures or sample_photographs(), prefix=prefix)
    filters = source.filters()
    watched = [picture for picture in pictures if _is_watched(picture.key, filters)]
    if not watched:
        suffixes = ", ".join(source.suffixes)
        raise UsageError(
            f"None of these files would be picked up. Names that end in {suffixes}"
            " are, in lower or in upper case."
        )
    page = _page_in(arguments.output)

    with Emulator(progress=progress.update) as emulator:
        progress.step(f"Embedded AWS at {emulator.url}")
        stack = install(emulator, plan, progress=progress)
        began = time.monotonic()
        door = _door(stack, own[0], queue=source.queue)
        ended = process(emulator, stack, door, watched, progress=progress)
        seconds = time.monotonic() - began
        results = [
            ended.get(picture.key) or Result(picture, "not watched", detail=UNWATCHED)
            for picture in pictures
        ]
        progress.update("Writing the gallery")
        page.write_text(gallery.page(_shown(emulator, stack, results)), encoding="utf-8")
        progress.clear()
        print(table(results))
        print(f"\n{summary(results, seconds)}\nGallery: {page.resolve().as_uri()}")
        if unfinished := [result for result in results if result.end not in ACCOUNTED_FOR]:
            print(f"\nThe worker's last complaints:\n{complaints(emulator, stack)}")
        if arguments.keep:
            _keep(emulator, stack, door, prefix=prefix)
    return 1 if unfinished else 0


def sample_photographs() -> list[Path]:
    """Return the photographs that come with the program; LICENSES.md beside them has the rights."""
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in {".jpg", ".png"})


def collect(paths: Sequence[Path], *, prefix: str) -> list[Picture]:
    """Return the files that `paths` name, each once, with a key of its own under `prefix`.

    A directory stands for every file in it and below, except hidden ones.
    Raises UsageError that lists all that cannot be read, or says that there is nothing.
    """
    faults: list[str] = []
    pictures: dict[Path, Picture] = {}
    used: Counter[str] = Counter()
    for given in paths:
        for path, name in _files(given, faults):
            if path.resolve() in pictures:
                continue
            try:
                with path.open("rb"):
                    size = path.stat().st_size
            except OSError as error:
                faults.append(f"{_printable(path)}: {error.strerror}")
                continue
            used[name] += 1
            folder = "" if used[name] == 1 else f"{used[name]}/"  # the second of one name, …
            pictures[path.resolve()] = Picture(
                path, _printable(path), f"{prefix}{folder}{name}", size
            )
    if faults:
        raise UsageError("\n".join(faults))
    return list(pictures.values())


def _files(given: Path, faults: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files that one argument stands for, each with its name inside the pipeline."""
    if given.is_dir():
        found = sorted(
            path
            for path in given.rglob("*")
            if path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(given).parts)
        )
        if not found:
            faults.append(f"{_printable(given)}: no files in this directory")
        for path in found:
            yield path, _utf8(path.relative_to(given).as_posix())
    elif not given.exists():
        faults.append(f"{_printable(given)}: no such file or directory")
    elif not given.is_file():
        faults.append(f"{_printable(given)}: neither a file nor a directory")
    else:
        yield given, _utf8(given.name)


def _utf8(name: str) -> str:
    """Return a file's name as text that a key can hold, whatever bytes it is made of."""
    return os.fsencode(name).decode(errors="replace")


def _printable(path: Path) -> str:
    """Return a path for people: from here if it is below."""
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return tables.printable(str(shown))


def _is_watched(key: str, filters: Sequence[tuple[str, str]]) -> bool:
    return any(key.startswith(prefix) and key.endswith(suffix) for prefix, suffix in filters)


def _page_in(directory: Path) -> Path:
    """Return the path of the page, in a directory that is there and can be written to."""
    page = directory / "index.html"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with page.open("ab"):  # an earlier run's page stays until there is a new one
            pass
    except OSError as error:
        raise UsageError(f"--output {_printable(directory)}: {error.strerror}") from None
    return page


def install(
    emulator: Emulator, plan: specification.Specification, *, progress: Progress
) -> deployment.EmulatedStack:
    """Generate the template, package the worker and deploy both as the stack STACK_NAME."""
    text = pipeline.render(pipeline.build(plan))
    template, removed = deployment.runnable(json.loads(text))
    without = "".join(
        f"; without {', '.join(name for name in removed if removed[name] == missing)}:"
        f" the embedded AWS has no {missing}"
        for missing in dict.fromkeys(removed.values())
    )
    progress.step(
        f"Template: {len(text.encode()):,} bytes, {len(template['Resources'])} resources{without}"
    )
    settings = " ".join(f"{key}={v}" for key, v in deployment.EMULATOR_PARAMETERS.items())
    progress.step(f"Parameters: {settings}, for the embedded AWS has no VPC endpoints")
    progress.update("Packaging the worker (the first time it downloads its libraries)")
    worker = deployment.package_for_this_host(ROOT / "build")
    progress.step(f"Worker: {worker.path.name}, {worker.size / 1e6:.1f} MB")
    progress.update("Deploying through a change set")
    began = time.monotonic()
    stack = deployment.deploy(
        emulator,
        template,
        stack_name=STACK_NAME,
        parameters=deployment.package_parameters(emulator, worker),
    )
    progress.step(f"Deployed stack {stack.name} in {time.monotonic() - began:.1f} s")
    return stack


def _door(stack: deployment.EmulatedStack, source: str, *, queue: str) -> Door:
    bucket = stack.outputs[naming.logical_id(source, "UploadBucketName")]
    return Door(
        bucket=bucket,
        source=stack.sources[bucket],
        dead_letters=stack.outputs[naming.logical_id(queue, "DeadLetterQueueUrl")],
    )


def process(
    emulator: Emulator,
    stack: deployment.EmulatedStack,
    door: Door,
    pictures: Sequence[Picture],
    *,
    progress: Progress,
) -> dict[str, Result]:
    """Upload pictures and wait until each has ended, or none for STALL_SECONDS; key → result."""
    s3, sqs = emulator.client("s3"), emulator.client("sqs")
    uploaded: dict[str, datetime] = {}

    def upload(picture: Picture) -> None:
        uploaded[picture.key] = datetime.now(UTC)
        with picture.path.open("rb") as body:
            s3.put_object(Bucket=door.bucket, Key=picture.key, Body=body)

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for count, _ in enumerate(pool.map(upload, pictures), start=1):
            progress.update(f"Uploaded {count:,} of {len(pictures):,}")

    pending = {picture.key: picture for picture in pictures}
    results: dict[str, Result] = {}
    last = time.monotonic()
    while True:
        began = time.monotonic()
        found = _outputs(s3, stack)
        dead = dead_letters(sqs, door)
        for picture in list(pending.values()):
            result = _result(s3, stack, door, picture, found, dead, uploaded[picture.key])
            if result:
                results[picture.key] = result
                del pending[picture.key]
                last = time.monotonic()
        waited = time.monotonic() - last
        if not pending or waited > STALL_SECONDS:
            break
        progress.update(
            f"{len(results):,} of {len(pictures):,} ended"
            + (f"; none for {waited:.0f} s" if waited > 2 else "")
        )
        time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - began)))  # the work comes first
    for picture in pending.values():
        results[picture.key] = Result(
            picture, "unfinished", detail="neither thumbnails nor a rejection so far"
        )
    return results


def _outputs(s3: Any, stack: deployment.EmulatedStack) -> dict[str, list[Output]]:
    """Return the thumbnail bucket's objects by their keys' last folder."""
    found: dict[str, list[Output]] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=stack.thumbnail_bucket):
        for item in page.get("Contents", []):
            output = Output(item["Key"], item["Size"], item["LastModified"])
            found.setdefault(item["Key"].rpartition("/")[0], []).append(output)
    return found


def dead_letters(sqs: Any, door: Door) -> set[str]:
    """Return the keys of the objects that messages in the dead-letter queue announce."""
    found = set()
    while messages := sqs.receive_message(
        QueueUrl=door.dead_letters, MaxNumberOfMessages=10, VisibilityTimeout=5
    ).get("Messages"):
        for message in messages:
            found |= {source.key for source in events.parse(message["Body"]).objects}
    return found


def _result(
    s3: Any,
    stack: deployment.EmulatedStack,
    door: Door,
    picture: Picture,
    found: dict[str, list[Output]],
    dead: set[str],
    uploaded: datetime,
) -> Result | None:
    """Return how the picture ended, or None if it has not."""
    folder = keys.output_key_prefix(picture.key, door.source.output_prefix).removesuffix("/")
    rejection = keys.rejection_key(picture.key, door.source.output_prefix)
    outputs = found.get(folder, [])
    variants = door.source.variants
    if len(outputs) == len(variants.widths) * len(variants.formats):
        seconds = (max(output.modified for output in outputs) - uploaded).total_seconds()
        return Result(picture, "thumbnails", seconds, tuple(outputs))
    for output in found.get(rejection.rpartition("/")[0], []):
        if output.key == rejection:
            body = s3.get_object(Bucket=stack.thumbnail_bucket, Key=rejection)["Body"]
            record = json.load(body)
            seconds = (output.modified - uploaded).total_seconds()
            detail = f"{record['reason']}: {record['detail']}"
            return Result(picture, "rejected", seconds, detail=detail)
    if picture.key in dead:
        return Result(picture, "dead letter", detail="failed every try")
    return None


def _shown(
    emulator: Emulator, stack: deployment.EmulatedStack, results: Sequence[Result]
) -> Iterator[gallery.Shown]:
    """Yield what the gallery shows of each picture, the thumbnails fetched where it shows them."""
    s3 = emulator.client("s3")
    for number, result in enumerate(results):
        shown = result.outputs if number < gallery.PICTURES_WITH_IMAGES else ()
        variants = []
        for output in sorted(shown, key=lambda output: output.key):
            answer = s3.get_object(Bucket=stack.thumbnail_bucket, Key=output.key)
            variants.append(gallery.Picture(answer["Body"].read(), answer["ContentType"]))
        yield gallery.Shown(
            name=result.picture.label,
            original=result.picture.path,
            end=result.end,
            detail=result.detail,
            seconds=result.seconds,
            variants=tuple(variants),
        )


def table(results: Sequence[Result]) -> str:
    """Return a line for each picture: name, size in and out, time, end."""
    rows = [("picture", "in", "out", "time", "end")]
    for result in results:
        out = sum(output.size for output in result.outputs)
        rows.append(
            (
                result.picture.label,
                gallery.readable_size(result.picture.size),
                f"{len(result.outputs)}, {gallery.readable_size(out)}" if out else "–",
                "–" if result.seconds is None else f"{result.seconds:.2f} s",
                result.end + (f": {result.detail}" if result.detail else ""),
            )
        )
    return tables.table(rows, right=(1, 2, 3))


def summary(results: Sequence[Result], seconds: float) -> str:
    """Return a sentence with how many pictures ended how, in how many seconds altogether."""
    counts = Counter(result.end for result in results)
    ends = ", ".join(f"{count:,} {end}" for end, count in counts.most_common())
    processed = len(results) - counts["not watched"]
    pace = f"{seconds:.1f} s from the first upload, {processed / seconds:.1f} pictures a second"
    return f"{ends}; {pace}."


def complaints(emulator: Emulator, stack: deployment.EmulatedStack) -> str:
    """Return the last warnings and errors of the worker, or of the emulator about its function."""
    lines = []
    pages = emulator.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=stack.outputs["LogGroupName"]):
        for event in page["events"]:
            try:
                line = json.loads(event["message"])
            except ValueError:  # START, END and REPORT
                continue
            if line.get("level") in {"WARNING", "ERROR"}:
                error = line.get("exception", "").rstrip().rpartition("\n")[2]
                lines.append(f"  {line.get('key', '')}: {line['message']} {error}".rstrip())
    different = list(dict.fromkeys(lines))
    return "\n".join(different[-5:]) or emulator.log_tail(lines=5, about="ambda")


def _keep(emulator: Emulator, stack: deployment.EmulatedStack, door: Door, *, prefix: str) -> None:
    """Say how to use the running stack, and wait for Ctrl-C."""
    exports = "\n".join(
        f"  export {name}={shlex.quote(value)}" for name, value in emulator.settings.items()
    )
    try:
        print(
            f"\nThe embedded AWS keeps running. To use it from another terminal:\n{exports}\n"
            f"  aws s3 cp PICTURE s3://{door.bucket}/{prefix}\n"
            f"  aws s3 ls --recursive s3://{stack.thumbnail_bucket}/\n"
            "Ctrl-C stops it and removes everything in it.",
            flush=True,
        )
        emulator.wait()
    except KeyboardInterrupt:
        print()
