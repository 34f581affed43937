"""Tests that a stack's policies allow the requests that the stack needs, and no others."""
