"""Chooses the files that a local run uploads, and to which source each of them goes."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from darkroom.console.text import plural, printable
from darkroom.errors import UsageError
from templates.specification_sources import Source

SAMPLES = Path(__file__).with_name("samples")


NOUNS = {
    "hidden": ("hidden file", "hidden files"),
    "broken_link": ("broken link", "broken links"),
    "linked_directory": ("linked directory", "linked directories"),
    "special": ("special file", "special files"),
    "suffix": ("file", "files"),
}
"""Kinds of what is in a directory and is not uploaded, each with its noun."""


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
    """What to upload, and what not.

    `unmatched` are the files that were named but match no source. `ignored` is the rest of each
    directory, as numbers by kind (NOUNS). `suffixes` are those that match.
    """

    uploads: tuple[Upload, ...]
    unmatched: tuple[File, ...]
    ignored: Mapping[Path, Mapping[str, int]]
    suffixes: tuple[str, ...] = ()


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
    ignored: defaultdict[Path, Counter[str]] = defaultdict(Counter)
    used: set[tuple[str, str]] = set()
    turns: Counter[str] = Counter()
    for file in collect(paths, ignored):
        matches = [name for name, source in sources.items() if _matches(file.name, source)]
        for name in matches:
            prefixes = sources[name].prefixes
            prefix = prefixes[turns[name] % len(prefixes)]
            turns[name] += 1
            uploads.append(Upload(file, name, _unused_key(name, prefix, file.name, used)))
        if not matches and file.directory is None:
            unmatched.append(file)
        elif not matches:
            ignored[file.directory or file.path]["suffix"] += 1
    suffixes = tuple(dict.fromkeys(name for one in sources.values() for name in one.suffixes))
    if not uploads:
        raise UsageError(
            "None of these files has a suffix that the specification's sources match:"
            f" {', '.join(suffixes)}, in lower or upper case."
        )
    return Selection(tuple(uploads), tuple(unmatched), ignored, suffixes)


def not_uploaded(counts: Mapping[str, int], suffixes: Sequence[str]) -> str:
    """Return what of a directory is not uploaded: `1 hidden file, 2 files without …`."""
    return ", ".join(
        plural(counts[kind], *nouns)
        + (f" without one of the suffixes {', '.join(suffixes)}" if kind == "suffix" else "")
        for kind, nouns in NOUNS.items()
        if counts.get(kind)
    )


def collect(
    paths: Sequence[Path], ignored: defaultdict[Path, Counter[str]] | None = None
) -> list[File]:
    """Return the files that `paths` name, each once.

    Args:
        paths: Files and directories.
        ignored: Gets what else is in each directory, as numbers by kind.

    Raises:
        UsageError: lists everything that cannot be read.
    """
    problems: list[str] = []
    files: dict[Path, File] = {}
    ignored = defaultdict(Counter) if ignored is None else ignored
    for given in dict.fromkeys(paths):
        for path, name in _files(given, problems, ignored):
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


def _files(
    given: Path, problems: list[str], ignored: defaultdict[Path, Counter[str]]
) -> Iterator[tuple[Path, str]]:
    """Yield the files that one argument stands for, each with its name in the pipeline."""
    shown = printable(str(given))
    if given.is_dir():
        kinds = {path: _kind(path, given) for path in sorted(given.rglob("*"))}
        others = Counter(kind for kind in kinds.values() if kind)
        found = [path for path, kind in kinds.items() if kind is None]
        if others:
            ignored[given] += others
        if not found:
            problems.append(
                f"{shown}: no files in this directory"
                + (f", only {not_uploaded(others, ())}" if others else "")
            )
        for path in found:
            yield path, _key_text(path.relative_to(given).as_posix())
    elif given.is_symlink() and not given.exists():
        problems.append(f"{shown}: a link to a file that does not exist")
    elif not given.exists():
        problems.append(f"{shown}: no such file or directory")
    elif not given.is_file():
        problems.append(f"{shown}: neither a file nor a directory")
    else:
        yield given, _key_text(given.name)


def _kind(path: Path, given: Path) -> str | None:
    """Return why what is in a directory is not uploaded; None if it is, "" if it does not count."""
    is_link = path.is_symlink()
    if path.is_dir() and not is_link:
        return ""
    if any(part.startswith(".") for part in path.relative_to(given).parts):
        return "hidden"
    if is_link and not path.exists():
        return "broken_link"
    if path.is_dir():
        return "linked_directory"
    return None if path.is_file() else "special"


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
    return name.endswith(tuple(suffix for _, suffix in source.filters()))


def _unused_key(source: str, prefix: str, name: str, used: set[tuple[str, str]]) -> str:
    """Return a key for the name that no other upload to the source has."""
    key, number = f"{prefix}{name}", 1
    while (source, key) in used:
        number += 1
        key = f"{prefix}{number}/{name}"
    used.add((source, key))
    return key
