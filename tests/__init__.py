"""Tests, in the order of the modules they test; a docstring names the promise or trap it proves."""
