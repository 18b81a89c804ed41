# Tokens: which are taken, which are refused, and what the log says of those.
# The client is never told why.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(http_config => 'taskmq_redis unix:$TEST_NGINX_REDIS;
                       taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;
                       large_client_header_buffers 4 32k;');

my $now = time;
my $good = token({});
my ($head, $claims, $signature) = split /\./, $good;

# What is wrong, the header line, what the log says.
our @Bad = (
    ['no header', '', 'no Authorization header'],
    ['another scheme', 'Authorization: Basic YTpi', 'not "Bearer"'],
    ['no token', 'Authorization: Bearer', 'Authorization header'],
    ['blanks only', 'Authorization: Bearer  ', 'Authorization header|three parts'],
    ['one part', 'Authorization: Bearer abc', 'three parts'],
    ['two parts', "Authorization: Bearer $head.$claims", 'three parts'],
    ['empty signature', "Authorization: Bearer $head.$claims.", 'three parts'],
    ['empty claims', "Authorization: Bearer $head..$signature", 'three parts'],
    ['four parts', "Authorization: Bearer $good.x", 'three parts'],
    ['a blank inside', "Authorization: Bearer $head. $claims.$signature",
     'base64url|three parts'],
    ['two tokens', "Authorization: Bearer $good $good", 'base64url|three parts'],
    ['padding', "Authorization: Bearer $head=.$claims.$signature",
     'base64url'],
    ['a byte above 127', "Authorization: Bearer $head.$claims.\xc3\xa4",
     'base64url'],
    ['longer than 8 KiB', auth({ pad => 'x' x 8192 }), 'too long'],
    ['another signature', auth({}, secret => 'x' x 32), 'signature'],
    ['signature cut', 'Authorization: Bearer ' . substr($good, 0, -3),
     'signature|base64url'],
    ['claims changed', "Authorization: Bearer $head."
     . b64('{"role":"admin","exp":9999999999}') . ".$signature", 'signature'],

    ['alg none, no signature', auth(token({}, alg => 'none')), 'three parts'],
    ['alg none, with a signature',
     auth({}, header => { alg => 'none', typ => 'JWT' }), 'algorithm'],
    ['alg None', auth({}, header => { alg => 'None' }), 'algorithm'],
    ['alg hs256', auth({}, header => { alg => 'hs256' }), 'algorithm'],
    ['HS384', auth({}, alg => 'HS384'), 'algorithm'],
    ['HS512 with the same secret', auth({}, alg => 'HS512'), 'algorithm'],
    ['HS256 named, HS512 signed',
     auth({}, alg => 'HS512', header => { alg => 'HS256' }), 'signature'],
    ['RS256 without a key', auth({}, header => { alg => 'RS256' }),
     'algorithm'],
    ['no alg', auth({}, header => { typ => 'JWT' }), 'algorithm'],
    ['alg a number', auth({}, header => '{"alg":256}'), 'algorithm'],
    ['alg twice', auth({}, header => '{"alg":"none","alg":"HS256"}'),
     'not a valid JSON'],
    ['alg with NUL', auth({}, header => '{"alg":"HS256\u0000"}'),
     'not a valid JSON'],
    ['crit', auth({}, header => { alg => 'HS256', crit => ['exp'] }),
     'critical'],
    ['header an array', auth({}, header => '["HS256"]'), 'not a valid JSON'],
    ['header not JSON', auth({}, header => 'HS256'), 'not a valid JSON'],

    ['expired', auth({ exp => $now - 1 }), 'has expired'],
    ['expires this second', auth({ exp => $now - 0 }), 'has expired'],
    ['not valid yet', auth({ nbf => $now + 3600 }), 'not valid yet'],
    ['no exp', auth({ exp => undef }), 'never expires'],
    ['exp null', auth('{"role":"admin","exp":null}'), 'exp is not'],
    ['exp text', auth('{"role":"admin","exp":"9999999999"}'), 'exp is not'],
    ['exp a past fraction', auth('{"role":"admin","exp":1700000000.5}'),
     'has expired'],
    ['exp with exponent, past', auth('{"role":"admin","exp":1.7e9}'),
     'has expired'],
    ['exp with small exponent', auth('{"role":"admin","exp":9999999999e-3}'),
     'has expired'],
    ['exp with exponents', auth('{"role":"admin","exp":1e-99999999999999}'),
     'has expired'],
    # any number is a date; libjwt holds integers of 64 bits, so that is the
    # range of all
    (map { ["exp $_", auth('{"role":"admin","exp":' . $_ . '}'),
            'has expired'] }
         '0', '-0', '0.0e9', '0.0009', '-1', '-0.5', '-9999999999',
         '-9999999999.5', '-9223372036854775807'),
    (map { ["exp $_", auth('{"role":"admin","exp":' . $_ . '}'),
            'exp is out of range'],
           ["nbf $_", auth('{"role":"admin","exp":9999999999,"nbf":' . $_
            . '}'), 'nbf is out of range'] }
         '9223372036854775808', '-9223372036854775808',
         '9223372036854775808.0', '922337203685477580.8e1',
         '18446744075509551616', '1e19', '-1e19', '1e300', '1e99999'),
    ['exp an array', auth('{"role":"admin","exp":[9999999999]}'),
     'exp is not'],
    ['exp true', auth('{"role":"admin","exp":true}'), 'exp is not'],
    ['exp twice', auth('{"role":"admin","exp":1,"exp":9999999999}'),
     'not a valid JSON'],
    ['role twice',
     auth('{"role":"worker","exp":9999999999,"role":"admin"}'),
     'not a valid JSON'],
    ['nbf a fraction', auth('{"role":"admin","exp":9999999999.5,"nbf":'
     . ($now + 3600) . '.25}'), 'not valid yet'],
    ['nbf with exponent', auth('{"role":"admin","exp":9999999999,"nbf":9e9}'),
     'not valid yet'],
    ['nbf text', auth('{"role":"admin","exp":9999999999,"nbf":"1"}'),
     'nbf is not'],
    ['sub a number', auth('{"role":"admin","exp":9999999999,"sub":1}'),
     'sub is not'],
    ['sub too long', auth({ sub => 'x' x 256 }), 'sub is too long'],
    ['role a number', auth('{"role":1,"exp":9999999999}'), 'role'],
    ['role an object', auth('{"role":{"admin":true},"exp":9999999999}'),
     'role'],
    ['role null', auth('{"role":null,"exp":9999999999}'), 'role'],
    ['roles not all strings', auth('{"role":["admin",1],"exp":9999999999}'),
     'role'],
    ['claims an array', auth('["admin"]'), 'not a valid JSON'],
    ['claims a number', auth('1'), 'not a valid JSON'],
    ['claims not JSON', auth('{'), 'not a valid JSON'],
    ['claims in bad UTF-8',
     auth("{\"role\":\"admin\",\"exp\":9999999999,\"x\":\"\xff\"}"),
     'not a valid JSON'],
    ['trailing bytes', auth('{"role":"admin","exp":9999999999} '
     . "\0"), 'not a valid JSON'],
);

# Tokens that are fine, but for a role that may not do this.
our @Weak = (
    ['no role', auth({ role => undef })],
    ['worker', worker()],
    ['another role', auth({ role => 'root' })],
    ['upper case', auth({ role => 'Admin' })],
    ['admin in another claim', auth({ role => undef, ROLE => 'admin' })],
    ['role with more', auth({ role => 'admin ' })],
    ['empty array', auth({ role => [] })],
    ['array without it', auth({ role => ['worker', 'x'] })],
    ['two in one', auth({ role => 'worker,admin' })],
);

our @Good = (
    ['admin', admin()],
    ['in an array', auth({ role => ['x', 'admin'] })],
    ['with nbf and iat', auth({ nbf => $now - 5, iat => $now - 5 })],
    ['kid, no typ', auth({}, header => { alg => 'HS256', kid => 'a' })],
    ['escapes in the names',
     auth('{"\u0072ole":"\u0061dmin","exp":9999999999}')],
    ['no sub', auth({ sub => undef })],
    ['sub of 255 bytes', auth({ sub => 'x' x 255 })],
    ['exp a fraction', auth('{"role":"admin","exp":9999999999.5}')],
    ['exp with exponent', auth('{"role":"admin","exp":9.9e9}')],
    ['exp with exponents', auth('{"role":"admin","exp":99999999.99E+2}')],
    ['exp in milliseconds, by exponent',
     auth('{"role":"admin","exp":9999999999000e-3}')],
    ['exp with many digits',
     auth('{"role":"admin","exp":9999999999.' . '1' x 300 . '}')],
    (map { ["exp $_", auth('{"role":"admin","exp":' . $_ . '}')] }
         '9223372036854775', '9223372036854775807', '9223372036854775807.9',
         '9.2e18', '922337203685477580.7e1'),
    (map { ["nbf $_", auth('{"role":"admin","exp":9999999999,"nbf":' . $_
            . '}')] }
         '0', '-0', '0.0', '0e9', '0.0009', '1', '1.5', '-1', '-0.5', '-1e9',
         '-9223372036854775807', '1e-99999'),
    ['nbf a fraction', auth('{"role":"admin","exp":9999999999.5,"nbf":'
     . ($now - 1) . '.999}')],
    ['exp far away', auth({ exp => 253402300799 })],
    ['scheme in other case', 'Authorization: bearer ' . token({})],
    ['more blanks', 'Authorization: Bearer   ' . token({})],
    ['nearly 8 KiB', auth({ pad => 'x' x 5900 })],
);

our $Job = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: refused with 401, whatever is wrong
--- no_http2
--- request eval
[map { $::Job } @::Bad]
--- more_headers eval
[map { $_->[1] } @::Bad]
--- error_code eval
[map { 401 } @::Bad]
--- response_headers eval
[map { "WWW-Authenticate: Bearer\nContent-Type: application/json" } @::Bad]
--- response_body eval
[map { '{"detail":"Invalid or missing token"}' } @::Bad]
--- logged eval
[map { qr/$_->[2]/ } @::Bad]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 2: the token never reaches the log
--- no_http2
--- log_level: debug
--- request eval
[map { $::Job } @::Bad]
--- more_headers eval
[map { "X-Case: $_->[0]\n$_->[1]" } @::Bad]
--- error_code eval
[map { 401 } @::Bad]
--- no_error_log eval
[qr/taskmq.*eyJ/]



=== TEST 3: a good token with too small a role
--- no_http2
--- request eval
[map { $::Job } @::Weak]
--- more_headers eval
[map { $_->[1] } @::Weak]
--- error_code eval
[map { 403 } @::Weak]
--- response_headers eval
[map { "!WWW-Authenticate\nContent-Type: application/json" } @::Weak]
--- response_body eval
[map { '{"detail":"Insufficient permissions"}' } @::Weak]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 4: good tokens
--- request eval
[map { $::Job } @::Good]
--- more_headers eval
[map { $_->[1] } @::Good]
--- error_code eval
[map { 200 } @::Good]
--- response_body eval
my $n = 0; [map { '{"status":"ok","job_id":' . ++$n . '}' } @::Good]
--- redis eval
['GET {taskmq}:seq' => scalar @::Good]



=== TEST 5: roles of a reading endpoint
--- request eval
[("GET /job/7") x 4]
--- more_headers eval
[::admin(), ::worker(), ::auth({ role => 'guest' }), ""]
--- error_code eval
[404, 404, 403, 401]



=== TEST 6: the second Authorization header does not count
--- raw_request eval
"GET /job/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. ::auth({ role => 'guest' }) . "\r\n" . ::admin() . "\r\n\r\n"
--- error_code_like: ^40[03]$



=== TEST 7: a token is asked for before the body is read
--- raw_request eval
"POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Content-Length: 100000\r\n\r\n{"
--- timeout: 0.2
--- abort
--- error_code: 401
--- response_body chop
{"detail":"Invalid or missing token"}



=== TEST 8: a token that was good is refused when its time is over
--- request
GET /health
--- after eval
[sub {
    my $auth = ::auth({ exp => time + 2 });
    ::get('/job/1', $auth) =~ / 404 / or die 'refused too early';
    ::wait_until('the token to be refused', sub { ::get('/job/1', $auth) =~ / 401 / });
}]
--- logged eval
[qr/the token has expired/]



=== TEST 9: a fraction of a second counts
--- request
GET /health
--- after eval
[sub {
    my $t0 = Time::HiRes::time();
    my $auth = ::auth('{"role":"admin","exp":' . sprintf('%.3f', $t0 + 1.3) . '}');
    ::get('/job/1', $auth) =~ / 404 / or die 'refused too early';
    ::wait_until('the token to be refused', sub { ::get('/job/1', $auth) =~ / 401 / });
    my $took = Time::HiRes::time() - $t0;
    die "refused after $took s\n" if $took < 1.25;
    $auth = ::auth('{"role":"admin","exp":9999999999,"nbf":' . sprintf('%.4f', Time::HiRes::time()) . '}');
    ::get('/job/1', $auth) =~ / 404 / or die 'a token of this moment is refused';
}]
--- logged eval
[qr/the token has expired/]



=== TEST 10: no token is needed where nginx protects the location
--- config
    location / { taskmq_api taskmq; taskmq_auth off; }
--- request eval
[$::Job, "GET /job/1", $::Job]
--- more_headers eval
["", "", "Authorization: Bearer rubbish"]
--- error_code eval
[200, 200, 200]
