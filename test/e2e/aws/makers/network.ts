/** The network, and what requests come in through. */
import type * as acm from "@aws-sdk/client-acm";
import type * as ec2 from "@aws-sdk/client-ec2";
import type * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import type * as route53 from "@aws-sdk/client-route-53";
import type * as waf from "@aws-sdk/client-wafv2";
import type { Inputs, Maker } from "../clients.ts";
import { awsNames, ec2Input, required, tagList } from "../clients.ts";

export const network: Readonly<Record<string, Maker>> = {
  "aws:ec2/vpc:Vpc": async ({ ec2: client }, { enableDnsSupport, enableDnsHostnames, ...inputs }) => {
    const { Vpc } = await client.createVpc(ec2Input(inputs, "vpc") as ec2.CreateVpcCommandInput);
    const VpcId = required(Vpc?.VpcId);
    const on = (Value: unknown) => ({ Value: Value as boolean });
    await client.modifyVpcAttribute({ VpcId, EnableDnsSupport: on(enableDnsSupport) });
    await client.modifyVpcAttribute({ VpcId, EnableDnsHostnames: on(enableDnsHostnames) });
    return { id: VpcId, state: {} };
  },
  "aws:ec2/subnet:Subnet": async ({ ec2: client }, inputs) => {
    const { Subnet } = await client.createSubnet(ec2Input(inputs, "subnet") as ec2.CreateSubnetCommandInput);
    return { id: required(Subnet?.SubnetId), state: {} };
  },
  "aws:ec2/internetGateway:InternetGateway": async ({ ec2: client }, { vpcId, ...inputs }) => {
    const made = await client.createInternetGateway(
      ec2Input(inputs, "internet-gateway") as ec2.CreateInternetGatewayCommandInput,
    );
    const InternetGatewayId = required(made.InternetGateway?.InternetGatewayId);
    await client.attachInternetGateway({ InternetGatewayId, VpcId: vpcId as string });
    return { id: InternetGatewayId, state: {} };
  },
  "aws:ec2/routeTable:RouteTable": async ({ ec2: client }, inputs) => {
    const { RouteTable } = await client.createRouteTable(
      ec2Input(inputs, "route-table") as ec2.CreateRouteTableCommandInput,
    );
    return { id: required(RouteTable?.RouteTableId), state: {} };
  },
  "aws:ec2/routeTableAssociation:RouteTableAssociation": async ({ ec2: client }, inputs) => {
    const made = await client.associateRouteTable(awsNames(inputs) as ec2.AssociateRouteTableCommandInput);
    return { id: required(made.AssociationId), state: {} };
  },
  "aws:ec2/route:Route": async ({ ec2: client }, inputs) => {
    await client.createRoute(awsNames(inputs) as ec2.CreateRouteCommandInput);
    return { id: `route-${String(inputs.routeTableId)}`, state: {} };
  },
  "aws:ec2/eip:Eip": async ({ ec2: client }, inputs) => {
    const made = await client.allocateAddress(ec2Input(inputs, "elastic-ip") as ec2.AllocateAddressCommandInput);
    return { id: required(made.AllocationId), state: {} };
  },
  "aws:ec2/natGateway:NatGateway": async ({ ec2: client }, inputs) => {
    const made = await client.createNatGateway(ec2Input(inputs, "natgateway") as ec2.CreateNatGatewayCommandInput);
    return { id: required(made.NatGateway?.NatGatewayId), state: {} };
  },
  "aws:ec2/vpcEndpoint:VpcEndpoint": async ({ ec2: client }, inputs) => {
    const made = await client.createVpcEndpoint({
      ...(ec2Input(inputs, "vpc-endpoint") as ec2.CreateVpcEndpointCommandInput),
      PolicyDocument: inputs.policy as string,
    });
    const { PrefixLists = [] } = await client.describeManagedPrefixLists({});
    const s3 = PrefixLists.find(({ PrefixListName }) => PrefixListName?.endsWith(".s3"));
    return { id: required(made.VpcEndpoint?.VpcEndpointId), state: { prefixListId: required(s3?.PrefixListId) } };
  },
  "aws:ec2/securityGroup:SecurityGroup": async ({ ec2: client }, inputs, GroupName) => {
    const input = { ...(ec2Input(inputs, "security-group") as ec2.CreateSecurityGroupCommandInput), GroupName };
    const GroupId = required((await client.createSecurityGroup(input)).GroupId);
    // As the provider does: a group has no rules but its own.
    const everything = { IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
    await client.revokeSecurityGroupEgress({ GroupId, IpPermissions: [everything] });
    return { id: GroupId, state: {} };
  },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": async ({ ec2: client }, inputs) => {
    const made = await client.authorizeSecurityGroupIngress(permission(inputs));
    return { id: required(made.SecurityGroupRules?.[0]?.SecurityGroupRuleId), state: {} };
  },
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": async ({ ec2: client }, inputs) => {
    const made = await client.authorizeSecurityGroupEgress(permission(inputs));
    return { id: required(made.SecurityGroupRules?.[0]?.SecurityGroupRuleId), state: {} };
  },
  "aws:lb/loadBalancer:LoadBalancer": async ({ elb: client }, inputs, Name) => {
    const made = await client.createLoadBalancer({
      Name,
      Type: inputs.loadBalancerType as elb.LoadBalancerTypeEnum,
      Scheme: inputs.internal === true ? "internal" : "internet-facing",
      Subnets: inputs.subnets as string[],
      SecurityGroups: inputs.securityGroups as string[],
      Tags: tagList(inputs.tags),
    });
    const balancer = required(made.LoadBalancers?.[0]);
    const LoadBalancerArn = required(balancer.LoadBalancerArn);
    const accessLogs = inputs.accessLogs as Record<"bucket" | "prefix", string> | undefined;
    const Attributes = [
      ...(accessLogs === undefined
        ? []
        : [
            { Key: "access_logs.s3.enabled", Value: "true" },
            { Key: "access_logs.s3.bucket", Value: accessLogs.bucket },
            { Key: "access_logs.s3.prefix", Value: accessLogs.prefix },
          ]),
      { Key: "idle_timeout.timeout_seconds", Value: String(inputs.idleTimeout) },
      { Key: "routing.http.drop_invalid_header_fields.enabled", Value: String(inputs.dropInvalidHeaderFields) },
      { Key: "deletion_protection.enabled", Value: String(inputs.enableDeletionProtection) },
    ];
    await client.modifyLoadBalancerAttributes({ LoadBalancerArn, Attributes });
    return {
      id: LoadBalancerArn,
      state: {
        arn: LoadBalancerArn,
        arnSuffix: LoadBalancerArn.replace(/^.*:loadbalancer\//, ""),
        dnsName: balancer.DNSName,
        zoneId: balancer.CanonicalHostedZoneId,
      },
    };
  },
  "aws:lb/targetGroup:TargetGroup": async ({ elb: client }, inputs, Name) => {
    const check = inputs.healthCheck as Record<
      "interval" | "timeout" | "healthyThreshold" | "unhealthyThreshold",
      number
    > &
      Record<"path" | "port" | "matcher", string>;
    const made = await client.createTargetGroup({
      Name,
      VpcId: inputs.vpcId as string,
      Port: inputs.port as number,
      Protocol: inputs.protocol as elb.ProtocolEnum,
      TargetType: inputs.targetType as elb.TargetTypeEnum,
      HealthCheckPath: check.path,
      HealthCheckPort: check.port,
      HealthCheckIntervalSeconds: check.interval,
      HealthCheckTimeoutSeconds: check.timeout,
      HealthyThresholdCount: check.healthyThreshold,
      UnhealthyThresholdCount: check.unhealthyThreshold,
      Matcher: { HttpCode: check.matcher },
      Tags: tagList(inputs.tags),
    });
    const TargetGroupArn = required(made.TargetGroups?.[0]?.TargetGroupArn);
    const Attributes = [
      { Key: "deregistration_delay.timeout_seconds", Value: String(inputs.deregistrationDelay) },
      { Key: "load_balancing.algorithm.type", Value: String(inputs.loadBalancingAlgorithmType) },
    ];
    await client.modifyTargetGroupAttributes({ TargetGroupArn, Attributes });
    return { id: TargetGroupArn, state: { arn: TargetGroupArn, arnSuffix: TargetGroupArn.replace(/^.*:/, "") } };
  },
  "aws:lb/listener:Listener": async ({ elb: client }, { tags, certificateArn, defaultActions, ...inputs }) => {
    const made = await client.createListener({
      ...(awsNames(inputs) as elb.CreateListenerCommandInput),
      DefaultActions: actions(defaultActions),
      ...(certificateArn === undefined ? {} : { Certificates: [{ CertificateArn: certificateArn as string }] }),
      Tags: tagList(tags),
    });
    const arn = required(made.Listeners?.[0]?.ListenerArn);
    return { id: arn, state: { arn } };
  },
  "aws:wafv2/webAcl:WebAcl": async ({ waf: client }, { tags, visibilityConfig, rules, ...inputs }, Name) => {
    const visible = ({ cloudwatchMetricsEnabled, ...rest }: Inputs) => ({
      ...(awsNames(rest) as { SampledRequestsEnabled: boolean; MetricName: string }),
      CloudWatchMetricsEnabled: cloudwatchMetricsEnabled as boolean,
    });
    const { Summary } = await client.createWebACL({
      ...(awsNames(inputs) as { Scope: waf.Scope; DefaultAction: waf.DefaultAction }),
      Name,
      VisibilityConfig: visible(visibilityConfig as Inputs),
      Rules: (rules as Inputs[]).map(({ visibilityConfig: ofRule, ...rule }) => ({
        ...(awsNames(rule) as waf.Rule),
        VisibilityConfig: visible(ofRule as Inputs),
      })),
      Tags: tagList(tags),
    });
    return { id: required(Summary?.Id), state: { arn: required(Summary?.ARN) } };
  },
  "aws:wafv2/webAclAssociation:WebAclAssociation": async ({ waf: client }, { resourceArn, webAclArn }) => {
    await client.associateWebACL({ ResourceArn: resourceArn as string, WebACLArn: webAclArn as string });
    return { id: `${String(webAclArn)},${String(resourceArn)}`, state: {} };
  },
  "aws:acm/certificate:Certificate": async ({ acm: client }, { domainName, validationMethod, tags }) => {
    const { CertificateArn } = await client.requestCertificate({
      DomainName: domainName as string,
      ValidationMethod: validationMethod as acm.ValidationMethod,
      Tags: tagList(tags),
    });
    const { Certificate } = await client.describeCertificate({ CertificateArn });
    const record = required(Certificate?.DomainValidationOptions?.[0]?.ResourceRecord);
    const domainValidationOptions = [
      { resourceRecordName: record.Name, resourceRecordType: record.Type, resourceRecordValue: record.Value },
    ];
    return { id: required(CertificateArn), state: { arn: CertificateArn, domainValidationOptions } };
  },
  "aws:acm/certificateValidation:CertificateValidation": ({}, { certificateArn }) =>
    Promise.resolve({ id: certificateArn as string, state: {} }),
  "aws:route53/record:Record": async ({ route53: client }, inputs) => {
    const [alias] = (inputs.aliases ?? []) as { name: string; zoneId: string; evaluateTargetHealth: boolean }[];
    const records = (inputs.records ?? []) as string[];
    const ResourceRecordSet = {
      Name: inputs.name as string,
      Type: inputs.type as route53.RRType,
      ...(alias === undefined
        ? { TTL: inputs.ttl as number, ResourceRecords: records.map((Value) => ({ Value })) }
        : {
            AliasTarget: {
              DNSName: alias.name,
              HostedZoneId: alias.zoneId,
              EvaluateTargetHealth: alias.evaluateTargetHealth,
            },
          }),
    };
    const ChangeBatch = { Changes: [{ Action: "UPSERT" as const, ResourceRecordSet }] };
    const HostedZoneId = inputs.zoneId as string;
    await client.changeResourceRecordSets({ HostedZoneId, ChangeBatch });
    return { id: inputs.name as string, state: { fqdn: inputs.name } };
  },
};

/** A rule of its own, as AuthorizeSecurityGroupIngress and -Egress take it. */
function permission(inputs: Inputs) {
  const { description, cidrIpv4, cidrIpv6, referencedSecurityGroupId, prefixListId } = inputs;
  const Description = description as string;
  return {
    GroupId: inputs.securityGroupId as string,
    IpPermissions: [
      {
        IpProtocol: inputs.ipProtocol as string,
        FromPort: inputs.fromPort as number,
        ToPort: inputs.toPort as number,
        ...(cidrIpv4 === undefined ? {} : { IpRanges: [{ CidrIp: cidrIpv4 as string, Description }] }),
        ...(cidrIpv6 === undefined ? {} : { Ipv6Ranges: [{ CidrIpv6: cidrIpv6 as string, Description }] }),
        ...(prefixListId === undefined
          ? {}
          : { PrefixListIds: [{ PrefixListId: prefixListId as string, Description }] }),
        ...(referencedSecurityGroupId === undefined
          ? {}
          : { UserIdGroupPairs: [{ GroupId: referencedSecurityGroupId as string, Description }] }),
      },
    ],
  };
}

function actions(list: unknown): elb.Action[] {
  return (list as Inputs[]).map(({ redirect, fixedResponse, ...action }) => ({
    ...(awsNames(action) as elb.Action),
    ...(redirect === undefined ? {} : { RedirectConfig: awsNames(redirect) as elb.RedirectActionConfig }),
    ...(fixedResponse === undefined
      ? {}
      : { FixedResponseConfig: awsNames(fixedResponse) as elb.FixedResponseActionConfig }),
  }));
}
