"""List prices of us-east-1 in US dollars that the dashboard and the commands both use."""

from decimal import Decimal

LAMBDA_GB_SECOND_ARM64 = Decimal("0.0000133334")
"""November 2026, https://aws.amazon.com/lambda/pricing/; x86_64 costs a quarter more."""

S3_WRITE = Decimal("0.000005")
"""Per PUT, COPY, POST or LIST; November 2026, https://aws.amazon.com/s3/pricing/"""

S3_READ = Decimal("0.0000004")
"""Per GET or HEAD; the same page."""
