import fc from 'fast-check';
import { all } from './sample.js';

// A fixed seed: a failure is the same on every machine.
fc.configureGlobal({ seed: 42, numRuns: all ? 100 : 20 });

export default fc;
