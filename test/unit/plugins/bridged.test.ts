import { describe, expect, test } from "vitest";
import { compare, driftedInputs, planned, withDefaults, type Schema } from "../../../offline/plugins/bridged.ts";
import { UNKNOWN } from "../../../offline/plugins/values.ts";

const schema: Schema = {
  name: {},
  restart: { default: "no", update: true },
  wait: { default: false, update: true },
  memory: { update: true },
  hostname: { computed: true },
  envs: { set: true, computed: true },
  ports: { set: true, fields: { internal: {}, external: { computed: true }, ip: { default: "0.0.0.0" } } },
  healthcheck: { update: true, computed: true, fields: { interval: { default: "0s" }, retries: {} } },
  address: { output: true },
};

const inputs = { name: "web", restart: "no", envs: ["B=2", "A=1"], ports: [{ internal: 80, ip: "0.0.0.0" }] };
const state = {
  ...{ name: "web", restart: "no", wait: false, memory: 0, hostname: "4711", envs: ["A=1", "B=2"] },
  ...{ ports: [{ internal: 80, external: 32768, ip: "0.0.0.0" }], healthcheck: null, address: "172.17.0.2" },
};

describe("defaults", () => {
  test("are filled in, nested ones too, and noted; those that are zero are not", () => {
    expect(withDefaults(schema, { name: "web", ports: [{ internal: 80 }] }, {})).toEqual({
      name: "web",
      restart: "no",
      ports: [{ internal: 80, ip: "0.0.0.0", __defaults: ["ip"] }],
      __defaults: ["restart"],
    });
  });

  test("keep the name that was made up before, and make up one where there was none", () => {
    const name = () => "web-0123456";
    const first = withDefaults(schema, {}, {}, { name });
    expect(first).toMatchObject({ name: "web-0123456", __defaults: ["name", "restart"] });
    expect(withDefaults(schema, {}, first, { name: () => "another" })).toEqual(first);
    expect(withDefaults(schema, {}, { name: "given", __defaults: [] }, { name })).toMatchObject({
      name: "web-0123456",
    });
  });
});

describe("a difference", () => {
  const changes = (news: Parameters<typeof compare>[2]) => compare(schema, state, news).changes;

  test("is none where the other side decided, where only the order of a set is another, or where zero became nothing", () => {
    expect(changes(inputs)).toEqual({});
  });

  test("replaces the resource unless the property can be changed in place", () => {
    expect(changes({ ...inputs, name: "other" })).toEqual({ name: { kind: "update", replace: true } });
    expect(changes({ ...inputs, restart: "always" })).toEqual({ restart: { kind: "update", replace: false } });
  });

  test("is one where the other side has what the program says nothing of", () => {
    expect(compare(schema, { ...state, memory: 128 }, inputs).changes).toEqual({
      memory: { kind: "delete", replace: false },
    });
  });

  test("is named by its path within an object", () => {
    const before = { ...state, healthcheck: { interval: "1m0s", retries: 0 } };
    expect(compare(schema, before, { ...inputs, healthcheck: { interval: "60s" } }).changes).toEqual({
      "healthcheck.interval": { kind: "update", replace: false },
    });
  });

  test("is one as long as the new value is unknown", () => {
    expect(changes({ ...inputs, envs: ["A=1", UNKNOWN] })).toEqual({ envs: { kind: "update", replace: true } });
  });

  test("is one where an element was added", () => {
    const ports = [...inputs.ports, { internal: 81, ip: "0.0.0.0" }];
    expect(Object.keys(changes({ ...inputs, ports }))).toEqual(["ports"]);
  });
});

describe("the planned outputs", () => {
  test("of a new resource leave unknown what the other side decides", () => {
    expect(planned(schema, inputs)).toMatchObject({
      ...{ hostname: UNKNOWN, address: UNKNOWN, memory: null, wait: false, envs: ["A=1", "B=2"] },
      ports: [{ internal: 80, external: UNKNOWN, ip: "0.0.0.0" }],
    });
  });

  test("of a changed resource keep what the other side decided, inside a set too", () => {
    expect(planned(schema, { ...inputs, memory: 64 }, state)).toEqual({ ...state, memory: 64 });
  });
});

test("what drifted is among the inputs after a refresh, and is filled in anew by the next update", () => {
  const before = withDefaults(schema, { name: "web" }, {});
  const refreshed = driftedInputs(schema, before, { ...state, restart: "always" });
  expect(refreshed).toEqual({ name: "web", restart: "always", __defaults: [] });
  expect(withDefaults(schema, { name: "web" }, refreshed)).toEqual(before);
});
