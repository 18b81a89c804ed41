# Pipelining: many requests on one connection, answered in their order,
# whatever becomes of each.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Big = "POST /add-job\n" . '{"payload":{"a":"' . 'x' x 30_000 . '"},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: jobs get their ids in the order of the requests
--- pipelined_requests eval
[($::Add) x 5]
--- more_headers eval: ::admin()
--- error_code eval
[(200) x 5]
--- response_body eval
[map { "{\"status\":\"ok\",\"job_id\":$_}" } 1 .. 5]
--- redis eval
['GET {taskmq}:seq' => 5]



=== TEST 2: answers that wait for Redis and answers that do not
--- pipelined_requests eval
[$::Add, 'GET /job/1', 'GET /nothing', 'GET /job/2', 'PUT /add-job', $::Add, 'GET /job/2', 'GET /health']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 404, 404, 405, 200, 200, 200]



=== TEST 3: refused for its token, with a body that nobody reads
--- pipelined_requests eval
[$::Add, $::Big, $::Add, $::Big, 'GET /job/2']
--- more_headers eval
[::admin(), '', ::admin(), ::worker(), ::admin()]
--- error_code eval
[200, 401, 200, 403, 200]
--- redis eval
['GET {taskmq}:seq' => 2]



=== TEST 4: bodies over several buffers, and in files
--- config
    location / { taskmq_api taskmq; client_body_buffer_size 8k; }
--- pipelined_requests eval
[$::Big, $::Add, $::Big, $::Big, 'GET /job/4']
--- more_headers eval: ::admin()
--- error_code eval
[(200) x 5]
--- response_body_like eval
[map({ "\"job_id\":$_\\}" } 1 .. 4), '"a":"x{30000}"']



=== TEST 5: while Redis is away: each is answered
--- init
::ready(); ::redis()->stop; ::wait_until('503', sub { ::get('/health') =~ / 503 / })
--- pipelined_requests eval
[$::Add, 'GET /job/1', $::Big, 'GET /docs/none', $::Add]
--- more_headers eval: ::admin()
--- error_code eval
[503, 503, 503, 404, 503]
