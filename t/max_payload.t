# taskmq_max_payload and the sizes of bodies.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

# A job whose payload has that many bytes.
sub job { return '{"handler":"h","payload":{"a":"' . 'x' x ($_[0] - 8) . '"}}' }
sub post { return "POST /add-job\n" . job($_[0]) }

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: the limit is met to the byte
--- no_http2
--- config
    location / { taskmq_api taskmq; taskmq_max_payload 1k; }
--- request eval
[::post(1024), ::post(1025), ::post(1023)]
--- more_headers eval: ::admin()
--- error_code eval
[200, 413, 200]
--- response_headers eval
[('Content-Type: application/json') x 3]
--- response_body_like eval
['"ok"', '^\{"detail":"[^"]+"\}$', '"ok"']



=== TEST 2: the default is 1 MiB
--- no_http2
--- request eval
[::post(1048576), ::post(1048577)]
--- more_headers eval: ::admin()
--- error_code eval
[200, 413]



=== TEST 3: refused by Content-Length alone, the body is not waited for
--- raw_request eval
"POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ::admin()
. "\r\nContent-Length: 99999999999\r\n\r\n"
--- timeout: 0.2
--- abort
--- error_code: 413
--- response_headers
Content-Type: application/json
--- response_body_like: ^\{"detail":"



=== TEST 4: chunked: counted while it comes
--- config
    location / { taskmq_api taskmq; taskmq_max_payload 1k; }
--- request eval
["POST /add-job\n" . ("1000\r\n" . '[' x 4096 . "\r\n") x 20 . "0\r\n\r\n"]
--- more_headers eval: ::admin() . "\nTransfer-Encoding: chunked"
--- error_code: 413
--- response_headers
Content-Type: application/json
--- response_body_like: ^\{"detail":"



=== TEST 5: pipelined after a body that was too large
--- no_http2
--- config
    location / { taskmq_api taskmq; taskmq_max_payload 1k; }
--- pipelined_requests eval
[::post(1024), ::post(200_000), ::post(1024)]
--- more_headers eval: ::admin()
--- error_code eval
[200, 413, 200]



=== TEST 6: nginx's own limit is not in the way of a larger payload
--- http_config
    taskmq_redis unix:$TEST_NGINX_REDIS;
    taskmq_auth off;
    server {
        listen $TEST_NGINX_RAND_PORT_1;
        location / { taskmq_api taskmq; taskmq_max_payload 4m; }
        location /own/ { taskmq_api taskmq; client_max_body_size 1k; }
    }
--- config
    location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- request eval
[::post(3_000_000), ::post(5_000_000) =~ s/3/3/r, "POST /own/add-job\n" . ::job(2000)]
--- error_code eval
[200, 413, 413]
--- response_body_like eval
['"ok"', '^\{"detail":"', '413']



=== TEST 7: as large as it may be set
--- config
    location / { taskmq_api taskmq; taskmq_max_payload 64m; client_max_body_size 0; }
--- timeout: 20
--- request eval
[::post(20_000_000), 'GET /job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200]
--- response_headers_like eval
['Content-Length: 26', 'Content-Length: 20000\d{3}']



=== TEST 8: what surrounds the payload has its limit, too
--- no_http2
--- config
    location / { taskmq_api taskmq; taskmq_max_payload 1k; }
--- request eval
"POST /add-job\n" . '{"handler":"h",' . ' ' x 1_000_000 . '"payload":{}}'
--- more_headers eval: ::admin() . "\nContent-Length: 1000028"
--- error_code: 413
