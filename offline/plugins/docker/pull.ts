import { client, reason, unlessMissing } from "./client.ts";
import { parseReference, storedAuth } from "./registryAuth.ts";

/** Pulls an image unless it is there already. */
export async function ensureImage(image: string): Promise<void> {
  if (await unlessMissing(client().getImage(image).inspect())) return;
  try {
    await pull(image);
  } catch (error) {
    throw new Error(`unable to find or pull image ${image}: ${reason(error)}`);
  }
}

async function pull(image: string): Promise<void> {
  const { registry, repository, tag } = parseReference(image);
  const auth = registry && (await storedAuth(registry));
  // Without a tag Docker would pull every one there is.
  const exact = image.includes("@") || tag ? image : `${repository}:latest`;
  const stream = await client().pull(exact, { ...(auth && { authconfig: auth }) });
  await follow(stream);
}

/** A line of Docker's progress while it pulls or pushes. */
interface ProgressEvent {
  readonly status?: string;
  readonly progress?: string;
  readonly error?: string;
}

/** Reads a stream of Docker's progress to its end, handing each line to `show`; fails if the work did. */
export async function follow(
  stream: NodeJS.ReadableStream,
  show: (line: string) => void = () => undefined,
): Promise<void> {
  let failure: string | undefined;
  await new Promise<void>((resolve, reject) => {
    client().modem.followProgress(
      stream,
      (error) => {
        if (error) reject(error);
        else resolve();
      },
      ({ status = "", progress = "", error }: ProgressEvent) => {
        failure ??= error;
        if (status) show(`${status} ${progress}`.trim());
      },
    );
  });
  if (failure) throw new Error(failure);
}
