"""The requests to allow and to deny, a module for each subject."""
