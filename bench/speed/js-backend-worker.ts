import { parentPort } from 'node:worker_threads';
import { backend, optimizers } from '../common/schuss.js';
import { type Contender, stepping } from './alternate.js';
import { casesOf } from './cases.js';
import type { Question } from './js-backend.js';
import { stepOnOneParam } from './ours.js';

if (backend().name !== 'js') throw new Error('expected the JavaScript backend');
const cases = casesOf(Object.keys(optimizers));
let contender: Contender | undefined;

parentPort?.on('message', async (question: Question) => {
  if ('steps' in question) {
    parentPort?.postMessage(await contender?.run(question.steps));
    return;
  }
  const item = cases.find(({ label }) => label === question.label);
  if (item === undefined) throw new Error(`unknown case ${question.label}`);
  contender = stepping('js', stepOnOneParam(item, question.n));
  parentPort?.postMessage(0);
});
