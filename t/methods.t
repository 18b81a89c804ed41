# Methods and paths: 405 with Allow, OPTIONS, HEAD, 404.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our @Wrong = (
    ['GET /add-job', 'POST'], ['PUT /add-job', 'POST'],
    ['DELETE /add-job', 'POST'], ['PATCH /add-job', 'POST'],
    ['HEAD /add-job', 'POST'], ['BREW /add-job', 'POST'],
    ['POST /job/1', 'GET'], ['PUT /job/1', 'GET'],
    ['POST /health', 'GET'], ['DELETE /health', 'GET'],
);

our @Unknown = ('GET /', 'GET /nothing', 'POST /add-job/', 'GET /add-job/x',
                'GET /healthy', 'GET /job', 'GET /job/1/x', 'POST /',
                'GET /Health', 'GET //health/x');

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: 405 says what is allowed
--- request eval
[map { $_->[0] } @::Wrong]
--- more_headers eval: ::admin()
--- error_code eval
[map { 405 } @::Wrong]
--- raw_response_headers_like eval
[map { "\r\n(?i:Allow): [^\r]*$_->[1]" } @::Wrong]
--- response_headers eval
[map { 'Content-Type: application/json' } @::Wrong]
--- response_body eval
[map { $_->[0] =~ /^HEAD/ ? '' : qr/^\{"detail":"[^"]+"\}$/ } @::Wrong]



=== TEST 2: what Allow lists
--- request eval
['DELETE /add-job', 'PUT /job/1', 'PUT /health']
--- more_headers eval: ::admin()
--- error_code eval
[405, 405, 405]
--- response_headers_like eval
['Allow: POST, OPTIONS', 'Allow: GET, HEAD,( DELETE,)? OPTIONS', 'Allow: GET, HEAD, OPTIONS']



=== TEST 3: OPTIONS needs no token and tells nothing but Allow
--- request eval
['OPTIONS /add-job', 'OPTIONS /job/1', 'OPTIONS /health']
--- error_code eval
[204, 204, 204]
--- raw_response_headers_like eval
['(?i)Allow: POST, OPTIONS', '(?i)Allow: GET, HEAD', '(?i)Allow: GET, HEAD']
--- response_body eval
['', '', '']



=== TEST 4: 404
--- request eval
\@::Unknown
--- more_headers eval: ::admin()
--- error_code eval
[map { 404 } @::Unknown]
--- response_headers eval
[map { 'Content-Type: application/json' } @::Unknown]
--- response_body eval
[map { qr/^\{"detail":"Not Found"\}$/ } @::Unknown]



=== TEST 5: a body where none is asked for
--- no_http2
--- request eval
["GET /health\n{}", "GET /job/1\n" . 'x' x 100_000]
--- more_headers eval: ::admin()
--- error_code eval
[200, 404]



=== TEST 6: HTTP/1.0
--- request eval
["POST /add-job HTTP/1.0\n" . '{"payload":{},"handler":"h"}', 'GET /health HTTP/1.0']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200]
--- response_headers_like eval
['Content-Length: 26', 'Content-Length: \d+']
