"""Check of the DNS firewall of a VPC that the stack created."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from darkroom.checks.deployed.comparison import Target, configured, differ, judge
from darkroom.checks.framework import Finding, where_possible

if TYPE_CHECKING:
    from types_boto3_route53resolver import Route53ResolverClient

CHECK = "dns-firewall"


def check_dns_firewall(target: Target) -> Iterator[Finding]:
    """The firewall is in force, fails closed, and has the template's rules and domains.

    Whether the resolver refuses a name can be seen only from inside the VPC.
    """
    yield from where_possible(_firewall(target), "the DNS firewall")


def _firewall(target: Target) -> Iterator[Finding]:
    client = target.stack.client("route53resolver")
    for title, name, properties in target.resources(
        "Route53Resolver::FirewallRuleGroupAssociation"
    ):
        association = client.get_firewall_rule_group_association(
            FirewallRuleGroupAssociationId=name
        )["FirewallRuleGroupAssociation"]
        vpc = association["VpcId"]
        differences = [
            *differ("status", "COMPLETE", association["Status"]),
            *differ("VPC", properties["VpcId"], vpc),
            *differ("fail open", "DISABLED", _fail_open(client, vpc)),
        ]
        yield from judge(
            target,
            CHECK,
            (title, name),
            differences,
            "aws route53resolver update-firewall-config --firewall-fail-open DISABLED"
            f" --resource-id {vpc}, or restore the association by hand",
        )
    for title, name, properties in target.resources("Route53Resolver::FirewallRuleGroup"):
        pages = client.get_paginator("list_firewall_rules").paginate(FirewallRuleGroupId=name)
        actual = {_rule(rule) for page in pages for rule in page["FirewallRules"]}
        expected = {_rule(rule) for rule in properties["FirewallRules"]}
        yield from judge(target, CHECK, (title, name), differ("rules", expected, actual))
    for title, name, properties in target.resources("Route53Resolver::FirewallDomainList"):
        lists = client.get_paginator("list_firewall_domains").paginate(FirewallDomainListId=name)
        domains = {_domain(domain) for page in lists for domain in page["Domains"]}
        wanted = {_domain(domain) for domain in properties["Domains"]}
        yield from judge(target, CHECK, (title, name), differ("domains", wanted, domains))


def _fail_open(client: "Route53ResolverClient", vpc: str) -> str:
    """Return ENABLED or DISABLED; a VPC that was never configured fails closed."""
    found = configured(lambda: client.get_firewall_config(ResourceId=vpc)["FirewallConfig"])
    return found["FirewallFailOpen"] if found else "DISABLED"


def _rule(rule: Mapping[str, Any]) -> str:
    parts = (rule.get(key) for key in ("Action", "BlockResponse", "FirewallDomainListId", "Qtype"))
    return " ".join([str(int(rule["Priority"])), *(str(part) for part in parts if part)])


def _domain(name: str) -> str:
    # The resolver's answers end in the dot of the root.
    return name.rstrip(".").lower()
