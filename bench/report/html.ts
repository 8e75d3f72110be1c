/** Escapes text for HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] as string);
}

/** Escapes sentences for HTML, and keeps learning rates such as 1e-3 from breaking after the minus. */
export function prose(text: string): string {
  return escapeHtml(text).replace(/(\de-)(?=\d)/g, '$1&NoBreak;');
}

/** A value as JSON for a script element. `<` is escaped so that `</script>` and `<!--` in the data cannot end it. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, '\\u003c');
}

/** A library's source in a script element, without its source map. */
export function inlineScript(text: string): string {
  return `<script>${text.replace(/<\/script/gi, '<\\/script').replace(/^\/\/# sourceMappingURL=.*$/gm, '')}</script>`;
}
