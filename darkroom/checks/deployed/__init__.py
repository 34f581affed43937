"""Checks of a deployed stack against its own template."""
