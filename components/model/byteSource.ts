import { open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { UserError } from "../errors.ts";

/** A local or remote file of which parts can be read. */
export interface ByteSource {
  /** The file's length in bytes, once something has been read; undefined if the server does not report it. */
  readonly size: number | undefined;
  /** The bytes from `start` up to, but not including, `end`; fewer if the file ends earlier. */
  read: (start: number, end: number) => Promise<Uint8Array>;
}

/** Creates the error for a source that cannot be read; it knows which setting names the source. */
export type Refuse = (wrong: string, right: string) => UserError;

/** How long to wait for a server. */
export interface Patience {
  /** Milliseconds without a byte after which an attempt is abandoned. Default: 10,000. */
  silence: number;
  /** Milliseconds before the second attempt, and twice as many before the third and last. Default: 500. */
  pause: number;
}

const DEFAULT_PATIENCE: Patience = { silence: 10_000, pause: 500 };
/** Total attempts, for faults that may pass: resets, silence, 429 and 5xx. */
const ATTEMPTS = 3;
/** Maximum milliseconds per attempt, even while the server keeps trickling: 2 MB at 17 kB/s. */
const LONGEST_ATTEMPT = 120_000;

/** @throws UserError if the file does not exist, is not a file, or may not be read */
export function fileSource(path: string, refuse: Refuse): ByteSource {
  let size: number | undefined;
  return {
    get size() {
      return size;
    },
    async read(start, end) {
      try {
        // Checked before opening, because opening a pipe would wait for a writer.
        const status = await stat(path);
        if (!status.isFile()) throw refuse("it is not a file", "the path of a GGUF file");
        size = status.size;
        await using file = await open(path);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, Math.min(end, size) - start)), {
          position: start,
        });
        return buffer.subarray(0, bytesRead);
      } catch (error) {
        const code = errorCode(error);
        if (code === "ENOENT") throw refuse("there is no such file", "the path of a GGUF file, or an http(s) URL");
        if (code === "EACCES") throw refuse("this user may not read the file", "a file that this user may read");
        throw error;
      }
    },
  };
}

interface Fault {
  wrong: string;
  right: string;
  /** Whether the same request may succeed a moment later. */
  passing: boolean;
}

/**
 * Reads with range requests. If a server ignores ranges, it reads up to what is needed and then disconnects.
 * @param token sent as a bearer token, but not to the host that a redirect leads to; no message shows it
 */
export function httpSource(
  url: URL,
  token: string | undefined,
  refuse: Refuse,
  patience = DEFAULT_PATIENCE,
): ByteSource {
  let size: number | undefined;
  return {
    get size() {
      return size;
    },
    async read(start, end) {
      for (let count = 1; ; count++) {
        const result = await askForRange(url, token, { start, end }, patience);
        if ("bytes" in result) {
          size = result.size;
          return result.bytes;
        }
        if (!result.passing || count === ATTEMPTS) throw refuse(result.wrong, result.right);
        await sleep(count * patience.pause);
      }
    },
  };
}

interface Range {
  start: number;
  end: number;
}

/** @returns the bytes, and the size of the whole file if the server reports it */
async function askForRange(
  url: URL,
  token: string | undefined,
  { start, end }: Range,
  patience: Patience,
): Promise<{ bytes: Uint8Array; size: number | undefined } | Fault> {
  const silence = new AbortController();
  const timer = setTimeout(() => {
    silence.abort(new DOMException("silence", "TimeoutError"));
  }, patience.silence);
  try {
    const response = await fetch(url, {
      headers: {
        Range: `bytes=${start}-${end - 1}`,
        "Accept-Encoding": "identity",
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
      signal: AbortSignal.any([silence.signal, AbortSignal.timeout(LONGEST_ATTEMPT)]),
    });
    // An empty file has no range to serve.
    if (response.status === 416) return { bytes: new Uint8Array(), size: 0 };
    const fault = statusFault(response.status, token !== undefined);
    if (fault !== undefined) {
      await response.body?.cancel();
      return fault;
    }
    const skip = response.status === 206 ? 0 : start;
    return { bytes: await part(response, skip, end - start, () => timer.refresh()), size: sizeOf(response) };
  } catch (error) {
    return networkFault(error, url, patience.silence);
  } finally {
    clearTimeout(timer);
  }
}

function sizeOf({ status, headers }: Response): number | undefined {
  const length = status === 206 ? headers.get("content-range")?.split("/")[1] : headers.get("content-length");
  return /^\d+$/.test(length ?? "") ? Number(length) : undefined;
}

/**
 * The file's SHA-256, if the server states it before it sends the file. Hugging Face does so for files in Git LFS
 * (HUGGINGFACE_HEADER_X_LINKED_ETAG in huggingface_hub's constants.py), in the response that redirects to the file.
 */
export async function publishedSum(url: URL, token: string | undefined): Promise<string | undefined> {
  const response = await fetch(url, {
    method: "HEAD",
    redirect: "manual",
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(DEFAULT_PATIENCE.silence),
  }).catch(() => undefined);
  return /^"?([0-9a-f]{64})"?$/.exec(response?.headers.get("x-linked-etag") ?? "")?.[1];
}

/** Reads `length` bytes of a response's body after the first `skip`, then disconnects. */
async function part(response: Response, skip: number, length: number, onBytes: () => void): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let position = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    onBytes();
    chunks.push(chunk.subarray(Math.max(0, skip - position), Math.max(0, skip + length - position)));
    position += chunk.length;
    if (position >= skip + length) break;
  }
  return Buffer.concat(chunks);
}

function statusFault(status: number, hasToken: boolean): Fault | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 401 || status === 403) {
    return {
      wrong: `the server refuses to give it (${status}): it is gated or private`,
      right: hasToken
        ? "a modelToken that may read it (on Hugging Face: also accept the model's terms on its page)"
        : "set modelToken to an access token: npm run pulumi -- config set --secret modelToken",
      passing: false,
    };
  }
  if (status === 404 || status === 410) {
    return { wrong: `the server has no such file (${status})`, right: "the address of a GGUF file", passing: false };
  }
  const passing = status === 429 || status >= 500;
  return { wrong: `the server answered with status ${status}`, right: "a server that gives the file", passing };
}

function networkFault(error: unknown, url: URL, silence: number): Fault {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = errorCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  if (reason === "redirect count exceeded") {
    return {
      wrong: "its redirects never end",
      right: "an address that leads to the file in at most 20 redirects",
      passing: false,
    };
  }
  if (cause instanceof Error && cause.name === "TimeoutError") {
    return { wrong: `${url.host} was silent for ${silence / 1000} s`, right: "a server that answers", passing: true };
  }
  const unreachable = ["ENOTFOUND", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"].includes(reason);
  return {
    wrong: `${unreachable ? `${url.host} cannot be reached` : `the connection to ${url.host} broke off`} (${reason})`,
    right: "in modelUrl, an address that this machine can reach or the path of a file that was downloaded elsewhere",
    passing: !unreachable || reason === "EAI_AGAIN",
  };
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
