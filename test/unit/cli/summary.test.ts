import { expect, test } from "vitest";
import { curl, showOutputs, summarize } from "../../../cli/summary.ts";

const outputs = {
  url: { value: "http://127.0.0.1:8088/v1", secret: false },
  model: { value: "bitnet-b1.58-2B-4T", secret: false },
  replicas: { value: 2, secret: false },
  image: { value: "127.0.0.1:5088/bitnet-server@sha256:abc", secret: false },
};
const withKey = { ...outputs, apiKey: { value: "very-secret-key", secret: true } };

test("the summary has URL, model, replicas, image digest, what changed and the time taken", () => {
  expect(summarize("dev", outputs, "10 created", "2m10s")).toMatch(
    /^stack dev is up: 10 created, 2m10s\n +url +http:\/\/127.0.0.1:8088\/v1\n +model +bitnet-b1.58-2B-4T\n +replicas +2\n +image +127.0.0.1:5088\/bitnet-server@sha256:abc\n/,
  );
});

test("the summary names the chat page, the chat in the terminal, and what removes it all", () => {
  const told = summarize("dev", outputs, "10 created", "2m10s");
  expect(told).toContain("http://127.0.0.1:8088/ in a browser");
  expect(told).toContain("npm run chat -- --stack dev");
  expect(told).toContain("npm run destroy -- --stack dev");
});

test("where there is a dashboard, the summary names it", () => {
  const dashboardUrl = { value: "http://127.0.0.1:8405/user/", secret: false };
  const told = summarize("dev", { ...outputs, dashboardUrl }, "no change", "3s");
  expect(told).toMatch(/^ +dashboard +http:\/\/127.0.0.1:8405\/user\/$/m);
  expect(summarize("dev", outputs, "no change", "3s")).not.toContain("dashboard");
});

test("of a test model the summary says that it is one, and what it can answer", () => {
  const told = summarize("offline", outputs, "no change", "3s", true);
  expect(told).toMatch(/model .*\n.*a test model, generated and not trained: it repeats the one digit of a question/);
  expect(summarize("dev", outputs, "no change", "3s")).not.toContain("test model");
});

test("the line to paste asks for the model by name, with one digit in the question for a generated model", () => {
  const body = /-d '(.*)'$/.exec(curl("dev", outputs))?.[1] ?? "";
  expect(JSON.parse(body)).toMatchObject({ model: "bitnet-b1.58-2B-4T", messages: [{ role: "user" }] });
  expect((JSON.parse(body) as { messages: { content: string }[] }).messages[0]?.content.match(/\d/g)).toHaveLength(1);
});

test("an API key is never printed; the line to paste reads it from the outputs", () => {
  expect(curl("dev", withKey)).toContain("$(npm run -s outputs -- apiKey --stack dev --show-secrets)");
  expect(curl("dev", outputs)).not.toContain("Authorization");
  for (const text of [summarize("dev", withKey, "no change", "3s"), showOutputs(withKey, false)]) {
    expect(text).not.toContain("very-secret-key");
  }
  expect(showOutputs(withKey, true)).toContain("very-secret-key");
});
