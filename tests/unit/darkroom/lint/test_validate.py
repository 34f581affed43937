import copy
import importlib.util
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from darkroom import cli
from darkroom.cloudformation.loader import load
from darkroom.cloudformation.parameters import violation
from darkroom.errors import UserError
from darkroom.lint import engine, external
from darkroom.lint.catalogue import ALL_RULES, RULES
from templates import pipeline, specification

ROOT = Path(__file__).parents[4]
EXAMPLES = Path(__file__).parent / "third_party_templates"
OWN = ("rules",)
# The others are tested in test_rules.py; each validation with all of them takes half a second.
FEW = ("sqs-visibility-timeout", "kms-key-rotation", "cfn-template-size", "cfn-rules-pass")


@pytest.fixture(autouse=True)
def _few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    few = partial(engine.check, rules=[RULES[name] for name in FEW])
    monkeypatch.setattr(engine, "check", few)


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        pipeline.render(pipeline.build(specification.parse({}, origin="test")))
    )
    return content


def written(tmp_path: Path, content: Any, name: str = "stack.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return path


def report(
    tmp_path: Path, content: dict[str, Any], linters: tuple[str, ...] = OWN
) -> engine.Report:
    return engine.validate(load(written(tmp_path, content)), linters=linters)


def broken(sound: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """The template with one defect, and Metadata in the queue that has it."""
    content = copy.deepcopy(sound)
    queue = content["Resources"]["WorkQueue"]
    queue["Properties"]["VisibilityTimeout"] = 300
    queue["Metadata"] = metadata
    return content


def skip(rule: str, comment: str) -> dict[str, Any]:
    return {"skip": [{"id": rule, "comment": comment}]}


# --- The command --------------------------------------------------------------------------------


def test_a_finding_ends_with_1_and_says_what_to_do(
    tmp_path: Path, sound: dict[str, Any], capsys: Any
) -> None:
    """D4: resource with its line, rule, what is wrong, why, fix and source."""
    path = written(tmp_path, broken(sound))
    assert cli.main(["validate", "--linters", "rules", str(path)]) == 1
    text = capsys.readouterr().out
    line = 1 + path.read_text().splitlines().index('  "WorkQueue": {')
    assert (
        f"{path}:{line}: WorkQueue AWS::SQS::Queue\n  error  DR-SQS-001 sqs-visibility-timeout: "
        in text
    )
    assert "which needs 365 s" in text
    for label in ("why    ", "fix    Set the queue's Visib", "see    https://docs.aws.amazon.com/"):
        assert f"\n  {label}" in text
    assert "1 finding (rules 1), 0 suppressed" in text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.json", None, "cannot be read: No such file or directory\n"),
        ("empty.yaml", " \n", "is empty"),
        ("comma.json", '{"Resources": {},}', "is not JSON"),
        ("tabs.yaml", "Resources:\n\t- a: [", "is neither JSON nor YAML: line"),
        ("list.json", "[1]", "it has no Resources"),
        ("text.yaml", "just words", "it has no Resources"),
        ("none.json", '{"Resources": {}}', "it has no Resources"),
        ("type.json", '{"Resources": {"A": {}}}', "Resources.A has no Type"),
        (
            "sam.json",
            '{"Transform": "AWS::Serverless-2016-10-31", "Resources": {"A": {"Type": "B"}}}',
            "is a SAM template",
        ),
    ],
)
def test_what_is_not_a_template_is_a_usage_error(
    tmp_path: Path, name: str, text: str | None, message: str, capsys: Any
) -> None:
    """D4: other linters report a missing or empty file as one without a fault."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert cli.main(["validate", "--linters", "rules", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {path}: ")
    assert captured.err.count(str(path)) == 1
    assert message in captured.err


def test_the_result_goes_to_a_file_and_progress_to_standard_error(
    tmp_path: Path, sound: dict[str, Any], capsys: Any
) -> None:
    """D4: on a pipe too, for a linter may run for a minute."""
    path, target = written(tmp_path, broken(sound)), tmp_path / "findings.json"
    called = ["validate", "--linters", "rules", "--format", "json", "--output", str(target)]
    assert cli.main([*called, str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"Running {len(RULES)} rules\n"
    assert len(json.loads(target.read_text())["findings"]) == 1


def test_an_unknown_tool_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """D4: with what is allowed."""
    assert cli.main(["validate", "--linters", "rules,tslint", "stack.json"]) == 2
    message = "tslint: not a linter; allowed are rules, cfn-lint, checkov"
    assert message in capsys.readouterr().err


def test_yaml_is_read_with_its_lines() -> None:
    """D4: short forms too."""
    assert cli.main(["validate", "--linters", "rules", str(EXAMPLES / "sound.yaml")]) == 0
    lines = (EXAMPLES / "sound.yaml").read_text().splitlines()
    template = load(EXAMPLES / "sound.yaml")
    for title in template.content["Resources"]:
        assert lines[template.lines[title] - 1].startswith(f"  {title}:")


# --- Several templates --------------------------------------------------------------------------


def test_several_templates_have_one_result(
    tmp_path: Path, sound: dict[str, Any], capsys: Any
) -> None:
    """D4: each with the parameter files that follow it; one finding makes the status 1."""
    first = written(tmp_path, sound)
    second = written(tmp_path, broken(sound), "broken.json")
    small = written(tmp_path, ["MemorySize=1"], "small.json")
    large = written(tmp_path, ["MemorySize=2048"], "large.json")
    called = ["validate", "--linters", "rules", "--format"]
    for files, found in (
        ([first, large, EXAMPLES / "sound.yaml"], []),
        ([first, large, second], [second]),
        ([second, large, first, small], [second, small]),
    ):
        assert cli.main([*called, "json", *map(str, files)]) == (1 if found else 0)
        result = json.loads(capsys.readouterr().out)
        assert result["templates"] == [str(one) for one in files if one not in (small, large)]
        assert [one["path"] for one in result["findings"]] == [str(one) for one in found]
    assert cli.main([*called, "table", *map(str, [second, first, small])]) == 1
    text = capsys.readouterr().out
    assert re.findall(r"^(\S+), [0-9,]+ bytes, .*: (\d) finding", text, re.MULTILINE) == [
        (str(second), "1"),
        (str(first), "1"),
    ]
    assert text.index(f"{second}, ") < text.index(f"\n\n{small}")
    assert cli.main([*called, "sarif", *map(str, [second, first, small])]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert len(run["results"]) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("broken.json", '["MemorySize=1"', "is not JSON"),
        ("gone.json", None, "cannot be read: No such file or directory"),
        ("other.yaml", "Outputs: {}", "it has no Resources"),
        ("empty.json", '{"Resources": {}}', "it has no Resources"),
        ("none.json", "{}", "has no parameters that deploy can read"),
    ],
)
def test_a_later_file_that_is_neither_is_a_usage_error(
    tmp_path: Path, sound: dict[str, Any], name: str, text: str | None, message: str, capsys: Any
) -> None:
    """D4: with its path, whether it was meant as a template or as a parameter file."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    first = written(tmp_path, sound)
    assert cli.main(["validate", "--linters", "rules", str(first), str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {path}: ")
    assert message in captured.err


# --- Parameter files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        ["NamePrefix=mine", "MemorySize=1024"],
        [{"ParameterKey": "NamePrefix", "ParameterValue": "mine"}],
        {"Parameters": {"NamePrefix": "mine", "MemorySize": "1024"}},
    ],
    ids=["equals", "cloudformation", "codepipeline"],
)
def test_each_shape_that_deploy_takes_is_read(
    tmp_path: Path, sound: dict[str, Any], content: Any
) -> None:
    """Pitfall 36: three shapes in version 2 of the command line."""
    path = written(tmp_path, content, "mine.json")
    template = load(written(tmp_path, sound))
    assert engine.validate(template, [path], linters=OWN).findings == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["NamePrfix=x1"],
            "NamePrfix is not a parameter of the template; it has AlarmTopicKmsKeyArn",
        ),
        (["NamePrefix=Mine"], "NamePrefix is 'Mine', which does not match"),
        (["NamePrefix=aa", "NamePrefix=bb"], "NamePrefix is given 2 times"),
        (["MemorySize=128"], "MemorySize is 128, below 512"),
        (["MemorySize=20000"], "MemorySize is 20000, above 10240"),
        (["MemorySize=much"], "MemorySize is 'much', not a number"),
        (["Runtime=python3.9"], "Runtime is 'python3.9', not one of python3.12"),
        (["Environment=" + "x" * 5000], "Environment is longer than 4096 bytes"),
        (["AvailabilityZoneIndexA=1"], "The AvailabilityZoneIndex values must differ"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_a_wrong_value_is_found(
    tmp_path: Path, sound: dict[str, Any], lines: list[str], problem: str
) -> None:
    """D4, pitfall 36, pitfall 44: keys, bounds and the template's own rules."""
    path = written(tmp_path, lines, "mine.json")
    template = load(written(tmp_path, sound))
    found = engine.validate(template, [path], linters=OWN).findings
    assert any(problem in one.message for one in found)
    assert all(str(path) in (one.resource, one.parameters) for one in found)


def test_a_value_is_a_finding_where_a_rule_breaks_with_it(
    tmp_path: Path, sound: dict[str, Any]
) -> None:
    """D4: the template is read with each file's values, not only with its defaults."""
    content = copy.deepcopy(sound)
    content["Parameters"]["Seconds"] = {"Type": "Number", "Default": 60, "AllowedPattern": ".*"}
    content["Resources"]["Worker"]["Properties"]["Timeout"] = {"Ref": "Seconds"}
    path = written(tmp_path, ["Seconds=61"], "mine.json")
    template = load(written(tmp_path, content))
    (found,) = engine.validate(template, [path], linters=OWN).findings
    assert (found.rule, found.parameters) == ("sqs-visibility-timeout", str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("", "is not JSON"),
        ("[]", "has no parameters"),
        ('["NamePrefix"]', "has no parameters"),
        ('{"NamePrefix": "x"}', "has no parameters"),
        ('[{"ParameterKey": "A"}]', "has no parameters"),
    ],
)
def test_a_parameter_file_of_another_form_is_a_usage_error(
    tmp_path: Path, sound: dict[str, Any], text: str | None, message: str, capsys: Any
) -> None:
    """Pitfall 36: with what is allowed."""
    path = tmp_path / "mine.json"
    if text is not None:
        path.write_text(text)
    template = str(written(tmp_path, sound))
    assert cli.main(["validate", "--linters", "rules", template, str(path)]) == 2
    assert message in capsys.readouterr().err


# --- Suppressions -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["darkroom", "checkov"])
def test_a_reason_in_the_resource_suppresses(
    tmp_path: Path, sound: dict[str, Any], key: str
) -> None:
    """D4: in checkov's own shape; the reason is reported."""
    content = broken(sound, **{key: skip("sqs-visibility-timeout", "Batches take a second.")})
    done = report(tmp_path, content)
    assert done.findings == []
    ((finding, why),) = done.suppressed
    assert (finding.resource, why.reason) == ("WorkQueue", "Batches take a second.")


def test_a_reason_in_the_template_is_for_every_resource(
    tmp_path: Path, sound: dict[str, Any]
) -> None:
    content = broken(sound)
    content["Metadata"]["darkroom"] = skip("sqs-visibility-timeout", "Idempotent and quick.")
    assert report(tmp_path, content).findings == []


@pytest.mark.parametrize(
    ("rule", "comment", "problem"),
    [
        ("sqs-visibility-timeout", " ", "gives no reason"),
        ("kms-key-rotation", "It does rotate.", "is not needed: the rule finds nothing there"),
        ("visibility", "Batches take a second.", "names no rule of any linter"),
    ],
)
def test_a_suppression_needs_reason_and_use(
    tmp_path: Path, sound: dict[str, Any], rule: str, comment: str, problem: str
) -> None:
    """D4: a suppression that nobody can explain, or that nothing needs, hides the next fault."""
    found = report(tmp_path, broken(sound, darkroom=skip(rule, comment))).findings
    assert {one.rule for one in found} == {"sqs-visibility-timeout", "cfn-suppression"}
    assert any(problem in one.message and one.resource == "WorkQueue" for one in found)


def test_cfn_lint_s_own_suppression_has_no_place_for_a_reason(
    tmp_path: Path, sound: dict[str, Any]
) -> None:
    content = broken(sound, **{"cfn-lint": {"config": {"ignore_checks": ["W3011"]}}})
    found = report(tmp_path, content).findings
    assert any("suppression of W3011 gives no reason" in one.message for one in found)


def test_a_suppression_of_a_tool_that_did_not_run_is_not_judged(
    tmp_path: Path, sound: dict[str, Any]
) -> None:
    content = copy.deepcopy(sound)
    content["Resources"]["WorkQueue"]["Metadata"] = {"checkov": skip("CKV_AWS_27", "Why not.")}
    assert report(tmp_path, content).findings == []


# --- Formats ------------------------------------------------------------------------------------


def test_json_has_what_the_table_has(tmp_path: Path, sound: dict[str, Any], capsys: Any) -> None:
    path = written(tmp_path, broken(sound))
    assert cli.main(["validate", "--linters", "rules", "--format", "json", str(path)]) == 1
    content = json.loads(capsys.readouterr().out)
    (finding,) = content["findings"]
    assert finding["resource"] == "WorkQueue"
    assert finding["rule"] == "sqs-visibility-timeout"
    assert finding["linter"] == "rules"
    assert finding["line"] > 1
    assert finding["remediation"]
    assert content["suppressed"] == []


def test_sarif_is_what_code_hosts_read(tmp_path: Path, sound: dict[str, Any], capsys: Any) -> None:
    """D4: the rule, the line, the severity, and the reason of a suppression."""
    content = broken(sound, darkroom=skip("sqs-visibility-timeout", "Batches take a second."))
    content["Resources"]["EncryptionKey"]["Properties"]["EnableKeyRotation"] = False
    path = written(tmp_path, content)
    assert cli.main(["validate", "--linters", "rules", "--format", "sarif", str(path)]) == 1
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert set(by_rule) == rules == {"DR-KMS-003", "DR-SQS-001"}
    region = by_rule["DR-KMS-003"]["locations"][0]["physicalLocation"]["region"]
    assert path.read_text().splitlines()[region["startLine"] - 1] == '  "EncryptionKey": {'
    assert by_rule["DR-KMS-003"]["suppressions"] == []
    (suppression,) = by_rule["DR-SQS-001"]["suppressions"]
    assert suppression["justification"] == "Batches take a second."
    assert by_rule["DR-SQS-001"]["level"] == "error"
    assert by_rule["DR-KMS-003"]["level"] == "warning"
    described = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}["DR-SQS-001"]
    assert described["name"] == "sqs-visibility-timeout"
    assert described["shortDescription"]["text"] == RULES["sqs-visibility-timeout"].title
    assert described["help"]["text"] == RULES["sqs-visibility-timeout"].remediation
    assert described["defaultConfiguration"] == {"level": "error"}


def test_a_lists_pattern_is_for_each_of_its_values() -> None:
    """D4: as CloudFormation reads it."""
    ranges = {"Type": "CommaDelimitedList", "AllowedPattern": "[0-9.]+/[0-9]+"}
    assert not violation(ranges, ["192.0.2.0/24", "198.51.100.0/24"])
    assert "'everybody', which does not match" in violation(ranges, "192.0.2.0/24,everybody")


# --- The linters --------------------------------------------------------------------------------


def test_a_missing_checkov_is_an_error(
    monkeypatch: pytest.MonkeyPatch, sound: dict[str, Any]
) -> None:
    """D4: a linter that is not installed has not passed anything."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "checkov" or None)
    with pytest.raises(UserError, match=r"checkov is not installed .*--linters rules,cfn-lint"):
        external.run_checkov([sound])


@pytest.mark.parametrize(
    ("missing", "names", "advice"),
    [
        (
            "checkov",
            "rules,cfn-lint,checkov",
            r"\(--linters rules,cfn-lint\).* -e '\.\[validate\]'",
        ),
        ("cfnlint", "rules,cfn-lint,checkov", r" -e '\.\[rules\]' for --linters rules,cfn-lint"),
        ("cfnlint", "rules", r" -e '\.\[rules\]'"),
    ],
)
def test_a_missing_linter_is_reported_before_anything_runs(
    missing: str,
    names: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """D4: not after the minute that the others take; nor is the template read."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != missing or None)
    assert cli.main(["validate", "--linters", names, "none.json"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"error: (checkov|cfn-lint).* is not installed for .*{advice}", line)


@pytest.mark.parametrize(
    "report",
    [
        {"passed": 0, "failed": 0, "resource_count": 0},
        {"summary": {"resource_count": 0}, "results": {"failed_checks": []}},
        {"summary": {"resource_count": 3}, "results": {"parsing_errors": ["0.json"]}},
    ],
)
def test_checkov_that_read_nothing_has_not_passed(report: dict[str, Any]) -> None:
    """D4: checkov alone exits with 0 for a file that it cannot read."""
    with pytest.raises(UserError, match="checkov"):
        external.read_checkov(json.dumps(report), 1)


# --- The list of rules --------------------------------------------------------------------------


def test_the_rules_are_listed(capsys: Any) -> None:
    """D4: by code, with severity and title; as JSON with everything."""
    assert cli.main(["validate", "--list-rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ALL_RULES)
    pattern = r"DR-SQS-001 +sqs-visibility-timeout +error +The visibility timeout .*"
    assert any(re.fullmatch(pattern, line) for line in lines)
    assert cli.main(["validate", "--list-rules", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["code"] for one in listed} == {one.code for one in ALL_RULES.values()}
    assert listed[0]["remediation"]


@pytest.mark.parametrize("arguments", [[], ["--list-rules", "--format", "sarif"]])
def test_wrong_usage_is_a_sentence(arguments: list[str], capsys: Any) -> None:
    assert cli.main(["validate", *arguments]) == 2
    assert re.fullmatch(r"error: .+: .+\n", capsys.readouterr().err)
