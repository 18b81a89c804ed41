# Bodies, however nginx hands them over.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Small = '{"payload":{"a":1},"handler":"h"}';
our $Large = '{"handler":"h","payload":{"big":"' . 'x' x 100_000 . '"}}';
our $Spool = 'location / { taskmq_api taskmq; client_body_buffer_size 1k; }';

# In chunks of a size.
sub chunked {
    my ($text, $size) = @_;
    my $out = '';
    while (length $text) {
        my $part = substr $text, 0, $size, '';
        $out .= sprintf "%x\r\n%s\r\n", length $part, $part;
    }
    return "${out}0\r\n\r\n";
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: 100 kB in memory
--- config
    location / { taskmq_api taskmq; client_body_buffer_size 1m; }
--- request eval
["POST /add-job\n$::Large", 'GET /job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1\}/, qr/"payload":\{"big":"x{32766}x{32766}x+"\}/]



=== TEST 2: 100 kB in a file
--- config eval: $::Spool
--- request eval
["POST /add-job\n$::Large", 'GET /job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1\}/, qr/"payload":\{"big":"x{32766}x{32766}x+"\}/]
--- grep_error_log: a client request body is buffered to a temporary file
--- grep_error_log_out eval: qr/^(a client request body is buffered to a temporary file\n)?$/



=== TEST 3: always a file
--- config
    location / { taskmq_api taskmq; client_body_in_file_only clean; }
--- request eval
["POST /add-job\n$::Small", 'GET /job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1\}/, qr/"payload":\{"a":1\}/]



=== TEST 4: chunks, in memory and in a file
--- no_http2
--- config
    location / { taskmq_api taskmq; client_body_buffer_size 8k; }
--- request eval
["POST /add-job\n" . ::chunked($::Small, 5), 'GET /job/1',
 "POST /add-job\n" . ::chunked($::Small, 1), 'GET /job/2',
 "POST /add-job\n" . ::chunked($::Large, 7000), 'GET /job/3']
--- more_headers eval
my $c = ::admin() . "\nTransfer-Encoding: chunked";
[map { ($c, ::admin()) } 1 .. 3]
--- response_body eval
[qr/"job_id":1/, qr/"payload":\{"a":1\}/, qr/"job_id":2/, qr/"payload":\{"a":1\}/,
 qr/"job_id":3/, qr/"payload":\{"big":"x{32766}x{32766}x+"\}/]



=== TEST 5: slowly, in pieces
--- request eval
[["POST /add-job\n", map({ { value => $_, delay_before => 0.01 } } $::Small =~ /(.{1,4})/g)],
 'GET /job/1']
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1\}/, qr/"payload":\{"a":1\}/]



=== TEST 6: pipelined
--- pipelined_requests eval
["POST /add-job\n$::Small", 'GET /job/1', "POST /add-job\n$::Large", 'GET /job/2', "POST /add-job\n$::Small"]
--- more_headers eval: ::admin()
--- response_body eval
[qr/"job_id":1\}/, qr/"id":1,.*"payload":\{"a":1\}/, qr/"job_id":2\}/, qr/"id":2,"status"/, qr/"job_id":3\}/]



=== TEST 7: pipelined, refused without reading the body
--- pipelined_requests eval
["POST /add-job\n$::Large", 'GET /job/1', "POST /nothing\n$::Large", 'GET /job/1']
--- more_headers eval
['', ::admin(), ::admin(), ::admin()]
--- error_code eval
[401, 404, 404, 404]



=== TEST 8: Expect: 100-continue
--- raw_request eval
"POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ::admin()
. "\r\nExpect: 100-continue\r\nContent-Length: " . length($::Small) . "\r\n\r\n$::Small"
--- error_code: 100
--- response_body_like: ^HTTP/1.1 200 OK\r\n.*\{"status":"ok","job_id":1\}$



=== TEST 9: Expect, but no token: no invitation to send
--- raw_request eval
"POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Expect: 100-continue\r\nContent-Length: " . length($::Small) . "\r\n\r\n"
--- timeout: 0.2
--- abort
--- error_code: 401
--- response_headers
Connection: close



=== TEST 10: the client leaves in the middle of the body
--- raw_request eval
"POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ::admin()
. "\r\nContent-Length: 1000\r\n\r\n{\"payload\""
--- timeout: 0.1
--- abort
--- ignore_response



=== TEST 11: a body that never ends in time
--- config
    location / { taskmq_api taskmq; client_body_timeout 100ms; }
--- raw_request eval
"POST /add-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . ::admin()
. "\r\nContent-Length: 1000\r\n\r\n{\"payload\""
--- error_code_like: ^(408)?$
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 12: chunks that are none
--- no_http2
--- request eval
"POST /add-job\nzz\r\n{}\r\n0\r\n\r\n"
--- more_headers eval: ::admin() . "\nTransfer-Encoding: chunked"
--- error_code: 400
--- redis eval
['EXISTS {taskmq}:seq' => 0]
