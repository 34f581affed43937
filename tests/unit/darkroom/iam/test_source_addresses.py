import pytest

from darkroom.iam.source_addresses import covered

HALVES = ["0.0.0.0/1", "128.0.0.0/1"]


@pytest.mark.parametrize(
    ("ranges", "ipv4", "ipv6"),
    [
        ([], 0, 0),
        (["0.0.0.0/1"], 1 / 2, 0),
        (HALVES, 1, 0),
        (["0.0.0.0/1", "128.0.0.0/32"], 1 / 2 + 2**-32, 0),
        (["0.0.0.0/2", "0.0.0.0/3", "16.0.0.0/4"], 1 / 4, 0),  # an address counts once
        (["10.1.2.3/8", "192.0.2.1"], 2**-8 + 2**-32, 0),  # as IAM reads them
        (["::/1"], 0, 1),  # all public addresses, though half of all numbers
        (["2000::/4", "fd00::/8"], 0, 1 / 2),
        (["2001:db8::/32", "192.0.2.0/24"], 2**-24, 2**-29),
    ],
)
def test_ranges_add_up(ranges: list[str], ipv4: float, ipv6: float) -> None:
    """S3: two halves of the internet are the internet."""
    assert covered(ranges) == {"IPv4": ipv4, "IPv6": ipv6}


@pytest.mark.parametrize("wrong", ["everybody", "300.0.2.0/24", "192.0.2.0/33", ""])
def test_what_is_no_range_is_an_error(wrong: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        covered(["192.0.2.0/24", wrong])
