import type { Problem } from "../components/errors.ts";
import { UserError } from "../components/errors.ts";
import type { Network, Source } from "./network.ts";
import { offlineStack } from "../offline/index.ts";

/** The stack on an open network. */
export const defaultStack = "dev";

/** Number of resources of a stack that was refused before anything was created: the stack, a provider, the stack's id. */
const resourcesOfAnId = 3;

/** The stack that Pulumi has selected: the one that was last worked on. */
export interface Selected {
  readonly name: string;
  readonly resourceCount?: number | undefined;
}

export interface Choice {
  /** As the user wrote it, perhaps with organisation and project. */
  readonly stack: string;
  /** For people. */
  readonly why: string;
}

/** The inputs of the choice. Each is read only if those before it do not decide. */
export interface Clues {
  /** The stack that the user named, and where. */
  readonly named: Choice | undefined;
  readonly selected: () => Promise<Selected | undefined>;
  readonly network: () => Promise<Network>;
  /** The sites that the command needs on the stack `dev`. */
  readonly needed: () => Promise<readonly Source[]>;
}

/**
 * Chooses the stack of a command: the one that the user named; else the selected one, as for plain `pulumi`, if there is
 * anything of it, because the network may have changed since its `up`; else the network decides. `offline`, whose model
 * is a toy, is only for a network where nothing answers.
 * @throws UserError if some sites answer, but not all that are needed: then only the user can decide
 */
export async function chooseStack({ named, selected, network, needed }: Clues): Promise<Choice> {
  if (named !== undefined) return named;
  const last = await selected();
  if (last !== undefined && (last.resourceCount ?? 0) > resourcesOfAnId)
    return { stack: last.name, why: "last worked on" };
  const found = await network();
  if (found.closed) return { stack: offlineStack, why: found.reason };
  if (found.open) return { stack: defaultStack, why: "the network is open" };
  const missing = (await needed()).filter((source) => !found.canReach(source));
  if (missing.length === 0) return { stack: defaultStack, why: "the network has all that it needs" };
  throw new UserError(...missing.map((source) => replace(source, found)), ownChoice);
}

/** The settings that replace a site. */
const replacements: Readonly<Record<Source, Pick<Problem, "key" | "right">>> = {
  "Docker Hub": { key: "baseImage", right: "a Debian 13 image of another registry, or of this machine" },
  "Hugging Face": { key: "modelUrl", right: "the path of a GGUF file on this machine, or a URL that answers" },
  GitHub: { key: "engineRepo", right: "the path of a source tarball on this machine, or a git URL that answers" },
  Pulumi: {
    key: "Pulumi CLI",
    right: "Pulumi on PATH, and its plugins command, docker and random (www.pulumi.com/docs/install)",
  },
};

const ownChoice: Problem = {
  key: "--stack",
  wrong: "some sites can be reached, so the test model is not used unasked",
  right: `--stack ${defaultStack} to try it all the same; --stack ${offlineStack} for the test model`,
};

/** Says which site does not answer, and which setting replaces it. */
export function replace(source: Source, network: Network): Problem {
  return { ...replacements[source], wrong: `${source} cannot be reached (${network.whyNot(source) ?? ""})` };
}
