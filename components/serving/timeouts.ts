/**
 * Every timeout between a client and a replica, and in a replica's life, in seconds. They are in one place because they
 * depend on each other: test/unit/serving/timeouts.test.ts has the inequalities. Timeouts that the container applies by
 * itself, whoever starts it, have their defaults in docker/server/runtime.
 */

/**
 * The longest wait for a free slot, and for a replica's next byte. A slow first token must not be cut off: a prompt of
 * 4,096 tokens takes a replica with two cores half a minute (DESIGN.md's table: some 140 tokens a second).
 */
export const patience = 600;

/**
 * The longest wait for a plain answer, which is silent until it is whole: a free slot, the first token and all that follow.
 * The gateway has given up much earlier on an engine that writes nothing.
 */
export const wholeAnswer = 3600;

/** How long HAProxy keeps a client's idle connection open, unless something in front of it keeps it longer. */
export const keepAlive = 120;

/** How often HAProxy asks a replica for /health, how long it waits for the answer, and how many may fail. */
export const check = { interval: 1, timeout: 5, failures: 5 };

/** How often it asks the replica's entrypoint whether to send it requests (HAProxy's agent-check). */
export const agentInterval = 0.25;

/** How often it looks for new replicas, and how long it keeps one that DNS no longer knows. */
export const resolve = { interval: 1, obsolete: 5 };

/**
 * How long a replica keeps accepting requests after it was told to stop: until HAProxy is sure to have found the
 * replica that was started just before (one DNS query and one health check).
 */
export const drainDelay = 5;

/** How long a replica that was told to stop may take to finish its requests: as long as HAProxy waits. */
export const drainTimeout = patience;

/** How long Docker waits for a replica to stop: until it has drained and ended its server, which takes 2 s. */
export const replicaGrace = drainDelay + drainTimeout + 10;

/** How often HAProxy asks a gateway for /health, and how many answers may fail. */
export const gatewayCheck = { interval: 0.5, failures: 2 };

/** How long a gateway that was told to stop keeps running and reports the stop, so that HAProxy surely notices. */
export const gatewayDrainDelay = 2;

/** How long Docker waits for a gateway to stop: the gateway passes on what replicas may still send. */
export const gatewayGrace = gatewayDrainDelay + patience + 5;

/** How long an update waits until a gateway runs and HAProxy has found it. */
export const gatewayReadyTimeout = 60;

/** How long running requests may take to end when HAProxy itself is replaced; its port is closed meanwhile. */
export const haproxyGrace = 60;

/** How long a replica may take to load its model: a disk with 50 MB/s reads 10 GB in 200 s. */
export const loadTimeout = 300;

/** How long one short answer may take: a large model on two cores needs some time for it. */
export const answerTimeout = 300;

/** How long an update waits for a replica: it loads its model and answers one question before it is ready. */
export const readyTimeout = loadTimeout + answerTimeout;

/** How long the smoke test waits for replicas, which were waited for before, and for HAProxy to find them. */
export const settleTimeout = 120;
