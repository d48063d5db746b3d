import { UserError } from "../../components/errors.ts";

/** Runs what must fail with a user's mistake, and gives the mistake. Anything else, success too, fails the test. */
export function userErrorOf(run: () => unknown): UserError {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("a UserError was expected, and nothing was thrown");
}
