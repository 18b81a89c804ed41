# The same over HTTP/2.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(init => '::ready_h2()');

sub ready_h2 {
    wait_until('nginx to be ready', sub {
        `curl -s -o /dev/null -w '%{http_code}' --http2-prior-knowledge http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/health` eq '200'
    });
}

our $Add = "POST /add-job\n" . '{"payload":{"a":1.10},"handler":"h"}';
our $Large = "POST /add-job\n" . '{"handler":"h","payload":{"a":"' . 'x' x 300_000 . '"}}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a job and back
--- http2
--- request eval
[$::Add, 'GET /job/1', 'HEAD /job/1', 'GET /job/2', 'GET /health', 'DELETE /job/1']
--- more_headers eval: ::admin()
--- error_code_like eval
['200', '200', '200', '404', '200', '20[04]']
--- response_headers eval
[('Content-Type: application/json') x 5, '']
--- response_body_like eval
['^\{"status":"ok","job_id":1\}$', '"payload":\{"a":1\.10\}', '^$', 'not found', '"ok"', '']



=== TEST 2: a large body, in memory and in a file
--- http2
--- config
    location / { taskmq_api taskmq; client_body_buffer_size 8k; }
    location /memory/ { taskmq_api taskmq; client_body_buffer_size 1m; }
--- request eval
[$::Large, $::Large =~ s{/add}{/memory/add}r, 'GET /job/2']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200]
--- response_body eval
[qr/"job_id":1/, qr/"job_id":2/, qr/"a":"x{30000}x{30000}x+"\}/]



=== TEST 3: refusals
--- http2
--- request eval
['GET /job/1', 'GET /nothing', 'GET /add-job', "POST /add-job\n{}", 'OPTIONS /add-job']
--- more_headers eval
['', map { ::admin() } 1 .. 4]
--- error_code eval
[401, 404, 405, 422, 204]
--- raw_response_headers_like eval
['www-authenticate: Bearer', '.', 'allow: POST, OPTIONS', '.', 'allow: POST, OPTIONS']



=== TEST 4: Redis silent: 504
--- http2
--- config
    location / { taskmq_api taskmq; taskmq_redis_timeout 100ms; }
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub { ::redis()->pause }, sub { ::redis()->continue }]
--- error_code eval
[200, 504]



=== TEST 5: many streams of one connection, cancelled in the middle
--- http2
--- request eval
[$::Add, $::Add]
--- more_headers eval: ::admin()
--- after eval
[sub {
    ::redis()->pause;
    my $auth = ::admin();
    my $url = "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}/add-job";
    # the client leaves while its streams wait
    system("timeout 0.3 nghttp -n -m 20 -d /dev/null -H '$auth' $url >/dev/null 2>&1");
    my $file = ::write_file('body', '{"payload":{},"handler":"h"}');
    system("timeout 0.3 nghttp -n -m 20 -d $file -H '$auth' $url >/dev/null 2>&1");
    ::redis()->continue;
    ::ready_h2();
}]
--- error_code eval
[200, 200]



=== TEST 6: bodies, and error pages that are proxied
--- http2
--- http_config
taskmq_redis unix:$TEST_NGINX_REDIS;
taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;
taskmq_redis_timeout 10s;
server {
    listen unix:$TEST_NGINX_SCRATCH/page.sock;
    location / { taskmq_api taskmq; taskmq_auth off; }
}
--- config
    location / { taskmq_api taskmq; taskmq_max_bulk 1k; taskmq_known_handlers on; taskmq_intercept_errors on; error_page 401 404 413 422 = @page; }
    location @page { rewrite ^ /add-job break; proxy_read_timeout 3s; proxy_set_header Host localhost; proxy_pass http://unix:$TEST_NGINX_SCRATCH/page.sock; }
--- request eval
['GET /health']
--- after eval
[sub {
    my ($small, $large) = map { ::write_file("body.$_", '{"payload":{"a":"' . 'x' x $_ . '"},"handler":"h"}') } 50, 5_000;
    my $n = 0;
    for (['POST', '/add-job', '', $small], ['POST', '/nothing', '', $small], ['POST', '/add-job', ::admin(), $small],
         ['POST', '/add-jobs', ::admin(), $large, 'found the end'], ['DELETE', '/job/999', ::admin(), $small, 'Method Not Allowed']) {
        my ($method, $path, $auth, $file, $refused) = @$_;
        $auth = $auth ? "-H '$auth'" : '';
        for my $length ('', '--no-content-length') {
            my $got = `timeout 10 nghttp $length -d $file -H ':method: $method' -H 'Content-Type: application/json' $auth http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}$path 2>&1`;
            $n++ if !$refused;
            my $want = $refused ? qr/$refused/ : qr/"job_id":$n\}/;
            $got =~ $want or die "$method $path $auth $length: expected $want, got: $got\n";
        }
    }
}]
--- redis eval
['GET {taskmq}:seq' => 6]
