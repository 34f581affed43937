"""Each uploaded object against what is stored in the end: pure rules, testable on made-up ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.e2e.pictures import Colour
from worker.versions import order

End = Literal["thumbnails", "rejected", "dead letter", "lost"]
Fault = Literal[
    "lost",
    "half a set",
    "double",
    "older on top",
    "stale record",
    "wrong picture",
    "wrong end",
    "wrong sequencer",
    "nobody's",
]

TOLERANCE = 24  # of 255 in each channel: what encoders take from an even colour, and then some


@dataclass(frozen=True)
class Version:
    """One uploaded version, and its end: thumbnails of a colour, or a rejection's reason."""

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
    """One version of an object in the thumbnail bucket: which version of the source it is of.

    `colour` is a thumbnail's, `reason` a rejection's.
    """

    version: str
    sequencer: str
    colour: Colour | None = None
    reason: str | None = None


Note = Callable[[Fault, str], None]

History = Sequence[Stored | None]
"""An object's versions, oldest first; None is a deletion. The last one is what stands."""


@dataclass(frozen=True)
class Found:
    """What was found for one source: outputs by name, its record, versions with a dead letter."""

    outputs: Mapping[str, History] = field(default_factory=dict)
    record: History = ()
    dead: frozenset[str] = frozenset()


def story(source: Source, found: Found) -> str:
    """Return lines that tell what happened to one source, for who looks into a finding."""
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
    """Something that must not be."""

    fault: Fault
    key: str
    detail: str

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{self.fault}: {self.key}: {self.detail}"


def account(source: Source, found: Found, names: Sequence[str]) -> tuple[End, list[Finding]]:
    """Return how the newest version of a source ended, and whatever is wrong with it.

    `names` are the outputs of a complete set. A version whose message is a dead letter is
    accounted for, whatever it has left behind so far: after a redrive it ends as the others do.
    """
    newest = source.versions[-1]
    standing = {name: last for name, history in found.outputs.items() if (last := _last(history))}
    current = {name: last for name, last in standing.items() if last.version == newest.id}
    older = sorted(standing.keys() - current.keys())
    record = _last(found.record)
    is_recorded = record is not None and record.version == newest.id
    wrong: list[Finding] = []

    def note(fault: Fault, detail: str) -> None:
        wrong.append(Finding(fault, source.key, detail))

    if set(current) == set(names):
        end: End = "thumbnails"
    elif is_recorded:
        end = "rejected"
    elif newest.id in found.dead:
        end = "dead letter"
    else:
        end = "lost"
        if current:
            note("half a set", f"{len(current)} of {len(names)} outputs: {sorted(current)}")
        else:
            left = f"; instead there are {older} of older versions" if older else ""
            note("lost", f"neither thumbnails nor a rejection nor a dead letter{left}")
    if end in ("thumbnails", "rejected"):
        if current and is_recorded:
            note("double", f"both a rejection and {sorted(current)}")
        if older:
            note("older on top", f"{older} are of {[standing[name].version for name in older]}")
        if record is not None and not is_recorded:
            note("stale record", f"{record.reason} of the older version {record.version}")
        if end != ("rejected" if newest.reason else "thumbnails"):
            note("wrong end", f"{end}, with {newest.reason or 'a picture'} uploaded")
        elif end == "rejected" and record is not None and record.reason != newest.reason:
            note("wrong end", f"rejected as {record.reason}, not {newest.reason}")
    if len({output.sequencer for output in current.values()}) > 1:
        note("wrong sequencer", f"a set with {sorted({o.sequencer for o in current.values()})}")
    for name, output in current.items():
        if newest.colour and not _alike(output.colour, newest.colour):
            note("wrong picture", f"{name} has {output.colour}, not {newest.colour}")
    for name, history in [*found.outputs.items(), ("the record", found.record)]:
        _check_history(name, history, note)
    _check_sequencers(source, found, note)
    return end, wrong


def _last(history: History) -> Stored | None:
    return history[-1] if history else None


def _alike(one: Colour | None, other: Colour) -> bool:
    return one is not None and all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))


def _check_history(name: str, history: History, note: Note) -> None:
    """At no moment was an older version put over a newer one, nor the same one twice."""
    before: Stored | None = None
    for stored in history:
        if stored is not None and before is not None:
            if stored.sequencer == before.sequencer:
                note("double", f"{name} was written twice for {stored.version}")
            elif order(stored.sequencer) <= order(before.sequencer):
                note("older on top", f"{name}: {stored.version} over the newer {before.version}")
        before = stored


def _check_sequencers(source: Source, found: Found, note: Note) -> None:
    """Each version carries one sequencer wherever it left a trace, and they rise.

    Where the source was removed once, what it has afterwards may be stored at the removal's place
    in the order as well as at its own: then they only must not fall.
    """
    known: dict[str, set[str]] = {}
    for history in [*found.outputs.values(), found.record]:
        for stored in history:
            if stored is not None:
                known.setdefault(stored.version, set()).add(stored.sequencer)
    is_removed = any(version.reason == "deleted" for version in source.versions)
    highest = ""
    for version in source.versions:
        sequencers = known.pop(version.id, set())
        if len(sequencers) > 1 and not is_removed:
            note("wrong sequencer", f"{version.id} is stored with {sorted(sequencers)}")
        if sequencers and not is_removed and min(map(order, sequencers)) <= highest:
            note("wrong sequencer", f"{version.id} has {sorted(sequencers)}, not above older ones")
        highest = max([highest, *map(order, sequencers)])
    for stranger in known:
        note("nobody's", f"outputs of version {stranger}, which nobody uploaded")
