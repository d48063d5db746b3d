/**
 * What helps where a message does not say it itself, by the message as docs/messages/collect.ts finds it. Writing the page
 * fails if one lacks, or is of a message that is gone.
 */
export const cures: Readonly<Record<string, string>> = {
  "… cannot be reached (…)":
    "what the message names: another base image, model, source or Pulumi CLI; or an open network",
  'output: "…" wrong: there is none of that name right: …': "one of the names in the message",
  "stack … is not up: npm run up -- --stack …": "the command in the message, or another `--stack`",
  "stack … has no containers on this machine":
    "on AWS: the log group of the stack's name; else `npm run up`, which starts them again",
  "bench was cancelled; parts that were through are kept": "the same command, with the names of the other parts",
  "cannot ask for confirmation without a terminal; nothing was removed right: …": "`--yes`",
  "nothing was removed": "the same command, answered with `y`",
  "stack … is destroyed, but Docker still has: …":
    "see with `docker ps --all` what uses it; remove that, then what the message names",
  "… was cancelled. Finished steps are kept; run the same command to continue.": "the same command",
  "service …: the deployment failed: …": "ECS's reason is in the message; mend that, and update again",
  "service …: the deployment failed: not finished after … s; ECS goes on with it":
    "wait, and update again; the service's events in AWS's console say what ECS waits for",
  "gateway … does not start: …": "its last lines are in the message: often a setting that this version refuses",
  "gateway … is not reached by the load balancer after … s: …":
    "`npm run logs`; a firewall between containers, or a machine that is too busy",
  "replica … does not start: …":
    "its last lines are in the message: often too little memory to lock, or an argument in `extraArgs` that the engine refuses",
  "replica … is not ready after … s: …": "a faster disk or CPU, or fewer replicas; its last lines are in the message",
  "smoke test: …": "what came instead of the answer is in the message; `npm run logs`, or another `smokeAnswer`",
  "it cannot be read (…)": "a path of a file that this user may read",
  "it holds no private key that can be used": "a private key in PEM, without a passphrase",
  "it holds no certificate": "a certificate in PEM, with the rest of its chain",
  "this setting has been replaced": "the setting that the message names",
  "there is no such setting": "the setting that the message suggests; [configuration.md](configuration.md) has all",
  "this is a setting of target aws, and this stack's target is …": "`pulumi config rm KEY`, or `target: aws`",
  "this is a setting of target docker, and this stack's target is …": "`pulumi config rm KEY`, or `target: docker`",
  'stack: "…" wrong: its outputs name no service of ECS right: a stack whose target is aws, after an `up` of this version: npm run verify-aws -- --stack NAME':
    "`npm run up` once with this version, or another `--stack`",
  "… stack …: … of … checks failed": "the line of each check that failed says what was seen",
  "lock of stack …: …": "if no command runs on that stack: `npm run pulumi -- cancel --yes --stack NAME`",
  "the load balancer does not take the certificate: …":
    "HAProxy's reason is in the message; the old certificate is still served. A key and a certificate that belong together",
  "failOnCritical is true:":
    "the message names the findings: a newer `baseImage`, or `failOnCritical: false` to be warned only",
};
