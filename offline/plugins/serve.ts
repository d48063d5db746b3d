import grpc from "@grpc/grpc-js";
import engine from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import services from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import status from "@pulumi/pulumi/proto/status_pb.js";
import anyMessage from "google-protobuf/google/protobuf/any_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { conceal, reveal, secretPaths, type Path, type Properties } from "./values.ts";

/** What every operation on a resource may need besides its properties. All properties come with secrets in the clear. */
export interface Context {
  /** The resource's logical name in the program. */
  readonly name: string;
  /** The engine's seed for this resource: an autoname drawn from it is the same in preview and update. */
  readonly seed: Uint8Array;
  /** True in a preview: nothing may be touched, and what only a real run can tell stays unknown. */
  readonly preview: boolean;
  /** Writes a line for the user that stays in the update's log. */
  readonly log: (severity: "info" | "warning", message: string) => void;
  /** Shows a line beside the resource while it is being worked on. */
  readonly progress: (message: string) => void;
}

/** How a property changed; the values are Pulumi's PropertyDiff.Kind without and with replacement. */
export interface Change {
  readonly kind: "add" | "delete" | "update";
  /** The resource must be replaced because of this change. */
  readonly replace?: boolean;
}

/** The outcome of a comparison, by property or path within one: no changed property means that nothing is to be done. */
export interface Diff {
  readonly changes: Readonly<Record<string, Change>>;
  /** On replacement the old resource goes before the new one comes. */
  readonly deleteBeforeReplace?: boolean;
}

/** A resource's identity and all of its properties after create or read. */
export interface State {
  readonly id: string;
  readonly outputs: Properties;
}

/** One type of resource. Errors thrown by its functions are shown to the user as they are. */
export interface Resource {
  /** Names of outputs that are secret whatever the inputs were. */
  readonly secretOutputs?: readonly string[];
  /** Places of secrets in all inputs and outputs, given those in the program's inputs; by default the very same places. */
  readonly secrets?: (given: readonly Path[]) => readonly Path[];
  /** Fills in defaults. */
  check(news: Properties, olds: Properties, context: Context): Promise<Properties> | Properties;
  diff(state: Properties, oldInputs: Properties, news: Properties): Diff;
  create(inputs: Properties, context: Context): Promise<State> | State;
  /** The resource as it is now, or undefined if it has gone. Left out: the state is believed. */
  read?(
    id: string,
    state: Properties,
    inputs: Properties,
  ): Promise<(State & { readonly inputs: Properties }) | undefined>;
  update(id: string, inputs: Properties, state: Properties, context: Context): Promise<Properties> | Properties;
  delete?(id: string, state: Properties, context: Context): Promise<void>;
}

/** A provider plugin. */
export interface Provider {
  readonly version: string;
  /** By type token: its resources, or what finds them. */
  readonly resources: Readonly<Record<string, Resource>> | ((type: string) => Resource | undefined);
  /** Answers one of the provider's functions, by its token. */
  readonly invoke?: (token: string, args: Properties) => Promise<Properties>;
  /** Receives the provider's configuration (without the package's prefix) before anything else is called. */
  readonly configure?: (config: Readonly<Record<string, string>>) => void;
}

/** A resource that exists but is not as it should be: its state is kept, marked as failed, and tried again by the next update. */
export class PartialFailure extends Error {
  readonly state: State;

  constructor(message: string, state: State) {
    super(message);
    this.state = state;
  }
}

/**
 * Serves the provider to the engine that started this process, as a plugin is expected to: the engine's address is the
 * first plain argument, the port listened on is printed.
 *
 * `main()` of @pulumi/pulumi/provider would do, were it not that it passes on neither the provider's configuration nor
 * previews, old inputs, detailed differences or a way to log.
 */
export async function serve(provider: Provider): Promise<void> {
  const server = new grpc.Server();
  const client = engineOf(process.argv.slice(2));
  server.addService(services.ResourceProviderService, handlers(provider, engineLog(client)));
  const bind = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) bind.reject(error);
    else bind.resolve(port);
  });
  console.log(String(await bind.promise));
  endWithEngine(client);
}

/** Milliseconds between two looks whether the engine is still there. */
const watch = 10_000;

/** An engine that was killed ends nobody: its plugins notice by themselves (pulumi's rpcutil.Healthcheck). */
function endWithEngine(client: engine.EngineClient): void {
  setInterval(() => {
    client.waitForReady(Date.now() + watch, (error) => {
      if (error) process.exit(1);
    });
  }, watch);
}

function engineOf(args: readonly string[]): engine.EngineClient {
  const address = args.findLast((arg) => !arg.startsWith("-")) ?? "";
  return new engine.EngineClient(address, grpc.credentials.createInsecure());
}

type Log = (urn: string, severity: "info" | "warning", message: string, ephemeral: boolean) => void;

function engineLog(client: engine.EngineClient): Log {
  const { INFO, WARNING } = engineMessages.LogSeverity;
  return (urn, severity, message, ephemeral) => {
    const request = new engineMessages.LogRequest();
    request.setUrn(urn).setMessage(message).setEphemeral(ephemeral);
    request.setSeverity(severity === "info" ? INFO : WARNING);
    client.log(request, () => undefined); // a lost line of log is no reason to fail
  };
}

function handlers(provider: Provider, log: Log): grpc.UntypedServiceImplementation {
  const resource = (urn: string): Resource => {
    const type = typeOf(urn);
    const { resources } = provider;
    const found = typeof resources === "function" ? resources(type) : resources[type];
    if (!found) throw new Error(`${type} is not among the resources that this stand-in plugin knows`);
    return found;
  };
  const context = (urn: string, preview: boolean, seed: Uint8Array = new Uint8Array()): Context => ({
    name: urn.slice(urn.lastIndexOf("::") + 2),
    seed,
    preview,
    log: (severity, message) => {
      log(urn, severity, message, false);
    },
    progress: (message) => {
      log(urn, "info", message, true);
    },
  });
  const outputs = (kind: Resource, inputs: struct.Struct | undefined, plain: Properties): struct.Struct => {
    const given = secretPaths(raw(inputs));
    const always = (kind.secretOutputs ?? []).map((name) => [name]);
    return toStruct(plain, [...(kind.secrets?.(given) ?? given), ...always]);
  };

  return {
    configure: unary((request: messages.ConfigureRequest) => {
      const variables = request.getVariablesMap().toArray();
      provider.configure?.(Object.fromEntries(variables.map(([key, value]) => [key.replace(/^.*:/, ""), value])));
      return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),

    getPluginInfo: unary(() => new plugin.PluginInfo().setVersion(provider.version)),

    cancel: unary(() => new empty.Empty()),

    invoke: unary(async (request: messages.InvokeRequest) => {
      const token = request.getTok();
      if (!provider.invoke) throw new Error(`${token} is not among the functions that this stand-in plugin knows`);
      const answer = await provider.invoke(token, plain(request.getArgs()));
      return new messages.InvokeResponse().setReturn(toStruct(answer, []));
    }),

    check: unary(async (request: messages.CheckRequest) => {
      const urn = request.getUrn();
      const kind = resource(urn);
      const given = secretPaths(raw(request.getNews()));
      const checked = await kind.check(
        plain(request.getNews()),
        plain(request.getOlds()),
        context(urn, false, request.getRandomseed_asU8()),
      );
      return new messages.CheckResponse().setInputs(toStruct(checked, kind.secrets?.(given) ?? given));
    }),

    diff: unary((request: messages.DiffRequest) => {
      const oldInputs = plain(request.getOldInputs());
      const news = plain(request.getNews());
      for (const key of request.getIgnorechangesList()) {
        if (oldInputs[key] !== undefined) news[key] = oldInputs[key];
      }
      return diffResponse(resource(request.getUrn()).diff(plain(request.getOlds()), oldInputs, news));
    }),

    create: unary(async (request: messages.CreateRequest) => {
      const kind = resource(request.getUrn());
      const inputs = request.getProperties();
      try {
        const created = await kind.create(plain(inputs), context(request.getUrn(), request.getPreview()));
        return new messages.CreateResponse().setId(created.id).setProperties(outputs(kind, inputs, created.outputs));
      } catch (error) {
        throw error instanceof PartialFailure ? initFailed(error, outputs(kind, inputs, error.state.outputs)) : error;
      }
    }),

    read: unary(async (request: messages.ReadRequest) => {
      const kind = resource(request.getUrn());
      const response = new messages.ReadResponse();
      if (!kind.read) {
        return response.setId(request.getId()).setProperties(request.getProperties()).setInputs(request.getInputs());
      }
      const found = await kind.read(request.getId(), plain(request.getProperties()), plain(request.getInputs()));
      if (!found) return response;
      return response
        .setId(found.id)
        .setProperties(outputs(kind, request.getInputs(), found.outputs))
        .setInputs(toStruct(found.inputs, secretPaths(raw(request.getInputs()))));
    }),

    update: unary(async (request: messages.UpdateRequest) => {
      const kind = resource(request.getUrn());
      const inputs = request.getNews();
      const updated = await kind.update(
        request.getId(),
        plain(inputs),
        plain(request.getOlds()),
        context(request.getUrn(), request.getPreview()),
      );
      return new messages.UpdateResponse().setProperties(outputs(kind, inputs, updated));
    }),

    delete: unary(async (request: messages.DeleteRequest) => {
      const kind = resource(request.getUrn());
      await kind.delete?.(request.getId(), plain(request.getProperties()), context(request.getUrn(), false));
      return new empty.Empty();
    }),
  };
}

/** "docker:index/container:Container" of "urn:pulumi:dev::project::parent:type$docker:index/container:Container::name" */
function typeOf(urn: string): string {
  const types = urn.split("::")[2] ?? "";
  return types.slice(types.lastIndexOf("$") + 1);
}

function unary<Request, Response>(handle: (request: Request) => Promise<Response> | Response) {
  return (call: grpc.ServerUnaryCall<Request, Response>, callback: grpc.sendUnaryData<Response>): void => {
    const answer = async (): Promise<Response> => handle(call.request);
    answer().then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        const details = error instanceof Error ? error.message : String(error);
        const metadata = error instanceof Detailed ? error.metadata : new grpc.Metadata();
        callback({ code: grpc.status.UNKNOWN, details, metadata });
      },
    );
  };
}

function raw(properties: struct.Struct | undefined): Properties {
  return properties ? properties.toJavaScript() : {};
}

function plain(properties: struct.Struct | undefined): Properties {
  return reveal(raw(properties)) as Properties;
}

function toStruct(properties: Properties, secrets: readonly Path[]): struct.Struct {
  return struct.Struct.fromJavaScript(conceal(properties, secrets) as Properties);
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

/** An error with more for the engine than its text, in gRPC's own header for that. */
class Detailed extends Error {
  readonly metadata: grpc.Metadata;

  constructor(message: string, metadata: grpc.Metadata) {
    super(message);
    this.metadata = metadata;
  }
}

/** How a plugin tells the engine that a resource was created but did not come up. */
function initFailed({ message, state }: PartialFailure, properties: struct.Struct): Detailed {
  const detail = new messages.ErrorResourceInitFailed();
  detail.setId(state.id).setProperties(properties).setReasonsList([message]);
  const packed = new anyMessage.Any();
  packed.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const details = new status.Status();
  details.setCode(grpc.status.UNKNOWN);
  details.setMessage(message);
  details.addDetails(packed);
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(details.serializeBinary()));
  return new Detailed(message, metadata);
}
