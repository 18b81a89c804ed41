# Rules for single endpoints: a location of their own, inside of the API's
# location or beside it.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(http_config => 'limit_req_zone $server_name zone=z:1m rate=1r/m;'
    . 'limit_req_status 429; taskmq_redis unix:$TEST_NGINX_REDIS;'
    . 'taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;'
    . 'taskmq_redis_timeout 10s;');
write_file('plain.txt', "a file\n");

our $Job = '{"payload":{"a":"' . 'x' x 200 . '"},"handler":"h"}';
our $Add = "POST /add-job\n$Job";

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: an exact location beside the API's
--- config
    location = /add-job { limit_req zone=z; taskmq_api taskmq; }
    location / { taskmq_api taskmq; }
--- request eval
[$::Add, $::Add, 'GET /job/1', 'GET /add-job', 'GET /job/2']
--- more_headers eval: ::admin()
--- error_code eval
[200, 429, 200, 429, 404]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 2: an exact location alone, below a prefix
--- config
    location = /jobs/v1/add-job { taskmq_api taskmq; }
    location = /health { taskmq_api taskmq; }
--- request eval
["POST /jobs/v1/add-job\n$::Job", $::Add, 'GET /jobs/v1/job/1', 'GET /jobs/v1/add-job', 'GET /health', 'OPTIONS /jobs/v1/add-job']
--- more_headers eval: ::admin()
--- error_code eval
[200, 404, 404, 405, 200, 204]
--- response_headers eval
['', '', '', 'Allow: POST, OPTIONS', '', 'Allow: POST, OPTIONS']



=== TEST 3: nested: exact, prefix and regular expression, without another taskmq_api
--- config
    location /jobs/ {
        taskmq_api taskmq;
        location = /jobs/add-job { limit_req zone=z; }
        location /jobs/job/ { add_header X-Place job always; }
        location ~ ^/jobs/(cancel|retry)$ { add_header X-Place change always; deny all; }
    }
--- init
::ready('/jobs/health')
--- request eval
["POST /jobs/add-job\n$::Job", "POST /jobs/add-job\n$::Job", 'GET /jobs/job/1', 'GET /jobs/job/2',
 "POST /jobs/cancel\n" . '{"job_id":1}', 'GET /jobs/queues', 'GET /jobs/nothing']
--- more_headers eval: ::admin()
--- error_code eval
[200, 429, 200, 404, 403, 200, 404]
--- response_headers eval
['', '', 'X-Place: job', 'X-Place: job', 'X-Place: change', '!X-Place', '!X-Place']
--- response_body eval
[qr/job_id/, qr/429/, qr/"id":1,/, qr/^\{"detail":/, qr/403/, qr/^\{/, qr/^\{"detail":/]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 4: nested, with another taskmq_api that says the same
--- config
    location /jobs/ {
        taskmq_api taskmq;
        location = /jobs/add-job { taskmq_api taskmq; limit_req zone=z; }
        location ~ /job/\d+$ { taskmq_api taskmq; add_header X-Place job always; }
    }
--- init
::ready('/jobs/health')
--- request eval
["POST /jobs/add-job\n$::Job", "POST /jobs/add-job\n$::Job", 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 429, 200]
--- response_headers eval
['', '', 'X-Place: job']



=== TEST 5: two levels, with if and limit_except
--- config
    location / {
        taskmq_api taskmq;
        location /job {
            add_header X-Level 1 always;
            location /job/ {
                add_header X-Level 2 always;
                if ($http_x_a) { add_header X-A $http_x_a always; }
                limit_except GET { deny all; }
            }
        }
    }
--- request eval
[$::Add, 'GET /jobs', 'GET /job/1', 'DELETE /job/1', 'GET /job/1']
--- more_headers eval
my $a = ::admin(); [$a, $a, $a, $a, "$a\nX-A: 1"]
--- error_code eval
[200, 200, 200, 403, 200]
--- response_headers eval
['!X-Level', 'X-Level: 1', 'X-Level: 2', 'X-Level: 2', 'X-A: 1']



=== TEST 6: directives of this module, and sizes of bodies, of one endpoint
--- config
    location / {
        taskmq_api taskmq;
        location = /add-job { taskmq_max_payload 100; }
        location = /add-jobs { client_max_body_size 10; }
        location /job/ { taskmq_auth off; }
    }
--- request eval
[$::Add, "POST /add-job\n" . '{"payload":{},"handler":"h"}', "POST /add-jobs\n{\"jobs\":[$::Job]}", 'GET /job/1', 'GET /jobs']
--- more_headers eval
my $a = ::admin(); [$a, $a, $a, '', '']
--- error_code eval
[413, 200, 413, 200, 401]
--- response_body eval
[qr/^\{"detail":/, qr/job_id/, qr/<html>/, qr/"id":1,/, qr/^\{"detail":/]



=== TEST 7: what has content of its own, and what is told to be none of the API's
--- config
    location / {
        taskmq_api taskmq;
        location /up { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/job; }
        location = /gif { empty_gif; }
        location = /said { return 200 "said"; }
        location /files/ { alias $TEST_NGINX_SCRATCH/; }
        location /rooted/ { root $TEST_NGINX_SCRATCH; }
        location /html { taskmq_api off; location /html/job/ { limit_rate 10k; } }
    }
--- user_files
>>> html/job/1
a page
--- request eval
[$::Add, 'GET /up/1', 'GET /gif', 'GET /said', 'GET /files/plain.txt', 'GET /rooted/job/1', 'GET /html/job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200, 200, 200, 404, 200]
--- response_body eval
[qr/job_id/, qr/"id":1,/, qr/^GIF/, 'said', "a file\n", qr/<html>/, "a page\n"]



=== TEST 8: of several endpoints whose paths end a name, the longest; nested it is the API's
--- config
    location = /api/metrics { taskmq_api taskdaemon; }
    location = /api/tasks { taskmq_api taskdaemon; }
    location /x/api/ { taskmq_api taskdaemon; location = /x/api/metrics { taskmq_api taskdaemon; } }
--- init
::wait_until('ready', sub { ::get('/x/api/health') =~ / 200 / })
--- request eval
['GET /api/metrics', 'GET /x/api/metrics', 'GET /api/tasks']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200]
--- response_body eval
[qr/^\{/, qr/^# HELP/, '[]']



=== TEST 9: two APIs, one inside of the other
--- config
    location / {
        taskmq_api taskmq;
        location /daemon/ { taskmq_api taskdaemon; location = /daemon/queue { limit_req zone=z; } }
    }
--- init
::ready('/health'); ::ready('/daemon/health')
--- request eval
[$::Add, 'GET /job/1', "POST /daemon/queue\n" . '{"type":"h","data":{}}', "POST /daemon/queue\n" . '{"type":"h","data":{}}', 'GET /daemon/job/1', 'GET /daemon/api/tasks']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200, 429, 404, 200]
--- response_body eval
[qr/job_id/, qr/"id":1,/, qr/^\{/, qr/429/, qr/"error"/, qr/^\[\{/]



=== TEST 10: a token, a method and a path that is none, where endpoints have their own places
--- config
    location = /add-job { taskmq_api taskmq; }
    location = /api/tasks { taskmq_api taskdaemon; }
--- init
--- request eval
[$::Add, 'PUT /add-job', 'GET /api/tasks', 'GET /add-job/', 'GET /add-job%00']
--- more_headers eval
['', ::admin(), '', '', '']
--- error_code_like eval
['401', '405', '401', '404', '40[04]']
