"""Checks: functions that return findings and discovered values, run in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.aws.errors import explained, is_refused, is_unsupported, sentence
from darkroom.console.progress import Progress
from darkroom.errors import UsageError, UserError

Verdict = Literal["pass", "warn", "fail", "skip"]
"""`skip`: an endpoint that is not AWS cannot show the property."""

VERDICTS: tuple[Verdict, ...] = ("pass", "warn", "fail", "skip")

Context = TypeVar("Context")


@dataclass(frozen=True)
class Finding:
    """One observation as a sentence, what to do about it, and the values that it gave by name."""

    verdict: Verdict
    message: str
    remediation: str = ""
    discovered: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckResult:
    """The findings of one check, and the values that it discovered."""

    check: str
    findings: tuple[Finding, ...]

    @property
    def discovered(self) -> dict[str, str]:
        """Values by name: of parameters, or of what a later check needs."""
        return {
            name: value for finding in self.findings for name, value in finding.discovered.items()
        }


Check = Callable[[Context], Iterable[Finding]]


def passed(message: str, discovered: Mapping[str, str] | None = None) -> Finding:
    """Return that something is as it should be."""
    return Finding("pass", message, discovered=discovered or {})


def warned(message: str, remediation: str, discovered: Mapping[str, str] | None = None) -> Finding:
    """Return that something works, but not as well as it could."""
    return Finding("warn", message, remediation, discovered or {})


def failed(message: str, remediation: str) -> Finding:
    """Return that something does not work, or differs from what was deployed."""
    return Finding("fail", message, remediation)


def where_possible(findings: Iterable[Finding], subject: str) -> Iterator[Finding]:
    """Yield the findings; a permission that the caller lacks is a warning, and not a failure.

    An endpoint that does not have the action cannot show the `subject`. It is for what only
    advises: another check that AWS refuses fails.
    """
    try:
        yield from findings
    except ClientError as error:
        message = f"{sentence(error)}: {subject} was not checked"
        if is_refused(error):
            yield warned(message, f"allow {error.operation_name} to see it")
        elif is_unsupported(error):
            yield Finding("skip", message)
        else:
            raise


def run_checks(
    checks: Mapping[str, Check[Context]],
    context: Context,
    *,
    skip: Sequence[str],
    progress: Progress,
    extend: Callable[[Context, Mapping[str, str]], Context] = lambda context, _: context,
) -> list[CheckResult]:
    """Run the checks in their order and return the result of each that was not skipped.

    A check that AWS refuses fails and keeps the findings it had; the next ones run all the same.
    A check with nothing to examine has no findings.

    Args:
        checks: The checks by name.
        context: What a check examines; immutable.
        skip: Names of checks to leave out.
        progress: Reports the check that is running.
        extend: Returns the context with the values that a check has discovered.
    """
    results = []
    for name, check in checks.items():
        if name in skip:
            continue
        progress.update(f"Checking {name}")
        result = CheckResult(name, tuple(_findings(name, check, context)))
        context = extend(context, result.discovered)
        results.append(result)
    progress.clear()
    return results


def _findings(name: str, check: Check[Context], context: Context) -> Iterator[Finding]:
    try:
        with explained():
            yield from check(context)
    except UsageError:
        raise
    except UserError as error:
        is_aws = isinstance(error.__cause__, BotoCoreError | ClientError)
        yield failed(
            str(error), f"allow that call, or leave it out: --skip {name}" if is_aws else ""
        )


def overall(results: Iterable[CheckResult]) -> Verdict:
    """Return the worst verdict of all findings; a skipped one counts as passed."""
    verdicts = {finding.verdict for result in results for finding in result.findings}
    return next((verdict for verdict in ("fail", "warn") if verdict in verdicts), "pass")


def exit_status(results: Iterable[CheckResult], *, strict: bool) -> int:
    """Return 1 if a finding fails, or with `strict` if one warns; else 0."""
    return int(overall(results) in (("fail", "warn") if strict else ("fail",)))
