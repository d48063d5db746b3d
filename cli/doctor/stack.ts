import type { Owner } from "../../components/docker/machine.ts";
import type { Problem } from "../../components/errors.ts";
import type { Model } from "../../components/model/model.ts";
import { usableMemory } from "../../components/docker/machine.ts";
import type { Examination } from "../../components/preflight.ts";
import { examine } from "../../components/preflight.ts";
import { preparedSettings } from "../../offline/index.ts";
import type { StackText } from "../stackSettings.ts";
import type { Finding } from "./finding.ts";
import { missing, ok } from "./finding.ts";
import { gigabytes } from "../gigabytes.ts";

/**
 * What the program's own checks find wrong with a stack, before anything is built.
 * @param owner whose containers' ports are not in the way
 */
export async function stackFindings(settings: StackText, owner: Owner): Promise<Finding[]> {
  const examination = await examine(settings.configuration(), owner);
  const { settings: checked, source, model, tls, machine } = examination;
  // Secrets can only be read by the program, and what `up` makes need not be there yet.
  const made = new Set<string>(preparedSettings(settings));
  const mistakes = [checked, source, model, tls, machine]
    .flatMap(({ problems }): readonly Problem[] => problems)
    .filter(({ key }) => !settings.isSecret(key) && !made.has(key))
    // It has been reported that the engine does not answer.
    .filter(({ key }) => key !== "Docker");
  return [...mistakes.map(missing), ...(mistakes.length === 0 ? good(examination, made) : [])];
}

function good({ settings, model, machine }: Examination, made: ReadonlySet<string>): Finding[] {
  const { sound } = settings;
  return [
    ok("settings", `valid for target ${sound.target ?? ""}`),
    modelFinding(model.found, machine.found?.slots, made.has("modelUrl")),
    ...(machine.found === undefined
      ? []
      : [
          ok("ports", "free"),
          ok("memory", `${gigabytes(machine.found.machine.memoryBytes * usableMemory)} for replicas`),
        ]),
    ...(sound.target === "aws" ? [ok("AWS account", "npm run preview checks it")] : []),
  ];
}

function modelFinding(model: Model | undefined, slots = 1, isMade: boolean): Finding {
  if (model !== undefined) {
    return ok("model", `${model.alias}, ${gigabytes(model.memoryNeed(slots).total)} of memory per replica`);
  }
  return ok("model", isMade ? "npm run up generates it" : "not checked");
}
