/**
 * Run by the cluster's command: creates the service-linked roles that this account lacks. A first
 * cluster in an account may otherwise fail with "ECS Service Linked Role does not exist" (containers-roadmap, issue 1220).
 */
import { CreateServiceLinkedRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { z } from "zod";

const { region, services } = z
  .object({ region: z.string(), services: z.array(z.string()) })
  .parse(JSON.parse(process.env.SERVICE_LINKED_ROLES ?? "{}"));
const iam = new IAMClient({ region });

for (const AWSServiceName of services) {
  try {
    await iam.send(new CreateServiceLinkedRoleCommand({ AWSServiceName }));
    console.log(`${AWSServiceName}: made`);
  } catch (error) {
    // IAM's error for a role that already exists: docs.aws.amazon.com, API_CreateServiceLinkedRole.
    const { name, message } = error as Error;
    if (!(name.startsWith("InvalidInput") && message.includes("has been taken"))) throw error;
  }
}
