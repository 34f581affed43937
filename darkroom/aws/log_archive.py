"""The objects that Firehose writes to the log archive, and the log lines in them."""

import gzip
import json
import re
from collections.abc import Iterator

from darkroom.errors import UserError

# The beginning of a JSON object.
OBJECT = re.compile(r'\{\s*["}]')

# What a log line has, and JSON that a text quotes has hardly: of the worker, Lambda and metrics.
TIME_FIELDS = {"timestamp", "time", "_aws"}


def unpack(body: bytes, where: str) -> str:
    """Return the text of an archived object.

    Raises:
        UserError: it is not gzipped; the message names `where` it is.
    """
    try:
        return gzip.decompress(body).decode("utf-8", errors="replace")
    except (OSError, EOFError) as error:
        raise UserError(f"{where} is not a file that Firehose writes: {error}") from None


def split_records(text: str) -> Iterator[str]:
    """Yield the log lines of an archived object, whether or not line breaks separate them.

    Firehose delivers extracted messages as they are, and a JSON object need not end in a line
    break (pitfall 55): then its own end separates it from the next one. Other lines have a line
    break.
    """
    decoder = json.JSONDecoder()
    for line in text.split("\n"):
        start = position = 0
        while found := OBJECT.search(line, position):
            position = found.start()
            try:
                fields, end = decoder.raw_decode(line, position)
            except (ValueError, RecursionError):
                position += 1
                continue
            if line[start:position].strip():  # text, which may quote JSON without a time
                if TIME_FIELDS.isdisjoint(fields):
                    position = end
                    continue
                yield line[start:position]
            yield line[position:end]
            start = position = end
        if line[start:].strip():
            yield line[start:]
