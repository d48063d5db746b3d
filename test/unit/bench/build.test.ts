import { expect, test } from "vitest";
import { stepsRun } from "../../../bench/benchmarks/build.ts";

const output = `#11 [engine 2/4] COPY build/build-engine.sh /build/
#11 CACHED

#12 [engine 4/4] RUN case $OPTIMIZE in true) /build/build-engine.sh native /engine ;; esac
#12 sha256:0
#12 CACHED

#13 [model 3/3] RUN --mount=type=cache,target=/download     /build/fetch-model.sh && perl /build/check-gguf.pl
#13 0.4 checked
#13 DONE 0.5s
`;

test("a step counts if it ran, and not if it came from the cache", () => {
  expect(stepsRun(output, "/build/build-engine.sh")).toBe(0);
  expect(stepsRun(output, "/build/fetch-model.sh")).toBe(1);
  expect(stepsRun(output.replace("#12 CACHED", "#12 DONE 600s"), "/build/build-engine.sh")).toBe(1);
});

test("a build of which no step is known proves nothing", () => {
  expect(() => stepsRun(output, "/build/compile.sh")).toThrow("no step");
});
