import { show } from '../check/errors.js';
import { lengthOf } from '../check/typed-array.js';
import type { Tensor } from './params.js';
import { howMade, type Schedule } from './schedule.js';

/** Name of the method that Node's console.log calls. */
export const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom');

/** Values by name. An object among them is a block of its own; undefined is left out. */
type Block = Readonly<Record<string, unknown>>;

const mostParams = 100;
const mostElements = 8;

/** The text of an object for console.log: its class and its values, one a line. */
export function print(name: string, values: Block): string {
  return [`${name} (`, ...lines(values), ')'].join('\n');
}

function lines(values: Block): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const text = isBlock(value) ? ['', ...lines(value)].join('\n') : ` ${printed(value)}`;
    return `${name}:${text}`.split('\n').map((line) => `  ${line}`);
  });
}

function isBlock(value: unknown): value is Block {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** A value on one line, or what an object of the library prints. Arrays of numbers are named by type and length only. */
export function printed(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value !== 'object' && typeof value !== 'function') return String(value);
  if (Array.isArray(value)) return `[${some(value.map(printed), mostElements).join(', ')}]`;
  if (typeof value === 'function') {
    const made = howMade(value as Schedule);
    return made === undefined ? show(value) : `${made.name}(${made.args.map(printed).join(', ')})`;
  }
  if (isBlock(value)) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return `{ ${entries.map(([name, each]) => `${name}: ${printed(each)}`).join(', ')} }`;
  }
  const custom = (value as { [inspect]?: () => string } | null)?.[inspect];
  return custom === undefined ? show(value) : custom.call(value);
}

/** The params of an object: a block with the shape of each, by name. */
export function printedParams(tensors: readonly Pick<Tensor, 'key' | 'data' | 'shape'>[], title = 'params'): Block {
  const elements = tensors.reduce((sum, { data }) => sum + lengthOf(data), 0);
  const shown = tensors.slice(0, mostParams).map(({ key, data, shape }) => [key, shape ?? [lengthOf(data)]] as const);
  const left = tensors.length - shown.length;
  const more = left === 0 ? {} : { '… more params': left };
  return { [`${title} (${tensors.length}, ${elements} elements)`]: { ...Object.fromEntries(shown), ...more } };
}

/** The first values of a list, and how many are left out. */
function some(list: readonly string[], most: number): string[] {
  return list.length <= most ? [...list] : [...list.slice(0, most), `… ${list.length - most} more`];
}
