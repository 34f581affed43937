"""The example specifications are valid, and the page has the size of each option."""

from benchmarks.template_sizes.sizes import EXAMPLES, measured, table, written
from templates import specification
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES


def test_the_page_has_the_current_sizes() -> None:
    """D7, pitfall 31: `python -m benchmarks.template_sizes` writes them."""
    assert written() == table()


def test_the_promised_examples_exist() -> None:
    """D7: the leanest fits a direct deployment."""
    assert [path.stem for path in EXAMPLES] == ["api", "regulated", "smallest", "volume", "web"]
    smallest = EXAMPLES[2]
    assert measured(specification.load(smallest))[0] <= MAX_DIRECT_TEMPLATE_BYTES
