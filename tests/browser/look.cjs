// Opens pages in a real browser, at the widths of a phone and a desktop, light and dark, and prints what is wrong as JSON.
// Usage: node look.cjs BROWSER PAGE... ; playwright-core and axe-core are found by NODE_PATH. SHOTS names a folder for screenshots.
const fs = require("fs");
const path = require("path");
const { chromium } = require("playwright-core");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// How many of the things that can be reached by the Tab key are reached by it, and whether each shows that it is.
async function byKeyboard(page) {
  const wanted = await page.evaluate(() => [...document.querySelectorAll("a[href], summary, [tabindex='0']")].filter((one) => one.checkVisibility()).length);
  const reached = new Set();
  let unseen = 0;
  for (let press = 0; press < wanted + 2; press++) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      const here = document.activeElement;
      if (!here || here === document.body) return null;
      here.dataset.place ??= String(Math.random());
      return [here.dataset.place, getComputedStyle(here).outlineStyle];
    });
    if (found) reached.add(found[0]);
    if (found && found[1] === "none") unseen++;
  }
  let opens = true;
  if (await page.$("summary")) {
    await page.focus("summary");
    await page.keyboard.press("Enter");
    opens = await page.evaluate(() => document.querySelector("details").open);
  }
  return { wanted, reached: reached.size, unseen, opens };
}

// How many results a search has that is made by keyboard alone; -1 where the page has no search.
async function bySearch(page) {
  if (!(await page.$("[data-md-component='search-query']"))) return -1;
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("/");
  await page.keyboard.type("budget");
  await page.waitForSelector(".md-search-result__item", { timeout: 20000 }).catch(() => {});
  const found = await page.evaluate(() => document.querySelectorAll(".md-search-result__item").length);
  await page.keyboard.press("Escape");
  await page.waitForTimeout(500);  // what fades out is pale for a moment
  return found;
}

async function look(browser, file, width, height, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, bypassCSP: true });
  const page = await context.newPage();
  const asked = [];
  const failures = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("pageerror", (error) => failures.push(String(error)));
  page.on("dialog", (dialog) => { failures.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  const started = Date.now();
  await page.goto(`file://${path.resolve(file)}`);
  const milliseconds = Date.now() - started;
  const keyboard = await byKeyboard(page);
  const found = await bySearch(page);
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  const name = `${path.basename(file, ".html")}-${width}-${colorScheme}`;
  if (process.env.SHOTS) await page.screenshot({ path: path.join(process.env.SHOTS, `${name}.png`), fullPage: true });
  await context.close();
  const faults = violations.map((one) => ({ id: one.id, impact: one.impact, where: one.nodes.map((node) => node.html.slice(0, 200)).slice(0, 3) }));
  const elsewhere = asked.filter((url) => !/^(file|data|blob|about):/.test(url));
  return { name, milliseconds, asked: asked.length, elsewhere, found, failures, overflow, keyboard, faults };
}

(async () => {
  const [executablePath, ...files] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const found = [];
  for (const file of files) {
    for (const [width, height] of [[390, 844], [1280, 900]]) {
      for (const scheme of ["light", "dark"]) found.push(await look(browser, file, width, height, scheme));
    }
  }
  await browser.close();
  console.log(JSON.stringify(found));
})();
