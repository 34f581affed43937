"""The upload API's environment variables, parsed once into a frozen record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from worker.settings import SettingsError, Source


@dataclass(frozen=True)
class ApiSettings:
    """The settings of the upload API.

    Attributes:
        upload_bucket: The bucket that uploads go to.
        upload_prefix: What their keys begin with; ends in `/`.
        suffixes: Those that keys may end with, in lower case; empty for any.
        thumbnail_bucket: The bucket of the records.
        source: Where the records of an upload are.
        max_object_bytes: The worker rejects an object of more bytes.
        longest_seconds: After this long a message is processed, or in the dead-letter queue.
        log_level: A level of `logging`.
    """

    upload_bucket: str
    upload_prefix: str
    suffixes: tuple[str, ...]
    thumbnail_bucket: str
    source: Source
    max_object_bytes: int
    longest_seconds: int
    log_level: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ApiSettings:
        """Read the settings from environment variables.

        Raises:
            SettingsError: A value is missing or not allowed; the sentence names the variable.
        """
        try:
            entry = json.loads(environment["UPLOADS"])
            return cls(
                upload_bucket=environment["UPLOAD_BUCKET"],
                upload_prefix=str(entry["prefix"]),
                suffixes=tuple(map(str, entry["suffixes"])),
                thumbnail_bucket=environment["THUMBNAIL_BUCKET"],
                source=Source(
                    name=str(entry["source"]),
                    variants=(),
                    cache_control="",
                    output_prefix=str(entry.get("output_prefix", "")),
                    hash_prefix=bool(entry.get("hash_prefix", False)),
                ),
                max_object_bytes=int(entry["max_bytes"]),
                longest_seconds=int(entry["longest_seconds"]),
                log_level=environment["LOG_LEVEL"],
            )
        except KeyError as error:
            raise SettingsError(f"{error.args[0]} is not set") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise SettingsError(f"UPLOADS is {environment['UPLOADS']!r}: {error}") from error
