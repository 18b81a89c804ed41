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
    location / { taskmq_api taskmq; taskmq_redis_timeout 500ms; }
    location = /status { stub_status; }
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
    for (@r) { my $a = $_->(); $a =~ m{^HTTP/1.1 50[34] }s or die "got: $a\n" }
    ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" });
    ::redis()->continue;
    ::ready();
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



=== TEST 4: worker_shutdown_timeout ends what waits, Redis' connection or the client's
--- no_http2
--- main_config
worker_shutdown_timeout 100ms;
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
    for (@r) { my $a = $_->(); $a =~ m{^HTTP/1.1 50[34] |^$} or die "got: $a\n" }
    ::redis()->continue;
    ::wait_until('the old worker to leave', sub { !-d "/proc/$old[0]" });
    ::ready();
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
    # Redis' next connection
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
