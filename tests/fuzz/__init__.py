"""Coverage-guided fuzzing of the image core and the event parser: see __main__.py."""
