"""Reads the tables of a specification's file."""

import sys
import tomllib
from pathlib import Path
from typing import Any


class SpecificationError(Exception):
    """The specification is invalid; the message has a line for each error, with file and key."""


def read_tables(path: Path, origin: str) -> dict[str, Any]:
    """Return the tables of the TOML file `path`, or of standard input for `-`.

    Raises:
        SpecificationError: the file cannot be read or is not TOML; the message begins with
            `origin`.
    """
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except FileNotFoundError:
        raise SpecificationError(f"{origin}: there is no such file") from None
    except OSError as error:
        raise SpecificationError(f"{origin}: {error.strerror}") from None
    try:
        # Editors on Windows write a byte order mark, which TOML does not allow.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{origin}: not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(f"{origin}: not TOML: {error}") from None
    except RecursionError:
        raise SpecificationError(f"{origin}: lists or tables are nested too deeply") from None
    except ValueError:  # Python's limit of digits, https://docs.python.org/3/library/stdtypes.html
        raise SpecificationError(f"{origin}: a number has too many digits") from None


def with_tuples(value: Any) -> Any:
    """Return a TOML file's content with tuples, as in the specification, instead of lists."""
    if isinstance(value, dict):
        return {key: with_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(with_tuples(item) for item in value)
    return value
