# Our endpoints as subrequests of nginx's own modules: a mirror's copy is a
# write only where that is wanted. Those of lua, njs and echo are in
# subrequest_write.t.

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



=== TEST 7: a mirror into the queue, where that is wanted: one job per request, read or not
--- config
    location /hook { mirror /copy; mirror_request_body on; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend; }
    location /backend { return 202 "taken"; }
    location = /copy { internal; rewrite ^ /jobs/add-job last; }
    location /jobs/ { taskmq_api taskmq; taskmq_mirror on; }
--- init
::ready('/jobs/health')
--- request eval
["POST /hook\n" . '{"payload":{"a":"' . 'x' x 70_000 . '"},"handler":"h"}', "POST /hook\n" . '{"payload":{"b":2},"handler":"h"}', 'GET /jobs/job/2']
--- more_headers eval: ::admin()
--- after eval
[map { my $n = $_; sub { ::wait_until('the copy', sub { ((::redis()->call('GET', '{taskmq}:seq') // 0) == $n) }) } } 1, 2]
--- error_code eval
[202, 202, 200]
--- response_body eval
['taken', 'taken', qr/"payload":\{"b":2\}/]
--- redis eval
['GET {taskmq}:seq' => 2]



=== TEST 8: a mirror straight into one endpoint's location, which nobody else reaches
--- config
    location /hook { mirror /jobs/add-job; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend; }
    location /backend { return 202 "taken"; }
    location = /jobs/add-job { internal; taskmq_api taskmq; taskmq_mirror on; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /hook\n" . '{"payload":{},"handler":"h"}', "POST /jobs/add-job\n" . '{"payload":{},"handler":"h"}', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::wait_until('the copy', sub { (::redis()->call('GET', '{taskmq}:seq') // 0) == 1 }) }]
--- error_code eval
[202, 404, 200]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 9: to two queues, as it is asked for: here and, by the mirror, there
--- config
    location /jobs/ { mirror /there/add-job; taskmq_api taskmq; }
    location /there/ { taskmq_api taskmq; taskmq_namespace there; taskmq_mirror on; }
--- init
::ready('/jobs/health'); ::ready('/there/health')
--- request eval
["POST /jobs/add-job\n" . '{"payload":{},"handler":"h"}']
--- more_headers eval: ::admin()
--- after eval
[sub { ::wait_until('the copy', sub { (::redis()->call('GET', '{there}:seq') // 0) == 1 }) }]
--- redis eval
['GET {taskmq}:seq' => 1, 'GET {there}:seq' => 1]



=== TEST 10: a mirror that is refused says so in the log
--- config
    location /jobs/ { mirror /again/add-job; taskmq_api taskmq; }
    location /again/ { internal; taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /jobs/add-job\n" . '{"payload":{},"handler":"h"}', 'GET /jobs/job/2']
--- more_headers eval: ::admin()
--- error_code eval
[200, 404]
--- logged eval
[qr/taskmq: mirrored request refused: "taskmq_mirror" is off in its location/]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 11: a mirror without the body, of a request that was answered by an error page
--- config
    location /jobs/ { mirror /again; mirror_request_body off; taskmq_api taskmq; }
    location /hook/ { mirror /again; mirror_request_body off; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend; }
    location /none/ { mirror /again; error_page 404 = /page; root /nonexistent; dav_methods DELETE; }
    location /backend { return 202 "taken"; }
    location = /page { return 200 "page"; }
    location = /again { internal; rewrite ^ /jobs/job/1 last; }
    location /direct/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /direct/add-job\n" . '{"payload":{},"handler":"h"}', 'DELETE /hook/x', 'DELETE /none/x', 'DELETE /jobs/job/9', "POST /jobs/add-job\n" . '{"payload":{},"handler":"h"}', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 202, 200, 404, 200, 200]



=== TEST 12: a mirror that reads a body in chunks before us: parts of it may be empty
--- no_http2
--- config
    location /jobs/ { mirror /copy; mirror_request_body on; taskmq_api taskmq; }
    location = /copy { internal; return 204; }
--- init
::ready('/jobs/health')
--- request eval
['GET /jobs/health', 'GET /jobs/job/1', 'GET /jobs/job/4']
--- more_headers eval: ::admin()
--- after eval
[sub {
    my $n = 0;
    for my $size (1, 7, 1_000, 60_000) {
        my $job = '{"handler":"h","payload":{"a":"' . 'x' x (2 * $size) . '"}}';
        my $chunks = $job =~ s/(.{1,$size})/sprintf "%x\r\n%s\r\n", length $1, $1/egr;
        my $reply = ::send_raw("POST /jobs/add-job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" . ::admin()
            . "\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n");
        $n++;
        $reply =~ /"job_id":$n\}$/ or die "chunks of $size: got: $reply\n";
    }
}, undef, undef]
--- error_code eval
[200, 200, 200]
--- response_body eval
[qr/ok/, qr/"payload":\{"a":"xx"\}/, qr/"payload":\{"a":"x{30000}x{30000}x{30000}x{30000}"\}/]
