"""The commands that its operators run: `darkroom --help`."""
