/**
 * Stands in for Pulumi's aws plugin in tests: takes what @pulumi/aws's own types take and nothing else, and has it made
 * by the account at AWS_ENDPOINT_URL (../cloud/), as the official plugin does with AWS.
 */
import manifest from "@pulumi/aws/package.json" with { type: "json" };
import { changedInputs } from "../../../../offline/plugins/compare.ts";
import type { Resource } from "../../../../offline/plugins/provider.ts";
import { serve } from "../../../../offline/plugins/serve.ts";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { UNKNOWN } from "../../../../offline/plugins/values.ts";
import type { Made, Request } from "../cloud/server.ts";
import { declarationOf } from "./declarations.ts";

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
  const whole = (inputs: Properties, made: Properties): Properties => {
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
      const { id, outputs } = await ask({ action: "create", type, name, inputs });
      return { id, outputs: whole(inputs, outputs) };
    },
    update: async (id, inputs, state, { preview }) => {
      if (preview) return { ...state, ...inputs, ...unknown(following[type] ?? []) };
      return whole(inputs, (await ask({ action: "update", id, inputs })).outputs);
    },
    delete: async (id) => {
      await ask({ action: "delete", id });
    },
  };
}

async function invoke(token: string, args: Properties): Promise<Properties> {
  const declared = declarationOf(token);
  refuse(declared?.problems(args) ?? [`@pulumi/aws has no function ${token}`]);
  return (await ask({ action: "invoke", token, args })).outputs;
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function unknown(names: readonly string[]): Properties {
  return Object.fromEntries(names.map((name) => [name, UNKNOWN]));
}

async function ask(request: Request): Promise<Made> {
  const url = new URL("/pulumi", process.env.AWS_ENDPOINT_URL);
  const response = await fetch(url, { method: "POST", body: JSON.stringify(request) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Made;
}

await serve({ version: manifest.version, resources: resourceOf, invoke });
