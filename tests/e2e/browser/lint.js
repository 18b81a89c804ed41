// lint.js MODULES FILE ...: holds OpenAPI documents against Redocly's
// recommended rules. Prints what they find, a line each, and exits 1 for it.
//
//     MODULES  folder that holds @redocly/openapi-core
'use strict';

const path = require('path');

const [modules, ...files] = process.argv.slice(2);
const { createConfig, lint } = require(
    path.resolve(modules, '@redocly/openapi-core'));

async function main() {
    const config = await createConfig({
        extends: ['recommended'],
        rules: {
            'info-license': 'off',
            // health and metrics have none but the 405 of every path
            'operation-4xx-response': 'off',
        },
    });
    let found = 0;

    for (const ref of files) {
        for (const problem of await lint({ ref, config })) {
            const where = problem.location.map((l) => l.pointer).join(' ');
            process.stdout.write(`${ref} ${where}: ${problem.message} `
                + `(${problem.ruleId})\n`);
            found += 1;
        }
    }

    process.exit(found ? 1 : 0);
}

main().catch((err) => {
    process.stderr.write(`${err.stack}\n`);
    process.exit(2);
});
