"""Least privilege, proven on a template: what must work works, and nothing else does."""
