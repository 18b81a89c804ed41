#!/usr/bin/env node
// A handler: {"limit": N} -> how many primes up to N, and the largest.
//
// handlers.toml:
//     [handlers.primes]
//     command = ["node", "clients/node/primes.js"]
'use strict';

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

// Every answer carries the task's id: it is never taken for another's.
async function answer(line) {
    let task = {};
    try {
        task = JSON.parse(line);
        return { status: 'success', task_id: task.task_id,
            result: await primes(task.task_data) };
    } catch (err) {
        if (!(err instanceof BadInput)) {
            console.error('task failed:', err);
        }
        return {
            status: 'error',
            task_id: task.task_id,
            error: err.message,
            retryable: !(err instanceof BadInput),
        };
    }
}

// A line ends at LF and nowhere else (readline cuts at U+2028, too).
async function* lines(input) {
    let rest = '';
    input.setEncoding('utf8');
    for await (const chunk of input) {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop();
        yield* parts;
    }
}

// stdout belongs to the protocol: everything else goes to stderr
// (console.error), which is the job's log. `for await` takes the next line
// only after this one was answered, and ends with the input.
async function main() {
    for await (const line of lines(process.stdin)) {
        process.stdout.write(JSON.stringify(await answer(line)) + '\n');
    }
}

main();
