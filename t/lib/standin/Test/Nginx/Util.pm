package Test::Nginx::Util;

# The settings of a test run, from the environment and from what a test file
# says before run_tests(). Named as Test::Nginx names them.

use strict;
use warnings;

use Cwd qw(cwd);
use Exporter qw(import);
use Test::More ();

use TaskMQ::Port qw(free_port);
use Test::Nginx::Standin::Server;

our @SETTINGS = qw(
    repeat_each workers worker_connections master_on master_off
    master_process_enabled log_level timeout server_name server_port
    server_port_for_client server_addr server_root html_dir no_shuffle
    no_root_location no_long_string use_hup env_to_nginx bail_out
    add_block_preprocessor add_response_body_check add_cleanup_handler
    add_test_cleanup_handler
);

our @EXPORT = (@SETTINGS, qw($ServerPort $ServRoot));

our $LeakCheck = $ENV{TEST_NGINX_CHECK_LEAK};
our $UseHup    = $ENV{TEST_NGINX_USE_HUP};
our $UseHttp2  = $ENV{TEST_NGINX_USE_HTTP2};
our $Valgrind  = $ENV{TEST_NGINX_USE_VALGRIND};

our $RepeatEach  = 1;
our $Workers     = 1;
our $Connections = 64;
our $Master      = 'off';
our $LogLevel    = $ENV{TEST_NGINX_LOG_LEVEL} || 'debug';
our $Timeout     = $ENV{TEST_NGINX_TIMEOUT} || 3;
our $ServerName  = 'localhost';
our $Shuffle     = !$ENV{TEST_NGINX_NO_SHUFFLE};
our $RootLocation = 1;
our (@Env, @Preprocessors, @BodyChecks, @Cleanups, @TestCleanups);

our $ServerPort = $ENV{TEST_NGINX_RANDOMIZE}
    ? free_port()
    : $ENV{TEST_NGINX_SERVER_PORT} || $ENV{TEST_NGINX_PORT} || 1984;
our $ServRoot = $ENV{TEST_NGINX_RANDOMIZE}
    ? cwd() . "/t/servroot_$ServerPort"
    : $ENV{TEST_NGINX_SERVROOT} || cwd() . '/t/servroot';

$ENV{TEST_NGINX_SERVER_PORT} = $ServerPort
    if !defined $ENV{TEST_NGINX_SERVER_PORT} || $ENV{TEST_NGINX_RANDOMIZE};
$ENV{TEST_NGINX_SERVER_ROOT} = $ServRoot;

our $Server = Test::Nginx::Standin::Server->new(
    root => $ServRoot, port => $ServerPort, timeout => $Timeout,
    binary => $ENV{TEST_NGINX_BINARY} || 'nginx',
    modules => [ split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '' ],
    valgrind => $Valgrind,
    valgrind_opts => ($Valgrind // '') =~ /^-/ ? $Valgrind : '',
);

# A load run needs one request after the other, not a repetition of checks.
sub repeat_each {
    $RepeatEach = shift if @_ && !$LeakCheck;
    return $RepeatEach;
}

sub workers            { $Workers = shift if @_; return $Workers }
sub worker_connections { $Connections = shift if @_; return $Connections }
sub log_level          { $LogLevel = shift if @_; return $LogLevel }
sub server_name        { $ServerName = shift if @_; return $ServerName }
sub server_port            { return $ServerPort }
sub server_port_for_client { return $ServerPort }
sub server_addr        { return '127.0.0.1' }
sub server_root        { return $ServRoot }
sub html_dir           { return $Server->html_dir }
sub master_on          { $Master = 'on' }
sub master_off         { $Master = 'off' }
sub no_shuffle         { $Shuffle = 0 }
sub no_root_location   { $RootLocation = 0 }
sub no_long_string     { }
sub use_hup            { $UseHup = 1 }

sub master_process_enabled {
    $Master = shift() ? 'on' : 'off' if @_;
    return $Master;
}

sub timeout {
    $Timeout = $Server->{timeout} = shift if @_;
    return $Timeout;
}

sub env_to_nginx            { push @Env, @_ }
sub add_block_preprocessor(&) { unshift @Preprocessors, shift }
sub add_response_body_check { push @BodyChecks, shift }
sub add_cleanup_handler     { unshift @Cleanups, shift }
sub add_test_cleanup_handler { unshift @TestCleanups, shift }

sub bail_out { Test::More::BAIL_OUT(join '', @_) }

1;
