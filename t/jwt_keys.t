# taskmq_jwt_secret_file, taskmq_jwt_key_file, taskmq_jwt_role_claim,
# taskmq_jwt_require_exp, TASKMQ_JWT_SECRET.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

sub openssl {
    my $dir = scratch();
    system("cd $dir && openssl $_[0] 2>$dir/openssl.err") == 0
        or die "openssl $_[0] failed\n";
}

openssl('genrsa -out rsa.pem 2048');
openssl('rsa -in rsa.pem -pubout -out rsa.pub');
openssl('genrsa -out rsa2.pem 2048');
openssl('genrsa -out weak.pem 1024');
openssl('rsa -in weak.pem -pubout -out weak.pub');
openssl('ecparam -genkey -name prime256v1 -noout -out ec.pem');
openssl('ec -in ec.pem -pubout -out ec.pub');
openssl('ecparam -genkey -name secp384r1 -noout -out ec384.pem');
openssl('ec -in ec384.pem -pubout -out ec384.pub');

our $New = 'the-next-secret-of-the-tests-with-32-bytes';
write_file('new', "$New\n");
write_file('crlf', "$New\r\n");
write_file('newlines', "$New\n\n");
write_file('binary', "\x00\xff\n\x01" . 'b' x 40);

our $Dir = scratch();
our $Redis = 'taskmq_redis unix:$TEST_NGINX_REDIS;';

sub file {
    open my $fh, '<:raw', "$Dir/$_[0]" or die;
    local $/;
    return <$fh>;
}

sub rs { auth({}, alg => 'RS256', key => "$Dir/$_[0].pem") }
sub es { auth({}, alg => 'ES256', key => "$Dir/$_[0].pem") }

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: two secrets: the new and the previous one
--- http_config eval: "$::Redis taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/new; taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/secret;"
--- request eval
[('GET /job/1') x 3]
--- more_headers eval
[::auth({}), ::auth({}, secret => $::New), ::auth({}, secret => 'neither')]
--- error_code eval
[404, 404, 401]



=== TEST 2: one newline at the end is not part of the secret, a second is
--- http_config eval: "$::Redis taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/newlines;"
--- request eval
[('GET /job/1') x 3]
--- more_headers eval
[::auth({}, secret => $::New), ::auth({}, secret => "$::New\n"), ::auth({}, secret => "$::New\n\n")]
--- error_code eval
[401, 404, 401]



=== TEST 3: a secret of any bytes
--- http_config eval: "$::Redis taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/binary;"
--- request eval
[('GET /job/1') x 2]
--- more_headers eval
[::auth({}, secret => "\x00\xff\n\x01" . 'b' x 40), ::auth({}, secret => "")]
--- error_code eval
[404, 401]



=== TEST 4: RS256
--- http_config eval: "$::Redis taskmq_jwt_key_file \$TEST_NGINX_SCRATCH/rsa.pub;"
--- request eval
[('GET /job/1') x 5]
--- more_headers eval
[::rs('rsa'), ::rs('rsa2'), ::es('ec'), ::auth({}), ::auth({ exp => time - 5 }, alg => 'RS256', key => "$::Dir/rsa.pem")]
--- error_code eval
[404, 401, 401, 401, 401]



=== TEST 5: the public key is no secret
--- http_config eval: "$::Redis taskmq_jwt_key_file \$TEST_NGINX_SCRATCH/rsa.pub;"
--- request eval
[('GET /job/1') x 4]
--- more_headers eval
[map({ ::auth({}, secret => $_) } ::file('rsa.pub'), ::file('rsa.pub') =~ s/\n\z//r, ''),
 ::auth(::token({}, alg => 'none') . 'x', header => { alg => 'none' })]
--- error_code eval
[401, 401, 401, 401]



=== TEST 6: ES256
--- http_config eval: "$::Redis taskmq_jwt_key_file \$TEST_NGINX_SCRATCH/ec.pub;"
--- request eval
[('GET /job/1') x 3]
--- more_headers eval
[::es('ec'), ::rs('rsa'), ::auth({}, secret => ::file('ec.pub'))]
--- error_code eval
[404, 401, 401]



=== TEST 7: a key and a secret side by side, each for its own kind
--- http_config eval: "$::Redis taskmq_jwt_key_file \$TEST_NGINX_SCRATCH/rsa.pub; taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/secret;"
--- request eval
[('GET /job/1') x 3]
--- more_headers eval
[::rs('rsa'), ::auth({}), ::auth({}, secret => ::file('rsa.pub'))]
--- error_code eval
[404, 404, 401]



=== TEST 8: keys of no use
--- config
    location / { taskmq_jwt_key_file $TEST_NGINX_SCRATCH/weak.pub; taskmq_api taskmq; }
--- must_die: 1
--- error_log
shorter than 2048 bits
nginx.conf:



=== TEST 9: another curve
--- config
    location / { taskmq_jwt_key_file $TEST_NGINX_SCRATCH/ec384.pub; taskmq_api taskmq; }
--- must_die: 1
--- error_log
neither RSA nor on the curve P-256



=== TEST 10: a private key
--- config
    location / { taskmq_jwt_key_file $TEST_NGINX_SCRATCH/rsa.pem; taskmq_api taskmq; }
--- must_die: 1
--- error_log
not a public key



=== TEST 11: another claim for roles
--- config
    location / { taskmq_api taskmq; taskmq_jwt_role_claim https://example.org/roles; }
--- request eval
[('GET /job/1') x 3]
--- more_headers eval
[::auth({ 'https://example.org/roles' => ['worker'], role => undef }), ::auth({ 'https://example.org/roles' => 'x' }), ::admin()]
--- error_code eval
[404, 403, 403]



=== TEST 12: tokens without exp, where that is allowed
--- config
    location / { taskmq_api taskmq; taskmq_jwt_require_exp off; }
--- request eval
[('GET /job/1') x 4]
--- more_headers eval
[::auth({ exp => undef }), ::auth({}), ::auth({ exp => time - 5 }), ::auth('{"role":"admin","exp":"9999999999"}')]
--- error_code eval
[404, 404, 401, 401]



=== TEST 13: a new secret is taken at a reload, the previous one still accepted
--- http_config eval: "$::Redis taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/now; taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/before;"
--- user_files eval
[["$::Dir/now", "first-secret-of-the-tests-with-32-bytes-"], ["$::Dir/before", "zero-secret-of-the-tests-with-32-bytes--"]]
--- request eval
[('GET /job/1') x 9]
--- more_headers eval
[map { (::auth({}, secret => 'zero-secret-of-the-tests-with-32-bytes--'),
        ::auth({}, secret => 'first-secret-of-the-tests-with-32-bytes-'),
        ::auth({}, secret => 'second-secret-of-the-tests-with-32-bytes')) } 1 .. 3]
--- after eval
[undef, undef, sub { ::write_file('now', 'second-secret-of-the-tests-with-32-bytes') },
 undef, undef, sub { ::write_file('before', 'first-secret-of-the-tests-with-32-bytes-'); ::reload_nginx(); ::ready() }]
--- error_code eval
[404, 404, 401, 404, 404, 401, 401, 404, 404]
