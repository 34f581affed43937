"""Scenarios of the upload API, the metrics that AWS would send, and the alarms they must raise.

Which metrics are sent when:

- API Gateway: for each call the count, its latency, and 0 or 1 for an error of the caller and of
  the API; of the stage, and with detailed metrics of each method. Nothing without calls.
  https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
- S3: as in `benchmarks.alarms.pipeline_model`, here of the API's prefix alone.
"""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.alarms import scenarios
from benchmarks.alarms.evaluation import Key, PlayedMetrics
from benchmarks.alarms.pipeline_model import By, always
from darkroom.cloudformation.resolver import ResolvedTemplate
from templates.buckets import API_REQUEST_METRICS
from tests.unit.templates.conftest import generate

STATES_PER_UPLOAD = 3  # calls that ask for the state of an upload
USED_AFTER_MINUTES = 4  # of the five that a URL may be used
COLD_SHARE = 0.02
COLD_MILLISECONDS, WARM_MILLISECONDS, SLOW_MILLISECONDS = 2_000, 60, 8_000

LATER = range(30, 10**6)
"""From the half hour on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ApiScenario:
    """What callers and others do to the upload API, and the alarms that it must raise."""

    name: str
    raises: frozenset[str] = frozenset()
    hours: int = 5
    urls: By = field(default=lambda _: 10)
    """URLs that are asked for, per minute; each is used once, four minutes later."""

    refused: float = 0
    """Share of the calls that is answered with 4XX, while there is trouble."""

    failed: float = 0
    """Share of the calls that is answered with 5XX, while there is trouble."""

    slow: float = 0
    """Share of the calls that takes eight seconds, while there is trouble."""

    repeated: int = 0
    """How often each PUT is repeated, and refused because the object is there."""

    bypassing: By = field(default=lambda _: 0)
    """PUTs below the API's prefix without a URL of the API, per minute."""

    trouble: dict[str, range] = field(default_factory=lambda: {"": LATER})
    """Minutes of the trouble."""


HEALTHY = (
    ApiScenario(name="ten uploads a minute, some calls with a cold start"),
    ApiScenario(name="nobody calls", urls=always(0)),
    ApiScenario(name="callers repeat what is throttled, a tenth of the calls", refused=0.1),
    ApiScenario(name="errors for five minutes", failed=0.5, trouble={"": range(30, 35)}),
    ApiScenario(name="S3 answers slowly for five minutes", slow=0.5, trouble={"": range(30, 35)}),
    ApiScenario(
        name="all calls are refused for five minutes", refused=1, trouble={"": range(30, 35)}
    ),
    ApiScenario(
        name="each hour's URLs are asked for at its end, and used in the next",
        urls=lambda minute: 2000.0 / (1 + minute // 60) * (minute % 60 == 58),
    ),
    ApiScenario(name="a client repeats each PUT four times", repeated=4),
    ApiScenario(
        name="another user uploads ten pictures an hour below the prefix",
        urls=always(0),
        bypassing=lambda minute: float(minute % 6 == 0),
    ),
    ApiScenario(
        name="another user uploads a thousand pictures below the prefix, once",
        bypassing=lambda minute: 1000.0 * (minute == 40),
        urls=always(0),
    ),
)
"""Scenarios in which no alarm may be raised."""

HARM = (
    ApiScenario(name="the API's function fails", failed=1, raises=frozenset({"upload-api-faults"})),
    ApiScenario(
        name="one call of twenty fails", failed=0.05, raises=frozenset({"upload-api-faults"})
    ),
    ApiScenario(
        name="a flood that is throttled",
        urls=lambda minute: 10 if minute < LATER.start else 500,
        refused=0.6,
        raises=frozenset({"upload-api-refusals"}),
    ),
    ApiScenario(
        name="a client with a wrong key", refused=1, raises=frozenset({"upload-api-refusals"})
    ),
    ApiScenario(
        name="S3 answers slowly to one call of twenty",
        slow=0.05,
        raises=frozenset({"upload-api-latency"}),
    ),
    ApiScenario(
        name="stolen credentials upload, and nobody else does",
        urls=always(0),
        bypassing=lambda minute: 2 * (minute in LATER),
        raises=frozenset({"upload-api-bypass"}),
    ),
    ApiScenario(
        name="stolen credentials upload three times as much as all callers",
        bypassing=lambda minute: 30 * (minute in LATER),
        raises=frozenset({"upload-api-bypass"}),
    ),
)
"""Scenarios that must raise at least these alarms."""


def stack() -> ResolvedTemplate:
    """Return the template that the scenarios are played on."""
    return generate(api={})


def alarms(live: ResolvedTemplate) -> list[dict[str, Any]]:
    """Return the alarms of the API, without those of its logs' delivery."""
    return [
        alarm
        for alarm in live.resources_of_type("CloudWatch::Alarm").values()
        if scenarios.role(alarm).startswith("upload-api-")
        and not scenarios.role(alarm).endswith("log-delivery")
    ]


def play(scenario: ApiScenario, live: ResolvedTemplate) -> PlayedMetrics:
    """Return all metrics of the scenario, for the resources of the template `live`."""
    metrics = PlayedMetrics(minutes=scenario.hours * 60)
    of_stage = {"ApiName": live.properties("UploadApi")["Name"], "Stage": "v1"}
    of_method = {**of_stage, "Method": "POST", "Resource": "/uploads"}
    of_bucket = {
        "BucketName": live.properties("UploadBucket")["BucketName"],
        "FilterId": API_REQUEST_METRICS,
    }

    def put(name: str, minute: int, values: dict[float, int], **of: str) -> None:
        namespace = "AWS/S3" if "BucketName" in of else "AWS/ApiGateway"
        key = Key(namespace, name, frozenset(of.items()))
        for value, times in values.items():
            if times > 0:
                metrics.put(key, minute, value, times)

    for minute in range(metrics.minutes):
        is_wrong = any(minute in minutes for minutes in scenario.trouble.values())
        posts = round(scenario.urls(minute))
        calls = (1 + STATES_PER_UPLOAD) * posts
        refused, failed, slow = (
            round(share * calls) if is_wrong else 0
            for share in (scenario.refused, scenario.failed, scenario.slow)
        )
        cold = round(COLD_SHARE * calls)
        put("Count", minute, {1: calls}, **of_stage)
        put("Count", minute, {1: posts}, **of_method)
        put("4XXError", minute, {1: refused, 0: calls - refused}, **of_stage)
        put("5XXError", minute, {1: failed, 0: calls - failed}, **of_stage)
        latencies: dict[float, int] = {
            SLOW_MILLISECONDS: slow,
            COLD_MILLISECONDS: cold,
            WARM_MILLISECONDS: calls - slow - cold,
        }
        put("Latency", minute, latencies, **of_stage)
        used = round(scenario.urls(minute - USED_AFTER_MINUTES)) if minute > 4 else 0
        accepted = used + round(scenario.bypassing(minute))
        again = used * scenario.repeated
        put("PutRequests", minute, {1: accepted + again}, **of_bucket)
        put("4xxErrors", minute, {1: again, 0: accepted}, **of_bucket)
    return metrics
