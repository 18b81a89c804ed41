// POST /add-job in front of BullMQ: node's own http, the token checked by
// node's own crypto, the body validated. PROCESSES > 1: cluster.
'use strict';

const cluster = require('cluster');
const crypto = require('crypto');
const http = require('http');
const { Queue } = require('bullmq');
const { connection, queue } = require('./common');

const secret = process.env.SECRET;
const processes = Number(process.env.PROCESSES);

function verify(header) {
    const m = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(header || '');
    if (!m) {
        return null;
    }
    const mac = crypto.createHmac('sha256', secret)
        .update(m[1] + '.' + m[2]).digest();
    const sig = Buffer.from(m[3], 'base64url');
    if (sig.length !== mac.length || !crypto.timingSafeEqual(sig, mac)) {
        return null;
    }
    const head = JSON.parse(Buffer.from(m[1], 'base64url'));
    const claims = JSON.parse(Buffer.from(m[2], 'base64url'));
    return head.alg === 'HS256' && claims.exp > Date.now() / 1000
        && claims.role === 'admin' ? claims : null;
}

function answer(res, status, text) {
    res.writeHead(status, { 'Content-Type': 'application/json',
                            'Content-Length': Buffer.byteLength(text) });
    res.end(text);
}

function serve() {
    const q = new Queue(queue, { connection: connection() });

    const server = http.createServer((req, res) => {
        const parts = [];
        req.on('data', part => parts.push(part));
        req.on('end', async () => {
            try {
                if (!verify(req.headers.authorization)) {
                    return answer(res, 401, '{"detail":"token"}');
                }
                const job = JSON.parse(Buffer.concat(parts));
                if (typeof job.handler !== 'string'
                    || typeof job.payload !== 'object')
                {
                    return answer(res, 422, '{"detail":"body"}');
                }
                const added = await q.add(job.handler, job.payload);
                answer(res, 200, `{"status":"ok","job_id":${added.id}}`);
            } catch (e) {
                answer(res, 500, JSON.stringify({ detail: String(e) }));
            }
        });
    });
    server.keepAliveTimeout = 60000;
    server.listen(Number(process.env.PORT), '127.0.0.1');
}

if (processes > 1 && cluster.isPrimary) {
    for (let i = 0; i < processes; i++) {
        cluster.fork();
    }
} else {
    serve();
}
