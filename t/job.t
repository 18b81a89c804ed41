# GET /job/{id}: every state a job can be in.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{"a":[1,{"b":null}]},"handler":"h",'
           . '"priority":10}';
our $Time = '"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: waiting
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval
[::admin(), ::worker()]
--- response_headers eval
[('Content-Type: application/json') x 2]
--- response_body eval
[qr/ok/, qr/^\{"id":1,"status":"PENDING","handler":"h","priority":10,"payload":\{"a":\[1,\{"b":null\}\]\},"result":null,"error_log":null,"retries":0,"runs":0,"retry_policy":"fixed","max_retries":null,"timeout":null,"retention_seconds":null,"interval_seconds":null,"created_at":$::Time,"scheduled_for":null,"started_at":null,"finished_at":null,"worker":null,"crashes":0\}$/]



=== TEST 2: running
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::claim('h') }]
--- response_body eval
[qr/ok/, qr/"status":"RUNNING".*"started_at":$::Time,"finished_at":null,"worker":"spec:1"/]



=== TEST 3: succeeded, its result as the handler sent it
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::complete(scalar ::claim('h'), '{"n": 12345678901234567890, "f":1.10}') }]
--- response_body eval
[qr/ok/, qr/"status":"SUCCESS".*"result":\{"n": 12345678901234567890, "f":1\.10\},"error_log":null.*"finished_at":$::Time/]



=== TEST 4: succeeded with nothing, and with other kinds of JSON
--- request eval
[map { ($::Add, "GET /job/$_") } 1 .. 5]
--- more_headers eval: ::admin()
--- after eval
[map { my $r = $_; (sub { ::complete(scalar ::claim('h'), $r) }, undef) } 'null', '"x\"\u00e4"', '[]', 'false', '0']
--- response_body eval
[map { (qr/ok/, qr/"status":"SUCCESS".*"result":\Q$_\E,"error_log"/) } 'null', '"x\"\u00e4"', '[]', 'false', '0']



=== TEST 5: failed, with the error's text
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::fail_job(scalar ::claim('h'), "no \"such\" file\n\x01\xc3\xa4") }]
--- response_body eval
[qr/ok/, qr/"status":"FAILED".*"result":null,"error_log":"no \\"such\\" file\\n\\u0001(\xc3\xa4|\\u00e4)","retries":\d/]



=== TEST 6: waiting for its retry
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::fail_job(scalar ::claim('h'), 'later', 1) }]
--- response_body eval
[qr/ok/, qr/"status":"PENDING".*"error_log":"later","retries":1,.*"scheduled_for":$::Time/]



=== TEST 7: cancelled
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::script('change', 1, 'cancel') }]
--- response_body eval
[qr/ok/, qr/"status":"CANCELLED"/]



=== TEST 8: a periodic job after a run
--- request eval
["POST /add-job\n" . '{"payload":{},"handler":"h","interval_seconds":60}', 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::complete(scalar ::claim('h'), '1') }]
--- response_body eval
[qr/ok/, qr/"status":"PENDING".*"runs":1,.*"interval_seconds":60,.*"scheduled_for":$::Time/]



=== TEST 9: no such job
--- request eval
['GET /job/1', 'GET /job/9007199254740991']
--- more_headers eval: ::admin()
--- error_code eval
[404, 404]
--- response_headers eval
[('Content-Type: application/json') x 2]
--- response_body eval
[('{"detail":"Job not found"}') x 2]



=== TEST 10: HEAD has the header and no body
--- request eval
[$::Add, 'HEAD /job/1', 'HEAD /job/2']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 404]
--- response_headers_like eval
['Content-Length: \d+', 'Content-Length: [23]\d\d', 'Content-Length: 26']
--- response_body eval
[qr/ok/, '', '']



=== TEST 11: a result of 1 MiB
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub { ::complete(scalar ::claim('h'), '"' . 'x' x 1048574 . '"') }]
--- response_body eval
[qr/ok/, qr/"result":"x{32766}x{32766}x+","error_log":null/]



=== TEST 12: a record that nobody here wrote
--- init
::ready(); ::redis()->call('SET', '{taskmq}:j:5', 'rubbish')
--- request
GET /job/5
--- more_headers eval: ::admin()
--- error_code: 200
--- response_body_like: ^\{"id":5,.*"payload":null,.*"error_log":"the job's record in Redis cannot be read
