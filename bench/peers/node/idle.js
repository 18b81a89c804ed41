// node idle.js N: adds a job, waits for its result, N times; ms, one per line.
'use strict';

const { Queue, QueueEvents } = require('bullmq');
const { connection, payload, queue, sleep } = require('./common');

async function main() {
    const q = new Queue(queue, { connection: connection() });
    const events = new QueueEvents(queue, { connection: connection() });
    await events.waitUntilReady();
    for (let i = 0; i < Number(process.argv[2]); i++) {
        await sleep(5);
        const start = process.hrtime.bigint();
        const job = await q.add('dummy', payload);
        await job.waitUntilFinished(events);
        console.log(Number(process.hrtime.bigint() - start) / 1e6);
    }
    process.exit(0);
}

main();
