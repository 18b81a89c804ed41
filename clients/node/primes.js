#!/usr/bin/env node
// A handler: {"limit": N} -> how many primes up to N, and the largest.
//
// handlers.toml:
//     [handlers.primes]
//     command = ["node", "clients/node/primes.js"]
'use strict';

const readline = require('readline');

const DEFAULT_LIMIT = 1000000;
const MAX_LIMIT = 10000000;

// Trying again would not help.
class BadInput extends Error {}

async function primes(data) {
    const limit = data.limit === undefined ? DEFAULT_LIMIT : data.limit;

    if (!Number.isInteger(limit) || limit < 0 || limit > MAX_LIMIT) {
        throw new BadInput(`limit must be an integer from 0 to ${MAX_LIMIT}`);
    }

    const composite = new Uint8Array(limit + 1);
    let count = 0;
    let largest = 0;

    for (let n = 2; n <= limit; n++) {
        if (composite[n]) {
            continue;
        }
        count++;
        largest = n;
        for (let m = n * n; m <= limit; m += n) {
            composite[m] = 1;
        }
    }

    return { limit, count, largest };
}

async function answer(line) {
    try {
        const task = JSON.parse(line);
        return { status: 'success', result: await primes(task.task_data) };
    } catch (err) {
        if (!(err instanceof BadInput)) {
            console.error('task failed:', err);
        }
        return {
            status: 'error',
            error: err.message,
            retryable: !(err instanceof BadInput),
        };
    }
}

// stdout belongs to the protocol: everything else goes to stderr
// (console.error), which is the job's log. `for await` takes the next line
// only after this one was answered, and ends with the input.
async function main() {
    for await (const line of readline.createInterface({
        input: process.stdin, crlfDelay: Infinity })) {
        process.stdout.write(JSON.stringify(await answer(line)) + '\n');
    }
}

main();
