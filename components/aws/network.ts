import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ZoneLayout } from "./subnets.ts";
import { layOutSubnets } from "./subnets.ts";
import { s3EndpointPolicy } from "./policies.ts";

/** The fleet's network: a VPC of its own, or an existing one. */
export interface Network {
  readonly vpcId: pulumi.Input<string>;
  /** For the load balancer; they have a route to an internet gateway. */
  readonly publicSubnetIds: pulumi.Input<string>[];
  /** For the instances. */
  readonly privateSubnetIds: pulumi.Input<string>[];
  /** What instances may connect to on port 443: the network's outbound access. */
  readonly destinations: readonly Destination[];
}

/** One of the ways in which a security group rule names the other end. */
export type Destination = { description: string } & (
  { cidrIpv4: string } | { referencedSecurityGroupId: pulumi.Input<string> } | { prefixListId: pulumi.Input<string> }
);

export interface OwnNetworkArgs {
  /** The VPC's range, from /16 to /24. */
  cidr: string;
  /** The zones' names. A zone is free; what is in it is not, see `egress`. */
  zones: readonly string[];
  /**
   * The instances' route to ECS, ECR, CloudWatch Logs, Secrets Manager and Session Manager.
   * `nat`: a NAT gateway in each zone, so that the loss of one does not take the others with it; $33 a month each, $4
   * for its address, and $0.045 a GB. `endpoints`: no route to the internet at all; $7.30 a month for each of nine
   * interface endpoints in each zone, $131 for two zones, and $0.01 a GB (us-east-1; components/aws/prices.ts).
   */
  egress: "nat" | "endpoints";
  partition: string;
  region: string;
  tags: Record<string, string>;
}

/** The services that instances and ECS's agent call, by the last part of their endpoints' names; and S3, see below. */
export const endpointServices = [
  "ecr.api",
  "ecr.dkr",
  "ecs",
  "ecs-agent",
  "ecs-telemetry",
  "logs",
  "secretsmanager",
  "ssm",
  "ssmmessages",
] as const;

/** A VPC for one stack: public subnets for the load balancer, private ones for the instances. */
export class OwnNetwork extends pulumi.ComponentResource implements Network {
  readonly vpcId: pulumi.Output<string>;
  readonly publicSubnetIds: pulumi.Output<string>[];
  readonly privateSubnetIds: pulumi.Output<string>[];
  readonly destinations: readonly Destination[];

  readonly #name: string;
  readonly #args: OwnNetworkArgs;
  readonly #vpc: aws.ec2.Vpc;
  readonly #internet: aws.ec2.InternetGateway;

  constructor(name: string, args: OwnNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:OwnNetwork", name, {}, opts);
    this.#name = name;
    this.#args = args;
    const layout = layOutSubnets(args.cidr, args.zones);

    this.#vpc = this.createVpc();
    this.#internet = new aws.ec2.InternetGateway(name, { vpcId: this.#vpc.id, tags: args.tags }, { parent: this });
    const publicSubnets = this.createPublicSubnets(layout);
    const privateSubnets = this.createPrivateSubnets(layout);
    const tables = this.createPrivateRouteTables(privateSubnets);
    const s3 = this.createS3Endpoint(tables);
    this.destinations =
      args.egress === "nat"
        ? this.createNat(publicSubnets, tables)
        : [...this.createEndpoints(layout, privateSubnets), s3];

    this.vpcId = this.#vpc.id;
    this.publicSubnetIds = publicSubnets.map(({ id }) => id);
    this.privateSubnetIds = privateSubnets.map(({ id }) => id);
    this.registerOutputs({ vpcId: this.vpcId });
  }

  private createVpc(): aws.ec2.Vpc {
    const { cidr, tags } = this.#args;
    // Endpoints are resolved by their services' ordinary names, which needs both.
    const dns = { enableDnsSupport: true, enableDnsHostnames: true };
    return new aws.ec2.Vpc(this.#name, { cidrBlock: cidr, ...dns, tags: named(tags, this.#name) }, { parent: this });
  }

  private createPublicSubnets(layout: readonly ZoneLayout[]): aws.ec2.Subnet[] {
    const { tags } = this.#args;
    const parent = { parent: this };
    const table = new aws.ec2.RouteTable(`${this.#name}-public`, { vpcId: this.#vpc.id, tags }, parent);
    new aws.ec2.Route(
      `${this.#name}-internet`,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: this.#internet.id },
      parent,
    );
    return layout.map(({ zone, publicCidr }, index) => {
      const subnet = this.createSubnet(`${this.#name}-public-${index}`, zone, publicCidr);
      this.associate(`${this.#name}-public-${index}`, subnet, table);
      return subnet;
    });
  }

  private createPrivateSubnets(layout: readonly ZoneLayout[]): aws.ec2.Subnet[] {
    return layout.map(({ zone, privateCidr }, index) =>
      this.createSubnet(`${this.#name}-private-${index}`, zone, privateCidr),
    );
  }

  /** One per zone, so that each zone can have its own outbound route. */
  private createPrivateRouteTables(subnets: readonly aws.ec2.Subnet[]): aws.ec2.RouteTable[] {
    return subnets.map((subnet, index) => {
      const name = `${this.#name}-private-${index}`;
      const table = new aws.ec2.RouteTable(name, { vpcId: this.#vpc.id, tags: this.#args.tags }, { parent: this });
      this.associate(name, subnet, table);
      return table;
    });
  }

  private createNat(publicSubnets: readonly aws.ec2.Subnet[], tables: readonly aws.ec2.RouteTable[]): Destination[] {
    const { tags } = this.#args;
    const parent = { parent: this };
    for (const [index, table] of tables.entries()) {
      const name = `${this.#name}-nat-${index}`;
      const subnet = publicSubnets[index];
      if (subnet === undefined) throw new RangeError("a private subnet without a public one in its zone");
      const address = new aws.ec2.Eip(name, { domain: "vpc", tags }, parent);
      const nat = new aws.ec2.NatGateway(
        name,
        { subnetId: subnet.id, allocationId: address.id, tags },
        {
          ...parent,
          dependsOn: [this.#internet],
        },
      );
      new aws.ec2.Route(
        name,
        { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", natGatewayId: nat.id },
        parent,
      );
    }
    return [{ description: "AWS services, through NAT", cidrIpv4: "0.0.0.0/0" }];
  }

  /** A zone may lack a service. A subnet there uses another zone's endpoint. */
  private createEndpoints(layout: readonly ZoneLayout[], subnets: readonly aws.ec2.Subnet[]): Destination[] {
    const { region, tags } = this.#args;
    const parent = { parent: this };
    const group = this.createEndpointGroup();
    for (const service of endpointServices) {
      const serviceName = `com.amazonaws.${region}.${service}`;
      const { availabilityZones } = aws.ec2.getVpcEndpointServiceOutput(
        { serviceName, serviceType: "Interface" },
        parent,
      );
      new aws.ec2.VpcEndpoint(
        `${this.#name}-${service.replace(".", "-")}`,
        {
          vpcId: this.#vpc.id,
          serviceName,
          vpcEndpointType: "Interface",
          subnetIds: pulumi
            .all([availabilityZones, pulumi.all(subnets.map(({ id }) => id))])
            .apply(([offered, ids]) => ids.filter((_, index) => offered.includes(layout[index]?.zone ?? ""))),
          securityGroupIds: [group.id],
          privateDnsEnabled: true,
          tags,
        },
        parent,
      );
    }
    return [{ description: "AWS services, by VPC endpoints", referencedSecurityGroupId: group.id }];
  }

  /** Lets only the VPC reach the endpoints. */
  private createEndpointGroup(): aws.ec2.SecurityGroup {
    const { cidr, tags } = this.#args;
    const name = `${this.#name}-endpoints`;
    const parent = { parent: this };
    const group = new aws.ec2.SecurityGroup(name, { vpcId: this.#vpc.id, description: "VPC endpoints", tags }, parent);
    new aws.vpc.SecurityGroupIngressRule(
      name,
      {
        securityGroupId: group.id,
        description: "from this VPC",
        cidrIpv4: cidr,
        ipProtocol: "tcp",
        fromPort: 443,
        toPort: 443,
        tags,
      },
      parent,
    );
    return group;
  }

  /** Free; with NAT, it avoids paying for gigabytes of image layers. */
  private createS3Endpoint(tables: readonly aws.ec2.RouteTable[]): Destination {
    const { partition, region, tags } = this.#args;
    const { prefixListId } = new aws.ec2.VpcEndpoint(
      `${this.#name}-s3`,
      {
        vpcId: this.#vpc.id,
        serviceName: `com.amazonaws.${region}.s3`,
        vpcEndpointType: "Gateway",
        routeTableIds: tables.map(({ id }) => id),
        policy: s3EndpointPolicy(partition, region),
        tags,
      },
      { parent: this },
    );
    return { description: "S3: image layers, packages", prefixListId };
  }

  private createSubnet(name: string, zone: string, cidrBlock: string): aws.ec2.Subnet {
    return new aws.ec2.Subnet(
      name,
      { vpcId: this.#vpc.id, availabilityZone: zone, cidrBlock, tags: named(this.#args.tags, name) },
      // A new zone of AWS must not move existing subnets.
      { parent: this, ignoreChanges: ["availabilityZone"] },
    );
  }

  private associate(name: string, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable): void {
    new aws.ec2.RouteTableAssociation(name, { subnetId: subnet.id, routeTableId: table.id }, { parent: this });
  }
}

/** With the name that the AWS console shows. */
export function named(tags: Record<string, string>, name: string): Record<string, string> {
  return { ...tags, Name: name };
}
