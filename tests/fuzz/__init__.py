"""Coverage-guided fuzzing of the imaging package and the event parser: see __main__.py."""
