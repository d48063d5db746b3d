/** Docker's HEALTHCHECK: ends with 0 if the gateway answers. */
try {
  const response = await fetch(`http://127.0.0.1:${process.env.PORT ?? "8080"}/health`, {
    signal: AbortSignal.timeout(2_000),
  });
  process.exitCode = response.ok ? 0 : 1;
} catch {
  process.exitCode = 1;
}
