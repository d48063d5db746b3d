import { afterEach, expect, test, vi } from "vitest";
import { requireDownloader } from "../../../components/model/downloader.ts";
import { resolveModel } from "../../../components/model/model.ts";
import { userErrorOf } from "../../support/userError.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("a machine without curl cannot have a gated or private model, and is told so before anything is done", async () => {
  vi.stubEnv("PATH", "/nonexistent");
  const [problem, ...others] = userErrorOf(requireDownloader).problems;
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ key: "modelToken", right: expect.stringContaining("install curl") as string });

  const settings = { modelUrl: "http://127.0.0.1:9/private.gguf", engine: "bitnet.cpp", parallel: 1 } as const;
  const { problems } = await resolveModel({ ...settings, modelToken: "the-users-own-token" });
  expect(problems[0]).toMatchObject({ key: "modelToken", wrong: expect.stringMatching(/with curl/) as string });
});
