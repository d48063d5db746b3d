import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

export interface SmokeTestArgs {
  /** The API, …/v1. */
  url: pulumi.Input<string>;
  apiKey: pulumi.Output<string> | undefined;
  /** The name that the answer must carry. */
  modelAlias: string;
  /** The digest that every replica must run. */
  image: pulumi.Input<string>;
  /**
   * The replicas' container ids. Undefined: they are no containers of this machine, and have been waited for already;
   * one answer is enough then.
   */
  replicaIds: pulumi.Input<string[]> | undefined;
  /** What such replicas are started from: another version has to be asked as well. Undefined: the ids tell. */
  version?: pulumi.Input<string>;
  /** Another load balancer has to be asked as well. */
  loadBalancerId: pulumi.Input<string>;
  /** And so have other gateways, where the target has them in containers of this machine. */
  gatewayIds?: pulumi.Input<string[]>;
  prompt: string;
  /** The exact answer expected; undefined: any text will do. */
  answer: string | undefined;
}

/**
 * Asks a question through the load balancer after every change, until every replica has answered it, and fails the update if no sensible answer comes:
 * see commands/smokeTest.ts. A change of anything that it is given runs it again; otherwise it does nothing.
 */
export class SmokeTest extends pulumi.ComponentResource {
  constructor(name: string, args: SmokeTestArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:SmokeTest", name, {}, opts);
    const { apiKey, ...open } = args;
    new command.local.Command(
      name,
      {
        create: "node commands/smokeTest.ts",
        environment: {
          SMOKE_TEST: pulumi.jsonStringify(open),
          // In the environment, not on the command line, and a secret in the state.
          ...(apiKey === undefined ? {} : { SMOKE_TEST_API_KEY: apiKey }),
        },
        // The question fails with what went wrong on stderr; the answer is of no use as progress.
        logging: "stderr",
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
