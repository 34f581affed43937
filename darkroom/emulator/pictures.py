"""Chooses the files that a local run uploads, and to which source each of them goes."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from darkroom.console.text import printable
from darkroom.errors import UsageError
from templates.specification import Source

SAMPLES = Path(__file__).with_name("samples")


@dataclass(frozen=True)
class File:
    """A file to process.

    `label` is its path for people, `name` its path in the pipeline and `size` its bytes.
    `directory` is the argument that it was found in; None for a file that was named itself.
    """

    path: Path
    label: str
    name: str
    size: int
    directory: Path | None = None


@dataclass(frozen=True)
class Upload:
    """A file on its way to the source named `source`, as the object `key`."""

    file: File
    source: str
    key: str


@dataclass(frozen=True)
class Selection:
    """What to upload; the files that were named but match no source; the others, by directory."""

    uploads: tuple[Upload, ...]
    unmatched: tuple[File, ...]
    ignored: Mapping[Path, int]


def sample_photographs() -> list[Path]:
    """Return the photographs that come with the program; LICENSES.md beside them has the rights."""
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in {".jpg", ".png"})


def select(paths: Sequence[Path], sources: Mapping[str, Source]) -> Selection:
    """Assign each file to every source that has its suffix, under the source's prefixes in turn.

    A directory stands for all files in it and below, except hidden ones.

    Raises:
        UsageError: files that cannot be read, each with its reason; or no file matches a source.
    """
    uploads: list[Upload] = []
    unmatched: list[File] = []
    ignored: Counter[Path] = Counter()
    used: set[tuple[str, str]] = set()
    turns: Counter[str] = Counter()
    for file in collect(paths):
        matches = [name for name, source in sources.items() if _matches(file.name, source)]
        for name in matches:
            prefixes = sources[name].prefixes
            prefix = prefixes[turns[name] % len(prefixes)]
            turns[name] += 1
            uploads.append(Upload(file, name, _unused_key(name, prefix, file.name, used)))
        if not matches and file.directory is None:
            unmatched.append(file)
        elif not matches:
            ignored[file.directory or file.path] += 1
    if not uploads:
        suffixes = dict.fromkeys(suffix for one in sources.values() for suffix in one.suffixes)
        raise UsageError(
            "None of these files has a suffix that the specification's sources match:"
            f" {', '.join(suffixes)}, in lower or upper case."
        )
    return Selection(tuple(uploads), tuple(unmatched), ignored)


def collect(paths: Sequence[Path]) -> list[File]:
    """Return the files that `paths` name, each once.

    Raises:
        UsageError: lists everything that cannot be read.
    """
    problems: list[str] = []
    files: dict[Path, File] = {}
    for given in paths:
        for path, name in _files(given, problems):
            # A link is a file of its own, so the last part is not resolved.
            place = path.parent.resolve() / path.name
            if place in files:
                if not given.is_dir():  # named itself as well as found in a directory
                    files[place] = replace(files[place], directory=None)
                continue
            try:
                with path.open("rb"):
                    size = path.stat().st_size
            except OSError as error:
                problems.append(f"{printable(str(path))}: {error.strerror}")
                continue
            directory = given if given.is_dir() else None
            files[place] = File(path, _label(path, given), name, size, directory)
    if problems:
        raise UsageError("\n".join(problems))
    return list(files.values())


def _files(given: Path, problems: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files that one argument stands for, each with its name in the pipeline."""
    shown = printable(str(given))
    if given.is_dir():
        found = sorted(
            path
            for path in given.rglob("*")
            if path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(given).parts)
        )
        if not found:
            problems.append(f"{shown}: no files in this directory")
        for path in found:
            yield path, _key_text(path.relative_to(given).as_posix())
    elif not given.exists():
        problems.append(f"{shown}: no such file or directory")
    elif not given.is_file():
        problems.append(f"{shown}: neither a file nor a directory")
    else:
        yield given, _key_text(given.name)


def _key_text(name: str) -> str:
    """Return a file's name as text for a key, whatever bytes it consists of.

    A line break is replaced: the emulator's wildcards in IAM policies do not match one.
    """
    text = os.fsencode(name).decode(errors="replace")
    return text.replace("\n", "\N{SYMBOL FOR NEWLINE}").replace("\r", "\N{SYMBOL FOR NEWLINE}")


def _label(path: Path, given: Path) -> str:
    """Return a short path for people: from here, or from the folder above the argument."""
    absolute, here = path.absolute(), Path.cwd()
    if absolute.parent == SAMPLES:
        return f"{SAMPLES.name}/{path.name}"
    if absolute.is_relative_to(here):
        return printable(str(absolute.relative_to(here)))
    root = given.absolute().parent
    return printable(str(absolute.relative_to(root if given.is_dir() else root.parent)))


def _matches(name: str, source: Source) -> bool:
    # Not `name.lower()`: S3's filters match the two spellings of a suffix and no mixture.
    return any(name.endswith((suffix, suffix.upper())) for suffix in source.suffixes)


def _unused_key(source: str, prefix: str, name: str, used: set[tuple[str, str]]) -> str:
    """Return a key for the name that no other upload to the source has."""
    key, number = f"{prefix}{name}", 1
    while (source, key) in used:
        number += 1
        key = f"{prefix}{number}/{name}"
    used.add((source, key))
    return key
