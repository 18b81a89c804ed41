# Redis away, silent, restarted, full; clients that leave.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

# The request as bytes, for connections of the test's own.
our $Raw = "POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    . admin() . "\r\nContent-Length: 28\r\n\r\n" . '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: stopped: 503 at once, nothing stored; back: works
--- request eval
[$::Add, $::Add, 'GET /job/1', $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->stop; ::wait_until('503', sub { ::get('/health') =~ / 503 / }) }, undef,
 sub { ::redis()->start; ::ready() }]
--- error_code eval
[200, 503, 503, 200]
--- response_headers eval
['!Retry-After', "Retry-After: 1\nContent-Type: application/json", 'Retry-After: 1', '!Retry-After']
--- response_body_like eval
['"ok"', '^\{"detail":"[^"]+"\}$', '^\{"detail":"[^"]+"\}$', '"job_id":1\}']



=== TEST 2: silent: 504 after the timeout, without Retry-After; then 503
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 200ms; }
--- request eval
[$::Add, $::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->pause }, undef, sub { ::redis()->continue; ::ready() }]
--- error_code_like eval
['200', '504', '50[34]']
--- response_headers eval
['!Retry-After', "!Retry-After\nContent-Type: application/json", 'Content-Type: application/json']
--- response_body_like eval
['"ok"', '^\{"detail":"[^"]*not known[^"]*"\}$', '^\{"detail":"']



=== TEST 3: killed in the middle of calls: every client gets an answer
--- no_http2
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 1s; }
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[sub {
    ::redis()->pause;
    my @r = map { ::begin_request($::Raw) } 1 .. 20;
    ::redis()->stop('KILL');
    for (@r) { my $a = $_->(); $a =~ m{^HTTP/1.1 50[34] .*"detail":"}s or die "got: $a\n" }
    ::redis()->start; ::ready();
}]
--- error_code eval
[200, 404]



=== TEST 4: the client leaves before the reply
--- no_http2
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 1s; }
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    ::redis()->pause;
    ::begin_request($::Raw) for 1 .. 20;
    ::redis()->continue;
    ::wait_until('all of them', sub { ::redis()->call('GET', '{taskmq}:seq') == 21 });
}]
--- response_body eval
[qr/"job_id":1\}/, qr/"job_id":22\}/]



=== TEST 5: connections closed by Redis are opened again
--- request eval
[($::Add) x 3]
--- more_headers eval: ::admin()
--- after eval
[map { sub { ::redis()->call(qw(CLIENT KILL TYPE normal SKIPME yes)); ::ready() } } 1, 2]
--- error_code eval
[200, 200, 200]
--- redis eval
['GET {taskmq}:seq' => 3]



=== TEST 6: the scripts are gone: sent again
--- request eval
[$::Add, $::Add, 'GET /job/2', 'GET /health']
--- more_headers eval: ::admin()
--- after eval
[map { sub { ::redis()->call(qw(SCRIPT FLUSH)) } } 1 .. 3]
--- error_code eval
[200, 200, 200, 200]



=== TEST 7: full: 503, and it drains
--- request eval
[$::Add, $::Add, 'GET /job/1', $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->call(qw(CONFIG SET maxmemory 1)) }, undef,
 sub { ::redis()->call(qw(CONFIG SET maxmemory 0)) }]
--- error_code eval
[200, 503, 200, 200]
--- response_headers eval
['!Retry-After', 'Retry-After: 1', '!Retry-After', '!Retry-After']
--- response_body_like eval
['"job_id":1\}', '^\{"detail":"[^"]*(full|OOM|memory)', '"id":1,', '"job_id":2\}']



=== TEST 8: read-only: 503 until the connection is to a master again
--- request eval
[$::Add, $::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->call(qw(REPLICAOF 127.0.0.1 1)) },
 sub { ::redis()->call(qw(REPLICAOF NO ONE)); ::ready() }]
--- error_code eval
[200, 503, 200]
--- response_body_like eval
['"ok"', '^\{"detail":"[^"]*(?i:read.?only)', '"ok"']



=== TEST 9: a busy script: 503 or 504, then well
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 1s; }
--- request eval
[$::Add, $::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->call(qw(CONFIG SET busy-reply-threshold 10));
       $::busy = IO::Socket::UNIX->new(Peer => ::redis()->socket);
       print $::busy "*3\r\n\$4\r\nEVAL\r\n\$18\r\nwhile true do  end\r\n\$1\r\n0\r\n"; $::busy->flush;
       ::wait_until('BUSY', sub { !eval { ::redis()->call('PING'); 1 } && $@ =~ /BUSY/ }) },
 sub { ::redis()->call(qw(SCRIPT KILL)); ::wait_until('the script to end', sub { eval { ::redis()->call('PING') } }); ::redis()->call(qw(CONFIG SET busy-reply-threshold 5000)); ::ready() }]
--- error_code_like eval
['200', '50[34]', '200']
