# taskmq_redis, taskmq_redis_password_file, taskmq_namespace: where jobs go.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Port qw(free_port);
use TaskMQ::Spec;

# A password for everybody, a user of its own, a TCP port.
our $Port = free_port();
our $Locked = TaskMQ::Redis->new(requirepass => 'op:en/s@me', port => $Port,
                                 bind => '127.0.0.1');
$Locked->call(qw(ACL SETUSER app on >apppass ~* &* +@all));
$ENV{TEST_NGINX_LOCKED} = $Locked->socket;
$ENV{TEST_NGINX_LOCKED_PORT} = $Port;

queue();
write_file('password', "op:en/s\@me\n");
write_file('apppass', "apppass\n");
write_file('wrong', 'wrong');
write_file('nowhere.conf', "taskmq_redis redis://no..such;\n");

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Secrets = 'taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;';

add_block_preprocessor(sub { $Locked->call('FLUSHALL') });

sub in_locked {
    my ($db, $key, $want) = @_;
    $Locked->call('SELECT', $db);
    my $got = $Locked->call('GET', $key) // 'nothing';
    die "$key in database $db is $got, not $want\n" if $got ne $want;
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a password file, over a unix socket
--- http_config eval: "$::Secrets taskmq_redis unix:\$TEST_NGINX_LOCKED; taskmq_redis_password_file \$TEST_NGINX_SCRATCH/password;"
--- request eval: $::Add
--- more_headers eval: ::admin()
--- after eval
[sub { ::in_locked(0, '{taskmq}:seq', 1) }]
--- response_body chop
{"status":"ok","job_id":1}



=== TEST 2: TCP, a password and a database in the URL
--- http_config eval: "$::Secrets taskmq_redis redis://:op%3Aen%2Fs%40me\@127.0.0.1:\$TEST_NGINX_LOCKED_PORT/3;"
--- request eval: $::Add
--- more_headers eval: ::admin()
--- after eval
[sub { ::in_locked(3, '{taskmq}:seq', 1) }]
--- response_body chop
{"status":"ok","job_id":1}



=== TEST 3: a user of its own, by name of the host
--- http_config eval: "$::Secrets taskmq_redis redis://app\@localhost:\$TEST_NGINX_LOCKED_PORT; taskmq_redis_password_file \$TEST_NGINX_SCRATCH/apppass;"
--- request eval: $::Add
--- more_headers eval: ::admin()
--- error_code: 200



=== TEST 4: a database on a unix socket
--- http_config eval: "$::Secrets taskmq_redis unix:\$TEST_NGINX_LOCKED?db=5; taskmq_redis_password_file \$TEST_NGINX_SCRATCH/password;"
--- request eval: $::Add
--- more_headers eval: ::admin()
--- after eval
[sub { ::in_locked(5, '{taskmq}:seq', 1) }]
--- error_code: 200



=== TEST 5: a wrong password: 503, and the log says why, not what
--- http_config eval: "$::Secrets taskmq_redis unix:\$TEST_NGINX_LOCKED; taskmq_redis_password_file \$TEST_NGINX_SCRATCH/wrong;"
--- init
--- request eval: [$::Add, 'GET /health']
--- more_headers eval: ::admin()
--- wait: 0.1
--- error_code eval: [503, 503]
--- response_headers eval: ['Retry-After: 1', '']
--- response_body_like eval: ['^\{"detail":"', '^\{"status":"error"']
--- logged eval: [qr/\[error\].*wants another user or password/]



=== TEST 6: no password where one is needed
--- http_config eval: "$::Secrets taskmq_redis unix:\$TEST_NGINX_LOCKED;"
--- init
--- request eval: $::Add
--- more_headers eval: ::admin()
--- error_code: 503
--- logged eval: [qr/NOAUTH|Authentication required/]



=== TEST 7: a database that is not there
--- http_config eval: "$::Secrets taskmq_redis unix:\$TEST_NGINX_REDIS?db=99;"
--- init
--- request eval: $::Add
--- more_headers eval: ::admin()
--- error_code: 503
--- logged eval: [qr/DB index is out of range/]



=== TEST 8: nobody there
--- http_config eval: "$::Secrets taskmq_redis redis://127.0.0.1:1;"
--- init
--- request eval: [$::Add, 'GET /job/1', 'GET /health', 'GET /job/1']
--- more_headers eval: [::admin(), ::admin(), '', '']
--- error_code eval: [503, 503, 503, 401]
--- response_headers eval
[map({ "Content-Type: application/json\nRetry-After: 1" } 1, 2), '!Retry-After', '!Retry-After']
--- response_body_like eval
['^\{"detail":"[^"]+"\}$', '^\{"detail":"[^"]+"\}$', '^\{"status":"error"', 'Invalid or missing']



=== TEST 9: a host that does not resolve is said at start
--- config
    location / { taskmq_redis redis://no-such-host.invalid; taskmq_api taskmq; }
--- must_die: 1
--- error_log
no-such-host.invalid
nginx.conf:



=== TEST 10: passwords are never logged
--- log_level: debug
--- http_config eval: "$::Secrets taskmq_redis redis://:op%3Aen%2Fs%40me\@127.0.0.1:\$TEST_NGINX_LOCKED_PORT;"
--- request eval: $::Add
--- more_headers eval: ::admin()
--- no_error_log eval
[qr/op:en/, qr/op%3Aen/, qr/a-secret-of/]
--- no_shutdown_error_log eval
[qr/op:en/, qr/op%3Aen/, qr/a-secret-of/]



=== TEST 11: a password in the URL is nearer than the file of a level above
--- http_config eval: "$::Secrets taskmq_redis_password_file \$TEST_NGINX_SCRATCH/wrong;"
--- config
    taskmq_auth off;
    location /a/ { taskmq_redis redis://:op%3Aen%2Fs%40me@127.0.0.1:$TEST_NGINX_LOCKED_PORT; taskmq_api taskmq; location /a/b/ { taskmq_api taskmq; } }
    location /c/ { taskmq_redis redis://app:wrong@127.0.0.1:$TEST_NGINX_LOCKED_PORT; location /c/d/ { taskmq_redis_password_file $TEST_NGINX_SCRATCH/apppass; taskmq_api taskmq; } }
--- init
::ready("/$_/health") for qw(a a/b c/d)
--- request eval
[map { "GET /$_/job/1" } qw(a a/b c/d)]
--- error_code eval
[404, 404, 404]



=== TEST 12: a host that is not known: the line of taskmq_redis says so
--- http_config
    include $TEST_NGINX_SCRATCH/nowhere.conf;
--- config
    location / { taskmq_auth off; taskmq_api taskmq; }
--- must_die: 1
--- suppress_stderr
--- error_log
in the address of Redis, "redis://no..such:6379/0"
nowhere.conf:1
