"""The Lambda function: queue messages in, thumbnails or rejection records out."""

__version__ = "0.2.0"
