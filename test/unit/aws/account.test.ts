import { expect, test } from "vitest";
import { checkDelegation } from "../../../components/aws/account/delegation.ts";
import { credentialWarnings, unanswered } from "../../../components/aws/account/identity.ts";

const zone = {
  domain: "llm.example.com",
  zone: "example.com",
  nameServers: ["ns-1.awsdns-01.com.", "ns-2.awsdns.org"],
};
const contains = (text: string) => expect.stringContaining(text) as string;

test("a zone is delegated if public DNS names one of its servers; where public DNS cannot be asked, nothing is said", () => {
  expect(checkDelegation(zone, ["NS-1.awsdns-01.com"])).toEqual([]);
  expect(checkDelegation(zone, undefined)).toEqual([]);
});

test("a zone that public DNS does not lead to is refused, with the servers to name", () => {
  expect(checkDelegation(zone, ["ns.registrar.net"])).toEqual([
    {
      key: "domain",
      value: "llm.example.com",
      wrong: contains("public DNS sends them to ns.registrar.net"),
      right: contains("ns-1.awsdns-01.com., ns-2.awsdns.org"),
    },
  ]);
  expect(checkDelegation(zone, [])).toMatchObject([{ wrong: contains("public DNS names no server for it") }]);
});

test.each([
  "no resource plugin 'pulumi-resource-aws' found in the workspace at version v7.48.0 or on your $PATH",
  "Could not automatically download and install resource plugin 'pulumi-resource-aws' at version v7.48.0",
])("a plugin that is missing is told as such, not as credentials: %s", (words) => {
  const { key, right } = unanswered(words);
  expect([key, right]).toEqual(["Pulumi's aws plugin", contains("pulumi plugin install resource aws v7.")]);
  expect(right).not.toContain("credentials");
});

test("credentials in the environment that end before an update usually does are warned of", () => {
  const now = Date.parse("2026-11-27T06:00:00Z");
  const ending = (time: string) => ({ AWS_SESSION_TOKEN: "token", AWS_CREDENTIAL_EXPIRATION: `2026-11-27T${time}Z` });
  expect(credentialWarnings(ending("06:25:30"), now)).toEqual([contains("end in 25 minutes")]);
  expect(credentialWarnings(ending("05:00:00"), now)).toEqual([contains("end in 0 minutes")]);
  expect(credentialWarnings(ending("07:30:00"), now)).toEqual([]);
  // Nobody says when.
  expect(credentialWarnings({ AWS_SESSION_TOKEN: "token" }, now)).toEqual([]);
  // A user's own key does not end.
  expect(credentialWarnings({ AWS_CREDENTIAL_EXPIRATION: "2026-11-27T06:01:00Z" }, now)).toEqual([]);
});
