import type { ContainerArgs } from "@pulumi/docker";
import type { Unwrap } from "@pulumi/pulumi";
import type { ContainerCreateOptions, EndpointSettings, HostConfig } from "dockerode";
import { parseDuration } from "./duration.ts";
import { toLabels } from "./labels.ts";

/** docker.Container's inputs, all known, with the defaults filled in. */
export type ContainerInputs = Unwrap<ContainerArgs> & { readonly name: string };

const MEBIBYTE = 1024 * 1024;

/** What Docker's API is asked for in POST /containers/create. */
export function createOptions(given: ContainerInputs): ContainerCreateOptions {
  if (given.command?.includes("")) throw new Error("values for command may not be empty");
  const { healthcheck } = given;
  return {
    name: given.name,
    platform: given.platform,
    Image: given.image,
    Hostname: given.hostname,
    Domainname: given.domainname,
    Tty: given.tty,
    OpenStdin: given.stdinOpen,
    StopSignal: given.stopSignal,
    StopTimeout: given.stopTimeout,
    Env: given.envs,
    Cmd: given.command,
    Entrypoint: given.entrypoints,
    User: given.user,
    WorkingDir: given.workingDir,
    Labels: toLabels(given.labels),
    ExposedPorts: Object.fromEntries((given.ports ?? []).map((port) => [portKey(port), {}])),
    Volumes: Object.fromEntries((given.volumes ?? []).flatMap(({ containerPath: path }) => (path ? [[path, {}]] : []))),
    Healthcheck: healthcheck && {
      Test: healthcheck.tests,
      Interval: nanoseconds(healthcheck.interval),
      Timeout: nanoseconds(healthcheck.timeout),
      StartPeriod: nanoseconds(healthcheck.startPeriod),
      StartInterval: nanoseconds(healthcheck.startInterval),
      Retries: healthcheck.retries,
    },
    HostConfig: hostConfig(given),
  };
}

function hostConfig(given: ContainerInputs): HostConfig {
  const securityOpts = given.securityOpts ?? [];
  return {
    Privileged: given.privileged,
    PublishAllPorts: given.publishAllPorts,
    RestartPolicy: { Name: given.restart ?? "no", MaximumRetryCount: given.maxRetryCount },
    Runtime: given.runtime,
    AutoRemove: given.rm,
    ReadonlyRootfs: given.readOnly,
    LogConfig: { Type: given.logDriver ?? "", Config: given.logOpts ?? {} },
    Mounts: (given.mounts ?? []).map(mount),
    Tmpfs: given.tmpfs,
    PortBindings: portBindings(given.ports),
    ExtraHosts: given.hosts?.map(({ host, ip }) => `${host}:${ip}`),
    Binds: (given.volumes ?? []).flatMap(bind),
    VolumesFrom: (given.volumes ?? []).flatMap(({ fromContainer }) => fromContainer ?? []),
    Ulimits: given.ulimits?.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    CapAdd: given.capabilities?.adds,
    CapDrop: given.capabilities?.drops,
    Devices: given.devices?.map(({ hostPath, containerPath, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath ?? hostPath,
      CgroupPermissions: permissions,
    })),
    Dns: given.dns,
    DnsOptions: given.dnsOpts,
    DnsSearch: given.dnsSearches,
    SecurityOpt: securityOpts.filter((option) => option !== "systempaths=unconfined"),
    ...(securityOpts.includes("systempaths=unconfined") && { MaskedPaths: [], ReadonlyPaths: [] }),
    ShmSize: bytes(given.shmSize),
    ...(given.cpus ? { NanoCpus: Number(given.cpus) * 1e9 } : { CpuPeriod: given.cpuPeriod, CpuQuota: given.cpuQuota }),
    NetworkMode: given.networkMode,
    UsernsMode: given.usernsMode,
    PidMode: given.pidMode,
    Sysctls: given.sysctls,
    IpcMode: given.ipcMode,
    GroupAdd: given.groupAdds,
    CgroupParent: given.cgroupParent,
    ...(given.cgroupnsMode && { CgroupnsMode: given.cgroupnsMode }),
    Init: given.init ?? false,
    StorageOpt: given.storageOpts,
    ...resources(given),
  };
}

/** The limits, which can also be changed while the container runs. */
export function resources(given: ContainerInputs) {
  return {
    CpuShares: given.cpuShares ?? 0,
    CpusetCpus: given.cpuSet ?? "",
    Memory: bytes(given.memory) ?? 0,
    MemoryReservation: bytes(given.memoryReservation) ?? 0,
    MemorySwap: bytes(given.memorySwap) ?? 0,
    BlkioDeviceReadBps: rates(given.deviceReadBps),
    BlkioDeviceReadIOps: rates(given.deviceReadIops),
    BlkioDeviceWriteBps: rates(given.deviceWriteBps),
    BlkioDeviceWriteIOps: rates(given.deviceWriteIops),
  };
}

function rates(devices: readonly { path: string; rate: number }[] | undefined) {
  return devices?.map(({ path, rate }) => ({ Path: path, Rate: rate }));
}

/** The networks that the container joins instead of Docker's own, each with its part of the configuration. */
export function endpoints(given: ContainerInputs): { network: string; settings: Partial<EndpointSettings> }[] {
  return (given.networksAdvanced ?? []).map((network) => ({
    network: network.name,
    settings: {
      Aliases: network.aliases ?? [],
      IPAMConfig: {
        ...(network.ipv4Address && { IPv4Address: network.ipv4Address }),
        ...(network.ipv6Address && { IPv6Address: network.ipv6Address }),
        ...(network.linkLocalIps && { LinkLocalIPs: network.linkLocalIps }),
      },
      ...(network.macAddress && { MacAddress: network.macAddress }),
      ...(network.driverOpts && {
        DriverOpts: Object.fromEntries(network.driverOpts.map((option) => keyAndValue(option))),
      }),
    },
  }));
}

/** "key=value" taken apart at its first "=" */
function keyAndValue(option: string): [string, string] {
  const [key = "", ...value] = option.split("=");
  return [key, value.join("=")];
}

/** Docker's bytes of a program's mebibytes; -1 (unlimited) stays. */
function bytes(mebibytes: number | undefined): number | undefined {
  return mebibytes !== undefined && mebibytes > 0 ? mebibytes * MEBIBYTE : mebibytes;
}

function nanoseconds(duration: string | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const parsed = parseDuration(duration);
  if (parsed === undefined) throw new Error(`${JSON.stringify(duration)} is not a duration (ms|s|m|h)`);
  return parsed;
}

type Port = NonNullable<ContainerInputs["ports"]>[number];

function portKey({ internal, protocol = "tcp" }: Port): string {
  return `${internal}/${protocol}`;
}

function portBindings(ports: readonly Port[] = []): Record<string, { HostIp: string; HostPort: string }[]> {
  const bindings = Object.groupBy(ports, portKey);
  return Object.fromEntries(
    Object.entries(bindings).map(([key, bound = []]) => [
      key,
      bound.map(({ ip = "", external = 0 }) => ({ HostIp: ip, HostPort: String(external) })),
    ]),
  );
}

type Volume = NonNullable<ContainerInputs["volumes"]>[number];

function bind({ fromContainer, containerPath, volumeName, hostPath, readOnly, selinuxRelabel }: Volume): string[] {
  if (!fromContainer && !containerPath) throw new Error("volume entry without container path or source container");
  if (fromContainer && containerPath) throw new Error("both a container and a path specified in a volume entry");
  const source = volumeName ?? hostPath;
  if (!source || !containerPath) return [];
  const mode = [readOnly ? "ro" : "rw", ...(selinuxRelabel ? [selinuxRelabel] : [])].join(",");
  return [`${source}:${containerPath}:${mode}`];
}

type Mount = NonNullable<ContainerInputs["mounts"]>[number];

function mount({ type, target, source, readOnly, bindOptions, volumeOptions, tmpfsOptions }: Mount) {
  return {
    Type: type as "bind" | "volume" | "tmpfs",
    Target: target,
    Source: source ?? "",
    ReadOnly: readOnly ?? false,
    ...(type === "bind" && bindOptions && { BindOptions: { Propagation: bindOptions.propagation as "rprivate" } }),
    ...(type === "volume" &&
      volumeOptions && {
        VolumeOptions: {
          NoCopy: volumeOptions.noCopy ?? false,
          Labels: toLabels(volumeOptions.labels),
          DriverConfig: { Name: volumeOptions.driverName ?? "", Options: volumeOptions.driverOptions ?? {} },
        },
      }),
    ...(type === "tmpfs" &&
      tmpfsOptions && { TmpfsOptions: { SizeBytes: tmpfsOptions.sizeBytes ?? 0, Mode: tmpfsOptions.mode ?? 0 } }),
  };
}
