import { nameServers, region } from "../../program/aws.ts";
import type { Run } from "../../program/program.ts";
import { runProgram } from "../../program/program.ts";
import type { Clients } from "./clients.ts";
import { clientsFor } from "./clients.ts";
import type { Moto } from "./moto.ts";
import { amazonLinux, replay } from "./replay.ts";

export interface Deployed {
  run: Run;
  clients: Clients;
}

/** The program, each of whose AWS resources is made by the calls that make it, in a server that starts out empty. */
export async function deploy(moto: Moto, config: Record<string, string>): Promise<Deployed> {
  await fetch(`${moto.endpoint}/moto-api/reset`, { method: "POST" });
  const clients = clientsFor(moto.endpoint, region);
  const zone = await clients.route53.createHostedZone({ Name: "example.com", CallerReference: "test" });
  const insecureValue = await amazonLinux(clients);
  const run = await runProgram({ target: "aws", domain: "llm.example.com", minReplicas: "2", ...config }, false, {
    answers: {
      "aws:route53/getZone:getZone": () => ({ zoneId: zone.HostedZone?.Id, name: "example.com", nameServers }),
      "aws:ssm/getParameter:getParameter": () => ({ insecureValue }),
    },
    create: async (type, name, inputs) => (type.startsWith("aws:") ? replay(clients, type, name, inputs) : undefined),
  });
  return { run, clients };
}
