import * as pulumi from "@pulumi/pulumi";
import type { Registry, RegistryCredentials } from "./registry.ts";

export interface ExternalRegistryArgs {
  /** Host and repository, such as registry.example.com/team/bitnet-server. */
  repository: string;
  /** Undefined: what `docker login` has stored on this machine. The password becomes a Pulumi secret. */
  login: { username: string; password: string } | undefined;
}

/** A registry that exists already. It makes no resource: what is pushed there stays when the stack is destroyed. */
export class ExternalRegistry implements Registry {
  readonly repository: pulumi.Output<string>;
  readonly credentials: RegistryCredentials | undefined;

  constructor({ repository, login }: ExternalRegistryArgs) {
    this.repository = pulumi.output(repository);
    this.credentials = login && {
      server: pulumi.output(repository.slice(0, repository.indexOf("/"))),
      username: pulumi.output(login.username),
      password: pulumi.secret(login.password),
    };
  }
}
