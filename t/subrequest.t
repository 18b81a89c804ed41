# Our endpoints as subrequests: a write must not happen twice, or behind
# somebody's back; reading is fine.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /jobs/add-job\n" . '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a mirrored POST is not added twice
--- config
    location /jobs/ { mirror /copy; taskmq_api taskmq; }
    location = /copy { internal; rewrite ^ /again/add-job last; }
    location /again/ { internal; taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
[$::Add, 'GET /jobs/job/1', 'GET /jobs/job/2']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 404]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 2: mirrored elsewhere, the original is ours
--- config
    location /jobs/ { mirror /copy; taskmq_api taskmq; }
    location = /copy { internal; return 204; }
--- init
::ready('/jobs/health')
--- request eval
[$::Add, 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- response_body eval
['{"status":"ok","job_id":1}', qr/"id":1,/]



=== TEST 3: auth_request before us
--- config
    location /jobs/ { auth_request /check; taskmq_api taskmq; }
    location = /check { internal; if ($http_x_key = "open") { return 204; } return 403; }
--- init
::wait_until('ready', sub { ::get('/jobs/health', 'X-Key: open') =~ / 200 / })
--- request eval
[$::Add, $::Add, 'GET /jobs/job/1']
--- more_headers eval
my $a = ::admin(); ["$a\nX-Key: open", $a, "$a\nX-Key: open"]
--- error_code eval
[200, 403, 200]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 4: auth_request asks us: health and a job as the gate
--- config
    location /jobs/ { taskmq_api taskmq; }
    location /gate { auth_request /jobs/health; try_files "" =404; }
    location /private { auth_request /jobs/job/1; try_files "" =404; }
--- init
::ready('/jobs/health')
--- request eval
['GET /gate', 'GET /private', 'GET /private', $::Add, 'GET /private']
--- more_headers eval
my $a = ::admin(); ['', '', ::auth({ role => 'guest' }), $a, $a]
--- error_code eval
[404, 401, 403, 200, 404]



=== TEST 5: auth_request asks us to write: refused
--- no_http2
--- config
    location /jobs/ { taskmq_api taskmq; }
    location /gate { auth_request /jobs/add-job; try_files "" =404; }
--- init
::ready('/jobs/health')
--- request
POST /gate
{"payload":{},"handler":"h"}
--- more_headers eval: ::admin()
--- error_code: 500
--- redis eval
['EXISTS {taskmq}:seq' => 0]
--- error_log
auth request unexpected status



=== TEST 6: many subrequests of one request, Redis slow
--- no_http2
--- config
    location /jobs/ { taskmq_api taskmq; }
    location /a { auth_request /jobs/job/1; auth_request_set $x $upstream_status; mirror /m1; mirror /m2; return 200 "in"; }
    location /m1 { internal; rewrite ^ /jobs/health last; }
    location /m2 { internal; rewrite ^ /jobs/job/1 last; }
    location /b { auth_request /jobs/job/1; mirror /m1; mirror /m2; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/c; }
    location /c { return 200 "in"; }
--- init
::ready('/jobs/health')
--- request eval
[$::Add, 'GET /b', 'GET /b', 'GET /a']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200, 200]
--- response_body eval
[qr/ok/, 'in', 'in', 'in']
