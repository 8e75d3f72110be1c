import type { Finding } from './program.js';

/** Findings that are no faults, or not yet repaired, each with the reason. */
const known: readonly { readonly call: RegExp; readonly message: RegExp; readonly why: string }[] = [
  {
    call: /^(SFO|LBFGS|HessianFree|Lookahead)\.step/,
    message: /^thrown by the user$|^out of fuel$/,
    why: 'the function throws at a trial point, and the params stay there',
  },
  {
    call: /^lrRangeTest/,
    message: /^thrown by the user$|^out of fuel$|^\w+Error: /,
    why: 'trainStep throws, or passes on what a step threw; its steps are the call of the user',
  },
  {
    call: /^(LBFGS|HessianFree)\.step/,
    message: /\(the params are at the last good point/,
    why: 'the closure fails at a trial point, and the error says where the params are',
  },
  {
    call: /^SFO\.step/,
    message: /SFO: f\(|of f\(|Cannot assign to read only property|^Class constructors cannot be invoked/,
    why: 'f fails at the new point, and the params go back to the last good one, as the documentation says',
  },
  {
    call: /./,
    message: /^thrown after the step$/,
    why: 'a post hook throws when the step is taken',
  },
  {
    call: /./,
    message: /^(TypeError: )?Cannot read properties of (undefined|null) \(reading '/,
    why: 'the method was called without its object: the error is that of every class',
  },
];

export const isKnown = ({ call, message }: Finding): boolean =>
  known.some((one) => one.call.test(call) && one.message.test(message));
