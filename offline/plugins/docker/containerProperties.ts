import type { ContainerArgs } from "@pulumi/docker";
import type { Unwrap } from "@pulumi/pulumi";
import type { ContainerCreateOptions, ContainerInspectInfo, HostConfig } from "dockerode";
import type { Field } from "../bridged.ts";
import type { Properties, Value } from "../values.ts";
import { labelField, toLabels } from "./labels.ts";

/** docker.Container's inputs, all known, with the defaults filled in. */
export type ContainerInputs = Unwrap<ContainerArgs> & { readonly name: string };

/** A property: how a program states it, how Docker is asked for it, and how Docker tells it. */
interface Property extends Field {
  /** Its part of POST /containers/create. */
  readonly body?: (given: ContainerInputs) => ContainerCreateOptions;
  /** Its part of that request's HostConfig; with `live`, also of POST /containers/{id}/update. */
  readonly host?: (given: ContainerInputs) => HostConfig;
  /** Docker can change it while the container runs. */
  readonly live?: true;
  /** Its value in GET /containers/{id}/json. Left out: it stays as the program put it. */
  readonly tell?: (found: ContainerInspectInfo, before: Partial<ContainerInputs>) => Value;
}

const strings: Field = { set: true };

/**
 * The properties that this project uses, as kreuzwerker/terraform-provider-docker 4.2.0 and pulumi-docker 5.0.0 describe
 * them; whoever needs another one adds its line. Those with `output` cannot be set here: they hold the official plugin's
 * defaults, and what else it would miss in the state and replace or update the container for.
 */
export const containerProperties: Readonly<Record<string, Property>> = {
  capabilities: {
    fields: { adds: strings, drops: strings },
    host: ({ capabilities }) => ({ CapAdd: capabilities?.adds, CapDrop: capabilities?.drops }),
    tell: ({ HostConfig: { CapAdd, CapDrop } }) => {
      const [adds, drops] = [listOf(CapAdd), listOf(CapDrop)];
      return adds.length + drops.length > 0 ? { adds, drops } : null;
    },
  },
  command: { computed: true, body: ({ command }) => ({ Cmd: command }), tell: ({ Config }) => listOf(Config.Cmd) },
  containerReadRefreshTimeoutMilliseconds: { output: true, default: 15_000 },
  cpuSet: {
    ...{ update: true, live: true },
    host: ({ cpuSet = "" }) => ({ CpusetCpus: cpuSet }),
    tell: ({ HostConfig }) => HostConfig.CpusetCpus ?? "",
  },
  destroyGraceSeconds: { update: true },
  entrypoints: { output: true, tell: ({ Config }) => listOf(Config.Entrypoint) },
  envs: { computed: true, set: true, body: ({ envs }) => ({ Env: envs }) },
  healthcheck: { output: true, tell: ({ Config }) => healthcheck(Config.Healthcheck) },
  hostname: { computed: true, body: ({ hostname }) => ({ Hostname: hostname }), tell: ({ Config }) => Config.Hostname },
  image: {
    body: ({ image }) => ({ Image: image }),
    tell: ({ Image, Config }, { image }) => (image?.startsWith("sha256:") ? Image : Config.Image),
  },
  labels: { ...labelField, computed: true, body: ({ labels }) => ({ Labels: toLabels(labels) }) },
  logDriver: { computed: true, tell: ({ HostConfig }) => HostConfig.LogConfig?.Type ?? "" },
  logOpts: {
    host: ({ logDriver = "", logOpts = {} }) => ({ LogConfig: { Type: logDriver, Config: logOpts } }),
    tell: ({ HostConfig }, { logOpts }) => (logOpts ? ((HostConfig.LogConfig?.Config ?? null) as Value) : null),
  },
  memory: {
    ...{ update: true, live: true },
    host: ({ memory }) => ({ Memory: bytes(memory) }),
    tell: ({ HostConfig }) => mebibytes(HostConfig.Memory),
  },
  memorySwap: {
    ...{ update: true, live: true },
    host: ({ memorySwap }) => ({ MemorySwap: bytes(memorySwap) }),
    tell: ({ HostConfig }) => mebibytes(HostConfig.MemorySwap),
  },
  // A container that must run and does not shows as "must not run", so that the next update starts it.
  mustRun: { default: true, update: true, tell: ({ State }, { mustRun = true }) => State.Running && mustRun },
  name: { body: ({ name }) => ({ name }), tell: ({ Name }) => Name.replace(/^\//, "") },
  networkDatas: { output: true, tell: ({ NetworkSettings }) => networkDatas(NetworkSettings.Networks) },
  networkMode: {
    ...{ output: true, default: "bridge" },
    host: ({ networkMode }) => ({ NetworkMode: networkMode }),
    tell: ({ HostConfig }) => HostConfig.NetworkMode ?? "",
  },
  networksAdvanced: { set: true, fields: { name: {}, aliases: strings } },
  ports: {
    set: true,
    fields: { internal: {}, external: { computed: true }, ip: { default: "0.0.0.0" }, protocol: { default: "tcp" } },
    body: ({ ports = [] }) => ({ ExposedPorts: Object.fromEntries(ports.map((port) => [portKey(port), {}])) }),
    host: ({ ports = [] }) => ({ PortBindings: portBindings(ports) }),
    tell: ({ NetworkSettings }) => publishedPorts(NetworkSettings.Ports),
  },
  readOnly: {
    default: false,
    host: ({ readOnly }) => ({ ReadonlyRootfs: readOnly }),
    tell: ({ HostConfig }) => HostConfig.ReadonlyRootfs ?? false,
  },
  removeVolumes: { output: true, default: true },
  restart: {
    ...{ default: "no", update: true, live: true },
    host: ({ restart = "no" }) => ({ RestartPolicy: { Name: restart } }),
    tell: ({ HostConfig }) => HostConfig.RestartPolicy?.Name ?? "no",
  },
  securityOpts: {
    ...{ computed: true, set: true },
    host: ({ securityOpts }) => ({ SecurityOpt: securityOpts }),
    tell: ({ HostConfig }) => listOf(HostConfig.SecurityOpt),
  },
  start: { output: true, default: true },
  tmpfs: { update: true, host: ({ tmpfs }) => ({ Tmpfs: tmpfs }), tell: ({ HostConfig }) => HostConfig.Tmpfs ?? null },
  ulimits: {
    set: true,
    fields: { name: {}, soft: {}, hard: {} },
    host: ({ ulimits }) => ({
      Ulimits: ulimits?.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    }),
    tell: ({ HostConfig: { Ulimits } }) =>
      (Ulimits ?? []).map(({ Name: name = "", Soft: soft = 0, Hard: hard = 0 }) => ({ name, soft, hard })),
  },
  volumes: {
    set: true,
    fields: { containerPath: {}, readOnly: {}, volumeName: {} },
    host: ({ volumes = [] }) => ({
      Binds: volumes.map(
        (each) => `${each.volumeName ?? ""}:${each.containerPath ?? ""}:${each.readOnly ? "ro" : "rw"}`,
      ),
    }),
  },
  wait: { default: false, update: true },
  waitTimeout: { default: 60, update: true },
};

const properties = Object.entries(containerProperties);

/** What Docker's API is asked for in POST /containers/create. */
export function createOptions(given: ContainerInputs): ContainerCreateOptions {
  const body = properties.map(([, property]) => property.body?.(given));
  const host = properties.map(([, property]) => property.host?.(given));
  return Object.assign({}, ...body, { HostConfig: Object.assign({}, ...host) as HostConfig }) as ContainerCreateOptions;
}

/** What Docker can change about a running container; undefined if nothing of that has changed. */
export function liveOptions(given: ContainerInputs, changed: (name: string) => boolean): HostConfig | undefined {
  const live = properties.filter(([, property]) => property.live);
  if (!live.some(([name]) => changed(name))) return undefined;
  return Object.assign({}, ...live.map(([, property]) => property.host?.(given))) as HostConfig;
}

/** What is kept about every container besides its properties: the bridge's version of the state, and 20 minutes for each operation. */
const META = JSON.stringify({
  "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0": { create: 1.2e12, delete: 1.2e12, update: 1.2e12 },
  schema_version: "2",
});

/** docker.Container's outputs: what Docker tells; the rest stays as the program put it. */
export function containerState(found: ContainerInspectInfo, before: Properties): Properties {
  const told = properties.flatMap(([name, { tell }]) => (tell ? [[name, tell(found, before)] as const] : []));
  return { ...before, ...Object.fromEntries(told), __meta: META, id: found.Id };
}

const MEBIBYTE = 1024 * 1024;

/** Docker's bytes of a program's mebibytes; -1 (unlimited) stays. */
function bytes(mebibytes = 0): number {
  return mebibytes > 0 ? mebibytes * MEBIBYTE : mebibytes;
}

function mebibytes(bytes = 0): number {
  return bytes > 0 ? Math.floor(bytes / MEBIBYTE) : bytes;
}

function listOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? [value] : [];
}

type Port = NonNullable<ContainerInputs["ports"]>[number];

function portKey({ internal, protocol = "tcp" }: Port): string {
  return `${internal}/${protocol}`;
}

function portBindings(ports: readonly Port[]): Record<string, { HostIp: string; HostPort: string }[]> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(ports, portKey)).map(([key, bound = []]) => [
      key,
      bound.map(({ ip = "", external = 0 }) => ({ HostIp: ip, HostPort: String(external) })),
    ]),
  );
}

/** Published ports by number; those that are only exposed are left out. */
function publishedPorts(published: ContainerInspectInfo["NetworkSettings"]["Ports"]): Value {
  return Object.entries(published)
    .map(([key, bindings]) => ({ internal: parseInt(key), protocol: key.split("/")[1] ?? "tcp", bindings }))
    .sort((a, b) => a.internal - b.internal)
    .flatMap(({ internal, protocol, bindings }) =>
      // Docker says null for a port that is exposed and not published; its types do not.
      ((bindings as typeof bindings | null) ?? []).map(({ HostIp, HostPort }) => ({
        internal,
        external: Number(HostPort),
        ip: HostIp,
        protocol,
      })),
    );
}

function networkDatas(networks: ContainerInspectInfo["NetworkSettings"]["Networks"]): Value {
  return Object.entries(networks).map(([networkName, endpoint]) => ({
    networkName,
    ipAddress: endpoint.IPAddress,
    ipPrefixLength: endpoint.IPPrefixLen,
    gateway: endpoint.Gateway,
    globalIpv6Address: endpoint.GlobalIPv6Address,
    globalIpv6PrefixLength: endpoint.GlobalIPv6PrefixLen,
    ipv6Gateway: endpoint.IPv6Gateway,
    macAddress: endpoint.MacAddress,
  }));
}

/** The image's, as the official plugin keeps it. */
function healthcheck(check: ContainerInspectInfo["Config"]["Healthcheck"]): Value {
  if (!check) return null;
  return {
    tests: check.Test ?? [],
    interval: goDuration(check.Interval),
    timeout: goDuration(check.Timeout),
    startPeriod: goDuration(check.StartPeriod),
    startInterval: goDuration(check.StartInterval),
    retries: check.Retries ?? 0,
  };
}

/** Nanoseconds, of a second or more, as Go prints them: "1m0s", "1.5s", "0s". */
function goDuration(nanoseconds = 0): string {
  const hours = Math.floor(nanoseconds / 3600e9);
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9);
  const seconds = `${(nanoseconds % 60e9) / 1e9}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
