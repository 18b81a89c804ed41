# Libraries that another module brings along, too. nginx loads all modules into
# one room (RTLD_GLOBAL), where the first that has a name is called by all.

use lib 't/lib';
use TaskMQ::Beside;
use Test::Nginx::Socket;
use TaskMQ::Spec;

beside();
write_file('load.conf', load('taskmq'));

# A build of ours that can be told from the first.
sub other_build {
    open my $fh, '<:raw', $Ours or die "$Ours: $!\n";
    my $bytes = do { local $/; <$fh> };

    $bytes =~ s/Method Not Allowed/Method Not Alloxed/ or die;
    write_file('load.conf',
               'load_module ' . write_file('other.so', $bytes) . ';');
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a module with the names of all our libraries, before ours
--- main_config eval: ::load('foreign_exports', 'taskmq')
--- logged eval
[qr/foreign module: it looked/]



=== TEST 2: after ours
--- main_config eval: ::load('taskmq', 'foreign_exports')
--- logged eval
[qr/foreign module: it looked/]



=== TEST 3: a module that has none of these names is given none of ours
--- main_config eval: ::load('taskmq', 'foreign_plain')
--- logged eval
[qr/foreign module: it looked/]



=== TEST 4: a module linked to the same libjwt, before ours
--- main_config eval: ::load('foreign_libjwt', 'taskmq')
--- no_check_leak



=== TEST 5: another build of ours comes with a reload, under another name: it runs, not the first
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
