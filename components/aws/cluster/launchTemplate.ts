import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Architecture } from "../../image/cpuTarget.ts";
import type { Network } from "../network.ts";
import { named } from "../network.ts";
import type { RoleSettings } from "../policies.ts";
import { instancePolicy, trustPolicy } from "../policies.ts";
import { userData } from "./userData.ts";

export interface LaunchTemplateArgs {
  network: Network;
  architecture: Architecture;
  instanceType: string;
  /** The instances' disk, in GB; $0.08 a month each. */
  volumeGb: number;
  /**
   * true: each update takes the newest ECS-optimised Amazon Linux 2023; false: the template keeps the one that it has.
   */
  updateAmi: boolean;
  /** Instances of this age are replaced by ones with the newest image. Undefined: they are not replaced. */
  maxInstanceAgeDays: number | undefined;
  /** The name of the ECS cluster and of the instances. */
  cluster: string;
  partition: string;
  region: string;
  accountId: string;
  roles: RoleSettings;
  /** Also given to instances and their volumes. */
  tags: Record<string, string>;
}

/** What an instance is started from, and what it may do and reach. Each change creates a version. */
export class LaunchTemplate extends pulumi.ComponentResource {
  readonly templateId: pulumi.Output<string>;
  /** A number, never $Latest, so it is always known what runs. */
  readonly version: pulumi.Output<string>;

  constructor(name: string, args: LaunchTemplateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:LaunchTemplate", name, {}, opts);

    const profile = this.createProfile(name, args);
    const group = this.createSecurityGroup(name, args);
    const template = this.createTemplate(name, args, profile, group);

    this.templateId = template.id;
    this.version = template.latestVersion.apply(String);
    this.registerOutputs({ templateId: this.templateId, version: this.version });
  }

  private createProfile(name: string, args: LaunchTemplateArgs): aws.iam.InstanceProfile {
    const { roles, tags } = args;
    const parent = { parent: this };
    const role = new aws.iam.Role(name, { assumeRolePolicy: trustPolicy("ec2"), ...roles, tags }, parent);
    const granted = new aws.iam.RolePolicy(name, { role: role.id, policy: instancePolicy(args) }, parent);
    const { path } = roles;
    return new aws.iam.InstanceProfile(name, { role: role.name, path, tags }, { ...parent, dependsOn: [granted] });
  }

  /** Nobody connects to an instance: requests go to the tasks, which have addresses and groups of their own. */
  private createSecurityGroup(name: string, { network, tags }: LaunchTemplateArgs): aws.ec2.SecurityGroup {
    const parent = { parent: this };
    const group = new aws.ec2.SecurityGroup(
      name,
      { vpcId: network.vpcId, description: "BitNet Server: instances", tags },
      parent,
    );
    for (const [index, destination] of network.destinations.entries()) {
      new aws.vpc.SecurityGroupEgressRule(
        `${name}-out-${index}`,
        { securityGroupId: group.id, ...destination, ipProtocol: "tcp", fromPort: 443, toPort: 443, tags },
        parent,
      );
    }
    return group;
  }

  private createTemplate(
    name: string,
    args: LaunchTemplateArgs,
    profile: aws.iam.InstanceProfile,
    group: aws.ec2.SecurityGroup,
  ): aws.ec2.LaunchTemplate {
    const { architecture, instanceType, volumeGb, updateAmi, maxInstanceAgeDays, cluster, tags } = args;
    const labelled = named(tags, cluster);
    const kept = !updateAmi && maxInstanceAgeDays === undefined;
    // A separate template where the image must not be kept: another architecture's, or a parameter in place of an
    // image.
    const own = `${name}-${architecture.replace("_", "-")}${maxInstanceAgeDays === undefined ? "" : "-newest"}`;
    return new aws.ec2.LaunchTemplate(
      own,
      {
        imageId:
          maxInstanceAgeDays === undefined
            ? newestImage(architecture, this)
            : `resolve:ssm:${imageParameter(architecture)}`,
        instanceType,
        iamInstanceProfile: { arn: profile.arn },
        vpcSecurityGroupIds: [group.id],
        // With one hop the answer does not leave the instance itself, so containers get no role.
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        blockDeviceMappings: [
          {
            deviceName: "/dev/xvda", // Amazon Linux's root
            ebs: { volumeType: "gp3", volumeSize: volumeGb, encrypted: "true", deleteOnTermination: "true" },
          },
        ],
        userData: Buffer.from(userData(cluster)).toString("base64"),
        tagSpecifications: ["instance", "volume"].map((resourceType) => ({ resourceType, tags: labelled })),
        tags,
      },
      { parent: this, ignoreChanges: kept ? ["imageId"] : [] },
    );
  }
}

/** AWS's public parameter: docs.aws.amazon.com/AmazonECS, "Retrieving Amazon ECS-optimized Linux AMI metadata". */
function imageParameter(architecture: Architecture): string {
  const variant = architecture === "arm64" ? "amazon-linux-2023/arm64" : "amazon-linux-2023";
  return `/aws/service/ecs/optimized-ami/${variant}/recommended/image_id`;
}

function newestImage(architecture: Architecture, parent: pulumi.Resource): pulumi.Output<string> {
  return aws.ssm.getParameterOutput({ name: imageParameter(architecture) }, { parent }).insecureValue;
}
