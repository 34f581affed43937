"""The commands that its operators run: `python -m ops --help`."""
