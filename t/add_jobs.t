# POST /add-jobs: all or none.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $One = '{"payload":{},"handler":"h"}';

sub post { return "POST /add-jobs\n" . (ref $_[0] ? '[' . join(',', @{ $_[0] }) . ']' : $_[0]) }

our @Bad = (
    ['{}', qr/"loc":\["body"\],"msg":"value is not a valid list","type":"type_error.list"/],
    [$One, qr/"type":"type_error.list"/],
    ['[]', qr/"loc":\["body"\],"msg":"ensure this value has at least 1 items"/],
    ['[1]', qr/"loc":\["body",0\],"msg":"value is not a valid dict"/],
    ["[$One,{}]", qr/"loc":\["body",1,"payload"\].*"loc":\["body",1,"handler"\]/],
    ["[$One,$One,{\"payload\":{},\"handler\":\"h\",\"priority\":101}]",
     qr/"loc":\["body",2,"priority"\]/],
    ["[$One,[$One]]", qr/"loc":\["body",1\]/],
    ["[$One,]", qr/"loc":\["body",\d+\],"msg":"[^"]+","type":"value_error.jsondecode"/],
    ["[$One", qr/"value_error.jsondecode"/],
    ["[$One] x", qr/"value_error.jsondecode"/],
    ['[' . join(',', ($One) x 1001) . ']',
     qr/"loc":\["body"\],"msg":"ensure this value has at most 1000 items"/],
    ['[' . join(',', ('{}') x 1000) . ']', qr/"loc":\["body",0,"payload"\]/],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: three jobs
--- request eval
[::post([$::One, '{"payload":{"a":1.10},"handler":"g","priority":5}', $::One]), 'GET /job/2']
--- more_headers eval: ::admin()
--- response_body eval
['{"status":"ok","job_ids":[1,2,3]}', qr/"handler":"g","priority":5,"payload":\{"a":1\.10\}/]
--- redis eval
['LRANGE {taskmq}:h:h:lane:000 0 -1' => '1 3', 'LRANGE {taskmq}:h:g:lane:005 0 -1' => '2']



=== TEST 2: a thousand: one pack in a lane
--- request eval: ::post([($::One) x 1000])
--- more_headers eval: ::admin()
--- response_body_like: ^\{"status":"ok","job_ids":\[1,2,3,.*,999,1000\]\}$
--- redis eval
['ZRANGE {taskmq}:h:h:ready 0 -1' => '000', 'LRANGE {taskmq}:h:h:lane:000 0 -1' => '1 1000']



=== TEST 3: refused, the place named, nothing stored
--- request eval
[map { ::post($_->[0]) } @::Bad]
--- more_headers eval: ::admin()
--- error_code eval
[map { 422 } @::Bad]
--- response_body eval
[map { $_->[1] } @::Bad]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 4: roles
--- request eval
[(::post([$::One])) x 2]
--- more_headers eval
['', ::worker()]
--- error_code eval
[401, 403]



=== TEST 5: sizes: of the whole, and of one payload
--- config
    location / { taskmq_api taskmq; taskmq_max_payload 1k; taskmq_max_bulk 10k; }
--- request eval
my $k = '{"handler":"h","payload":{"a":"' . 'x' x 1016 . '"}}';
[::post([($k) x 9]), ::post([($k) x 10]), ::post([$k, $k =~ s/x/xx/r]), ::post([$::One])]
--- more_headers eval: ::admin()
--- error_code eval
[200, 413, 413, 200]
--- response_body_like eval
['"job_ids":\[1,', '^\{"detail":"', '^\{"detail":"', '"job_ids":\[10\]']



=== TEST 6: scheduled and periodic ones among them
--- request eval: ::post([$::One, '{"payload":{},"handler":"h","scheduled_for":"2035-01-01T00:00:00Z"}', $::One])
--- more_headers eval: ::admin()
--- redis eval
['LRANGE {taskmq}:h:h:lane:000 0 -1' => '1 3', 'ZRANGE {taskmq}:scheduled 0 -1' => '2']
