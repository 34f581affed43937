import pytest

from darkroom.emulator.log_delivery import processed, subscription_record

STEPS = [
    ("Decompression", "GZIP"),
    ("CloudWatchLogProcessing", "true"),
    ("AppendDelimiterToRecord", r"\n"),
]
RECORD = subscription_record("/darkroom/worker", [{"message": "one"}, {"message": "two"}])


def test_each_line_of_a_record_is_a_line() -> None:
    """O6, pitfall 48: several events come in a record, compressed."""
    assert processed(RECORD, STEPS) == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], RECORD),
        (STEPS[:2], b"onetwo"),
        (STEPS[::2], b'{"messageType": "DATA_MESSAGE"'),
    ],
)
def test_a_processor_that_is_not_there_does_nothing(
    steps: list[tuple[str, str]], expected: bytes
) -> None:
    """O6, pitfalls 48 and 55: so that a template without one is seen."""
    assert processed(RECORD, steps).startswith(expected)
