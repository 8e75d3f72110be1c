/** Text, made safe to stand in HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] as string);
}

/** Sentences with learning rates in them: 1e-3 is not broken after its minus. */
export function prose(text: string): string {
  return escapeHtml(text).replace(/(\de-)(?=\d)/g, '$1&NoBreak;');
}

/** A value as JSON inside a script element: no `</script>` or `<!--` of its data may end it. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, '\\u003c');
}

/** A library's text inside a script element. */
export function inlineScript(text: string): string {
  return `<script>${text.replace(/<\/script/gi, '<\\/script').replace(/^\/\/# sourceMappingURL=.*$/gm, '')}</script>`;
}
