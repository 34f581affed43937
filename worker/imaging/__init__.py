"""Bytes to thumbnails: Pillow only, no AWS."""
