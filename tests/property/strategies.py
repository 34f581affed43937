"""Specifications at random: every table, every kind of source and network, any names."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from hypothesis import strategies as st

from templates import pipeline, specification
from templates.limits import MAX_BUCKET_NOTIFICATIONS
from templates.specification import WORK_RETENTION_SECONDS, Specification
from templates.specification_sources import MAX_ARCHIVE_DAYS, Source
from templates.specification_values import DEFAULT, MAX_NAME_CHARACTERS, RESERVED_NAMES
from templates.specification_variants import MAX_PIXELS_PER_SIDE, Variants

Tables = dict[str, Any]

# Services with an interface endpoint, and what other workloads might call through it.
SERVICES = {
    "kms": ["kms:Decrypt", "kms:GenerateDataKey"],
    "logs": ["logs:PutLogEvents"],
    "ecr.api": ["ecr:BatchGetImage"],
    "secretsmanager": ["secretsmanager:GetSecretValue"],
    "sns": ["sns:Publish"],
}


@cache
def vocabulary() -> list[str]:
    """Return what the stack's own logical ids begin with, spelled as a source's or queue's name.

    Such an id begins with the name in Pascal case: these are the names that could clash.
    """
    everything = specification.parse(
        {
            "logs": {"archive": True, "archive_flow_logs": True, "s3_access_logs": True},
            "cdn": {},
            "api": {},
        },
        origin="vocabulary",
    )
    content = json.loads(pipeline.render(pipeline.build(everything)))
    sections = ("Parameters", "Conditions", "Rules", "Mappings", "Resources", "Outputs")
    found = set()
    for title in chain.from_iterable(content[section] for section in sections):
        words = re.findall("[A-Z][a-z0-9]*", title)
        found |= {"-".join(words[:end]).lower() for end in range(1, len(words) + 1)}
    return sorted(name for name in found if len(name) <= MAX_NAME_CHARACTERS)


def names() -> st.SearchStrategy[str]:
    """Return names of sources, queues or variants: common, awkward and any others."""
    return st.one_of(
        st.just(DEFAULT),
        st.deferred(lambda: st.sampled_from(vocabulary())),
        st.from_regex("[a-z][a-z0-9]{0,4}(-[a-z][a-z0-9]{0,2})?", fullmatch=True),
    ).filter(lambda name: name not in RESERVED_NAMES)


@dataclass(frozen=True)
class Skeleton:
    """What gives a stack its logical ids: what there is of which name and kind."""

    sources: dict[str, str]
    queues: Sequence[str]
    variants: Sequence[str]
    vpc: str
    endpoints: str


@st.composite
def skeletons(draw: st.DrawFn) -> Skeleton:
    """Return one to four sources of all types, with one to three queues and variants for them."""

    def some(most: int) -> list[str]:
        count = draw(st.integers(1, most))
        return draw(st.lists(names(), min_size=count, max_size=count, unique=True))

    kinds = st.sampled_from(["s3", "eventbridge", "sns"])
    sources = {name: draw(kinds) for name in some(4)}
    most = min(3, len(sources))  # each is for a source
    vpc, endpoints = draw(
        st.sampled_from([("create", "create"), ("existing", "create"), ("existing", "existing")])
    )
    return Skeleton(sources, some(most), some(most), vpc, endpoints)


@st.composite
def tables(draw: st.DrawFn, skeleton: Skeleton | None = None) -> Tables:
    """Return the tables of a valid specification, with these ids or any."""
    bones = skeleton or draw(skeletons())
    sources = {name: draw(_source(kind)) for name, kind in bones.sources.items()}
    for kind, given in (("queue", bones.queues), ("variants", bones.variants)):
        # Each is named by a source at least: by those that come first in some order.
        order = draw(st.permutations(list(sources)))
        for index, name in enumerate(order):
            chosen = given[index] if index < len(given) else draw(st.sampled_from(list(given)))
            if chosen != DEFAULT or draw(st.booleans()):
                sources[name][kind] = chosen
    _part(sources)
    found: Tables = {
        "network": draw(_network(bones.vpc, bones.endpoints)),
        "sources": sources,
        "queues": {name: draw(_queue()) for name in bones.queues},
        "variants": {name: draw(_variants()) for name in bones.variants},
        "logs": draw(_logs(bones.vpc)),
    }
    if draw(st.booleans()):
        keys = ("topic_parameters", "hourly_cost")
        found["alarms"] = {key: draw(st.booleans()) for key in keys}
    if draw(st.booleans()):
        found["events"] = draw(st.fixed_dictionaries({"topic": st.booleans()}))
    cdn = {"custom_domain": st.booleans(), "web_acl": st.booleans()}
    if draw(st.booleans()):
        found |= draw(_api(sources))
    if draw(st.booleans()):
        found["tags"] = {"Team": "pictures", "cost:center": "42"}
    if draw(st.booleans()):
        found["cdn"] = draw(st.fixed_dictionaries({}, optional=cdn))
    for source in list(sources.values())[1:]:  # a distribution needs one that is published
        if draw(st.booleans()):
            source["published"] = draw(st.booleans())
    _several_variants(draw, sources, found["variants"])
    return found


def specifications() -> st.SearchStrategy[Specification]:
    """Return any specification there can be, within what one worker's environment holds."""
    return tables().map(parsed)


def parsed(content: Tables) -> Specification:
    """Return the specification of tables that are valid."""
    return specification.parse(content, origin="random.toml")


def apart(values: Iterable[str], contains: Callable[[str, str], bool]) -> list[str]:
    """Return those values of which none contains another."""
    kept: list[str] = []
    for value in values:
        if not any(contains(value, other) or contains(other, value) for other in kept):
            kept.append(value)
    return kept


def _prefixes() -> st.SearchStrategy[str]:
    # Every character that is allowed; but no part of dots alone, which clients resolve.
    part = r"[A-Za-z0-9!_'()-][A-Za-z0-9!_.'()-]{0,7}"
    return st.from_regex(f"({part}/){{1,2}}", fullmatch=True)


@st.composite
def _source(draw: st.DrawFn, kind: str) -> Tables:
    found: Tables = {"type": kind} if kind != "s3" or draw(st.booleans()) else {}
    if draw(st.booleans()):
        found["propagate_deletes"] = draw(st.booleans())
    if draw(st.booleans()):
        found["keep_metadata"] = draw(
            st.lists(st.sampled_from(["taken", "copyright"]), max_size=2, unique=True)
        )
    if draw(st.integers(0, 4)) == 0:
        found["copy_metadata"] = draw(st.sampled_from([["author"], ["author", "a.b_c-1"]]))
    prefixes = ["uploads/"]
    if draw(st.booleans()):
        common = st.sampled_from(["uploads/", "in/", "in/raw/", "in/done/"])
        drawn = draw(st.lists(common | _prefixes(), min_size=1, max_size=4, unique=True))
        prefixes = found["prefixes"] = apart(drawn, str.startswith)
    if draw(st.integers(0, 9)) == 0:  # the whole bucket
        prefixes = found["prefixes"] = [""]
    known = list(Source().suffixes)
    odd = st.from_regex(r"\.[a-z0-9!_.'()-]{1,8}", fullmatch=True)
    some = st.lists(st.sampled_from(known) | odd, min_size=1, max_size=9, unique=True)
    suffixes = apart(draw(some), str.endswith)
    # Each pair in both cases, created and, if followed, deleted in two ways.
    events = 3 if found.get("propagate_deletes") else 1
    most = MAX_BUCKET_NOTIFICATIONS // (2 * events * len(prefixes))
    if len(known) > most or draw(st.booleans()):
        found["suffixes"] = suffixes[:most]
    if draw(st.integers(0, 9)) == 0:  # any suffix
        found["suffixes"] = ["*"]
    if draw(st.booleans()):
        found["output_prefix"] = draw(st.just("out/") | _prefixes())
    if kind == "s3" and draw(st.booleans()):
        found["archive_after_days"] = draw(st.integers(0, MAX_ARCHIVE_DAYS))
        found["archive_storage_class"] = draw(
            st.sampled_from(["GLACIER_IR", "INTELLIGENT_TIERING"])
        )
    if draw(st.booleans()):
        found["hash_prefix"] = draw(st.booleans())
    if kind == "sns" and draw(st.booleans()):
        found["raw_message_delivery"] = draw(st.booleans())
    return found


def _part(sources: dict[str, Tables]) -> None:
    """Give a source another output_prefix where its outputs could overwrite an earlier one's."""
    taken: list[tuple[str, str]] = []
    for name, source in sources.items():
        if "" in source.get("prefixes", ()) and len(sources) > 1:
            source["output_prefix"] = f"{name}-whole-bucket/"
        prefix_of_outputs = source.get("output_prefix") or ("" if name == DEFAULT else f"{name}/")
        prefixes = source.get("prefixes", ["uploads/"])
        hashed = "??/" if source.get("hash_prefix") else ""
        places = [
            (prefix_of_outputs + hashed + prefix, prefix_of_outputs + prefix) for prefix in prefixes
        ]
        # `zip` pairs the places below `thumbnails/`, and those below `rejected/`.
        if any(_meet(*pair) for a in places for b in taken for pair in zip(a, b, strict=True)):
            # No prefix drawn has a part as long as that; see `_prefixes`.
            own = source["output_prefix"] = f"{name}-apart-from-others/"
            places = [(own + hashed + prefix, own + prefix) for prefix in prefixes]
        taken += places


def _meet(one: str, other: str) -> bool:
    """Return whether one begins with the other, whose `?` may be any character."""
    return all(a == b or "?" in a + b for a, b in zip(one, other, strict=False))


@st.composite
def _api(draw: st.DrawFn, sources: dict[str, Tables]) -> Tables:
    """Return the table of an upload API of one of the stack's own buckets, if there is any."""
    own = [name for name, one in sources.items() if one.get("type", "s3") == "s3"]
    if not own:
        return {}
    source = draw(st.sampled_from(own))
    within = draw(st.sampled_from(sources[source].get("prefixes", ["uploads/"])))
    access = draw(st.sampled_from(["private", "regional"]))
    more = draw(st.just("api/") | _prefixes())
    found: Tables = {"prefix": f"{within}{more}", "access": access}
    if source != DEFAULT or draw(st.booleans()):
        found["source"] = source
    return {"api": found}


def _network(vpc: str, endpoints: str) -> st.SearchStrategy[Tables]:
    optional: dict[str, st.SearchStrategy[Any]] = {"availability_zones": st.integers(2, 4)}
    if vpc == "create":
        services = st.lists(st.sampled_from(sorted(SERVICES)), unique=True, max_size=3)
        optional["interface_endpoints"] = services.map(
            lambda named: {service: SERVICES[service] for service in named}
        )
    fixed = {"vpc": st.just(vpc), "endpoints": st.just(endpoints)}
    return st.fixed_dictionaries(fixed, optional=optional)


@st.composite
def _queue(draw: st.DrawFn) -> Tables:
    found: Tables = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "timeout_seconds": st.integers(10, 900),
                "batch_size": st.integers(1, 100),
                "maximum_batching_window_seconds": st.integers(0, 300),
                "max_receive_count": st.integers(2, 100),
                "max_file_size_mb": st.integers(1, 1024),
                "max_megapixels": st.integers(1, 1000),
                "provisioned_mode": st.booleans(),
            },
        )
    )
    if found.get("batch_size", 1) > 10:
        found["maximum_batching_window_seconds"] = max(
            1, found.get("maximum_batching_window_seconds", 0)
        )
    timing = {"timeout_seconds", "maximum_batching_window_seconds"} & found.keys()
    each = specification.ProcessingQueue(**{key: found[key] for key in timing}).visibility_seconds
    if "max_receive_count" in found:  # all within the time that messages are kept
        most = (WORK_RETENTION_SECONDS - 1) // each
        found["max_receive_count"] = min(found["max_receive_count"], most)
    return found


_FORMAT = st.integers(1, 100) | st.fixed_dictionaries(
    {"quality": st.integers(1, 100)}, optional={"min_width": st.integers(1, 8192)}
)


@st.composite
def _variants(draw: st.DrawFn) -> Tables:
    formats = st.sampled_from(["jpeg", "webp", "avif"])
    found: Tables = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "widths": st.lists(st.integers(16, 8192), min_size=1, max_size=8, unique=True),
                "formats": st.dictionaries(formats, _FORMAT, min_size=1),
                "cache_control": st.sampled_from(["no-store", "public, max-age=60", 200 * "x"]),
                "fit": st.sampled_from(["inside", "cover", "contain"]),
                "background": st.sampled_from(["#ffffff", "#01ab9c"]),
                "sharpen": st.integers(0, 200),
            },
        )
    )
    if "formats" in found and draw(st.integers(0, 4)) == 0:
        found["formats"]["png"] = 100
    # One of the formats is made at every width.
    if all(isinstance(one, dict) for one in found.get("formats", {"": 1}).values()):
        found["formats"][draw(formats)] = 80
    # A format that is asked for is made at some width.
    widest = max(found.get("widths", Variants().widths))
    for one in found.get("formats", {}).values():
        if isinstance(one, dict) and "min_width" in one:
            one["min_width"] = min(one["min_width"], widest)
    has_webp = "webp" in found["formats"] if "formats" in found else widest >= 200
    if has_webp and draw(st.booleans()):
        found["animated"] = draw(st.booleans())
    fit = found.get("fit", "inside")
    if fit != "inside":
        # As high as the widest may be, and as flat as the ratio may say.
        across = draw(st.integers(1, 999))
        down = draw(st.integers(1, min(999, max(1, MAX_PIXELS_PER_SIDE * across // widest))))
        if widest * down > MAX_PIXELS_PER_SIDE * across:
            across = down = 1
        found["aspect_ratio"] = f"{across}:{down}"
    elif draw(st.booleans()):
        # One height for all is never too small for a greater width.
        found["heights"] = [draw(st.integers(16, 8192))] * len(
            found.get("widths", Variants().widths)
        )
    if draw(st.integers(0, 4)) == 0:
        found["watermark"] = draw(_watermark(widest))
    if fit == "cover" and draw(st.booleans()):
        found["position"] = draw(
            st.sampled_from(["center", "top", "bottom", "left", "right", "focus"])
        )
    return found


@st.composite
def _watermark(draw: st.DrawFn, widest: int) -> Tables:
    """Return a watermark that is on the widest thumbnail at least."""
    part = r"[A-Za-z0-9!_'()-][A-Za-z0-9!_.'()-]{0,7}"
    found: Tables = draw(
        st.fixed_dictionaries(
            {"min_width": st.integers(1, min(200, widest))},
            optional={
                "key": st.just("watermarks/a.png")
                | st.from_regex(f"watermarks(/{part}){{1,2}}", fullmatch=True),
                "width": st.integers(1, 100),
                "opacity": st.integers(1, 100),
            },
        )
    )
    sides = ["top", "bottom", "left", "right"]
    corners = ["top-left", "top-right", "bottom-left", "bottom-right"]
    found["position"] = draw(st.sampled_from(["center", *sides, *corners]))
    if found["position"] != "center":
        found["margin"] = draw(st.integers(0, (100 - found.get("width", 25)) // 2).map(_at_most_25))
    return found


def _at_most_25(value: int) -> int:
    return min(value, 25)


def _several_variants(
    draw: Callable[[st.SearchStrategy[bool]], bool], sources: Tables, variants: Tables
) -> None:
    """Give some sources all variants that have the caching of their own ones."""
    for source in sources.values():
        first = source.get("variants", DEFAULT)
        caching = variants[first].get("cache_control")
        same = [
            name
            for name, one in variants.items()
            if name != first and one.get("cache_control") == caching
        ]
        if same and draw(st.booleans()):
            source["variants"] = [first, *same]
            source["choose_variants"] = draw(st.booleans())


@st.composite
def _logs(draw: st.DrawFn, vpc: str) -> Tables:
    found: Tables = draw(
        st.fixed_dictionaries(
            {}, optional={"archive": st.booleans(), "s3_access_logs": st.booleans()}
        )
    )
    if found.get("archive", True):
        if vpc == "create":
            found["archive_flow_logs"] = draw(st.booleans())
        found["object_lock"] = draw(st.sampled_from(["off", "governance", "compliance"]))
    return found
