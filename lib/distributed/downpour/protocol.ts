// What workers and servers say to each other. Messages between two ranks keep their order.

/** The meaning of a message, with its numbers and data. */
export const Kind = {
  /** Worker: what must be alike on all ranks, as text. It counts as the first fetch. */
  join: 1,
  /** Server: the worker takes part. */
  welcome: 2,
  /** Server: the worker does not fit. The text says why. */
  refused: 3,
  /** Worker: a sum of gradients. [version that was fetched, flags, indices of params without a gradient…] */
  push: 4,
  /** Server: the push was applied or dropped. */
  settled: 5,
  /** Worker: asks for the params. */
  fetch: 6,
  /** Server: its part of the params. [version] */
  params: 7,
  /** Worker: it pushes no more. */
  close: 8,
  /** Server: its part of the params, after the last push of all workers. */
  final: 9,
} as const;

/** Flags of a push. */
export const Flag = { fetch: 1, nonFinite: 2 } as const;

export const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
export const decode = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
