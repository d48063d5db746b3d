import { expect, test } from "vitest";
import type { Statement } from "../../../components/aws/policies.ts";
import {
  executionPolicy,
  instancePolicy,
  repositoryLifecycle,
  s3EndpointPolicy,
  trustPolicy,
  wildcardReasons,
} from "../../../components/aws/policies.ts";

const of = { partition: "aws", region: "eu-central-1", accountId: "123456789012", cluster: "bitnet-prod" };
const statementsOf = (text: string) => (JSON.parse(text) as { Statement: Statement[] }).Statement;
const ofInstance = statementsOf(instancePolicy(of));
const ofExecution = statementsOf(
  executionPolicy(
    ["arn:aws:ecr:eu-central-1:123456789012:repository/bitnet-prod"],
    "arn:aws:logs:eu-central-1:123456789012:log-group:bitnet-prod",
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bitnet-prod-AbCdEf",
  ),
);
const all = [...ofInstance, ...ofExecution, ...statementsOf(s3EndpointPolicy("aws", "eu-central-1"))];

test("an instance may be a part of its own cluster, and be logged in to; no image, no log and no secret is its own", () => {
  const actions = ofInstance.flatMap(({ Action }) => Action);
  expect(actions.filter((action) => !/^(ecs|ssm|ssmmessages):/.test(action))).toEqual([]);
  const ofCluster = ofInstance.filter(({ Sid }) => ["JoinCluster", "WorkForCluster"].includes(Sid));
  expect(ofCluster.map(({ Resource }) => Resource)).toEqual([
    "arn:aws:ecs:eu-central-1:123456789012:cluster/bitnet-prod",
    "arn:aws:ecs:eu-central-1:123456789012:container-instance/bitnet-prod/*",
  ]);
});

test("ECS may pull the stack's images, write its logs and read its secret, and nothing else", () => {
  expect(ofExecution.flatMap(({ Action }) => Action).toSorted()).toEqual([
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
  ]);
});

test("each on this stack's own thing; no wildcard but those that have a reason, and no reason without a wildcard", () => {
  const wild = all.filter(({ Action, Resource }) => [...Action, Resource].flat().some((text) => text.includes("*")));
  expect(wild.map(({ Sid }) => Sid).toSorted()).toEqual(Object.keys(wildcardReasons).toSorted());
  expect(all.flatMap(({ Action }) => Action).filter((action) => action.includes("*"))).toEqual([]);
});

test("only EC2 may take on the instances' role, and only ECS that of tasks", () => {
  for (const service of ["ec2", "ecs-tasks"] as const) {
    const Principal = { Service: `${service}.amazonaws.com` };
    expect(JSON.parse(trustPolicy(service))).toMatchObject({ Statement: [{ Principal }] });
  }
});

test("the repository keeps the newest images of each kind, so that one kind does not push out the other", () => {
  const { rules } = JSON.parse(repositoryLifecycle(["server-", "haproxy-"])) as { rules: unknown[] };
  expect(rules).toMatchObject([
    { rulePriority: 1, selection: { tagPrefixList: ["server-"], countType: "imageCountMoreThan", countNumber: 20 } },
    { rulePriority: 2, selection: { tagPrefixList: ["haproxy-"] } },
  ]);
});
