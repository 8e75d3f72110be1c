import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { show } from '../check/errors.js';
import { replaceFile } from './background.js';
import { bitsOf } from './dtypes.js';
import { type FileContext, faultOf, fileError, readError, writeError } from './errors.js';
import { damaged, type Header, type NamedBytes, type PlacedTensor } from './header.js';
import { type OpenFile, readVerified, withFile } from './read-file.js';
import { readManifest, type SavedRun } from './restore.js';
import { checkParts, contentsOf, type Manifest, type Parts, reservedPrefix, shapeOf, take } from './snapshot.js';
import { sweep, syncDirectory } from './temp-files.js';
import type { Encoded } from './tree.js';
import { type CheckpointWorld, onEveryRank, type RankPart, rankPartOf } from './world.js';

// A checkpoint of many ranks is a folder:
//
//   LATEST                       the name of the set to read, in JSON
//   <set>.index.json             how many files there are
//   <set>.<rank>.safetensors     the part of each rank, a checkpoint by itself in which tensors are parts
//
// LATEST is switched when all others are durable, so a crash at any moment leaves the last whole set.

const latestName = 'LATEST';
/** Metadata key of the {@link PartInfo} of a file. */
const partKey = `${reservedPrefix}part`;
const setVersion = 1;
const setPattern = /^[0-9a-f]{16}$/;
const filePattern = /^([0-9a-f]{16})\.(?:index\.json|\d+\.safetensors)$/;

/** Options of a save, checked except for the parts. */
export interface CheckedSave {
  readonly parts: Parts;
  readonly metadata: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
  readonly world: CheckpointWorld | undefined;
}

/** What the file of a rank says of itself. */
interface PartInfo {
  readonly set: string;
  readonly rank: number;
  readonly size: number;
  /** First element and whole shape of each tensor. */
  readonly places: Readonly<Record<string, { readonly begin: number; readonly shape: readonly number[] }>>;
  /** The params whose state this file alone has. */
  readonly owned: readonly string[];
}

const indexPath = (folder: string, set: string): string => join(folder, `${set}.index.json`);
const partPath = (folder: string, set: string, rank: number): string => join(folder, `${set}.${rank}.safetensors`);

// ---- Saving ----

/** Saves the parts of all ranks. The values are those at the call. @throws (rejects) the same on every rank */
export async function saveSet(
  context: FileContext,
  world: CheckpointWorld,
  { parts, metadata, signal }: CheckedSave,
  step?: number,
): Promise<void> {
  const { who, path: folder } = context;
  const part = rankPartOf(parts.optimizer);
  const release = part?.hold();
  try {
    let taken: TakenPart | undefined;
    let refused: unknown;
    try {
      taken = takePart(context, world, part, parts, metadata, step); // copies before anything is awaited
    } catch (error) {
      refused = error;
    }
    const set = await world.broadcastObject(world.rank === 0 ? randomBytes(8).toString('hex') : '');
    const own = partPath(folder, set, world.rank);
    await onEveryRank(
      world,
      async () => {
        if (taken === undefined) throw refused;
        signal?.throwIfAborted();
        await createFolder(context, folder);
        const info: PartInfo = { set, rank: world.rank, size: world.size, ...taken.info };
        const contents = contentsOf(who, taken.taken, metadata, { [partKey]: JSON.stringify(info) });
        await replaceFile({ who, path: own }, contents, signal);
      },
      () => unlink(own).catch(() => {}),
    );
    // All parts are durable. Rank 0 makes them the latest set.
    await onEveryRank(world, async () => {
      if (world.rank !== 0) return;
      await replaceText(who, indexPath(folder, set), { version: setVersion, set, size: world.size });
      await replaceText(who, join(folder, latestName), { version: setVersion, set });
      await removeOthers(folder, set);
    });
  } finally {
    release?.();
  }
}

interface TakenPart {
  readonly taken: { readonly params: NamedBytes[]; readonly found: NamedBytes[]; readonly manifest: Manifest };
  readonly info: Pick<PartInfo, 'places' | 'owned'>;
}

function takePart(
  context: FileContext,
  world: CheckpointWorld,
  part: RankPart | undefined,
  { params, optimizer, objects }: CheckedSave['parts'],
  metadata: Readonly<Record<string, string>>,
  step: number | undefined,
): TakenPart {
  const { who } = context;
  const isFirst = world.rank === 0;
  const paths = new Map<string, readonly string[]>();
  const whole = take(context, { params, optimizer: part ?? optimizer, objects }, metadata, step, (name, { path }) => {
    paths.set(name, path);
  });
  const shapes = new Map(checkParts(who, { params }).tensors.map((tensor) => [String(tensor.key), shapeOf(tensor)]));
  const places: Record<string, { begin: number; shape: readonly number[] }> = {};
  const ofParams = whole.params.map((tensor) => {
    const [begin, end] = world.partition(tensor.bytes.length / 4)[world.rank]!;
    places[tensor.name] = { begin, shape: tensor.shape };
    return { ...tensor, shape: [end - begin], bytes: tensor.bytes.slice(4 * begin, 4 * end) };
  });
  const found = whole.found.flatMap((tensor): NamedBytes[] => {
    const length = elementsOf(tensor);
    const path = paths.get(tensor.name) as readonly string[];
    const isState = part !== undefined && tensor.name.startsWith('optimizer.');
    const place = isState ? part.placeOf(path, length) : isFirst ? { begin: 0, whole: length } : undefined;
    if (place === undefined) return [];
    const param = shapes.get(path[0] ?? '');
    const isLikeParam = param !== undefined && productOf(param) === place.whole;
    places[tensor.name] = { begin: place.begin, shape: isLikeParam ? param : [place.whole] };
    return [{ ...tensor, shape: [length] }];
  });
  const owned = (part?.owned ?? []).map(String);
  return { taken: { params: ofParams, found, manifest: whole.manifest }, info: { places, owned } };
}

const productOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);
const elementsOf = ({ dtype, bytes }: NamedBytes): number => (8 * bytes.length) / (bitsOf.get(dtype) as number);

async function createFolder(context: FileContext, folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await syncDirectory(join(folder, '..'));
  } catch (error) {
    throw writeError(context, faultOf(error), 0, error);
  }
}

function replaceText(who: string, path: string, value: object): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  return replaceFile({ who, path }, { parts: [bytes], digestOffset: undefined }, undefined);
}

/** Removes the files of all other sets: older ones, and those of saves that failed. */
async function removeOthers(folder: string, set: string): Promise<void> {
  for (const file of await readdir(folder).catch(() => [])) {
    const match = filePattern.exec(file);
    if (match !== null && match[1] !== set) await unlink(join(folder, file)).catch(() => {}); // the next save tries again
  }
}

/** Removes a set and its folder, if nothing else is in it. */
export async function removeSet(folder: string): Promise<void> {
  await unlink(join(folder, latestName)).catch(() => {}); // first: a set without a file is none
  await removeOthers(folder, '');
  await sweep(folder); // of a save that was killed
  await rmdir(folder);
}

// ---- Reading ----

/** Whether a path is the folder of a set. */
export async function isSet(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true && (await stat(join(path, latestName)).catch(() => undefined)) !== undefined;
}

/** The name of the latest set in a folder. @throws CheckpointError */
export async function latestSet(context: FileContext): Promise<string> {
  const { set } = await readJson({ ...context, path: join(context.path, latestName) });
  if (typeof set !== 'string' || !setPattern.test(set))
    throw damaged({ ...context, path: join(context.path, latestName) }, `set ${show(set)}`, '16 hexadecimal digits');
  return set;
}

async function readJson(context: FileContext): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(context.path, 'utf8');
  } catch (error) {
    throw readError(context, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(context, 'another text', 'JSON', cause);
  }
  const { version } = (value ?? {}) as { version?: unknown };
  if (typeof version !== 'number' || version < 1)
    throw damaged(context, `version ${show(version)}`, String(setVersion));
  if (version > setVersion)
    throw fileError(context, {
      code: 'SCHUSS_VERSION',
      given: `a set of version ${version}`,
      expected: `at most ${setVersion}`,
      hint: 'update schuss',
    });
  return value as Readonly<Record<string, unknown>>;
}

/** One file of a set. */
interface Part {
  readonly context: FileContext;
  readonly header: Header;
  readonly manifest: Manifest;
  readonly info: PartInfo;
  /** Undefined where only headers are read. */
  readonly bytes: ReadonlyMap<string, Uint8Array> | undefined;
}

/**
 * Reads a whole set, and verifies the digest of each file. What `part` does without, or takes in pieces, is 0.
 * @throws CheckpointError
 */
export async function readSet(context: FileContext, set: string, part?: RankPart): Promise<SavedRun> {
  const read = (file: OpenFile, { rank, size }: PartInfo): Promise<ReadonlyMap<string, Uint8Array>> =>
    readVerified(file, part && ((name) => part.reads(name, rank, size)));
  return merge(context, await readParts(context, set, read));
}

/** Reads the headers of a set. @throws CheckpointError */
export async function readSetHeader(context: FileContext): Promise<Omit<SavedRun, 'bytes'>> {
  return merge(context, await readParts(context, await latestSet(context), async () => undefined));
}

async function readParts(
  context: FileContext,
  set: string,
  read: (file: OpenFile, info: PartInfo) => Promise<ReadonlyMap<string, Uint8Array> | undefined>,
): Promise<Part[]> {
  const { who, path: folder } = context;
  const index = { who, path: indexPath(folder, set) };
  const { size } = await readJson(index);
  if (!Number.isSafeInteger(size) || (size as number) < 1)
    throw damaged(index, `size ${show(size)}`, 'a number of ranks');
  const parts: Part[] = [];
  for (let rank = 0; rank < (size as number); rank++) {
    const own = { who, path: partPath(folder, set, rank) };
    parts.push(
      await withFile(own, async (file) => {
        const { header } = file;
        const manifest = readManifest(own, header);
        const info = partInfo(own, header);
        if (info.set !== set || info.rank !== rank || info.size !== size)
          throw fileError(own, {
            code: 'SCHUSS_FOREIGN',
            given: `part ${info.rank} of ${info.size} of set ${info.set}`,
            expected: `part ${rank} of ${size} of set ${set}`,
          });
        if (file.digest === undefined) throw damaged(own, 'no SHA-256', 'one, as saveCheckpoint writes it');
        return { context: own, header, manifest, info, bytes: await read(file, info) };
      }),
    );
  }
  return parts;
}

function partInfo(context: FileContext, { metadata }: Header): PartInfo {
  try {
    const info = JSON.parse(metadata[partKey] as string) as PartInfo;
    if (typeof info.places === 'object' && info.places !== null && Array.isArray(info.owned)) return info;
  } catch {
    // as any other text
  }
  throw fileError(context, { code: 'SCHUSS_FOREIGN', given: 'a file of no set', expected: 'a part of a set' });
}

/** Puts the parts of a set together, as one file would have them. @throws CheckpointError if they leave holes or overlap */
function merge(context: FileContext, parts: readonly Part[]): SavedRun {
  const first = parts[0] as Part;
  const pieces = new Map<string, { part: Part; tensor: PlacedTensor; begin: number; shape: readonly number[] }[]>();
  for (const part of parts)
    for (const tensor of part.header.tensors) {
      const place = Object.hasOwn(part.info.places, tensor.name) ? part.info.places[tensor.name] : undefined;
      if (place === undefined) throw damaged(part.context, `no place of ${show(tensor.name)}`, 'one for each tensor');
      const of = pieces.get(tensor.name) ?? [];
      of.push({ part, tensor, ...place });
      pieces.set(tensor.name, of);
    }
  const bytes = new Map<string, Uint8Array>();
  let end = 0;
  const tensors = [...pieces].map(([name, of]): PlacedTensor => {
    const { dtype } = of[0]!.tensor;
    const { shape } = of[0]!;
    const size = (bitsOf.get(dtype) as number) / 8;
    const length = productOf(shape);
    let next = 0;
    const whole = first.bytes === undefined ? undefined : new Uint8Array(size * length);
    for (const { part, tensor, begin } of of) {
      const count = (tensor.end - tensor.begin) / size;
      if (tensor.dtype !== dtype || (count > 0 && begin !== next) || next + count > length)
        throw damaged(part.context, `${show(name)} from ${begin} on in ${tensor.dtype}`, `${next} in ${dtype}`);
      const piece = part.bytes?.get(name);
      if (piece !== undefined) whole?.set(piece, size * next); // memory that nobody touches costs nothing
      next += count;
    }
    if (next !== length) throw damaged(context, `${next} elements of ${show(name)}`, String(length));
    if (whole !== undefined) bytes.set(name, whole);
    end += size * length;
    return { name, dtype, shape, begin: end - size * length, end };
  });
  return { header: { tensors, metadata: first.header.metadata }, manifest: mergeManifests(parts), bytes };
}

/** The manifest of rank 0, with the state that other ranks own. */
function mergeManifests(parts: readonly Part[]): Manifest {
  const { manifest } = parts[0] as Part;
  const stateOf = (given: Manifest): Readonly<Record<string, Encoded>> | undefined =>
    (given.optimizer?.state as { readonly state?: Readonly<Record<string, Encoded>> } | undefined)?.state;
  const state = stateOf(manifest);
  if (manifest.optimizer === undefined || state === undefined) return manifest;
  const merged = { ...state };
  for (const part of parts)
    for (const key of part.info.owned) {
      const own = stateOf(part.manifest);
      if (own !== undefined && Object.hasOwn(own, key)) merged[key] = own[key] as Encoded;
    }
  const whole = { ...(manifest.optimizer.state as Readonly<Record<string, Encoded>>), state: merged };
  return { ...manifest, optimizer: { ...manifest.optimizer, state: whole } };
}
