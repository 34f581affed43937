"""Capacity and cost of the pipeline: formulas, a simulation that checks them, dated prices."""
