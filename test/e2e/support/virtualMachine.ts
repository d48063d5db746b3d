import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { checkout } from "../../../cli/paths.ts";
import { onPath } from "../../../cli/requirements/onPath.ts";
import { freePort } from "./net.ts";

/** A real Linux machine: its own kernel, systemd, cgroup v2, and a Docker Engine that has every capability. */
export interface Machine {
  /** Runs a shell command as root; never throws for its exit code. `input` is the command's standard input. */
  exec(command: string, input?: string): Promise<{ stdout: string; stderr: string; exitCode: number }>;
  /** Copies a file or folder of this machine into the virtual one. */
  copyIn(local: string, remote: string): Promise<void>;
  /** Loads an image of this machine's Docker Engine into the virtual one's. */
  loadImage(name: string): Promise<void>;
  /** Switches it off; everything that it wrote is gone. */
  stop(): Promise<void>;
}

// Debian 13: its Docker Engine is 26.1, and its docker-compose is version 2, the `docker compose` plugin.
const suite = "trixie";
const packages = [
  ...["linux-image-cloud-amd64", "systemd-sysv", "dbus", "cloud-init", "iproute2", "openssh-server"],
  ...["docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates", "curl"],
];
// cloud-init configures networkd, but leaves switching it on to the image.
const networking = 'chroot "$1" systemctl enable systemd-networkd';
const tools = ["mmdebstrap", "mke2fs", "qemu-system-x86_64", "cloud-localds", "ssh"];
// Emulated, it took 35 to 60 s on two cores of 2022; the limit leaves room for a machine that does something else too.
const bootLimitSeconds = 600;

/** Why a virtual machine cannot be had here; undefined where it can. Missing packages are a failure, not a reason. */
export function noVirtualMachineBecause(): string | undefined {
  if (process.getuid?.() !== 0) return "the virtual machine's root file system can only be made by root";
  if (!existsSync("/etc/debian_version")) return "the virtual machine is made of Debian's packages, on Debian";
  return undefined;
}

/** Boots a machine, and builds its disk first if no earlier run did: a minute to boot, two more to build. */
export async function startMachine(): Promise<Machine> {
  const disk = await machineDisk();
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-machine-"));
  const key = join(folder, "key");
  const console = join(folder, "console.log");
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  const seed = await makeSeed(folder, await readFile(`${key}.pub`, "utf8"));

  const port = await freePort();
  const qemu = execa(
    "qemu-system-x86_64",
    [
      // KVM is not to be relied on: nested, it may be there and hang.
      ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096M"],
      ...["-kernel", join(disk, "vmlinuz"), "-initrd", join(disk, "initrd.img")],
      ...["-append", "root=/dev/vda rw console=ttyS0 ds=nocloud"],
      ...["-drive", `file=${join(disk, "root.ext4")},format=raw,if=virtio,snapshot=on`],
      ...["-drive", `file=${seed},format=raw,if=virtio,read-only=on`],
      ...["-netdev", `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:22`, "-device", "virtio-net-pci,netdev=net"],
      ...["-display", "none", "-monitor", "none", "-serial", `file:${console}`],
    ],
    { reject: false, cleanup: true },
  );

  const options = ["-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
  options.push("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15");
  const ssh = ["ssh", ...options, "-p", String(port), "root@127.0.0.1"] as const;
  const [program, ...sshArguments] = ssh;

  const machine: Machine = {
    async exec(command, input) {
      const result = await execa(program, [...sshArguments, command], { reject: false, input: input ?? "" });
      return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode ?? 255 };
    },
    async copyIn(local, remote) {
      await execa("scp", [...options, "-q", "-r", "-P", String(port), local, `root@127.0.0.1:${remote}`]);
    },
    async loadImage(name) {
      await execa("docker", ["save", name], { buffer: false }).pipe(program, [...sshArguments, "docker load --quiet"]);
    },
    async stop() {
      qemu.kill("SIGKILL");
      await qemu;
      await rm(folder, { recursive: true, force: true });
    },
  };

  const ended = qemu.then(({ stderr }) => `qemu ended: ${stderr}`);
  const failed = await Promise.race([ended, ready(machine)]);
  if (failed === undefined) return machine;
  const last = (await readFile(console, "utf8")).slice(-2000);
  await machine.stop();
  throw new Error(`the virtual machine did not start: ${failed}\nIts console ends:\n${last}`);
}

/** The disk that cloud-init reads. @returns its path */
async function makeSeed(folder: string, publicKey: string): Promise<string> {
  const own = { disable_root: false, users: [], resize_rootfs: false, ssh_authorized_keys: [publicKey] };
  const files = {
    "user-data": "",
    "meta-data": JSON.stringify({ "instance-id": "test", "local-hostname": "test" }),
    "vendor-data": `#cloud-config\n${JSON.stringify(own)}\n`,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const seed = join(folder, "seed.img");
  await execa("cloud-localds", ["--vendor-data=vendor-data", seed, "user-data", "meta-data"], { cwd: folder });
  return seed;
}

/** Waits until Docker answers in the machine; otherwise what is wrong. */
async function ready(machine: Machine): Promise<string | undefined> {
  const start = Date.now();
  while (Date.now() - start < bootLimitSeconds * 1000) {
    if ((await machine.exec("cloud-init status --wait >/dev/null; docker info")).exitCode === 0) return undefined;
    await sleep(500);
  }
  return `no answer within ${bootLimitSeconds} s`;
}

/** The folder with root.ext4, vmlinuz and initrd.img, made once per list of packages. */
async function machineDisk(): Promise<string> {
  const version = createHash("sha256")
    .update([suite, ...packages, networking].join("\n"))
    .digest("hex");
  const folder = join(checkout, ".tools/vm", version.slice(0, 12));
  if (existsSync(folder)) return folder;
  requireTools();
  const work = `${folder}.${String(process.pid)}`;
  try {
    await mkdir(work, { recursive: true });
    const root = join(work, "root");
    const options = ["--variant=apt", `--include=${packages.join(",")}`, `--customize-hook=${networking}`];
    await execa("mmdebstrap", [...options, "--format=directory", suite, root]);
    await execa("cp", ["--dereference", join(root, "vmlinuz"), join(root, "initrd.img"), work]);
    await execa("mke2fs", ["-q", "-t", "ext4", "-d", root, join(work, "root.ext4"), "16G"]);
    await rm(root, { recursive: true });
    await rename(work, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

function requireTools(): void {
  const missing = tools.filter((tool) => onPath(tool).length === 0);
  if (missing.length > 0) {
    const install = "apt-get install mmdebstrap e2fsprogs qemu-system-x86 cloud-image-utils openssh-client";
    throw new Error(`the virtual machine needs ${missing.join(", ")}: ${install}`);
  }
}
