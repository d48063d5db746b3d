import { createHash } from "node:crypto";
import { cp, mkdtemp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { engineSource } from "../../../offline/engineSource.ts";

let folder: string;
/**
 * ik_llama.cpp's source as a closed network compiles it; of its commit that Dockerfile names, and of bitnet.cpp's, which no
 * package registry has, the lines that matter.
 */
let sources: Record<"ik_llama.cpp" | "ik_llama.cpp 8337e4c" | "bitnet.cpp", string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patches-"));
  sources = {
    "ik_llama.cpp": join(folder, "sdist"),
    "ik_llama.cpp 8337e4c": join(folder, "commit"),
    "bitnet.cpp": join(folder, "bitnet"),
  };
  await mkdir(sources["ik_llama.cpp"]);
  await execa("tar", ["-xzf", join(checkout, engineSource), "-C", sources["ik_llama.cpp"], "--strip-components=1"]);
  await writeExcerpt(sources["ik_llama.cpp 8337e4c"], commitExcerpt);
  await writeExcerpt(sources["bitnet.cpp"], bitnetExcerpt);
});

async function writeExcerpt(source: string, excerpt: Excerpt): Promise<void> {
  for (const [path, lines] of Object.entries(excerpt)) {
    const file = join(source, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, lines.join("\n"));
  }
}

afterAll(async () => {
  await rm(folder, { recursive: true });
});

type Excerpt = Readonly<Record<string, readonly string[]>>;

const loop = (end: string) => `        for (int k1 = 0; k1 < ${end}/k_step; ++k1) {`;
const commitExcerpt: Excerpt = {
  ...Object.fromEntries(
    ["192_128", "192_192", "320_256", "512_512", "576_512"].map((heads) => [
      `ggml/src/iqk/fa/iqk_fa_${heads}.cpp`,
      [`IQK_FA_CASE(iqk_fa_${heads}) {`, "    return true;", "}", ""],
    ]),
  ),
  "ggml/src/iqk/iqk_gemm_1bit.cpp": ["            auto bits_h = _mm512_loadu_si512((const __m512i *)iq2h + ib);", ""],
  "ggml/src/iqk/iqk_gemm_kquants.cpp": [
    "bool iqk_set_kernels_kquants(int ne00, int typeA) {",
    "            IQK_SET_MUL_MAT_FUNCTIONS_T(mul_mat_qY_K_q8_2_X4_T, DequantizerQ6K_AVX2, kernels);",
    "",
  ],
  "ggml/src/iqk/iqk_flash_attn.cpp": ["    if (type_q != 0 || type_mask != 1 || max_bias > 0) return false;", ""],
  "ggml/src/iqk/fa/iqk_fa_templates.h": [
    "inline int mask_effective_nk1(const char * mask, int n_rows, int stride_m, int nk1, int k_step) {",
    "struct BaseHelper {",
    loop("nk1_eff"),
    loop("nk1"),
    "",
  ],
  "src/llama.cpp": ["                auto max_cell = llama_kv_cache_cell_max(kv_self, pad);", ""],
  "common/sampling.cpp": ["        llama_free_adaptive_p(ctx->adapt_p_ctx);", ""],
  "examples/server/server-context.cpp": [
    "        {  // apply logit bias",
    "    batch_pending_prompt(n_ubatch, n_batch, batch_type); // Prepare batch for prompt process",
    "",
  ],
  "examples/server/server-task.h": ["struct server_task_result {", ""],
  "examples/server/server-queue.cpp": ["        waiting_task_ids.erase(id_task);", ""],
  "examples/server/server.cpp": [
    "                    if (rd->any_task_on_slot()) llama_decode_stop(); // cancel-cascade fix",
    '        {"model", json_value(request, "model", std::string(DEFAULT_OAICOMPAT_MODEL))},',
    "",
  ],
};

const bitnetExcerpt: Excerpt = {
  "src/ggml-bitnet-mad.cpp": ["        int8_t * y_col = y + col * by;", ""],
  "3rdparty/llama.cpp/ggml/src/ggml.c": [
    "static void ggml_compute_forward_mul_mat(",
    "                float tmp[(src0_end - src0_start)*(ne11 - ne11 % 4)];",
    "",
  ],
  "3rdparty/llama.cpp/src/llama.cpp": [
    '    } else if (tmpl_contains("BITNET")) {',
    "                ss << message->content;",
    "            } else {",
    "    } else {",
    "        // template not supported",
    "",
  ],
  "3rdparty/llama.cpp/examples/server/utils.hpp": [
    '        {"model", json_value(request, "model", std::string(DEFAULT_OAICOMPAT_MODEL))},',
    "",
  ],
};

const server = /json_value\((request|data), "model", std::string\((DEFAULT_OAICOMPAT_MODEL)?\)\)/g;
const kquants = "ggml/src/iqk/iqk_gemm_kquants.cpp";
const attention = "ggml/src/iqk/fa/iqk_fa_templates.h";
/** For each patch: where it applies, and what it looks for there. */
const patches: readonly [engine: keyof typeof sources, name: string, paths: string[], what: RegExp][] = [
  ["ik_llama.cpp", "no-heads-of-192_128", ["ggml/src/iqk/fa/iqk_fa_192_128.cpp"], /^IQK_FA_CASE/gm],
  ["ik_llama.cpp", "no-heads-of-576_512", ["ggml/src/iqk/fa/iqk_fa_576_512.cpp"], /^IQK_FA_CASE/gm],
  ["ik_llama.cpp", "other-heads-to-ggml", ["ggml/src/iqk/iqk_flash_attn.cpp"], /type_mask != 1/g],
  ["ik_llama.cpp", "own-logit-bias", ["examples/server/server-context.cpp"], /apply logit bias$/gm],
  ["ik_llama.cpp", "short-steps-beside-others", ["examples/server/server-context.cpp"], /batch_pending_prompt\(n_ub/g],
  ["ik_llama.cpp", "answers-under-alias", ["examples/server/server.cpp"], server],
  ["ik_llama.cpp", "every-rows-keys", [attention], /auto Mc = /g],
  ["ik_llama.cpp", "free-samplers", ["src/llama-sampling.cpp"], /llama_init_adaptive_p_impl\(/g],
  ["ik_llama.cpp", "free-samplers", ["common/sampling.cpp"], /^void common_sampler_free/gm],
  ["ik_llama.cpp", "every-used-cell", ["src/llama.cpp"], /llama_kv_cache_cell_max\(kv_self, pad\)/g],
  ["ik_llama.cpp", "others-go-on", ["examples/server/server.cpp"], /llama_decode_stop\(\);/g],
  ["ik_llama.cpp", "skip-hidden-keys", [attention], /^struct BaseHelper/gm],
  ["ik_llama.cpp", "skip-hidden-keys", [attention], /k1 < (ik|nk1_eff)\//g],
  ["ik_llama.cpp", "skip-hidden-keys", [attention], /k1 < nk1\//g],
  ["ik_llama.cpp", "free-answers", ["examples/server/server-task.h"], /^struct server_task_result \{/gm],
  ["ik_llama.cpp", "free-unread-answers", ["examples/server/server-queue.cpp"], /waiting_task_ids\.erase/g],
  ["ik_llama.cpp", "fetch-ahead", ["ggml/src/iqk/iqk_gemm_1bit.cpp"], /auto bits_h = _mm512/g],
  ["ik_llama.cpp", "q6-k-columns", [kquants], /^bool iqk_set_kernels/gm],
  ["ik_llama.cpp", "q6-k-columns", [kquants], /mul_mat_qY_K_q8_2_X4_T, Deq/g],
  ["ik_llama.cpp 8337e4c", "every-used-cell", ["src/llama.cpp"], /llama_kv_cache_cell_max\(kv_self, pad\)/g],
  ["ik_llama.cpp 8337e4c", "others-go-on", ["examples/server/server.cpp"], /llama_decode_stop\(\);/g],
  [
    "ik_llama.cpp 8337e4c",
    "short-steps-beside-others",
    ["examples/server/server-context.cpp"],
    /batch_pending_prompt\(n_ub/g,
  ],
  ["ik_llama.cpp 8337e4c", "skip-hidden-keys", [attention], /^struct BaseHelper/gm],
  ["ik_llama.cpp 8337e4c", "skip-hidden-keys", [attention], /k1 < (ik|nk1_eff)\//g],
  ["ik_llama.cpp 8337e4c", "skip-hidden-keys", [attention], /k1 < nk1\//g],
  ["ik_llama.cpp 8337e4c", "free-answers", ["examples/server/server-task.h"], /^struct server_task_result \{/gm],
  ["ik_llama.cpp 8337e4c", "free-unread-answers", ["examples/server/server-queue.cpp"], /waiting_task_ids\.erase/g],
  ["ik_llama.cpp 8337e4c", "fetch-ahead", ["ggml/src/iqk/iqk_gemm_1bit.cpp"], /auto bits_h = _mm512/g],
  ["ik_llama.cpp 8337e4c", "q6-k-columns", [kquants], /^bool iqk_set_kernels/gm],
  ["ik_llama.cpp 8337e4c", "q6-k-columns", [kquants], /mul_mat_qY_K_q8_2_X4_T, Deq/g],
  ["bitnet.cpp", "const-y-col", ["src/ggml-bitnet-mad.cpp"], /int8_t/g],
  ["bitnet.cpp", "products-on-heap", ["3rdparty/llama.cpp/ggml/src/ggml.c"], /float tmp/g],
  ["bitnet.cpp", "products-on-heap", ["3rdparty/llama.cpp/ggml/src/ggml.c"], /^static void/gm],
  ["bitnet.cpp", "trained-template", ["3rdparty/llama.cpp/src/llama.cpp"], /message->content/g],
  ["bitnet.cpp", "trained-template", ["3rdparty/llama.cpp/src/llama.cpp"], /^ {12}\} else/gm],
  ["bitnet.cpp", "answers-under-alias", ["3rdparty/llama.cpp/examples/server/utils.hpp"], server],
];

async function patch(engine: string, source: string, tested: boolean) {
  const script = join(checkout, "docker/server/build/patch-engine.sh");
  const env = { ENGINE: engine.split(" ", 1)[0] };
  return execa("bash", [script, source, String(tested)], { env, all: true, reject: false });
}

/** A copy of what the patches look at, without the patch's target. */
async function mutilated(engine: keyof typeof sources, paths: readonly string[], what: RegExp): Promise<string> {
  const copy = await mkdtemp(join(folder, "mutilated-"));
  for (const part of ["ggml/src/iqk", "examples/server", "common", "src", "3rdparty"]) {
    const isThere = (await readdir(join(sources[engine], part)).catch(() => [])).length > 0;
    if (isThere) await cp(join(sources[engine], part), join(copy, part), { recursive: true });
  }
  for (const path of paths) {
    const text = await readFile(join(copy, path), "utf8");
    expect(text).toMatch(what);
    await writeFile(join(copy, path), text.replaceAll(what, "another"));
  }
  return copy;
}

test.each(["ik_llama.cpp", "ik_llama.cpp 8337e4c", "bitnet.cpp"] as const)(
  "every patch applies to %s's source",
  async (engine) => {
    const { exitCode, all } = await patch(engine, await mutilated(engine, [], /$/), true);
    expect(exitCode, all).toBe(0);
    expect(all).not.toContain("warning");
  },
);

describe("a patch that finds nothing to change", () => {
  test.each(patches)("in the tested %s ends the build with its name: %s", async (engine, name, paths, what) => {
    const { exitCode, all } = await patch(engine, await mutilated(engine, paths, what), true);
    expect(exitCode).toBe(1);
    expect(all).toContain(`the patch ${name} does not apply`);
  });

  test.each(patches)("in another %s is a warning with its name: %s", async (engine, name, paths, what) => {
    const { exitCode, all } = await patch(engine, await mutilated(engine, paths, what), false);
    expect(exitCode, all).toBe(0);
    expect(all).toContain(`warning: engine: the patch ${name} does not apply`);
  });
});

test("the source that a closed network compiles is the tested one, so that a patch that is lost ends its build", async () => {
  const root = sources["ik_llama.cpp"];
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const paths = files.map((path) => `./${path.slice(root.length + 1)}`);
  const list = createHash("sha256");
  for (const path of paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    const content = await readFile(join(root, path));
    list.update(`${createHash("sha256").update(content).digest("hex")}  ${path}\n`);
  }
  const script = await readFile(join(checkout, "docker/server/build/fetch-engine.sh"), "utf8");
  expect(script).toContain(`tested_tree=${list.digest("hex")}\n`);
});
