"""Scenarios of the pipeline, and the alarms that each must raise."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.alarms import evaluation
from benchmarks.alarms.evaluation import PlayedMetrics
from benchmarks.alarms.mutants import mutants
from benchmarks.alarms.pipeline_model import Scenario, always
from darkroom.cloudformation.resolver import ResolvedTemplate
from tests.unit.templates.conftest import generate

# Few concurrent batches, so that the model has little to count.
PARAMETERS = {"MaximumConcurrency": 8, "MemorySize": 8192, "MaximumHourlyCost": 2.95}
# Of that, in batches of five pictures that take one second each: 8 × 5 / 5 s = 480 per minute.
CAPACITY = 480
# With this memory most of the cost is Lambda's: an hour at capacity costs 4.11 US dollars, and 3.07
# if no invocation gives a result.

LATER = range(30, 10**6)
"""From the half hour on."""


def _bursts(minute: int) -> float:
    return 18.5 * CAPACITY if minute % 60 == 10 else 3


def _overnight(minute: int) -> float:
    return 30 if minute in (5, 36 * 60) else 0


HEALTHY = (
    Scenario(name="healthy"),
    Scenario(name="busy, at 60 % of capacity", uploads=always(CAPACITY * 0.6)),
    Scenario(name="every hour a burst that drains", uploads=_bursts),
    Scenario(name="idle for a day and a half", uploads=_overnight, hours=38),
    Scenario(
        name="paused: mapping disabled, no uploads",
        uploads=always(0),
        hours=10,
        trouble={"mapping disabled": range(10**6)},
    ),
    Scenario(
        name="few uploads, notified a minute late",
        uploads=lambda minute: float(minute % 7 == 0),
        notified_after=60,
    ),
    Scenario(
        name="one upload per half hour, notified a minute late",
        uploads=lambda minute: float(minute % 30 == 0),
        notified_after=60,
    ),
    Scenario(name="one picture takes almost the timeout", special="slow"),
    Scenario(
        name="mapping disabled for seven minutes", trouble={"mapping disabled": range(30, 37)}
    ),
    Scenario(name="a few uploads, all rejected", uploads=always(0.2), rejected=1),
    Scenario(
        name="deployment: four minutes of errors",
        trouble={"function does not start": range(30, 34)},
    ),
    Scenario(
        name="logs arrive a quarter of an hour late once",
        trouble={"logs not delivered": range(30, 49)},
    ),
    Scenario(name="S3 fails for four minutes", trouble={"S3 fails": range(30, 34)}),
    Scenario(name="all uploads are refused", uploads=always(0), refused=always(10), hours=5),
    Scenario(
        name="a multipart upload takes almost an hour",
        uploads=lambda minute: float(minute == 100),
        parts=lambda minute: 5.0 * (42 <= minute < 100),
        hours=5,
    ),
    Scenario(name="throttled for five minutes", trouble={"throttled": range(30, 35)}),
)
"""Scenarios in which no alarm may be raised."""

HALF_AN_HOUR = range(30, 60)

OUTAGES = tuple(
    Scenario(
        name=f"half an hour: {name}",
        trouble=trouble,
        raises=frozenset({alarm}),
        spares=frozenset({"dead-letters"}),
    )
    for name, trouble, alarm in (
        ("S3 fails", {"S3 fails": HALF_AN_HOUR}, "retries"),
        (
            "the key cannot be used, not even by SQS",
            {"key disabled": HALF_AN_HOUR},
            "queue-not-consumed",
        ),
        (
            "the key cannot be used, and SQS has its data key for 15 minutes",
            {"S3 fails": range(30, 45), "key disabled": range(45, 60)},
            "retries",
        ),
        ("the role may not use S3 or the key", {"S3 fails": HALF_AN_HOUR}, "retries"),
        ("the role may not receive", {"mapping disabled": HALF_AN_HOUR}, "queue-not-consumed"),
    )
)
"""Outages that a person hears of within ten minutes, and that leave no dead letter."""

HARM = (
    Scenario(
        name="close to capacity, at 95 %",
        uploads=always(CAPACITY * 0.95),
        raises=frozenset({"concurrency-limit-reached"}),
    ),
    Scenario(
        name="more uploads than capacity",
        uploads=always(CAPACITY * 1.3),
        raises=frozenset({"queue-age", "queue-depth", "concurrency-limit-reached"}),
    ),
    Scenario(
        name="a day's uploads at once",
        uploads=lambda minute: 120 * CAPACITY if minute == 30 else 30,
        raises=frozenset({"queue-age", "queue-depth"}),
    ),
    Scenario(
        name="poison: a picture that kills the worker",
        uploads=always(6),
        special="kills",
        redriven=60,
        raises=frozenset({"dead-letters"}),
    ),
    Scenario(
        name="a picture that fails at every try, and no other upload",
        uploads=always(0),
        special="fails",
        redriven=150,
        raises=frozenset({"dead-letters"}),
        spares=frozenset({"retries"}),
    ),
    Scenario(
        name="S3 fails for an hour",
        hours=5,
        uploads=always(20),
        trouble={"S3 fails": range(30, 90)},
        redriven=170,
        raises=frozenset({"retries", "dead-letters"}),
    ),
    Scenario(
        name="S3 fails four times of five",
        uploads=always(6),
        trouble={"S3 fails four times of five": range(30, 60)},
        raises=frozenset({"retries"}),
    ),
    *OUTAGES,
    Scenario(
        name="the function does not start",
        trouble={"function does not start": LATER},
        raises=frozenset({"worker-errors"}),
    ),
    Scenario(
        name="the account's concurrency is used up",
        trouble={"throttled": LATER},
        raises=frozenset({"worker-throttles", "dead-letters"}),
    ),
    Scenario(
        name="the mapping is disabled",
        trouble={"mapping disabled": LATER},
        raises=frozenset({"queue-not-consumed", "queue-age"}),
    ),
    Scenario(
        name="the key is disabled",
        trouble={"key disabled": LATER},
        raises=frozenset({"queue-not-consumed"}),
    ),
    Scenario(
        name="notifications are lost",
        hours=4,
        trouble={"notifications lost": LATER},
        raises=frozenset({"missing-notifications"}),
    ),
    Scenario(
        name="notifications are lost, one upload per hour",
        uploads=lambda minute: float(minute % 60 == 7),
        hours=6,
        trouble={"notifications lost": LATER},
        raises=frozenset({"missing-notifications"}),
    ),
    Scenario(
        name="notifications are lost, and the queue was paused for hours",
        uploads=lambda minute: float(minute >= 480),
        hours=12,
        trouble={"notifications lost": range(10**6), "mapping disabled": range(10**6)},
        raises=frozenset({"missing-notifications"}),
    ),
    Scenario(
        name="code in the VPC asks for another domain once",
        trouble={"foreign names asked for": range(30, 31)},
        raises=frozenset({"blocked-dns-queries"}),
    ),
    Scenario(name="all uploads are junk", rejected=1, raises=frozenset({"rejections"})),
    Scenario(
        name="a flood of uploads, at 75 % of capacity",
        uploads=always(CAPACITY * 0.75),
        raises=frozenset({"hourly-cost"}),
        spares=frozenset({"concurrency-limit-reached", "queue-depth"}),
    ),
    Scenario(
        name="invocations hang until the timeout",
        trouble={"function hangs": range(10**6)},
        raises=frozenset({"worker-errors", "hourly-cost"}),
    ),
    Scenario(
        name="logs are delivered an hour late",
        trouble={"logs late": LATER},
        raises=frozenset({"worker-log-delivery"}),
    ),
    Scenario(
        name="logs are not delivered",
        trouble={"logs not delivered": LATER},
        raises=frozenset({"worker-log-delivery"}),
    ),
    Scenario(
        name="pictures take almost the timeout",
        uploads=always(2),
        seconds=50,
        raises=frozenset({"duration-near-timeout"}),
    ),
)
"""Scenarios that must raise at least these alarms."""


def stack() -> ResolvedTemplate:
    """Return the template that the scenarios are played on."""
    return generate(logs={"archive": True}).with_parameters(**PARAMETERS)


def role(alarm: Mapping[str, Any]) -> str:
    """Return the role in an alarm's name, by which the runbook and this module call it."""
    name: str = alarm["AlarmName"]
    return name.partition("-")[2]


def raised(
    alarm: Mapping[str, Any], metrics: PlayedMetrics, *, aligned: bool = False
) -> int | None:
    """Return the minute in which an alarm is raised for the first time, or None."""
    return first_and_last(alarm, metrics, aligned=aligned)[0]


def first_and_last(
    alarm: Mapping[str, Any] | None, metrics: PlayedMetrics, *, aligned: bool = False
) -> tuple[int | None, bool]:
    """Return the first minute in which an alarm is raised, or None, and whether it has ended."""
    if alarm is None:
        return None, True
    states = evaluation.states(alarm, metrics, aligned=aligned)
    return states.index("ALARM") if "ALARM" in states else None, states[-1] != "ALARM"


def table(alarms: Sequence[Mapping[str, Any]], played: Mapping[Any, PlayedMetrics]) -> str:
    """Return scenario × alarm: the minutes from the start of the trouble to the notification.

    A scenario is of the pipeline or of the upload API: it has a `name` and `trouble`.
    """
    roles = [role(alarm) for alarm in alarms]
    lines = [["within minutes", *roles], ["---", *("---:" for _ in roles)]]
    for scenario, metrics in played.items():
        begin = min((minutes.start for minutes in scenario.trouble.values()), default=0)
        found = [raised(alarm, metrics) for alarm in alarms]
        # The alarm is evaluated when the minute is over.
        lines.append(
            [scenario.name, *("" if one is None else str(one + 1 - begin) for one in found)]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mistakes(
    alarm: dict[str, Any], played: Mapping[Any, PlayedMetrics]
) -> Iterator[tuple[str, bool, bool]]:
    """Yield each mistake, whether it changes what raises the alarm, and whether that or when."""
    right = [first_and_last(alarm, metrics) for metrics in played.values()]
    for mistake, mutant in mutants(alarm):
        wrong = [first_and_last(mutant, metrics) for metrics in played.values()]
        which = [one is None for one, _ in right] != [one is None for one, _ in wrong]
        yield mistake, which, right != wrong
