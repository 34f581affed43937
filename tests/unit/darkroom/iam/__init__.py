"""Tests of the least-privilege test."""
