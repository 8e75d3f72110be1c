// A hyper-thread shares its core's execution units with another. On a virtual machine, that one may belong to another tenant, and
// nothing here shows it: code that does not wait for memory takes up to twice as long meanwhile.

/** How often the core was looked at, and how often something else used it. */
export interface CoreUse {
  readonly looks: number;
  readonly shared: number;
}

const iterations = 50_000;
/** A look that takes this many times as long as the shortest one was on a shared core. */
const tolerance = 1.25;
const memory = new Int32Array(1024);
let shortest = Number.POSITIVE_INFINITY;
const use = { looks: 0, shared: 0 };

/** Keeps several units busy at once: loads, and additions that do not wait for each other. */
function busy(): void {
  let a = 1;
  let b = 2;
  let c = 3;
  let d = 4;
  for (let i = 0; i < iterations; i++) {
    a = (a + memory[i & 1023]!) | 0;
    b = (b ^ i) | 0;
    c = (c + 7) | 0;
    d = (d - i) | 0;
    a = (a ^ c) | 0;
    b = (b + d) | 0;
  }
  memory[0] = (a + b + c + d) | 0; // so that V8 cannot drop the loop
}

function secondsOfLook(): number {
  const start = performance.now();
  busy();
  return (performance.now() - start) / 1000;
}

/** Whether something else uses the core of this thread now. It takes a tenth of a millisecond. */
export function isCoreShared(): boolean {
  // V8 compiles the loop first.
  if (use.looks === 0) for (let i = 0; i < 1000; i++) shortest = Math.min(shortest, secondsOfLook());
  // The better of two: an interrupt is no neighbour.
  const taken = Math.min(secondsOfLook(), secondsOfLook());
  shortest = Math.min(shortest, taken);
  const isShared = taken > tolerance * shortest;
  use.looks++;
  if (isShared) use.shared++;
  return isShared;
}

/** All looks of this process; undefined if there were none, as with `--parts async`. */
export const coreUse = (): CoreUse | undefined => (use.looks === 0 ? undefined : { ...use });

export function coreUseText({ looks, shared }: CoreUse): string {
  return `something else used this thread's core in ${shared} of ${looks} looks (${Math.round((100 * shared) / looks)} %)`;
}
