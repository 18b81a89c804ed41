# error_page around our replies: they are ours unless nginx itself refuses, or
# taskmq_intercept_errors is on.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Job = '{"payload":{},"handler":"h"}';

# A page that is another server's, and waits for the body that is announced.
our $Proxied = q{
    location @page { rewrite ^ /page/add-job break; proxy_read_timeout 2s; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT; }
    location /page/ { taskmq_api taskmq; taskmq_auth off; taskmq_max_payload 1m; }
};

# What all of this is answered with. Between the pieces nginx has the time to
# see the one before alone: without it the test finds less, and never fails.
sub talk {
    my (@pieces) = @_;

    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $ENV{TEST_NGINX_SERVER_PORT}, Timeout => 10)
        or die "connect: $!\n";

    local $SIG{PIPE} = 'IGNORE';
    $sock->autoflush(1);

    for my $piece (@pieces) {
        print $sock $piece;
        select undef, undef, undef, 0.1;
    }

    local $/;
    return <$sock> // '';
}

sub head {
    my ($request, @headers) = @_;

    return join "\r\n", "$request HTTP/1.1", 'Host: localhost', @headers, '', '';
}

sub sized { return 'Content-Length: ' . length $_[0] }

# The statuses of the answers, and what is in the last one.
sub expect_replies {
    my ($reply, $statuses, $last) = @_;

    my @got = $reply =~ m{HTTP/1\.1 (\d+) }g;

    "@got" eq $statuses && $reply =~ $last
        or die "expected $statuses and $last, got: $reply\n";
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: our errors stay JSON where nginx has pages for them
--- no_http2
--- config
    error_page 401 403 404 405 413 415 422 503 /page;
    location = /page { internal; return 200 "page"; }
    location / { taskmq_api taskmq; taskmq_max_payload 100; }
--- request eval
['GET /job/1', 'GET /job/1', 'GET /nothing', 'PUT /health', "POST /add-job\nx",
 "POST /add-job\n" . '{"payload":{"a":"' . 'x' x 70_000 . '"},"handler":"h"}']
--- more_headers eval
['', map { ::admin() } 1 .. 5]
--- error_code eval
[401, 404, 404, 405, 422, 413]
--- response_headers eval
[map { 'Content-Type: application/json' } 1 .. 6]
--- response_body eval
[map { qr/^\{"detail":/ } 1 .. 6]



=== TEST 2: nginx's own refusals use its pages
--- config
    error_page 403 /page;
    location = /page { internal; return 200 "page"; }
    location / { deny all; taskmq_api taskmq; }
--- init
--- request eval
[$::Add, 'GET /health']
--- more_headers eval: ::admin()
--- error_code eval
[403, 403]
--- response_body eval
['page', 'page']



=== TEST 3: an error page that is served by us
--- config
    location = /broken { error_page 502 = /jobs/health; proxy_pass http://127.0.0.1:1; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
['GET /broken', 'HEAD /broken']
--- error_code eval
[200, 200]
--- response_body eval
[qr/^\{"status":"ok"/, '']



=== TEST 4: an error page that would write: the method is GET there
--- config
    location = /broken { error_page 502 = /jobs/add-job; proxy_pass http://127.0.0.1:1; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request
POST /broken
{"payload":{},"handler":"h"}
--- more_headers eval: ::admin()
--- error_code: 405
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 5: a named location as error page keeps the method and the body
--- config
    location / { error_page 502 = @queue; proxy_pass http://127.0.0.1:1; }
    location @queue { rewrite ^ /jobs/add-job last; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /broken\n" . '{"payload":{"a":1},"handler":"h"}', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1/, qr/"payload":\{"a":1\}/]



=== TEST 6: taskmq_intercept_errors: the pages that there are, with our headers
--- no_http2
--- config
    location = /page { internal; return 200 "page of $status"; }
    location / {
        taskmq_api taskmq; taskmq_max_payload 100; taskmq_intercept_errors on;
        error_page 401 403 404 405 413 503 /page;
    }
--- request eval
['GET /job/1', 'GET /job/1', 'GET /nothing', 'PUT /health', "POST /add-job\nx",
 "POST /add-job\n" . '{"payload":{"a":"' . 'x' x 70_000 . '"},"handler":"h"}', 'GET /health', $::Add, 'HEAD /nothing']
--- more_headers eval
['', map { ::admin() } 1 .. 8]
--- error_code eval
[401, 404, 404, 405, 422, 413, 200, 200, 404]
--- response_headers eval
['WWW-Authenticate: Bearer', 'Content-Type: text/plain', '', 'Allow: GET, HEAD, OPTIONS', 'Content-Type: application/json', '', '', '', '']
--- response_body eval
['page of 401', 'page of 404', 'page of 404', 'page of 405', qr/^\{"detail":/, 'page of 413', qr/^\{"status"/, qr/job_id/, '']



=== TEST 7: with another status, a named location, and a body that comes in pieces
--- no_http2
--- config
    location @none { return 410 "gone"; }
    location / {
        taskmq_api taskmq; taskmq_max_payload 100; taskmq_intercept_errors on;
        error_page 404 = @none;
        error_page 413 =400 /small;
    }
    location = /small { internal; return 200 "too large"; }
--- request eval
['GET /job/1', 'GET /job/1']
--- more_headers eval: ::admin()
--- after eval
[undef, sub {
    my $reply = ::send_raw("POST /add-job HTTP/1.1\r\nHost: x\r\n" . ::admin()
        . "\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "40000\r\n" . ('x' x 0x40000) . "\r\n0\r\n\r\n");
    $reply =~ /^HTTP\S+ 400 .*too large$/s or die "got: $reply\n";
}]
--- error_code eval
[410, 410]
--- response_body eval
['gone', 'gone']



=== TEST 8: an answer that came from Redis, and Redis away
--- config
    location = /page { internal; return 200 "page of $status"; }
    location / { taskmq_api taskmq; taskmq_intercept_errors on; error_page 404 503 /page; }
    location /away/ { taskmq_api taskmq; taskmq_redis redis://127.0.0.1:1; taskmq_intercept_errors on; error_page 503 /page; }
--- request eval
['GET /job/7', 'DELETE /job/7', 'GET /away/job/1', "POST /away/add-job\n" . '{"payload":{},"handler":"h"}']
--- more_headers eval: ::admin()
--- error_code eval
[404, 404, 503, 503]
--- response_headers eval
['', '', 'Retry-After: 1', 'Retry-After: 1']
--- response_body eval
['page of 404', 'page of 404', 'page of 503', 'page of 503']



=== TEST 9: a page that is ours and fails, too: JSON, as nginx shows no second page
--- config
    location /jobs/ { taskmq_api taskmq; taskmq_intercept_errors on; error_page 404 401 /jobs/job/1; }
--- init
::ready('/jobs/health')
--- request eval
['GET /jobs/nothing', 'GET /jobs/nothing']
--- more_headers eval
['', ::admin()]
--- error_code eval
[404, 404]
--- response_body eval
[qr/^\{"detail":/, qr/^\{"detail":/]



=== TEST 10: nginx's own refusals as JSON of ours
--- config
    location / {
        taskmq_api taskmq;
        location = /add-job { deny all; error_page 403 @refused; }
    }
    location @refused { default_type application/json; return 403 '{"detail":"Not from here"}'; }
--- request eval
[$::Add, 'GET /job/1']
--- more_headers eval: ::admin()
--- error_code eval
[403, 404]
--- response_headers eval
['Content-Type: application/json', 'Content-Type: application/json']
--- response_body eval
['{"detail":"Not from here"}', qr/^\{"detail":/]



=== TEST 11: taskmq_intercept_errors without a page changes nothing; off is what it says
--- config
    location / { taskmq_api taskmq; taskmq_intercept_errors on; error_page 500 /page; location = /job/1 { taskmq_intercept_errors off; error_page 404 /page; } }
    location = /page { internal; return 200 "page"; }
--- request eval
['GET /job/2', 'GET /job/1']
--- more_headers eval: ::admin()
--- error_code eval
[404, 404]
--- response_body eval
[qr/^\{"detail":/, qr/^\{"detail":/]



=== TEST 12: a proxied page gets the body that was not read, whenever it comes
--- no_http2
--- config eval
$::Proxied . 'location / { taskmq_api taskmq; taskmq_intercept_errors on; error_page 401 404 405 415 503 = @page; }
    location /away/ { taskmq_api taskmq; taskmq_auth off; taskmq_redis redis://127.0.0.1:1; taskmq_intercept_errors on; error_page 503 = @page; }'
--- request eval
['GET /health', 'GET /health']
--- after eval
[sub {
    my $n = 0;
    my $end = ::head('GET /page/job/1', 'Connection: close');
    for my $request ('POST /add-job', 'POST /nothing', 'POST /away/add-job') {
        for my $cut (0, 5, length $::Job) {
            $n++;
            ::expect_replies(::talk(::head($request, ::sized($::Job)) . substr($::Job, 0, $cut),
                                    substr($::Job, $cut) . ::head('GET /page/health'), $end),
                             '200 200 200', qr/"job_id":$n\}/);
        }
    }
    # in chunks
    my ($a, $b) = (substr($::Job, 0, 5), substr($::Job, 5));
    my @chunks = map { sprintf "%x\r\n%s\r\n", length $_, $_ } $a, $b;
    ::expect_replies(::talk(::head('POST /add-job', 'Transfer-Encoding: chunked'), @chunks,
                            "0\r\n\r\n" . ::head('GET /page/health'), $end),
                     '200 200 200', qr/"job_id":10\}/);
    # the page asks for it
    ::expect_replies(::talk(::head('POST /add-job', ::sized($::Job), 'Expect: 100-continue'),
                            $::Job, $end),
                     '100 200 200', qr/"job_id":11\}/);
}, undef]
--- redis eval
['GET {taskmq}:seq' => 11]



=== TEST 13: … and the one that was read, in whatever form it came
--- no_http2
--- config eval
$::Proxied . 'location / { taskmq_api taskmq; taskmq_auth off; taskmq_known_handlers on; client_body_buffer_size 1k; taskmq_intercept_errors on; error_page 422 = @page; }'
--- request
GET /health
--- after eval
[sub {
    my $n = 0;
    my $end = ::head('GET /page/job/1', 'Connection: close');
    for my $x (1, 3_000, 100_000) {
        my $job = '{"payload":{"a":"' . 'x' x $x . '"},"handler":"h"}';
        my $chunk = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $job, $job;
        $n++;
        ::expect_replies(::talk(::head('POST /add-job', ::sized($job)), $job, $end),
                         '200 200', qr/"job_id":$n\}/);
        $n++;
        ::expect_replies(::talk(::head('POST /add-job', 'Transfer-Encoding: chunked') . $chunk, $end),
                         '200 200', qr/"job_id":$n\}/);
        $n++;
        ::expect_replies(::talk(::head('POST /add-job', 'Transfer-Encoding: chunked'), substr($chunk, 0, 9),
                                substr($chunk, 9), $end),
                         '200 200', qr/"job_id":$n\}/);
    }
}]
--- redis eval
['GET {taskmq}:seq' => 9]



=== TEST 14: a body that is too large is no page's, nor is that of a request that has none
--- no_http2
--- config eval
$::Proxied . 'location / { taskmq_api taskmq; taskmq_auth off; taskmq_max_payload 100; taskmq_intercept_errors on; error_page 413 404 = @page; }
    location /small/ { taskmq_api taskmq; taskmq_auth off; taskmq_max_payload 100; taskmq_intercept_errors on; error_page 413 /tiny; }
    location /tiny { client_max_body_size 10; return 200 "page of $status"; }'
--- request
GET /health
--- after eval
[sub {
    my $x = 'x' x 100_000;
    my $chunk = sprintf "%x\r\n%s\r\n", length $x, $x;
    my $next = ::head('GET /health', 'Connection: close');
    # the page had nothing to read, and the connection ends here
    my $reply;
    for my $cut (0, 5, length $x) {
        $reply = ::talk(::head('POST /add-job', ::sized($x)) . substr($x, 0, $cut), substr($x, $cut), $next);
        ::expect_replies($reply, '422', qr/^Connection: close\r$/m);
        $reply = ::talk(::head('POST /small/add-job', ::sized($x)) . substr($x, 0, $cut), substr($x, $cut), $next);
        ::expect_replies($reply, '413', qr/page of 413$/);
        $reply = ::talk(::head('POST /add-job', 'Transfer-Encoding: chunked') . substr($chunk, 0, $cut),
                        substr($chunk, $cut), "0\r\n\r\n" . $next);
        ::expect_replies($reply, '422', qr/^Connection: close\r$/m);
    }
    $reply = ::talk(::head('POST /add-job', ::sized($x), 'Expect: 100-continue'));
    ::expect_replies($reply, '422', qr/^Connection: close\r$/m);
    # a path that takes no body: the page does not get it, either
    my $chunked = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $::Job, $::Job;
    for ([$::Job, ::sized($::Job)], [$chunked, 'Transfer-Encoding: chunked']) {
        my ($body, $header) = @$_;
        for my $cut (0, 5, length $body) {
            ::expect_replies(::talk(::head('DELETE /job/7', $header) . substr($body, 0, $cut),
                                    substr($body, $cut) . $next),
                             $cut == length $body ? '405 200' : '405', qr/Method Not Allowed/);
        }
    }
}]
