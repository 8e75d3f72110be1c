import { jax } from './jax.js';
import { jsLoop } from './js-loop.js';
import type { Peer } from './peer.js';
import { schussInTensorflow, tensorflowCpu, tensorflowWasm } from './tensorflow.js';
import { deepspeed, torchPeers } from './torch.js';

/** Everything that schuss is compared with. */
export const peers: readonly Peer[] = [
  jsLoop,
  schussInTensorflow,
  tensorflowWasm,
  tensorflowCpu,
  jax,
  ...torchPeers,
  deepspeed,
];
