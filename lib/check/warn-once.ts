const warned = new Set<string>();

/** Emits a warning of the library, unless this thread has emitted the same message before. */
export function warnOnce(code: string, message: string): void {
  if (warned.has(message)) return;
  warned.add(message);
  process.emitWarning(message, { type: 'SchussWarning', code });
}
