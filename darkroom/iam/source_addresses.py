"""How much of the internet the ranges of an `aws:SourceIp` condition cover."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from typing import TypeVar

IPV4 = IPv4Network("0.0.0.0/0")
IPV6 = IPv6Network("2000::/3")
"""All global unicast addresses.

https://www.iana.org/assignments/ipv6-address-space/ipv6-address-space.xhtml
"""

MOST = 0.5
"""Ranges that cover more than this share of the addresses limit nobody."""

_Network = TypeVar("_Network", IPv4Network, IPv6Network)


def covered(ranges: Iterable[str]) -> dict[str, float]:
    """Return the shares of all IPv4 and IPv6 addresses that the ranges together cover, 0 to 1.

    Raises:
        ValueError: A range is neither an address nor a CIDR.
    """
    networks = [ip_network(one, strict=False) for one in ranges]
    return {
        "IPv4": _share([one for one in networks if isinstance(one, IPv4Network)], IPV4),
        "IPv6": _share([one for one in networks if isinstance(one, IPv6Network)], IPV6),
    }


def _share(networks: list[_Network], public: _Network) -> float:
    # Of two CIDRs that overlap, one contains the other.
    counts = (
        min(one.num_addresses, public.num_addresses)
        for one in collapse_addresses(networks)
        if one.overlaps(public)
    )
    return sum(counts) / public.num_addresses
