const warned = new Set<string>();
/** Messages may contain numbers of the user, of which a service may have any number. */
const most = 1000;

/** Emits a warning of the library, unless this thread has emitted the same message before. */
export function warnOnce(code: string, message: string): void {
  if (warned.has(message)) return;
  if (warned.size === most) warned.clear();
  warned.add(message);
  process.emitWarning(message, { type: 'SchussWarning', code });
}
