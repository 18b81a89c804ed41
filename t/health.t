# GET /health: needs no token, says whether jobs could be accepted.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

# The answer is kept for a second; asks until it says what it should.
sub until_health {
    my ($code) = @_;
    wait_until("/health to say $code",
               sub { get('/health') =~ m{^HTTP/1\.1 $code } });
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: well
--- request
GET /health
--- response_headers
Content-Type: application/json
--- response_body_like: ^\{"status":"ok"[,}]



=== TEST 2: a token does not matter
--- request eval
[('GET /health') x 3]
--- more_headers eval
[::admin(), ::auth({ role => 'guest' }), 'Authorization: Bearer rubbish']
--- error_code eval
[200, 200, 200]



=== TEST 3: HEAD
--- request
HEAD /health
--- response_headers_like
Content-Length: \d+
--- response_body:



=== TEST 4: Redis away, and back
--- request eval
['GET /health', 'GET /health', 'GET /health']
--- after eval
[sub { ::redis()->stop; ::until_health(503) }, sub { ::redis()->start; ::until_health(200) }]
--- error_code eval
[200, 503, 200]
--- response_headers eval
[('Content-Type: application/json') x 3]
--- response_body_like eval
['^\{"status":"ok"', '^\{"status":"error"', '^\{"status":"ok"']



=== TEST 5: Redis full
--- request eval
['GET /health', 'GET /health', 'GET /health']
--- after eval
[sub { ::redis()->call(qw(CONFIG SET maxmemory 1)); ::until_health(503) },
 sub { ::redis()->call(qw(CONFIG SET maxmemory 0)); ::until_health(200) }]
--- error_code eval
[200, 503, 200]
--- response_body_like eval
['^\{"status":"ok"', '^\{"status":"error".*(full|OOM|memory)', '^\{"status":"ok"']



=== TEST 6: Redis read-only
--- request eval
['GET /health', 'GET /health', 'GET /health']
--- after eval
[sub { ::redis()->call(qw(REPLICAOF 127.0.0.1 1)); ::until_health(503) },
 sub { ::redis()->call(qw(REPLICAOF NO ONE)); ::until_health(200) }]
--- error_code eval
[200, 503, 200]
--- response_body_like eval
['^\{"status":"ok"', '^\{"status":"error".*(?i:read.?only)', '^\{"status":"ok"']



=== TEST 7: a policy that loses jobs is warned of
--- init
::redis()->call(qw(CONFIG SET maxmemory-policy allkeys-lru));
::wait_until('the warning', sub { ::get('/health') =~ /"warning"/ })
--- request eval
['GET /health', 'GET /health']
--- after eval
[undef, sub { ::redis()->call(qw(CONFIG SET maxmemory-policy noeviction)) }]
--- response_body_like eval
['^\{"status":"ok".*maxmemory-policy is not noeviction', '.']
