"""Compares each upload with what is stored in the end: pure rules, tested on made-up results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.e2e.pictures import Colour
from worker.versions import order

Outcome = Literal["thumbnails", "rejected", "dead letter", "lost"]
Defect = Literal[
    "lost",
    "incomplete set",
    "missing object",
    "unnamed object",
    "duplicate",
    "older over newer",
    "wrong image",
    "wrong outcome",
    "wrong sequencer",
    "unknown object",
]

REJECTION = "the rejection"
"""The name of the object under `rejected/`; an output's has no space."""

TOLERANCE = 24  # of 255 in each channel: encoders change an even colour by less


@dataclass(frozen=True)
class Version:
    """One uploaded version and its outcome: the colour of thumbnails, or a rejection's reason."""

    id: str
    colour: Colour | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Source:
    """One uploaded key with its versions, oldest first."""

    key: str
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class Stored:
    """One version of an object in the thumbnail bucket that is not a record.

    Attributes:
        version: The version of the source that it was made from.
        sequencer: The sequencer of that version.
        etag: Its entity tag.
        colour: A thumbnail's.
        reason: A rejection's.
    """

    version: str
    sequencer: str
    etag: str
    colour: Colour | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Record:
    """One version of a source's record.

    Attributes:
        version: The version of the source that it is of.
        sequencer: The sequencer of that version.
        state: "done", "rejected" or "deleted".
        objects: The entity tag of each output by name, and of REJECTION, as the record names them.
        reason: A rejection's.
    """

    version: str
    sequencer: str
    state: str
    objects: Mapping[str, str]
    reason: str | None = None


Report = Callable[[Defect, str], None]

History = Sequence[Stored | None]
"""An object's versions, oldest first; None is a deletion. The last one is the current one."""


@dataclass(frozen=True)
class Found:
    """What was found for one source.

    Attributes:
        objects: Its outputs by name, and REJECTION.
        record: Its record.
        dead: The versions with a dead letter.
    """

    objects: Mapping[str, History] = field(default_factory=dict)
    record: Sequence[Record | None] = ()
    dead: frozenset[str] = frozenset()


def describe(source: Source, found: Found) -> str:
    """Return lines that say what happened to one source, for the reader of a finding."""
    numbers = {version.id: str(number) for number, version in enumerate(source.versions, start=1)}
    uploads = [version.reason or f"picture {version.colour}" for version in source.versions]
    dead = sorted(numbers.get(version, version) for version in found.dead)
    lines = [f"versions: {', '.join(uploads)}; dead letters: {', '.join(dead) or 'none'}"]

    def steps(history: Sequence[Stored | Record | None]) -> str:
        return ", ".join(
            "deleted"
            if step is None
            else f"{numbers.get(step.version)} at {step.sequencer} {_what(step)}"
            for step in history
        )

    lines += [f"{name}: {steps(history)}" for name, history in sorted(found.objects.items())]
    lines.append(f"record: {steps(found.record)}")
    return "\n".join(f"  {line}" for line in lines)


def _what(step: Stored | Record) -> str:
    if isinstance(step, Stored):
        return f"({step.etag[:6]})"
    named = ", ".join(f"{name} {etag[:6]}" for name, etag in sorted(step.objects.items()))
    return f"({step.state}: {named})"


@dataclass(frozen=True)
class Finding:
    """A defect of one key."""

    defect: Defect
    key: str
    detail: str

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{self.defect}: {self.key}: {self.detail}"


def check(source: Source, found: Found, names: Sequence[str]) -> tuple[Outcome, list[Finding]]:
    """Return the outcome of the newest version of a source, and whatever is wrong with it.

    `names` are the outputs of a complete set. A version whose message is a dead letter is
    accounted for, whatever it has left so far: after a redrive it ends as the others do.
    """
    newest = source.versions[-1]
    findings: list[Finding] = []

    def report(defect: Defect, detail: str) -> None:
        findings.append(Finding(defect, source.key, detail))

    record = found.record[-1] if found.record else None
    present = {name: history[-1] for name, history in found.objects.items() if history}
    current = {name: stored for name, stored in present.items() if stored}
    named = record.objects if record else {}
    missing = sorted(
        name for name, etag in named.items() if name not in current or current[name].etag != etag
    )
    if record and record.version == newest.id and not (missing and newest.id in found.dead):
        outcome: Outcome = "thumbnails" if record.state == "done" else "rejected"
        if missing:
            report("missing object", f"the record names {missing}, which are not there so")
        _check_record(newest, record, names, report)
        _check_objects(newest, record, current, report)
    elif newest.id in found.dead:
        outcome = "dead letter"
    else:
        outcome = "lost"
        instead = f"one of {record.version}, which is older" if record else "none"
        report("lost", f"neither its record nor a dead letter; the record is {instead}")
    if outcome != "dead letter":
        for name, stored in current.items():
            if named.get(name) != stored.etag and stored.version not in found.dead:
                report("unnamed object", f"{name} of {stored.version}: no record names it")
    for name, history in found.objects.items():
        _check_history(name, history, report)
    _check_history("the record", found.record, report)
    _check_sequencers(source, found, report)
    return outcome, findings


def _check_record(newest: Version, record: Record, names: Sequence[str], report: Report) -> None:
    """Report a record of the newest version that does not say what has to become of it."""
    expected = {None: "done", "deleted": "deleted"}.get(newest.reason, "rejected")
    if (record.state, record.reason) != (expected, newest.reason):
        report(
            "wrong outcome",
            f"{record.state} ({record.reason}), with {newest.reason or 'a picture'} uploaded",
        )
    complete = set(names) if record.state == "done" else {REJECTION}
    if set(record.objects) != complete:
        report("incomplete set", f"the record names {sorted(record.objects)}")


def _check_objects(
    newest: Version, record: Record, current: Mapping[str, Stored], report: Report
) -> None:
    """Report an object that the newest version's record names, and that is another version's."""
    for name, stored in current.items():
        if record.objects.get(name) != stored.etag:
            continue
        if (stored.version, stored.sequencer) != (record.version, record.sequencer):
            report("wrong sequencer", f"{name} is of {stored.version} at {stored.sequencer}")
        if name == REJECTION:
            if stored.reason != record.reason:
                report("wrong outcome", f"{name} says {stored.reason}, not {record.reason}")
        elif newest.colour and not _alike(stored.colour, newest.colour):
            report("wrong image", f"{name} has {stored.colour}, not {newest.colour}")


def _alike(one: Colour | None, other: Colour) -> bool:
    return one is not None and all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))


def _check_history(name: str, history: Sequence[Stored | Record | None], report: Report) -> None:
    """Report an older version that was written over a newer one, and one that was written twice.

    A record may be written again: that ends the replacements of what it names. Nobody deletes one.
    """
    before: Stored | Record | None = None
    for stored in history:
        if stored is None and isinstance(before, Record):
            report("lost", f"{name} was deleted")
        if stored is not None and before is not None:
            if stored.sequencer == before.sequencer:
                if isinstance(stored, Stored):
                    report("duplicate", f"{name} was written twice for {stored.version}")
            elif order(stored.sequencer) <= order(before.sequencer):
                report(
                    "older over newer", f"{name}: {stored.version} over the newer {before.version}"
                )
        before = stored


def _check_sequencers(source: Source, found: Found, report: Report) -> None:
    """Report a version that is stored with several sequencers, and sequencers that do not rise.

    Where the source was deleted once, a later version may also be stored at the deletion's place in
    the order: then sequencers only must not fall.
    """
    known: dict[str, set[str]] = {}
    for history in (*found.objects.values(), found.record):
        for stored in history:
            if stored is not None:
                known.setdefault(stored.version, set()).add(stored.sequencer)
    was_deleted = any(version.reason == "deleted" for version in source.versions)
    highest = ""
    for version in source.versions:
        sequencers = known.pop(version.id, set())
        if len(sequencers) > 1 and not was_deleted:
            report("wrong sequencer", f"{version.id} is stored with {sorted(sequencers)}")
        if sequencers and not was_deleted and min(map(order, sequencers)) <= highest:
            report(
                "wrong sequencer", f"{version.id} has {sorted(sequencers)}, not above older ones"
            )
        highest = max([highest, *map(order, sequencers)])
    for unknown in known:
        report("unknown object", f"outputs of version {unknown}, which was not uploaded")
