import type { InstanceSpeed } from "./simulation.ts";

/** A question, and the seconds that are left of its prompt and of its answer where an instance has nothing else to do. */
export interface Question {
  readonly asked: number;
  reading: number;
  writing: number;
}

interface Instance {
  questions: Question[];
  /** Until when their progress is reckoned. */
  since: number;
}

/** Instances that share their time evenly among the questions in their slots, behind one queue. */
export class Fleet {
  /** From each question to its first token, in seconds. */
  readonly waits: number[] = [];
  /** The seconds of all slots that were in use. */
  slotSeconds = 0;
  readonly #speed: InstanceSpeed;
  readonly #instances: readonly Instance[];
  /** By instance: how many questions it has. */
  readonly #loads: Least;
  /** By instance: when the first of its answers ends. */
  readonly #ends: Least;
  readonly #queue: Question[] = [];

  constructor(replicas: number, speed: InstanceSpeed) {
    this.#speed = speed;
    this.#instances = Array.from({ length: replicas }, () => ({ questions: [], since: 0 }));
    this.#loads = new Least(replicas, 0);
    this.#ends = new Least(replicas, Infinity);
  }

  ask(question: Question): void {
    if (this.#loads.value < this.#speed.slots) this.#start(this.#loads.index, question, question.asked);
    else this.#queue.push(question);
  }

  /** Lets all answers end that do until then; a slot that is free takes the next question of the queue. */
  goTo(time: number): void {
    while (this.#ends.value <= time && this.#ends.value < Infinity) {
      const { index, value: now } = this.#ends;
      const instance = this.#advance(index, now);
      const ended = instance.questions.reduce((a, b) => (this.#left(a, instance) <= this.#left(b, instance) ? a : b));
      instance.questions = instance.questions.filter((each) => each !== ended);
      const next = this.#queue.shift();
      if (next === undefined) this.#plan(index);
      else this.#start(index, next, now);
    }
  }

  #start(index: number, question: Question, now: number): void {
    this.#advance(index, now).questions.push(question);
    this.#plan(index);
  }

  /** What an instance's questions have got since it was looked at last. */
  #advance(index: number, now: number): Instance {
    const instance = this.#at(index);
    const { questions, since } = instance;
    const many = questions.length;
    const together = this.#speed.sideBySide(many);
    for (const question of questions) {
      const share = (now - since) / many;
      const { reading } = question;
      question.reading = Math.max(0, reading - share);
      question.writing -= Math.max(0, share - reading) * together;
      if (reading === 0 || question.reading > 0) continue;
      const firstToken = since + many * (reading + 1 / (this.#speed.decode * together));
      this.waits.push(firstToken - question.asked);
    }
    this.slotSeconds += many * (now - since);
    instance.since = now;
    return instance;
  }

  #plan(index: number): void {
    const instance = this.#at(index);
    const { questions, since } = instance;
    this.#loads.set(index, questions.length);
    this.#ends.set(index, Math.min(...questions.map((question) => since + this.#left(question, instance))));
  }

  /** Seconds until a question is answered, if no other comes or goes. */
  #left({ reading, writing }: Question, { questions }: Instance): number {
    const many = questions.length;
    return many * (reading + writing / this.#speed.sideBySide(many));
  }

  #at(index: number): Instance {
    const instance = this.#instances[index];
    if (instance === undefined) throw new Error(`there is no instance ${index}`);
    return instance;
  }
}

/** Numbers, of which the least is always known: a tree, each of whose nodes has the place of the lesser of two. */
class Least {
  readonly #values: Float64Array;
  readonly #winners: Int32Array;
  readonly #leaves: number;

  constructor(count: number, initial: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(count, 2)));
    this.#values = new Float64Array(this.#leaves).fill(Infinity).fill(initial, 0, count);
    this.#winners = Int32Array.from({ length: 2 * this.#leaves }, (_, node) => node - this.#leaves);
    for (let node = this.#leaves - 1; node > 0; node--) this.#decide(node);
  }

  /** The place of the least. */
  get index(): number {
    return this.#winners[1] ?? 0;
  }

  get value(): number {
    return this.#values[this.index] ?? Infinity;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
    for (let node = (index + this.#leaves) >> 1; node > 0; node >>= 1) this.#decide(node);
  }

  #decide(node: number): void {
    const [left = 0, right = 0] = this.#winners.subarray(2 * node, 2 * node + 2);
    this.#winners[node] = (this.#values[left] ?? Infinity) <= (this.#values[right] ?? Infinity) ? left : right;
  }
}
