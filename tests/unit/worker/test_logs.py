"""worker/logs.py: one JSON object a line, nothing lost."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from worker import logs
from worker.logs import LOGGER, fields


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """O1: fields are searchable, absent ones left out, odd values and line breaks kept in line."""
    logs.configure("INFO", "darkroom-worker")
    LOGGER.debug("too quiet")
    LOGGER.info("two\nlines %s", "é", extra=fields(key="a\nb", version_id=None, odd={1}))
    (text,) = capsys.readouterr().out.splitlines()
    line = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "INFO",
        "message": "two\nlines é",
        "service": "darkroom-worker",
        "key": "a\nb",
        "odd": "{1}",
    }


def test_an_exception_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """O1: neither dropped nor spread over several lines."""
    logs.configure("INFO")
    try:
        int("here")
    except ValueError:
        LOGGER.exception("broken")
    (text,) = capsys.readouterr().out.splitlines()
    assert "test_an_exception_is_part" in json.loads(text)["exception"]
    assert "ValueError: " in json.loads(text)["exception"]
    assert json.loads(text)["exception_name"] == "ValueError"


def test_lambdas_own_handler_does_not_write_the_line_again() -> None:
    """O1: the runtime puts one on the root logger, in a format of its own."""
    logs.configure("INFO")
    root = logging.getLogger()
    runtime = logging.StreamHandler(io.StringIO())
    root.addHandler(runtime)
    try:
        LOGGER.error("ours")
    finally:
        root.removeHandler(runtime)
    assert runtime.stream.getvalue() == ""


def test_a_second_set_up_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """O1: one line per event."""
    logs.configure("INFO")
    logs.configure("INFO")
    LOGGER.info("once")
    assert len(capsys.readouterr().out.splitlines()) == 1
