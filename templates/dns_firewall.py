"""A DNS firewall: a created VPC resolves the names of its endpoints' services, and no others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from troposphere import Ref, Sub, Template
from troposphere.route53resolver import (
    FirewallDomainList,
    FirewallRule,
    FirewallRuleGroup,
    FirewallRuleGroupAssociation,
)

from templates.specification import Network
from templates.suppressions import suppress

# What botocore resolves: S3's regional name, with the bucket's name before it unless that contains
# a dot, and SQS's. Nobody but AWS answers queries below these.
WORKER_NAMES = ("s3", "*.s3", "sqs")

# Services whose endpoints are named otherwise than their hosts.
# https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
HOSTS = {"kinesis-firehose": "firehose", "kinesis-streams": "kinesis"}

# Of 101 to 9899; other rule groups of the VPC's owner fit before and behind.
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_route53resolver_AssociateFirewallRuleGroup.html
ASSOCIATION_PRIORITY = 1000


@dataclass(frozen=True, kw_only=True)
class DnsFirewall:
    """The rule group, and its list of the names that are blocked."""

    rule_group: FirewallRuleGroup
    blocked: FirewallDomainList


def add_dns_firewall(
    template: Template, *, vpc: Ref, settings: Network, services: Iterable[str]
) -> DnsFirewall | None:
    """Let a created VPC resolve the names of S3, SQS and `services`, its other endpoints, only.

    Neither security groups nor flow logs see queries to the VPC's resolver, which would carry data
    to whoever answers for a domain (pitfall 69). The firewall fails closed, as is AWS's default.
    """
    if settings.vpc == "existing":  # its resolver is its owner's
        return None
    if not settings.dns_firewall:
        template.resources[vpc.data["Ref"]].Metadata = suppress(
            **{"DR-VPC-010": "network.dns_firewall = false"}
        )
        return None
    allowed = template.add_resource(
        FirewallDomainList(
            "AllowedDomains",
            Domains=[
                Sub(f"{name}.${{AWS::Region}}.${{AWS::URLSuffix}}")
                for name in (*WORKER_NAMES, *_hosts(services))
            ],
        )
    )
    blocked = template.add_resource(FirewallDomainList("BlockedDomains", Domains=["*"]))
    group = template.add_resource(
        FirewallRuleGroup(
            "DnsFirewallRules",
            FirewallRules=[
                FirewallRule(
                    Action="ALLOW",
                    FirewallDomainListId=Ref(allowed),
                    # The names are aliases of others, which would be blocked (pitfall 70).
                    FirewallDomainRedirectionAction="TRUST_REDIRECTION_DOMAIN",
                    Priority=1,
                ),
                FirewallRule(
                    Action="BLOCK",
                    BlockResponse="NXDOMAIN",
                    FirewallDomainListId=Ref(blocked),
                    Priority=2,
                ),
            ],
        )
    )
    template.add_resource(
        FirewallRuleGroupAssociation(
            # Without MutationProtection, with which the stack could not be deleted.
            "DnsFirewall",
            FirewallRuleGroupId=Ref(group),
            Priority=ASSOCIATION_PRIORITY,
            VpcId=vpc,
        )
    )
    return DnsFirewall(rule_group=group, blocked=blocked)


def _hosts(services: Iterable[str]) -> Iterator[str]:
    """Yield the host names of services, e.g. `api.ecr` of `ecr.api`, and those below them."""
    for service in services:
        host = HOSTS.get(service, ".".join(reversed(service.split("."))))
        yield from (host, f"*.{host}")
