// Learns y = w·x + b from requests while it answers others, in plain JavaScript.
//
// node examples/learning-server.mjs
//
// curl 'localhost:3000/learn?x=2&y=5'; curl 'localhost:3000/predict?x=3'
import { createServer } from 'node:http';
import { AdamW } from 'schuss';

const params = { w: new Float32Array(1), b: new Float32Array(1) };
const grads = { w: new Float32Array(1), b: new Float32Array(1) };
const adamw = new AdamW(params, { lr: 0.03, weightDecay: 0 });
const predict = (x) => params.w[0] * x + params.b[0];

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const [x, y] = [Number.parseFloat(searchParams.get('x')), Number.parseFloat(searchParams.get('y'))];
  const learns = pathname === '/learn';
  if (!Number.isFinite(x) || (learns && !Number.isFinite(y))) return response.writeHead(400).end('x, y: numbers\n');
  const error = predict(x) - y; // the loss is error² / 2
  if (learns) {
    grads.w[0] = error * x;
    grads.b[0] = error;
    adamw.step(grads);
  }
  response.end(`${JSON.stringify({ prediction: predict(x), steps: adamw.stepCount })}\n`);
});
server.listen(process.env.PORT ?? 3000, () => console.log(`listening on http://localhost:${server.address().port}`));
