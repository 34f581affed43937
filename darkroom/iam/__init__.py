"""Tests that a stack's policies grant least privilege: what must be allowed is, nothing else is."""
