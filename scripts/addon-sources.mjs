// Copies what `schuss build` needs besides native/ into dist/addon. A binding.gyp at the root of an installed package would make
// package managers build the addon unasked, and node-addon-api is a development dependency.
import { cpSync, mkdirSync } from 'node:fs';

const folder = 'dist/addon';
mkdirSync(folder, { recursive: true });
cpSync('binding.gyp', `${folder}/binding.gyp`);
for (const file of ['LICENSE.md', 'index.js', 'package.json', 'napi.h', 'napi-inl.h', 'napi-inl.deprecated.h'])
  cpSync(`node_modules/node-addon-api/${file}`, `${folder}/node-addon-api/${file}`);
