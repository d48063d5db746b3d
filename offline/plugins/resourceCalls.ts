import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import type struct from "google-protobuf/google/protobuf/struct_pb.js";
import { initFailed } from "./failures.ts";
import { PartialFailure, type Context, type Diff, type Provider, type Resource } from "./provider.ts";
import { plain, raw, toStruct } from "./structs.ts";
import { secretPaths, type Properties } from "./values.ts";

/** Brings a line about a resource to the user; an ephemeral one is shown only while the resource is being worked on. */
export type Log = (urn: string, severity: "info" | "warning", message: string, ephemeral: boolean) => void;

/** The engine's calls about one resource, answered by the provider's resource of that type. */
export class ResourceCalls {
  readonly #resources: Provider["resources"];
  readonly #log: Log;

  constructor({ resources }: Provider, log: Log) {
    this.#resources = resources;
    this.#log = log;
  }

  async check(request: messages.CheckRequest): Promise<messages.CheckResponse> {
    const urn = request.getUrn();
    const kind = this.#resource(urn);
    const given = secretPaths(raw(request.getNews()));
    const checked = await kind.check(
      plain(request.getNews()),
      plain(request.getOlds()),
      this.#context(urn, false, request.getRandomseed_asU8()),
    );
    return new messages.CheckResponse().setInputs(toStruct(checked, kind.secrets?.(given) ?? given));
  }

  diff(request: messages.DiffRequest): messages.DiffResponse {
    const oldInputs = plain(request.getOldInputs());
    const news = plain(request.getNews());
    for (const key of request.getIgnorechangesList()) {
      if (oldInputs[key] !== undefined) news[key] = oldInputs[key];
    }
    return diffResponse(this.#resource(request.getUrn()).diff(plain(request.getOlds()), oldInputs, news));
  }

  async create(request: messages.CreateRequest): Promise<messages.CreateResponse> {
    const kind = this.#resource(request.getUrn());
    const inputs = request.getProperties();
    try {
      const created = await kind.create(plain(inputs), this.#context(request.getUrn(), request.getPreview()));
      return new messages.CreateResponse().setId(created.id).setProperties(outputsOf(kind, inputs, created.outputs));
    } catch (error) {
      throw error instanceof PartialFailure ? initFailed(error, outputsOf(kind, inputs, error.state.outputs)) : error;
    }
  }

  async read(request: messages.ReadRequest): Promise<messages.ReadResponse> {
    const kind = this.#resource(request.getUrn());
    const response = new messages.ReadResponse();
    if (!kind.read) {
      return response.setId(request.getId()).setProperties(request.getProperties()).setInputs(request.getInputs());
    }
    const found = await kind.read(request.getId(), plain(request.getProperties()), plain(request.getInputs()));
    if (!found) return response;
    return response
      .setId(found.id)
      .setProperties(outputsOf(kind, request.getInputs(), found.outputs))
      .setInputs(toStruct(found.inputs, secretPaths(raw(request.getInputs()))));
  }

  async update(request: messages.UpdateRequest): Promise<messages.UpdateResponse> {
    const kind = this.#resource(request.getUrn());
    const inputs = request.getNews();
    const updated = await kind.update(
      request.getId(),
      plain(inputs),
      plain(request.getOlds()),
      this.#context(request.getUrn(), request.getPreview()),
    );
    return new messages.UpdateResponse().setProperties(outputsOf(kind, inputs, updated));
  }

  async delete(request: messages.DeleteRequest): Promise<empty.Empty> {
    const kind = this.#resource(request.getUrn());
    await kind.delete?.(request.getId(), plain(request.getProperties()), this.#context(request.getUrn(), false));
    return new empty.Empty();
  }

  #resource(urn: string): Resource {
    const type = typeOf(urn);
    const resources = this.#resources;
    const found = typeof resources === "function" ? resources(type) : resources[type];
    if (!found) throw new Error(`${type} is not among the resources that this stand-in plugin knows`);
    return found;
  }

  #context(urn: string, preview: boolean, seed: Uint8Array = new Uint8Array()): Context {
    return {
      name: urn.slice(urn.lastIndexOf("::") + 2),
      seed,
      preview,
      log: (severity, message) => {
        this.#log(urn, severity, message, false);
      },
      progress: (message) => {
        this.#log(urn, "info", message, true);
      },
    };
  }
}

/** "docker:index/container:Container" of "urn:pulumi:dev::project::parent:type$docker:index/container:Container::name" */
function typeOf(urn: string): string {
  const types = urn.split("::")[2] ?? "";
  return types.slice(types.lastIndexOf("$") + 1);
}

/** A resource's outputs for the engine, its secrets wrapped. */
function outputsOf(kind: Resource, inputs: struct.Struct | undefined, outputs: Properties): struct.Struct {
  const given = secretPaths(raw(inputs));
  const always = (kind.secretOutputs ?? []).map((name) => [name]);
  return toStruct(outputs, [...(kind.secrets?.(given) ?? given), ...always]);
}

function diffResponse({ changes, deleteBeforeReplace = false }: Diff): messages.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
  const { Kind } = messages.PropertyDiff;
  const kinds = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
  } as const;
  const response = new messages.DiffResponse().setHasdetaileddiff(true);
  const entries = Object.entries(changes);
  for (const [key, { kind, replace }] of entries) {
    response.getDetaileddiffMap().set(key, new messages.PropertyDiff().setKind(kinds[kind][replace ? 1 : 0]));
  }
  const replaces = entries.filter(([, change]) => change.replace).map(([key]) => topLevel(key));
  return response
    .setChanges(entries.length > 0 ? DIFF_SOME : DIFF_NONE)
    .setDiffsList(entries.map(([key]) => topLevel(key)))
    .setReplacesList(replaces)
    .setDeletebeforereplace(replaces.length > 0 && deleteBeforeReplace);
}

/** The property's own name in a path such as "healthcheck.interval" */
function topLevel(path: string): string {
  return path.split(".")[0] ?? path;
}
