/**
 * Stands in for Pulumi's aws plugin in tests: takes what @pulumi/aws's own types take and nothing else, and has it made
 * by AWS's calls (../replay.ts), as the official plugin does.
 */
import manifest from "@pulumi/aws/package.json" with { type: "json" };
import { changedInputs } from "../../../../offline/plugins/compare.ts";
import type { Resource } from "../../../../offline/plugins/provider.ts";
import { serve } from "../../../../offline/plugins/serve.ts";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { UNKNOWN } from "../../../../offline/plugins/values.ts";
import { awsAnswers, region } from "../../../program/aws.ts";
import { change, remove } from "../changes.ts";
import { clientsFor } from "../clients.ts";
import { amazonLinux, replay } from "../replay.ts";
import { declarationOf } from "./declarations.ts";

const clients = clientsFor(process.env.AWS_ENDPOINT_URL ?? "", region);

/** What a change of them needs a new resource for, as Terraform's provider has it, of what the tests change. */
const replacing: Readonly<Record<string, readonly string[]>> = {
  "aws:secretsmanager/secretVersion:SecretVersion": ["secretString"],
  "aws:ecs/taskDefinition:TaskDefinition": ["containerDefinitions"],
};

/** What every change of a resource changes as well. */
const following: Readonly<Record<string, readonly string[]>> = {
  "aws:ec2/launchTemplate:LaunchTemplate": ["latestVersion"],
};

function resourceOf(type: string): Resource | undefined {
  const declared = declarationOf(type);
  if (declared === undefined) return undefined;
  const whole = (inputs: Properties, made: object): Properties => {
    const known = Object.entries(made).filter(([name]) => declared.outputs.includes(name));
    return { ...inputs, ...Object.fromEntries(known) };
  };
  return {
    check: (news) => {
      refuse(declared.problems(news));
      return news;
    },
    diff: (_state, oldInputs, news) => {
      const changes = Object.entries(changedInputs(oldInputs, news));
      const replace = (name: string) => replacing[type]?.includes(name) ?? false;
      return {
        changes: Object.fromEntries(changes.map(([name, change]) => [name, { ...change, replace: replace(name) }])),
      };
    },
    create: async (inputs, { name, preview }) => {
      if (preview) return { id: "", outputs: { ...unknown(declared.outputs), ...inputs } };
      const { id, state } = await replay(clients, type, name, inputs);
      return { id, outputs: whole(inputs, state) };
    },
    update: async (id, inputs, state, { name, preview }) => {
      if (preview) return { ...state, ...inputs, ...unknown(following[type] ?? []) };
      return whole(inputs, { ...state, ...inputs, ...(await change(clients, type, name, id, inputs)) });
    },
    delete: (id, state) => remove(clients, type, id, state),
  };
}

async function invoke(token: string, args: Properties): Promise<Properties> {
  const declared = declarationOf(token);
  refuse(declared?.problems(args) ?? [`@pulumi/aws has no function ${token}`]);
  if (token === "aws:ssm/getParameter:getParameter") return { insecureValue: await amazonLinux(clients) };
  const answer = awsAnswers[token];
  if (answer === undefined) throw new Error(`the stand-in for AWS does not answer ${token}`);
  return answer(args) as Properties;
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function unknown(names: readonly string[]): Properties {
  return Object.fromEntries(names.map((name) => [name, UNKNOWN]));
}

await serve({ version: manifest.version, resources: resourceOf, invoke });
