// elsewhere.js MODULES BASE PAGE: what pages can do with an API that asks for
// no token. Prints one JSON object: page -> what was tried -> HTTP status, 0
// for an answer that the page may not see.
//
//     MODULES  folder that holds playwright-core
//     BASE     the API, e.g. http://127.0.0.1:8080
//     PAGE     a page of another origin
//
// Every host name leads to this machine, as rebound ones do.
'use strict';

const path = require('path');

const [modules, base, elsewhere] = process.argv.slice(2);
const { chromium } = require(path.resolve(modules, 'playwright-core'));

const WAIT = { timeout: Number(process.env.WAIT_MS || 30000) };

// Runs in the page.
async function attempt(to) {
    const task = (how) => JSON.stringify({ type: 'parked', data: { how } });
    const tries = {
        text: ['/queue', { method: 'POST', mode: 'no-cors',
            body: task('text') }],
        bytes: ['/queue', { method: 'POST', mode: 'no-cors',
            body: new TextEncoder().encode(task('bytes')) }],
        json: ['/queue', { method: 'POST', body: task('json'),
            headers: { 'Content-Type': 'application/json' } }],
        read: ['/api/tasks', {}],
        remove: ['/api/tasks/x', { method: 'DELETE' }],
    };
    const out = {};

    for (const [name, [where, how]] of Object.entries(tries)) {
        out[name] = await fetch(to + where, how)
            .then((r) => r.status, () => 0);
    }

    return out;
}

async function main() {
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu',
            '--host-resolver-rules=MAP *.example 127.0.0.1'],
    });
    const page = await browser.newPage();
    const port = new URL(base).port;
    const seen = {};

    for (const [name, url, to] of [
        ['here', `${base}/health`, ''],
        ['elsewhere', elsewhere, base],
        ['named', elsewhere.replace('127.0.0.1', 'evil.example'), base],
        ['rebound', `http://evil.example:${port}/health`, ''],
    ]) {
        await page.goto(url, WAIT);
        seen[name] = await page.evaluate(attempt, to);
    }

    await browser.close();
    process.stdout.write(JSON.stringify(seen));
}

main().catch((err) => {
    process.stderr.write(`${err.stack}\n`);
    process.exit(1);
});
