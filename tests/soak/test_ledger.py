"""tests/soak/ledger.py: each way to be wrong, made up, is reported as what it is."""

from dataclasses import replace

import pytest

from tests.soak.ledger import Found, Source, Stored, Version, account

RED, BLUE = (200, 30, 30), (30, 30, 200)
NAMES = ("w240", "w96")
OLD, NEW = Version("v1", colour=RED), Version("v2", colour=BLUE)
JUNK = Version("v3", reason="corrupt")
OLD_OUTPUT, NEW_OUTPUT = Stored("v1", "0A1", colour=RED), Stored("v2", "0A2", colour=BLUE)
OLD_RECORD, JUNK_RECORD = Stored("v1", "0A1", reason="empty"), Stored("v3", "0A3", reason="corrupt")
SOURCE = Source("uploads/a.jpg", (OLD, NEW))
REJECTED = Source("uploads/a.jpg", (OLD, JUNK))
REMOVAL = Version("v1d", reason="deleted")
UPLOADED_AGAIN = Source("uploads/a.jpg", (OLD, REMOVAL, NEW))
AT_REMOVAL = Stored("v2", "0A15", colour=BLUE)  # by the removal's delivery, which found v2


def outputs(*history: Stored | None, **others: tuple[Stored | None, ...]) -> Found:
    """All outputs with the same history, except `others`."""
    return Found({**dict.fromkeys(NAMES, history), **others})


RIGHT = {
    "thumbnails": (SOURCE, outputs(OLD_OUTPUT, NEW_OUTPUT), "thumbnails"),
    "thumbnails, the older version late": (SOURCE, outputs(NEW_OUTPUT), "thumbnails"),
    "one removed and made again": (SOURCE, outputs(NEW_OUTPUT, None, NEW_OUTPUT), "thumbnails"),
    "a rejection": (REJECTED, Found(record=(JUNK_RECORD,)), "rejected"),
    "a rejection that removed older thumbnails": (
        REJECTED,
        replace(outputs(OLD_OUTPUT, None), record=(JUNK_RECORD,)),
        "rejected",
    ),
    "thumbnails that removed an older rejection": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), record=(OLD_RECORD, None)),
        "thumbnails",
    ),
    "found by an older removal, then announced itself": (
        UPLOADED_AGAIN,
        outputs(OLD_OUTPUT, AT_REMOVAL, NEW_OUTPUT),
        "thumbnails",
    ),
    "a removal": (
        Source("uploads/a.jpg", (OLD, REMOVAL)),
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
    "removed at last": (SOURCE, outputs(NEW_OUTPUT, None), "lost"),
    "one output is missing": (SOURCE, outputs(NEW_OUTPUT, w96=()), "half a set"),
    "one output is the older version's": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(OLD_OUTPUT,)),
        "half a set",
    ),
    "thumbnails and a rejection of one version": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), record=(replace(NEW_OUTPUT, reason="corrupt"),)),
        "double",
    ),
    "written twice": (SOURCE, outputs(NEW_OUTPUT, NEW_OUTPUT), "double"),
    "older thumbnails beside a rejection": (
        REJECTED,
        replace(outputs(OLD_OUTPUT), record=(JUNK_RECORD,)),
        "older on top",
    ),
    "older on top for a while": (
        SOURCE,
        outputs(NEW_OUTPUT, OLD_OUTPUT, NEW_OUTPUT),
        "older on top",
    ),
    "an older rejection beside newer thumbnails": (
        SOURCE,
        replace(outputs(NEW_OUTPUT), record=(OLD_RECORD,)),
        "stale record",
    ),
    "another picture": (
        SOURCE,
        outputs(NEW_OUTPUT, w96=(replace(NEW_OUTPUT, colour=RED),)),
        "wrong picture",
    ),
    "a picture rejected": (
        SOURCE,
        Found(record=(replace(NEW_OUTPUT, reason="corrupt"),)),
        "wrong end",
    ),
    "junk with thumbnails": (REJECTED, outputs(Stored("v3", "0A3", colour=RED)), "wrong end"),
    "rejected for another reason": (
        REJECTED,
        Found(record=(replace(JUNK_RECORD, reason="empty"),)),
        "wrong end",
    ),
    "one set, two sequencers": (
        UPLOADED_AGAIN,
        outputs(NEW_OUTPUT, w96=(AT_REMOVAL,)),
        "wrong sequencer",
    ),
    "one version, two sequencers": (
        SOURCE,
        outputs(AT_REMOVAL, NEW_OUTPUT),
        "wrong sequencer",
    ),
    "removed, with thumbnails": (
        Source("uploads/a.jpg", (OLD, REMOVAL)),
        outputs(OLD_OUTPUT),
        "lost",
    ),
    "a sequencer that is not above the older version's": (
        SOURCE,
        outputs(OLD_OUTPUT, None, replace(NEW_OUTPUT, sequencer="0A0F")),
        "wrong sequencer",
    ),
    "a version that nobody uploaded": (
        SOURCE,
        outputs(Stored("v0", "0A0", colour=RED), NEW_OUTPUT),
        "nobody's",
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_end_is_no_finding(case: str) -> None:
    """P6, R2: thumbnails, a rejection or a dead letter of the newest version, and nothing else."""
    source, found, end = RIGHT[case]
    assert account(source, found, NAMES) == (end, [])


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_end_is_found(case: str) -> None:
    """P6, R2: the accounting can fail, and names what is wrong."""
    source, found, fault = WRONG[case]
    _, findings = account(source, found, NAMES)
    assert fault in {finding.fault for finding in findings}
    assert all(finding.key == source.key and finding.detail for finding in findings)
