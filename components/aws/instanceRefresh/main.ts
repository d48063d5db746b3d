/**
 * Run by ScalingGroup's command: brings the instances to what the update says, see refresh.ts. What is to be done comes
 * in the environment variable REFRESH; says each step on stdout; exits 1 with the reason on stderr.
 */
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { z } from "zod";
import { advice, refresh } from "./refresh.ts";

const request = z
  .object({
    region: z.string(),
    accountId: z.string(),
    groupName: z.string(),
    templateId: z.string(),
    templateVersion: z.string(),
    instanceTypes: z.array(z.string()).min(1),
    minReplicas: z.number(),
    spot: z.number(),
    launchTimeout: z.number(),
    targetGroupArn: z.string(),
  })
  .parse(JSON.parse(process.env.REFRESH ?? "{}"));
/** Seconds; shorter in tests. */
const interval = Number(process.env.REFRESH_INTERVAL ?? 10);

// A replacement takes up to hours, and everybody in the account shares AWS's limits: many tries, slower and slower.
const options = { region: request.region, retryMode: "adaptive", maxAttempts: 10 };
const clients = {
  autoScaling: new AutoScalingClient(options),
  loadBalancing: new ElasticLoadBalancingV2Client(options),
  ec2: new EC2Client(options),
};

try {
  console.log(await refresh(request, clients, { interval }, console.log));
} catch (error) {
  const { name, message } = error as Error;
  console.error(`instances: ${message}${name === "CredentialsProviderError" ? `; ${advice}` : ""}`);
  process.exitCode = 1;
}
