# error_page around our replies: they are ours unless nginx itself refuses.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: our errors stay JSON where nginx has pages for them
--- no_http2
--- config
    error_page 401 403 404 405 413 415 422 503 /page;
    location = /page { internal; return 200 "page"; }
    location / { taskmq_api taskmq; taskmq_max_payload 100; }
--- request eval
['GET /job/1', 'GET /job/1', 'GET /nothing', 'PUT /health', "POST /add-job\nx",
 "POST /add-job\n" . '{"payload":{"a":"' . 'x' x 70_000 . '"},"handler":"h"}']
--- more_headers eval
['', map { ::admin() } 1 .. 5]
--- error_code eval
[401, 404, 404, 405, 422, 413]
--- response_headers eval
[map { 'Content-Type: application/json' } 1 .. 6]
--- response_body eval
[map { qr/^\{"detail":/ } 1 .. 6]



=== TEST 2: nginx's own refusals use its pages
--- config
    error_page 403 /page;
    location = /page { internal; return 200 "page"; }
    location / { deny all; taskmq_api taskmq; }
--- init
--- request eval
[$::Add, 'GET /health']
--- more_headers eval: ::admin()
--- error_code eval
[403, 403]
--- response_body eval
['page', 'page']



=== TEST 3: an error page that is served by us
--- config
    location = /broken { error_page 502 = /jobs/health; proxy_pass http://127.0.0.1:1; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
['GET /broken', 'HEAD /broken']
--- error_code eval
[200, 200]
--- response_body eval
[qr/^\{"status":"ok"/, '']



=== TEST 4: an error page that would write: the method is GET there
--- config
    location = /broken { error_page 502 = /jobs/add-job; proxy_pass http://127.0.0.1:1; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request
POST /broken
{"payload":{},"handler":"h"}
--- more_headers eval: ::admin()
--- error_code: 405
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 5: a named location as error page keeps the method and the body
--- config
    location / { error_page 502 = @queue; proxy_pass http://127.0.0.1:1; }
    location @queue { rewrite ^ /jobs/add-job last; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /broken\n" . '{"payload":{"a":1},"handler":"h"}', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1/, qr/"payload":\{"a":1\}/]
