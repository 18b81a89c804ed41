# Jobs that are added, cancelled and deleted by subrequests of lua, njs and echo:
# each once, as it was asked for.

use lib 't/lib';
use TaskMQ::Beside;
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(main_config => load('taskmq'), config => '');
write_file('t.js', <<'JS');
export default { add, two, later, gone };

const job = '{"payload":{"by":"njs"},"handler":"h"}';

async function add(r) {
    let reply = await r.subrequest("/jobs/add-job", { method: "POST", body: job });
    r.return(reply.status, reply.responseText);
}

async function two(r) {
    let replies = await Promise.all([1, 2].map(() =>
        r.subrequest("/jobs/add-job", { method: "POST", body: job })));
    r.return(200, replies.map(x => x.status).join());
}

function later(r) {
    r.subrequest("/jobs/add-job", { method: "POST", body: job, detached: true });
    r.return(200, "later");
}

function gone(r) {
    r.subrequest("/jobs/job/1", { method: "DELETE", detached: true });
    r.return(200, "gone");
}
JS

our @Lua = qw(ndk_http_module ngx_http_lua_module);
our $Capture = 'local function add(body) return ngx.location.capture('
    . '"/jobs/add-job", { method = ngx.HTTP_POST, body = body }) end ';
our $Seq = sub {
    my ($n) = @_;
    return sub {
        wait_until("$n jobs", sub {
            (redis()->call('GET', '{taskmq}:seq') // 0) == $n;
        });
    };
};

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: lua captures a POST, out of a GET and out of a POST
--- main_config eval: ::load(@::Lua, 'taskmq')
--- config eval
'location /jobs/ { taskmq_api taskmq; }
 location = /lua { content_by_lua_block { ' . $::Capture . q[
     local r = add('{"payload":{"by":"lua"},"handler":"h"}')
     ngx.status = r.status
     ngx.print(r.header["Content-Type"], " ", r.body)
 } }]
--- init
::ready('/jobs/health')
--- request eval
['GET /lua', "POST /lua\nanything", 'GET /jobs/job/1', 'GET /jobs/job/2', 'GET /jobs/job/3']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200, 200, 404]
--- response_body eval
['application/json {"status":"ok","job_id":1}', 'application/json {"status":"ok","job_id":2}', qr/"by":"lua"/, qr/"by":"lua"/, qr/detail/]
--- redis eval
['GET {taskmq}:seq' => 2]



=== TEST 2: lua captures several at once, one of them wrong, and a large one
--- main_config eval: ::load('taskmq', @::Lua)
--- config eval
'location /jobs/ { taskmq_api taskmq; taskmq_max_payload 300k; }
 location = /lua { content_by_lua_block {
     local function req(body) return { "/jobs/add-job", { method = ngx.HTTP_POST, body = body } } end
     local large = string.rep("x", 200000)
     local a, b, c, d = ngx.location.capture_multi({
         req([[{"payload":{},"handler":"h"}]]), req("none"),
         req([[{"payload":{"a":"]] .. large .. [["},"handler":"h"}]]),
         req([[{"payload":{"a":"]] .. large .. large .. [["},"handler":"h"}]]) })
     ngx.say(a.status, " ", b.status, " ", c.status, " ", d.status)
 } }'
--- init
::ready('/jobs/health')
--- request eval
['GET /lua']
--- more_headers eval: ::admin()
--- response_body eval
["200 422 200 413\n"]
--- redis eval
['GET {taskmq}:seq' => 2]



=== TEST 3: lua: token and role are those of the request; cancel and delete
--- main_config eval: ::load(@::Lua, 'taskmq')
--- config eval
'location /jobs/ { taskmq_api taskmq; }
 location = /lua { content_by_lua_block { ' . $::Capture . q[
     local a = add('{"payload":{},"handler":"h"}')
     local b = ngx.location.capture("/jobs/cancel", { method = ngx.HTTP_POST, body = '{"job_id":1}' })
     local c = ngx.location.capture("/jobs/job/1", { method = ngx.HTTP_DELETE })
     ngx.say(a.status, " ", b.status, " ", c.status)
 } }]
--- init
::ready('/jobs/health')
--- request eval
['GET /lua', 'GET /lua', 'GET /lua']
--- more_headers eval
['', ::auth({ role => 'worker' }), ::admin()]
--- response_body eval
["401 401 401\n", "403 403 403\n", "200 200 200\n"]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 4: lua passes a request's own method on, with its body and with none
--- main_config eval: ::load(@::Lua, 'taskmq')
--- config
    location /jobs/ { taskmq_api taskmq; }
    location = /same { content_by_lua_block {
        ngx.req.read_body()
        local r = ngx.location.capture("/jobs/add-job", { method = ngx.HTTP_POST, always_forward_body = true })
        ngx.status = r.status ngx.print(r.body) } }
    location = /gone { content_by_lua_block {
        local r = ngx.location.capture("/jobs/job/1", { method = ngx.HTTP_DELETE })
        ngx.status = r.status ngx.print(r.body) } }
--- init
::ready('/jobs/health')
--- request eval
["POST /same\n" . '{"payload":{},"handler":"h"}', 'DELETE /gone', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 404]
--- redis eval
['GET {taskmq}:seq' => 1]



=== TEST 5: lua captures while Redis is slow, and the client goes
--- no_http2
--- main_config eval: ::load(@::Lua, 'taskmq')
--- config eval
'location /jobs/ { taskmq_api taskmq; }
 location = /lua { content_by_lua_block { ' . $::Capture . q[
     add('{"payload":{},"handler":"h"}')
 } }]
--- init
::ready('/jobs/health')
--- request eval
['GET /jobs/health', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- after eval
[sub {
    ::redis()->pause;
    my $finish = ::begin_request("GET /lua HTTP/1.1\r\nHost: x\r\n" . ::admin() . "\r\n\r\n");
    select undef, undef, undef, 0.05;
    undef $finish;
    ::redis()->continue;
    $::Seq->(1)->();
}]
--- error_code eval
[200, 200]



=== TEST 6: njs: one, two at once, and some that nobody waits for
--- main_config eval: ::load('ngx_http_js_module', 'taskmq')
--- http_config eval: $::Http . 'js_path $TEST_NGINX_SCRATCH; js_import t from t.js; subrequest_output_buffer_size 64k;'
--- config
    location /jobs/ { taskmq_api taskmq; }
    location = /add { js_content t.add; }
    location = /two { js_content t.two; }
    location = /later { js_content t.later; }
    location = /gone { js_content t.gone; }
--- init
::ready('/jobs/health')
--- request eval
['GET /add', 'GET /two', 'GET /later', 'GET /jobs/job/4', 'GET /jobs/job/5', "POST /later\nx", 'GET /gone', 'GET /jobs/job/1']
--- more_headers eval: ::admin()
--- after eval
[$::Seq->(1), $::Seq->(3), $::Seq->(4), undef, undef, $::Seq->(5),
 sub { ::wait_until('no job 1', sub { ::get('/jobs/job/1', ::admin()) =~ / 404 / }) }]
--- error_code eval
[200, 200, 200, 200, 404, 200, 200, 404]
--- response_body eval
['{"status":"ok","job_id":1}', '200,200', 'later', qr/"by":"njs"/, qr/detail/, 'later', 'gone', qr/detail/]



=== TEST 7: echo_subrequest, with a body of its own and with the request's
--- main_config eval: ::load('ngx_http_echo_module', 'taskmq')
--- config
    location /jobs/ { taskmq_api taskmq; }
    location = /own { echo_subrequest POST /jobs/add-job -b '{"payload":{"by":"echo"},"handler":"h"}'; }
    location = /same { echo_read_request_body; echo_subrequest POST /jobs/add-job -b $request_body; }
    location = /async { echo_subrequest_async POST /jobs/add-job -b '{"payload":{},"handler":"h"}';
                        echo_subrequest_async DELETE /jobs/job/1; }
--- init
::ready('/jobs/health')
--- request eval
['GET /own', "POST /same\n" . '{"payload":{"same":1},"handler":"h"}', 'GET /async', 'GET /jobs/job/2']
--- more_headers eval: ::admin()
--- after eval
[$::Seq->(1), $::Seq->(2), $::Seq->(3)]
--- response_body eval
['{"status":"ok","job_id":1}', '{"status":"ok","job_id":2}', qr/"job_id":3/, qr/"same":1/]
--- redis eval
['GET {taskmq}:seq' => 3]
