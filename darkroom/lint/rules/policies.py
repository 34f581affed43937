"""Rules about what every policy in a template allows, to whom, and on what."""

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import (
    Statement,
    as_list,
    condition_keys,
    is_within_account,
)
from darkroom.cloudformation.resolver import PSEUDO
from darkroom.iam.evaluator import Request, applies, like
from darkroom.lint.rule import Problems, rule

PRACTICES = "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html"
DEPUTY = "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"

# Actions for which AWS knows no resource, so that only `*` works.
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
# What tells a service's call for us from its call for somebody else.
SOURCE_KEYS = {
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "sts:externalid",
}
# What says from where a request comes.
PLACE_KEYS = {"aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"}
# How a policy is mended, by what it guards.
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


def _said(statement: Statement) -> str:
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
def iam_statement_elements(stack: TemplateModel) -> Problems:
    """Each policy statement has the elements that its kind requires.

    A policy that lacks an element, or has it empty, is refused when it is deployed.
    """
    for title, _ in stack.active_resources():
        kind = stack.type_of(title)
        for one in stack.statements(title):
            trust = kind == "IAM::Role" and "Principal" in one
            needed = [("Action", "NotAction")]
            if not trust:
                needed.append(("Resource", "NotResource"))
            if not kind.startswith("IAM::"):
                needed.append(("Principal", "NotPrincipal"))
            for element, negation in needed:
                if not one.get(element) and not one.get(negation):
                    yield title, f"has no {element} {_said(one)}"
            if one.get("Effect") not in ("Allow", "Deny"):
                yield title, f"neither allows nor denies {_said(one)}"
        for document in stack.documents(title):
            if not document["Statement"]:
                yield title, "has a policy without statements"


@rule(
    "DR-IAM-007",
    "error",
    remediation="Add the condition that the refusal is meant for.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
    pitfalls=(7,),
)
def iam_unconditional_deny(stack: TemplateModel) -> Problems:
    """A Deny for every principal has a condition.

    A refusal to everybody without a condition refuses everybody, whatever they are granted.
    """
    for title, one in stack.all_statements():
        names = [str(name) for group in one.get("Principal", {}).values() for name in group]
        if one["Effect"] == "Deny" and "*" in names and not condition_keys(one):
            yield title, f"refuses everybody {_said(one)}"


@rule(
    "DR-IAM-008",
    "error",
    remediation="Deny the actions on data alone, or only to the principals that are meant.",
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-vpc-endpoint.html",
    pitfalls=(7,),
)
def iam_deny_admin_lockout(stack: TemplateModel) -> Problems:
    """A Deny by address or endpoint leaves administration possible.

    A Deny by address or endpoint on everything also keeps out whoever would have to mend it.
    """
    for kind, action in ADMINISTRATION.items():
        for title in stack.resources_of_type(kind):
            principal = f"arn:{stack.pseudo('Partition')}:iam::{stack.account}:role/administrator"
            mend = Request(
                action=action,
                resource=stack.arn(title),
                principal=principal,
                context={
                    "aws:PrincipalAccount": stack.account,
                    "aws:PrincipalArn": principal,
                    "aws:PrincipalIsAWSService": "false",
                    "aws:SecureTransport": "true",
                    "aws:ViaAWSService": "false",
                },
            )
            for one in stack.resource_policy_statements(title):
                if not _allows(one) and condition_keys(one) & PLACE_KEYS and applies(one, mend):
                    yield title, f"refuses administrators {action} from elsewhere {_said(one)}"


@rule(
    "DR-IAM-009",
    "warning",
    remediation="Name the actions that are used, one by one.",
    source=PRACTICES,
    requirements=("S5",),
)
def iam_wildcard_action(stack: TemplateModel) -> Problems:
    """An Allow names its actions.

    A wildcard grants what AWS adds tomorrow; Not… grants all but what was thought of.
    """
    for title, one in stack.all_statements():
        if not _allows(one):
            continue
        for element in ("NotAction", "NotResource", "NotPrincipal"):
            if element in one:
                yield title, f"allows by {element} {_said(one)}"
        for action in one.get("Action", []):
            if "*" in str(action):
                yield title, f"allows {action} {_said(one)}"


@rule(
    "DR-IAM-010",
    "warning",
    remediation="Name the resources by ARN; `*` only for actions that know no resource.",
    source="https://docs.aws.amazon.com/service-authorization/latest/reference/",
    requirements=("S5",),
)
def iam_wildcard_resource(stack: TemplateModel) -> Problems:
    """An Allow names its resources.

    A right to everything reaches what the stack does not own.
    """
    for title, one in stack.all_statements():
        # In the policy of a key, a queue or a topic `*` is that one and nothing else.
        if (
            not _allows(one)
            or stack.type_of(title)
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
            yield title, f"allows {', '.join(needless)} on {broad[0]} {_said(one)}"


def _is_everything(resource: str) -> bool:
    """Whether a resource is `*`, or an ARN whose part after service, region, account is."""
    if resource == "*" or not resource.startswith("arn:"):
        return resource == "*"
    parts = resource.split(":", 5)
    # Only the account keeps arn:aws:ec2:eu-west-1:111122223333:*/* from being everything.
    return len(parts) == 6 and parts[5] in ("*", "*/*") and parts[4] in ("", "*")


@rule(
    "DR-IAM-011",
    "warning",
    remediation="Write the rights that are used into a policy of the stack.",
    source=PRACTICES,
    requirements=("S5",),
)
def iam_aws_managed_policy(stack: TemplateModel) -> Problems:
    """A role has no AWS managed policy.

    AWS changes its managed policies, and they grant on every resource.
    """
    for title, properties in stack.resources_of_type("IAM::Role").items():
        for policy in properties.get("ManagedPolicyArns", []):
            if not stack.logical_id(policy, "IAM::ManagedPolicy") and ":aws:policy/" in str(policy):
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
def iam_public_principal(stack: TemplateModel) -> Problems:
    """No Allow is for every principal without a condition on the caller.

    `*` without a condition is everybody with an AWS account, or without.
    """
    for title, one in stack.all_statements():
        names = [str(name) for group in one.get("Principal", {}).values() for name in group]
        if _allows(one) and "*" in names and not condition_keys(one) & CALLER_KEYS:
            yield title, f"allows everybody {_said(one)}"


@rule(
    "DR-IAM-013",
    "error",
    remediation=(
        "Add the condition that this service sends: aws:SourceArn and aws:SourceAccount for most,"
        " the encryption context for CloudWatch Logs."
    ),
    source=DEPUTY,
    requirements=("S4",),
    pitfalls=(5, 32),
)
def iam_confused_deputy(stack: TemplateModel) -> Problems:
    """An Allow for an AWS service has a condition on the source that it acts for.

    A service can be asked by anybody to use what we let the service use.
    """
    for title, one in stack.all_statements():
        keys = condition_keys(one)
        for service in _services(one) if _allows(one) else ():
            if stack.type_of(title) == "KMS::Key" and service.startswith("logs."):
                if "kms:encryptioncontext:aws:logs:arn" not in keys:
                    yield title, f"lets {service} use the key for any log group {_said(one)}"
            elif stack.type_of(title) == "KMS::Key" and service == "events.amazonaws.com":
                continue  # it sends neither, see the next rule
            elif not keys & SOURCE_KEYS and not any("encryptioncontext" in key for key in keys):
                yield title, f"lets {service} act for anybody {_said(one)}"
    for title, properties in stack.resources_of_type("Lambda::Permission").items():
        service = str(properties.get("Principal", ""))
        if ".amazonaws.com" in service and not {"SourceArn", "SourceAccount"} & set(properties):
            yield title, f"lets {service} invoke the function for anybody"


@rule(
    "DR-KMS-009",
    "error",
    remediation=(
        "Remove aws:SourceArn and aws:SourceAccount from the key's statement for"
        " events.amazonaws.com; the queue's own policy names the rule."
    ),
    source="https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    pitfalls=(47,),
)
def kms_eventbridge_condition(stack: TemplateModel) -> Problems:
    """A key's statement for EventBridge has no condition on the source.

    EventBridge sends no source when it uses the key of a queue: the events vanish in silence.
    """
    for title, one in stack.all_statements():
        if stack.type_of(title) == "KMS::Key" and "events.amazonaws.com" in _services(one):
            sent = condition_keys(one) & SOURCE_KEYS
            if _allows(one) and sent:
                yield title, f"asks events.amazonaws.com for {', '.join(sorted(sent))}"


@rule(
    "DR-IAM-014",
    "error",
    remediation="Compare with the account by {Ref: AWS::AccountId}, or with an ARN that holds it.",
    source=DEPUTY,
    requirements=("S4",),
    pitfalls=(32,),
)
def iam_source_condition(stack: TemplateModel) -> Problems:
    """A condition on the source names this account.

    A condition that names another account, or every one, guards nothing.
    """
    for title, one in stack.all_statements():
        if not _allows(one):
            continue
        for test in one.get("Condition", {}).values():
            for key, values in test.items():
                name = key.lower()
                for value in map(str, as_list(values)):
                    if name in ("aws:sourceaccount", "aws:principalaccount"):
                        wrong = value != stack.account
                    elif name == "aws:sourcearn" or name.startswith("kms:encryptioncontext"):
                        # A bucket's ARN has no account; the rule of the queue's policy looks there.
                        wrong = value == "*" or ":*:*:" in value
                    else:
                        continue
                    if wrong:
                        yield title, f"takes {key} {value} {_said(one)}"
