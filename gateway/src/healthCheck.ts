/** Docker's HEALTHCHECK: ends with 0 if the gateway answers. */
async function answers(): Promise<boolean> {
  const url = `http://127.0.0.1:${process.env.PORT ?? "8080"}/health`;
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

void answers().then((healthy) => {
  process.exitCode = healthy ? 0 : 1;
});
