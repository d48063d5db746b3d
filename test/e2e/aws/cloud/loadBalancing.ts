import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { textOf } from "../../../../offline/plugins/values.ts";
import type { Account } from "./account.ts";
import type { Resource, Service } from "./resource.ts";
import { inputsOf, types } from "./resource.ts";

/** The part of a listener's inputs that decides where a request goes. */
interface Action {
  type: string;
  targetGroupArn?: string;
}
/** Application Load Balancers, each a server on loopback that does what its listener says. */
export class LoadBalancing implements Service {
  readonly #account: Account;
  readonly #servers = new Map<string, Server>();

  constructor(account: Account) {
    this.#account = account;
  }

  /** On AWS the name has no port: it is the listener's. */
  async make({ id, history: [inputs], outputs: { arn } }: Resource): Promise<Properties> {
    const server = createServer((incoming, response) => {
      void this.#handle(textOf(arn), incoming, response);
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

  async #handle(balancerArn: string, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const listener = this.#account
      .resourcesOf(types.listener)
      .find((each) => inputsOf(each)["loadBalancerArn"] === balancerArn);
    const [action] = (listener === undefined ? [] : inputsOf(listener)["defaultActions"]) as unknown as Action[];
    for (const task of this.#account.ecs.targetsOf(action?.targetGroupArn ?? "")) {
      if (!(await task.isHealthy())) continue;
      forward(task.port, incoming, response);
      return;
    }
    response.writeHead(503).end();
  }
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
