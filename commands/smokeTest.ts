/**
 * Run by SmokeTest's command: waits until every replica runs the new image and is healthy, then asks through the load balancer
 * until each of them has answered, and checks every answer. Prints the answer; on failure, says why and exits with 1. A
 * replica that is being replaced may answer too: Pulumi deletes it afterwards.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { Agent, fetch } from "undici";
import { z } from "zod";
import { answerTimeout, settleTimeout } from "../components/serving/timeouts.ts";

const test = z
  .object({
    url: z.string(),
    modelAlias: z.string(),
    image: z.string(),
    replicaIds: z.array(z.string()).optional(),
    prompt: z.string(),
    answer: z.string().optional(),
  })
  .parse(JSON.parse(process.env.SMOKE_TEST ?? "{}"));

/**
 * A certificate need not name this machine's address, and on this machine nobody is in between. Elsewhere the name is the
 * one that clients use.
 */
const dispatcher = new Agent({ connect: { rejectUnauthorized: test.replicaIds === undefined } });

/** The required parts of a chat completion in the OpenAI API: platform.openai.com/docs/api-reference/chat/object. */
const completion = z.object({
  model: z.literal(test.modelAlias),
  choices: z
    .array(
      z.object({
        message: z.object({ role: z.literal("assistant"), content: z.string().trim().min(1) }),
        finish_reason: z.enum(["stop", "length"]),
      }),
    )
    .length(1),
  usage: z.object({
    prompt_tokens: z.int().positive(),
    completion_tokens: z.int().positive(),
    total_tokens: z.int().positive(),
  }),
});

try {
  // Another command has waited for a fleet on other machines, whose replicas' addresses are unknown here.
  const addresses = test.replicaIds === undefined ? [] : await waitForReplicas(test.replicaIds);
  await waitForLoadBalancer();
  console.log(await askUntilAnsweredBy(addresses));
} catch (error) {
  console.error(`smoke test: ${(error as Error).message}`);
  process.exitCode = 1;
}

/** @returns the replicas' addresses on the fleet's network */
async function waitForReplicas(ids: readonly string[]): Promise<string[]> {
  const docker = new Docker();
  return waitFor("the replicas", async () => {
    const replicas = await Promise.all(ids.map((id) => docker.getContainer(id).inspect()));
    const problem = replicas.map(problemOf).find((found) => found !== undefined);
    if (problem !== undefined) throw new Error(problem);
    return replicas.flatMap(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress),
    );
  });
}

/** It may have just started, and finds a new replica within a second or two. */
async function waitForLoadBalancer(): Promise<void> {
  await waitFor("the load balancer", async () => {
    const signal = AbortSignal.timeout(5_000);
    const { status } = await fetch(new URL("/health", test.url), { dispatcher, signal }).catch(explain);
    if (status !== 200) throw new Error(`/health answers ${status}`);
  });
}

/** The network error, and what it usually means for a service that is not on this machine. */
function explain(error: unknown): never {
  const { message, name, cause } = error as Error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : name;
  const hints: Readonly<Record<string, string>> = {
    ENOTFOUND: "DNS does not know the name (yet): make the record, or wait some minutes and run the update again",
    TimeoutError: "nothing answers: is this machine's address in allowedCidrs?",
    UND_ERR_CONNECT_TIMEOUT: "nothing answers: is this machine's address in allowedCidrs?",
  };
  throw new Error(`${new URL(test.url).host} cannot be reached (${code}); ${hints[code] ?? message}`, { cause: error });
}

async function waitFor<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + settleTimeout * 1000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) {
        throw new Error(`waited ${settleTimeout} s for ${what}: ${(error as Error).message}`, { cause: error });
      }
    }
    await sleep(250);
  }
}

function problemOf({ Name, Config, State }: Docker.ContainerInspectInfo): string | undefined {
  if (Config.Image !== test.image) return `${Name} runs ${Config.Image} instead of ${test.image}`;
  // DockerFleet's commands have waited until it was healthy.
  return State.Running ? undefined : `${Name} is ${State.Status}`;
}

/** The gateway names who answered, if asked to: gateway/src/answering.ts. */
async function askUntilAnsweredBy(addresses: readonly string[]): Promise<string> {
  const silent = new Set(addresses);
  const deadline = Date.now() + answerTimeout * 1000;
  for (;;) {
    const { status, body, replica } = await ask();
    // Any other replica is being replaced, and may answer differently.
    if (replica === undefined || addresses.length === 0 || addresses.includes(replica)) {
      const text = check(status, body);
      if (replica !== undefined) silent.delete(replica);
      if (silent.size === 0) return text;
    }
    if (Date.now() > deadline) {
      throw new Error(`after ${answerTimeout} s the load balancer still sends nothing to ${[...silent].join(", ")}`);
    }
  }
}

async function ask(): Promise<{ status: number; body: string; replica: string | undefined }> {
  const key = process.env.SMOKE_TEST_API_KEY;
  const response = await fetch(`${test.url}/chat/completions`, {
    dispatcher,
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-name-replica": "yes",
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify({
      model: test.modelAlias,
      messages: [{ role: "user", content: test.prompt }],
      temperature: 0,
      // Enough for the exact answer, if one is expected; otherwise for a few words.
      max_tokens: test.answer === undefined ? 32 : 1024,
    }),
    signal: AbortSignal.timeout(answerTimeout * 1000),
  });
  const replica = response.headers.get("x-replica") ?? undefined;
  return { status: response.status, body: await response.text(), replica };
}

/** @returns the answer's text */
function check(status: number, body: string): string {
  if (status !== 200) {
    throw new Error(`${test.url} answered ${status}: ${body.slice(0, 500)}`);
  }
  const result = completion.safeParse(JSON.parse(body));
  if (!result.success) {
    throw new Error(
      `not a chat completion of ${test.modelAlias}: ${z.prettifyError(result.error)}\n${body.slice(0, 500)}`,
    );
  }
  const text = result.data.choices[0]?.message.content ?? "";
  if (test.answer !== undefined && text !== test.answer) {
    throw new Error(`asked "${test.prompt}"\n  expected: ${test.answer}\n  answered: ${text}`);
  }
  return text;
}
