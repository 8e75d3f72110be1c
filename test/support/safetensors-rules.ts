/** What a header says, or undefined if it breaks a rule of the format. */
export interface Said {
  readonly tensors: readonly (readonly [name: string, dtype: string, shape: readonly number[], begin: number])[];
  readonly metadata: Readonly<Record<string, string>>;
}

const bits: Readonly<Record<string, bigint>> = {
  F4: 4n,
  F6_E2M3: 6n,
  F6_E3M2: 6n,
  ...Object.fromEntries(
    'BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ'.split(' ').map((dtype) => [dtype, 8n]),
  ),
  ...Object.fromEntries('I16 U16 F16 BF16'.split(' ').map((dtype) => [dtype, 16n])),
  ...Object.fromEntries('I32 U32 F32'.split(' ').map((dtype) => [dtype, 32n])),
  ...Object.fromEntries('F64 I64 U64 C64'.split(' ').map((dtype) => [dtype, 64n])),
};

class Broken extends Error {}

/** A slow JSON reader of its own, which keeps what `JSON.parse` loses: keys that stand twice, and how numbers are spelled. */
class Json {
  at = 0;
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  space(): void {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? '')) this.at++;
  }

  take(token: string): boolean {
    this.space();
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  match(pattern: RegExp): string {
    this.space();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw new Broken();
    this.at += found.length;
    return found;
  }

  string(): string {
    return JSON.parse(this.match(/"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy)) as string;
  }

  value(): unknown {
    if (this.take('{')) {
      const found = new Map<string, unknown>();
      if (this.take('}')) return found;
      do {
        this.space();
        const key = this.string();
        if (!this.take(':') || found.has(key)) throw new Broken();
        found.set(key, this.value());
      } while (this.take(','));
      if (!this.take('}')) throw new Broken();
      return found;
    }
    if (this.take('[')) {
      const found: unknown[] = [];
      if (this.take(']')) return found;
      do found.push(this.value());
      while (this.take(','));
      if (!this.take(']')) throw new Broken();
      return found;
    }
    for (const [word, value] of [['true', true] as const, ['false', false] as const, ['null', null] as const])
      if (this.take(word)) return value;
    if (this.text[this.at] === '"') return this.string();
    return Number(this.match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y));
  }
}

function countOf(value: unknown): bigint {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > Number.MAX_SAFE_INTEGER)
    throw new Broken();
  return BigInt(value);
}

/**
 * The rules of https://huggingface.co/docs/safetensors, written without a look at the library: the truth that its reader
 * is compared with. Exact integers; slow.
 */
export function readHeader(bytes: Uint8Array, dataLength: number): Said | undefined {
  try {
    const json = new Json(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    if (json.text[0] !== '{') return undefined;
    const root = json.value() as Map<string, unknown>;
    json.space();
    if (json.at !== json.text.length) return undefined;
    const metadata = root.get('__metadata__') ?? (root.has('__metadata__') ? null : new Map());
    root.delete('__metadata__');
    if (!(metadata instanceof Map) || [...metadata.values()].some((value) => typeof value !== 'string'))
      return undefined;
    const placed = [...root].map(([name, entry]) => {
      if (!(entry instanceof Map)) throw new Broken();
      const [dtype, shape, offsets] = ['dtype', 'shape', 'data_offsets'].map((key) => entry.get(key));
      if (typeof dtype !== 'string' || !Object.hasOwn(bits, dtype) || !Array.isArray(shape)) throw new Broken();
      if (!Array.isArray(offsets) || offsets.length !== 2) throw new Broken();
      const [begin, end] = offsets.map(countOf) as [bigint, bigint];
      const counts = shape.map(countOf);
      // Products of any prefix stay exact in float64, as readers in other languages demand of 64 bits.
      let size = bits[dtype] as bigint;
      for (const count of counts) {
        size *= count;
        if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Broken();
      }
      if (size % 8n !== 0n || end - begin !== size / 8n) throw new Broken();
      return { name, dtype, shape: counts.map(Number), begin, end };
    });
    placed.sort((a, b) => Number(a.begin - b.begin) || Number(a.end - b.end));
    let end = 0n;
    for (const tensor of placed) {
      if (tensor.begin !== end) return undefined;
      end = tensor.end;
    }
    if (end !== BigInt(dataLength)) return undefined;
    return {
      tensors: placed.map(({ name, dtype, shape, begin }) => [name, dtype, shape, Number(begin)] as const),
      metadata: Object.fromEntries(metadata) as Record<string, string>,
    };
  } catch {
    return undefined; // UTF-8 and strings that JSON.parse refuses, too
  }
}
