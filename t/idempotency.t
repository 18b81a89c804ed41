# Idempotency-Key on /add-job, /add-jobs and /queue.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'location / { taskmq_api taskmq; }
                 location /td/ { taskmq_api taskdaemon; }');

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Other = "POST /add-job\n" . '{"payload":{},"handler":"g"}';
our $Bulk = "POST /add-jobs\n" . '[{"payload":{},"handler":"h"},{"payload":{},"handler":"h"}]';

sub key { return admin() . "\nIdempotency-Key: $_[0]" }

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: the same again: the same id, one job
--- request eval
[$::Add, $::Add, $::Add, $::Add]
--- more_headers eval
[::key('a'), ::key('a'), ::key('b'), ::key('a')]
--- response_body eval
[map { "{\"status\":\"ok\",\"job_id\":$_}" } 1, 1, 2, 1]
--- redis eval
['GET {taskmq}:seq' => 2, 'LRANGE {taskmq}:h:h:lane:000 0 -1' => '1 2']



=== TEST 2: another body
--- request eval
[$::Add, $::Other, $::Add]
--- more_headers eval: ::key('a')
--- error_code eval
[200, 422, 200]
--- response_body eval
['{"status":"ok","job_id":1}',
 '{"detail":[{"loc":["header","Idempotency-Key"],"msg":"already used with another body","type":"value_error"}]}',
 '{"status":"ok","job_id":1}']



=== TEST 3: each sub has its own keys
--- request eval
[($::Add) x 4]
--- more_headers eval
[map { ::auth({ sub => $_ }) . "\nIdempotency-Key: a" } 'x', 'y', 'z', 'x']
--- response_body eval
[map { "{\"status\":\"ok\",\"job_id\":$_}" } 1, 2, 3, 1]



=== TEST 4: subjects and keys that look alike when put together
--- request eval
[($::Add) x 4]
--- more_headers eval
[map { ::auth({ sub => $_->[0] }) . "\nIdempotency-Key: $_->[1]" } ['a', 'b:c'], ['a:b', 'c'], ['1:a', 'b'], [':', '1:a:b']]
--- response_body eval
[map { "{\"status\":\"ok\",\"job_id\":$_}" } 1 .. 4]



=== TEST 5: bulk
--- request eval
[$::Bulk, $::Bulk, $::Bulk]
--- more_headers eval
[::key('a'), ::key('a'), ::key('b')]
--- response_body eval
['{"status":"ok","job_ids":[1,2]}', '{"status":"ok","job_ids":[1,2]}', '{"status":"ok","job_ids":[3,4]}']



=== TEST 6: keys that are none
--- no_http2
--- request eval
[($::Add) x 4]
--- more_headers eval
[::key(''), ::key('x' x 256), ::key('x' x 255), ::admin() . "\nIdempotency-Key: a\nIdempotency-Key: b"]
--- error_code eval
[422, 422, 200, 422]
--- response_body_like eval
['"loc":\["header","Idempotency-Key"\]', '"loc":\["header","Idempotency-Key"\]', '"ok"', '"loc":\["header","Idempotency-Key"\]']



=== TEST 7: TaskDaemon's /queue
--- init
::ready('/td/health')
--- request eval
[("POST /td/queue\n" . '{"type":"h","data":{}}') x 2, "POST /td/queue\n" . '{"type":"h","data":{"a":1}}']
--- more_headers eval: ::key('a')
--- error_code eval
[200, 200, 422]
--- after eval
[sub { $::first = shift }, sub { $_[0] eq $::first or die "another id: $_[0]" }]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 8: a refused body uses up no key
--- request eval
["POST /add-job\n{}", $::Add]
--- more_headers eval: ::key('a')
--- error_code eval
[422, 200]



=== TEST 9: remembered for a day
--- request eval: $::Add
--- more_headers eval: ::key('a')
--- redis eval
['TTL {taskmq}:u:6:tester:a' => qr/^(86400|8639\d)$/]



=== TEST 10: bytes of all kinds in a key
--- no_http2
--- request eval
[($::Add) x 3]
--- more_headers eval
[::key("a b\tc"), ::key("\xff\xfe{}*"), ::key("a b\tc")]
--- response_body eval
[map { "{\"status\":\"ok\",\"job_id\":$_}" } 1, 2, 1]



=== TEST 11: a token without a sub has no keys
--- request eval
[$::Add, $::Add, $::Bulk, "POST /td/queue\n" . '{"type":"h","data":{}}', $::Add, $::Add]
--- more_headers eval
[map({ ::auth({ sub => $_ }) . "\nIdempotency-Key: a" } undef, '', undef, undef), map { ::auth({ sub => $_ }) } undef, '']
--- error_code eval
[422, 422, 422, 422, 200, 200]
--- response_body_like eval
[map({ '^\{"detail":\[\{"loc":\["header","Idempotency-Key"\],"msg":"a token with a sub expected' } 1 .. 3),
 '^\{"error":"Idempotency-Key: a token with a sub expected', ('ok') x 2]
--- redis eval
['GET {taskmq}:seq' => 2]



=== TEST 12: without tokens all clients are one
--- config
    location / { taskmq_api taskmq; taskmq_auth off; }
--- request eval
[$::Add, $::Add]
--- more_headers
Idempotency-Key: a
--- response_body eval
[('{"status":"ok","job_id":1}') x 2]
