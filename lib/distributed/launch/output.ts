import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes all bytes at once: a stream would lose them when a thread is ended. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') return; // nobody reads
      Atomics.wait(pause, 0, 0, 1); // a pipe is full
    }
  }
}

const newline = 10;

/** The output of a rank: each line has `[rank] ` before it. */
export class RankOutput {
  readonly #fd: number;
  readonly #prefix: Buffer;
  #rest = Buffer.alloc(0);

  constructor(fd: number, rank: number) {
    this.#fd = fd;
    this.#prefix = Buffer.from(`[${rank}] `);
  }

  /** Takes the place of what a stream of a thread does, which is to send its text to the main thread. */
  attach(stream: Writable): void {
    stream._write = (chunk: Buffer | string, encoding, done) => {
      this.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
      done();
    };
    (stream as { _writev?: unknown })._writev = null;
  }

  write(bytes: Buffer): void {
    const text = Buffer.concat([this.#rest, bytes]);
    const end = text.lastIndexOf(newline) + 1;
    this.#rest = text.subarray(end);
    if (end > 0) this.#writeLines(text.subarray(0, end));
  }

  /** Writes what has no line end yet. */
  flush(): void {
    if (this.#rest.length > 0) this.write(Buffer.from('\n'));
  }

  #writeLines(text: Buffer): void {
    const lines: Buffer[] = [];
    for (let begin = 0; begin < text.length; ) {
      const end = text.indexOf(newline, begin) + 1;
      lines.push(this.#prefix, text.subarray(begin, end));
      begin = end;
    }
    writeAll(this.#fd, Buffer.concat(lines));
  }
}
