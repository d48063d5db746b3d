import type { IncomingMessage, ServerResponse } from "node:http";
import { request } from "node:http";
import type { WebServer } from "../../../unit/model/webServer.ts";
import { startWebServer } from "../../../unit/model/webServer.ts";
import type { Clients } from "../clients.ts";

/** The server behind the load balancer's name: it sends a request to a target that moto has registered. */
export async function startLoadBalancer({ elb }: Clients): Promise<WebServer> {
  return startWebServer((incoming, response) => {
    void (async () => {
      const { TargetGroups = [] } = await elb.describeTargetGroups({});
      const group = TargetGroups.find(({ LoadBalancerArns = [] }) => LoadBalancerArns.length > 0);
      if (group === undefined) {
        // There is no listener.
        incoming.socket.destroy();
        return;
      }
      const { TargetGroupArn } = group;
      const { TargetHealthDescriptions } = await elb.describeTargetHealth({ TargetGroupArn });
      const port = TargetHealthDescriptions?.[0]?.Target?.Port;
      if (port === undefined) response.writeHead(503).end();
      else pass(port, incoming, response);
    })();
  });
}

function pass(port: number, incoming: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = incoming;
  const onward = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, { ...answer.headers, connection: "close" });
    answer.pipe(response);
  });
  onward.on("error", () => response.writeHead(502).end());
  incoming.pipe(onward);
}
