// Where Redis is, and the job all works use.
'use strict';

const Redis = require('ioredis').Redis || require('ioredis');

exports.connection = () => new Redis(process.env.REDIS_SOCK,
    { maxRetriesPerRequest: null });

exports.payload = { to: 'someone@example.org', subject: 'hello',
                    order: 1234567, text: 'x'.repeat(28) };

exports.queue = 'bench';

exports.sleep = ms => new Promise(done => setTimeout(done, ms));
