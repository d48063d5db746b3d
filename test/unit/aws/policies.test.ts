import { expect, test } from "vitest";
import type { Statement } from "../../../components/aws/policies.ts";
import { instancePolicy, repositoryLifecycle, trustPolicy, wildcardReasons } from "../../../components/aws/policies.ts";

const rights = {
  repositoryArn: "arn:aws:ecr:eu-central-1:123456789012:repository/bitnet-prod",
  logGroupArn: "arn:aws:logs:eu-central-1:123456789012:log-group:bitnet-prod",
  secretArn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bitnet-prod-AbCdEf",
  partition: "aws",
  region: "eu-central-1",
  account: "123456789012",
  group: "bitnet-prod",
};
const statements = (JSON.parse(instancePolicy(rights)) as { Statement: Statement[] }).Statement;

test("an instance may pull its images, write its logs, read its secret, say that it is launched, and be logged in to", () => {
  expect(statements.flatMap(({ Action }) => Action).toSorted()).toEqual([
    "autoscaling:CompleteLifecycleAction",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
  ]);
});

test("each on this stack's own thing; no wildcard but those that have a reason, and no reason without a wildcard", () => {
  const wild = statements.filter(({ Action, Resource }) => [...Action, Resource].some((text) => text.includes("*")));
  expect(wild.map(({ Sid }) => Sid).toSorted()).toEqual(Object.keys(wildcardReasons).toSorted());
  expect(statements.flatMap(({ Action }) => Action).filter((action) => action.includes("*"))).toEqual([]);
});

test("only EC2 may take on the instances' role", () => {
  expect(JSON.parse(trustPolicy())).toMatchObject({ Statement: [{ Principal: { Service: "ec2.amazonaws.com" } }] });
});

test("the repository keeps the newest images of each kind, so that one kind does not push out the other", () => {
  const { rules } = JSON.parse(repositoryLifecycle(["server-", "balancer-"])) as { rules: unknown[] };
  expect(rules).toMatchObject([
    { rulePriority: 1, selection: { tagPrefixList: ["server-"], countType: "imageCountMoreThan", countNumber: 20 } },
    { rulePriority: 2, selection: { tagPrefixList: ["balancer-"] } },
  ]);
});
