import { expect, test } from "vitest";
import { givesReason, textOf, whyItEnded } from "../../../components/docker/containerLog.ts";

const many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

test("of a refused argument the error is shown, not the end of the usage that follows it, and once for two starts", () => {
  const start = ["error: unknown argument: --no-such", "usage: llama-server [options]", ...many].join("\n");
  expect(whyItEnded(`${start}\n${start}\n`)).toBe("error: unknown argument: --no-such");
});

test("a wrong first answer is shown with what was asked and expected", () => {
  const message = ["bitnet-server: the model does not answer", "  asked: 2 + 2?", "  expected: 4", "  answered: 5"];
  expect(whyItEnded(["loading model", ...message, "stopping"].join("\n"))).toBe(message.join("\n"));
});

test("where no line names a cause the last ones are shown", () => {
  expect(whyItEnded(many.join("\n\n"))).toBe(many.slice(4).join("\n"));
});

test("a log in frames is read, whatever stream a line is of", () => {
  const frame = (stream: number, text: string) => {
    const head = Buffer.alloc(8);
    head.writeUInt8(stream, 0);
    head.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  expect(textOf(Buffer.concat([frame(1, "täglich\n"), frame(2, "error\n")]))).toBe("täglich\nerror\n");
});

test("an entrypoint that says why it ended would say so again; a server that crashed may not", () => {
  expect(givesReason("loading\nbitnet-server: the model does not answer\n")).toBe(true);
  expect(givesReason("loading\nSegmentation fault\n")).toBe(false);
});
