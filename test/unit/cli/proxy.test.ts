import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { expect, test } from "vitest";
import { proxyVariables } from "../../../cli/proxy.mjs";

test("what the user excludes from the proxy stays excluded, by either name, and this machine is, too", () => {
  const loopback = "localhost,127.0.0.1,::1,[::1]";
  expect(proxyVariables({ NO_PROXY: ".example.com, localhost" }).NO_PROXY).toBe(
    ".example.com,localhost,127.0.0.1,::1,[::1]",
  );
  expect(proxyVariables({ no_proxy: "10.0.0.1" })).toMatchObject({
    NO_PROXY: `10.0.0.1,${loopback}`,
    no_proxy: `10.0.0.1,${loopback}`,
  });
  expect(proxyVariables({})).toEqual({ NODE_USE_ENV_PROXY: "1", NO_PROXY: loopback, no_proxy: loopback });
  expect(proxyVariables({ NODE_USE_ENV_PROXY: "0" }).NODE_USE_ENV_PROXY).toBe("0");
});

test.each(["127.0.0.1", "::1"])("a program with these variables asks %s itself, and not the proxy", async (host) => {
  const proxy = "http://127.0.0.1:9"; // nobody listens there
  const service = createServer((_, response) => response.end("direct")).listen(0, host);
  await once(service, "listening");
  const { port } = service.address() as AddressInfo;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
  const ask = ["--print", `fetch("${url}").then((answer) => answer.text()).then(console.log); ""`];
  const user = { HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: undefined, no_proxy: undefined };
  try {
    const { stdout } = await execa(process.execPath, ask, { env: { ...user, ...proxyVariables({}) } });
    expect(stdout.trim()).toBe("direct");
  } finally {
    service.close();
  }
});
