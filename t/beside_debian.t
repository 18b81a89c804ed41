# Debian's modules in the same nginx, loaded before ours and after it, each doing
# its own work beside ours and around it.

use lib 't/lib';
use TaskMQ::Beside;
use Test::Nginx::Socket;
use TaskMQ::Spec;

our %Config = (
    lua => '
        location / {
            taskmq_api taskmq;
            access_by_lua_block { ngx.ctx.a = 1 }
            header_filter_by_lua_block { ngx.header["X-Lua"] = ngx.ctx.a }
        }
        location = /via { content_by_lua_block {
            local r = ngx.location.capture("/job/1")
            ngx.status = r.status; ngx.print(r.body) } }',
    njs => '
        location / { taskmq_api taskmq; js_header_filter t.head; }
        location = /via { js_content t.get; }',
    echo => '
        location / { taskmq_api taskmq; }
        location = /via { echo_location /job/1; echo end; }',
    headers_more => '
        location / {
            taskmq_api taskmq;
            more_set_headers "X-More: 1"
                "Content-Type: application/json; charset=utf-8";
            more_set_headers -s 401 "X-Token: no";
        }
        location = /via { rewrite ^ /job/1 last; }',
    brotli => '
        location / {
            taskmq_api taskmq;
            brotli on;
            brotli_min_length 1;
            brotli_types application/json;
        }
        location = /via { rewrite ^ /job/1 last; }',
    modsecurity => q{
        modsecurity on;
        modsecurity_rules '
            SecRuleEngine On
            SecRequestBodyAccess On
            SecResponseBodyAccess On
            SecResponseBodyMimeType application/json
            SecRule REQUEST_URI "@contains evil" "id:1,phase:1,deny,status:403"
            SecRule REQUEST_HEADERS:Content-Type "json" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
            SecRule ARGS:json.payload.a "@contains evil" "id:3,phase:2,deny,status:403"
        ';
        location / { taskmq_api taskmq; }},
);

# The last request goes to a job by way of the other module.
beside(more => ['GET /via'],
       response_body => [qr/job_id/, qr/token/, (qr/"id":1,/) x 2]);
write_file('t.js', 'export default { head, get };
function head(r) { r.headersOut["X-Njs"] = "1"; }
async function get(r) {
    let reply = await r.subrequest("/job/1");
    r.return(reply.status, reply.responseText);
}');

our $Njs = $Http . 'js_path ' . scratch() . '; js_import t from t.js;';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: lua, before ours
--- main_config eval: ::load('ndk_http_module', 'ngx_http_lua_module', 'taskmq')
--- config eval: $::Config{lua}
--- response_headers eval: ["X-Lua: 1", "X-Lua: 1", "X-Lua: 1", ""]



=== TEST 2: lua, after ours
--- main_config eval: ::load('taskmq', 'ndk_http_module', 'ngx_http_lua_module')
--- config eval: $::Config{lua}
--- response_headers eval: ["X-Lua: 1", "X-Lua: 1", "X-Lua: 1", ""]



=== TEST 3: njs, before ours
--- main_config eval: ::load('ngx_http_js_module', 'taskmq')
--- http_config eval: $::Njs
--- config eval: $::Config{njs}
--- response_headers eval: ["X-Njs: 1", "X-Njs: 1", "X-Njs: 1", ""]



=== TEST 4: njs, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_js_module')
--- http_config eval: $::Njs
--- config eval: $::Config{njs}
--- response_headers eval: ["X-Njs: 1", "X-Njs: 1", "X-Njs: 1", ""]



=== TEST 5: echo, before ours
--- main_config eval: ::load('ngx_http_echo_module', 'taskmq')
--- config eval: $::Config{echo}
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,.*end/s]



=== TEST 6: echo, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_echo_module')
--- config eval: $::Config{echo}
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,.*end/s]



=== TEST 7: headers-more, before ours
--- main_config eval: ::load('ngx_http_headers_more_filter_module', 'taskmq')
--- config eval: $::Config{headers_more}
--- response_headers eval
["X-More: 1", "X-More: 1\nX-Token: no\nContent-Type: application/json; charset=utf-8", "X-More: 1", "X-More: 1"]



=== TEST 8: headers-more, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_headers_more_filter_module')
--- config eval: $::Config{headers_more}
--- response_headers eval
["X-More: 1", "X-More: 1\nX-Token: no\nContent-Type: application/json; charset=utf-8", "X-More: 1", "X-More: 1"]



=== TEST 9: brotli, before ours
--- main_config eval: ::load('ngx_http_brotli_filter_module', 'ngx_http_brotli_static_module', 'taskmq')
--- config eval: $::Config{brotli}
--- more_headers eval: [::admin(), '', ::admin(), ::admin() . "\nAccept-Encoding: br"]
--- response_headers eval: ["", "", "", "Content-Encoding: br"]
--- response_body eval: [qr/job_id/, qr/token/, qr/"id":1,/, qr/^(?!.*"id")/s]



=== TEST 10: brotli, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_brotli_filter_module', 'ngx_http_brotli_static_module')
--- config eval: $::Config{brotli}
--- more_headers eval: [::admin(), '', ::admin(), ::admin() . "\nAccept-Encoding: br"]
--- response_headers eval: ["", "", "", "Content-Encoding: br"]
--- response_body eval: [qr/job_id/, qr/token/, qr/"id":1,/, qr/^(?!.*"id")/s]



=== TEST 11: modsecurity, before ours
--- main_config eval: ::load('ngx_http_modsecurity_module', 'taskmq')
--- config eval: $::Config{modsecurity}
--- request eval
[$::Add, 'GET /job/1', 'GET /job/1', 'GET /job/evil',
 "POST /add-job\n" . '{"payload":{"a":"evil"},"handler":"h"}', $::Add, 'GET /job/2', 'GET /job/3']
--- more_headers eval
[::admin(), '', ::admin(), ::admin(), (::admin() . "\nContent-Type: application/json") x 2,
 ::admin(), ::admin()]
--- error_code eval
[200, 401, 200, 403, 403, 200, 200, 404]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, (qr/403/) x 2, qr/job_id/, qr/"id":2,/, qr/detail/]



=== TEST 12: modsecurity, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_modsecurity_module')
--- config eval: $::Config{modsecurity}
--- request eval
[$::Add, 'GET /job/1', 'GET /job/1', 'GET /job/evil',
 "POST /add-job\n" . '{"payload":{"a":"evil"},"handler":"h"}', $::Add, 'GET /job/2', 'GET /job/3']
--- more_headers eval
[::admin(), '', ::admin(), ::admin(), (::admin() . "\nContent-Type: application/json") x 2,
 ::admin(), ::admin()]
--- error_code eval
[200, 401, 200, 403, 403, 200, 200, 404]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, (qr/403/) x 2, qr/job_id/, qr/"id":2,/, qr/detail/]
