import { isProxy } from 'node:util/types';

/** Arguments as one short line. Runs no user code. */
export function print(args: readonly unknown[], depth = 0): string {
  return args.map((value) => printOne(value, depth)).join(', ');
}

function printOne(value: unknown, depth: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 20));
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return isProxy(value) ? 'a proxy of ƒ' : 'ƒ';
  if (typeof value !== 'object' || value === null) return String(value);
  if (isProxy(value)) return 'a proxy';
  const tag = Reflect.get(Object.getPrototypeOf(Int8Array.prototype) as object, Symbol.toStringTag, value) as
    | string
    | undefined;
  if (tag !== undefined) {
    const bytes = Reflect.get(Object.getPrototypeOf(Int8Array.prototype) as object, 'byteLength', value);
    const own = Reflect.ownKeys(value).filter((key) => typeof key === 'symbol' || !/^\d+$/.test(key));
    return `${tag} of ${bytes} bytes${own.length > 0 ? ` with ${own.map(String).join(', ')}` : ''}`;
  }
  if (depth > 3) return '…';
  const own = Object.entries(Object.getOwnPropertyDescriptors(value)).filter(([key]) => key !== 'length');
  const parts = own.slice(0, 8).map(([key, d]) => {
    const shown = 'value' in d ? printOne(d.value, depth + 1) : 'a getter';
    return Array.isArray(value) ? shown : `${key}: ${shown}`;
  });
  return Array.isArray(value) ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`;
}
