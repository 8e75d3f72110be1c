export { Random } from '../../lib/second-order/sfo/random.js';
