"""darkroom/cloudformation/loader.py: JSON or YAML with line numbers, or a sentence."""

from pathlib import Path

import pytest

from darkroom.cloudformation.loader import load
from darkroom.errors import UsageError

YAML = """\
Parameters:
  Prefix:
    Type: String
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub ${Prefix}-work
"""


def test_yaml_is_read_as_json_would_be(tmp_path: Path) -> None:
    """D4: short functions are written out, and each resource has its line."""
    path = tmp_path / "stack.yaml"
    path.write_text(YAML)
    template = load(path)
    properties = template.content["Resources"]["Queue"]["Properties"]
    assert properties == {"QueueName": {"Fn::Sub": "${Prefix}-work"}}
    assert template.lines == {"Prefix": 2, "Queue": 5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("{", "is not JSON"),
        ("Resources: [", "is neither JSON nor YAML: line 2"),
        ("Parameters: {}", "is not a CloudFormation template: it has no Resources"),
        ("Resources: {Queue: {}}", "Resources.Queue has no Type"),
        (f"Transform: AWS::Serverless-2016-10-31\n{YAML}", "is a SAM template"),
    ],
)
def test_what_is_not_a_template_is_a_usage_error(tmp_path: Path, text: str, message: str) -> None:
    """D4: with the file's name, and what is wrong."""
    path = tmp_path / "stack.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"stack\.yaml: ") as raised:
        load(path)
    assert message in str(raised.value)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        load(tmp_path / "none.json")
