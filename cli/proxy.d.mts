export declare function proxyVariables(
  env: NodeJS.ProcessEnv,
): Record<"NODE_USE_ENV_PROXY" | "NO_PROXY" | "no_proxy", string>;
