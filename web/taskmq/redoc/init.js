// Starts ReDoc on the openapi.json beside this page, with the browser's own
// fonts.
'use strict';

window.Redoc.init('openapi.json', {
    theme: {
        typography: {
            fontFamily: 'sans-serif',
            headings: { fontFamily: 'sans-serif' },
            code: { fontFamily: 'monospace' },
        },
    },
}, document.getElementById('redoc'));
