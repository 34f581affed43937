"""tests/fuzz: the harness itself, without its fuzzer."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzzing
from tests.fuzz import cost, repetition
from tests.fuzz.targets import TARGETS, resealed
from tests.unit.worker.imaging.attacks import ATTACKS
from tests.unit.worker.imaging.corpus import quarters, saved

ROUNDS = 200


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_hundred_inputs_break_no_requirement(name: str) -> None:
    """P5: seeds as they are and with some bytes changed, the same ones each time."""
    target, chance = TARGETS[name], random.Random(name)  # noqa: S311 -- repeatable
    seeds = list(target.seeds())
    assert seeds
    for _ in range(ROUNDS):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(data) + 1)
            data[place : place + chance.randrange(9)] = chance.choice(target.words)
        target.run(target.repaired(bytes(data)))


def test_a_test_event_that_only_looks_wrapped_is_one() -> None:
    """Pitfall 8: the check is no stricter than the parser (found by fuzzing the harness)."""
    TARGETS["event"].run(b'{"TopicArn": "t", "Event": "s3:TestEvent"}')


def test_checksums_are_corrected() -> None:
    """P5: otherwise a PNG decoder would never read what was changed."""
    data = saved(quarters())
    assert resealed(data) == data
    broken = data[:29] + b"\x00\x00\x00\x00" + data[33:]
    assert resealed(broken) == data
    assert resealed(data[:-2]) == data[:-2]
    assert resealed(b"GIF89a") == b"GIF89a"


def test_too_much_processor_time_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: whether the input has thumbnails or is rejected."""
    monkeypatch.setattr(cost, "PROCESSOR_SECONDS", 0)
    for data in (saved(quarters()), saved(quarters())[:99]):
        with pytest.raises(AssertionError, match="processor time"):
            TARGETS["picture"].run(data)


def test_memory_that_was_not_reserved_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: what was reserved is not one."""
    peaks = iter([100, 1_000, 100, 1_000])
    monkeypatch.setattr(cost, "_resident_bytes", lambda: 100)
    monkeypatch.setattr(cost, "_maximum_bytes", lambda: next(peaks))
    monkeypatch.setattr(cost, "UNRESERVED_BYTES", 300)
    memory = cost.RecordedMemory()
    with pytest.raises(AssertionError, match="memory"), cost.bounded(memory):
        pass
    with cost.bounded(memory), memory.reserved(600):
        pass


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_among_the_seeds(name: str) -> None:
    """P5: repeating a part of one makes the attack, with the sizes of what is around it."""
    make, _, _ = ATTACKS[name]
    one, two, three = make(1), make(2), make(3)
    if name.startswith("tiff") or name == "avif items":
        pytest.skip("its parts differ from each other")
    (seed,) = (seed for seed in repetition.attacks() if repetition.file_of(seed) == one)
    part = len(two) - len(one)
    for repeats, expected in ((1, two), (2, three)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repetition, "REPEATED_BYTES", repeats * part)
            assert repetition.repeated(seed) == expected


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: True)


def instead(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(_name: str, folder: Path, _seconds: int) -> Sequence[str]:
        return [sys.executable, "-c", code, str(folder / "findings" / "crash-1")]

    monkeypatch.setattr(fuzzing, "command", command)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("print('#500 DONE cov: 77 ft: 9')", 0, "500 inputs, 77 places reached"),
        ("print('#500'); open(sys.argv[1], 'w'); sys.exit(77)", 1, "crash-1"),
        ("sys.exit(1)", 1, "the fuzzer itself failed"),
        ("", 1, "the fuzzer itself failed"),
    ],
    ids=["clean", "found", "broken", "nothing run"],
)
def test_what_was_found_fails_the_run(
    code: str,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """P5: so does a run that did not start."""
    instead(f"import sys; {code}", monkeypatch)
    assert fuzzing.main(["event", "--seconds", "1"]) == status
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("_here")
def test_a_fuzzer_that_does_not_end_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P5: after a damaged heap its handler waits for ever, and what it found is lost."""
    instead("import time; print('#500', flush=True); time.sleep(600)", monkeypatch)
    monkeypatch.setattr(fuzzing, "SECONDS_TO_END", 0)
    assert fuzzing.main(["event", "--seconds", "1"]) == 1
    assert "the fuzzer itself failed" in capsys.readouterr().out


def test_without_the_fuzzer_the_run_is_skipped_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P5: its wheels do not exist for each interpreter."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert fuzzing.main([]) == 0
    assert "atheris" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nothing"], ["--seconds", "0"]])
def test_what_cannot_be_fuzzed_is_a_usage_error(arguments: list[str]) -> None:
    """The exit status is 2, and the message has the allowed names."""
    with pytest.raises(SystemExit) as ended:
        fuzzing.main(arguments)
    assert ended.value.code == 2
