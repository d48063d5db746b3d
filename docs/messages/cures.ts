/**
 * The cures for messages that do not contain one, keyed by the message as docs/messages/collect.ts finds it. Writing
 * the page fails if a cure is missing, or if its message no longer exists.
 */
export const cures: Readonly<Record<string, string>> = {
  "… cannot be reached (…)":
    "use another base image, model, source or Pulumi CLI, whichever the message names; or open the network",
  'output: "…" wrong: there is none of that name right: …': "use one of the names in the message",
  "stack … is not up: npm run up -- --stack …": "run the command in the message, or choose another `--stack`",
  "stack … has no containers on this machine":
    "on AWS, see the log group with the stack's name; otherwise run `npm run up`, which starts them again",
  "bench was cancelled; parts that were through are kept": "run the same command with the names of the other parts",
  "cannot ask for confirmation without a terminal; nothing was removed right: …": "add `--yes`",
  "nothing was removed": "run the same command and answer `y`",
  "stack … is destroyed, but Docker still has: …":
    "find what uses it with `docker ps --all`; remove that, then what the message names",
  "… was cancelled. Finished steps are kept; run the same command to continue.": "run the same command",
  "service …: the deployment failed: …": "the message has ECS's reason; fix that, and update again",
  "service …: the deployment failed: not finished after … s; ECS goes on with it":
    "wait, and update again; the service's events in the AWS console show what ECS is waiting for",
  "gateway … does not start: …": "its last log lines are in the message: often this version refuses a setting",
  "gateway … is not reached by the load balancer after … s: …":
    "see `npm run logs`; the cause may be a firewall between containers, or a machine that is too busy",
  "replica … does not start: …":
    "its last log lines are in the message: often too little memory to lock, or a refused argument in `extraArgs`",
  "replica … is not ready after … s: …":
    "use a faster disk or CPU, or fewer replicas; its last log lines are in the message",
  "smoke test: …":
    "the message shows what came instead of the answer; see `npm run logs`, or set another `smokeAnswer`",
  "it cannot be read (…)": "name a file that this user may read",
  "it holds no private key that can be used": "use a private key in PEM format, without a passphrase",
  "it holds no certificate": "use a certificate in PEM format, with the rest of its chain",
  "this setting has been replaced": "use the setting that the message names",
  "there is no such setting":
    "use the setting that the message suggests; [configuration.md](configuration.md) lists them all",
  "this is a setting of target aws, and this stack's target is …": "run `pulumi config rm KEY`, or set `target: aws`",
  "this is a setting of target docker, and this stack's target is …":
    "run `pulumi config rm KEY`, or set `target: docker`",
  'stack: "…" wrong: its outputs name no service of ECS right: a stack whose target is aws, after an `up` of this version: npm run verify-aws -- --stack NAME':
    "run `npm run up` once with this version, or choose another `--stack`",
  "… stack …: … of … checks failed": "the line of each failed check says what it saw",
  "lock of stack …: …": "if no command is running on that stack, run `npm run pulumi -- cancel --yes --stack NAME`",
  "the load balancer does not take the certificate: …":
    "see HAProxy's reason in the message; use a certificate with its own key. The old one is still served",
  "failOnCritical is true:":
    "the message names the findings; use a newer `baseImage`, or set `failOnCritical: false` to get warnings only",
};
