import { expect, test } from "vitest";
import { duration } from "../../../cli/duration.ts";
import { Progress } from "../../../cli/progress.ts";

/** A terminal that keeps what was written, and a clock that stands still until it is moved. */
function screen(isTTY: boolean) {
  const state = { text: "", time: 0 };
  const terminal = { isTTY, columns: 60, write: (text: string) => (state.text += text) };
  return { state, progress: new Progress(terminal, () => state.time) };
}

test.each([
  [999, "0s"],
  [59_999, "59s"],
  [130_000, "2m10s"],
  [3_900_000, "1h05m"],
])("%i ms are told as %s", (milliseconds, told) => {
  expect(duration(milliseconds)).toBe(told);
});

test("a log gets a line when a step begins and one when it ends, with the time that it took", () => {
  const { state, progress } = screen(false);
  progress.start("a", "image: building");
  state.time = 130_000;
  progress.finish("a", "image: built");
  progress.stop();
  expect(state.text).toBe("  image: building …\n✓ image: built (2m10s)\n");
});

test("a terminal's last line says what runs, for how long, and the newest of its output, cut to the width", () => {
  const { state, progress } = screen(true);
  progress.start("a", "image: building");
  state.time = 65_000;
  progress.detail("a", "[ 45%] Building CXX object a/very/long/name/that/does/not/fit.cpp.o");
  progress.note("a note");
  const last = state.text.split("\n").at(-1)?.split("\u001b[2K").at(-1) ?? "";
  expect(last).toMatch(/^… image: building \(1m05s\) \[ 45%\] Building/);
  expect(last).toHaveLength(59);
  progress.stop();
});

test("a terminal's last line is gone when nothing runs any more", () => {
  const { state, progress } = screen(true);
  progress.start("a", "network: creating");
  progress.fail("a", "network: creating failed");
  progress.stop();
  expect(state.text.endsWith("\r\u001b[2K✗ network: creating failed\n")).toBe(true);
});

test("work that throws is a step that failed", async () => {
  const { state, progress } = screen(false);
  await expect(progress.run("tool: installing", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(state.text).toContain("✗ tool: installing\n");
  progress.stop();
});

test("a user who is there is asked, and the running steps are not drawn over the question", async () => {
  const { state, progress } = screen(true);
  progress.start("a", "network: creating");
  progress.question = (text) => {
    progress.note(text);
    expect(state.text.endsWith(`${text}\n`)).toBe(true);
    return Promise.resolve(false);
  };
  expect(await progress.agree("Install it?")).toBe(false);
  progress.stop();
});

test("where nobody is asked, the answer is yes", async () => {
  expect(await screen(false).progress.agree("Install it?")).toBe(true);
});
