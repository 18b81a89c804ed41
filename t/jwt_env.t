# TASKMQ_JWT_SECRET and TASKMQ_REDIS_URL from the environment, TASKMQ_BACKEND.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(http_config => '');
$ENV{TASKMQ_JWT_SECRET} = $Secret;
$ENV{TASKMQ_REDIS_URL} = 'unix:' . redis()->socket;
write_file('other', 'another-secret-of-the-tests-with-32-bytes');

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: the environment is enough
--- request eval
["POST /add-job\n" . '{"payload":{},"handler":"h"}', 'GET /job/1', 'GET /job/1']
--- more_headers eval
[::admin(), ::worker(), ::auth({}, secret => 'x' x 40)]
--- error_code eval
[200, 200, 401]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 2: directives go before it
--- http_config
    taskmq_redis unix:/nowhere;
    taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/other;
    taskmq_redis_timeout 100ms;
--- init
--- request eval
[("POST /add-job\n" . '{"payload":{},"handler":"h"}') x 2]
--- more_headers eval
[::admin(), ::auth({}, secret => 'another-secret-of-the-tests-with-32-bytes')]
--- error_code eval
[401, 503]



=== TEST 3: still there after a reload
--- request eval
[('GET /job/1') x 2]
--- more_headers eval: ::admin()
--- after eval
[sub { ::reload_nginx(); ::ready() }]
--- error_code eval
[404, 404]
