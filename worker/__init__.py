"""The function of the pipeline: queue messages in, thumbnails or rejection records out."""
