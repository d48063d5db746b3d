import { real, shapes, startFleet } from "../equipment/fleet.ts";
import { underLoad } from "../equipment/load.ts";
import type { Figure } from "../figures.ts";
import type { Workshop } from "../workshop.ts";

/** The default engine. */
const engine = "bitnet.cpp";

/** Of all clients together, but at least one of each: few enough for half an hour. */
const requestsOfAll = 6;

/** What many users at once get to see when a server answers several of them at a time instead of letting them wait. */
export async function* slots(workshop: Workshop): AsyncGenerator<Figure> {
  const cores = await workshop.twoCores();
  const image = await workshop.serverImage({ engine, optimize: true, size: workshop.options.size });
  for (const { replicas, name } of shapes) {
    for (const slots of [1, 2, 4]) {
      await using fleet = await startFleet(workshop, { image, cores, replicas, slots, balancers: { real } });
      const what = `${engine}, ${name}, ${slots} ${slots === 1 ? "slot" : "slots"}`;
      for (const clients of [1, 2, 4, 8, 16]) {
        yield* underLoad(workshop, fleet, what, clients, Math.ceil(requestsOfAll / clients));
      }
    }
  }
}
