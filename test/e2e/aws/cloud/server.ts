import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { region } from "../../../program/aws.ts";
import { Account } from "./account.ts";
import { answer } from "./api.ts";

/** What the stand-in for Pulumi's plugin asks: ../plugin/main.ts. */
export type Request =
  | { action: "create"; type: string; name: string; inputs: Properties }
  | { action: "update"; id: string; inputs: Properties }
  | { action: "delete"; id: string }
  | { action: "invoke"; token: string; args: Properties };

export interface Made {
  id: string;
  outputs: Properties;
}

/** An account, and how it is reached. */
export interface Cloud {
  account: Account;
  /** With these in the environment Pulumi's aws plugin is the stand-in, and the AWS SDK asks this account. */
  environment: Readonly<Record<string, string>>;
  /** Removes all of it, whatever the test has left. */
  stop(): Promise<void>;
}

export async function startCloud(): Promise<Cloud> {
  const account = new Account();
  const server = createServer((incoming, response) => {
    void (async () => {
      const body = await bodyOf(incoming);
      const target = incoming.headers["x-amz-target"];
      try {
        if (incoming.url === "/pulumi") {
          response.end(JSON.stringify(await serve(account, JSON.parse(body) as Request)));
        } else if (target === undefined) {
          // IAM's query protocol, of which one action is used.
          const text = serviceLinkedRole(body);
          response.writeHead(200, { "content-type": "text/xml" }).end(text);
        } else {
          const type = incoming.headers["content-type"] ?? "application/x-amz-json-1.1";
          const input = JSON.parse(body) as Record<string, unknown>;
          const text = JSON.stringify(answer(account, String(target), input));
          response.writeHead(200, { "content-type": type }).end(text);
        }
      } catch (error) {
        const { message } = error as Error;
        response.writeHead(400).end(target === undefined ? message : JSON.stringify({ __type: "Refused", message }));
      }
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  // A connection that is closed for idleness just as a request comes in on it would be a failed request.
  server.keepAliveTimeout = 0;
  return {
    account,
    environment: {
      PATH: [join(import.meta.dirname, "..", "plugin"), process.env.PATH].join(delimiter),
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWAIT_INTERVAL: "0.2",
    },
    async stop() {
      await account.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of incoming as AsyncIterable<Buffer>) body += chunk.toString();
  return body;
}

async function serve(account: Account, request: Request): Promise<Made> {
  switch (request.action) {
    case "create":
      return account.create(request.type, request.name, request.inputs);
    case "update":
      return account.update(request.id, request.inputs);
    case "delete":
      await account.delete(request.id);
      return { id: request.id, outputs: {} };
    case "invoke":
      return { id: "", outputs: account.invoke(request.token, request.args) };
  }
}

/** This account is new: it has none of the roles. */
function serviceLinkedRole(body: string): string {
  const parameters = new URLSearchParams(body);
  if (parameters.get("Action") !== "CreateServiceLinkedRole") {
    throw new Error(`the stand-in for AWS does not answer ${parameters.get("Action") ?? body}`);
  }
  return "<CreateServiceLinkedRoleResponse><CreateServiceLinkedRoleResult/></CreateServiceLinkedRoleResponse>";
}
