# POST /cancel, POST /retry, DELETE /job/{id}: every state they may meet.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Later = "POST /add-job\n" . '{"payload":{},"handler":"h","scheduled_for":"2035-01-01T00:00:00Z"}';
our $Often = "POST /add-job\n" . '{"payload":{},"handler":"h","interval_seconds":60}';
our $Cancel = "POST /cancel\n" . '{"job_id":1}';
our $Force = "POST /cancel\n" . '{"job_id":1,"force":true}';
our $Retry = "POST /retry\n" . '{"job_id":1}';

our $Cancelled = '{"status":"cancelled","job_id":1}';
our $Retrying = '{"status":"retrying","job_id":1}';
our $NotPending = '{"detail":"Job is not pending"}';
our $NotFailed = '{"detail":"Job is not failed"}';
our $NotFound = '{"detail":"Job not found"}';

our @Bad = (
    ['{}', '"loc":\["body","job_id"\],"msg":"field required"'],
    ['{"job_id":null}', '"job_id"\],"msg":"none is not'],
    ['{"job_id":"1"}', '"job_id"\],"msg":"value is not a valid integer"'],
    ['{"job_id":1.0}', '"job_id"\],"msg":"value is not a valid integer"'],
    ['{"job_id":0}', 'greater than or equal to 1'],
    ['{"job_id":9007199254740992}', 'less than or equal to 9007199254740991'],
    ['{"job_id":99999999999999999999}', 'less than or equal to'],
    ['{"job_id":1,"x":1}', '"x"\],"msg":"extra fields not permitted"'],
    ['[1]', '"loc":\["body"\],"msg":"value is not a valid dict"'],
    ['1', '"loc":\["body"\]'],
    ['', 'value_error.jsondecode'],
    ['{"job_id":1,"job_id":2}', 'value_error.jsondecode'],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: cancel a waiting job, twice
--- request eval
[$::Add, $::Cancel, $::Cancel, 'GET /job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/ok/, $::Cancelled, $::Cancelled, qr/"status":"CANCELLED".*"finished_at":"2/]
--- response_headers eval
[('Content-Type: application/json') x 4]
--- redis eval
['ZCARD {taskmq}:scheduled' => 0, 'HGET {taskmq}:stats cancelled' => 1]



=== TEST 2: cancel a scheduled job
--- request eval
[$::Later, $::Cancel, 'GET /job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/ok/, $::Cancelled, qr/"status":"CANCELLED"/]
--- redis eval
['ZCARD {taskmq}:scheduled' => 0]



=== TEST 3: cancel a running job: not without force
--- request eval
[$::Add, $::Cancel, $::Force, 'GET /job/1', $::Force]
--- more_headers eval: ::admin()
--- after eval
[sub { $::run = ::claim('h') }, undef, undef, sub { TaskMQ::Redis::text(::complete($::run, '1')) =~ /^[23]$/ or die 'the result was taken' }]
--- error_code eval
[200, 409, 200, 200, 200]
--- response_body eval
[qr/ok/, $::NotPending, $::Cancelled, qr/"status":"CANCELLED"/, $::Cancelled]



=== TEST 4: cancel what has ended
--- request eval
[$::Add, $::Cancel, $::Force, $::Add, "POST /cancel\n" . '{"job_id":2}', 'GET /job/2']
--- more_headers eval: ::admin()
--- after eval
[sub { ::complete(scalar ::claim('h')) }, undef, undef, sub { ::fail_job(scalar ::claim('h'), 'x') }]
--- error_code eval
[200, 409, 409, 200, 409, 200]
--- response_body eval
[qr/ok/, $::NotPending, $::NotPending, qr/ok/, $::NotPending, qr/"FAILED"/]



=== TEST 5: cancel a periodic job, waiting and running
--- request eval
[$::Often, $::Cancel, $::Often, "POST /cancel\n" . '{"job_id":2}', 'GET /job/2', 'GET /job/2']
--- more_headers eval: ::admin()
--- after eval
[undef, undef, sub { $::run = ::claim('h') }, undef, sub { ::complete($::run, '1') }]
--- response_body eval
[qr/ok/, $::Cancelled, qr/ok/, '{"status":"cancelled","job_id":2}', qr/"RUNNING"/, qr/"CANCELLED".*"runs":1/]



=== TEST 6: a job that waits for its retry is pending
--- request eval
[$::Add, $::Retry, $::Cancel, $::Retry]
--- more_headers eval: ::admin()
--- after eval
[sub { ::fail_job(scalar ::claim('h'), 'x', 1) }]
--- error_code eval
[200, 409, 200, 409]
--- response_body eval
[qr/ok/, $::NotFailed, $::Cancelled, $::NotFailed]



=== TEST 7: retry a failed job: a new budget
--- request eval
[$::Add, $::Retry, 'GET /job/1', $::Retry]
--- more_headers eval
[::admin(), ::worker(), ::worker(), ::worker()]
--- after eval
[sub { ::fail_job(scalar ::claim('h'), 'x') }]
--- error_code eval
[200, 200, 200, 409]
--- response_body eval
[qr/ok/, $::Retrying, qr/"status":"PENDING".*"retries":0,/, $::NotFailed]
--- redis eval
['ZCARD {taskmq}:dead' => 0, 'ZCARD {taskmq}:h:h:ready' => 1]



=== TEST 8: retry what has not failed
--- request eval
[$::Add, $::Retry, $::Retry, $::Retry]
--- more_headers eval: ::admin()
--- after eval
[undef, sub { $::run = ::claim('h') }, sub { ::complete($::run) }]
--- error_code eval
[200, 409, 409, 409]
--- response_body eval
[qr/ok/, ($::NotFailed) x 3]



=== TEST 9: no such job
--- request eval
[$::Cancel, $::Force, $::Retry, 'DELETE /job/1', 'DELETE /job/x', 'DELETE /job/0']
--- more_headers eval: ::admin()
--- error_code eval
[(404) x 6]
--- response_body eval
[($::NotFound) x 6]



=== TEST 10: delete in every state
--- request eval
[map { ($::Add, "DELETE /job/$_", "GET /job/$_") } 1 .. 4]
--- more_headers eval: ::admin()
--- after eval
[undef, undef, undef,
 sub { ::claim('h') }, undef, undef,
 sub { ::complete(scalar ::claim('h')) }, undef, undef,
 sub { ::fail_job(scalar ::claim('h'), 'x') }]
--- error_code_like eval
[map { ('200', '20[04]', '404') } 1 .. 4]
--- redis eval
['EXISTS {taskmq}:j:1 {taskmq}:j:2 {taskmq}:j:3 {taskmq}:j:4' => 0,
 'ZCARD {taskmq}:dead' => 0, 'ZCARD {taskmq}:leased' => 0, 'ZCARD {taskmq}:finished' => 0]



=== TEST 11: bodies that are wrong
--- request eval
[map { ("POST /cancel\n$_->[0]", "POST /retry\n$_->[0]") } @::Bad]
--- more_headers eval
[map { (::admin() . "\nContent-Length: " . length $_->[0]) x 2 } @::Bad]
--- error_code eval
[map { (422, 422) } @::Bad]
--- response_body_like eval
[map { ($_->[1], $_->[1]) } @::Bad]



=== TEST 12: force is for cancel only, and a boolean
--- request eval
["POST /cancel\n" . '{"job_id":1,"force":1}', "POST /cancel\n" . '{"job_id":1,"force":"true"}',
 "POST /cancel\n" . '{"job_id":1,"force":null}', "POST /retry\n" . '{"job_id":1,"force":true}']
--- more_headers eval: ::admin()
--- error_code eval
[422, 422, 404, 422]



=== TEST 13: roles
--- no_http2
--- request eval
[$::Cancel, $::Cancel, $::Retry, $::Retry, 'DELETE /job/1', 'DELETE /job/1']
--- more_headers eval
['', ::worker(), '', ::auth({ role => 'x' }), '', ::worker()]
--- error_code eval
[401, 403, 401, 403, 401, 403]



=== TEST 14: a body that is too large for an id
--- no_http2
--- request eval
"POST /cancel\n" . '{"job_id":1,' . ' ' x 1_000_000 . '"force":true}'
--- more_headers eval: ::admin() . "\nContent-Length: 1000025"
--- error_code: 413
