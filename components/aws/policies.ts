/** What an instance may do, and with what. */
export interface InstanceRights {
  repositoryArn: string;
  logGroupArn: string;
  secretArn: string;
  /** AWS's own name for the part of an ARN before the service's region: aws, aws-cn, aws-us-gov. */
  partition: string;
  region: string;
  account: string;
  /** The Auto Scaling group. */
  group: string;
}

export interface Statement {
  Sid: string;
  Effect: "Allow";
  Action: string[];
  Resource: string;
}

/** Why a statement's resource has a wildcard, by its Sid. The graph test refuses any that is not explained here. */
export const wildcardReasons: Readonly<Record<string, string>> = {
  LogInToEcr: "GetAuthorizationToken is not about a repository: AWS takes no other resource (ECR's service reference)",
  WriteLogs: "the group's streams: one for each container, named after the instance",
  SayLaunched: "the group's id is in its ARN, and is only known once it exists; the name is unique in the region",
  SessionManager: "these are not about a resource: AWS takes no other (SSM's and Session Manager's service reference)",
};

/** Who may take on the role: EC2, for the instances. */
export function trustPolicy(): string {
  return policy({
    Sid: "Ec2",
    Effect: "Allow",
    Action: ["sts:AssumeRole"],
    Principal: { Service: "ec2.amazonaws.com" },
  });
}

/**
 * All that an instance may do. AWS's own AmazonSSMManagedInstanceCore is not used because it lets an instance read
 * every parameter of the account.
 */
export function instancePolicy(rights: InstanceRights): string {
  const { repositoryArn, logGroupArn, secretArn, partition, region, account, group } = rights;
  const statements: Statement[] = [
    { Sid: "LogInToEcr", Effect: "Allow", Action: ["ecr:GetAuthorizationToken"], Resource: "*" },
    {
      Sid: "PullImages",
      Effect: "Allow",
      Action: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      Resource: repositoryArn,
    },
    {
      Sid: "WriteLogs",
      Effect: "Allow",
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: `${logGroupArn}:log-stream:*`,
    },
    { Sid: "ReadKeys", Effect: "Allow", Action: ["secretsmanager:GetSecretValue"], Resource: secretArn },
    {
      Sid: "SayLaunched",
      Effect: "Allow",
      Action: ["autoscaling:CompleteLifecycleAction"],
      Resource: `arn:${partition}:autoscaling:${region}:${account}:autoScalingGroup:*:autoScalingGroupName/${group}`,
    },
    {
      Sid: "SessionManager",
      Effect: "Allow",
      Action: [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ],
      Resource: "*",
    },
  ];
  return policy(...statements);
}

function policy(...statements: object[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}

/** How many images of each kind the repository keeps: enough for 20 updates in a row to fail and be rolled back. */
export const keptImages = 20;

/**
 * ECR's lifecycle policy. It cannot know what runs, so it counts, by when a digest was first pushed: the same one under a
 * new tag stays as old as it was (aws/containers-roadmap#2746). So each push has a digest of its own, by a label
 * (imageTag.ts); an update pushes at most one of a kind, and what runs and what ran before are among the newest.
 * @param prefixes of the tags, one for each kind of image
 */
export function repositoryLifecycle(prefixes: readonly string[]): string {
  return JSON.stringify({
    rules: prefixes.map((prefix, index) => ({
      rulePriority: index + 1,
      description: `the newest ${keptImages} of ${prefix}`,
      selection: {
        tagStatus: "tagged",
        tagPrefixList: [prefix],
        countType: "imageCountMoreThan",
        countNumber: keptImages,
      },
      action: { type: "expire" },
    })),
  });
}
