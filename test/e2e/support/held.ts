import { connect, type Socket } from "node:net";

/** Connections that send what they are told, and then nothing more. */
export class Held {
  private readonly sockets: Socket[];
  private readonly received: string[];

  constructor(port: number, count: number, text: string, reads: "reads" | "reads nothing" = "reads") {
    this.received = Array.from({ length: count }, () => "");
    this.sockets = this.received.map((_, index) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(text);
      });
      socket.on("error", () => undefined);
      if (reads === "reads")
        socket.on("data", (data) => {
          this.received[index] = `${this.received[index] ?? ""}${data.toString()}`;
        });
      return socket;
    });
  }

  async opened(): Promise<void> {
    await Promise.all(this.sockets.map((socket) => until(socket, () => !socket.connecting, ["connect", "close"])));
  }

  /** Until the other side has closed all of them. */
  async ended(): Promise<void> {
    await Promise.all(this.sockets.map((socket) => until(socket, () => socket.destroyed, ["close"])));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await this.ended();
  }

  /** 0 for one that got no answer. */
  statuses(): number[] {
    return this.received.map((text) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0));
  }
}

async function until(socket: Socket, isSo: () => boolean, events: string[]): Promise<void> {
  if (isSo()) return;
  await new Promise<void>((resolve) => {
    for (const event of events)
      socket.once(event, () => {
        resolve();
      });
  });
}
