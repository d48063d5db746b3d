/**
 * Run by the image scan's command: waits until ECR has scanned the images that were pushed, and prints a line for each
 * CRITICAL finding, and for each image whose findings cannot be known. If IMAGE_SCAN's `failOnCritical` is true, a finding is
 * an error.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DescribeImageScanFindingsCommand, ECRClient } from "@aws-sdk/client-ecr";
import { z } from "zod";
import type { ScanAnswer } from "../components/aws/scanFindings.ts";
import { criticalFindings, scanState } from "../components/aws/scanFindings.ts";

const { region, repository, images, failOnCritical } = z
  .object({ region: z.string(), repository: z.string(), images: z.array(z.string()), failOnCritical: z.boolean() })
  .parse(JSON.parse(process.env.IMAGE_SCAN ?? "{}"));
/** Seconds; shorter in tests. */
const interval = Number(process.env.AWAIT_INTERVAL ?? 10);
/** Seconds that ECR may take for a scan, because images have gigabytes. */
const timeout = 1200;
/** Seconds until a scan must have begun: the account's scanning rules may leave out the repository. */
const beginning = 120;
const ecr = new ECRClient({ region });

const began = Date.now();
const lines = (await Promise.all(images.map((image) => report(image)))).flat();
if (failOnCritical && lines.some((line) => line.startsWith("CRITICAL "))) {
  console.error(["failOnCritical is true:", ...lines].join("\n"));
  process.exitCode = 1;
} else {
  for (const line of lines) console.log(line);
}

async function report(image: string): Promise<string[]> {
  const imageDigest = image.slice(image.indexOf("@") + 1);
  try {
    return (await findingsOf(imageDigest)).map((finding) => `CRITICAL ${finding}: image ${image}`);
  } catch (error) {
    return [`what ECR's scan found in ${image} is not known: ${(error as Error).message}`];
  }
}

async function findingsOf(imageDigest: string): Promise<string[]> {
  for (;;) {
    const answer = await look(imageDigest);
    const scan = scanState(answer);
    if (scan.state === "done") return [...criticalFindings(answer), ...(await further(imageDigest, answer.nextToken))];
    if (scan.state === "unknown") throw new Error(scan.why);
    const seconds = (Date.now() - began) / 1000;
    if (answer.imageScanStatus === undefined && seconds >= beginning)
      throw new Error(`no scan has begun within ${beginning} s`);
    if (seconds >= timeout) throw new Error(`it has not ended after ${timeout} s`);
    await sleep(interval * 1000);
  }
}

/** The findings that did not fit into the first answer. */
async function further(imageDigest: string, nextToken: string | undefined): Promise<string[]> {
  if (nextToken === undefined) return [];
  const answer = await look(imageDigest, nextToken);
  return [...criticalFindings(answer), ...(await further(imageDigest, answer.nextToken))];
}

/** ECR does not find a scan that it has not begun yet. */
async function look(imageDigest: string, nextToken?: string): Promise<ScanAnswer & { nextToken?: string | undefined }> {
  const question = { repositoryName: repository, imageId: { imageDigest }, nextToken, maxResults: 1000 };
  try {
    return await ecr.send(new DescribeImageScanFindingsCommand(question));
  } catch (error) {
    if ((error as Error).name === "ScanNotFoundException") return {};
    throw error;
  }
}
