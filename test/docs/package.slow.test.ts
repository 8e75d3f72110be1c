// The site that TypeDoc builds, and the study's report, opened in a browser without a network.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import manifest from '../../package.json';
import { random } from '../support/random.js';
import { filesIn, root } from '../support/root.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-docs-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const site = join(folder, 'site');

const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });

const build = (() => {
  let built: ReturnType<typeof run> | undefined;
  return () =>
    (built ??= run(join('node_modules', 'typedoc', 'bin', 'typedoc'), '--options', 'docs/typedoc.mjs', '--out', site));
})();

describe('the site', () => {
  test('builds without a warning', { timeout: 300_000 }, () => {
    expect(manifest.scripts.docs).toBe('typedoc --options docs/typedoc.mjs');
    const { status, stdout, stderr } = build();
    expect(status, stdout + stderr).toBe(0);
    expect(stdout + stderr).not.toMatch(/\[(warning|error)\]/);
  });

  test('every link and file of every page exists, and no path of this machine appears', () => {
    const pages = filesIn(site, '.html');
    expect(pages.length).toBeGreaterThan(100);
    for (const page of pages) {
      const text = readFileSync(page, 'utf8');
      expect(text.includes(root), page).toBe(false);
      for (const [, target] of text.matchAll(/ (?:href|src)="([^"#]+)[^"]*"/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        expect(existsSync(join(dirname(page), decodeURI(target!))), `${relative(site, page)}: ${target}`).toBe(true);
      }
    }
  });

  test('an example is a page that shows the files that it imports', () => {
    const list = readFileSync(join(site, 'documents', 'Examples.html'), 'utf8');
    expect(list).toMatch(/href="\.\.\/media\/ensemble\.mts\.html"/);
    expect(list).not.toMatch(/href="[^"]*\.m[tj]s"/);
    const pages = filesIn(join(site, 'media'), 's.html').map((page) => readFileSync(page, 'utf8'));
    expect(pages.length).toBeGreaterThan(10);
    let imports = 0;
    for (const page of pages)
      for (const [, name] of page.matchAll(/from '\.\/([\w-]+)\.m[tj]s'/g)) {
        imports++;
        expect(page).toMatch(new RegExp(`<h2>examples/(?:[\\w-]+/)?${name}\\.m[tj]s</h2>`));
      }
    expect(imports).toBeGreaterThan(1); // network.mts, and recommender.mts of the server
  });

  test('shows defaults and ranges of options', () => {
    const text = readFileSync(join(site, 'interfaces', 'schuss.AdamOptions.html'), 'utf8').replace(/<[^>]*>/g, '');
    expect(text).toContain('Decay rates of the moving averages of g and g². In [0, 1).');
    expect(text).toMatch(/eps\?: Scalar = 1e-8/);
  });
});

function findChromium(): string | undefined {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => folders.map((at) => join(at, name)))
    .find((path) => existsSync(path));
}

const executablePath = findChromium();

if (executablePath === undefined) console.warn('SKIPPED: no chromium on PATH and no CHROMIUM_PATH: no page was opened');

describe.skipIf(executablePath === undefined)('in a browser, without network', { timeout: 120_000 }, () => {
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox', '--disable-gpu'] });
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    await context.setOffline(true);
  }, 120_000);
  afterAll(async () => browser?.close());

  /** Opens a page, and collects its problems. */
  async function open(file: string): Promise<{ page: Page; problems: string[] }> {
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
    page.on('request', (request) => {
      if (!/^(file|data|blob):/.test(request.url())) problems.push(`asked for ${request.url()}`);
    });
    await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
    return { page, problems };
  }

  describe('the site', () => {
    beforeAll(() => {
      build();
    }, 300_000);

    test.each([
      ['index.html', 'schuss'],
      [join('classes', 'schuss.Adam.html'), 'Class Adam'],
      [join('interfaces', 'schuss.AdamOptions.html'), 'Interface AdamOptions'],
      [join('documents', 'Choosing_an_optimizer.html'), 'Choosing an optimizer'],
      [join('documents', 'Schedules.html'), 'Schedules'],
      [join('documents', 'Adam.html'), 'Adam'],
      [join('documents', 'FAQ.html'), 'FAQ'],
    ])('%s', async (path, heading) => {
      const { page, problems } = await open(join(site, path));
      await page.locator('h1:visible', { hasText: heading }).first().waitFor();
      await page.locator('#tsd-nav-container').getByText('Guide', { exact: true }).waitFor();
      const pictures = await page
        .locator('img')
        .evaluateAll((all) => all.map((img) => (img as unknown as { naturalWidth: number }).naturalWidth));
      for (const width of pictures) expect(width).toBeGreaterThan(0);
      expect(problems, 'problems on the page').toEqual([]);
      await page.close();
    });

    test.each(['light', 'dark'] as const)('fits a phone of 390 px, %s', async (colorScheme) => {
      const phone = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme, offline: true });
      for (const path of [
        'index',
        'documents/Adam',
        'documents/FAQ',
        'documents/From_Keras',
        'classes/schuss.Adam',
        'media/ensemble.mts',
      ]) {
        const page = await phone.newPage();
        await page.goto(pathToFileURL(join(site, `${path}.html`)).href, { waitUntil: 'load' });
        const width = await page
          .locator('html')
          .evaluate((html) => (html as unknown as { scrollWidth: number }).scrollWidth);
        expect(width, path).toBeLessThanOrEqual(390);
        await page.close();
      }
      await phone.close();
    });

    test('a wrong path leads back to the start page', async () => {
      // A server shows the page under the path that was asked for.
      copyFileSync(join(site, '404.html'), join(site, 'documents', 'No_such_page.html'));
      const { page, problems } = await open(join(site, 'documents', 'No_such_page.html'));
      const start = page.getByRole('link', { name: 'start page' });
      await start.click();
      await page.waitForURL('**/index.html');
      expect(problems, 'problems on the page').toEqual([]);
      await page.close();
    });

    test('its search finds a class and opens its page', async () => {
      const { page, problems } = await open(join(site, 'index.html'));
      await page.locator('#tsd-search-trigger').click();
      await page.locator('#tsd-search-input').fill('Adam');
      const found = page.locator('#tsd-search-results a[href$="classes/schuss.Adam.html"]').first();
      await found.waitFor();
      await found.click();
      await page.waitForURL('**/classes/schuss.Adam.html');
      expect(problems, 'problems on the page').toEqual([]);
      await page.close();
    });
  });

  describe('the report of the study', () => {
    let page: Page;
    let problems: string[];
    beforeAll(async () => {
      const data = smallImages(join(folder, 'images'), 2600);
      const { status, stderr } = run(
        '--import',
        'tsx',
        'bench/main.ts',
        'study',
        '--quick',
        '--epochs',
        '1',
        '--data',
        data,
        '--out',
        join(folder, 'report'),
      );
      expect(status, stderr).toBe(0);
      ({ page, problems } = await open(join(folder, 'report', 'report.html')));
    }, 300_000);

    test('draws every plot of every figure', async () => {
      const plots = page.locator('[data-spec]');
      expect(await plots.count()).toBeGreaterThan(30);
      await expect.poll(() => page.locator('[data-spec]:not(:has(svg, canvas))').count(), { timeout: 60_000 }).toBe(0);
      const drawn = await plots.evaluateAll((all) =>
        all.map((plot) => {
          const { width, height } = plot.querySelector('svg, canvas')!.getBoundingClientRect();
          const marks = plot.querySelectorAll('svg [class*="mark-"] path, svg [class*="mark-"] text').length;
          return { width, height, marks, figure: plot.closest('section')?.id };
        }),
      );
      for (const { figure, width, height, marks } of drawn) {
        expect(width, figure).toBeGreaterThan(100);
        expect(height, figure).toBeGreaterThan(50);
        expect(marks, figure).toBeGreaterThan(5);
      }
      expect(problems, 'problems on the page').toEqual([]);
    });

    test('each legend highlights its lines, and stops doing so', async () => {
      const sections = page.locator('section:has(.legend button)');
      const count = await sections.count();
      expect(count).toBeGreaterThan(5);
      for (let i = 0; i < count; i++) {
        const section = sections.nth(i);
        const id = (await section.getAttribute('id')) ?? '';
        const drawing = () =>
          section.locator('[data-spec]').evaluateAll((all) => all.map((plot) => plot.innerHTML).join());
        const button = section.locator('.legend button').first();
        const before = await drawing();
        await button.click();
        await page.mouse.move(0, 0);
        expect(await button.getAttribute('aria-pressed'), id).toBe('true');
        await expect.poll(drawing, { message: id }).not.toBe(before);
        await button.click();
        await page.mouse.move(0, 0);
        expect(await button.getAttribute('aria-pressed'), id).toBe('false');
        await expect.poll(drawing, { message: id }).toBe(before);
      }
      expect(problems, 'problems on the page').toEqual([]);
    });
  });
});

/** A folder of IDX files with images of 4 × 4, whose brightest row is their class: a study of them takes seconds. */
function smallImages(path: string, count: number): string {
  const uniform = random(7);
  const labels = Uint8Array.from({ length: count }, () => Math.floor(4 * uniform()));
  const pixels = Uint8Array.from({ length: 16 * count }, (_, i) =>
    Math.floor(uniform() * (Math.floor((i % 16) / 4) === labels[Math.floor(i / 16)] ? 255 : 160)),
  );
  const idx = (shape: readonly number[], data: Uint8Array): Buffer => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    header.set([0, 0, 8, shape.length]);
    for (const [i, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * i);
    return Buffer.concat([header, data]);
  };
  mkdirSync(path);
  writeFileSync(join(path, 'train-images-idx3-ubyte'), idx([count, 4, 4], pixels));
  writeFileSync(join(path, 'train-labels-idx1-ubyte'), idx([count], labels));
  return path;
}
