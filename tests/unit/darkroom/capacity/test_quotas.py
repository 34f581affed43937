"""Quotas: what is needed of each, and which is the bottleneck."""

import math
from pathlib import Path

import pytest

from darkroom.capacity.estimate import CapacityEstimate
from tests.unit.darkroom.capacity.conftest import estimate


def exceeded(found: CapacityEstimate) -> set[str]:
    return {quota.name for quota in found.quotas if quota.is_exceeded}


def test_the_default_exceeds_nothing() -> None:
    """D6: and the last line still names what would be used up first."""
    found = estimate()
    assert exceeded(found) == set()
    assert found.warnings() == []
    assert found.verdict()[0].startswith(
        "The first limit is MaximumConcurrency: it allows 295 pictures per second. The burst"
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--rate", "100/s"], "MaximumConcurrency"),
        (["--rate", "100/s", "--account-concurrency", "50"], "Lambda: concurrent executions"),
        (
            ["--rate", "1k/s", "--concurrency", "5000"],
            "Lambda: concurrent batches per event source",
        ),
        (["--rate", "400/s"], "S3: uploads per second"),
        (["--rate", "100/s"], "S3: thumbnail and record PUTs per second"),
        (["--rate", "300/s", "--failures", "50%"], "S3: thumbnail and record reads per second"),
        (["--rate", "1k/s", "--outage", "1h"], "SQS: messages in flight"),
        (["--rate", "1M/s"], "KMS: requests per second"),
    ],
)
def test_what_is_exceeded_is_named(arguments: list[str], name: str) -> None:
    """D6: with what is needed, what there is, and what to do."""
    found = estimate(*arguments)
    assert name in exceeded(found)
    (text,) = [warning for warning in found.warnings() if warning.startswith(f"{name}:")]
    assert "needed" in text
    assert text.count(";") >= 1


def test_the_advice_is_enough() -> None:
    """R4: with the concurrency that is advised, the burst leaves no backlog but the ramp's."""
    small = estimate("--rate", "60/s")
    advice = small.verdict()[0].rpartition("raise it to ")[2].rstrip(".")
    large = estimate("--rate", "60/s", "--concurrency", advice.replace(",", ""))
    assert "MaximumConcurrency" in exceeded(small)
    assert "MaximumConcurrency" not in exceeded(large)
    assert large.capacity.oldest < small.capacity.oldest


def test_a_hash_prefix_multiplies_what_s3_takes(tmp_path: Path) -> None:
    """Pitfall 84, D6: writes and reads of outputs, and no uploads; without it, it is the advice."""
    specification = tmp_path / "hashed.toml"
    specification.write_text("[sources.default]\nhash_prefix = true\n")
    demand = ("--rate", "3k/s", "--failures", "50%", "--concurrency", "100000")
    plain, hashed = estimate(*demand), estimate(*demand, "--pipeline", str(specification))
    of_outputs = {f"S3: thumbnail and record {kind} per second" for kind in ("PUTs", "reads")}
    assert exceeded(plain) - exceeded(hashed) == of_outputs
    for before, after in zip(plain.quotas, hashed.quotas, strict=True):
        assert after.limit == before.limit * (256 if before.name in of_outputs else 1)
        assert ("hash_prefix = true" in before.advice) is (before.name in of_outputs)
        assert "hash_prefix" not in after.advice


def test_the_bottleneck_is_what_is_used_up_first() -> None:
    found = estimate("--rate", "100/s")
    least = found.bottleneck
    assert all(least.rate <= quota.rate for quota in found.quotas)
    for quota in found.quotas:
        if math.isfinite(quota.rate):
            assert quota.need / quota.limit == pytest.approx(
                found.capacity.demand.peak / quota.rate
            )


def test_a_burst_that_only_the_ramp_delays_is_said_to_be() -> None:
    found = estimate("--rate", "2/s", "--burst", "130x1min")
    assert any(
        "only 300 concurrent batches are added per minute" in line for line in found.verdict()
    )


def test_messages_that_expire_are_said_to_be_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    """R2: retention is a limit too."""
    found = estimate("--rate", "500/s", "--burst", "1x1s")
    assert any("Messages are lost" in line for line in found.verdict())
    specification = tmp_path_factory.mktemp("p") / "p.toml"
    specification.write_text("[queues.default]\nmax_receive_count = 40\n")
    found = estimate("--pipeline", str(specification))
    assert any("before it becomes a dead letter" in line for line in found.warnings())


def test_what_no_concurrency_is_enough_for_has_another_advice() -> None:
    """D6: sentences with thousands separators, and no number that Lambda does not take."""
    (first, *others) = estimate("--rate", "100/s", "--burst", "50x10min").verdict()
    assert "The burst brings 5,000 pictures per second, 16.9 times that." in first
    assert "To do: use provisioned pollers, because 2,119 concurrent batches are needed" in first
    assert "MaximumConcurrency can be at most 1,000." in first
    assert all(line[0].isupper() and line.endswith(".") for line in (first, *others))
