# Bodies that are not JSON: each refused with the byte where it goes wrong, and
# the connection kept usable.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

my $ok = '{"handler":"h","payload":{';
my $pad = ' ' x 10;

# What it is, the body, where and why.
our @Odd = (
    ['empty', '', 0],
    ['blanks', '   ', 3],
    ['not JSON', 'hello', 0],
    ['a form', 'payload=%7B%7D&handler=h', 0],
    ['a byte order mark', "\xef\xbb\xbf$ok}}", 0],
    ['UTF-16', "\xff\xfe{\0", 0],
    ['a NUL first', "\0", 0],
    ['a NUL last', "$ok}}\0", length($ok) + 2],
    ['trailing bytes', "$ok}} x", length($ok) + 3],
    ['two bodies', "$ok}}{}", length($ok) + 2],
    ['cut', $ok, length($ok)],
    ['single quotes', "{'handler':'h'}", 1],
    ['no quotes', '{handler:"h"}', 1],
    ['a comment', '{/* no */"handler":"h"}', 1],
    ['trailing comma', '{"handler":"h",}', 15],
    ['comma first', '{,"handler":"h"}', 1],
    ['no colon', '{"handler" "h"}', 11],
    ['007', $ok . '"a":007}}', undef],
    ['1.', $ok . '"a":1.}}', undef],
    ['.5', $ok . '"a":.5}}', length($ok) + 4],
    ['+1', $ok . '"a":+1}}', length($ok) + 4],
    ['-', $ok . '"a":-}}', undef],
    ['1e', $ok . '"a":1e}}', undef],
    ['0x10', $ok . '"a":0x10}}', undef],
    ['NaN', $ok . '"a":NaN}}', length($ok) + 4],
    ['Infinity', $ok . '"a":-Infinity}}', undef],
    ['True', $ok . '"a":True}}', length($ok) + 4],
    ['nul', $ok . '"a":nul}}', undef],
    ['raw newline in a string', $ok . "\"a\":\"x\ny\"}}", length($ok) + 6],
    ['raw tab in a string', $ok . "\"a\":\"\t\"}}", length($ok) + 5],
    ['raw NUL in a string', $ok . "\"a\":\"\0\"}}", length($ok) + 5],
    ['\u0000 in a name', '{"handler":"\u0000","payload":{}}', 12],
    ['\u0000 in a key', '{"\u0000":1,"handler":"h","payload":{}}', 2],
    ['\x41', $ok . '"a":"\x41"}}', undef],
    ['\u12', $ok . '"a":"\u12"}}', undef],
    ['lone high surrogate', '{"handler":"\ud800","payload":{}}', 12],
    ['lone low surrogate', '{"handler":"h\udc00","payload":{}}', 13],
    ['bad UTF-8', $ok . "\"a\":\"\xff\"}}", length($ok) + 5],
    ['overlong UTF-8', $ok . "\"a\":\"\xc0\xaf\"}}", length($ok) + 5],
    ['a surrogate in UTF-8', $ok . "\"a\":\"\xed\xa0\x80\"}}", length($ok) + 5],
    ['beyond Unicode', $ok . "\"a\":\"\xf4\x90\x80\x80\"}}", length($ok) + 5],
    ['UTF-8 cut', $ok . "\"a\":\"\xe2\x82\"}}", length($ok) + 5],
    ['duplicate key', '{"handler":"h","handler":"x","payload":{}}', undef],
    ['duplicate by escape', '{"handler":"h","h\u0061ndler":"x"}', undef],
    ['duplicate in the payload', $ok . '"a":1,"b":2,"a":3}}', undef],
    ['duplicate, deep', $ok . '"a":[{"x":{"y":1,"y":2}}]}}', undef],
    ['5,000 levels deep', $ok . '"a":' . '[' x 5000 . ']' x 5000 . '}}',
     undef],
    ['5,000 levels deep, open', '[' x 5000, undef],
    ['5,000 objects deep', '{"a":' x 5000, undef],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: refused, and where
--- request eval
[map { "POST /add-job\n$_->[1]" } @::Odd]
--- more_headers eval
[map { ::admin() . "\nContent-Length: " . length $_->[1] } @::Odd]
--- error_code eval
[map { 422 } @::Odd]
--- response_headers eval
[map { 'Content-Type: application/json' } @::Odd]
--- response_body eval
[map { my $at = $_->[2] // '\d+'; qr/^\{"detail":\[\{"loc":\["body",$at\],"msg":"[^"]+","type":"value_error\.jsondecode"\}\]\}$/ } @::Odd]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 2: one connection, a refused body between good ones
--- pipelined_requests eval
my $good = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
[$good, map({ ("POST /add-job\n$_->[1]", $good) } @::Odd[1 .. $#::Odd])]
--- more_headers eval
my $good = '{"payload":{},"handler":"h"}';
[map { ::admin() . "\nContent-Length: " . length $_ }
 $good, map({ ($_->[1], $good) } @::Odd[1 .. $#::Odd])]
--- error_code eval
[200, map { (422, 200) } @::Odd[1 .. $#::Odd]]
--- response_headers eval
[(map { 'Connection: keep-alive' } 0 .. 2 * $#::Odd - 1), 'Connection: close']
--- redis eval
['GET {taskmq}:seq' => scalar @::Odd]



=== TEST 3: 2 MB
--- no_http2
--- request eval
"POST /add-job\n" . '{"handler":"h","payload":{"a":"' . 'x' x 2_000_000 . '"}}'
--- more_headers eval: ::admin()
--- error_code: 413
--- response_body_like: ^\{"detail":"[^"]+"\}$



=== TEST 4: ids that are none
--- request eval
[map { "GET /job/$_" } '0', '-1', '01', '1x', 'x', '+1', '1.0', '%31x',
 '9007199254740992', '18446744073709551617', '99999999999999999999999', '1/2', '1/']
--- more_headers eval: ::admin()
--- error_code eval
[map { 404 } 1 .. 13]
--- response_headers eval
[map { 'Content-Type: application/json' } 1 .. 13]



=== TEST 5: what JSON allows in a payload is carried as it is
--- request eval
["POST /add-job\n" . '{"handler":"h","payload":{"a":"x\u0000","\u0000":["\ud800","\udc00\ud800"]}}',
 "GET /job/1"]
--- more_headers eval: [::admin(), ::admin()]
--- error_code eval: [200, 200]
--- response_body eval
['{"status":"ok","job_id":1}',
 qr/"payload":\{"a":"x\\u0000","\\u0000":\["\\ud800","\\udc00\\ud800"\]\}/]



=== TEST 6: ids that are none: each API's 404; nginx's own 400 for a NUL
--- config
    location / { taskmq_api taskmq; }
    location /td/ { taskmq_api taskdaemon; }
    location /slashes/ { taskmq_api taskdaemon; }
--- request eval
[(map { ("GET $_", "DELETE $_") } '/job/', '/job//', '/job/x', '/job/%01', '/td/api/tasks/', '/td/api/tasks//', '/td/api/tasks/x', '/td/api/tasks/%01'),
 'POST /td/api/tasks//redrive', 'POST /td/api/tasks/x/redrive', 'GET /td/api/tasks/redrive', 'PUT /td/api/tasks/redrive',
 'POST /job/', 'PUT /td/api/tasks/',
 (map { ("GET $_", "DELETE $_") } '/job/%00', '/job/1%00', '/td/api/tasks/%00', '/td/api/tasks/x%00'), 'POST /td/api/tasks/%00/redrive']
--- more_headers eval: ::admin()
--- error_code eval
[(404) x 16, 404, 404, 404, 405, 405, 405, (400) x 9]
--- response_body_like eval
[('^\{"detail":"Job not found"\}$') x 8, ('^\{"error":"Task not found"\}$') x 8, ('^\{"error":"Task not found"\}$') x 3,
 '^\{"error":"Method Not Allowed"\}$', '^\{"detail":"Method Not Allowed"\}$', '^\{"error":"Method Not Allowed"\}$', ('^<html>') x 9]



=== TEST 7: the same with merge_slashes off, and without a token
--- no_http2
--- config
    merge_slashes off;
    location / { taskmq_api taskmq; }
    location /td/ { taskmq_api taskdaemon; }
--- request eval
['POST /td/api/tasks//redrive', 'GET /job//', 'GET /job/', 'GET /td/api/tasks/', 'DELETE /job/']
--- more_headers eval
[::admin(), ::admin(), '', '', ::worker()]
--- error_code eval
[404, 404, 401, 401, 403]
--- response_body_like eval
['Task not found', 'Not Found', 'token', 'token', 'permissions']
