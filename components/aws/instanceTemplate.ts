import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Architecture } from "../image/cpuTarget.ts";
import { serverPort } from "../serving/server.ts";
import type { Network } from "./network.ts";
import { named } from "./network.ts";
import { instancePolicy, trustPolicy } from "./policies.ts";
import { userDataLimit } from "./userData.ts";

export interface InstanceTemplateArgs {
  network: Network;
  instanceType: string;
  architecture: Architecture;
  /** The instances' disk, in GB; $0.08 a month each. */
  volumeGb: number;
  /** true: the newest Amazon Linux 2023, at each update; false: the one that the template has. */
  updateAmi: boolean;
  /** The load balancer's: nobody else may connect. */
  loadBalancerSecurityGroupId: pulumi.Input<string>;
  userData: pulumi.Output<string>;
  /** What the instances' role is for. */
  rights: {
    repositoryArn: pulumi.Input<string>;
    logGroupArn: pulumi.Input<string>;
    secretArn: pulumi.Input<string>;
    partition: string;
    region: string;
    account: string;
    group: string;
  };
  /** Also given to instances and their volumes, with `instanceName`. */
  tags: Record<string, string>;
  instanceName: string;
}

/** What an instance is started from, and what it may do and reach. Each change is a version of its own. */
export class InstanceTemplate extends pulumi.ComponentResource {
  readonly templateId: pulumi.Output<string>;
  /** A number, never $Latest: what runs, and what a rollback goes back to, is always known. */
  readonly version: pulumi.Output<string>;

  readonly #name: string;
  readonly #args: InstanceTemplateArgs;

  constructor(name: string, args: InstanceTemplateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:InstanceTemplate", name, {}, opts);
    this.#name = name;
    this.#args = args;

    const profile = this.createProfile();
    const group = this.createSecurityGroup();
    const template = this.createTemplate(profile, group);

    this.templateId = template.id;
    this.version = template.latestVersion.apply(String);
    this.registerOutputs({ templateId: this.templateId, version: this.version });
  }

  private createProfile(): aws.iam.InstanceProfile {
    const { rights, tags } = this.#args;
    const parent = { parent: this };
    const role = new aws.iam.Role(this.#name, { assumeRolePolicy: trustPolicy(), tags }, parent);
    const policy = pulumi.output(rights).apply(instancePolicy);
    const granted = new aws.iam.RolePolicy(this.#name, { role: role.id, policy }, parent);
    return new aws.iam.InstanceProfile(this.#name, { role: role.name, tags }, { ...parent, dependsOn: [granted] });
  }

  private createSecurityGroup(): aws.ec2.SecurityGroup {
    const { network, loadBalancerSecurityGroupId, tags } = this.#args;
    const parent = { parent: this };
    const group = new aws.ec2.SecurityGroup(
      this.#name,
      { vpcId: network.vpcId, description: "BitNet Server: instances", tags },
      parent,
    );
    const service = { ipProtocol: "tcp", fromPort: serverPort, toPort: serverPort, tags };
    new aws.vpc.SecurityGroupIngressRule(
      this.#name,
      {
        securityGroupId: group.id,
        description: "from the load balancer",
        referencedSecurityGroupId: loadBalancerSecurityGroupId,
        ...service,
      },
      parent,
    );
    new aws.vpc.SecurityGroupEgressRule(
      `${this.#name}-from-load-balancer`,
      {
        securityGroupId: loadBalancerSecurityGroupId,
        description: "to the instances",
        referencedSecurityGroupId: group.id,
        ...service,
      },
      parent,
    );
    for (const [index, destination] of network.destinations.entries()) {
      new aws.vpc.SecurityGroupEgressRule(
        `${this.#name}-out-${index}`,
        { securityGroupId: group.id, ...destination, ipProtocol: "tcp", fromPort: 443, toPort: 443, tags },
        parent,
      );
    }
    return group;
  }

  private createTemplate(profile: aws.iam.InstanceProfile, group: aws.ec2.SecurityGroup): aws.ec2.LaunchTemplate {
    const { architecture, instanceType, volumeGb, updateAmi, userData, tags, instanceName } = this.#args;
    const labelled = named(tags, instanceName);
    return new aws.ec2.LaunchTemplate(
      // An architecture of its own has an image of its own, which must not be kept.
      `${this.#name}-${architecture.replace("_", "-")}`,
      {
        imageId: newestAmazonLinux(architecture, this),
        instanceType,
        iamInstanceProfile: { arn: profile.arn },
        vpcSecurityGroupIds: [group.id],
        // With one hop the answer does not get past the instance itself: containers have no role.
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        blockDeviceMappings: [
          {
            deviceName: "/dev/xvda", // Amazon Linux's root
            ebs: { volumeType: "gp3", volumeSize: volumeGb, encrypted: "true", deleteOnTermination: "true" },
          },
        ],
        userData: userData.apply(encode),
        tagSpecifications: ["instance", "volume"].map((resourceType) => ({ resourceType, tags: labelled })),
        tags,
      },
      { parent: this, ignoreChanges: updateAmi ? [] : ["imageId"] },
    );
  }
}

/** AWS's public parameter: docs.aws.amazon.com/linux/al2023/ug/ec2.html. */
function newestAmazonLinux(architecture: Architecture, parent: pulumi.Resource): pulumi.Output<string> {
  const name = `/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${architecture}`;
  return aws.ssm.getParameterOutput({ name }, { parent }).insecureValue;
}

function encode(userData: string): string {
  const size = Buffer.byteLength(userData);
  if (size > userDataLimit) throw new RangeError(`user data of ${size} bytes; AWS takes ${userDataLimit}`);
  return Buffer.from(userData).toString("base64");
}
