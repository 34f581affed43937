"""Tests, by kind; a docstring names the requirement or pitfall that it proves."""
