"""tests/soak/faults.py: seeded, and all of them in a run."""

from collections import Counter

from tests.soak.faults import ANY, BODIES, FaultPlan

REQUESTS = [
    (method, f"/bucket/uploads/{number}.jpg")
    for number in range(20_000)
    for method in ("GET", "PUT")
]


def drawn(plan: FaultPlan, *, reverse: bool = False) -> dict[tuple[str, str], str | None]:
    requests = reversed(REQUESTS) if reverse else REQUESTS
    return {request: plan.draw(*request) for request in requests}


def test_the_seed_decides_and_not_the_order() -> None:
    """R2: a run can be repeated, however its requests interleave."""
    assert drawn(FaultPlan(1)) == drawn(FaultPlan(1), reverse=True)
    assert drawn(FaultPlan(1)) != drawn(FaultPlan(2))


def test_each_fault_comes_as_often_as_it_says() -> None:
    """R2: none is so rare that a run misses it; broken bodies only where one is read."""
    plan = FaultPlan(1)
    by_method = Counter((request[0], fault) for request, fault in drawn(plan).items())
    for fault, rate in ANY.items():
        assert 0.5 < plan.injected[fault] / (rate * len(REQUESTS)) < 1.5
    for fault in BODIES:
        assert by_method["GET", fault] > 300
        assert by_method["PUT", fault] == 0
    assert sum(plan.injected.values()) == sum(
        fault is not None for fault in drawn(FaultPlan(1)).values()
    )


def test_a_repeated_request_is_drawn_anew() -> None:
    """R2: a fault belongs to a request and not to an image: a later try meets another, or none."""
    plan = FaultPlan(1)
    assert {plan.draw("GET", "/bucket/one") for _ in range(500)} > {None, "503 SlowDown"}


def test_a_poison_image_kills_every_reader() -> None:
    """P5: whatever else happens or does not."""
    plan = FaultPlan(1, poison={"/bucket/poison"})
    assert {plan.draw("GET", "/bucket/poison") for _ in range(50)} == {
        "worker killed before its request"
    }
    plan.active = False
    assert plan.draw("GET", "/bucket/poison") == "worker killed before its request"
    assert plan.draw("PUT", "/bucket/poison") is None
