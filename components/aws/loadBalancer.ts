import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { serverPort } from "../serving/server.ts";
import { drainTimeout } from "../serving/timeouts.ts";
import type { Network } from "./network.ts";
import { idleTimeout } from "./userData.ts";

export interface LoadBalancerArgs {
  network: Network;
  /** Who may reach it: IPv4 or IPv6 ranges. */
  allowedCidrs: readonly string[];
  /** Undefined: plain HTTP. */
  https:
    | {
        domain: string;
        /** A certificate that exists. Undefined: one is made, which needs the hosted zone. */
        certificateArn: string | undefined;
        /** Where the DNS record is made. Undefined: by hand. */
        hostedZoneId: string | undefined;
      }
    | undefined;
  /** AWS refuses to delete the load balancer as long as this is set. */
  deletionProtection: boolean;
  tags: Record<string, string>;
}

/** TLS 1.2 and 1.3 with forward secrecy: AWS's recommended policy, docs.aws.amazon.com, describe-ssl-policies. */
const tlsPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/**
 * What users may ask for: the API, the health check, and the chat page with its files. HAProxy on the instances looks
 * more closely (components/serving/haproxy.ts); what is not here does not even reach it.
 */
export const forwardedPaths = [
  ...["/v1/*", "/health", "/", "/props", "/completion"],
  ...["/*.html", "/*.js", "/*.mjs", "/*.css", "/*.ico", "/*.svg", "/*.png", "/*.webmanifest"],
];

/**
 * Seconds in which an instance that leaves the group finishes what it has taken: a request may wait in its HAProxy for a
 * slot, and then be answered, each for as long as HAProxy is patient. AWS's limit is 3600.
 */
export const deregistrationDelay = 2 * drainTimeout;

/** AWS's limit for a rule: docs.aws.amazon.com, listener-rules ("up to three comparison strings per condition"). */
const pathsPerRule = 3;

/** The Application Load Balancer: about $16 a month (us-east-1), $7 for its addresses in two zones, and $0.008 for each unit of capacity and hour. */
export class LoadBalancer extends pulumi.ComponentResource {
  /** Where the service is: https://domain, or http://name-of-the-load-balancer. */
  readonly address: pulumi.Output<string>;
  readonly loadBalancerId: pulumi.Output<string>;
  readonly securityGroupId: pulumi.Output<string>;
  readonly targetGroupArn: pulumi.Output<string>;
  /** As CloudWatch names them. */
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
    const listener = this.createListeners(balancer, certificateArn);
    this.createRules(listener, targets);
    this.createRecord(balancer);

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
            ...(cidr.includes(":") ? { cidrIpv6: cidr } : { cidrIpv4: cidr }),
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
    const { network, deletionProtection, tags } = this.#args;
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
        subnets: network.publicSubnetIds,
        idleTimeout,
        dropInvalidHeaderFields: true,
        enableDeletionProtection: deletionProtection,
        tags,
      },
      // Without the way to the internet AWS refuses an internet-facing one.
      { parent: this, ...(network instanceof pulumi.ComponentResource ? { dependsOn: [network] } : {}) },
    );
  }

  private createTargetGroup(): aws.lb.TargetGroup {
    const { network, tags } = this.#args;
    return new aws.lb.TargetGroup(
      this.#name,
      {
        vpcId: network.vpcId,
        port: serverPort,
        protocol: "HTTP",
        // A generation takes a second or a minute: an instance that is done gets the next request. Slow start, which
        // AWS refuses together with this, is not needed: an instance is ready when it says so.
        loadBalancingAlgorithmType: "least_outstanding_requests",
        deregistrationDelay,
        healthCheck: {
          path: "/health",
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
        // The same record proves a name for every certificate of the account, an older stack's as well.
        allowOverwrite: true,
      },
      parent,
    );
    return new aws.acm.CertificateValidation(
      this.#name,
      { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn] },
      parent,
    ).certificateArn;
  }

  /** @returns the listener that users' requests come in by */
  private createListeners(
    balancer: aws.lb.LoadBalancer,
    certificateArn: pulumi.Input<string> | undefined,
  ): aws.lb.Listener {
    const { tags } = this.#args;
    const parent = { parent: this };
    const refuse = {
      type: "fixed-response",
      fixedResponse: {
        statusCode: "404",
        contentType: "application/json",
        messageBody: JSON.stringify({ error: { message: "there is no such endpoint", type: "not_found_error" } }),
      },
    };
    if (certificateArn === undefined) {
      const plain = { loadBalancerArn: balancer.arn, port: 80, protocol: "HTTP", defaultActions: [refuse], tags };
      return new aws.lb.Listener(`${this.#name}-http`, plain, parent);
    }
    const redirect = { type: "redirect", redirect: { protocol: "HTTPS", port: "443", statusCode: "HTTP_301" } };
    new aws.lb.Listener(
      `${this.#name}-redirect`,
      { loadBalancerArn: balancer.arn, port: 80, protocol: "HTTP", defaultActions: [redirect], tags },
      parent,
    );
    return new aws.lb.Listener(
      `${this.#name}-https`,
      {
        loadBalancerArn: balancer.arn,
        port: 443,
        protocol: "HTTPS",
        sslPolicy: tlsPolicy,
        certificateArn,
        defaultActions: [refuse],
        tags,
      },
      parent,
    );
  }

  private createRules(listener: aws.lb.Listener, targets: aws.lb.TargetGroup): void {
    for (let start = 0; start < forwardedPaths.length; start += pathsPerRule) {
      const priority = start / pathsPerRule + 1;
      new aws.lb.ListenerRule(
        `${this.#name}-${priority}`,
        {
          listenerArn: listener.arn,
          priority,
          conditions: [{ pathPattern: { values: forwardedPaths.slice(start, start + pathsPerRule) } }],
          actions: [{ type: "forward", targetGroupArn: targets.arn }],
          tags: this.#args.tags,
        },
        { parent: this },
      );
    }
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
}

function requireZone({ domain, hostedZoneId }: NonNullable<LoadBalancerArgs["https"]>): string {
  if (hostedZoneId === undefined)
    throw new TypeError(`a certificate for ${domain} is made, and there is no zone for it`);
  return hostedZoneId;
}
