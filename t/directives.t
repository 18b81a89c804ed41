# Every directive: what is refused, with file and line, when nginx reads it.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(http_config => '', init => undef);
write_file('empty', '');
write_file('newline', "\n");
write_file('short', "22-bytes-is-too-short\n");
write_file('long', 'x' x 100_000);
write_file('nul', "pass\0word");

our @Blocks;

# Directive lines, what the log must say.
sub refused {
    my ($name, $lines, @says) = @_;

    push @Blocks, "=== TEST @{[@Blocks + 1]}: $name\n"
        . "--- config\n    location / {\n    taskmq_auth off;\n    $lines\n"
        . "    taskmq_api taskmq;\n    }\n--- must_die: 1\n--- error_log\n"
        . join("\n", '[emerg]', @says) . "\n\n";
}

my $conf = qr{nginx\.conf:};

# Twice on one level.
refused("$_->[0] twice", "$_->[0] $_->[1]; $_->[0] $_->[1];",
        "\"$_->[0]\" directive is duplicate in", 'nginx.conf:')
    for ['taskmq_redis', 'redis://127.0.0.1'], ['taskmq_namespace', 'a'],
        ['taskmq_redis_password_file', '$TEST_NGINX_SCRATCH/secret'],
        ['taskmq_jwt_role_claim', 'a'], ['taskmq_jwt_require_exp', 'on'],
        ['taskmq_max_payload', '1m'], ['taskmq_max_bulk', '1m'],
        ['taskmq_redis_timeout', '1s'], ['taskmq_max_pending', '1'],
        ['taskmq_known_handlers', 'on'], ['taskmq_docs_root', '/tmp'],
        ['taskmq_jwt_audience', 'a b'], ['taskmq_jwt_issuer', 'a'],
        ['taskmq_allowed_hosts', 'a'], ['taskmq_allowed_origins', 'all'],
        ['taskmq_intercept_errors', 'on'], ['taskmq_mirror', 'off'];
refused('taskmq_auth twice', 'taskmq_auth off;',
        '"taskmq_auth" directive is duplicate');
refused('taskmq_api twice', 'taskmq_api taskmq;',
        '"taskmq_api" directive is duplicate');
refused('a third secret', 'taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;'
        x 3, '"taskmq_jwt_secret_file" directive may be given twice');

# No value, too many, a value of no use.
refused("$_ without a value", "$_;",
        "invalid number of arguments in \"$_\" directive")
    for qw(taskmq_redis taskmq_redis_password_file taskmq_namespace
           taskmq_jwt_secret_file taskmq_jwt_key_file taskmq_jwt_role_claim
           taskmq_jwt_require_exp taskmq_max_payload taskmq_max_bulk
           taskmq_docs_root taskmq_redis_timeout taskmq_max_pending
           taskmq_known_handlers taskmq_allowed_hosts taskmq_allowed_origins
           taskmq_jwt_audience taskmq_jwt_issuer);
refused('two values', 'taskmq_namespace a b;', 'invalid number of arguments');
refused('require_exp maybe', 'taskmq_jwt_require_exp maybe;',
        'invalid value "maybe" in "taskmq_jwt_require_exp" directive');
refused('known_handlers 1', 'taskmq_known_handlers 1;',
        'invalid value "1" in "taskmq_known_handlers" directive');
for my $size (qw(taskmq_max_payload taskmq_max_bulk)) {
    refused("$size $_", "$size $_;", "\"$size\" directive has an invalid "
            . 'value, expected a size such as 512k or 8m in', 'nginx.conf:')
        for '1x', '-1', 'big', '10g';
    refused("$size $_", "$size $_;", "\"$size\" must be from 1 byte to ",
            'nginx.conf:') for '0', '65m';
}
refused("time $_", "taskmq_redis_timeout $_;", '"taskmq_redis_timeout" '
        . 'directive has an invalid value, expected a time such as 500ms or '
        . '2s in', 'nginx.conf:') for '1x', '-1s';
refused("time $_", "taskmq_redis_timeout $_;",
        '"taskmq_redis_timeout" must be from 1ms to ', 'nginx.conf:')
    for '0', '100d';
refused("pending $_", "taskmq_max_pending $_;", '"taskmq_max_pending" '
        . 'directive has an invalid value, expected a number such as 10000, '
        . 'or 0 in', 'nginx.conf:') for '-1', 'many';
# Who may call, and by which name.
refused("host '$_'", "taskmq_allowed_hosts a.example '$_';",
        "invalid value \"$_\" in \"taskmq_allowed_hosts\": expected a host name "
        . 'without a port', 'nginx.conf:')
    for '', 'a:80', 'http://a', 'a/b', 'a b', '*', '.', '*.', '*a', 'a*', 'a.*.b',
        '~a', '[::1]', 'all', 'none';
refused("origin '$_'", "taskmq_allowed_origins http://a '$_';",
        "invalid value \"$_\" in \"taskmq_allowed_origins\": expected an origin "
        . 'without a path', 'nginx.conf:')
    for '', 'a.example', 'null', '*', 'http://', '://a', 'http://a/',
        'http://a/b', 'http://a:', 'http://a:b', 'http://a:0', 'http://[::1', 'http://[]',
        'http://[a.example]', 'http://[::1]x', 'http://*', 'http://a.*', 'http://.a', 'http://u@a', 'all', 'none';
refused("an empty $_", "$_ a '';", "\"$_\" has an empty value: expected what "
        . 'the claim must say in', 'nginx.conf:')
    for 'taskmq_jwt_audience', 'taskmq_jwt_issuer';
refused('empty claim name', 'taskmq_jwt_role_claim "";',
        q{"taskmq_jwt_role_claim" is empty: expected the claim's name in});

# Where Redis is.
refused("Redis at $_->[0]", "taskmq_redis $_->[0];", 'invalid Redis URL',
        $_->[1])
    for ['rediss://127.0.0.1:6379', 'TLS'], ['http://127.0.0.1', 'redis://'],
        ['127.0.0.1:6379', 'redis://'], ['redis://', 'host'],
        ['redis://127.0.0.1:0', 'port'], ['redis://127.0.0.1:65536', 'port'],
        ['redis://127.0.0.1:x', 'port'], ['redis://127.0.0.1/x', 'database'],
        ['redis://127.0.0.1/-1', 'database'], ['unix:', 'unix'],
        ['"unix:/' . 'x' x 110 . '"', 'long'],
        ['redis://a:%zz@127.0.0.1', 'escape'];
my $url = 'taskmq_redis redis://u:p@127.0.0.1:1;';
my $file = 'taskmq_redis_password_file $TEST_NGINX_SCRATCH/short;';
refused('a namespace with a brace', 'taskmq_namespace "a}b";',
        'invalid namespace "a}b"');
refused('an empty namespace', 'taskmq_namespace "";', 'invalid namespace ""');
refused('a namespace of 65', 'taskmq_namespace ' . 'n' x 65 . ';',
        'invalid namespace');
refused('no password file',
        'taskmq_redis_password_file /nowhere/at/all;',
        'open() "/nowhere/at/all" failed (2: No such file or directory)');
refused('an empty password file',
        'taskmq_redis_password_file $TEST_NGINX_SCRATCH/newline;',
        'is empty');
refused('a password with NUL',
        'taskmq_redis_password_file $TEST_NGINX_SCRATCH/nul;', 'NUL');
refused("two passwords, $_->[0] first", "$_->[1]\n    $_->[2]",
        'is one password too many')
    for ['the URL', $url, $file], ['the file', $file, $url];

# Keys.
refused('no secret file', 'taskmq_jwt_secret_file /nowhere/at/all;',
        'open() "/nowhere/at/all" failed');
refused("an empty secret ($_)",
        "taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/$_;",
        'the JWT secret in', 'is empty') for 'empty', 'newline';
refused('a secret file that is none',
        'taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/long;', 'is longer than');
refused('a folder as secret', 'taskmq_jwt_secret_file $TEST_NGINX_SCRATCH;',
        'failed (21: Is a directory)');
refused('a secret as public key',
        'taskmq_jwt_key_file $TEST_NGINX_SCRATCH/secret;',
        'cannot verify RS256 or ES256', 'PEM');
refused('no public key file', 'taskmq_jwt_key_file /nowhere/at/all;',
        'open() "/nowhere/at/all" failed');

spec_string(join '', @Blocks, do { local $/; <DATA> });

plan tests => planned();
run_tests();

__DATA__

=== TEST 101: an unknown API
--- config
    location / { taskmq_auth off; taskmq_api sidekiq; }
--- must_die: 1
--- error_log
unknown API "sidekiq"
nginx.conf:



=== TEST 102: not at the level of a server
--- config
    taskmq_api taskmq;
--- must_die: 1
--- error_log
"taskmq_api" directive is not allowed here



=== TEST 103: an exact location that is no endpoint's
--- config
    location = /x { taskmq_auth off; taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" in "location = /x": the name does not end with the path of an endpoint, such as "/add-job" in
nginx.conf:



=== TEST 104: a location by regular expression
--- config
    location ~ /x { taskmq_auth off; taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" works in a prefix location
must stand inside of such a prefix location



=== TEST 105: a named location
--- config
    location @x { taskmq_auth off; taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" works in a prefix location
a named one (@) cannot have it



=== TEST 106: no key at all
--- config
    location / { taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" needs "taskmq_jwt_secret_file"
nginx.conf:



=== TEST 107: unknown value of taskmq_auth
--- config
    location / { taskmq_auth basic; taskmq_api taskmq; }
--- must_die: 1
--- error_log
invalid value "basic"



=== TEST 108: a short secret works, with a warning
--- suppress_stderr
--- http_config
    taskmq_redis unix:$TEST_NGINX_REDIS;
    taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/short;
--- config
    location / { taskmq_api taskmq; }
--- init
::ready()
--- request
GET /job/1
--- more_headers eval: ::auth({}, secret => '22-bytes-is-too-short')
--- error_code: 404
--- grep_error_log eval: qr/\[warn\].*has 21 bytes/
--- grep_error_log_out eval: qr/^\[warn\].*short" has 21 bytes\n$/



=== TEST 109: every directive, in every place where it may stand
--- suppress_stderr
--- http_config
    taskmq_redis redis://user@127.0.0.1:1/15;
    taskmq_redis_password_file $TEST_NGINX_SCRATCH/secret;
    taskmq_namespace a.b-C_9;
    taskmq_auth jwt;
    taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;
    taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/short;
    taskmq_jwt_role_claim roles;
    taskmq_jwt_require_exp off;
    taskmq_jwt_audience a;
    taskmq_jwt_issuer a;
    taskmq_allowed_hosts all;
    taskmq_allowed_origins all;
    taskmq_max_payload 64m;
    taskmq_max_bulk 64m;
    taskmq_docs_root docs;
    taskmq_redis_timeout 50ms;
    taskmq_max_pending 100;
    taskmq_known_handlers off;
--- config
    taskmq_redis unix:relative.sock;
    taskmq_redis_password_file $TEST_NGINX_SCRATCH/short;
    taskmq_namespace b;
    taskmq_auth off;
    taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;
    taskmq_jwt_role_claim role;
    taskmq_jwt_require_exp on;
    taskmq_jwt_audience a b;
    taskmq_jwt_issuer a b;
    taskmq_allowed_hosts none;
    taskmq_allowed_origins none;
    taskmq_max_payload 1;
    taskmq_max_bulk 1;
    taskmq_docs_root /tmp;
    taskmq_redis_timeout 1ms;
    taskmq_max_pending 0;
    taskmq_known_handlers on;
    taskmq_intercept_errors on;
    taskmq_mirror on;
    location /a { return 200 "up"; }
    location /b {
        taskmq_api taskdaemon;
        taskmq_redis redis://[::1];
        taskmq_redis_password_file $TEST_NGINX_SCRATCH/short;
        taskmq_namespace c;
        taskmq_auth jwt;
        taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;
        taskmq_jwt_role_claim role;
        taskmq_jwt_require_exp on;
        taskmq_jwt_audience a https://b;
        taskmq_jwt_issuer "a b" c;
        taskmq_allowed_hosts a .b *.c d.* 127.0.0.1;
        taskmq_allowed_origins http://a:8000 https://*.b moz-extension://c http://[::1]:80;
        taskmq_max_payload 2;
        taskmq_max_bulk 2;
        taskmq_docs_root /tmp;
        taskmq_redis_timeout 2s;
        taskmq_max_pending 1;
        taskmq_known_handlers on;
        taskmq_intercept_errors off;
        taskmq_mirror off;
    }
--- request
GET /a
--- response_body: up



=== TEST 110: beside proxy_pass
--- config
    location / { taskmq_auth off; taskmq_api taskmq; proxy_pass http://127.0.0.1:1; }
--- must_die: 1
--- error_log
"taskmq_api" stands beside another directive that makes the content of this location, such as "proxy_pass": give each a location of its own in
nginx.conf:



=== TEST 111: after proxy_pass
--- config
    location / { taskmq_auth off; proxy_pass http://127.0.0.1:1; taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" stands beside another directive
nginx.conf:



=== TEST 112: beside others that make content
--- config
    location / { taskmq_auth off; taskmq_api taskmq; empty_gif; }
--- must_die: 1
--- error_log
"taskmq_api" stands beside another directive



=== TEST 113: in a nested location, and for one endpoint
--- config
    location /a/ { taskmq_auth off; taskmq_api taskmq;
                   location = /a/add-job { fastcgi_pass 127.0.0.1:1; taskmq_api taskmq; } }
--- must_die: 1
--- error_log
"taskmq_api" stands beside another directive



=== TEST 114: the endpoint of the other API
--- config
    location = /jobs/api/tasks { taskmq_auth off; taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" in "location = /jobs/api/tasks": the name does not end with the path of an endpoint



=== TEST 115: a regular expression in a location without an API
--- config
    location / { location ~ /add-job$ { taskmq_auth off; taskmq_api taskmq; } }
--- must_die: 1
--- error_log
must stand inside of such a prefix location



=== TEST 116: taskmq_api off twice
--- config
    location / { taskmq_auth off; taskmq_api off; taskmq_api taskmq; }
--- must_die: 1
--- error_log
"taskmq_api" directive is duplicate
