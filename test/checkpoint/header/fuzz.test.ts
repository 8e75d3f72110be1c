// Mutated headers against a second reader of the format (test/support/safetensors-rules.ts): both accept the same
// headers and read the same from them; whatever is refused is refused with a CheckpointError. An input that leads to an
// answer of a new kind is kept and mutated further, as a fuzzer guided by coverage does.
// SCHUSS_HEADER_CASES=10000000 for the full count, SCHUSS_FUZZ_SEED for another seed.
import { expect, test } from 'vitest';
import { type Header, headerLength, parseHeader } from '../../../lib/checkpoint/header.js';
import { CheckpointError } from '../../../lib/index.js';
import { random } from '../../support/random.js';
import { readHeader, type Said } from '../../support/safetensors-rules.js';
import { all } from '../../support/sample.js';

const cases = Number(process.env['SCHUSS_HEADER_CASES'] ?? (all ? 200_000 : 5_000));
const seed = Number(process.env['SCHUSS_FUZZ_SEED'] ?? 1);
const context = { who: 'readSafetensors', path: 'fuzz.safetensors' };

interface Input {
  readonly header: Buffer;
  readonly dataLength: number;
}

const tokens = [
  ...'{}[]:,"\\ \t\n',
  ...['0', '-0', '-1', '1', '2', '00', '1.0', '1.5', '8e0', '1e3', '1e400', '9007199254740991', '9007199254740993'],
  ...[
    '18446744073709551616',
    'true',
    'null',
    '"F32"',
    '"F4"',
    '"F6_E2M3"',
    '"BF16"',
    '"I64"',
    '"f32"',
    '"constructor"',
  ],
  ...['"__proto__"', '"__metadata__"', '"dtype"', '"shape"', '"data_offsets"', '"d\\u0074ype"', '"\\ud800"', '"a"'],
  ...[
    '[0,0]',
    '[0,4]',
    '[4,8]',
    '[4,4]',
    '[]',
    '[1]',
    '[2,2]',
    '{}',
    '[[[[[[',
    '\ufeff',
    '\u2028',
    '\u00a0',
    'é',
    '😀',
  ],
  ...[
    '"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},',
    '"z":{"dtype":"U8","shape":[2],"data_offsets":[5,7]},',
    '"y":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]},',
    '"__metadata__":{"a":"b"},',
    '"__metadata__":{"a":1},',
  ],
].map((token) => Buffer.from(token));

const starts: readonly Input[] = [
  ['{}', 0],
  ['{"__metadata__":{"format":"pt"}}  ', 0],
  ['{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', 16],
  ['{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]}}', 7],
  ['{"a":{"dtype":"F64","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}', 1],
].map(([text, dataLength]) => ({ header: Buffer.from(text as string), dataLength: dataLength as number }));

/** A place where a value or a key may begin. */
function afterBracket(bytes: Buffer, next: (n: number) => number): number {
  const places = [...bytes.toString('latin1').matchAll(/[{[,:]/g)];
  return places.length === 0 ? 0 : places[next(places.length)]!.index + 1;
}

/** One to four small changes. */
function mutate({ header, dataLength }: Input, corpus: readonly Input[], next: (n: number) => number): Input {
  let bytes = header;
  let data = dataLength;
  const splice = (at: number, removed: number, added: Buffer): void => {
    bytes = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);
  };
  for (let changes = 1 + next(4); changes > 0; changes--) {
    const at = next(2) === 0 ? afterBracket(bytes, next) : next(bytes.length + 1);
    const token = tokens[next(tokens.length)] as Buffer;
    switch (next(8)) {
      case 0:
        splice(at, 1, Buffer.of(next(256)));
        break;
      case 1:
        splice(at, 0, token);
        break;
      case 2:
        splice(at, token.length, token);
        break;
      case 3:
        splice(at, next(12), Buffer.alloc(0));
        break;
      case 4: // a part of itself, again
        splice(at, 0, bytes.subarray(next(bytes.length + 1)).subarray(0, next(60)));
        break;
      case 5: {
        const other = (corpus[next(corpus.length)] as Input).header;
        splice(at, bytes.length, other.subarray(next(other.length + 1)));
        break;
      }
      case 6: {
        // A number in place of a number.
        const numbers = [...bytes.toString('latin1').matchAll(/\d+/g)];
        const found = numbers[next(numbers.length)];
        if (found !== undefined)
          splice(found.index, found[0].length, Buffer.from(String(next(3) === 0 ? next(40) : next(5))));
        break;
      }
      default:
        data = next(3) === 0 ? next(40) : dataLength;
    }
  }
  return { header: bytes.subarray(0, 400), dataLength: data };
}

const said = ({ tensors, metadata }: Header): Said => ({
  tensors: tensors.map(({ name, dtype, shape, begin }) => [name, dtype, shape, begin] as const),
  metadata,
});

function answerOf({ header, dataLength }: Input): Header | CheckpointError {
  try {
    return parseHeader(context, header, dataLength);
  } catch (error) {
    if (error instanceof CheckpointError && error.code === 'SCHUSS_DAMAGED') return error;
    throw error;
  }
}

/** The kind of an answer: the message without names and numbers, or what the header holds. */
function kindOf(answer: Header | CheckpointError): string {
  if (answer instanceof CheckpointError) return answer.message.replace(/["[{].*?[\]}"]|\d+/g, '#').slice(0, 120);
  const { tensors, metadata } = answer;
  return `${tensors.map(({ dtype, shape }) => dtype + shape.length).join()} ${Object.keys(metadata).length}`.slice(
    0,
    40,
  );
}

test('both readers accept the same headers', { timeout: 60_000 + cases }, () => {
  const random_ = random(seed);
  const next = (n: number): number => Math.floor(random_() * n);
  const corpus: Input[] = [...starts];
  const valid: Input[] = [...starts]; // half of all inputs start from one of these
  const kinds = new Set<string>();
  let accepted = 0;
  for (let i = 0; i < cases; i++) {
    const parents = next(2) === 0 ? corpus : valid;
    const input = i < starts.length ? starts[i]! : mutate(parents[next(parents.length)]!, corpus, next);
    const title = (): string =>
      `seed ${seed}, case ${i}: ${JSON.stringify(input.header.toString())}, ${input.dataLength} bytes`;
    let answer: Header | CheckpointError;
    try {
      answer = answerOf(input);
    } catch (error) {
      throw new Error(title(), { cause: error });
    }
    const truth = readHeader(input.header, input.dataLength);
    const isAccepted = !(answer instanceof CheckpointError);
    if (isAccepted) accepted++;
    if (isAccepted !== (truth !== undefined)) throw new Error(`${title()}: ${isAccepted ? 'accepted' : answer}`);
    if (isAccepted && JSON.stringify(said(answer as Header)) !== JSON.stringify(truth)) throw new Error(title());
    const kind = kindOf(answer);
    if (kinds.has(kind) || kinds.size === 5000) continue;
    kinds.add(kind);
    corpus.push(input);
    if (isAccepted) valid.push(input);
  }
  expect(accepted).toBeGreaterThan(cases / 200);
  expect(kinds.size).toBeGreaterThan(20);
  if (process.env['SCHUSS_HEADER_CASES'] !== undefined)
    console.log(`seed ${seed}: ${cases} headers, ${accepted} accepted, ${kinds.size} kinds of answers, 0 differences`);
});

test('a length prefix is one that fits the file, or an error', () => {
  const random_ = random(seed);
  for (let i = 0; i < Math.min(cases, 1e6); i++) {
    const prefix = Uint8Array.from({ length: Math.floor(random_() * 10) }, (_, at) =>
      at < 2 || random_() < 0.1 ? Math.floor(random_() * 256) : 0,
    );
    const size = random_() < 0.2 ? prefix.length : Math.floor(random_() * 70_000);
    const value = prefix.length < 8 ? undefined : Buffer.from(prefix).readBigUInt64LE();
    const fits = value !== undefined && value <= 100_000_000n && value <= BigInt(size - 8);
    let length: number | undefined;
    try {
      length = headerLength(context, prefix, size);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
    }
    if (length !== (fits ? Number(value) : undefined))
      throw new Error(`${prefix} in a file of ${size} bytes: ${length}`);
  }
});
