import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { textOf } from "../../../../offline/plugins/values.ts";
import type { Account } from "./account.ts";
import type { Resource, Service } from "./resource.ts";
import { inputsOf, types } from "./resource.ts";

/** The parts of a listener's and a rule's inputs that decide where a request goes. */
interface Action {
  type: string;
  targetGroupArn?: string;
  fixedResponse?: { statusCode: string; contentType: string; messageBody: string };
}
interface Rule {
  priority: number;
  conditions: { pathPattern: { values: string[] } }[];
  actions: Action[];
}

/** Application Load Balancers, each a server on loopback that does what its listener and the rules say. */
export class LoadBalancing implements Service {
  readonly #account: Account;
  readonly #servers = new Map<string, Server>();

  constructor(account: Account) {
    this.#account = account;
  }

  /** On AWS the name has no port: it is the listener's. */
  async make({ id, history: [inputs], outputs: { arn } }: Resource): Promise<Properties> {
    const server = createServer((incoming, response) => {
      this.#handle(textOf(arn), incoming, response);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    server.keepAliveTimeout = Number(inputs?.["idleTimeout"]) * 1000;
    this.#servers.set(id, server);
    return { dnsName: `127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  async remove(id: string): Promise<void> {
    const server = this.#servers.get(id);
    if (server === undefined) return;
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    this.#servers.delete(id);
  }

  #handle(balancerArn: string, incoming: IncomingMessage, response: ServerResponse): void {
    const action = this.#actionFor(balancerArn, new URL(incoming.url ?? "/", "http://any").pathname);
    const fixed = action?.fixedResponse;
    if (fixed !== undefined) {
      response.writeHead(Number(fixed.statusCode), { "content-type": fixed.contentType }).end(fixed.messageBody);
      return;
    }
    const [target] = this.#account.autoScaling.targetsOf(action?.targetGroupArn ?? "");
    if (target === undefined) response.writeHead(503).end();
    else forward(target.port, incoming, response);
  }

  /** The first rule that matches, else what the listener does with everything. */
  #actionFor(balancerArn: string, path: string): Action | undefined {
    const listener = this.#account
      .resourcesOf(types.listener)
      .find((each) => inputsOf(each)["loadBalancerArn"] === balancerArn);
    if (listener === undefined) return undefined;
    const rules = this.#account
      .resourcesOf(types.listenerRule)
      .map(inputsOf)
      .filter(({ listenerArn }) => listenerArn === listener.outputs["arn"]) as unknown as Rule[];
    const rule = rules
      .toSorted((a, b) => a.priority - b.priority)
      .find(({ conditions }) =>
        conditions.every(({ pathPattern }) => pathPattern.values.some((pattern) => matches(path, pattern))),
      );
    const [action] = rule?.actions ?? (inputsOf(listener)["defaultActions"] as unknown as Action[]);
    return action;
  }
}

/** In a rule's pattern * stands for any characters, ? for one. */
function matches(path: string, pattern: string): boolean {
  const literal = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${literal.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(path);
}

function forward(port: number, incoming: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = incoming;
  const onward = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.writeHead(502).end());
  incoming.pipe(onward);
}
