# nchan, which brings a changed hiredis along, loaded before ours and after it,
# in memory and on a Redis of its own.

use lib 't/lib';
use TaskMQ::Beside;
use Test::Nginx::Socket;
use TaskMQ::Spec;

# nchan does not free what it knows of its Redis when nginx ends, and where that
# came from is no longer known when leaks are told: t/lsan.suppress cannot help.
$ENV{NGINX_SANITIZED_LEAKS} = 0;

our %Config = (
    memory => '
        location / { taskmq_api taskmq; }
        location = /pub { nchan_publisher; nchan_channel_id c; }
        location = /sub { nchan_subscriber; nchan_channel_id c;
                          nchan_subscriber_first_message oldest; }',
    redis => '
        location / { taskmq_api taskmq; }
        location = /pub { nchan_publisher; nchan_channel_id c;
                          nchan_redis_pass nchan_redis; }
        location = /sub { nchan_subscriber; nchan_channel_id c;
                          nchan_redis_pass nchan_redis;
                          nchan_subscriber_first_message oldest; }',
    lua => '
        location = /lua { content_by_lua_block {
            local r = ngx.location.capture("/job/1")
            ngx.status = r.status; ngx.print(r.body) } }',
);

beside(more => ['GET /sub', $Add]);

our $Full = "POST /pub HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    . "Content-Length: 4\r\n\r\nfull";

# Publishes once nchan has its Redis.
sub publish {
    ready();
    wait_until('nchan', sub { send_raw($Full) =~ / 20[012] / });
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: nchan before ours, in memory
--- main_config eval: ::load('ngx_nchan_module', 'taskmq')
--- config eval: $::Config{memory}
--- init: ::ready(); ::send_raw($::Full)
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, 'full', qr/job_id/]



=== TEST 2: nchan after ours, in memory
--- main_config eval: ::load('taskmq', 'ngx_nchan_module')
--- config eval: $::Config{memory}
--- init: ::ready(); ::send_raw($::Full)
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, 'full', qr/job_id/]



=== TEST 3: nchan before ours, on Redis
--- main_config eval: ::load('ngx_nchan_module', 'taskmq')
--- http_config eval: $::Http . ::nchan()
--- config eval: $::Config{redis}
--- init: ::publish()
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, 'full', qr/job_id/]



=== TEST 4: nchan after ours, on Redis
--- main_config eval: ::load('taskmq', 'ngx_nchan_module')
--- http_config eval: $::Http . ::nchan()
--- config eval: $::Config{redis}
--- init: ::publish()
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1,/, 'full', qr/job_id/]



=== TEST 5: all of them at once, ours in their middle
--- main_config eval
::load(qw(ndk_http_module ngx_http_lua_module ngx_nchan_module
          ngx_http_brotli_filter_module taskmq ngx_http_js_module
          ngx_http_echo_module ngx_http_headers_more_filter_module
          ngx_http_modsecurity_module ngx_http_brotli_static_module))
--- http_config eval: $::Http . ::nchan()
--- config eval: $::Config{redis} . $::Config{lua}
--- init: ::publish()
--- request eval
[$::Add, 'GET /job/1', 'GET /job/1', 'GET /lua']
--- more_headers eval
[::admin(), '', ::admin(), ::admin()]
--- error_code eval
[200, 401, 200, 200]
