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
    "duplicate",
    "older over newer",
    "stale record",
    "wrong image",
    "wrong outcome",
    "wrong sequencer",
    "unknown object",
]

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
    """One version of an object in the thumbnail bucket.

    Attributes:
        version: The version of the source that it was made from.
        sequencer: The sequencer of that version.
        colour: A thumbnail's.
        reason: A rejection's.
    """

    version: str
    sequencer: str
    colour: Colour | None = None
    reason: str | None = None


Report = Callable[[Defect, str], None]

History = Sequence[Stored | None]
"""An object's versions, oldest first; None is a deletion. The last one is the current one."""


@dataclass(frozen=True)
class Found:
    """What was found for one source: outputs by name, its record, versions with a dead letter."""

    outputs: Mapping[str, History] = field(default_factory=dict)
    record: History = ()
    dead: frozenset[str] = frozenset()


def describe(source: Source, found: Found) -> str:
    """Return lines that say what happened to one source, for the reader of a finding."""
    numbers = {version.id: str(number) for number, version in enumerate(source.versions, start=1)}
    uploads = [version.reason or f"picture {version.colour}" for version in source.versions]
    dead = sorted(numbers.get(version, version) for version in found.dead)
    lines = [f"versions: {', '.join(uploads)}; dead letters: {', '.join(dead) or 'none'}"]
    for name, history in [*sorted(found.outputs.items()), ("record", found.record)]:
        steps = [
            "deleted" if step is None else f"{numbers.get(step.version)} at {step.sequencer}"
            for step in history
        ]
        lines.append(f"{name}: {', '.join(steps)}")
    return "\n".join(f"  {line}" for line in lines)


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
    present = {name: last for name, history in found.outputs.items() if (last := _last(history))}
    current = {name: last for name, last in present.items() if last.version == newest.id}
    older = sorted(present.keys() - current.keys())
    record = _last(found.record)
    is_recorded = record is not None and record.version == newest.id
    findings: list[Finding] = []

    def report(defect: Defect, detail: str) -> None:
        findings.append(Finding(defect, source.key, detail))

    if set(current) == set(names):
        outcome: Outcome = "thumbnails"
    elif is_recorded:
        outcome = "rejected"
    elif newest.id in found.dead:
        outcome = "dead letter"
    else:
        outcome = "lost"
        if current:
            report("incomplete set", f"{len(current)} of {len(names)} outputs: {sorted(current)}")
        else:
            left = f"; instead there are {older} of older versions" if older else ""
            report("lost", f"neither thumbnails nor a rejection nor a dead letter{left}")
    if outcome in ("thumbnails", "rejected"):
        if current and is_recorded:
            report("duplicate", f"both a rejection and {sorted(current)}")
        if older:
            report(
                "older over newer", f"{older} are of {[present[name].version for name in older]}"
            )
        if record is not None and not is_recorded:
            report("stale record", f"{record.reason} of the older version {record.version}")
        if outcome != ("rejected" if newest.reason else "thumbnails"):
            report("wrong outcome", f"{outcome}, with {newest.reason or 'a picture'} uploaded")
        elif outcome == "rejected" and record is not None and record.reason != newest.reason:
            report("wrong outcome", f"rejected as {record.reason}, not {newest.reason}")
    if len({output.sequencer for output in current.values()}) > 1:
        report("wrong sequencer", f"a set with {sorted({o.sequencer for o in current.values()})}")
    for name, output in current.items():
        if newest.colour and not _alike(output.colour, newest.colour):
            report("wrong image", f"{name} has {output.colour}, not {newest.colour}")
    for name, history in [*found.outputs.items(), ("the record", found.record)]:
        _check_history(name, history, report)
    _check_sequencers(source, found, report)
    return outcome, findings


def _last(history: History) -> Stored | None:
    return history[-1] if history else None


def _alike(one: Colour | None, other: Colour) -> bool:
    return one is not None and all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))


def _check_history(name: str, history: History, report: Report) -> None:
    """Report an older version that was written over a newer one, and one that was written twice."""
    before: Stored | None = None
    for stored in history:
        if stored is not None and before is not None:
            if stored.sequencer == before.sequencer:
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
    for history in [*found.outputs.values(), found.record]:
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
