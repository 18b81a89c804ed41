# Directives at http, server and location level: the nearest one holds.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();
write_file('other', 'another-secret-of-the-tests-with-32-bytes');

our $Add = '{"payload":{"a":"' . 'x' x 200 . '"},"handler":"h"}';
our $Other = 'another-secret-of-the-tests-with-32-bytes';
our $Redis = 'taskmq_redis unix:$TEST_NGINX_REDIS;';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: namespaces
--- http_config eval: "$::Redis taskmq_auth off; taskmq_namespace h;"
--- config
    taskmq_namespace s;
    location /s/ { taskmq_api taskmq; }
    location /l/ { taskmq_api taskmq; taskmq_namespace l; location /l/n/ { taskmq_api taskmq; } }
--- init
::ready("/$_/health") for qw(s l l/n)
--- request eval
["POST /s/add-job\n$::Add", "POST /l/add-job\n$::Add", "POST /l/n/add-job\n$::Add"]
--- error_code eval
[200, 200, 200]
--- redis eval
['GET {s}:seq' => 1, 'GET {l}:seq' => 2, 'EXISTS {h}:seq' => 0]



=== TEST 2: secrets are replaced as a whole
--- http_config eval: "$::Redis taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/secret;"
--- config
    location /a/ { taskmq_api taskmq; }
    location /b/ { taskmq_api taskmq; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/other; }
    location /c/ { taskmq_api taskmq; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/other; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret; }
--- init
::ready('/a/health')
--- request eval
[map { ("GET /$_/job/1") x 2 } qw(a b c)]
--- more_headers eval
[map { (::auth({}), ::auth({}, secret => $::Other)) } 1 .. 3]
--- error_code eval
[404, 401, 401, 404, 404, 404]



=== TEST 3: auth, role claim, exp
--- http_config eval: "$::Redis taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/secret; taskmq_jwt_role_claim r; taskmq_jwt_require_exp off;"
--- config
    location /a/ { taskmq_api taskmq; }
    location /b/ { taskmq_api taskmq; taskmq_jwt_role_claim role; }
    location /c/ { taskmq_api taskmq; taskmq_jwt_require_exp on; }
    location /d/ { taskmq_api taskmq; taskmq_auth off; }
--- init
::ready('/a/health')
--- request eval
[map { my $l = $_; map { "GET /$l/job/1" } 1 .. 3 } qw(a b c d)]
--- more_headers eval
[map { (::auth({ r => 'admin', role => undef }), ::auth({ r => 'admin', role => undef, exp => undef }), ::auth({})) } 1 .. 4]
--- error_code eval
[404, 404, 403, 403, 403, 404, 404, 401, 403, 404, 404, 404]



=== TEST 4: sizes
--- http_config eval: "$::Redis taskmq_auth off; taskmq_max_payload 100;"
--- config
    location /a/ { taskmq_api taskmq; }
    location /b/ { taskmq_api taskmq; taskmq_max_payload 1k; }
--- init
::ready('/a/health')
--- request eval
["POST /a/add-job\n$::Add", "POST /b/add-job\n$::Add"]
--- error_code eval
[413, 200]



=== TEST 5: nothing is inherited by a location without taskmq_api
--- http_config eval: "$::Redis taskmq_auth off;"
--- config
    location /a/ { taskmq_api taskmq; location /a/static/ { root $TEST_NGINX_SERVER_ROOT/html; } }
--- init
::ready('/a/health')
--- request eval
['GET /a/static/health', 'GET /a/health']
--- error_code eval
[404, 200]
--- response_body_like eval
['<html>', '"status":"ok"']
