"""tests/soak/ledger.py: each kind of defect, made up, is reported as what it is."""

from dataclasses import replace

import pytest

from tests.soak.ledger import Found, Source, Stored, Version, check

RED, BLUE = (200, 30, 30), (30, 30, 200)
NAMES = ("w240", "w96")
OLD, NEW = Version("v1", colour=RED), Version("v2", colour=BLUE)
JUNK = Version("v3", reason="corrupt")
OLD_OUTPUT, NEW_OUTPUT = Stored("v1", "0A1", colour=RED), Stored("v2", "0A2", colour=BLUE)
OLD_RECORD, JUNK_RECORD = Stored("v1", "0A1", reason="empty"), Stored("v3", "0A3", reason="corrupt")
SOURCE = Source("uploads/a.jpg", (OLD, NEW))
REJECTED = Source("uploads/a.jpg", (OLD, JUNK))
DELETION = Version("v1d", reason="deleted")
UPLOADED_AGAIN = Source("uploads/a.jpg", (OLD, DELETION, NEW))
AT_DELETION = Stored("v2", "0A15", colour=BLUE)  # by the deletion's delivery, which found v2


def outputs(*history: Stored | None, **others: tuple[Stored | None, ...]) -> Found:
    """All outputs with the same history, except `others`."""
    return Found({**dict.fromkeys(NAMES, history), **others})


RIGHT = {
    "thumbnails": (SOURCE, outputs(OLD_OUTPUT, NEW_OUTPUT), "thumbnails"),
    "thumbnails, the older version late": (SOURCE, outputs(NEW_OUTPUT), "thumbnails"),
    "one deleted and made again": (SOURCE, outputs(NEW_OUTPUT, None, NEW_OUTPUT), "thumbnails"),
    "a rejection": (REJECTED, Found(record=(JUNK_RECORD,)), "rejected"),
    "a rejection that deleted older thumbnails": (
        REJECTED,
        replace(outputs(OLD_OUTPUT, None), record=(JUNK_RECORD,)),
        "rejected",
    ),
    "thumbnails that deleted an older rejection": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), record=(OLD_RECORD, None)),
        "thumbnails",
    ),
    "found by an older deletion, then by its own event": (
        UPLOADED_AGAIN,
        outputs(OLD_OUTPUT, AT_DELETION, NEW_OUTPUT),
        "thumbnails",
    ),
    "a deletion": (
        Source("uploads/a.jpg", (OLD, DELETION)),
        replace(outputs(OLD_OUTPUT, None), record=(Stored("v1d", "0A15", reason="deleted"),)),
        "rejected",
    ),
    "a dead letter": (SOURCE, replace(outputs(OLD_OUTPUT), dead=frozenset({"v2"})), "dead letter"),
    "half a set whose message is a dead letter": (
        SOURCE,
        replace(outputs(w240=(NEW_OUTPUT,), w96=()), dead=frozenset({"v2"})),
        "dead letter",
    ),
    "a superfluous dead letter": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), dead=frozenset({"v1", "v2"})),
        "thumbnails",
    ),
}

WRONG = {
    "nothing at all": (SOURCE, Found(), "lost"),
    "only the older version": (SOURCE, outputs(OLD_OUTPUT), "lost"),
    "only the older version's dead letter": (SOURCE, Found(dead=frozenset({"v1"})), "lost"),
    "deleted at last": (SOURCE, outputs(NEW_OUTPUT, None), "lost"),
    "one output is missing": (SOURCE, outputs(NEW_OUTPUT, w96=()), "incomplete set"),
    "one output is the older version's": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(OLD_OUTPUT,)),
        "incomplete set",
    ),
    "thumbnails and a rejection of one version": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), record=(replace(NEW_OUTPUT, reason="corrupt"),)),
        "duplicate",
    ),
    "written twice": (SOURCE, outputs(NEW_OUTPUT, NEW_OUTPUT), "duplicate"),
    "older thumbnails beside a rejection": (
        REJECTED,
        replace(outputs(OLD_OUTPUT), record=(JUNK_RECORD,)),
        "older over newer",
    ),
    "older on top for a while": (
        SOURCE,
        outputs(NEW_OUTPUT, OLD_OUTPUT, NEW_OUTPUT),
        "older over newer",
    ),
    "an older rejection beside newer thumbnails": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), record=(OLD_RECORD,)),
        "stale record",
    ),
    "another picture": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(replace(NEW_OUTPUT, colour=RED),)),
        "wrong image",
    ),
    "a picture rejected": (
        SOURCE,
        Found(record=(replace(NEW_OUTPUT, reason="corrupt"),)),
        "wrong outcome",
    ),
    "junk with thumbnails": (REJECTED, outputs(Stored("v3", "0A3", colour=RED)), "wrong outcome"),
    "rejected for another reason": (
        REJECTED,
        Found(record=(replace(JUNK_RECORD, reason="empty"),)),
        "wrong outcome",
    ),
    "one set, two sequencers": (
        UPLOADED_AGAIN,
        outputs(NEW_OUTPUT, w96=(AT_DELETION,)),
        "wrong sequencer",
    ),
    "one version, two sequencers": (
        SOURCE,
        outputs(AT_DELETION, NEW_OUTPUT),
        "wrong sequencer",
    ),
    "deleted, with thumbnails": (
        Source("uploads/a.jpg", (OLD, DELETION)),
        outputs(OLD_OUTPUT),
        "lost",
    ),
    "a sequencer that is not above the older version's": (
        SOURCE,
        outputs(OLD_OUTPUT, None, replace(NEW_OUTPUT, sequencer="0A0F")),
        "wrong sequencer",
    ),
    "a version that was not uploaded": (
        SOURCE,
        outputs(Stored("v0", "0A0", colour=RED), NEW_OUTPUT),
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
