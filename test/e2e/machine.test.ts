import { mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { tools } from "../../cli/paths.ts";
import { buildContext, dockerBuild } from "./support/build.ts";
import { lockedBytes, serverProcess } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Machine } from "./support/virtualMachine.ts";
import { noVirtualMachineBecause, startMachine } from "./support/virtualMachine.ts";

const reason = noVirtualMachineBecause();

describe("without Pulumi, on a machine whose Docker may raise the limit for locked memory", () => {
  let folder: string;
  let model: TestModel;
  let machine: Machine;

  beforeEach(({ skip }) => {
    skip(reason !== undefined, reason);
  });

  beforeAll(async () => {
    if (reason !== undefined) return;
    folder = await mkdtemp(join(tools, "machine-"));
    model = await drawModel(folder);
    buildContext(join(folder, "docker"), model.path);
    // The emulated CPU has AVX2, and no AVX-512.
    const args = { MODEL_URL: basename(model.path), CPU_TARGET: "x86-64-v3" };
    // The machine mostly waits: for packages, and for one service after another.
    const build = dockerBuild(join(folder, "docker"), args, ["--tag", "bitnet-server"]);
    const [built] = await Promise.all([
      build,
      startMachine().then((started) => {
        machine = started;
      }),
    ]);
    expect(built.exitCode, built.all).toBe(0);
    await machine.loadImage("bitnet-server");
    await machine.copyIn(join(folder, "docker"), "/root/docker");
  });

  afterEach(async () => {
    if (reason === undefined) await machine.exec("docker ps --all --quiet | xargs --no-run-if-empty docker rm --force");
  });

  afterAll(async () => {
    if (reason !== undefined) return;
    await machine.stop();
    await rm(folder, { recursive: true });
  });

  test("the plain `docker run` line locks the model in RAM and answers", async () => {
    await on("docker run -d --name plain -p 8088:8080 --cap-add IPC_LOCK --ulimit memlock=-1:-1 bitnet-server");
    expect((await expectToServe("plain")).status.CapEff).toBe("0000000000004000"); // IPC_LOCK, alone
  });

  test("`docker run --user` with IPC_LOCK as its only capability does, too", async () => {
    const rights = "--user 65532:65532 --cap-drop ALL --cap-add IPC_LOCK --security-opt no-new-privileges --read-only";
    await on(`docker run -d --name user -p 8088:8080 ${rights} --tmpfs /run --ulimit memlock=-1:-1 bitnet-server`);
    // Docker gives capabilities to root only; the raised limit is enough.
    expect((await expectToServe("user")).status.CapEff).toBe("0000000000000000");
  });

  test("compose.yaml finds out the threads, locks the model in RAM and answers", async () => {
    await on("docker compose -f docker/compose.yaml up --detach --no-build");
    const container = await on("docker compose -f docker/compose.yaml ps --quiet");
    const { args } = await expectToServe(container);
    expect(args).toEqual(expect.arrayContaining(["--no-mmap", "--mlock"]));
    expect(args[args.indexOf("--threads") + 1]).toBe(await on("nproc"));
    await on("docker compose -f docker/compose.yaml down --timeout 20");
    expect(await on("docker ps --all --quiet")).toBe("");
  });

  async function expectToServe(container: string) {
    await on("for i in $(seq 120); do curl -fs localhost:8088/health && exit; sleep 1; done; exit 1");
    const messages = [{ role: "user", content: "Which digit is in this prompt: 4?" }];
    const body = JSON.stringify({ model: "bitnet", messages, temperature: 0 });
    const answer = await on("curl -fsS --json @- localhost:8088/v1/chat/completions", body);
    expect(JSON.parse(answer)).toMatchObject({ choices: [{ message: { content: model.answer(4) } }] });

    const server = await serverProcess((script) => on(`docker exec -i ${container} bash -e`, script));
    expect(server.status.Uid).toBe("65532\t65532\t65532\t65532");
    expect(lockedBytes(server)).toBeGreaterThanOrEqual(server.modelBytes);
    expect(await on(`docker exec ${container} bash -c "ulimit -l"`)).toBe("unlimited");
    return server;
  }

  /** Runs a command that must succeed in the virtual machine. */
  async function on(command: string, input?: string): Promise<string> {
    const { exitCode, stdout, stderr } = await machine.exec(command, input);
    expect(exitCode, `${command}\n${stdout}\n${stderr}`).toBe(0);
    return stdout;
  }
});
