"""List prices of us-east-1 in US dollars that the template and the commands both use."""

from decimal import Decimal

LAMBDA_GB_SECOND_ARM64 = Decimal("0.0000133334")
"""November 2026, https://aws.amazon.com/lambda/pricing/; x86_64 costs a quarter more."""

S3_WRITE = Decimal("0.000005")
"""Per PUT, COPY, POST or LIST; November 2026, https://aws.amazon.com/s3/pricing/"""

S3_READ = Decimal("0.0000004")
"""Per GET or HEAD; the same page."""

# Two reads, an upload and a list per picture, beside its variants. These prices are nine tenths of
# what use costs; other regions differ by about ten percent, and China is billed in yuan.
PICTURE_REQUESTS = 2 * S3_WRITE + 2 * S3_READ


def function_cost(duration: str, memory: str) -> str:
    """Return the price of a function as metric math.

    Args:
        duration: The sum of its durations in milliseconds.
        memory: Its memory in MB.
    """
    return f"{duration}/1000*{memory}/1024*{LAMBDA_GB_SECOND_ARM64:f}"


def requests_cost(thumbnails: str, pictures: str) -> str:
    """Return the price of a worker's requests to S3, by both numbers, as metric math."""
    return f"({thumbnails}*{S3_WRITE:f}+{pictures}*{PICTURE_REQUESTS:f})"
