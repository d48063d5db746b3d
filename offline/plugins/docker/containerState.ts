import type { ContainerInspectInfo } from "dockerode";
import type { Properties, Value } from "../values.ts";
import type { ContainerInputs } from "./containerOptions.ts";
import { formatDuration } from "./duration.ts";

const MEBIBYTE = 1024 * 1024;

/** What is kept about every container besides its properties: the bridge's version of the state, and 20 minutes for each operation. */
const META = JSON.stringify({
  "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0": { create: 1.2e12, delete: 1.2e12, update: 1.2e12 },
  schema_version: "2",
});

interface Stopping {
  readonly StopSignal?: string;
  readonly StopTimeout?: number;
}

/** The part of docker.Container's outputs that Docker tells; the rest stays as the program put it. */
export function containerState(found: ContainerInspectInfo, before: Properties): Properties {
  const { Config: config, HostConfig: host, NetworkSettings: net, State: state } = found;
  const given = before as Partial<ContainerInputs>;
  // @types/dockerode 4.0.1 knows these two for images only.
  const { StopSignal: stopSignal = "", StopTimeout: stopTimeout = 0 } = config as Stopping;
  return {
    ...before,
    __meta: META,
    id: found.Id,
    name: found.Name.replace(/^\//, ""),
    image: given.image?.startsWith("sha256:") ? found.Image : config.Image,
    // A container that must run and does not shows as "must not run", so that the next update starts it.
    mustRun: state.Running ? (given.mustRun ?? true) : false,
    ...(!state.Running && { exitCode: state.ExitCode }),
    rm: host.AutoRemove ?? false,
    readOnly: host.ReadonlyRootfs ?? false,
    hostname: config.Hostname,
    domainname: config.Domainname,
    command: listOf(config.Cmd),
    entrypoints: listOf(config.Entrypoint),
    user: config.User,
    workingDir: config.WorkingDir,
    tty: config.Tty,
    stdinOpen: config.OpenStdin,
    stopSignal,
    stopTimeout,
    healthcheck: healthcheck(config.Healthcheck) ?? given.healthcheck ?? null,
    ...limits(host),
    capabilities: capabilities(host),
    dns: nonEmpty(listOf(host.Dns)),
    dnsOpts: nonEmpty(listOf(host.DnsOptions)),
    dnsSearches: nonEmpty(listOf(host.DnsSearch)),
    securityOpts: listOf(host.SecurityOpt),
    publishAllPorts: host.PublishAllPorts ?? false,
    restart: host.RestartPolicy?.Name ?? "no",
    maxRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0,
    init: host.Init ?? false,
    runtime: host.Runtime ?? "",
    platform: found.Platform,
    tmpfs: host.Tmpfs ?? null,
    hosts: listOf(host.ExtraHosts).map((entry) => ({ host: entry.split(":")[0] ?? "", ip: entry.split(":")[1] ?? "" })),
    ulimits: (host.Ulimits ?? []).map(({ Name: name = "", Soft: soft = 0, Hard: hard = 0 }) => ({ name, soft, hard })),
    privileged: host.Privileged ?? false,
    logDriver: host.LogConfig?.Type ?? "",
    logOpts: given.logOpts ? ((host.LogConfig?.Config ?? null) as Value) : null,
    storageOpts: host.StorageOpt ?? null,
    networkMode: host.NetworkMode ?? "",
    pidMode: host.PidMode ?? "",
    usernsMode: host.UsernsMode ?? "",
    sysctls: host.Sysctls ?? null,
    ipcMode: host.IpcMode ?? "",
    groupAdds: nonEmpty(listOf(host.GroupAdd)),
    bridge: "",
    ...((state.Running || given.mustRun !== false) && { ports: ports(net.Ports) }),
    networkDatas: Object.entries(net.Networks).map(([name, endpoint]) => ({
      networkName: name,
      ipAddress: endpoint.IPAddress,
      ipPrefixLength: endpoint.IPPrefixLen,
      gateway: endpoint.Gateway,
      globalIpv6Address: endpoint.GlobalIPv6Address,
      globalIpv6PrefixLength: endpoint.GlobalIPv6PrefixLen,
      ipv6Gateway: endpoint.IPv6Gateway,
      macAddress: endpoint.MacAddress,
    })),
  };
}

function limits(host: ContainerInspectInfo["HostConfig"]): Properties {
  return {
    memory: mebibytes(host.Memory),
    memoryReservation: mebibytes(host.MemoryReservation),
    memorySwap: mebibytes(host.MemorySwap),
    shmSize: mebibytes(host.ShmSize),
    cpuShares: host.CpuShares ?? 0,
    cpuSet: host.CpusetCpus ?? "",
    ...(host.NanoCpus && { cpus: String(host.NanoCpus / 1e9) }),
  };
}

/** A program's mebibytes of Docker's bytes; -1 (unlimited) stays. */
function mebibytes(bytes = 0): number {
  return bytes > 0 ? Math.floor(bytes / MEBIBYTE) : bytes;
}

function listOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? [value] : [];
}

function nonEmpty(values: string[]): string[] | null {
  return values.length > 0 ? values : null;
}

function capabilities({ CapAdd, CapDrop }: ContainerInspectInfo["HostConfig"]): Value {
  const [adds, drops] = [listOf(CapAdd), listOf(CapDrop)];
  return adds.length + drops.length > 0 ? { adds, drops } : null;
}

function healthcheck(check: ContainerInspectInfo["Config"]["Healthcheck"]): Properties | undefined {
  return (
    check && {
      tests: check.Test ?? [],
      interval: formatDuration(check.Interval ?? 0),
      timeout: formatDuration(check.Timeout ?? 0),
      startPeriod: formatDuration(check.StartPeriod ?? 0),
      startInterval: formatDuration(check.StartInterval ?? 0),
      retries: check.Retries ?? 0,
    }
  );
}

/** Published ports by number; those that are only exposed are left out. */
function ports(published: ContainerInspectInfo["NetworkSettings"]["Ports"]): Value {
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
