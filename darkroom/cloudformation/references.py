"""Finds the names that a piece of a template refers to."""

import re
from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.policy_documents import as_list


def references(value: Any) -> Iterator[str]:
    """Yield every name that `value` refers to by a function or `DependsOn`.

    Names are logical ids, parameters and pseudo parameters; a name may come more than once.
    """
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("Ref", "DependsOn"):
                yield from as_list(item)
            elif key == "Fn::GetAtt":
                yield item.partition(".")[0] if isinstance(item, str) else item[0]
            elif key == "Fn::Sub":
                text, variables = (item, {}) if isinstance(item, str) else item
                names = re.findall(r"\$\{([^!}]+)\}", text)
                yield from (name.partition(".")[0] for name in names if name not in variables)
                yield from references(variables)
            else:
                yield from references(item)
