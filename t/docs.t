# taskmq_docs_root: the reference pages, and nothing else of the disk.

use lib 't/lib';
use File::Path qw(make_path);
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'taskmq_docs_root $TEST_NGINX_SCRATCH/web;
                 location / { taskmq_api taskmq; }
                 location /td/ { taskmq_api taskdaemon; }
                 location /none/ { taskmq_api taskmq;
                                   taskmq_docs_root /nowhere; }');

make_path(map { scratch() . "/web/$_" } qw(taskmq/docs taskmq/redoc
          taskdaemon/swagger-ui));
write_file('web/taskmq/openapi.json', '{"openapi":"3.1.0"}');
write_file('web/taskdaemon/openapi.json', '{"openapi":"3.1.0","td":1}');
write_file("web/taskmq/$_/index.html", "<html>$_") for qw(docs redoc);
write_file('web/taskmq/docs/init.js', 'x()');
write_file('web/taskmq/docs/page.css', 'p {}');
write_file('web/taskmq/docs/a.png', "\x89PNG");
write_file('web/taskmq/docs/LICENSE', 'text');
write_file('web/taskmq/docs/.hidden', 'secret');
write_file('web/taskmq/docs/empty', '');
write_file('web/taskdaemon/swagger-ui/index.html', '<html>swagger');
write_file('web/secret', 'secret');

# Path, status, type, body.
our @Get = (
    ['/openapi.json', 200, 'application/json', '\{"openapi":"3.1.0"\}'],
    ['/docs', 200, 'text/html; charset=utf-8', '<html>docs'],
    ['/redoc', 200, 'text/html; charset=utf-8', '<html>redoc'],
    ['/docs/', 301, 'application/json', '\{\}'],
    ['/redoc/', 301, 'application/json', '\{\}'],
    ['/docs/init.js', 200, 'text/javascript; charset=utf-8', 'x\(\)'],
    ['/docs/page.css', 200, 'text/css; charset=utf-8', 'p \{\}'],
    ['/docs/a.png', 200, 'image/png', '\x89PNG'],
    ['/docs/LICENSE', 200, 'text/plain; charset=utf-8', 'text'],
    ['/docs/empty', 200, 'text/plain; charset=utf-8', ''],
    ['/docs/index.html', 200, 'text/html; charset=utf-8', '<html>docs'],
    ['/td/openapi.json', 200, 'application/json',
     '\{"openapi":"3.1.0","td":1\}'],
    ['/td/swagger-ui', 301, 'application/json', '\{\}'],
    ['/td/swagger-ui/', 200, 'text/html; charset=utf-8', '<html>swagger'],
    map({ [$_, 404, 'application/json', '\{"detail":"[^"]+"\}'] }
        '/docs/none.js', '/docs/.hidden', '/docs/..', '/docs/%2e%2e/secret',
        '/docs/..%2fsecret', '/docs/a/b',
        '/docs/init.js/', '/docs/init%20js', '/docs/%ff', '/swagger-ui/',
        '/secret', '/none/docs', '/none/openapi.json'),
    # nginx itself takes these for the paths that they are
    ['/docs/..%2fopenapi.json', 200, 'application/json',
     '\{"openapi":"3.1.0"\}'],
    ['/docs/..%2f..%2fsecret', 400, 'text/html', '<html>.*'],
    ['/td/docs', 404, 'application/json', '\{"error":"[^"]+"\}'],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: paths
--- request eval
[map { "GET $_->[0]" } @::Get]
--- error_code eval
[map { $_->[1] } @::Get]
--- response_headers eval
[map { "Content-Type: $_->[2]" } @::Get]
--- response_body_like eval
[map { "^$_->[3]\$" } @::Get]



=== TEST 2: redirects are paths
--- request eval
['GET /docs/', 'GET /td/swagger-ui']
--- error_code eval
[301, 301]
--- response_headers eval
['Location: /docs', 'Location: /td/swagger-ui/']



=== TEST 3: HEAD, other methods
--- request eval
['HEAD /docs', 'POST /docs', 'DELETE /openapi.json', 'OPTIONS /docs']
--- error_code eval
[200, 405, 405, 204]
--- response_body_like eval
['^$', '^\{"detail":"', '^\{"detail":"', '^$']



=== TEST 4: asked again: not sent again; a part of it
--- request eval
['GET /docs', 'GET /docs', 'GET /docs']
--- more_headers eval
['', 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT', 'Range: bytes=0-5']
--- error_code_like eval
['200', '200|304', '206']
--- response_headers eval
["Cache-Control: no-cache\nX-Content-Type-Options: nosniff\nX-Frame-Options: DENY", '', 'Content-Length: 6']
--- response_body_like eval
['^<html>docs$', '', '^<html>$']



=== TEST 5: needs no Redis and no token
--- init
--- config
    taskmq_docs_root $TEST_NGINX_SCRATCH/web;
    location / { taskmq_api taskmq; taskmq_redis unix:/nowhere; }
--- request eval
['GET /docs', 'GET /openapi.json']
--- error_code eval
[200, 200]
