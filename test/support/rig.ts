// Shared by contract, property and fuzz tests: every class in every form of its flags, and a way to compare
// everything that an optimizer and its params hold, bit for bit.
import { expect } from 'vitest';
import type { Declaration, HyperParameter } from '../../lib/core/declaration.js';
import type { Optimizer } from '../../lib/core/optimizer.js';
import type { Grads, OptimizerClass } from '../../lib/index.js';
import type { Any } from './bad-input.js';
import { allClasses } from './classes.js';
import { numbers } from './random.js';
import { all } from './sample.js';

export type { Any };
export { numbers };
export type Options = Record<string, unknown>;

export interface Case {
  readonly title: string;
  readonly declaration: Declaration;
  readonly options: Options;
  make(params: unknown, more?: Options): Optimizer;
}

const declarations = allClasses.map(([, declaration]) => declaration);

/** The options that a class requires. */
export function needed({ hyperParameters }: Declaration): Options {
  return Object.fromEntries(
    Object.entries(hyperParameters)
      .filter(([, h]) => h.required)
      .map(([name]) => [name, 0.1]),
  );
}

/** `weightDecay` for a class that has it, and nothing for others. */
export function decay({ declaration }: Case, weightDecay: unknown): Options {
  return 'weightDecay' in declaration.hyperParameters ? { weightDecay } : {};
}

/** A list of the right length for `betas`, which some classes have three of. */
export function betas({ declaration }: Case, ...first: unknown[]): { betas: unknown[] } {
  const standard = declaration.hyperParameters['betas']?.default as readonly number[];
  return { betas: standard.map((_, i) => first[i] ?? 0.5) };
}

export function classOf(declaration: Declaration): OptimizerClass {
  return (allClasses.find(([, known]) => known === declaration) as (typeof allClasses)[number])[0];
}

/** The values that a flag, a choice or momentum is tested with. Other numbers keep their default. */
function forms(name: string, h: HyperParameter): readonly unknown[] {
  if (typeof h.default === 'boolean') return [h.default, !h.default];
  if (h.choices !== undefined) return h.choices;
  return name === 'momentum' ? [0, 0.9] : [];
}

function product(tables: readonly (readonly [string, readonly unknown[]])[]): Options[] {
  return tables.reduce<Options[]>(
    (all, [name, values]) => (values.length === 0 ? all : all.flatMap((o) => values.map((v) => ({ ...o, [name]: v })))),
    [{}],
  );
}

function caseOf(declaration: Declaration, options: Options): Case {
  const all = { ...needed(declaration), ...options };
  const title = `${declaration.name} ${JSON.stringify(options)}`;
  return {
    title,
    declaration,
    options: all,
    make: (params, more = {}) => new (classOf(declaration))(params as Any, { ...all, ...more }),
  };
}

/**
 * Classes whose t counts the optimizer's steps and not the param's updates: TensorFlow.js's classes with a t, and those
 * whose params share numbers.
 */
export const hasClockOfItsOwn = ({ declaration: { name, scope } }: Case): boolean =>
  name === 'AdamOptimizer' || name === 'AdamaxOptimizer' || scope === 'optimizer';

/** Classes whose params move together: a step of one depends on the gradients of the others. */
export const movesTogether = ({ declaration: { scope } }: Case): boolean => scope === 'optimizer';

/** Classes where a step of a param depends on the gradients of the others of its group. */
export const movesByGroup = ({ declaration: { scope } }: Case): boolean =>
  scope === 'group' || typeof scope === 'function';

/** Every class with its defaults. */
export const classes: readonly Case[] = declarations.map((d) => ({ ...caseOf(d, {}), title: d.name }));

/** Every class in every valid combination of its flags. */
export const variants: readonly Case[] = declarations.flatMap((d) =>
  product(Object.entries(d.hyperParameters).map(([name, h]) => [name, forms(name, h)] as const))
    .map((options) => caseOf(d, options))
    .filter(({ make }) => {
      try {
        make(new Float32Array(1));
        return true;
      } catch {
        return false; // dampening or Nesterov without momentum
      }
    }),
);

/** Every variant, or the defaults of every class in `npm test`. */
export const sampledVariants: readonly Case[] = all ? variants : classes;

/** Every form of every class that accepts sparse gradients, including forms that require a shape. */
export const rowForms: readonly Case[] = [
  ...variants.filter(({ declaration, options }) => declaration.denseOnly === undefined && options['cautious'] !== true),
  ...declarations
    .filter(({ hyperParameters }) => 'rowWise' in hyperParameters)
    .map((declaration) => caseOf(declaration, { rowWise: true })),
  ...declarations
    .filter(({ hyperParameters }) => 'rowSteps' in hyperParameters)
    .flatMap((declaration) =>
      [{ rowSteps: true }, { rowSteps: true, rowWise: true }].map((o) => caseOf(declaration, o)),
    ),
];

/** All of them, or one form of every class in `npm test`. */
export const sampledRowForms = rowForms.filter(
  (c) => all || c === rowForms.find(({ declaration }) => declaration === c.declaration),
);

/** Cases as arguments of `test.each`, with their titles first. */
export const titled = <C extends Case>(cases: readonly C[]) => cases.map((c) => [c.title, c] as const);

/** The bits of an array, so that NaN and −0 count. All NaNs are equal, because their sign depends on the machine. */
export function bits(array: Float32Array): string {
  return Buffer.from(array.map((x) => (Number.isNaN(x) ? Number.NaN : x)).buffer).toString('hex');
}

/** Everything visible of an optimizer and its params, as one string. */
export function snapshot(optimizer: Optimizer, params: readonly Float32Array[]): string {
  const functions = new Map<unknown, number>();
  const replacer = (_: string, value: unknown): unknown => {
    if (value instanceof Float32Array) return bits(value);
    if (typeof value === 'function') return `f${functions.get(value) ?? functions.set(value, functions.size).size - 1}`;
    return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  };
  const groups = optimizer.paramGroups.map((g) => ({ ...g, params: 0 }));
  let ema: unknown;
  try {
    ema = optimizer.emaParams;
  } catch {}
  return JSON.stringify(
    [optimizer.stateDict(), groups, optimizer.stepCount, optimizer.skippedSteps, ema, params],
    replacer,
    1,
  );
}

/** An optimizer of two named params after a few steps, one of them without a gradient for "b". */
export interface Rig {
  readonly optimizer: Optimizer;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly params: readonly Float32Array[];
  step(seed?: number): void;
  seen(): string;
}

export function rig({ make }: Case, more: Options = {}, steps = 3): Rig {
  const a = numbers(5, 1);
  const b = numbers(18, 2);
  const params = [a, b];
  const optimizer = make({ a, b }, more);
  const step = (seed = 7) => void optimizer.step({ a: numbers(5, seed), b: seed === 2 ? null : numbers(18, seed + 1) });
  for (let s = 1; s <= steps; s++) step(s);
  return { optimizer, a, b, params, step, seen: () => snapshot(optimizer, params) };
}

const names = [...declarations.map((d) => d.name), 'createOptimizer', 'allocate', 'setThreads', 'schuss'].join('|');
/** `Who: argument: given, expected …` */
export const shape = new RegExp(`^(${names})(\\.\\w+)?: .+: .+, expected .+`, 's');

export type Kind = typeof TypeError | typeof RangeError;

/** The error must be of a kind that bad input has. Only of another is its stack read: Vitest maps each frame to its source, slowly. */
export function expectRefusal(error: Error, title: string): void {
  if (![TypeError, RangeError].includes(error.constructor as Kind)) expect.fail(`${title}: ${error.stack}`);
}

/** `expect(found, title).toBe(expected)`, but Vitest, which takes longer than a step, only sees what differs. */
export function expectSame(found: string, expected: string, title?: string): void {
  if (found !== expected) expect(found, title).toBe(expected);
}

/** Runs an action that must throw an error of this kind, in the library's shape, that matches `message`; returns it. */
export function refused(kind: Kind, message: RegExp | string, action: () => unknown): Error {
  let error: unknown;
  try {
    action();
  } catch (e) {
    error = e;
  }
  expect(error, `no error, expected ${kind.name} ${message}`).toBeInstanceOf(kind);
  const { message: text } = error as Error;
  expect(text).toMatch(shape);
  if (typeof message === 'string') expect(text).toContain(message);
  else expect(text).toMatch(message);
  return error as Error;
}

/**
 * Runs an attack that must be refused, and checks that it changed nothing: neither the visible state nor the next steps,
 * compared with a twin.
 */
export function harmless(
  c: Case,
  kind: Kind,
  message: RegExp | string,
  attack: (rig: Rig) => unknown,
  more: Options = {},
): void {
  const victim = rig(c, more);
  const twin = rig(c, more);
  const before = twin.seen();
  expectSame(victim.seen(), before);
  refused(kind, message, () => attack(victim));
  expectSame(victim.seen(), before);
  for (const r of [victim, twin]) r.step(8);
  expectSame(victim.seen(), twin.seen());
}

export type { Grads };
