"""The Lambda function: queue messages in, thumbnails or rejection records out."""
