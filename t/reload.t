# Reloads: what waits is answered, what was changed holds, and old workers go.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'location / { taskmq_api taskmq; }
                 location = /status { stub_status; }');

# How many requests nginx has read and not answered.
sub waiting {
    my ($n) = get('/status') =~ /Writing: (\d+)/ or return 0;
    return $n - 1;
}

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

# The request as bytes, for connections of the test's own.
our $Raw = "POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    . admin() . "\r\nContent-Length: 28\r\n\r\n" . '{"payload":{},"handler":"h"}';

# Connections of nginx to Redis: all but ours.
sub connections {
    return scalar grep { !/cmd=client/ } split /\n/, redis()->call(qw(CLIENT LIST));
}

# Five requests while Redis is silent, each read before the next is sent, so
# that the jobs of two are on their way (TQ_BATCHES_IN_FLIGHT) and the others
# wait in nginx for an answer to those.
sub five_requests {
    redis()->pause;
    return map {
        my $n = $_;
        my $finish = begin_request($Raw);
        wait_until("$n requests to be read", sub { waiting() >= $n });
        $finish;
    } 1 .. 5;
}

# What they are answered: 504 where nobody knows, 503 where nothing was sent.
sub all_are_told {
    my $got = join ' ', map { my $a = $_->(); $a =~ m{^HTTP/1\.1 (\d+) } ? $1 : "'$a'" } @_;
    $got eq '504 504 503 503 503' or die "answers: $got\n";
}

# Redis goes on: it has the job of the block's first request, and the two.
sub redis_has_two_more {
    redis()->continue;
    ready();
    my $got = redis()->call('GET', '{taskmq}:seq');
    $got == 3 or die "$got jobs\n";
}

add_block_preprocessor(sub { write_file('max.conf', '') });

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a request waits while nginx reloads, and is answered
--- no_http2
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    ::redis()->pause;
    my @r = map { ::begin_request($::Raw) } 1 .. 5;
    ::wait_until('requests to be read', sub { ::waiting() >= 5 });
    my ($master, @old) = ::workers_of_nginx();
    kill 'HUP', $master;
    ::wait_until('the old worker to be leaving', sub { ::is_leaving($old[0]) });
    ::redis()->continue;
    for (@r) { my $a = $_->(); $a =~ m{^HTTP/1.1 200 }s or die "got: $a\n" }
    ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" });
    ::ready();
}]
--- response_body eval
[qr/"job_id":1\}/, qr/"job_id":7\}/]



=== TEST 2: Redis silent during a reload: the old worker answers and leaves
--- no_http2
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 2s; }
    location = /status { stub_status; }
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    my @r = ::five_requests();
    my ($master, @old) = ::workers_of_nginx();
    kill 'HUP', $master;
    ::all_are_told(@r);
    ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" });
    ::redis_has_two_more();
}]
--- error_code eval
[200, 200]



=== TEST 3: an idle connection does not keep an old worker
--- request eval
['GET /health', 'GET /health']
--- after eval
[sub { my (undef, @old) = ::workers_of_nginx(); ::reload_nginx();
       ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" }) }]
--- error_code eval
[200, 200]



=== TEST 4: worker_shutdown_timeout ends Redis' connection first: all are answered before theirs end
--- no_http2
--- main_config
worker_shutdown_timeout 100ms;
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    my @r = ::five_requests();
    my ($master, @old) = ::workers_of_nginx();
    kill 'HUP', $master;
    ::all_are_told(@r);
    ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" });
    ::redis_has_two_more();
}]
--- error_code eval
[200, 200]



=== TEST 5: a directive that was changed holds
--- config
    location / { taskmq_api taskmq; include $TEST_NGINX_SCRATCH/max.conf; }
--- request eval
[$::Add, $::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[undef, sub { ::write_file('max.conf', 'taskmq_max_pending 2;'); ::reload_nginx(); ::ready() }]
--- error_code eval
[200, 200, 429]



=== TEST 6: nginx's cache processes have no connection to Redis
--- http_config eval
'proxy_cache_path $TEST_NGINX_SERVER_ROOT/x_cache keys_zone=x:1m;'
. 'taskmq_redis unix:$TEST_NGINX_REDIS; taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;'
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    my $n = ::connections();
    $n == 1 or die "$n connections: " . ::redis()->call(qw(CLIENT LIST));
    ::reload_nginx();
    ::ready();
    ::wait_until('one connection', sub { ::connections() == 1 });
}]
--- error_code eval
[200, 200]



=== TEST 7: the client's connection ends first, then Redis': calls of requests that are gone
--- no_http2
--- main_config
worker_shutdown_timeout 100ms;
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    # nginx ends them in the order of its slots: these get lower ones than
    # Redis' next connection. An empty answer is what worker_shutdown_timeout
    # means: without it nobody gets one, see the blocks above.
    my @c = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $ENV{TEST_NGINX_SERVER_PORT}) or die } 1 .. 20;
    ::redis()->call(qw(CLIENT KILL TYPE normal SKIPME yes));
    push @c, map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $ENV{TEST_NGINX_SERVER_PORT}) or die } 1 .. 5;
    ::ready();
    ::redis()->pause;
    for (@c) { print $_ $::Raw; $_->flush }
    ::wait_until('requests to be read', sub { ::waiting() >= 25 });
    my ($master, @old) = ::workers_of_nginx();
    kill 'HUP', $master;
    for (@c) { local $/; my $a = <$_> // ''; $a =~ m{^HTTP/1.1 50[34] |^$} or die "got: $a\n" }
    ::redis()->continue;
    ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" });
    ::ready();
}]
--- error_code eval
[200, 200]
