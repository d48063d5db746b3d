import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { delimiter, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { account, region, registryLogin } from "../../../program/aws.ts";
import { startWebServer } from "../../../unit/model/webServer.ts";
import { startRegistry } from "../../support/registry.ts";
import type { Clients } from "../clients.ts";
import { clientsFor } from "../clients.ts";
import { startMoto } from "../moto.ts";
import { Ecs } from "./ecs.ts";
import { startLoadBalancer } from "./loadBalancer.ts";

/** ECR's scan finds it in every image. */
export const criticalFinding = { name: "CVE-2026-0001", severity: "CRITICAL" };

export interface Call {
  action: string;
  body: string;
}

/** An account at AWS on this machine: moto, and around it what moto lacks. */
export interface Account {
  clients: Clients;
  ecs: Ecs;
  /** The calls that changed anything since this was last asked. */
  changes(): Call[];
  /** The ARNs of what has tags, and the names of containers. */
  belongings(): Promise<string[]>;
  /** With these in the environment Pulumi's aws plugin is the stand-in, and the AWS SDK asks this account. */
  environment: Readonly<Record<string, string>>;
  /** Removes all of it, whatever the test has left. */
  stop(): Promise<void>;
}

/** What a request goes through from image to answer is real: the registry, the tasks' containers, the load balancer. */
export async function startAccount(): Promise<Account> {
  const [moto, registry] = await Promise.all([startMoto(), startRegistry({ user: registryLogin })]);
  const clients = clientsFor(moto.endpoint, region);
  const [ecs, balancer] = [new Ecs(clients), await startLoadBalancer(clients)];
  const names = (text: string) =>
    text
      // moto's word for a service-linked role that is there already is not IAM's.
      .replace("<Code>EntityAlreadyExists", "<Code>InvalidInput")
      .replaceAll(/Role with name (\S+) already exists/g, "$1 has been taken")
      .replaceAll(`${account}.dkr.ecr.${region}.amazonaws.com`, registry.host)
      .replaceAll(/(?<=<DNSName>)[^<]+/g, new URL(balancer.url).host);
  const calls: Call[] = [];
  const api = await startWebServer((incoming, response) => {
    void (async () => {
      const body = await buffer(incoming);
      const action = actionOf(incoming, body);
      if (!/^(Describe|Get|List)/.test(action)) calls.push({ action, body: body.toString() });
      const { status, type, text } = await forward(moto.endpoint, incoming, body);
      const played = await play(ecs, action, body, status === 200 ? text : undefined);
      // A connection that is closed for idleness just as a request comes in on it would be a failed request.
      response.writeHead(played === undefined ? status : 200, { "content-type": type, connection: "close" });
      response.end(names(played ?? text), "latin1");
    })();
  });
  return {
    clients,
    ecs,
    changes: () => calls.splice(0),
    belongings: async () => [...(await tagged(clients)), ...(await ecs.containers())],
    environment: {
      PATH: [join(import.meta.dirname, "..", "plugin"), process.env.PATH].join(delimiter),
      AWS_ENDPOINT_URL: api.url,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWAIT_INTERVAL: "0.2",
    },
    async stop() {
      await ecs.close();
      await Promise.all([api.close(), balancer.close(), moto.stop(), registry.stop()]);
    },
  };
}

/** AWS lists what it has deleted of these for a while. */
const lingering = /:(natgateway|service|cluster|task-definition)\//;

async function tagged({ tagging }: Clients): Promise<string[]> {
  const { ResourceTagMappingList = [] } = await tagging.getResources({});
  return ResourceTagMappingList.map(({ ResourceARN = "" }) => ResourceARN).filter((arn) => !lingering.test(arn));
}

/** In the JSON protocols, the query protocol, and the one of CBOR. Any other call is named by its path. */
function actionOf({ headers, url = "" }: IncomingMessage, body: Buffer): string {
  const named = headers["x-amz-target"] ?? new URLSearchParams(body.toString()).get("Action") ?? url;
  return String(named).replace(/^.*[./]/, "");
}

async function forward(endpoint: string, { method = "", url = "", headers }: IncomingMessage, body: Buffer) {
  const kept = ["authorization", "content-type", "x-amz-target", "smithy-protocol", "accept"];
  const answer = await fetch(new URL(url, endpoint), {
    method,
    headers: only(headers, kept),
    body: method === "GET" ? null : body,
  });
  // A byte is a character, whatever the protocol.
  const text = Buffer.from(await answer.arrayBuffer()).toString("latin1");
  return { status: answer.status, type: answer.headers.get("content-type") ?? "", text };
}

function only(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}

/**
 * @param answer of moto, if it has not refused
 * @returns what is answered instead; undefined: moto's own answer
 */
async function play(ecs: Ecs, action: string, body: Buffer, answer: string | undefined): Promise<string | undefined> {
  if (action === "DescribeImageScanFindings") {
    const imageScanFindings = { findings: [criticalFinding] };
    return JSON.stringify({ imageScanStatus: { status: "COMPLETE" }, imageScanFindings });
  }
  const call = ecs.calls[action];
  if (call === undefined || answer === undefined) return undefined;
  return JSON.stringify(await call(JSON.parse(body.toString()) as never, JSON.parse(answer) as never));
}
