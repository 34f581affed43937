"""Errors that are messages for people: printed without a traceback."""


class UserError(Exception):
    """Something went wrong that its message explains; exit status 1."""


class UsageError(UserError):
    """The command was called in a way that cannot work; exit status 2."""
