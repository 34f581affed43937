"""Benchmarks of the worker's image core, the capacity model, the alarms and the template's size."""
