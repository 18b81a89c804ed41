# POST /add-job: fields, defaults, what is stored, and one error per wrong
# field.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

my $base = '"payload":{},"handler":"h"';

sub body { return "POST /add-job\n$_[0]" }

sub wrong {
    my ($field, $msg, $type) = @_;
    my $loc = $field eq '' ? '"body"' : "\"body\",\"$field\"";
    return "{\"loc\":[$loc],\"msg\":\"$msg\",\"type\":\"$type\"}";
}

sub at_least { wrong($_[0], "ensure this value is greater than or equal to $_[1]",
               'value_error.number.not_ge') }
sub at_most { wrong($_[0], "ensure this value is less than or equal to $_[1]",
               'value_error.number.not_le') }
sub int_error  { wrong($_[0], 'value is not a valid integer',
                       'type_error.integer') }
sub missing    { wrong($_[0], 'field required', 'value_error.missing') }
sub none       { wrong($_[0], 'none is not an allowed value',
                       'type_error.none.not_allowed') }
sub str_error  { wrong($_[0], 'str type expected', 'type_error.str') }
sub date_error { wrong('scheduled_for', 'invalid datetime format',
                       'value_error.datetime') }
sub enum_error { wrong('retry_policy', "value is not a valid enumeration member"
                       . "; permitted: 'fixed', 'exponential', 'none'",
                       'type_error.enum') }
sub extra      { wrong($_[0], 'extra fields not permitted',
                       'value_error.extra') }

my $regex = wrong('handler', 'string does not match regex '
                  . '\"^[A-Za-z0-9_.-]{1,64}$\"', 'value_error.str.regex');
my $dict = wrong('payload', 'value is not a valid dict', 'type_error.dict');

# A body, and the wrong fields in order.
our @Bad = (
    ['{}', missing('payload'), missing('handler')],
    ['{"handler":"h"}', missing('payload')],
    ['{"payload":{}}', missing('handler')],
    ['{"payload":null,"handler":null}', none('payload'), none('handler')],
    ['[]', wrong('', 'value is not a valid dict', 'type_error.dict')],
    ['"text"', wrong('', 'value is not a valid dict', 'type_error.dict')],
    ['null', wrong('', 'value is not a valid dict', 'type_error.dict')],
    map({ ["{\"payload\":$_,\"handler\":\"h\"}", $dict] }
        '[]', '"{}"', '1', 'true'),
    ['{"payload":{},"handler":1}', str_error('handler')],
    ['{"payload":{},"handler":["h"]}', str_error('handler')],
    map({ ["{\"payload\":{},\"handler\":\"$_\"}", $regex] }
        '', 'a b', 'a/b', 'a{b}', 'a\u00e4', "a\xc3\xa4", 'a\n', 'a:b',
        'x' x 65),
    map({ ["{$base,\"priority\":$_}", int_error('priority')] }
        '"10"', '1.0', '1e1', 'true', '[]', '{}'),
    ["{$base,\"priority\":-1}", at_least('priority', 0)],
    ["{$base,\"priority\":101}", at_most('priority', 100)],
    ["{$base,\"priority\":99999999999999999999}", at_most('priority', 100)],
    ["{$base,\"priority\":-99999999999999999999}", at_least('priority', 0)],
    map({ ["{$base,\"retry_policy\":$_}", enum_error()] }
        '"Fixed"', '"fix"', '""', '1', '[]'),
    ["{$base,\"scheduled_for\":1700000000}", str_error('scheduled_for')],
    map({ ["{$base,\"scheduled_for\":\"$_\"}", date_error()] }
        '', 'tomorrow', '2026-13-01T00:00:00Z', '2026-02-30T00:00:00Z',
        '2026-01-01T24:00:01Z', '2026-01-01T10:61:00Z',
        '2026-01-01T10:00:00+25:00', '2026-01-01T10:00:00Zx',
        '10000-01-01T00:00:00Z', '2026-01-01T10:00:00.Z', 'x' x 300),
    ["{$base,\"interval_seconds\":0}", at_least('interval_seconds', 1)],
    ["{$base,\"interval_seconds\":-5}", at_least('interval_seconds', 1)],
    ["{$base,\"interval_seconds\":31536001}",
     at_most('interval_seconds', 31536000)],
    ["{$base,\"interval_seconds\":1.5}", int_error('interval_seconds')],
    ["{$base,\"max_retries\":-1}", at_least('max_retries', 0)],
    ["{$base,\"max_retries\":101}", at_most('max_retries', 100)],
    ["{$base,\"timeout\":0}", at_least('timeout', 1)],
    ["{$base,\"timeout\":604801}", at_most('timeout', 604800)],
    ["{$base,\"retention_seconds\":0}", at_least('retention_seconds', 1)],
    ["{$base,\"retention_seconds\":31536001}",
     at_most('retention_seconds', 31536000)],
    ["{$base,\"schedule_for\":\"2026-01-01T00:00:00Z\"}",
     extra('schedule_for')],
    ["{$base,\"Priority\":1}", extra('Priority')],
    ["{$base,\"\":1}", wrong('', 'extra fields not permitted',
                             'value_error.extra')],
    ["{$base,\"a\\\"\\u003c\":1}", extra('a\"<')],
    ['{"payload":[],"handler":"","priority":1.5,"retry_policy":"x",'
     . '"scheduled_for":"x","interval_seconds":0,"max_retries":-1,'
     . '"timeout":0,"retention_seconds":0,"colour":1}',
     $dict, $regex, int_error('priority'), enum_error(), date_error(),
     at_least('interval_seconds', 1), at_least('max_retries', 0), at_least('timeout', 1),
     at_least('retention_seconds', 1), extra('colour')],
);

# A body that is fine, and what /job/1 must show.
our @Good = (
    ["{$base}", qr/"id":1,"status":"PENDING","handler":"h","priority":0,/],
    ["{$base}", qr/"payload":\{\},"result":null,"error_log":null,"retries":0/],
    ["{$base}", qr/"runs":0,"retry_policy":"fixed","max_retries":null/],
    ["{$base}", qr/"timeout":null,"retention_seconds":null/],
    ["{$base}", qr/"interval_seconds":null,"created_at":/],
    ["{$base}", qr/"created_at":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/],
    ["{$base}", qr/"scheduled_for":null,"started_at":null,"finished_at":null/],
    ["{$base}", qr/"worker":null/],
    ["  \t\r\n {$base} \n", qr/"payload":\{\}/],
    ["{$base,\"priority\":100}", qr/"priority":100,/],
    ["{$base,\"priority\":-0}", qr/"priority":0,/],
    ["{$base,\"priority\":null,\"retry_policy\":null,\"scheduled_for\":null,"
     . "\"interval_seconds\":null,\"max_retries\":null,\"timeout\":null,"
     . "\"retention_seconds\":null}", qr/"priority":0,.*"retry_policy":"fixed"/],
    ["{$base,\"retry_policy\":\"exponential\"}",
     qr/"retry_policy":"exponential"/],
    ["{$base,\"retry_policy\":\"none\"}", qr/"retry_policy":"none"/],
    ["{$base,\"retry_policy\":\"\\u0066ixed\"}", qr/"retry_policy":"fixed"/],
    ["{$base,\"interval_seconds\":31536000}",
     qr/"interval_seconds":31536000/],
    ["{$base,\"scheduled_for\":\"2035-06-01T12:00:00Z\"}",
     qr/"scheduled_for":"2035-06-01T12:00:00\.000Z"/],
    ["{$base,\"scheduled_for\":\"2035-06-01T12:00:00.1239+02:00\"}",
     qr/"scheduled_for":"2035-06-01T10:00:00\.123Z"/],
    ["{$base,\"scheduled_for\":\"2035-06-01 12:00\"}",
     qr/"scheduled_for":"2035-06-01T12:00:00\.000Z"/],
    ["{$base,\"scheduled_for\":\"1999-01-01T00:00:00Z\"}",
     qr/"status":"PENDING"/],
    ["{$base,\"max_retries\":100,\"timeout\":604800,"
     . "\"retention_seconds\":31536000}",
     qr/"max_retries":100,"timeout":604800,"retention_seconds":31536000/],
    ["{$base,\"max_retries\":0}", qr/"max_retries":0,/],
    ['{"payload":{},"handler":"A-z_0.9"}', qr/"handler":"A-z_0\.9"/],
    ['{"payload":{},"handler":"' . 'x' x 64 . '"}', qr/"handler":"x{64}"/],
    ['{"\u0070ayload":{},"h\u0061ndler":"\u0068"}', qr/"handler":"h"/],

    # Bytes stay as they were sent.
    ['{"handler":"h","payload":{"n":12345678901234567890123,"f":1.10,'
     . '"e":1E+2,"z":-0.0}}',
     qr/"payload":\{"n":12345678901234567890123,"f":1\.10,"e":1E\+2,"z":-0\.0\}/],
    ["{\"handler\":\"h\",\"payload\":{ \"a\" :\r\n\t[ 1 ,2 ] }}",
     qr/"payload":\{ "a" :\r\n\t\[ 1 ,2 \] \}/],
    ['{"handler":"h","payload":{"\u00e4":"\ud83d\ude00","s":"\/"}}',
     qr/"payload":\{"\\u00e4":"\\ud83d\\ude00","s":"\\\/"\}/],
    ["{\"handler\":\"h\",\"payload\":{\"\xc3\xa4\":\"\xf0\x9f\x98\x80\x7f\"}}",
     qr/"payload":\{"\xc3\xa4":"\xf0\x9f\x98\x80\x7f"\}/],
    ['{"handler":"h","payload":{"a":' . '[' x 100 . ']' x 100 . '}}',
     qr/"a":\[{100}\]{100}\}/],
    ['{"handler":"h","payload":{"big":"' . 'x' x 100_000 . '"}}',
     qr/"big":"x{60000}x{40000}"\}/],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: the shortest job
--- request
POST /add-job
{"payload":{"to":"a@example.org"},"handler":"email"}
--- more_headers eval: ::admin()
--- response_headers
Content-Type: application/json
--- response_body chop
{"status":"ok","job_id":1}
--- redis eval
['GET {taskmq}:j:1' => qr/^1- 000 f t-- \d{13} email\n\{"to":"a\@example.org"\}$/,
 'LRANGE {taskmq}:h:email:lane:000 0 -1' => '1']



=== TEST 2: wrong fields, each named
--- request eval
[map { ::body($_->[0]) } @::Bad]
--- more_headers eval: ::admin()
--- error_code eval
[map { 422 } @::Bad]
--- response_headers eval
[map { 'Content-Type: application/json' } @::Bad]
--- response_body eval
[map { my ($b, @w) = @$_; '{"detail":[' . CORE::join(',', @w) . ']}' } @::Bad]
--- redis eval
['DBSIZE' => qr/^[23]$/, 'EXISTS {taskmq}:seq' => 0]



=== TEST 3: good jobs, read back
--- request eval
[map { (::body($_->[0]), 'GET /job/' . ++$::n) } @::Good]
--- more_headers eval: ::admin()
--- response_body eval
[map { (qr/^\{"status":"ok","job_id":\d+\}$/, $_->[1]) } @::Good]



=== TEST 4: options are stored
--- request
POST /add-job
{"payload":{},"handler":"h","max_retries":0,"timeout":604800,"retention_seconds":60,"retry_policy":"exponential","priority":7}
--- more_headers eval: ::admin()
--- redis eval
['GET {taskmq}:j:1' => qr/^1o 007 e 000 \d{13} h t=604800 k=60\n\{\}$/]



=== TEST 5: ids are one after the other, order is kept
--- request eval
[("POST /add-job\n" . '{"payload":{},"handler":"h"}') x 3,
 "POST /add-job\n" . '{"payload":{},"handler":"h","priority":20}']
--- more_headers eval: ::admin()
--- response_body eval
[map { "{\"status\":\"ok\",\"job_id\":$_}" } 1 .. 4]
--- redis eval
['ZRANGE {taskmq}:h:h:ready 0 -1' => '020 000', 'LRANGE {taskmq}:h:h:lane:000 0 -1' => '1 2 3']



=== TEST 6: a scheduled and a periodic job wait elsewhere
--- request eval
["POST /add-job\n" . '{"payload":{},"handler":"h","scheduled_for":"2035-01-01T00:00:00Z"}',
 "POST /add-job\n" . '{"payload":{},"handler":"h","interval_seconds":5}']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200]
--- redis eval
['ZSCORE {taskmq}:scheduled 1' => '2051222400000',
 'ZCARD {taskmq}:h:h:ready' => 1]



=== TEST 7: content types
--- no_http2
--- request eval
[("POST /add-job\n" . '{"payload":{},"handler":"h"}') x 7]
--- more_headers eval
my $a = ::admin() . "\nContent-Type: ";
[map { $a . $_ } 'application/json', 'application/json; charset=utf-8',
 'Application/JSON', 'text/plain', 'application/jsonx',
 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']
--- error_code eval
[200, 200, 200, 415, 415, 415, 415]
--- response_body_like eval
[('"status":"ok"') x 3, ('^\{"detail":"') x 4]



=== TEST 8: a coded body is refused
--- no_http2
--- request
POST /add-job
{"payload":{},"handler":"h"}
--- more_headers eval: ::admin() . "\nContent-Encoding: gzip"
--- error_code: 415
--- response_body_like: ^\{"detail":"



=== TEST 9: an empty body
--- request eval
["POST /add-job", "POST /add-job", "POST /add-job\n \n"]
--- more_headers eval
[::admin(), ::admin() . "\nContent-Length: 0", ::admin() . "\nContent-Length: 2"]
--- error_code eval
[422, 422, 422]
--- response_body_like eval
[('^\{"detail":\[\{"loc":\["body",\d+\],"msg":"[^"]+","type":"value_error.jsondecode"\}\]\}$') x 3]



=== TEST 10: query strings are ignored
--- request
POST /add-job?handler=x&priority=9
{"payload":{},"handler":"h"}
--- more_headers eval: ::admin()
--- redis eval
['GET {taskmq}:j:1' => qr/^1- 000 f t-- \d{13} h\n/]



=== TEST 11: one handler name too many: a sweep forgets those without jobs
--- request eval
["POST /add-jobs\n[" . CORE::join(',', map { '{"payload":{},"handler":"n' . $_ . '"}' } 1 .. 1000) . ']',
 "POST /add-job\n" . '{"payload":{},"handler":"n1000"}',
 "POST /add-job\n" . '{"payload":{},"handler":"another"}',
 "POST /add-job\n" . '{"payload":{},"handler":"another"}']
--- more_headers eval: ::admin()
--- after eval
[undef, undef, sub { ::script('change', $_, 'delete') for 1 .. 1001; ::script('sweep') }]
--- error_code eval
[200, 200, 422, 200]
--- response_body_like eval
['"job_ids":', '"job_id":1001', '"loc":\["body","handler"\]', '"job_id":1002']
