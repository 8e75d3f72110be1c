// The study's images: IDX files, and the split into training and validation images.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { loadDigits, loadFolder, split } from '../../../bench/study/data.js';
import { parseIdx } from '../../../bench/study/idx.js';
import { idx, imageFolder } from './images.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('IDX files', () => {
  const good = idx(
    [2, 2, 3],
    Uint8Array.from({ length: 12 }, (_, i) => i),
  );
  const parse = (bytes: Buffer): ReturnType<typeof parseIdx> => parseIdx(bytes, 'images', 3);

  test('plain and gzipped', () => {
    const plain = parse(good);
    expect(plain.shape).toEqual([2, 2, 3]);
    expect([...plain.data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(parse(gzipSync(good))).toEqual(plain);
  });

  const changed = (at: number, to: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = to;
    return copy;
  };
  test.each([
    ['empty', Buffer.alloc(0), 'images: 0 bytes, expected an IDX file'],
    ['something else', Buffer.from('<html>'), 'images: magic number 0x3c68746d, expected 0x00000803, an IDX file'],
    ['floats', changed(2, 0x0d), 'images: element type 0x0d, expected 0x08, unsigned bytes'],
    ['labels for images', idx([2], new Uint8Array(2)), 'images: 1 dimensions, expected 3'],
    ['a cut header', good.subarray(0, 9), 'images: cut off in its header, after 9 bytes, expected 16 bytes of header'],
    ['cut data', good.subarray(0, -1), 'images: 11 bytes of data (cut off), expected 12 for 2 × 2 × 3'],
    ['data too long', Buffer.concat([good, good]), 'images: 40 bytes of data, expected 12 for 2 × 2 × 3'],
    [
      'no images',
      idx([0, 2, 3], new Uint8Array(0)),
      'images: an empty tensor of 0 × 2 × 3, expected at least one element',
    ],
    [
      'a cut gzip',
      gzipSync(good).subarray(0, -9),
      'images: a damaged gzip file (unexpected end of file), expected an IDX file, gzipped or not',
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => parse(bytes)).toThrow(`study: ${message}`);
  });
});

describe('data', () => {
  test('the digits are 10 000 images, 0 to 255', () => {
    const { pixels, labels, classes } = loadDigits();
    expect(labels.length).toBe(10_000);
    expect(pixels.length).toBe(784 * 10_000);
    expect(new Set(labels).size).toBe(classes);
    expect(pixels.reduce((most, pixel) => Math.max(most, pixel))).toBe(255);
  });

  test('a folder, gzipped or not', () => {
    const zipped = loadFolder(imageFolder(join(folder, 'zipped'), 30));
    const { pixels, labels, inputs, classes } = loadFolder(imageFolder(join(folder, 'plain'), 30, { zipped: false }));
    expect([labels.length, pixels.length, inputs, classes]).toEqual([30, 480, 16, 4]);
    expect(zipped.labels.length).toBe(30);
  });

  test('a folder that is none, that lacks a file, that has too few labels or images', () => {
    expect(() => loadFolder(join(folder, 'nowhere'))).toThrow('nowhere is not a folder');
    mkdirSync(join(folder, 'void'));
    expect(() => loadFolder(join(folder, 'void'))).toThrow('holds no train-images-idx3-ubyte');
    expect(() => loadFolder(imageFolder(join(folder, 'unlabelled'), 30, { labels: 29 }))).toThrow(
      '29 labels, expected 30',
    );
    const images = loadFolder(imageFolder(join(folder, 'few'), 30));
    expect(() => split(images, { train: 20, validation: 11, seed: 1 })).toThrow('30 images, expected at least 31');
  });

  test('the split is seeded, disjoint, and centred on the training images', () => {
    const images = loadFolder(imageFolder(join(folder, 'split'), 50));
    const sizes = { train: 40, validation: 10, seed: 3 };
    const { train, validation } = split(images, sizes);
    for (let pixel = 0; pixel < 16; pixel++) {
      expect(train.inputs.filter((_, i) => i % 16 === pixel).reduce((a, b) => a + b)).toBeCloseTo(0, 3);
    }
    const all = [...train.labels, ...validation.labels].sort();
    expect(all).toEqual([...images.labels].sort());
    expect(split(images, sizes)).toEqual(split(images, sizes));
    expect(split(images, { ...sizes, seed: 4 }).train.labels).not.toEqual(train.labels);
  });
});
