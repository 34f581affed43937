"""Checks that alarms reach people: by an address, or by a topic that exists outside the stack."""

import json
from collections.abc import Iterator, Sequence

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found, is_refused
from darkroom.checks.framework import Finding, failed, passed, warned, where_possible
from darkroom.checks.stack_inputs import StackInputs
from darkroom.cloudformation.policy_documents import Statement, as_list, condition_keys
from darkroom.console.text import plural
from darkroom.iam.evaluator import Request, allowed

EMAIL = "CriticalAlarmEmail"
TOPIC = "CriticalAlarmTopic"
EXISTING_TOPIC = "ExistingCriticalTopicArn"
EXISTING_TOPICS = {EXISTING_TOPIC: "critical alarms", "ExistingWarningTopicArn": "warnings"}
"""What goes to the topic that a parameter names."""

CLOUDWATCH = "cloudwatch.amazonaws.com"

MANAGED_KEY = "alias/aws/sns"
"""The alias of the key that AWS manages for SNS; it may also be named by its id (pitfall 4)."""


def unheard(inputs: StackInputs, message: str, remediation: str) -> Finding:
    """Return that nobody is notified of critical alarms; it fails for production only."""
    if inputs.is_production:
        environment = inputs.values["Environment"]
        return failed(f"{message}, and Environment is {environment}", remediation)
    return warned(message, remediation)


def check_recipients(inputs: StackInputs) -> Iterator[Finding]:
    """Pitfall 35: critical alarms reach a person; production must not do without one."""
    address, topic = inputs.values.get(EMAIL), inputs.values.get(EXISTING_TOPIC)
    if topic:
        yield passed(f"critical alarms go to {topic}")
        if address and any(
            inputs.values.get(name) for name in ("WarningAlarmEmail", "ExistingWarningTopicArn")
        ):
            yield warned(
                f"{EMAIL} is {address}, which nothing is sent to: critical alarms have"
                f" {EXISTING_TOPIC}, and warnings a recipient of their own",
                f"subscribe {address} to the topic, or leave {EMAIL} out",
            )
    elif address:
        yield passed(f"alarms go to {address}, once its subscription is confirmed")
    elif confirmed := _confirmed(inputs):
        yield passed(
            f"critical alarms go to {plural(confirmed, 'subscriber')} of the stack's topic"
        )
    else:
        choice = f", or {EXISTING_TOPIC}=ARN" if EXISTING_TOPIC in inputs.declared else ""
        yield unheard(
            inputs,
            f"critical alarms go to nobody: {EMAIL} is empty",
            f"{EMAIL}=you@example.com{choice}",
        )


def _confirmed(inputs: StackInputs) -> int:
    """Return the number of confirmed subscriptions of an existing stack's own topic."""
    topic = inputs.resources.get(TOPIC, "")
    if not topic:
        return 0
    try:
        found = inputs.account.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    except ClientError as error:
        if is_not_found(error) or is_refused(error):
            return 0
        raise
    return int(found.get("SubscriptionsConfirmed", 0))


def existing_topics(inputs: StackInputs) -> dict[str, str]:
    """Return the ARN of each topic outside the stack by the parameter that names it."""
    named = {name: inputs.values.get(name, "") for name in EXISTING_TOPICS}
    return {name: arn for name, arn in named.items() if arn}


def check_existing_topics(inputs: StackInputs) -> Iterator[Finding]:
    """Pitfalls 4 and 32: existing topics take the alarms, by their policies and their keys."""
    for name, topic in existing_topics(inputs).items():
        yield from _existing_topic(inputs, name, topic)


def _existing_topic(inputs: StackInputs, name: str, topic: str) -> Iterator[Finding]:
    account = inputs.account
    partition, _, region, owner = topic.split(":")[1:5]
    if (partition, region) != (account.partition, account.region):
        # https://github.com/cds-snc/notification-terraform/pull/128
        yield failed(
            f"{name} is in {partition}, {region}: alarms notify topics of their own Region only",
            f"a topic in {account.region}, which may be another account's",
        )
        return
    try:
        found = account.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    except ClientError as error:
        if is_not_found(error):
            yield failed(f"{name}: there is no topic {topic}", "correct its ARN")
        elif owner != account.caller["Account"] and is_refused(error):
            yield warned(
                f"{name}: {topic} is another account's and cannot be read",
                f"ask its owner whether {CLOUDWATCH} may publish to it for this account's alarms,"
                " and use its key; allow this account sns:GetTopicAttributes to see it",
            )
        else:
            raise
        return
    yield _policy(inputs, name, topic, found.get("Policy", ""))
    yield from where_possible(
        _key(inputs, name, topic, found.get("KmsMasterKeyId", "")), f"the key of {topic}"
    )


def _policy(inputs: StackInputs, name: str, topic: str, text: str) -> Finding:
    """Return whether a topic's policy lets the stack's alarms publish."""
    requests = _requests(inputs, topic, "sns:Publish", topic)
    statements = _statements(text)
    denied = [one for one in requests if not allowed(statements, one)]
    alarms = plural(len(requests), "alarm")
    if not denied:
        return passed(f"{name}: the policy of {topic} lets {alarms} publish")
    return _refusal(
        f"{name}: the policy of {topic} does not let {len(denied)} of {alarms} publish",
        statements,
        denied,
        f"allow {CLOUDWATCH} sns:Publish, with the condition aws:SourceAccount"
        f" {inputs.account.caller['Account']}: aws sns set-topic-attributes --topic-arn {topic}"
        " --attribute-name Policy --attribute-value",
    )


def _key(inputs: StackInputs, name: str, topic: str, key: str) -> Iterator[Finding]:
    """Yield whether the key of a topic lets alarms use it."""
    remediation = (
        f"a customer managed key whose policy allows {CLOUDWATCH} kms:Decrypt and"
        " kms:GenerateDataKey*"
    )
    of_sns = failed(
        f"{name}: {topic} is encrypted with {key}, a key of SNS, which alarms cannot use",
        remediation,
    )
    if not key:
        yield passed(f"{name}: {topic} is not encrypted with a key")
        return
    if key.endswith(MANAGED_KEY):
        yield of_sns
        return
    if topic.split(":")[4] != inputs.account.caller["Account"]:
        yield warned(
            f"{name}: {topic} is encrypted with {key}, another account's key, which cannot be read",
            f"ask its owner for {remediation}",
        )
        return
    kms = inputs.account.client("kms")
    about = kms.describe_key(KeyId=key)["KeyMetadata"]
    if about.get("KeyManager") == "AWS":
        yield of_sns
        return
    policy = kms.get_key_policy(KeyId=about["KeyId"], PolicyName="default")["Policy"]
    statements = _statements(policy)
    denied = [
        one
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
        for one in _requests(inputs, topic, action, about["Arn"])
        if not allowed(statements, one)
    ]
    if denied:
        actions = " and ".join(sorted({one.action for one in denied}))
        yield _refusal(
            f"{name}: the key of {topic}, {key}, does not let alarms use {actions}",
            statements,
            denied,
            remediation,
        )
    else:
        yield passed(f"{name}: the key of {topic} lets alarms use it")


def _requests(inputs: StackInputs, topic: str, action: str, resource: str) -> list[Request]:
    """Return the request of each alarm that notifies the topic."""
    account = inputs.account.caller["Account"]
    context = {
        "aws:SourceAccount": account,
        # In the policy that SNS gives to a new topic.
        "aws:SourceOwner": account,
        "aws:SecureTransport": "true",
        "aws:PrincipalIsAWSService": "true",
        "aws:ViaAWSService": "false",
        "kms:EncryptionContext:aws:sns:topicArn": topic,
    }
    return [
        Request(
            action=action,
            resource=resource,
            principal=CLOUDWATCH,
            context={**context, "aws:SourceArn": inputs.template.arn(title)},
        )
        for title, alarm in inputs.template.resources_of_type("CloudWatch::Alarm").items()
        if topic in alarm["AlarmActions"]
    ]


def _statements(text: str) -> list[Statement]:
    return as_list(json.loads(text or "{}").get("Statement", []))


def _refusal(
    message: str, statements: Sequence[Statement], denied: Sequence[Request], remediation: str
) -> Finding:
    """Return that requests are denied: a warning where conditions cannot be decided here."""
    known = set.intersection(*({*one.sent} for one in denied))
    if unknown := set().union(*map(condition_keys, statements)) - known:
        return warned(
            f"{message}, except by conditions on {', '.join(sorted(unknown))}", remediation
        )
    return failed(message, remediation)
