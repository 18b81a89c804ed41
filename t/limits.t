# taskmq_max_pending, taskmq_known_handlers, taskmq_redis_timeout.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: too many wait: 429 with Retry-After, and again room
--- config
    location / { taskmq_api taskmq; taskmq_max_pending 2; }
--- request eval
[$::Add, $::Add, $::Add, "POST /add-jobs\n" . '[{"payload":{},"handler":"h"}]', 'GET /job/1', $::Add]
--- more_headers eval: ::admin()
--- after eval
[undef, undef, undef, undef, sub {
    ::complete(scalar ::claim('h'));
    ::wait_until('room', sub { ::get('/health') =~ /"waiting":1/ });
}]
--- error_code eval
[200, 200, 429, 429, 200, 200]
--- response_headers eval
['!Retry-After', '!Retry-After', "Retry-After: 1\nContent-Type: application/json", 'Retry-After: 1', '!Retry-After', '!Retry-After']
--- response_body_like eval
['ok', 'ok', '^\{"detail":"[^"]+"\}$', '^\{"detail":"[^"]+"\}$', 'id', 'ok']



=== TEST 2: jobs that have ended do not count, nor an old number
--- config
    location / { taskmq_api taskmq; taskmq_max_pending 2; }
--- request eval
[map { ($::Add) x 2 } 1 .. 5]
--- more_headers eval: ::admin()
--- after eval
[map { (undef, sub { ::complete($_) for ::claim('h', 2) }) } 1 .. 5]
--- error_code eval
[(200) x 10]



=== TEST 3: Redis silent while the number is asked for: surely not stored
--- config
    location / { taskmq_api taskmq; taskmq_max_pending 1; taskmq_redis_timeout 300ms; }
--- request eval
[$::Add, $::Add, 'GET /health', $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::complete($_) for ::claim('h', 1); ::redis()->pause }, sub { ::redis()->continue; ::ready() }]
--- error_code eval
[200, 503, 200, 200]
--- response_headers eval
['!Retry-After', 'Retry-After: 1', '!Retry-After', '!Retry-After']



=== TEST 4: handlers that nobody serves
--- config
    location / { taskmq_api taskmq; taskmq_known_handlers on; }
    location /td/ { taskmq_api taskdaemon; taskmq_known_handlers on; }
--- init
::ready(); ::ready('/td/health')
--- request eval
[$::Add, "POST /td/queue\n" . '{"type":"h","data":{}}', $::Add, "POST /td/queue\n" . '{"type":"h","data":{}}', "POST /td/queue\n" . '{"type":"g","data":{}}']
--- more_headers eval: ::admin()
--- after eval
[undef, sub { ::script('extend', 'feedc0ffee012345', 'spec:1', '{}', 60000, 0, 1, 'h') }]
--- error_code eval
[422, 400, 200, 200, 400]
--- response_body_like eval
['"loc":\["body","handler"\]', '^\{"error":"type: ', '"ok"', '"task_id"', '^\{"error":"type: ']



=== TEST 5: by default anything is accepted and waits
--- request eval
[$::Add]
--- more_headers eval: ::admin()
--- error_code: 200



=== TEST 6: a short timeout
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 50ms; }
--- request eval
[$::Add, 'GET /job/1', 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->pause; $::began = Time::HiRes::time() },
 sub { my $took = Time::HiRes::time() - $::began; ::redis()->continue; $took < 1 or die "took $took s\n"; ::ready() }]
--- error_code_like eval
['200', '50[34]', '200']
