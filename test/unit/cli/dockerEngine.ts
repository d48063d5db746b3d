import { mkdtempSync, rmSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";

/** What an engine answers: status and body. */
export type Reply = readonly [status: number, body?: unknown];

/** An engine that is played: its client, and the requests that it got, as "POST /containers/create". */
export interface PlayedEngine extends AsyncDisposable {
  readonly docker: Docker;
  readonly requests: readonly string[];
}

/** @param replies by request, without its query; to anything else the engine says that there is no such thing */
export async function playEngine(replies: Readonly<Record<string, Reply>>): Promise<PlayedEngine> {
  const folder = mkdtempSync(join(tmpdir(), "bitnet-server-engine-"));
  const socketPath = join(folder, "docker.sock");
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const asked = `${request.method ?? ""} ${(request.url ?? "").split("?")[0] ?? ""}`;
    requests.push(asked);
    const [status, body] = replies[asked] ?? [404, { message: "no such thing" }];
    response.writeHead(status, { "content-type": "application/json" });
    response.end(body === undefined ? "" : JSON.stringify(body));
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    docker: new Docker({ socketPath }),
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      rmSync(folder, { recursive: true });
    },
  };
}
