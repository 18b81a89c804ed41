# Debian's modules in the same nginx, loaded before ours and after it, each doing
# its own work beside ours and around it.

use lib 't/lib';
use TaskMQ::Beside;
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(main_config => load('taskmq'));
write_file('t.js', 'export default { head, get };
function head(r) { r.headersOut["X-Njs"] = "1"; }
async function get(r) {
    let reply = await r.subrequest("/job/1");
    r.return(reply.status, reply.responseText);
}');

our $Add = "POST /add-job\n" . '{"payload":{"a":"' . 'x' x 50
    . '"},"handler":"h"}';

# Ours does its work: a token is checked, Redis answers.
our @Work = ($Add, 'GET /job/1', 'GET /job/1');
our @Headers = (admin(), '', admin());
our @Codes = (200, 401, 200);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: lua, before ours
--- main_config eval: ::load('ndk_http_module', 'ngx_http_lua_module', 'taskmq')
--- config
    location / { taskmq_api taskmq; access_by_lua_block { ngx.ctx.a = 1 } header_filter_by_lua_block { ngx.header["X-Lua"] = ngx.ctx.a } }
    location = /lua { content_by_lua_block { local r = ngx.location.capture("/job/1"); ngx.status = r.status; ngx.print(r.body) } }
--- request eval
[@::Work, 'GET /lua']
--- more_headers eval
[@::Headers, ::admin()]
--- error_code eval
[@::Codes, 200]
--- response_headers eval
["X-Lua: 1", "X-Lua: 1", "X-Lua: 1", ""]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,/]



=== TEST 2: lua, after ours
--- main_config eval: ::load('taskmq', 'ndk_http_module', 'ngx_http_lua_module')
--- config
    location / { taskmq_api taskmq; access_by_lua_block { ngx.ctx.a = 1 } header_filter_by_lua_block { ngx.header["X-Lua"] = ngx.ctx.a } }
    location = /lua { content_by_lua_block { local r = ngx.location.capture("/job/1"); ngx.status = r.status; ngx.print(r.body) } }
--- request eval
[@::Work, 'GET /lua']
--- more_headers eval
[@::Headers, ::admin()]
--- error_code eval
[@::Codes, 200]
--- response_headers eval
["X-Lua: 1", "X-Lua: 1", "X-Lua: 1", ""]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,/]



=== TEST 3: njs, before ours
--- main_config eval: ::load('ngx_http_js_module', 'taskmq')
--- http_config eval: $::Http . "js_path $ENV{TEST_NGINX_SCRATCH}; js_import t from t.js;"
--- config
    location / { taskmq_api taskmq; js_header_filter t.head; }
    location = /js { js_content t.get; }
--- request eval
[@::Work, 'GET /js']
--- more_headers eval
[@::Headers, ::admin()]
--- error_code eval
[@::Codes, 200]
--- response_headers eval
["X-Njs: 1", "X-Njs: 1", "X-Njs: 1", ""]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,/]



=== TEST 4: njs, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_js_module')
--- http_config eval: $::Http . "js_path $ENV{TEST_NGINX_SCRATCH}; js_import t from t.js;"
--- config
    location / { taskmq_api taskmq; js_header_filter t.head; }
    location = /js { js_content t.get; }
--- request eval
[@::Work, 'GET /js']
--- more_headers eval
[@::Headers, ::admin()]
--- error_code eval
[@::Codes, 200]
--- response_headers eval
["X-Njs: 1", "X-Njs: 1", "X-Njs: 1", ""]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,/]



=== TEST 5: echo, before ours
--- main_config eval: ::load('ngx_http_echo_module', 'taskmq')
--- config
    location / { taskmq_api taskmq; }
    location = /echo { echo_location /job/1; echo end; }
--- request eval
[@::Work, 'GET /echo']
--- more_headers eval
[@::Headers, ::admin()]
--- error_code eval
[@::Codes, 200]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,.*end/s]



=== TEST 6: echo, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_echo_module')
--- config
    location / { taskmq_api taskmq; }
    location = /echo { echo_location /job/1; echo end; }
--- request eval
[@::Work, 'GET /echo']
--- more_headers eval
[@::Headers, ::admin()]
--- error_code eval
[@::Codes, 200]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, qr/"id":1,.*end/s]



=== TEST 7: headers-more, before ours
--- main_config eval: ::load('ngx_http_headers_more_filter_module', 'taskmq')
--- config
    location / { taskmq_api taskmq; more_set_headers "X-More: 1" "Content-Type: application/json; charset=utf-8"; more_set_headers -s 401 "X-Token: no"; }
--- request eval
[@::Work]
--- more_headers eval
[@::Headers]
--- error_code eval
[@::Codes]
--- response_headers eval
["X-More: 1", "X-More: 1\nX-Token: no\nContent-Type: application/json; charset=utf-8", "X-More: 1"]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/]



=== TEST 8: headers-more, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_headers_more_filter_module')
--- config
    location / { taskmq_api taskmq; more_set_headers "X-More: 1" "Content-Type: application/json; charset=utf-8"; more_set_headers -s 401 "X-Token: no"; }
--- request eval
[@::Work]
--- more_headers eval
[@::Headers]
--- error_code eval
[@::Codes]
--- response_headers eval
["X-More: 1", "X-More: 1\nX-Token: no\nContent-Type: application/json; charset=utf-8", "X-More: 1"]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/]



=== TEST 9: brotli, before ours
--- main_config eval: ::load('ngx_http_brotli_filter_module', 'ngx_http_brotli_static_module', 'taskmq')
--- config
    location / { taskmq_api taskmq; brotli on; brotli_min_length 1; brotli_types application/json; }
--- request eval
[@::Work, 'GET /job/1']
--- more_headers eval
[@::Headers, ::admin() . "\nAccept-Encoding: br"]
--- error_code eval
[@::Codes, 200]
--- response_headers eval
["", "", "", "Content-Encoding: br"]



=== TEST 10: brotli, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_brotli_filter_module', 'ngx_http_brotli_static_module')
--- config
    location / { taskmq_api taskmq; brotli on; brotli_min_length 1; brotli_types application/json; }
--- request eval
[@::Work, 'GET /job/1']
--- more_headers eval
[@::Headers, ::admin() . "\nAccept-Encoding: br"]
--- error_code eval
[@::Codes, 200]
--- response_headers eval
["", "", "", "Content-Encoding: br"]



=== TEST 11: modsecurity, before ours
--- main_config eval: ::load('ngx_http_modsecurity_module', 'taskmq')
--- config
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
    location / { taskmq_api taskmq; }
--- request eval
[@::Work, 'GET /job/evil',
 "POST /add-job\n" . '{"payload":{"a":"evil"},"handler":"h"}', $::Add, 'GET /job/2', 'GET /job/3']
--- more_headers eval
[@::Headers, ::admin(), ::admin() . "\nContent-Type: application/json",
 ::admin() . "\nContent-Type: application/json", ::admin(), ::admin()]
--- error_code eval
[@::Codes, 403, 403, 200, 200, 404]



=== TEST 12: modsecurity, after ours
--- main_config eval: ::load('taskmq', 'ngx_http_modsecurity_module')
--- config
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
    location / { taskmq_api taskmq; }
--- request eval
[@::Work, 'GET /job/evil',
 "POST /add-job\n" . '{"payload":{"a":"evil"},"handler":"h"}', $::Add, 'GET /job/2', 'GET /job/3']
--- more_headers eval
[@::Headers, ::admin(), ::admin() . "\nContent-Type: application/json",
 ::admin() . "\nContent-Type: application/json", ::admin(), ::admin()]
--- error_code eval
[@::Codes, 403, 403, 200, 200, 404]
