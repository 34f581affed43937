"""Tests of the proof of least privilege."""
