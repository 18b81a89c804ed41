# Libraries that another module brings along, too. nginx loads all modules into
# one room (RTLD_GLOBAL), where the first that has a name is called by all.

use lib 't/lib';
use TaskMQ::Beside;
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(main_config => load('taskmq'));
write_file('load.conf', load('taskmq'));

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Full = "POST /pub HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    . "Content-Length: 4\r\n\r\nfull";

# A build of ours that can be told from the first.
sub other_build {
    open my $fh, '<:raw', $Ours or die "$Ours: $!\n";
    my $bytes = do { local $/; <$fh> };

    $bytes =~ s/Method Not Allowed/Method Not Alloxed/ or die;
    write_file('load.conf',
               'load_module ' . write_file('other.so', $bytes) . ';');
}

# Ours does its work: a token is checked, Redis answers.
our @Work = ($Add, 'GET /job/1', 'GET /job/1');
our @Headers = (admin(), '', admin());
our @Codes = (200, 401, 200);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a module with the names of all our libraries, before ours
--- main_config eval: ::load('foreign_exports', 'taskmq')
--- request eval
[@::Work]
--- more_headers eval
[@::Headers]
--- error_code eval
[@::Codes]
--- logged eval
[qr/foreign module: it looked/]



=== TEST 2: after ours
--- main_config eval: ::load('taskmq', 'foreign_exports')
--- request eval
[@::Work]
--- more_headers eval
[@::Headers]
--- error_code eval
[@::Codes]
--- logged eval
[qr/foreign module: it looked/]



=== TEST 3: a module that has none of these names is given none of ours
--- main_config eval: ::load('taskmq', 'foreign_plain')
--- request eval
[@::Work]
--- more_headers eval
[@::Headers]
--- error_code eval
[@::Codes]
--- logged eval
[qr/foreign module: it looked/]



=== TEST 4: a module linked to the same libjwt, before ours
--- main_config eval: ::load('foreign_libjwt', 'taskmq')
--- no_check_leak
--- request eval
[@::Work]
--- more_headers eval
[@::Headers]
--- error_code eval
[@::Codes]



=== TEST 5: nchan before ours, in memory
--- main_config eval: ::load('ngx_nchan_module', 'taskmq')
--- config
    location / { taskmq_api taskmq; }
    location = /pub { nchan_publisher; nchan_channel_id c; }
    location = /sub { nchan_subscriber; nchan_channel_id c; nchan_subscriber_first_message oldest; }
--- request eval
[@::Work, "POST /pub\nhello", 'GET /sub', $::Add]
--- more_headers eval
[@::Headers, '', '', ::admin()]
--- error_code eval
[@::Codes, 202, 200, 200]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1/, qr/queued/, 'hello', qr/job_id/]



=== TEST 6: nchan after ours, in memory
--- main_config eval: ::load('taskmq', 'ngx_nchan_module')
--- config
    location / { taskmq_api taskmq; }
    location = /pub { nchan_publisher; nchan_channel_id c; }
    location = /sub { nchan_subscriber; nchan_channel_id c; nchan_subscriber_first_message oldest; }
--- request eval
[@::Work, "POST /pub\nhello", 'GET /sub', $::Add]
--- more_headers eval
[@::Headers, '', '', ::admin()]
--- error_code eval
[@::Codes, 202, 200, 200]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1/, qr/queued/, 'hello', qr/job_id/]



=== TEST 7: nchan before ours, on Redis
--- main_config eval: ::load('ngx_nchan_module', 'taskmq')
--- http_config eval: $::Http . ::nchan()
--- config
    location / { taskmq_api taskmq; }
    location = /pub { nchan_publisher; nchan_channel_id c; nchan_redis_pass nchan_redis; }
    location = /sub { nchan_subscriber; nchan_channel_id c; nchan_redis_pass nchan_redis; nchan_subscriber_first_message oldest; }
--- init
::ready();
::wait_until('nchan', sub { ::send_raw($::Full) =~ / 20[012] / });
--- request eval
[@::Work, 'GET /sub', $::Add]
--- more_headers eval
[@::Headers, '', ::admin()]
--- error_code eval
[@::Codes, 200, 200]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1/, 'full', qr/job_id/]



=== TEST 8: nchan after ours, on Redis
--- main_config eval: ::load('taskmq', 'ngx_nchan_module')
--- http_config eval: $::Http . ::nchan()
--- config
    location / { taskmq_api taskmq; }
    location = /pub { nchan_publisher; nchan_channel_id c; nchan_redis_pass nchan_redis; }
    location = /sub { nchan_subscriber; nchan_channel_id c; nchan_redis_pass nchan_redis; nchan_subscriber_first_message oldest; }
--- init
::ready();
::wait_until('nchan', sub { ::send_raw($::Full) =~ / 20[012] / });
--- request eval
[@::Work, 'GET /sub', $::Add]
--- more_headers eval
[@::Headers, '', ::admin()]
--- error_code eval
[@::Codes, 200, 200]
--- response_body eval
[qr/job_id/, qr/token/, qr/"id":1/, 'full', qr/job_id/]



=== TEST 9: another build of ours comes with a reload, under another name: it runs, not the first
--- main_config
include $TEST_NGINX_SCRATCH/load.conf;
--- request eval
['PUT /health', 'PUT /health', 'GET /job/1']
--- more_headers eval
['', '', ::admin()]
--- after eval
[sub { ::other_build(); ::reload_nginx(); ::ready() }]
--- error_code eval
[405, 405, 404]
--- response_body eval
[qr/Method Not Allowed/, qr/Method Not Alloxed/, qr/detail/]
