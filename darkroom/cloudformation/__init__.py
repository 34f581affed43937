"""The one reader of templates: load, resolve, compare."""
