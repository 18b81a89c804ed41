# taskmq_allowed_hosts: by which names the server may be called. A page that
# had its own name pointed at this server (DNS rebinding) uses that name.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'server_name localhost queue.example .dot.example *.star.example www.end.* ~^r\d+\.example$;
                 location / { taskmq_api taskmq; taskmq_auth off; }
                 location /td/ { taskmq_api taskdaemon; taskmq_auth off; }
                 location /jwt/ { taskmq_api taskmq; }');

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

# With the port, in other case and with a dot at the end it is the same name.
our @Good = qw(localhost LOCALHOST localhost:8000 localhost. a.localhost 127.0.0.1 127.0.0.1:8000 10.1.2.3 [::1] [::1]:8000
               [fe80::1] [::ffff:10.1.2.3] [2001:DB8::1] queue.example Queue.Example:81 dot.example a.dot.example a.b.dot.example a.star.example
               www.end.org r12.example);
our @Bad = qw(evil.example evil.example:8000 queue.example.evil evilqueue.example evildot.example star.example
              evilstar.example localhost.evil.example 127.0.0.1.evil.example 1.2.3 1.2.3.4.5 1.2.3.256 localhosts www.end. end.org
              x [ [] [evil.example] [::1 [evil [::1::2] [1.2.3.4] [v1.x] [fe80::1%25eth0]);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: auth off: local names, addresses, server_name
--- no_http2
--- request eval
[map { $::Add } @::Good]
--- more_headers eval
[map { "Host: $_" } @::Good]
--- error_code eval
[map { 200 } @::Good]



=== TEST 2: auth off: no other name
--- no_http2
--- request eval
[map { ($::Add, "DELETE /td/api/tasks/x", 'GET /td/api/tasks') } @::Bad]
--- more_headers eval
[map { ("Host: $_\nOrigin: http://$_\nSec-Fetch-Site: same-origin", "Host: $_", "Host: $_") } @::Bad]
--- error_code eval
[map { (403, 403, 403) } @::Bad]
--- response_body_like eval
[map { ('^\{"detail":"This host name is not accepted: see taskmq_allowed_hosts"\}$', ('^\{"error":"This host name ') x 2) } @::Bad]
--- logged eval
[map { (qr/request refused: its host "[^"]+" is neither/) x 3 } @::Bad]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 3: what everybody may ask has any name, and what asks for a token
--- no_http2
--- request eval
['GET /health', 'GET /monitor/metrics', 'GET /td/metrics', 'OPTIONS /add-job', 'GET /jwt/jobs']
--- more_headers eval: ::admin() . "\nHost: evil.example"
--- error_code eval
[200, 200, 200, 204, 200]



=== TEST 4: without a Host there is no browser
--- raw_request eval
"GET /jobs HTTP/1.0\r\n\r\n"
--- error_code: 200



=== TEST 5: names, for tokens too
--- no_http2
--- config
    server_name queue.example;
    taskmq_allowed_hosts Front.example *.proxy.example back;
    location / { taskmq_api taskmq; taskmq_auth off; }
    location /jwt/ { taskmq_api taskmq; }
--- request eval
[map { ("GET /jobs", "GET /jwt/jobs") } 1 .. 7]
--- more_headers eval
[map { (::admin() . "\nHost: $_") x 2 } qw(front.example a.proxy.example back:80 queue.example 127.0.0.1 proxy.example backs)]
--- error_code eval
[(200) x 10, (403) x 4]



=== TEST 6: all; a location takes it back
--- config
    taskmq_allowed_hosts all;
    location / { taskmq_api taskmq; taskmq_auth off; }
    location /n/ { taskmq_api taskmq; taskmq_allowed_hosts none; }
    location /o/ { taskmq_api taskmq; taskmq_allowed_hosts other.example; }
--- init
::ready(); ::ready('/n/health'); ::ready('/o/health')
--- request eval
['GET /jobs', 'GET /n/jobs', 'GET /o/jobs']
--- more_headers eval: ::admin() . "\nHost: evil.example"
--- error_code eval
[200, 403, 403]



=== TEST 7: a server without a name
--- config
    server_name "";
    location / { taskmq_api taskmq; taskmq_auth off; }
--- request eval
['GET /jobs', 'GET /jobs', 'GET /jobs']
--- more_headers eval
['Host: localhost', 'Host: 127.0.0.1:1984', 'Host: evil.example']
--- error_code eval
[200, 200, 403]



=== TEST 8: inside if and limit_except
--- config
    location / {
        taskmq_api taskmq;
        taskmq_auth off;
        if ($http_x_a) { add_header X-A $http_x_a; }
        limit_except GET { allow all; }
    }
--- request eval
['GET /jobs', $::Add, 'GET /jobs', $::Add]
--- more_headers eval
["X-A: 1\nHost: evil.example", 'Host: evil.example', "X-A: 1", '']
--- error_code eval
[403, 403, 200, 200]
