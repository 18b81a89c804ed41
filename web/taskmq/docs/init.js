// Starts Swagger UI on the openapi.json beside this page. validatorUrl null:
// no badge from an outside server.
'use strict';

window.ui = window.SwaggerUIBundle({
    url: 'openapi.json',
    dom_id: '#swagger-ui',
    validatorUrl: null,
    displayRequestDuration: true,
    persistAuthorization: false,
    tryItOutEnabled: false,
});
