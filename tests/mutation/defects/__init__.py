"""The defects: each a small change to the generated template, named after what it breaks."""

from importlib import import_module

from tests.mutation.defects.seed import DEFECTS, Defect

__all__ = ["DEFECTS", "Defect"]

for _name in (
    *(
        "apis",
        "buckets",
        "encryption",
        "functions",
        "network",
        "observability",
        "policies",
        "queues",
    ),
    "template",
):
    import_module(f"{__name__}.{_name}")  # registers its defects
