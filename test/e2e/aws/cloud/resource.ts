import type { Properties } from "../../../../offline/plugins/values.ts";

/** A resource that the account has. */
export interface Resource {
  id: string;
  type: string;
  name: string;
  /** What it was told when it was made, and at every change since. */
  history: Properties[];
  /** What AWS adds. */
  outputs: Properties;
}

/** What is really there behind a type of resource. Its functions give what AWS adds. */
export interface Service {
  make(resource: Resource): Promise<Properties> | Properties;
  /** Left out: the stand-in cannot change it. */
  change?(resource: Resource): Properties;
  remove?(id: string): Promise<void>;
}

export const types = {
  repository: "aws:ecr/repository:Repository",
  launchTemplate: "aws:ec2/launchTemplate:LaunchTemplate",
  secretVersion: "aws:secretsmanager/secretVersion:SecretVersion",
  loadBalancer: "aws:lb/loadBalancer:LoadBalancer",
  listener: "aws:lb/listener:Listener",
  taskDefinition: "aws:ecs/taskDefinition:TaskDefinition",
  service: "aws:ecs/service:Service",
  scalableTarget: "aws:appautoscaling/target:Target",
  group: "aws:autoscaling/group:Group",
} as const;

/** What a resource was told last. */
export function inputsOf({ history }: Resource): Properties {
  return history.at(-1) ?? {};
}
