import type { Account } from "./account.ts";

/** What ECR's scan finds in every image. */
export const criticalFinding = { name: "CVE-2026-0001", severity: "CRITICAL" };

/** Answers what the rollout and the image scan ask (commands/awaitDeployment.ts, readImageScan.ts), in the JSON of AWS's API. @param target service and action */
export function answer({ ecs }: Account, target: string, input: Readonly<Record<string, unknown>>): object {
  switch (target.slice(target.lastIndexOf(".") + 1)) {
    case "DescribeServices": {
      const names = input.services as string[];
      const found = ecs.services.filter(({ inputs }) => names.includes(inputs.name));
      return {
        services: found.map(({ inputs, deployments, size, tasks }) => ({
          serviceName: inputs.name,
          status: "ACTIVE",
          taskDefinition: inputs.taskDefinition,
          runningCount: tasks.length,
          desiredCount: size,
          deployments,
        })),
      };
    }
    case "UpdateService": {
      const { service, taskDefinition, forceNewDeployment } = input as Record<string, string | boolean>;
      if (forceNewDeployment !== true) throw new Error("the stand-in for AWS knows of forced deployments alone");
      return { service: { deployments: ecs.redeploy(String(service), String(taskDefinition)) } };
    }
    case "DescribeImageScanFindings":
      return { imageScanStatus: { status: "COMPLETE" }, imageScanFindings: { findings: [criticalFinding] } };
    case "ListTasks":
      return { taskArns: ecs.services.flatMap(({ ended }) => ended.map(({ taskArn }) => taskArn)) };
    case "DescribeTasks": {
      const asked = input.tasks as string[];
      const ended = ecs.services.flatMap((service) => service.ended);
      return { tasks: ended.filter(({ taskArn = "" }) => asked.includes(taskArn)) };
    }
    case "GetLogEvents": {
      const lines = ecs.logOf(input.logStreamName as string).slice(-(input.limit as number));
      return { events: lines.map((message) => ({ message, timestamp: 0 })) };
    }
    default:
      throw new Error(`the stand-in for AWS does not answer ${target}`);
  }
}
