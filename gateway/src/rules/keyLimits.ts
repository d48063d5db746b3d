import type { ApiKey } from "../config.ts";
import { overloaded } from "../errors.ts";

/** How much of a limit is left. It refills evenly within a minute (a token bucket). */
class Allowance {
  private left: number;
  private filledAt = performance.now();
  readonly perMinute: number;

  constructor(perMinute: number) {
    this.perMinute = perMinute;
    this.left = perMinute;
  }

  /** May become negative: how many tokens an answer has is known afterwards. */
  take(amount: number): void {
    this.fill();
    this.left -= amount;
  }

  remaining(): number {
    this.fill();
    return Math.max(0, Math.floor(this.left));
  }

  /** Seconds until there are so many. */
  secondsUntil(amount: number): number {
    this.fill();
    return Math.max(0, (Math.min(amount, this.perMinute) - this.left) / (this.perMinute / 60));
  }

  private fill(): void {
    const now = performance.now();
    this.left = Math.min(this.perMinute, this.left + ((now - this.filledAt) / 60_000) * this.perMinute);
    this.filledAt = now;
  }
}

/** The limits of one key in one gateway. */
export class KeyUse {
  private readonly name: string;
  private readonly mostAtOnce: number;
  private readonly requests: Allowance | undefined;
  private readonly tokens: Allowance | undefined;
  private atOnce = 0;

  constructor({ name, limits }: ApiKey) {
    this.name = name;
    this.mostAtOnce = limits.concurrentRequests ?? Infinity;
    this.requests = limits.requestsPerMinute === undefined ? undefined : new Allowance(limits.requestsPerMinute);
    this.tokens = limits.tokensPerMinute === undefined ? undefined : new Allowance(limits.tokensPerMinute);
  }

  /**
   * Counts a request.
   * @throws ApiError 429 if it is one too many
   */
  begin(): void {
    if (this.atOnce >= this.mostAtOnce) this.refuse(`${this.mostAtOnce} requests at once`, 1);
    const wait = Math.max(this.requests?.secondsUntil(1) ?? 0, this.tokens?.secondsUntil(1) ?? 0);
    if (wait > 0) this.refuse(this.requests?.remaining() === 0 ? "requests per minute" : "tokens per minute", wait);
    this.requests?.take(1);
    this.atOnce++;
  }

  /** @param tokens read and written */
  end(tokens: number): void {
    this.tokens?.take(tokens);
    this.atOnce--;
  }

  /** OpenAI's x-ratelimit-… for what is limited. */
  headers(): Record<string, string> {
    return { ...allowanceHeaders("requests", this.requests), ...allowanceHeaders("tokens", this.tokens) };
  }

  private refuse(limit: string, seconds: number): never {
    const message = `Rate limit reached for the key ${this.name}: ${limit}. Try again in ${seconds.toFixed(1)} s.`;
    throw overloaded(message, Math.ceil(seconds), "rate_limit_exceeded", this.headers());
  }
}

function allowanceHeaders(name: string, allowance: Allowance | undefined): Record<string, string> {
  if (allowance === undefined) return {};
  return {
    [`x-ratelimit-limit-${name}`]: String(allowance.perMinute),
    [`x-ratelimit-remaining-${name}`]: String(allowance.remaining()),
    [`x-ratelimit-reset-${name}`]: `${allowance.secondsUntil(allowance.perMinute).toFixed(1)}s`,
  };
}
