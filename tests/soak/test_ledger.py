"""tests/soak/ledger.py: each kind of defect, made up, is reported as what it is."""

from dataclasses import replace

import pytest

from tests.soak.ledger import REJECTION, Found, Record, Source, Stored, Version, check

RED, BLUE = (200, 30, 30), (30, 30, 200)
NAMES = ("w240", "w96")
OLD, NEW = Version("v1", colour=RED), Version("v2", colour=BLUE)
JUNK, DELETION = Version("v3", reason="corrupt"), Version("v1d", reason="deleted")
OLD_OUTPUT, NEW_OUTPUT = Stored("v1", "0A1", "one", RED), Stored("v2", "0A2", "two", BLUE)
OLD_REJECTION = Stored("v1", "0A1", "empty", reason="empty")
JUNK_REJECTION = Stored("v3", "0A3", "junk", reason="corrupt")
DELETED = Stored("v1d", "0A15", "gone", reason="deleted")
OLD_RECORD = Record("v1", "0A1", "done", dict.fromkeys(NAMES, "one"))
NEW_RECORD = Record("v2", "0A2", "done", dict.fromkeys(NAMES, "two"))
JUNK_RECORD = Record("v3", "0A3", "rejected", {REJECTION: "junk"}, "corrupt")
DELETED_RECORD = Record("v1d", "0A15", "deleted", {REJECTION: "gone"}, "deleted")
OLD_REJECTED = Record("v1", "0A1", "rejected", {REJECTION: "empty"}, "empty")

SOURCE = Source("uploads/a.jpg", (OLD, NEW))
REJECTED = Source("uploads/a.jpg", (OLD, JUNK))
GONE = Source("uploads/a.jpg", (OLD, DELETION))
UPLOADED_AGAIN = Source("uploads/a.jpg", (OLD, DELETION, NEW))
AT_DELETION = replace(NEW_OUTPUT, sequencer="0A15")  # by the deletion's delivery, which found v2
RECORD_AT_DELETION = replace(NEW_RECORD, sequencer="0A15")


def outputs(
    *history: Stored | None, record: tuple[Record | None, ...], **others: tuple[Stored | None, ...]
) -> Found:
    """All outputs with the same history, except `others`, and their record's."""
    return Found({**dict.fromkeys(NAMES, history), **others}, record)


def beside(stored: Found, *rejection: Stored | None) -> Found:
    """Outputs and a rejection."""
    return replace(stored, objects={**stored.objects, REJECTION: rejection})


RIGHT = {
    "thumbnails": (
        SOURCE,
        outputs(OLD_OUTPUT, NEW_OUTPUT, record=(OLD_RECORD, NEW_RECORD)),
        "thumbnails",
    ),
    "thumbnails, the older version late": (
        SOURCE,
        outputs(NEW_OUTPUT, record=(NEW_RECORD,)),
        "thumbnails",
    ),
    "one deleted and made again": (
        SOURCE,
        outputs(NEW_OUTPUT, None, NEW_OUTPUT, record=(NEW_RECORD,)),
        "thumbnails",
    ),
    "a record written again": (
        SOURCE,
        outputs(NEW_OUTPUT, record=(NEW_RECORD, NEW_RECORD)),
        "thumbnails",
    ),
    "a rejection": (REJECTED, Found({REJECTION: (JUNK_REJECTION,)}, (JUNK_RECORD,)), "rejected"),
    "a rejection that deleted older thumbnails": (
        REJECTED,
        beside(outputs(OLD_OUTPUT, None, record=(OLD_RECORD, JUNK_RECORD)), JUNK_REJECTION),
        "rejected",
    ),
    "thumbnails that deleted an older rejection": (
        SOURCE,
        beside(outputs(NEW_OUTPUT, record=(OLD_REJECTED, NEW_RECORD)), OLD_REJECTION, None),
        "thumbnails",
    ),
    "found by an older deletion, then by its own event": (
        UPLOADED_AGAIN,
        outputs(
            *(OLD_OUTPUT, AT_DELETION, NEW_OUTPUT),
            record=(OLD_RECORD, RECORD_AT_DELETION, NEW_RECORD),
        ),
        "thumbnails",
    ),
    "a deletion": (
        GONE,
        beside(outputs(OLD_OUTPUT, None, record=(OLD_RECORD, DELETED_RECORD)), DELETED),
        "rejected",
    ),
    "a dead letter": (
        SOURCE,
        replace(outputs(OLD_OUTPUT, record=(OLD_RECORD,)), dead=frozenset({"v2"})),
        "dead letter",
    ),
    "half a set whose message is a dead letter": (
        SOURCE,
        replace(outputs(w240=(NEW_OUTPUT,), w96=(), record=()), dead=frozenset({"v2"})),
        "dead letter",
    ),
    "an output replaced by a message that is a dead letter": (
        SOURCE,
        replace(
            outputs(NEW_OUTPUT, w96=(NEW_OUTPUT, None), record=(NEW_RECORD,)),
            dead=frozenset({"v2"}),
        ),
        "dead letter",
    ),
    "what an older version's dead letter has left": (
        REJECTED,
        replace(
            beside(outputs(w240=(OLD_OUTPUT,), record=(JUNK_RECORD,)), JUNK_REJECTION),
            dead=frozenset({"v1"}),
        ),
        "rejected",
    ),
    "a superfluous dead letter": (
        SOURCE,
        replace(outputs(NEW_OUTPUT, record=(NEW_RECORD,)), dead=frozenset({"v1", "v2"})),
        "thumbnails",
    ),
}

WRONG = {
    "nothing at all": (SOURCE, Found(), "lost"),
    "only the older version": (SOURCE, outputs(OLD_OUTPUT, record=(OLD_RECORD,)), "lost"),
    "only the older version's dead letter": (SOURCE, Found(dead=frozenset({"v1"})), "lost"),
    "outputs without a record": (SOURCE, outputs(NEW_OUTPUT, record=()), "lost"),
    "outputs beside an older record": (SOURCE, outputs(NEW_OUTPUT, record=(OLD_RECORD,)), "lost"),
    "a record deleted at last": (SOURCE, outputs(NEW_OUTPUT, record=(NEW_RECORD, None)), "lost"),
    "a record deleted for a while": (
        SOURCE,
        outputs(NEW_OUTPUT, record=(NEW_RECORD, None, NEW_RECORD)),
        "lost",
    ),
    "deleted, with thumbnails": (GONE, outputs(OLD_OUTPUT, record=(OLD_RECORD,)), "lost"),
    "outputs deleted at last": (
        SOURCE,
        outputs(NEW_OUTPUT, None, record=(NEW_RECORD,)),
        "missing object",
    ),
    "one output is missing": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(), record=(NEW_RECORD,)),
        "missing object",
    ),
    "one output is the older version's": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(OLD_OUTPUT,), record=(NEW_RECORD,)),
        "missing object",
    ),
    "one output has another entity tag": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(replace(NEW_OUTPUT, etag="other"),), record=(NEW_RECORD,)),
        "missing object",
    ),
    "no rejection beside its record": (
        REJECTED,
        Found({REJECTION: (JUNK_REJECTION, None)}, (JUNK_RECORD,)),
        "missing object",
    ),
    "a record that names half a set": (
        SOURCE,
        outputs(NEW_OUTPUT, record=(replace(NEW_RECORD, objects={"w240": "two"}),)),
        "incomplete set",
    ),
    "a record of thumbnails that names a rejection": (
        SOURCE,
        Found({REJECTION: (JUNK_REJECTION,)}, (replace(NEW_RECORD, objects={REJECTION: "junk"}),)),
        "incomplete set",
    ),
    "an output of the same version that no record names": (
        SOURCE,
        outputs(NEW_OUTPUT, w400=(NEW_OUTPUT,), record=(NEW_RECORD,)),
        "unnamed object",
    ),
    "thumbnails and a rejection of one version": (
        SOURCE,
        beside(outputs(NEW_OUTPUT, record=(NEW_RECORD,)), replace(NEW_OUTPUT, etag="junk")),
        "unnamed object",
    ),
    "older thumbnails beside a rejection": (
        REJECTED,
        beside(outputs(OLD_OUTPUT, record=(JUNK_RECORD,)), JUNK_REJECTION),
        "unnamed object",
    ),
    "an older rejection beside newer thumbnails": (
        SOURCE,
        beside(outputs(NEW_OUTPUT, record=(NEW_RECORD,)), OLD_REJECTION),
        "unnamed object",
    ),
    "outputs written twice": (
        SOURCE,
        outputs(NEW_OUTPUT, NEW_OUTPUT, record=(NEW_RECORD,)),
        "duplicate",
    ),
    "older outputs on top for a while": (
        SOURCE,
        outputs(NEW_OUTPUT, OLD_OUTPUT, NEW_OUTPUT, record=(NEW_RECORD,)),
        "older over newer",
    ),
    "an older record on top for a while": (
        SOURCE,
        outputs(NEW_OUTPUT, record=(NEW_RECORD, OLD_RECORD, NEW_RECORD)),
        "older over newer",
    ),
    "another picture": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(replace(NEW_OUTPUT, colour=RED),), record=(NEW_RECORD,)),
        "wrong image",
    ),
    "a picture rejected": (
        SOURCE,
        Found(
            {REJECTION: (replace(JUNK_REJECTION, version="v2", sequencer="0A2"),)},
            (replace(JUNK_RECORD, version="v2", sequencer="0A2"),),
        ),
        "wrong outcome",
    ),
    "junk with thumbnails": (
        REJECTED,
        outputs(
            replace(NEW_OUTPUT, version="v3"),
            record=(replace(NEW_RECORD, version="v3"),),
        ),
        "wrong outcome",
    ),
    "rejected for another reason": (
        REJECTED,
        Found({REJECTION: (JUNK_REJECTION,)}, (replace(JUNK_RECORD, reason="empty"),)),
        "wrong outcome",
    ),
    "a rejection with another reason than its record": (
        REJECTED,
        Found({REJECTION: (replace(JUNK_REJECTION, reason="empty"),)}, (JUNK_RECORD,)),
        "wrong outcome",
    ),
    "a deletion recorded as a rejection": (
        GONE,
        Found({REJECTION: (DELETED,)}, (replace(DELETED_RECORD, state="rejected"),)),
        "wrong outcome",
    ),
    "one set, two sequencers": (
        UPLOADED_AGAIN,
        outputs(NEW_OUTPUT, w96=(AT_DELETION,), record=(NEW_RECORD,)),
        "wrong sequencer",
    ),
    "a record with another sequencer than its outputs": (
        UPLOADED_AGAIN,
        outputs(NEW_OUTPUT, record=(RECORD_AT_DELETION,)),
        "wrong sequencer",
    ),
    "one version, two sequencers": (
        SOURCE,
        outputs(AT_DELETION, NEW_OUTPUT, record=(NEW_RECORD,)),
        "wrong sequencer",
    ),
    "a sequencer that is not above the older version's": (
        SOURCE,
        outputs(
            *(OLD_OUTPUT, None, replace(NEW_OUTPUT, sequencer="0A0F")),
            record=(replace(NEW_RECORD, sequencer="0A0F"),),
        ),
        "wrong sequencer",
    ),
    "a version that was not uploaded": (
        SOURCE,
        outputs(replace(OLD_OUTPUT, version="v0"), NEW_OUTPUT, record=(NEW_RECORD,)),
        "unknown object",
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_correct_outcome_is_not_a_finding(case: str) -> None:
    """P6, R2: thumbnails, a rejection or a dead letter of the newest version, and nothing else."""
    source, found, outcome = RIGHT[case]
    assert check(source, found, NAMES) == (outcome, [])


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_outcome_is_found(case: str) -> None:
    """P6, R2: the check can fail, and names what is wrong."""
    source, found, defect = WRONG[case]
    _, findings = check(source, found, NAMES)
    assert defect in {finding.defect for finding in findings}
    assert all(finding.key == source.key and finding.detail for finding in findings)
