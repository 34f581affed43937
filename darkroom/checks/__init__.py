"""Findings about an account before, and a stack after, a deployment."""
