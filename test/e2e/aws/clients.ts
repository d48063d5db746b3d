/** AWS's clients for moto, and how what the program says becomes what they take. */
import * as acm from "@aws-sdk/client-acm";
import * as autoScaling from "@aws-sdk/client-auto-scaling";
import * as cloudWatch from "@aws-sdk/client-cloudwatch";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as ec2 from "@aws-sdk/client-ec2";
import * as scaling from "@aws-sdk/client-application-auto-scaling";
import * as ecs from "@aws-sdk/client-ecs";
import * as ecr from "@aws-sdk/client-ecr";
import * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import * as iam from "@aws-sdk/client-iam";
import * as route53 from "@aws-sdk/client-route-53";
import * as secrets from "@aws-sdk/client-secrets-manager";
import * as sns from "@aws-sdk/client-sns";
import * as tagging from "@aws-sdk/client-resource-groups-tagging-api";
import * as waf from "@aws-sdk/client-wafv2";

export type Inputs = Record<string, unknown>;
export interface Made {
  id: string;
  state: object;
}

export function clientsFor(endpoint: string, region: string) {
  const options = { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  return {
    acm: new acm.ACM(options),
    autoScaling: new autoScaling.AutoScaling(options),
    cloudWatch: new cloudWatch.CloudWatch(options),
    logs: new logs.CloudWatchLogs(options),
    ec2: new ec2.EC2(options),
    ecr: new ecr.ECR(options),
    ecs: new ecs.ECS(options),
    scaling: new scaling.ApplicationAutoScaling(options),
    elb: new elb.ElasticLoadBalancingV2(options),
    iam: new iam.IAM(options),
    route53: new route53.Route53(options),
    secrets: new secrets.SecretsManager(options),
    sns: new sns.SNS(options),
    tagging: new tagging.ResourceGroupsTaggingAPI(options),
    waf: new waf.WAFV2(options),
  };
}
export type Clients = ReturnType<typeof clientsFor>;

/** Pulumi's property names are AWS's with a small first letter, for nearly all of what is used. */
export function awsNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((inner) => awsNames(inner));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [
    key.charAt(0).toUpperCase() + key.slice(1),
    awsNames(inner),
  ]);
  return Object.fromEntries(entries);
}

export function tagList(tags: unknown): { Key: string; Value: string }[] {
  return Object.entries(tags as Record<string, string>).map(([Key, Value]) => ({ Key, Value }));
}

export function ecsTags(tags: unknown): { key: string; value: string }[] {
  return Object.entries(tags as Record<string, string>).map(([key, value]) => ({ key, value }));
}

export function stringTags(tags: unknown): Record<string, string> {
  return tags as Record<string, string>;
}

/** Everything but the tags, under AWS's names, and the tags as EC2 has them. */
export function ec2Input({ tags, ...inputs }: Inputs, ResourceType: ec2.ResourceType): unknown {
  const TagSpecifications = [{ ResourceType, Tags: tagList(tags) }];
  return { ...(awsNames(inputs) as object), TagSpecifications };
}

/** A value that AWS's answer must have. */
export function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the answer lacks what was asked for");
  return value;
}

/** Makes a resource. @param autoName of one that the program does not name */
export type Maker = (clients: Clients, inputs: Inputs, autoName: string) => Promise<Made>;
