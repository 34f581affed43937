"""The stack as code: one module per part, combined in `templates.pipeline`."""
