// A BullMQ worker that does nothing. CONCURRENCY jobs at a time; REMOVE=1:
// forgets completed jobs.
'use strict';

const { Worker } = require('bullmq');
const { connection, queue } = require('./common');

const w = new Worker(queue, async () => 1, {
    connection: connection(),
    concurrency: Number(process.env.CONCURRENCY),
    removeOnComplete: process.env.REMOVE ? { count: 0 } : undefined,
});
w.on('error', e => console.error(e));
