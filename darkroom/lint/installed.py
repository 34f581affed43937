"""Whether the linters are installed, without an import of them."""

import importlib.util
import sys
from collections.abc import Collection

from darkroom.errors import UserError

# cfn-lint also reads the templates for all linters.
PACKAGES = {"rules": "cfnlint", "cfn-lint": "cfnlint", "checkov": "checkov"}
INSTALL = "in the project's folder: python -m pip install -e"


def check_installed(linters: Collection[str]) -> None:
    """Return if all `linters` can run.

    Raises:
        UserError: one of them is not installed; the message says how to install it, and which
            linters can do without it.
    """
    missing = {PACKAGES[one] for one in linters if importlib.util.find_spec(PACKAGES[one]) is None}
    if "cfnlint" in missing:
        raise UserError(
            f"cfn-lint, which also reads the templates, is not installed for {sys.executable};"
            f" {INSTALL} '.[rules]' for --linters rules,cfn-lint, or '.[validate]' for all linters"
        )
    if missing:
        raise UserError(
            f"checkov is not installed for {sys.executable}; leave it out (--linters"
            f" rules,cfn-lint), or install it in an environment without the emulator:"
            f" {INSTALL} '.[validate]'"
        )
