package Test::Nginx::Socket;

# A stand-in for Test::Nginx::Socket on machines that have only Debian's
# Test::Base. It runs the same test files with the same results, knows the
# sections listed below, and dies on any other, so that no expectation goes
# unchecked. TEST_NGINX_ variables choose the mode, as in Test::Nginx.

use strict;
use warnings;

use Test::Base -base;
use List::Util qw(shuffle sum);
use POSIX ();
use Test::More ();
use Time::HiRes qw(sleep time);

use Test::Nginx::Util;
use Test::Nginx::Standin::Check;
use Test::Nginx::Standin::Client;
use Test::Nginx::Standin::Server;

our @EXPORT = (@Test::Nginx::Util::SETTINGS,
               qw(plan run_tests run_test $ServerPort $ServRoot));

my %Known = map { $_ => 1 } qw(
    main_config http_config config user_files init log_level must_die
    suppress_stderr http2 no_http2 no_check_leak
    request pipelined_requests raw_request raw_request_middle_delay
    more_headers timeout abort wait ignore_response
    error_code error_code_like response_body response_body_like
    response_body_unlike response_headers response_headers_like
    raw_response_headers_like raw_response_headers_unlike
    error_log no_error_log grep_error_log grep_error_log_out
    shutdown_error_log no_shutdown_error_log
    SKIP ONLY LAST
);

# For a helper that gives further sections a meaning by the hooks.
sub allow_sections {
    shift;
    $Known{$_} = 1 for @_;
}

my $server = $Test::Nginx::Util::Server;
my ($owner, $started, $previous) = ($$);

sub run_tests() {
    my @blocks = Test::Base::blocks();

    for my $block (@blocks) {
        for my $section (@{ $block->_section_order }, ) {
            die $block->name . ": section \"$section\" is unknown here\n"
                if !$Known{$section};
        }
    }

    @blocks = shuffle(@blocks) if $Test::Nginx::Util::Shuffle;

    for my $block (@blocks) {
        $_->($block) for @Test::Nginx::Util::Preprocessors;
        run_test($block);
        $_->($block) for @Test::Nginx::Util::TestCleanups;
    }

    finish();
}

sub finish {
    my @todo = @Test::Nginx::Util::Cleanups;

    @Test::Nginx::Util::Cleanups = ();
    $_->() for @todo;
    end_previous();
}

END {
    if ($$ == $owner) {
        local $?;
        eval { finish(); 1 } or Test::More::diag("at the end: $@");

        if ($ENV{TEST_NGINX_RANDOMIZE} && Test::More->builder->is_passing) {
            require File::Path;
            File::Path::remove_tree($ServRoot);
        }
    }
}

sub run_test($) {
    my ($block) = @_;

    my $name = "$0 " . $block->name;

    eval {
        local $SIG{__DIE__};
        _run($block, $name);
        1;

    } or do {
        my $error = $@;
        Test::More::fail("$name - $error");
    };
}

sub _run {
    my ($block, $name) = @_;

    my $dies = defined $block->must_die;
    my $http2 = _use_http2($block);

    local $server->{valgrind} = $dies ? undef : $server->{valgrind};

    my $pos = _start($block, $http2, $dies);

    my $c = {
        block => $block, name => $name, server => $server, pos => $pos,
        port => $ServerPort, timeout => $Test::Nginx::Util::Timeout,
        index => 0, many => 0, repeat => 0,
    };

    if ($dies) {
        _must_die($c, $block->must_die);
        return;
    }

    $previous = { context => $c, from => $pos };

    my $init = $block->init;

    if (defined $init) {
        eval "package main; $init; 1" or die "init: $@" if !ref $init;
    }

    my $limit = _seconds($block->timeout) // $Test::Nginx::Util::Timeout;

    for my $repeat (0 .. $Test::Nginx::Util::RepeatEach - 1) {
        my @exchanges = Test::Nginx::Standin::Client::exchanges($block,
            $Test::Nginx::Util::ServerName, sub { $server->expand(@_) });

        $server->write_user_files($block->user_files) if $repeat;
        $c->{repeat} = $repeat;
        $c->{index} = 0;
        $c->{many} = @exchanges > 1 || $exchanges[0]{replies} > 1;

        if ($Test::Nginx::Util::LeakCheck && !defined $block->no_check_leak
            && !defined $block->abort)
        {
            _leak_check($c, $exchanges[0], $limit, $http2);
        }

        $c->{skip} = 'not in the leak check'
            if $Test::Nginx::Util::LeakCheck;

        for my $exchange (@exchanges) {
            _exchange($c, $exchange, $limit, $http2);
        }
    }
}

# Starts or reloads nginx for a block. Returns where its log begins.
sub _start {
    my ($block, $http2, $dies) = @_;

    my $reload = $Test::Nginx::Util::UseHup && !$dies && $started
                 && $server->running;

    end_previous($reload);
    $server->stop if !$reload;
    $server->{rand_ports} = {};

    my $config = $server->expand($block->config)
        // die "there is no config section\n";

    $server->prepare_root($reload);
    $server->write_user_files($block->user_files);
    $server->write_config(
        main => $server->expand($block->main_config) // '',
        http => $server->expand($block->http_config) // '',
        config => $config, http2 => $http2,
        workers => $Test::Nginx::Util::Workers,
        connections => $Test::Nginx::Util::Connections,
        master => $Test::Nginx::Util::UseHup ? 'on'
                  : $Test::Nginx::Util::Master,
        log_level => $Test::Nginx::Util::LeakCheck ? 'warn'
                     : _line($block->log_level)
                       // $Test::Nginx::Util::LogLevel,
        reloadable => $Test::Nginx::Util::UseHup,
        root_location => $Test::Nginx::Util::RootLocation,
        env => \@Test::Nginx::Util::Env,
        server_name => $Test::Nginx::Util::ServerName,
    );

    if ($reload) {
        my ($end) = $server->log_from(0);

        # What was refused is not for the next block to start from.
        undef $started;
        $server->reload($http2);
        $started = { status => 0 };

        return $end;
    }

    my $status = $server->start(defined $block->suppress_stderr);

    die "nginx does not start (status $status)\n" if $status && !$dies;

    $started = { status => $status };

    return 0;
}

# Starts nginx as often as a request would be repeated.
sub _must_die {
    my ($c, $code) = @_;

    my $quiet = defined $c->{block}->suppress_stderr;
    my $status = $started->{status};

    for my $repeat (0 .. $Test::Nginx::Util::RepeatEach - 1) {
        $status = $server->start($quiet) if $repeat;
        $c->{repeat} = $repeat;

        if ($code =~ /^\s*(\d+)\s*$/) {
            Test::More::is($status, $1, "$c->{name} - dies with that status");

        } else {
            Test::More::isnt($status, 0, "$c->{name} - dies");
        }

        Test::Nginx::Standin::Check::logs($c);
        $server->stop if $status == 0;
    }

    my @bad = $server->complaints(0, 1);
    Test::More::fail("$c->{name} - left behind: @bad") if @bad;
    undef $started;
}

# Ends the nginx of the previous block and holds its log to account.
sub end_previous {
    my ($reloading) = @_;

    my $p = $previous or return;
    my $c = $p->{context};

    undef $previous;

    if ($reloading) {
        $c->{skip} = 'nginx was not stopped';

    } else {
        my $complaint = $server->stop;
        Test::More::fail("$c->{name} - $complaint") if defined $complaint;
        undef $started;
    }

    Test::Nginx::Standin::Check::shutdown_logs($c);

    my @bad = $server->complaints($p->{from}, 0);
    Test::More::fail("$c->{name} - left behind: @bad") if @bad;
}

sub _exchange {
    my ($c, $exchange, $limit, $http2) = @_;

    my $block = $c->{block};
    my ($bytes, $error) = ('', undef);

    if (!$c->{skip}) {
        ($bytes, $error) = _send($exchange, $limit, $http2);

        if (defined $error
            && !($error =~ /^timeout|^curl: .*\(28\)/ && defined $block->abort))
        {
            Test::More::fail("$c->{name} - $error");
        }
    }

    for my $n (0 .. $exchange->{replies} - 1) {
        if (!defined $block->ignore_response) {
            my $r = Test::Nginx::Standin::Client::parse($bytes,
                                                    $exchange->{heads}[$n]);

            Test::More::diag("$c->{name} - $r->{problem}")
                if defined $r->{problem} && !$c->{skip};

            $c->{reply} = $r;
            $bytes = $r->{left};
            Test::Nginx::Standin::Check::reply($c);

            $_->($block, $r->{body}, $c->{index}, $c->{repeat}, $c->{skip})
                for @Test::Nginx::Util::BodyChecks;
        }

        sleep _line($block->wait) if defined $block->wait && !$c->{skip};
        Test::Nginx::Standin::Check::logs($c);
        $c->{index}++;
    }

    if ($bytes ne '' && !defined $block->ignore_response && !$c->{skip}) {
        Test::More::diag("$c->{name} - bytes after the last reply: $bytes");
    }
}

sub _send {
    my ($exchange, $limit, $http2) = @_;

    my %o = (addr => '127.0.0.1', port => $ServerPort, timeout => $limit,
             scratch => $server->{scratch});

    return $http2
        ? Test::Nginx::Standin::Client::converse_h2($exchange->{packets}, %o)
        : Test::Nginx::Standin::Client::converse($exchange->{packets}, %o);
}

sub _use_http2 {
    my ($block) = @_;

    my $plain = defined $block->raw_request
                || defined $block->pipelined_requests;

    if (defined $block->http2) {
        die "http2 is for the request section only\n" if $plain;
        return 1;
    }

    return 0 if !$Test::Nginx::Util::UseHttp2 || $plain
             || defined $block->no_http2 || !defined $block->request;

    return ref $block->request || $block->request !~ m{HTTP/1\.0} ? 1 : 0;
}

sub _line {
    my ($text) = @_;

    $text =~ s/\s+\z// if defined $text;

    return $text;
}

sub _seconds {
    my ($text) = @_;

    $text = _line($text) // return undef;
    return $1 / 1000 if $text =~ /^([\d.]+)ms$/;
    $text =~ s/s\z//;

    return $text;
}

# ---- leak mode ----

# Repeats a block's first request from a child and samples the resident size
# of nginx. TEST_NGINX_LEAK_MAX (KiB per sample) is the steepest slope that
# passes.
sub _leak_check {
    my ($c, $exchange, $limit, $http2) = @_;

    my $count = $ENV{TEST_NGINX_CHECK_LEAK_COUNT} || 100;
    my $max = $ENV{TEST_NGINX_LEAK_MAX} // 10;
    my $pid = fork // die "cannot fork: $!\n";

    if ($pid == 0) {
        while (1) {
            my ($bytes, $error) = _send($exchange, $limit, $http2);
            POSIX::_exit(1) if defined $error;
        }
    }

    # Pools and caches are filled once: the first part of the run is not
    # counted.
    my (@rss, $gone);

    for my $n (1 .. $count + $count / 2) {
        sleep 0.02;
        my $kb = 0;

        for my $worker ($server->workers) {
            open my $fh, '<', "/proc/$worker/status" or next;
            $kb += $_ for map { /^VmRSS:\s*(\d+)/ ? $1 : () } <$fh>;
        }

        $gone = 1, last if $kb == 0;
        push @rss, $kb if $n > $count / 2;
    }

    my $stopped = waitpid $pid, POSIX::WNOHANG();
    kill 'KILL', $pid if !$stopped;
    waitpid $pid, 0 if !$stopped;

    if ($gone || $stopped) {
        Test::More::fail("$c->{name} - "
            . ($gone ? 'nginx is gone' : 'the load stopped'));
        return;
    }

    my $k = _slope(@rss);
    Test::More::diag(sprintf '%s - LeakTest: %d..%d KiB, k=%.1f',
                     $c->{name}, $rss[0], $rss[-1], $k);
    Test::More::fail("$c->{name} - grows by $k KiB per sample") if $k > $max;
}

# Least squares: how much y grows from one sample to the next.
sub _slope {
    my @y = @_;

    my $n = @y;
    my ($mx, $my) = (($n - 1) / 2, sum(@y) / $n);
    my ($xy, $xx) = (0, 0);

    for my $x (0 .. $n - 1) {
        $xy += ($x - $mx) * ($y[$x] - $my);
        $xx += ($x - $mx) ** 2;
    }

    return $xx ? $xy / $xx : 0;
}

1;
