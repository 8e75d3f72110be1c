export { Random } from '../../second-order/random.js';
