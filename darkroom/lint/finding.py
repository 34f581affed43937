"""A finding of any linter."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
"""`error`: a deployment fails, data is lost or exposed, or processing stops. `warning`: it works,
but a safeguard is missing or it costs more than it must. `info`: advice."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem of one resource.

    Attributes:
        linter: `rules`, `cfn-lint` or `checkov`.
        code: Stable: `DR-SQS-001`, `E3002`, `CKV_AWS_7`.
        rule: The name of a rule of ours, `sqs-visibility-timeout`; another linter's code.
        resource: Logical id, or the name of a parameter; `template` for the whole.
        message: What is wrong with the resource.
        parameters: The parameter values that show it, or the file that has them; empty for
            the defaults.
        title: The state that the rule requires.
        why: What happens otherwise.
        remediation: What to do.
        source: Address of the documentation.
        requirements: Codes of docs/requirements.md.
        path: The template or the parameter file; empty before it is known.
        line: Where the resource begins in the file, or None where that is not known.
    """

    linter: str
    code: str
    rule: str
    severity: Severity
    resource: str
    message: str
    parameters: str = ""
    title: str = ""
    why: str = ""
    remediation: str = ""
    source: str = ""
    requirements: tuple[str, ...] = ()
    path: str = ""
    line: int | None = None
