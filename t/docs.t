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



=== TEST 6: nginx compresses what gzip_types names
--- config
    gzip on;
    gzip_min_length 1;
    gzip_types text/css text/javascript application/json text/plain;
    gzip_vary on;
    taskmq_docs_root $TEST_NGINX_SCRATCH/web;
    location / { taskmq_api taskmq; }
--- request eval
[map { "GET $_" } ('/docs', '/redoc', '/docs/init.js', '/docs/page.css', '/openapi.json', '/docs/LICENSE', '/docs/a.png', '/docs')]
--- more_headers eval
[('Accept-Encoding: gzip') x 7, '']
--- response_headers eval
[(map { "Content-Encoding: gzip\nContent-Type: $_" } ('text/html; charset=utf-8') x 2, 'text/javascript; charset=utf-8',
  'text/css; charset=utf-8', 'application/json', 'text/plain; charset=utf-8'),
 "!Content-Encoding\nContent-Type: image/png", "!Content-Encoding\nContent-Type: text/html; charset=utf-8"]
--- error_code eval
[(200) x 8]



=== TEST 7: one Cache-Control, whatever nginx adds
--- config
    taskmq_docs_root $TEST_NGINX_SCRATCH/web;
    location / { taskmq_api taskmq; expires 1h; }
    location /off/ { taskmq_api taskmq; expires off; }
    location /epoch/ { taskmq_api taskmq; expires epoch; }
--- request eval
['GET /docs', 'GET /openapi.json', 'GET /off/docs', 'GET /epoch/docs']
--- after eval
[map { my ($path, $want) = @$_; sub {
    my ($head) = split /\r\n\r\n/, ::get($path);
    my $got = CORE::join '|', $head =~ /^Cache-Control: (.*?)\r?$/mg;
    die "$path: Cache-Control $got\n" if $got ne $want;
} } ['/docs', 'max-age=3600'], ['/openapi.json', 'max-age=3600'], ['/off/docs', 'no-cache'], ['/epoch/docs', 'no-cache']]
--- error_code eval
[200, 200, 200, 200]



=== TEST 8: a charset of nginx's own changes nothing
--- http_config
    taskmq_redis unix:$TEST_NGINX_REDIS;
    taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;
    charset_map koi8-r utf-8 { C0 D18E; }
--- config
    charset koi8-r;
    source_charset utf-8;
    taskmq_docs_root $TEST_NGINX_SCRATCH/web;
    location / { taskmq_api taskmq; }
--- request eval
['GET /docs', 'GET /openapi.json', 'GET /health']
--- response_headers eval
['Content-Type: text/html; charset=utf-8', 'Content-Type: application/json', 'Content-Type: application/json']
--- error_code eval
[200, 200, 200]
