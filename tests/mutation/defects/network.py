"""The network."""

import re
from collections.abc import Callable

from darkroom.lint.rules import endpoints
from tests.mutation import additions
from tests.mutation.additions import Template, arn, sub
from tests.mutation.defects.seed import (
    defect,
    drop,
    named,
    of,
)


@defect("vpce-policy")
def endpoint_without_policy(t: Template) -> None:
    del of(t, "S3Endpoint")["PolicyDocument"]


@defect("vpce-policy-too-narrow")
def endpoint_refuses_writes(t: Template) -> None:
    drop(t, "S3Endpoint", "WriteOutputs")


@defect("vpce-policy-too-narrow")
def endpoint_refuses_back_off(t: Template) -> None:
    statement = named(t, "SqsEndpoint", "DeleteOrDelayMessages")
    statement["Action"] = ["sqs:DeleteMessage"]


@defect("vpce-policy-too-narrow")
def endpoint_admits_another_role(t: Template) -> None:
    condition = named(t, "S3Endpoint", "ReadUploads")["Condition"]
    condition["ArnEquals"]["aws:PrincipalArn"] = arn("LogDeliveryRole")


@defect("vpce-policy-too-narrow")
def no_endpoint_for_storage(t: Template) -> None:
    del t["Resources"]["S3Endpoint"]


@defect("vpce-policy-too-broad")
def endpoint_admits_another_bucket(t: Template) -> None:
    named(t, "S3Endpoint", "WriteOutputs")["Resource"].append(
        sub("arn:${AWS::Partition}:s3:::external/*")
    )


@defect("iam-public-principal")
def endpoint_admits_everybody(t: Template) -> None:
    del named(t, "S3Endpoint", "ReadUploads")["Condition"]


def _connection(kind: str) -> Callable[[Template], None]:
    def change(t: Template) -> None:
        t["Resources"]["Connection"] = {"Type": f"AWS::{kind}"}

    change.__name__ = "_".join(re.findall("[A-Z]+[a-z0-9]+|[A-Z]+", kind)).lower()
    return change


for connection in endpoints.EGRESS_TYPES:
    defect("vpc-no-egress")(_connection(connection))


def _route(target: str, destination: str = "DestinationCidrBlock") -> Callable[[Template], None]:
    def change(t: Template) -> None:
        t["Resources"]["DefaultRoute"] = {
            "Type": "AWS::EC2::Route",
            "Properties": {
                "RouteTableId": {"Ref": "PrivateRouteTable"},
                destination: "::/0" if "6" in destination else "0.0.0.0/0",
                target: {"Ref": "Environment"},
            },
        }

    change.__name__ = f"route_by_{target}"
    return change


# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-route.html
for route_target in (
    *("CarrierGatewayId", "CoreNetworkArn", "GatewayId", "InstanceId", "LocalGatewayId"),
    *("NatGatewayId", "NetworkInterfaceId", "TransitGatewayId", "VpcEndpointId"),
    "VpcPeeringConnectionId",
):
    defect("vpc-no-egress")(_route(route_target))
defect("vpc-no-egress")(_route("EgressOnlyInternetGatewayId", "DestinationIpv6CidrBlock"))


@defect("vpc-no-egress")
def network_has_ipv6_addresses(t: Template) -> None:
    t["Resources"]["Addresses"] = {
        "Type": "AWS::EC2::VPCCidrBlock",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "AmazonProvidedIpv6CidrBlock": True},
    }


@defect("vpc-no-egress")
def subnet_gives_ipv6_addresses(t: Template) -> None:
    of(t, "PrivateSubnetA")["AssignIpv6AddressOnCreation"] = True


@defect("vpc-no-egress")
def interface_with_public_address(t: Template) -> None:
    t["Resources"]["Machine"] = {
        "Type": "AWS::EC2::Instance",
        "Properties": {
            "ImageId": "{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023}}",
            "NetworkInterfaces": [
                {
                    "AssociatePublicIpAddress": True,
                    "DeviceIndex": "0",
                    "SubnetId": {"Ref": "PrivateSubnetA"},
                }
            ],
        },
    }


@defect("vpce-aws-service-only")
def endpoint_of_somebodys_service(t: Template) -> None:
    of(t, "SqsEndpoint")["ServiceName"] = sub(
        "com.amazonaws.vpce.${AWS::Region}.vpce-svc-0123456789abcdef0"
    )


@defect("vpce-aws-service-only")
def endpoint_of_an_appliance(t: Template) -> None:
    of(t, "SqsEndpoint")["VpcEndpointType"] = "GatewayLoadBalancer"


@defect("vpce-china-service-name")
def endpoint_without_the_prefix_in_china(t: Template) -> None:
    of(t, "SqsEndpoint")["ServiceName"] = sub("com.amazonaws.${AWS::Region}.sqs")


@defect("vpce-china-service-name")
def endpoint_with_a_needless_prefix_in_china(t: Template) -> None:
    names = of(t, "SqsEndpoint")["ServiceName"]["Fn::If"]
    names[1:] = [sub(f"{prefix}com.amazonaws.${{AWS::Region}}.kms") for prefix in ("cn.", "")]


@defect("vpc-no-egress")
def public_addresses(t: Template) -> None:
    of(t, "PrivateSubnetA")["MapPublicIpOnLaunch"] = True


@defect("vpc-security-group-egress")
def open_egress(t: Template) -> None:
    rule = of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]
    del rule["DestinationPrefixListId"]
    rule["CidrIp"] = "0.0.0.0/0"


@defect("vpc-security-group-egress")
def open_egress_over_ipv6(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"].append(
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv6": "::/0"}
    )


@defect("vpc-security-group-egress")
def open_egress_in_a_resource_of_its_own(t: Template) -> None:
    t["Resources"]["Egress"] = {
        "Type": "AWS::EC2::SecurityGroupEgress",
        "Properties": {
            "GroupId": {"Fn::GetAtt": ["WorkerSecurityGroup", "GroupId"]},
            "IpProtocol": "-1",
            "CidrIp": "0.0.0.0/0",
        },
    }


@defect("vpc-security-group-egress")
def egress_not_stated(t: Template) -> None:
    del of(t, "EndpointSecurityGroup")["SecurityGroupEgress"]


@defect("vpc-security-group-egress")
def egress_of_every_port(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]["ToPort"] = 65535


@defect("vpc-security-group-endpoint-access")
def no_egress_to_the_queue_endpoint(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupEgress"].pop()


@defect("vpc-security-group-endpoint-access")
def endpoint_lets_nobody_in(t: Template) -> None:
    del of(t, "EndpointSecurityGroup")["SecurityGroupIngress"]


@defect("vpc-security-group-ingress")
def ingress_from_everywhere(t: Template) -> None:
    of(t, "EndpointSecurityGroup")["SecurityGroupIngress"][0]["CidrIp"] = "0.0.0.0/0"


@defect("vpc-security-group-ingress")
def ingress_from_everywhere_in_a_resource_of_its_own(t: Template) -> None:
    t["Resources"]["Ingress"] = {
        "Type": "AWS::EC2::SecurityGroupIngress",
        "Properties": {
            "GroupId": {"Fn::GetAtt": ["EndpointSecurityGroup", "GroupId"]},
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "CidrIpv6": "::/0",
        },
    }


@defect("vpc-security-group-ingress")
def ingress_to_the_function(t: Template) -> None:
    of(t, "WorkerSecurityGroup")["SecurityGroupIngress"] = [
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "CidrIp": {"Ref": "VpcCidr"},
            "Description": "Nobody needs this",
        }
    ]


@defect("vpc-private-dns")
def no_dns_host_names(t: Template) -> None:
    del of(t, "Vpc")["EnableDnsHostnames"]


@defect("vpc-private-dns")
def no_private_dns(t: Template) -> None:
    of(t, "SqsEndpoint")["PrivateDnsEnabled"] = False


@defect("vpce-route-tables")
def subnet_on_another_route_table(t: Template) -> None:
    t["Resources"]["OtherTable"] = {
        "Type": "AWS::EC2::RouteTable",
        "Properties": {"VpcId": {"Ref": "Vpc"}},
    }
    of(t, "PrivateRouteTableAssociationB")["RouteTableId"] = {"Ref": "OtherTable"}


@defect("vpc-availability-zones")
def zone_by_letter(t: Template) -> None:
    of(t, "PrivateSubnetA")["AvailabilityZone"] = sub("${AWS::Region}a")


@defect("vpc-availability-zones")
def one_zone(t: Template) -> None:
    of(t, "PrivateSubnetB")["AvailabilityZone"] = of(t, "PrivateSubnetA")["AvailabilityZone"]


@defect("vpc-prefix-list-region")
def prefix_list_of_one_region(t: Template) -> None:
    rule = of(t, "WorkerSecurityGroup")["SecurityGroupEgress"][0]
    rule["DestinationPrefixListId"] = "pl-6da54004"


@defect("lambda-vpc-config")
def function_outside_of_the_network(t: Template) -> None:
    del of(t, "Worker")["VpcConfig"]


@defect("vpce-missing-endpoint")
def no_endpoint_for_the_named_queue(t: Template) -> None:
    del t["Resources"]["SqsEndpoint"]


@defect("vpce-availability-zones")
def endpoint_in_one_zone(t: Template) -> None:
    of(t, "SqsEndpoint")["SubnetIds"].pop()


@defect("vpc-flow-logs")
def no_flow_log(t: Template) -> None:
    del t["Resources"]["FlowLog"]


@defect("vpc-flow-logs", on=additions.flow_log_group)
def flow_log_cannot_write(t: Template) -> None:
    named(t, "FlowLogRole", "WriteFlowLog")["Action"].remove("logs:PutLogEvents")


@defect("vpc-availability-zones")
def zone_left_to_aws(t: Template) -> None:
    del of(t, "PrivateSubnetB")["AvailabilityZone"]


@defect("lambda-eni-permissions")
def role_cannot_find_subnets(t: Template) -> None:
    named(t, "WorkerRole", "DescribeNetworkInterfaces")["Action"].remove("ec2:DescribeSubnets")


@defect("vpc-dns-firewall")
def no_dns_firewall(t: Template) -> None:
    del t["Resources"]["DnsFirewall"]


@defect("vpc-dns-firewall-rules")
def firewall_allows_every_name(t: Template) -> None:
    of(t, "AllowedDomains")["Domains"].append("*")


@defect("vpc-dns-firewall-rules")
def firewall_allows_what_it_does_not_know(t: Template) -> None:
    of(t, "DnsFirewallRules")["FirewallRules"].pop()


@defect("vpc-dns-firewall-rules")
def firewall_only_alerts(t: Template) -> None:
    rule = of(t, "DnsFirewallRules")["FirewallRules"][1]
    rule["Action"] = "ALERT"
    del rule["BlockResponse"]


@defect("vpc-dns-firewall-rules")
def firewall_answers_with_another_name(t: Template) -> None:
    of(t, "DnsFirewallRules")["FirewallRules"][1] |= {
        "BlockResponse": "OVERRIDE",
        "BlockOverrideDomain": "example.com",
        "BlockOverrideDnsType": "CNAME",
        "BlockOverrideTtl": 60,
    }


@defect("vpc-dns-firewall-rules")
def firewall_inspects_aliases(t: Template) -> None:
    rule = of(t, "DnsFirewallRules")["FirewallRules"][0]
    del rule["FirewallDomainRedirectionAction"]


@defect("vpc-dns-firewall-rules")
def firewall_blocks_before_it_allows(t: Template) -> None:
    of(t, "DnsFirewallRules")["FirewallRules"][1]["Priority"] = 0


@defect("vpc-dns-firewall-rules")
def firewall_blocks_buckets(t: Template) -> None:
    del of(t, "AllowedDomains")["Domains"][1]


@defect("vpc-dns-firewall-rules")
def firewall_fails_open(t: Template) -> None:
    t["Resources"]["FirewallConfig"] = {
        "Type": "AWS::Route53Resolver::FirewallConfig",
        "Properties": {"ResourceId": {"Ref": "Vpc"}, "FirewallFailOpen": "ENABLED"},
    }


@defect("vpc-default-security-group")
def endpoint_in_the_default_group(t: Template) -> None:
    del of(t, "SqsEndpoint")["SecurityGroupIds"]


@defect("vpc-default-security-group")
def function_in_the_default_group(t: Template) -> None:
    groups = of(t, "Worker")["VpcConfig"]["SecurityGroupIds"]
    groups.append({"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]})
