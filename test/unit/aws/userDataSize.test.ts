import { expect, test } from "vitest";
import { userData, userDataLimit } from "../../../components/aws/userData.ts";
import { checkUserData } from "../../../components/aws/userDataSize.ts";
import { description } from "./description.ts";

const demand = {
  account: { id: "123456789012", partition: "aws", region: "eu-central-1" },
  group: description.group,
  server: description.server,
  apiKeys: 2,
};
const withArguments = (...extraArgs: string[]) => ({ ...demand, server: { ...demand.server, extraArgs } });

test("what fits is accepted", () => {
  expect(checkUserData(demand)).toEqual([]);
  expect(checkUserData({ ...demand, apiKeys: 50 })).toEqual([]);
  expect(checkUserData(withArguments("--cache-reuse", "256", "x".repeat(500)))).toEqual([]);
});

test.each([
  ["letters", "x".repeat(4000)],
  ["quotes, each of which takes two bytes", "'".repeat(2000)],
  ["umlauts, each of which takes two bytes", "ü".repeat(2000)],
])("arguments of too many %s are refused, with their own size", (_, argument) => {
  expect(checkUserData(withArguments(argument))).toMatchObject([
    { key: "extraArgs", wrong: expect.stringMatching(/has 1[78]\d{3} bytes, and AWS takes 16384$/) as string },
  ]);
});

test("too many keys are refused", () => {
  const [problem] = checkUserData({ ...demand, apiKeys: 200 });
  expect(problem).toMatchObject({ key: "apiKeys", right: expect.stringMatching(/^\d+ bytes less/) as string });
  expect(problem).not.toHaveProperty("value");
});

test("an expected answer that is too long is refused, and nothing else is blamed", () => {
  const smokeAnswer = "word ".repeat(2000);
  expect(checkUserData({ ...demand, server: { ...demand.server, smokeAnswer } })).toMatchObject([
    { key: "smokeAnswer", value: smokeAnswer },
  ]);
});

test("whatever is accepted fits once everything is known", () => {
  for (let length = 0; length < 4000; length += 50) {
    const wanted = withArguments("x".repeat(length));
    if (checkUserData(wanted).length > 0) continue;
    expect(Buffer.byteLength(userData({ ...description, server: wanted.server }))).toBeLessThanOrEqual(userDataLimit);
  }
});
