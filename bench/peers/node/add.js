// node add.js one|bulk N: adds jobs, 50 in flight or 1,000 per addBulk;
// prints jobs per second. "fill N": the same as bulk. "delay N MS": all due
// at the same moment, which is printed (ms since 1970).
'use strict';

const { Queue } = require('bullmq');
const { connection, payload, queue } = require('./common');

async function main() {
    const [how, text, ms] = process.argv.slice(2);
    const n = Number(text);
    const q = new Queue(queue, { connection: connection() });
    await q.waitUntilReady();
    const start = process.hrtime.bigint();

    if (how === 'one') {
        let left = n;
        await Promise.all(Array.from({ length: 50 }, async () => {
            while (left-- > 0) {
                await q.add('dummy', payload);
            }
        }));
    } else {
        const due = Date.now() + Number(ms || 0);
        for (let i = 0; i < n; i += 1000) {
            await q.addBulk(Array.from({ length: Math.min(1000, n - i) },
                () => ({ name: 'dummy', data: payload,
                         opts: ms ? { delay: due - Date.now() } : {} })));
        }
        if (ms) {
            console.log(due);
        }
    }

    if (!ms) {
        console.log(n / (Number(process.hrtime.bigint() - start) / 1e9));
    }
    process.exit(0);
}

main();
