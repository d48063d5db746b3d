import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { ports } from "../serving/ports.ts";
import type { Network } from "./network.ts";
import { idleTimeout } from "./service/taskDefinition.ts";

export interface LoadBalancerArgs {
  network: Network;
  /** Who may reach it: IPv4 ranges. */
  allowedCidrs: readonly string[];
  /** Undefined: plain HTTP. */
  https:
    | {
        domain: string;
        /** An existing certificate. Undefined: one is created, which needs the hosted zone. */
        certificateArn: string | undefined;
        /** The zone in which the DNS record is created. Undefined: it is created by hand. */
        hostedZoneId: string | undefined;
      }
    | undefined;
  /** true: reachable only from the VPC and from networks connected to it. */
  internal: boolean;
  /** Seconds that a leaving task has to finish the requests that it has accepted. */
  drainTimeout: number;
  /** Requests per address in five minutes; more are refused with 403. Undefined: no limit, and no web ACL. */
  rateLimit?: number | undefined;
  /** An existing bucket for the access logs. Undefined: none are written. */
  accessLogsBucket?: string | undefined;
  /** While this is set, AWS refuses to delete the load balancer. */
  deletionProtection: boolean;
  tags: Record<string, string>;
}

/** TLS 1.2 and 1.3 with forward secrecy: AWS's recommended policy, docs.aws.amazon.com, describe-ssl-policies. */
const tlsPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/**
 * The Application Load Balancer: about $16 a month (us-east-1), $7 for its addresses in two zones, and $0.008 for each
 * unit of capacity and hour.
 */
export class LoadBalancer extends pulumi.ComponentResource {
  /** The service's URL: https://domain, or http://name-of-the-load-balancer. */
  readonly address: pulumi.Output<string>;
  readonly loadBalancerId: pulumi.Output<string>;
  readonly securityGroupId: pulumi.Output<string>;
  readonly targetGroupArn: pulumi.Output<string>;
  /** Named as in CloudWatch. */
  readonly metricName: pulumi.Output<string>;
  readonly targetGroupMetricName: pulumi.Output<string>;

  readonly #name: string;
  readonly #args: LoadBalancerArgs;

  constructor(name: string, args: LoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:LoadBalancer", name, {}, opts);
    this.#name = name;
    this.#args = args;

    const group = this.createSecurityGroup();
    const balancer = this.createBalancer(group);
    const targets = this.createTargetGroup();
    const certificateArn = this.createCertificate();
    this.createListeners(balancer, targets, certificateArn);
    this.createRecord(balancer);
    this.createRateLimit(balancer);

    this.address =
      args.https === undefined
        ? pulumi.interpolate`http://${balancer.dnsName}`
        : pulumi.output(`https://${args.https.domain}`);
    this.loadBalancerId = balancer.id;
    this.securityGroupId = group.id;
    this.targetGroupArn = targets.arn;
    this.metricName = balancer.arnSuffix;
    this.targetGroupMetricName = targets.arnSuffix;
    this.registerOutputs({ address: this.address });
  }

  private createSecurityGroup(): aws.ec2.SecurityGroup {
    const { network, allowedCidrs, https, tags } = this.#args;
    const group = new aws.ec2.SecurityGroup(
      this.#name,
      { vpcId: network.vpcId, description: "BitNet Server: load balancer", tags },
      { parent: this },
    );
    for (const port of https === undefined ? [80] : [80, 443]) {
      for (const [index, cidr] of allowedCidrs.entries()) {
        new aws.vpc.SecurityGroupIngressRule(
          `${this.#name}-${port}-${index}`,
          {
            securityGroupId: group.id,
            description: `port ${port}`,
            cidrIpv4: cidr,
            ipProtocol: "tcp",
            fromPort: port,
            toPort: port,
            tags,
          },
          { parent: this },
        );
      }
    }
    return group;
  }

  private createBalancer(group: aws.ec2.SecurityGroup): aws.lb.LoadBalancer {
    const { network, deletionProtection, internal, accessLogsBucket, tags } = this.#args;
    if (deletionProtection) {
      void pulumi.log.info(
        "deletionProtection: before `pulumi destroy`, set it to false and run `pulumi up`, or AWS refuses to delete the load balancer",
        this,
      );
    }
    return new aws.lb.LoadBalancer(
      this.#name,
      {
        loadBalancerType: "application",
        securityGroups: [group.id],
        internal,
        subnets: internal ? network.privateSubnetIds : network.publicSubnetIds,
        ...(accessLogsBucket === undefined
          ? {}
          : { accessLogs: { bucket: accessLogsBucket, prefix: this.#name, enabled: true } }),
        idleTimeout,
        dropInvalidHeaderFields: true,
        enableDeletionProtection: deletionProtection,
        tags,
      },
      // Without a route to the internet, AWS refuses an internet-facing load balancer.
      { parent: this, ...(network instanceof pulumi.ComponentResource ? { dependsOn: [network] } : {}) },
    );
  }

  private createTargetGroup(): aws.lb.TargetGroup {
    const { network, drainTimeout, tags } = this.#args;
    return new aws.lb.TargetGroup(
      this.#name,
      {
        vpcId: network.vpcId,
        port: ports.edge,
        protocol: "HTTP",
        // Each task has an address of its own.
        targetType: "ip",
        // A generation takes a second or a minute, so a task that is done gets the next request. AWS refuses slow start
        // together with this; it is not needed, because a task is ready when it says so.
        loadBalancingAlgorithmType: "least_outstanding_requests",
        deregistrationDelay: drainTimeout,
        healthCheck: {
          path: "/health",
          port: String(ports.health),
          matcher: "200",
          interval: 10,
          timeout: 5,
          healthyThreshold: 2,
          unhealthyThreshold: 3,
        },
        tags,
      },
      { parent: this },
    );
  }

  private createCertificate(): pulumi.Input<string> | undefined {
    const { https, tags } = this.#args;
    if (https === undefined || https.certificateArn !== undefined) return https?.certificateArn;
    const parent = { parent: this };
    const certificate = new aws.acm.Certificate(
      this.#name,
      { domainName: https.domain, validationMethod: "DNS", tags },
      parent,
    );
    const proof = certificate.domainValidationOptions.apply(([first]) => {
      if (first === undefined) throw new Error(`ACM does not say how to prove who owns ${https.domain}`);
      return first;
    });
    const record = new aws.route53.Record(
      `${this.#name}-validation`,
      {
        zoneId: requireZone(https),
        name: proof.resourceRecordName,
        type: proof.resourceRecordType,
        records: [proof.resourceRecordValue],
        ttl: 300,
        // The same record proves a name for every certificate of the account, including an older stack's.
        allowOverwrite: true,
      },
      // Destroy keeps it for the same reason.
      { ...parent, retainOnDelete: true },
    );
    return new aws.acm.CertificateValidation(
      this.#name,
      { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn] },
      parent,
    ).certificateArn;
  }

  private createListeners(
    balancer: aws.lb.LoadBalancer,
    targets: aws.lb.TargetGroup,
    certificateArn: pulumi.Input<string> | undefined,
  ): void {
    const { tags } = this.#args;
    const parent = { parent: this };
    const common = { loadBalancerArn: balancer.arn, tags };
    const forward = [{ type: "forward", targetGroupArn: targets.arn }];
    if (certificateArn === undefined) {
      new aws.lb.Listener(
        `${this.#name}-http`,
        { ...common, port: 80, protocol: "HTTP", defaultActions: forward },
        parent,
      );
      return;
    }
    // No redirect: a client that sends its key in plain text would keep doing so unnoticed.
    const refuse = {
      type: "fixed-response",
      fixedResponse: {
        statusCode: "403",
        contentType: "application/json",
        messageBody: JSON.stringify({ error: { message: "use https", type: "invalid_request_error" } }),
      },
    };
    new aws.lb.Listener(
      `${this.#name}-plain`,
      { ...common, port: 80, protocol: "HTTP", defaultActions: [refuse] },
      parent,
    );
    new aws.lb.Listener(
      `${this.#name}-https`,
      { ...common, port: 443, protocol: "HTTPS", sslPolicy: tlsPolicy, certificateArn, defaultActions: forward },
      parent,
    );
  }

  private createRecord(balancer: aws.lb.LoadBalancer): void {
    const { https } = this.#args;
    if (https?.hostedZoneId === undefined) return;
    new aws.route53.Record(
      `${this.#name}-address`,
      {
        zoneId: https.hostedZoneId,
        name: https.domain,
        type: "A",
        aliases: [{ name: balancer.dnsName, zoneId: balancer.zoneId, evaluateTargetHealth: false }],
      },
      { parent: this },
    );
  }

  /** A web ACL: $5 a month, $1 for its rule, and $0.60 for a million requests. */
  private createRateLimit(balancer: aws.lb.LoadBalancer): void {
    const { rateLimit, tags } = this.#args;
    if (rateLimit === undefined) return;
    const visibility = { cloudwatchMetricsEnabled: true, sampledRequestsEnabled: false };
    const acl = new aws.wafv2.WebAcl(
      this.#name,
      {
        scope: "REGIONAL",
        defaultAction: { allow: {} },
        visibilityConfig: { ...visibility, metricName: this.#name },
        rules: [
          {
            name: "rate",
            priority: 1,
            action: { block: {} },
            statement: { rateBasedStatement: { limit: rateLimit, aggregateKeyType: "IP" } },
            visibilityConfig: { ...visibility, metricName: `${this.#name}-rate` },
          },
        ],
        tags,
      },
      { parent: this },
    );
    new aws.wafv2.WebAclAssociation(this.#name, { resourceArn: balancer.arn, webAclArn: acl.arn }, { parent: this });
  }
}

function requireZone({ domain, hostedZoneId }: NonNullable<LoadBalancerArgs["https"]>): string {
  if (hostedZoneId === undefined)
    throw new TypeError(`a certificate for ${domain} is made, and there is no zone for it`);
  return hostedZoneId;
}
