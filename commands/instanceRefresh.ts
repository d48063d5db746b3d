/**
 * Run by ScalingGroup's command: brings the instances to what the update says, see components/aws/instanceRefresh.ts. What is to be done comes
 * in the environment variable REFRESH; says each step on stdout; exits 1 with the reason on stderr.
 */
import { z } from "zod";
import { connect, describeFailure, refresh } from "../components/aws/instanceRefresh.ts";

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

try {
  console.log(await refresh(request, connect({ region: request.region }), { interval }, console.log));
} catch (error) {
  console.error(describeFailure(error as Error));
  process.exitCode = 1;
}
