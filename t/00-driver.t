# The driver itself, against nginx without our module: genuine Test::Nginx and
# the stand-in must agree on every line here.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

repeat_each(2);
no_root_location();

plan tests => planned();

run_tests();

__DATA__

=== TEST 1: a reply and its parts
--- config
    location = /hello { add_header X-Two 2; return 200 "hello\n"; }
--- request
GET /hello
--- response_headers
X-Two: 2
Content-Length: 6
!X-Three
--- raw_response_headers_like: ^HTTP/[0-9.]+ 200 .*(X-Two|x-two): 2\r\n
--- response_body
hello
--- no_error_log
[alert]
[emerg]



=== TEST 2: several requests, each with its expectation
--- config
    location /a { return 201 "a"; }
    location /b { return 404; }
--- request eval
["GET /a", "GET /b", "GET /html"]
--- more_headers eval
["X-A: 1", "X-B: 1\nX-C: 2", ""]
--- error_code eval
[201, 404, 404]
--- response_body_like eval
["^a\$", "404 Not Found", "404 Not Found"]



=== TEST 3: what the client sends (not by curl, which takes it for an error
when nginx answers before it has read the body)
--- no_http2
--- config
    location / {
        add_header X-Saw "$request_method $uri $content_length $http_x_a";
        return 200 "ok";
    }
--- request eval
["POST /one\n{\"a\": 1}\n", ["PO", "ST /two\nab", {value => "cd", delay_before => 0.01}],
 "HEAD /three", "GET"]
--- more_headers
X-A: yes
--- response_headers eval
["X-Saw: POST /one 8 yes", "X-Saw: POST /two 4 yes", "X-Saw: HEAD /three  yes",
 "X-Saw: GET /  yes"]



=== TEST 4: pipelined
--- config
    location /a { return 200 "a"; }
    location /b { return 200 "b$http_x_n"; }
--- pipelined_requests eval
["GET /a", "GET /b"]
--- more_headers eval
["X-N: 1", "X-N: 2"]
--- response_body eval
["a", "b2"]



=== TEST 5: raw bytes, answered with an error
--- config
    location /a { return 200 "a"; }
--- raw_request eval
["GET /a HTT", "X/1.1\r\nHost: x\r\n\r\n"]
--- error_code: 400
--- response_body_unlike: ^a$
--- error_log
client sent invalid request
--- grep_error_log: client sent invalid
--- grep_error_log_out
client sent invalid



=== TEST 6: chunked body, error code pattern, header pattern
--- config
    location /a { add_header X-N $request_length; return 200; }
--- request eval
"POST /a
3\r
abc\r
0\r
\r
"
--- no_http2
--- more_headers
Transfer-Encoding: chunked
--- error_code_like: ^2\d\d$
--- response_headers_like
X-N: 8\d



=== TEST 7: files, variables of the environment, more servers
--- http_config
    server {
        listen $TEST_NGINX_RAND_PORT_1;
        location / { return 200 "behind $TEST_NGINX_RAND_PORT_1"; }
    }
--- config
    location /f { alias $TEST_NGINX_SERVER_ROOT/html/; }
    location /p { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- user_files
>>> a.txt
content
>>> sub/b.txt
more
--- request eval
["GET /f/a.txt", "GET /f/sub/b.txt", "GET /p"]
--- response_body eval
["content\n", "more\n", qr/^behind \d+$/]
--- no_error_log
[crit]



=== TEST 8: a configuration that is refused
--- config
    no_such_directive on;
--- must_die: 1
--- suppress_stderr
--- error_log
unknown directive "no_such_directive"



=== TEST 9: the client gives up
--- config
    location /slow { limit_rate 1; return 200 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; }
--- request
GET /slow
--- timeout: 0.1
--- no_check_leak
--- abort
--- ignore_response
--- no_error_log
[error]
--- no_shutdown_error_log
[alert]
[crit]
[emerg]



=== TEST 10: HTTP/2
--- config
    location /h { add_header X-P $server_protocol; return 200 "two"; }
    location /b { client_body_buffer_size 1k; add_header X-P $request_method;
                  proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/; }
--- http2
--- request
GET /h
--- response_headers
X-P: HTTP/2.0
--- response_body: two



=== TEST 11: code that runs when nginx is up
--- config
    location /i { return 200 "i"; }
--- init
$main::ready = -f $ENV{TEST_NGINX_SERVER_ROOT} . '/logs/nginx.pid';
--- request eval
"GET /i?ready=" . ($main::never // 'no')
--- response_body chop
i
