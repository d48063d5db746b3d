import type { EngineEvent, OpType, StepEventMetadata } from "@pulumi/pulumi/automation/index.js";
import { expect, test } from "vitest";
import { describeChanges, EngineRun, toLog } from "../../../cli/engineEvents.ts";
import { Progress } from "../../../cli/progress.ts";

const image = "docker:index/image:Image";
const container = "docker:index/container:Container";

function run(isPreview = false) {
  const written: string[] = [];
  const progress = new Progress({ write: (text: string) => written.push(text) }, () => 0);
  return { written, run: new EngineRun(progress, isPreview) };
}

function step(op: OpType, type: string, name: string, custom = true): StepEventMetadata {
  const urn = `urn:pulumi:dev::bitnet-server::bitnet:Fleet$${type}::${name}`;
  const state = { type, urn, custom, id: "", parent: "", inputs: {}, outputs: {}, provider: "" };
  return { op, urn, type, new: state, provider: "" };
}

function event(event: Omit<EngineEvent, "sequence" | "timestamp">): EngineEvent {
  return { sequence: 0, timestamp: 0, ...event };
}

test("a resource's steps are told in words that fit them", () => {
  const { run: engine, written } = run();
  engine.take(event({ resourcePreEvent: { metadata: step("create", image, "bitnet") } }));
  engine.take(event({ resOutputsEvent: { metadata: step("create", image, "bitnet") } }));
  engine.take(event({ resourcePreEvent: { metadata: step("delete-replaced", container, "replica-0") } }));
  engine.take(
    event({ resOpFailedEvent: { metadata: step("delete-replaced", container, "replica-0"), status: 1, steps: 1 } }),
  );
  expect(written).toEqual([
    "  image bitnet: building and pushing …\n",
    "✓ image bitnet: built and pushed\n",
    "  container replica-0: removing the old one …\n",
    "✗ container replica-0: removing the old one failed\n",
  ]);
});

test("a warning of the program is told; that a plugin comes from PATH is not", () => {
  const { run: engine, written } = run();
  const warn = (message: string) => {
    engine.take(event({ diagnosticEvent: { severity: "warning", message: `${message}\n`, color: "raw" } }));
  };
  warn("using pulumi-resource-docker from $PATH at /x/offline/plugins/pulumi-resource-docker");
  warn("<{%fg 3%}>0.0.0.0/0 may ask over plain HTTP<{%reset%}>");
  expect(written).toEqual(["warning: 0.0.0.0/0 may ask over plain HTTP\n"]);
});

test("what does not change, components and providers are not told and not counted", () => {
  const { run: engine, written } = run();
  for (const metadata of [
    step("same", container, "replica-0"),
    step("create", "bitnet:Fleet", "fleet", false),
    step("create", "pulumi:providers:docker", "default"),
  ]) {
    engine.take(event({ resourcePreEvent: { metadata } }));
    engine.take(event({ resOutputsEvent: { metadata } }));
  }
  expect(written).toEqual([]);
  expect(describeChanges(engine.changes)).toBe("no change");
});

test("changes are counted when they are done, in a preview when they are planned", () => {
  const { run: up } = run();
  up.take(event({ resourcePreEvent: { metadata: step("create", container, "replica-0") } }));
  expect(describeChanges(up.changes)).toBe("no change");
  up.take(event({ resOutputsEvent: { metadata: step("create", container, "replica-0") } }));
  up.take(event({ resOutputsEvent: { metadata: step("create-replacement", container, "replica-1") } }));
  up.take(event({ resOutputsEvent: { metadata: step("delete-replaced", container, "replica-1") } }));
  expect(describeChanges(up.changes)).toBe("1 created, 1 replaced");

  const { run: preview } = run(true);
  preview.take(event({ resourcePreEvent: { metadata: step("delete", container, "replica-0") } }));
  expect(describeChanges(preview.changes, "future")).toBe("1 to remove");
  expect(preview.planned).toMatchObject([{ op: "delete", resource: "container replica-0" }]);
});

test("an error names its resource, in plain text; the engine's echo of it is left out", () => {
  const { run: engine } = run();
  const urn = step("create", image, "bitnet").urn;
  const diagnostic = (message: string, of?: string): EngineEvent =>
    event({ diagnosticEvent: { message, color: "", severity: "error", ...(of === undefined ? {} : { urn: of }) } });
  engine.take(diagnostic("<{%fg 1%}>no space left on device<{%reset%}>\n", urn));
  engine.take(diagnostic("update failed"));
  engine.take(diagnostic("a mistake of the program's", "urn:pulumi:dev::bitnet-server::pulumi:pulumi:Stack::dev"));
  expect(engine.failures).toEqual([
    { resource: "image bitnet", message: "no space left on device" },
    { message: "a mistake of the program's" },
  ]);
});

test("the log has a build's own output, line by line, with its resource", () => {
  const urn = step("create", image, "bitnet").urn;
  const diagnostic = {
    message: "[ 10%] one\n[ 20%] two\n",
    color: "",
    severity: "info",
    urn,
    ephemeral: true,
  } as const;
  expect(toLog(event({ diagnosticEvent: diagnostic }))).toBe("image bitnet | [ 10%] one\nimage bitnet | [ 20%] two\n");
});

test("the log has no debug messages: they show properties as they are, secrets too", () => {
  const diagnosticEvent = { message: "apiKey=hidden", color: "", severity: "debug" };
  expect(toLog(event({ diagnosticEvent } as unknown as EngineEvent))).toBe("");
});
