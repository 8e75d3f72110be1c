// Random trees: an optimizer of a tree does what one of its flattened params does, and its averages have the tree.
import { expect, test } from 'vitest';
import { Adam, GradAccumulator, type Grads, type ParamTree } from '../../lib/index.js';
import fc from '../support/property.js';
import { bits } from '../support/rig.js';

type Tree = number | readonly Tree[] | { readonly [name: string]: Tree };

const isBranch = (tree: Tree): tree is Exclude<Tree, number> => typeof tree !== 'number';
const name = fc.string({ minLength: 1, maxLength: 4 }).filter((s) => !['params', 'data'].includes(s));
/** A tree whose leaves are lengths. */
const { tree: anyTree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.nat(5),
    fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
    fc.dictionary(name, tie('tree'), { minKeys: 1, maxKeys: 4 }),
  ),
}));

function pathsOf(tree: Tree, prefix = ''): string[] {
  if (!isBranch(tree)) return [prefix];
  return Object.entries(tree).flatMap(([key, entry]) => pathsOf(entry, prefix === '' ? key : `${prefix}.${key}`));
}
const isUnambiguous = (tree: Tree): boolean => new Set(pathsOf(tree)).size === pathsOf(tree).length;

function map<T>(tree: Tree, leaf: (length: number, index: number) => T, next = { index: 0 }): unknown {
  if (!isBranch(tree)) return leaf(tree, next.index++);
  if (Array.isArray(tree)) return tree.map((entry) => map(entry, leaf, next));
  return Object.fromEntries(Object.entries(tree).map(([key, entry]) => [key, map(entry, leaf, next)]));
}
function leavesOf(tree: unknown): Float32Array[] {
  return tree instanceof Float32Array ? [tree] : Object.values(tree as object).flatMap(leavesOf);
}
const wave = (seed: number) => (length: number, index: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(seed + 7 * index + i));

test('a tree, its flat record and the list of its arrays give the same bits', () => {
  fc.assert(
    fc.property(
      anyTree.filter((tree) => isBranch(tree) && isUnambiguous(tree)),
      (tree) => {
        const [params, same] = [map(tree, wave(1)), map(tree, wave(1))];
        const list = leavesOf(map(tree, wave(1)));
        const adam = new Adam(params as ParamTree, { ema: 0.5 });
        const byPath = new Adam(same as ParamTree, { ema: 0.5 });
        const plain = new Adam(list, { ema: 0.5 });
        const sum = new GradAccumulator(params as ParamTree);
        const isNested = pathsOf(tree).some((path, i, all) => path !== String(i) || all.length === 0);
        for (const seed of [2, 3]) {
          const grads = map(tree, wave(seed)) as Grads;
          sum.reset();
          sum.add(grads);
          expect(sum.grads).toEqual(grads);
          adam.step(sum.grads);
          const paths = Object.fromEntries(leavesOf(grads).map((grad, i) => [pathsOf(tree)[i], grad]));
          byPath.step((isNested ? paths : grads) as Grads);
          plain.step(leavesOf(grads));
        }
        const all = (arrays: unknown) => leavesOf(arrays).map(bits);
        expect([all(params), all(same)]).toEqual([list.map(bits), list.map(bits)]);
        expect(all(adam.emaParams)).toEqual(all(plain.emaParams));
        expect(map(tree, (length) => length)).toEqual(
          map(
            tree,
            (
              (arrays) => (_, i) =>
                arrays[i]!.length
            )(leavesOf(adam.emaParams)),
          ),
        );
        expect(Object.keys(adam.stateDict().state).sort()).toEqual([...pathsOf(tree)].sort());
      },
    ),
  );
});
