"""The stack as code: one module a part, wired together in `templates.pipeline`."""
