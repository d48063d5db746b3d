import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

export interface SmokeTestArgs {
  /** The API, …/v1. */
  url: pulumi.Input<string>;
  apiKey: pulumi.Output<string> | undefined;
  /** The model name that the answer must have. */
  modelAlias: string;
  /** The digest that every replica must run. */
  image: pulumi.Input<string>;
  /**
   * The replicas' container ids. Undefined: they are not containers on this machine, and have been waited for already,
   * so one answer is enough.
   */
  replicaIds: pulumi.Input<string[]> | undefined;
  /** What such replicas are started from, because another version has to be asked as well. Undefined: the ids tell. */
  version?: pulumi.Input<string>;
  /** The load balancer: another one has to be asked as well. */
  loadBalancerId: pulumi.Input<string>;
  /** The gateways, if the target runs them in containers on this machine: other ones have to be asked as well. */
  gatewayIds?: pulumi.Input<string[]>;
  prompt: string;
  /** The exact answer expected. Undefined: any text passes. */
  answer: string | undefined;
}

/**
 * Asks a question through the load balancer after every change, until every replica has answered it, and fails the
 * update if no sensible answer comes: see commands/smokeTest.ts. A change of any of its arguments runs it again;
 * otherwise it does nothing.
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
          // In the environment, not on the command line; a secret in the state.
          ...(apiKey === undefined ? {} : { SMOKE_TEST_API_KEY: apiKey }),
        },
        // A failing question reports the cause on stderr; the answer is of no use as progress output.
        logging: "stderr",
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
