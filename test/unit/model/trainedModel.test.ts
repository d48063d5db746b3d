import { expect, test } from "vitest";
import { heldOut, trainedModel } from "../../data/trained/index.ts";
import { perplexityOf } from "./referenceEngine.ts";

test("plain arithmetic finds a trained model's perplexity where PyTorch did", async () => {
  const ratio = (await perplexityOf(trainedModel, heldOut.tokens)) / heldOut.perplexity;
  expect(Math.abs(ratio - 1), `${ratio} times PyTorch's`).toBeLessThan(0.001);
});
