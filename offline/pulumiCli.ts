import { join } from "node:path";
import pulumi from "@pulumi/pulumi/package.json" with { type: "json" };
import { execa } from "execa";
import { tools } from "../cli/paths.ts";
import { onPath } from "../cli/requirements/onPath.ts";
import { UserError } from "../components/errors.ts";

/**
 * Builds the Pulumi CLI from the Go module proxy into .tools/bin: 3.5 minutes on 2 cores, 0.1 GB. Its version is the one
 * of @pulumi/pulumi; pulumi-cli/go.sum pins every module by its hash, and a unit test holds the two versions together.
 * @throws UserError if Go is not installed
 */
export async function buildPulumiCli(): Promise<void> {
  if (onPath("go").length === 0) {
    throw new UserError({
      key: "Pulumi CLI",
      wrong: "is not installed, its download cannot be reached, and there is no Go to build it with",
      right: "install Go 1.25 or newer, or put `pulumi` on PATH (www.pulumi.com/docs/install)",
    });
  }
  // The CLI prints this variable as its version; only the linker sets it.
  const version = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${pulumi.version}`;
  const target = ["-o", join(tools, "bin", "pulumi"), "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"];
  await execa("go", ["build", "-mod=mod", "-ldflags", `-s -w ${version}`, ...target], {
    cwd: join(import.meta.dirname, "pulumi-cli"),
  });
}
