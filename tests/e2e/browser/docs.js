// docs.js MODULES BASE TOKEN: opens the API reference pages of a running nginx
// in Chromium and prints what was seen as one JSON object. Exits 1 with the
// reason when a step cannot be done.
//
//     MODULES  folder that holds playwright-core
//     BASE     e.g. http://127.0.0.1:8000 or http://127.0.0.1:8000/jobs
'use strict';

const path = require('path');

const [modules, base, token, api] = process.argv.slice(2);
const { chromium } = require(path.resolve(modules, 'playwright-core'));

const WAIT = { timeout: Number(process.env.WAIT_MS || 30000) };

// Everything a page did that it should not: what it logged, threw, or asked
// of somebody else.
function watch(page, seen) {
    const origin = new URL(base).origin;

    page.on('console', (msg) => {
        if (msg.type() === 'error' || msg.type() === 'warning') {
            seen.console.push(`${msg.type()}: ${msg.text()}`);
        }
    });
    page.on('pageerror', (err) => seen.console.push(`thrown: ${err}`));
    page.on('request', (req) => {
        const url = req.url();
        if (!url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url)) {
            seen.outside.push(url);
        } else if (url.startsWith(origin)) {
            seen.requests.push(url.slice(origin.length));
        }
    });
    page.on('response', (res) => {
        if (res.status() >= 400) {
            seen.refused.push(`${res.status()} ${res.url()}`);
        }
    });
}

// Authorizes and executes one operation; returns what the page shows of it.
async function tryItOut(page, operation, body) {
    const block = page.locator(`[id$="-${operation}"]`).first();

    await block.locator('.opblock-summary-control').click(WAIT);
    await block.locator('button.try-out__btn').click(WAIT);
    if (body !== undefined) {
        await block.locator('textarea.body-param__text').fill(body, WAIT);
    }
    await block.locator('button.execute').click(WAIT);

    const live = block.locator('.live-responses-table').first();
    await live.waitFor({ state: 'visible', ...WAIT });

    return {
        status: (await live.locator('.response-col_status').nth(1)
            .innerText(WAIT)).trim().split(/\s/)[0],
        body: await live.locator('.response-col_description .highlight-code,'
            + ' .response-col_description pre').first().innerText(WAIT),
        url: await block.locator('.request-url pre').innerText(WAIT),
    };
}

async function authorize(page) {
    await page.locator('button.authorize').first().click(WAIT);
    await page.locator('.auth-container input').first().fill(token, WAIT);
    await page.locator('.auth-container button.authorize').click(WAIT);
    await page.locator('.auth-container button.btn-done, .modal-ux .btn-done')
        .first().click(WAIT);
}

async function swagger(page, out) {
    await page.goto(`${base}/${api === 'taskdaemon' ? 'swagger-ui/' : 'docs'}`,
        WAIT);
    await page.locator('.opblock').first().waitFor(WAIT);
    out.title = await page.locator('.info .title').first().innerText(WAIT);
    out.operations = await page.locator('.opblock').count();
    out.errors = await page.locator('.errors-wrapper').count();

    if (api === 'taskdaemon') {
        out.tried = await tryItOut(page, 'queueTask',
            '{"type": "parked", "data": {"from": "a browser"}}');
        return;
    }

    await authorize(page);
    out.tried = await tryItOut(page, 'addJob',
        '{"payload": {"from": "a browser"}, "handler": "parked"}');
}

async function redoc(page, out) {
    await page.goto(`${base}/redoc`, WAIT);
    await page.locator('h2', { hasText: /^\s*Add a job\s*$/ }).first()
        .waitFor(WAIT);
    out.title = await page.locator('h1').first().innerText(WAIT);
    out.text = (await page.locator('#redoc').innerText(WAIT)).length;
    out.operations = await page.locator('div[id^="operation/"], '
        + 'div[id*="/operation/"]').count();
}

async function main() {
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: ['--headless', '--no-sandbox', '--disable-gpu'],
    });
    const result = {};

    try {
        const parts = { swagger, redoc };
        for (const name of api === 'taskdaemon' ? ['swagger']
            : ['swagger', 'redoc']) {
            const seen = { console: [], outside: [], refused: [],
                requests: [] };
            const page = await browser.newPage();
            watch(page, seen);
            result[name] = seen;
            await parts[name](page, seen);
            if (process.env.SHOTS) {
                await page.screenshot({ fullPage: false,
                    path: `${process.env.SHOTS}/${name}.png` });
            }
            await page.close();
        }
    } finally {
        await browser.close();
        console.log(JSON.stringify(result, null, 1));
    }
}

main().catch((err) => {
    console.error(err.message);
    process.exitCode = 1;
});
