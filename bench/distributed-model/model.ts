// The α-β model of a training step on p ranks: what messages, bytes, sums and the optimizer cost. Times are in seconds.

/** A network, or memory that threads share. */
export interface Network {
  /** Of one message. */
  readonly alpha: number;
  /** Of one byte. */
  readonly beta: number;
}

/** A model to train. */
export interface Work {
  /** Parameters. */
  readonly n: number;
  /** Forward and backward pass of a rank. */
  readonly compute: number;
}

/** Of one float that is added: estimated, for parts that stay in cache. */
const gamma = 0.25e-9;
/** Of one parameter in the optimizer's step. */
const stepEach = 0.35e-9;
/** Of one parameter in the step of a server, which a push of a worker causes. */
const serverStepEach = 0.5e-9;
/** Floats that travel at once: 25 MB. */
const bucketFloats = 6.25e6;

const rounds = (p: number): number => Math.ceil(Math.log2(p));

/** The ranks compare headers by a tree, up and down. */
const agreement = (p: number, { alpha }: Network): number => 2 * rounds(p) * alpha;

/** Halving and doubling: 2 log₂ p messages, 2 (p − 1)/p of the floats, and (p − 1)/p of them added. */
function allReduce(p: number, floats: number, { alpha, beta }: Network, bytes: number): number {
  const share = (p - 1) / p;
  return 2 * rounds(p) * alpha + 2 * share * floats * bytes * beta + share * floats * gamma;
}

function exchange(p: number, n: number, network: Network, bytes: number): number {
  if (p === 1) return 0;
  const buckets = Math.ceil(n / bucketFloats);
  return buckets * (agreement(p, network) + allReduce(p, n / buckets, network, bytes));
}

/** One step of DataParallel, without overlap of communication and backward pass. `bytes`: of a float that travels. */
export function dataParallel(p: number, { n, compute }: Work, network: Network, bytes = 4): number {
  return compute + exchange(p, n, network, bytes) + n * stepEach;
}

/** The same with the optimizer's state and step divided among the ranks: ZeRO-1. */
export function zero1(p: number, { n, compute }: Work, network: Network): number {
  return compute + exchange(p, n, network, 4) + (n * stepEach) / p;
}

/** How Downpour is set up. */
export interface Downpour {
  readonly servers: number;
  /** Steps from one push and fetch to the next. */
  readonly every: number;
}

/** One step of each of p Downpour workers: its own turn, or the servers' where these are slower. */
export function downpour(
  p: number,
  { n, compute }: Work,
  { alpha, beta }: Network,
  { servers, every }: Downpour,
): number {
  const turn = compute + (2 * (alpha * servers + 4 * n * beta)) / every;
  const part = n / servers;
  const served = (p * (2 * (alpha + 4 * part * beta) + part * serverStepEach)) / every;
  return Math.max(turn, served);
}

/** The share of a step in which a rank computes. */
export const efficiency = ({ compute }: Work, step: number): number => compute / step;
