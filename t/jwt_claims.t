# taskmq_jwt_audience, taskmq_jwt_issuer: for whom and by whom tokens are made.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'taskmq_jwt_audience queue "https://queue.example/a b";
                 taskmq_jwt_issuer https://id.example other;
                 location / { taskmq_api taskmq; }
                 location /td/ { taskmq_api taskdaemon; }');

our $Job = 'GET /job/1';
my %iss = (iss => 'other');
my %aud = (aud => 'queue');

# Claims beside sub, role and exp; what the log says of the bad ones.
our @Good = (
    { %iss, %aud },
    { iss => 'https://id.example', aud => 'https://queue.example/a b' },
    { %iss, aud => ['queue'] },
    { %iss, aud => ['x', 'queue', 'y'] },
    { %iss, %aud, azp => 'x' },
);
our @Escaped = ('{"role":"admin","exp":9999999999,"\u0069ss":"\u006fther","aud":["q\u0075eue"]}');
our @Bad = (
    [{}, 'iss is not in'],
    [{ %aud }, 'iss is not in'],
    [{ %iss }, 'aud is not in'],
    [{ %aud, iss => 'Other' }, 'iss is not in'],
    [{ %aud, iss => 'others' }, 'iss is not in'],
    [{ %aud, iss => '' }, 'iss is not in'],
    [{ %aud, iss => ['other'] }, 'iss is not in'],
    [{ %aud, iss => 1 }, 'iss is not in'],
    [{ %iss, aud => 'que' }, 'aud is not in'],
    [{ %iss, aud => 'queue2' }, 'aud is not in'],
    [{ %iss, aud => 'https://queue.example/a' }, 'aud is not in'],
    [{ %iss, aud => '' }, 'aud is not in'],
    [{ %iss, aud => [] }, 'aud is not in'],
    [{ %iss, aud => ['x', 'y'] }, 'aud is not in'],
    [{ %iss, aud => [['queue']] }, 'aud is neither'],
    [{ %iss, aud => ['queue', 1] }, 'aud is neither'],
    [{ %iss, aud => { queue => 1 } }, 'aud is not in'],
    [{ %iss, aud => 0 }, 'aud is not in'],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: accepted
--- request eval
[($::Job) x (@::Good + @::Escaped), 'GET /td/api/tasks/x']
--- more_headers eval
[map { ::auth($_) } @::Good, @::Escaped, $::Good[0]]
--- error_code eval
[(404) x (@::Good + @::Escaped + 1)]



=== TEST 2: refused
--- no_http2
--- request eval
[map { $::Job } @::Bad]
--- more_headers eval
[map { ::auth($_->[0]) } @::Bad]
--- error_code eval
[map { 401 } @::Bad]
--- response_body eval
[map { '{"detail":"Invalid or missing token"}' } @::Bad]
--- logged eval
[map { qr/the token's $_->[1]/ } @::Bad]



=== TEST 3: one of them, none, and another in a location
--- config
    taskmq_jwt_audience a;
    location / { taskmq_api taskmq; }
    location /b/ { taskmq_api taskmq; taskmq_jwt_audience b; }
    location /i/ { taskmq_api taskmq; taskmq_jwt_issuer i; }
--- request eval
[map { ("GET /job/1", "GET /b/job/1", "GET /i/job/1") } 1 .. 3]
--- more_headers eval
[map { (::auth($_)) x 3 } { aud => 'a' }, { aud => 'b' }, { aud => 'a', iss => 'i' }]
--- error_code eval
[404, 401, 401, 401, 404, 401, 404, 401, 404]



=== TEST 4: not looked at where nothing is said
--- config
    location / { taskmq_api taskmq; }
--- request eval
[($::Job) x 3]
--- more_headers eval
[map { ::auth($_) } { aud => 'x', iss => 'y' }, { aud => 1, iss => [] }, {}]
--- error_code eval
[404, 404, 404]



=== TEST 5: a token that was accepted is not, elsewhere
--- config
    location /a/ { taskmq_api taskmq; taskmq_jwt_audience a; }
    location /b/ { taskmq_api taskmq; taskmq_jwt_audience b; }
--- init
::ready('/a/health')
--- request eval
['GET /a/job/1', 'GET /b/job/1', 'GET /a/job/1', 'GET /b/job/1']
--- more_headers eval
::auth({ aud => 'a', exp => 9999999999 })
--- error_code eval
[404, 401, 404, 401]
