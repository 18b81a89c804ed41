# nginx's own access rules still apply: allow, deny, auth_basic, satisfy,
# limit_req, limit_except, internal.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();
write_file('htpasswd', "user:{PLAIN}pass\n");

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: deny
--- config
    location / { deny 127.0.0.1; taskmq_api taskmq; }
--- init
--- request eval
[$::Add, 'GET /health']
--- more_headers eval: ::admin()
--- error_code eval
[403, 403]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 2: satisfy all: both
--- config
    location / { satisfy all; allow 127.0.0.1; deny all; taskmq_api taskmq; }
--- request eval
[$::Add, $::Add]
--- more_headers eval
[::admin(), '']
--- error_code eval
[200, 401]



=== TEST 3: satisfy any is about nginx's rules, not about our tokens
--- config
    location / { satisfy any; allow 127.0.0.1; deny all; auth_basic x;
                 auth_basic_user_file $TEST_NGINX_SCRATCH/htpasswd; taskmq_api taskmq; }
--- request eval
[$::Add, $::Add]
--- more_headers eval
[::admin(), '']
--- error_code eval
[200, 401]



=== TEST 4: auth_basic in place of tokens
--- config
    location / { auth_basic x; auth_basic_user_file $TEST_NGINX_SCRATCH/htpasswd;
                 taskmq_api taskmq; taskmq_auth off; }
--- init
::wait_until('ready', sub { ::get('/health', 'Authorization: Basic dXNlcjpwYXNz') =~ / 200 / })
--- request eval
[$::Add, $::Add, $::Add]
--- more_headers eval
['Authorization: Basic dXNlcjpwYXNz', 'Authorization: Basic dXNlcjp4', '']
--- error_code eval
[200, 401, 401]



=== TEST 5: limit_req
--- http_config eval
'limit_req_zone $uri zone=z:1m rate=1r/m; limit_req_status 429;'
. 'taskmq_redis unix:$TEST_NGINX_REDIS; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;'
--- config
    location / { limit_req zone=z burst=1 nodelay; taskmq_api taskmq; }
--- init
::wait_until('ready', sub { my $n = $::n++; ::get("/health?$n") =~ / 200 / || ::get("/job/$n") =~ /never/ })
--- request eval
[($::Add) x 3]
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 429]
--- redis eval
['GET {taskmq}:seq' => 2]



=== TEST 6: limit_req that delays
--- http_config eval
'limit_req_zone $request_uri zone=y:1m rate=50r/s;'
. 'taskmq_redis unix:$TEST_NGINX_REDIS; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;'
--- config
    location / { limit_req zone=y burst=100; taskmq_api taskmq; }
--- pipelined_requests eval
[($::Add) x 10]
--- more_headers eval: ::admin()
--- error_code eval
[(200) x 10]
--- redis eval
['GET {taskmq}:seq' => 10]



=== TEST 7: limit_conn and limit_rate
--- http_config eval
'limit_conn_zone $server_name zone=c:1m;'
. 'taskmq_redis unix:$TEST_NGINX_REDIS; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;'
--- config
    location / { limit_conn c 1; limit_rate 100k; taskmq_api taskmq; }
--- request eval
["POST /add-job\n" . '{"payload":{"a":"' . 'x' x 20_000 . '"},"handler":"h"}', 'GET /job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200]



=== TEST 8: internal
--- config
    location / { internal; taskmq_api taskmq; }
--- init
--- request
GET /health
--- error_code: 404



=== TEST 9: limit_except
--- config
    location / { taskmq_api taskmq; limit_except GET { deny all; } }
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- error_code eval
[403, 404]



=== TEST 10: gzip and other filters see a usual reply
--- config
    location / { taskmq_api taskmq; gzip on; gzip_min_length 1; gzip_types application/json; add_header X-Served-By $server_name always; }
--- request eval
[$::Add, 'GET /job/1', 'GET /job/2']
--- more_headers eval: ::admin() . "\nAccept-Encoding: gzip"
--- error_code eval
[200, 200, 404]
--- response_headers eval
[map { "Content-Encoding: gzip\nX-Served-By: localhost" } 1, 2, 3]
