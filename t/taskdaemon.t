# TaskDaemon's API: every row of its table.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'location / { taskmq_api taskdaemon; taskmq_auth off; }
                 location /mq/ { taskmq_api taskmq; taskmq_auth off; }',
      init => '::ready(); ::ready("/mq/health"); ::with_key()');

# Until the key for task ids is known, tasks are refused.
sub with_key {
    wait_until('the key', sub { get('/api/tasks/x') =~ / 404 / });
}

our $Queue = "POST /queue\n" . '{"type":"resize","data":{"w":1.10,"n":[1, 2]}}';
our $Uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
our $Time = qr/"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/;
our $NotFound = '{"error":"Task not found"}';

# One request with the id of the last queued task in place of {id}.
our $Id;
sub note { ($Id) = $_[0] =~ /^\{"task_id":"($Uuid)"\}$/ or die "got $_[0]\n" }

sub ask {
    my ($method, $path, $code, $body) = @_;
    $path =~ s/\{id\}/$Id/;
    my $reply = send_raw("$method $path HTTP/1.1\r\nHost: localhost\r\n"
                         . "Connection: close\r\nContent-Length: 0\r\n\r\n");
    $reply =~ m{^HTTP/1\.1 $code } or die "$method $path: got $reply\n";
    my (undef, $got) = split /\r\n\r\n/, $reply, 2;
    $got =~ $body or die "$method $path: got $got\nnot $body\n" if $body;
    return $got;
}

our @Bad = (
    ['{}', '^\{"error":"type: field required; data: field required"\}$'],
    ['{"type":"a"}', '^\{"error":"data: field required"\}$'],
    ['{"data":{}}', '^\{"error":"type: field required"\}$'],
    ['{"type":null,"data":null}', '^\{"error":"type: .*; data: '],
    ['{"type":1,"data":{}}', '^\{"error":"type: str type expected"\}$'],
    ['{"type":"","data":{}}', '^\{"error":"type: '],
    ['{"type":"a b","data":{}}', '^\{"error":"type: '],
    ['{"type":"a","data":[]}', '^\{"error":"data: '],
    ['{"type":"a","data":"{}"}', '^\{"error":"data: '],
    ['{"type":"a","data":{},"priority":101}', '^\{"error":"priority: '],
    ['{"type":"a","data":{},"priority":-1}', '^\{"error":"priority: '],
    ['{"type":"a","data":{},"priority":"1"}', '^\{"error":"priority: '],
    ['{"type":"a","data":{},"priority":1.0}', '^\{"error":"priority: '],
    ['[]', '^\{"error":"body: '],
    ['', '^\{"error":"body: .* at byte 0"\}$'],
    ['{"type":"a","data":{}', '^\{"error":"body: .* at byte 21"\}$'],
    ['{"type":"a","type":"b","data":{}}', '^\{"error":"body: '],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a task, queued and read
--- request eval: $::Queue
--- after eval
[sub {
    ::note($_[0]);
    ::ask('GET', '/api/tasks/{id}', 200, qr/^\{"id":"$::Id","task_type":"resize","task_data":\{"w":1\.10,"n":\[1, 2\]\},"status":"pending","priority":50,"created_at":$::Time,"completed_at":null,"attempts":0,"last_error":null,"result":null\}$/);
    ::ask('GET', '/mq/job/1', 200, qr/"status":"PENDING","handler":"resize","priority":50,/);
}]
--- response_headers
Content-Type: application/json
--- response_body_like eval: "^\\{\"task_id\":\"$::Uuid\"\\}\$"



=== TEST 2: its states
--- request eval
[($::Queue) x 4]
--- after eval
[sub { ::note($_[0]); my $j = ::claim('resize'); ::ask('GET', '/api/tasks/{id}', 200, qr/"status":"processing".*"attempts":1,/);
       ::complete($j, '{"a":1.10}'); ::ask('GET', '/api/tasks/{id}', 200, qr/"status":"completed".*"completed_at":$::Time,"attempts":1,"last_error":null,"result":\{"a":1\.10\}\}$/) },
 sub { ::note($_[0]); ::fail_job(scalar ::claim('resize'), 'broken', 1); ::ask('GET', '/api/tasks/{id}', 200, qr/"status":"pending".*"attempts":1,"last_error":"broken"/) },
 sub { ::note($_[0]); ::fail_job(scalar ::claim('resize'), 'broken'); ::ask('GET', '/api/tasks/{id}', 200, qr/"status":"failed".*"completed_at":$::Time,"attempts":1,"last_error":"broken"/) },
 sub { ::note($_[0]); ::script('change', 4, 'cancel'); ::ask('GET', '/api/tasks/{id}', 200, qr/"status":"failed".*"last_error":"cancelled"/) }]
--- error_code eval
[(200) x 4]



=== TEST 3: what is refused
--- request eval
[map { "POST /queue\n$_->[0]" } @::Bad]
--- more_headers eval
[map { 'Content-Length: ' . length $_->[0] } @::Bad]
--- error_code eval
[map { 400 } @::Bad]
--- response_headers eval
[map { 'Content-Type: application/json' } @::Bad]
--- response_body_like eval
[map { $_->[1] } @::Bad]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 4: unknown fields and content types do not matter here
--- request eval
["POST /queue\n" . '{"type":"a","data":{},"colour":"red","max_retries":9}', $::Queue, $::Queue]
--- more_headers eval
['', 'Content-Type: text/plain', 'Content-Type: application/x-www-form-urlencoded']
--- error_code eval
[200, 200, 200]
--- redis eval
['GET {taskmq}:j:1' => qr/^1- 050 f d-- \d{13} a\n\{\}$/]



=== TEST 5: ids that were not issued here
--- request eval
[map { ("GET /api/tasks/$_", "DELETE /api/tasks/$_", "POST /api/tasks/$_/redrive") }
 '1', 'x', '00000000-0000-0000-0000-000000000000', '00000000-0000-8000-8000-000000000001',
 'ffffffff-ffff-8fff-bfff-ffffffffffff', '%00', '..']
--- error_code_like eval
[map { ('40[04]') x 3 } 1 .. 7]



=== TEST 6: ids in other spellings, and with a bit changed
--- request eval: $::Queue
--- after eval
[sub {
    ::note($_[0]);
    my $id = $::Id;
    ::ask('GET', "/api/tasks/$id", 200);
    for my $at (grep { substr($id, $_, 1) ne '-' } 0 .. 35) {
        my $bad = $id;
        substr($bad, $at, 1) =~ tr/0-9a-f/1-9a-f0/;
        ::ask('GET', "/api/tasks/$bad", 404);
    }
    ::ask('GET', '/api/tasks/' . uc $id, 200);
    ::ask('GET', "/api/tasks/$id-", 404);
    ::ask('GET', '/api/tasks/' . $id =~ s/-//gr, 404);
}]
--- error_code: 200



=== TEST 7: delete
--- request eval
[$::Queue, $::Queue]
--- after eval
[sub { ::note($_[0]); ::ask('DELETE', '/api/tasks/{id}', 204, qr/^$/); ::ask('GET', '/api/tasks/{id}', 404, qr/^\Q$::NotFound\E$/);
       ::ask('DELETE', '/api/tasks/{id}', 404, qr/^\Q$::NotFound\E$/) },
 sub { ::note($_[0]); my $j = ::claim('resize'); ::ask('DELETE', '/api/tasks/{id}', 204); TaskMQ::Redis::text(::complete($j, '1')) =~ /^[23]$/ or die 'result taken' }]
--- error_code eval
[200, 200]



=== TEST 8: redrive
--- request eval
[$::Queue, $::Queue]
--- after eval
[sub { ::note($_[0]); ::ask('POST', '/api/tasks/{id}/redrive', 404, qr/^\{"error":"/); ::fail_job(scalar ::claim('resize'), 'x');
       ::ask('POST', '/api/tasks/{id}/redrive', 200, qr/^\{/); ::ask('GET', '/api/tasks/{id}', 200, qr/"status":"pending".*"attempts":0/) }]
--- error_code eval
[200, 200]



=== TEST 9: the list
--- request eval
[($::Queue) x 3, "POST /queue\n" . '{"type":"other","data":{}}', 'GET /api/tasks', 'GET /api/tasks?limit=2', 'GET /api/tasks?type=other',
 'GET /api/tasks?status=completed', 'GET /api/tasks?status=pending&type=resize&limit=1']
--- after eval
[undef, undef, sub { ::complete(scalar ::claim('resize')) }, undef, undef, sub {
    my $reply = ::get('/api/tasks?limit=2');
    my ($next) = $reply =~ m{\r\nlink: <([^>]+)>; rel="next"\r\n}i or die "no Link in $reply\n";
    $reply = ::get($next);
    $reply =~ / 200 / && $reply !~ /\nlink:/i && (() = $reply =~ /"task_type":"resize"/g) == 2 or die "second page: $reply\n";
}]
--- error_code eval
[(200) x 9]
--- response_body_like eval
[('.') x 4, '^\[(\{"id":.*){4}\]$', '^\[\{[^\[]*"task_type":"other".*"task_type":"resize"[^\[]*.*\]$', '^\[\{"id":"[^"]+","task_type":"other"[^\]]*\]$',
 '^\[\{"id":"[^"]+".*"status":"completed"((?!"id").)*\]$', '^\[\{"id":"[^"]+".*"status":"pending"((?!"id").)*\]$']



=== TEST 10: arguments of the list that are wrong
--- request eval
[map { "GET /api/tasks?$_" } 'limit=0', 'limit=101', 'limit=x', 'status=SUCCESS', 'type=a%20b', 'cursor=1', 'cursor=00000000-0000-8000-8000-000000000000']
--- error_code eval
[(400) x 7]
--- response_body_like eval
[map { '^\{"error":"' . $_ . ': [^"]+"\}$' } qw(limit limit limit status type cursor cursor)]



=== TEST 11: health, in its own bytes
--- request eval
['GET /health', 'GET /health']
--- after eval
[sub { ::redis()->stop; ::wait_until('503', sub { ::get('/health') =~ / 503 / }) }]
--- error_code eval
[200, 503]
--- response_body_like eval
['^\{"status":"healthy","queue_size":0,"workers":0,"timestamp":"20[^"]+Z"\}$', '^\{"status":"unhealthy"']



=== TEST 12: errors are {"error": …} everywhere
--- request eval
['GET /nothing', 'PUT /queue', "POST /queue\n" . '{"type":"a","data":{"a":"' . 'x' x 1_100_000 . '"}}', $::Queue]
--- after eval
[undef, undef, sub { ::redis()->stop; ::wait_until('503', sub { ::get('/health') =~ / 503 / }) }]
--- error_code eval
[404, 405, 413, 503]
--- response_body_like eval
[('^\{"error":"[^"]+"\}$') x 4]



=== TEST 13: with tokens, when it is asked to
--- config
    location / { taskmq_api taskdaemon; }
--- init
::ready()
--- request eval
[$::Queue, $::Queue, 'GET /api/tasks', 'GET /api/tasks', 'GET /health']
--- more_headers eval
['', ::worker(), ::worker(), '', '']
--- error_code_like eval
['401', '403', '200|503', '401', '200']
--- response_body_like eval
['^\{"error":"', '^\{"error":"', '.', '^\{"error":"', 'healthy']



=== TEST 14: OPTIONS and HEAD
--- request eval
['OPTIONS /queue', 'OPTIONS /api/tasks/x', 'OPTIONS /api/tasks/x/redrive', 'HEAD /api/tasks', 'HEAD /health']
--- error_code eval
[204, 204, 204, 200, 200]
--- raw_response_headers_like eval
['(?i)Allow: POST, OPTIONS', '(?i)Allow: GET, HEAD, DELETE, OPTIONS', '(?i)Allow: POST, OPTIONS', '.', '.']



=== TEST 15: the same job by both APIs: each way, each change
--- request
GET /health
--- after eval
[sub {
    my $post = sub { my ($path, $body, $want) = @_;
        my $r = ::send_raw("POST /mq/$path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
        $r =~ $want or die "POST $path $body: $r\n" };
    my $queue = sub { my $body = '{"type":"both","data":{"a":1}}';
        my $r = ::send_raw("POST /queue HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
        ::note($r =~ s/.*\r\n\r\n//sr); ::redis()->call('GET', '{taskmq}:seq') };
    # queued there, cancelled here
    my $n = $queue->();
    $post->('cancel', "{\"job_id\":$n}", qr/cancelled/);
    ::ask('GET', '/api/tasks/{id}', 200, qr/"failed".*"last_error":"cancelled"/);
    # queued there, failed, retried here
    $n = $queue->();
    ::fail_job(scalar ::claim('both'), 'x');
    $post->('retry', "{\"job_id\":$n}", qr/retrying/);
    ::ask('GET', '/api/tasks/{id}', 200, qr/"pending"/);
    # queued there, deleted here
    ::ask('DELETE', "/mq/job/$n", '20[04]');
    ::ask('GET', '/api/tasks/{id}', 404);
    # added here: shown there, redriven there, deleted there
    my $body = '{"payload":{"a":1},"handler":"both"}';
    $post->('add-job', $body, qr/"status":"ok"/);
    my $list = ::ask('GET', '/api/tasks?limit=1', 200, qr/"task_type":"both","task_data":\{"a":1\},"status":"pending","priority":0/);
    ($::Id) = $list =~ /"id":"([^"]+)"/;
    ::fail_job(scalar ::claim('both'), 'y');
    ::ask('POST', '/api/tasks/{id}/redrive', 200);
    ::ask('GET', '/mq/job/' . ($n + 1), 200, qr/"PENDING"/);
    ::ask('DELETE', '/api/tasks/{id}', 204);
    ::ask('GET', '/mq/job/' . ($n + 1), 404);
}]
--- error_code: 200
