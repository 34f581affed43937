"""Rules about what every policy in a template allows, to whom, and on what."""

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import (
    Statement,
    as_list,
    condition_keys,
    is_within_account,
)
from darkroom.cloudformation.resolver import PSEUDO
from darkroom.iam.evaluator import applies, like
from darkroom.iam.expectations.requests import OTHER_IP, by
from darkroom.iam.source_addresses import MOST, covered
from darkroom.lint.rule import Problems, rule

PRACTICES = "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html"
DEPUTY = "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"

# Actions without resource types: only `*` works.
# https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCE = (
    "cloudwatch:PutMetricData",
    "ec2:Describe*",
    "ecr:GetAuthorizationToken",
    "kms:ListAliases",
    "kms:ListKeys",
    "logs:DescribeLogGroups",
    "s3:ListAllMyBuckets",
    "sqs:ListQueues",
    "sts:GetCallerIdentity",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
# Condition keys that distinguish a service's call for this account from one for another.
SOURCE_KEYS = {
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "sts:externalid",
}
# Condition keys that say where a request comes from.
PLACE_KEYS = {"aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"}
# The action that corrects a resource's policy, by its type.
ADMINISTRATION = {
    "KMS::Key": "kms:PutKeyPolicy",
    "S3::Bucket": "s3:PutBucketPolicy",
    "SNS::Topic": "sns:SetTopicAttributes",
    "SQS::Queue": "sqs:SetQueueAttributes",
}
CALLER_KEYS = {
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "kms:calleraccount",
}


def _allows(statement: Statement) -> bool:
    return statement.get("Effect") == "Allow"


def _where(statement: Statement) -> str:
    return f"in the statement {statement['Sid']!r}" if "Sid" in statement else "in a statement"


def _services(statement: Statement) -> list[str]:
    return [str(name) for name in statement.get("Principal", {}).get("Service", [])]


@rule(
    "DR-IAM-006",
    "error",
    remediation=(
        "Give each statement Effect, Action and Resource, and a Principal in the policy of a"
        " resource."
    ),
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html",
    requirements=("S5",),
)
def iam_statement_elements(model: TemplateModel) -> Problems:
    """Each policy statement has the elements that its kind requires.

    A policy that lacks an element, or has it empty, is rejected when it is deployed.
    """
    for title, _ in model.active_resources():
        kind = model.type_of(title)
        for one in model.statements(title):
            trust = kind == "IAM::Role" and "Principal" in one
            needed = [("Action", "NotAction")]
            if not trust:
                needed.append(("Resource", "NotResource"))
            if not kind.startswith("IAM::"):
                needed.append(("Principal", "NotPrincipal"))
            for element, negation in needed:
                if not one.get(element) and not one.get(negation):
                    yield title, f"has no {element} {_where(one)}"
            if one.get("Effect") not in ("Allow", "Deny"):
                yield title, f"neither allows nor denies {_where(one)}"
        for document in model.documents(title):
            if not document["Statement"]:
                yield title, "has a policy without statements"


@rule(
    "DR-IAM-007",
    "error",
    remediation="Add the condition that the Deny is meant for.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
    pitfalls=(7,),
)
def iam_unconditional_deny(model: TemplateModel) -> Problems:
    """A Deny for every principal has a condition.

    A Deny for everyone without a condition denies everyone, whatever they are granted.
    """
    for title, one in model.all_statements():
        names = [str(name) for group in one.get("Principal", {}).values() for name in group]
        if one["Effect"] == "Deny" and "*" in names and not condition_keys(one):
            yield title, f"denies everyone {_where(one)}"


@rule(
    "DR-IAM-008",
    "error",
    remediation="Deny only the actions on data, or only the principals that are meant.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-vpc-endpoint.html",
    pitfalls=(7,),
)
def iam_deny_admin_lockout(model: TemplateModel) -> Problems:
    """A Deny by address or endpoint leaves administration possible.

    A Deny by address or endpoint on every action also locks out those who would have to correct
    it.
    """
    for kind, action in ADMINISTRATION.items():
        for title in model.resources_of_type(kind):
            principal = f"arn:{model.pseudo('Partition')}:iam::{model.account}:role/administrator"
            correction = by(principal, action, model.arn(title), **{"aws:SourceIp": OTHER_IP})
            for one in model.resource_policy_statements(title):
                if (
                    not _allows(one)
                    and condition_keys(one) & PLACE_KEYS
                    and applies(one, correction)
                ):
                    yield (
                        title,
                        f"denies administrators {action} from elsewhere {_where(one)}",
                    )


@rule(
    "DR-IAM-009",
    "warning",
    remediation="List the actions that are used.",
    source=PRACTICES,
    requirements=("S5",),
)
def iam_wildcard_action(model: TemplateModel) -> Problems:
    """An Allow names its actions.

    A wildcard grants what AWS adds later; NotAction grants everything that is not listed.
    """
    for title, one in model.all_statements():
        if not _allows(one):
            continue
        for element in ("NotAction", "NotResource", "NotPrincipal"):
            if element in one:
                yield title, f"allows by {element} {_where(one)}"
        for action in one.get("Action", []):
            if "*" in str(action):
                yield title, f"allows {action} {_where(one)}"


@rule(
    "DR-IAM-010",
    "warning",
    remediation="Name the resources by ARN; use `*` only for actions without resource types.",
    source="https://docs.aws.amazon.com/service-authorization/latest/reference/",
    requirements=("S5",),
)
def iam_wildcard_resource(model: TemplateModel) -> Problems:
    """An Allow names its resources.

    A permission on everything reaches resources that the stack does not own.
    """
    for title, one in model.all_statements():
        # In the policy of a key, a queue or a topic, `*` is that resource.
        if (
            not _allows(one)
            or model.type_of(title)
            in (
                "KMS::Key",
                "SNS::TopicPolicy",
                "SQS::QueuePolicy",
            )
            or is_within_account(one, PSEUDO["AWS::AccountId"])
        ):
            continue
        broad = [str(each) for each in one.get("Resource", []) if _is_everything(str(each))]
        needless = [
            str(action)
            for action in one.get("Action", [])
            if not any(like(known, str(action), ignore_case=True) for known in WITHOUT_RESOURCE)
        ]
        if broad and needless:
            yield title, f"allows {', '.join(needless)} on {broad[0]} {_where(one)}"


def _is_everything(resource: str) -> bool:
    """Return whether a resource is `*`, or an ARN with `*` after service, Region and account."""
    if resource == "*" or not resource.startswith("arn:"):
        return resource == "*"
    parts = resource.split(":", 5)
    # arn:aws:ec2:eu-west-1:111122223333:*/* is limited by its account.
    return len(parts) == 6 and parts[5] in ("*", "*/*") and parts[4] in ("", "*")


@rule(
    "DR-IAM-011",
    "warning",
    remediation="Write the permissions that are used in a policy of the template.",
    source=PRACTICES,
    requirements=("S5",),
)
def iam_aws_managed_policy(model: TemplateModel) -> Problems:
    """A role has no AWS managed policy.

    AWS changes its managed policies, and they grant access to every resource.
    """
    for title, properties in model.resources_of_type("IAM::Role").items():
        for policy in properties.get("ManagedPolicyArns", []):
            if not model.logical_id(policy, "IAM::ManagedPolicy") and ":aws:policy/" in str(policy):
                yield title, f"has the managed policy {str(policy).rpartition('/')[2]}"


@rule(
    "DR-IAM-012",
    "error",
    remediation=(
        "Name the principal, or add a condition on aws:PrincipalArn, aws:PrincipalAccount or"
        " aws:PrincipalOrgID."
    ),
    source=PRACTICES,
    requirements=("S2", "S6"),
)
def iam_public_principal(model: TemplateModel) -> Problems:
    """No Allow is for every principal without a condition on the caller.

    `*` without a condition is everyone with an AWS account, and everyone without one.
    """
    for title, one in model.all_statements():
        names = [str(name) for group in one.get("Principal", {}).values() for name in group]
        if _allows(one) and "*" in names and not condition_keys(one) & CALLER_KEYS:
            yield title, f"allows everyone {_where(one)}"


@rule(
    "DR-IAM-013",
    "error",
    remediation=(
        "Add the condition that this service sends: aws:SourceArn and aws:SourceAccount for most;"
        " in a key's policy the encryption context for CloudWatch Logs and EventBridge."
    ),
    source=DEPUTY,
    requirements=("S4",),
    pitfalls=(5, 32),
)
def iam_confused_deputy(model: TemplateModel) -> Problems:
    """An Allow for an AWS service has a condition on the source that it acts for.

    Anyone can make a service use the permissions that the service has here. Only an identity of
    the account can pass a role to a Lambda function, so that its trust policy needs no condition.
    """
    for title, one in model.all_statements():
        keys = condition_keys(one)
        if model.type_of(title) == "IAM::Role" and _services(one) == ["lambda.amazonaws.com"]:
            continue
        for service in _services(one) if _allows(one) else ():
            if model.type_of(title) == "KMS::Key" and service.startswith("logs."):
                if "kms:encryptioncontext:aws:logs:arn" not in keys:
                    yield (
                        title,
                        f"lets {service} use the key for any log group {_where(one)}",
                    )
            elif not keys & SOURCE_KEYS and not any("encryptioncontext" in key for key in keys):
                yield title, f"lets {service} act for anyone {_where(one)}"
    for title, properties in model.resources_of_type("Lambda::Permission").items():
        service = str(properties.get("Principal", ""))
        if ".amazonaws.com" in service and not {"SourceArn", "SourceAccount"} & set(properties):
            yield title, f"lets {service} invoke the function for anyone"


@rule(
    "DR-KMS-009",
    "error",
    remediation=(
        "Replace aws:SourceArn and aws:SourceAccount in the key's statement for"
        " events.amazonaws.com by the encryption context, kms:EncryptionContext:aws:sqs:arn or"
        " aws:sns:topicArn; the queue's own policy names the rule."
    ),
    source="https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    pitfalls=(47,),
)
def kms_eventbridge_condition(model: TemplateModel) -> Problems:
    """A key's statement for EventBridge has no condition on the source.

    EventBridge sends no source when it uses the key of a queue: the condition makes events
    disappear without an error.
    """
    for title, one in model.all_statements():
        if model.type_of(title) == "KMS::Key" and "events.amazonaws.com" in _services(one):
            sent = condition_keys(one) & SOURCE_KEYS
            if _allows(one) and sent:
                yield title, f"requires of events.amazonaws.com the keys {', '.join(sorted(sent))}"


@rule(
    "DR-IAM-014",
    "error",
    remediation="Compare with {Ref: AWS::AccountId}, or with an ARN that contains it.",
    source=DEPUTY,
    requirements=("S4",),
    pitfalls=(32,),
)
def iam_source_condition(model: TemplateModel) -> Problems:
    """A condition on the source names this account.

    A condition that accepts another account, or every account, protects nothing.
    """
    for title, one in model.all_statements():
        if not _allows(one):
            continue
        for test in one.get("Condition", {}).values():
            for key, values in test.items():
                name = key.lower()
                for value in map(str, as_list(values)):
                    if name in ("aws:sourceaccount", "aws:principalaccount"):
                        wrong = value != model.account
                    elif name == "aws:sourcearn" or name.startswith("kms:encryptioncontext"):
                        # A bucket's ARN has no account; sqs-policy-s3-source checks it.
                        wrong = value == "*" or ":*:*:" in value
                    else:
                        continue
                    if wrong:
                        yield title, f"accepts {key} {value} {_where(one)}"


@rule(
    "DR-IAM-016",
    "warning",
    remediation="Name the ranges of those who are meant, or leave the condition out.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourceip",
    requirements=("S3",),
)
def iam_source_ip_ranges(model: TemplateModel) -> Problems:
    """A condition on the source address covers at most half of the addresses.

    A condition that is true of most addresses looks like a limit and limits nobody.
    """
    for title, one in model.all_statements():
        operator = "IpAddress" if _allows(one) else "NotIpAddress"
        for key, values in one.get("Condition", {}).get(operator, {}).items():
            if key.lower() != "aws:sourceip":
                continue
            try:
                shares = covered(map(str, as_list(values)))
            except ValueError:
                continue  # a value that only AWS knows
            for family, share in shares.items():
                if share > MOST:
                    yield title, f"limits to more than half of all {family} addresses {_where(one)}"
