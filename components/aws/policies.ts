/** Applies to every role that the program creates. */
export interface RoleSettings {
  /** A policy that limits the permissions of all roles. Undefined: none. */
  permissionsBoundary: string | undefined;
  /** IAM's path for roles and profiles: / or /…/ */
  path: string;
}

export interface Statement {
  Sid: string;
  Effect: "Allow";
  Action: string[];
  Resource: string | readonly string[];
}

/**
 * Why a statement's resource has a wildcard, by Sid. The graph test refuses any wildcard that is not explained here.
 */
export const wildcardReasons: Readonly<Record<string, string>> = {
  LogInToEcr: "GetAuthorizationToken is not about a repository: AWS takes no other resource (ECR's service reference)",
  WriteLogs: "the group's streams: one for each container of each task",
  FindEcs: "DiscoverPollEndpoint is not about a cluster: AWS takes no other resource (ECS's service reference)",
  WorkForCluster: "the cluster's instances: their ids are known once they have registered",
  SessionManager: "these are not about a resource: AWS takes no other (SSM's and Session Manager's service reference)",
  ReadImageLayers: "all objects of the bucket in which ECR keeps the layers of every repository",
  ReadPackages: "all objects of the bucket with Amazon Linux's packages",
};

/** Who may assume a role: instances, or ECS for its tasks. */
export function trustPolicy(service: "ec2" | "ecs-tasks"): string {
  return policy({
    Sid: "Trust",
    Effect: "Allow",
    Action: ["sts:AssumeRole"],
    Principal: { Service: `${service}.amazonaws.com` },
  });
}

/**
 * All permissions of an instance: be part of this cluster, and let an administrator in. AWS's own policies are not
 * used: AmazonEC2ContainerServiceforEC2Role is for any cluster, AmazonSSMManagedInstanceCore reads every parameter.
 */
export function instancePolicy(of: { partition: string; region: string; accountId: string; cluster: string }): string {
  const { partition, region, accountId, cluster } = of;
  const arn = (kind: string) => `arn:${partition}:ecs:${region}:${accountId}:${kind}/${cluster}`;
  return policy(
    { Sid: "FindEcs", Effect: "Allow", Action: ["ecs:DiscoverPollEndpoint"], Resource: "*" },
    {
      Sid: "JoinCluster",
      Effect: "Allow",
      Action: [
        "ecs:DeregisterContainerInstance",
        "ecs:RegisterContainerInstance",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
      ],
      Resource: arn("cluster"),
    },
    {
      Sid: "WorkForCluster",
      Effect: "Allow",
      Action: ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"],
      Resource: `${arn("container-instance")}/*`,
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
  );
}

/**
 * What ECS may do for a task: pull its images, read its secret, write its logs.
 * @param repositoryArns of ECR repositories; one in another account also needs a policy in that account
 */
export function executionPolicy(repositoryArns: readonly string[], logGroupArn: string, secretArn: string): string {
  return policy(
    { Sid: "LogInToEcr", Effect: "Allow", Action: ["ecr:GetAuthorizationToken"], Resource: "*" },
    {
      Sid: "PullImages",
      Effect: "Allow",
      Action: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      Resource: repositoryArns,
    },
    {
      Sid: "WriteLogs",
      Effect: "Allow",
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: `${logGroupArn}:log-stream:*`,
    },
    { Sid: "ReadKeys", Effect: "Allow", Action: ["secretsmanager:GetSecretValue"], Resource: secretArn },
  );
}

/**
 * What access to S3 is for: image layers, and Amazon Linux's packages (ECR's and AL2023's user guides name the
 * buckets).
 */
export function s3EndpointPolicy(partition: string, region: string): string {
  const read = (Sid: string, bucket: string) => ({
    Sid,
    Effect: "Allow",
    Principal: "*",
    Action: ["s3:GetObject"],
    Resource: `arn:${partition}:s3:::${bucket}/*`,
  });
  return policy(
    read("ReadImageLayers", `prod-${region}-starport-layer-bucket`),
    read("ReadPackages", `al2023-repos-${region}-de612dc2`),
  );
}

function policy(...statements: object[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}

/** How many images of each kind the repository keeps: enough for 20 failed and rolled-back updates in a row. */
export const keptImages = 20;

/**
 * ECR's lifecycle policy. It cannot know what runs, so it counts images by the time when a digest was first pushed: the
 * same digest under a new tag stays as old as it was (aws/containers-roadmap#2746). So a label gives each push a digest
 * of its own (imageTag.ts). An update pushes at most one image of a kind, so the current and the previous image are
 * among the newest.
 * @param prefixes of the tags, one per kind of image
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
