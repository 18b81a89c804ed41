package TaskMQ::Spec;

# What the specs in t/ share, under the genuine Test::Nginx::Socket as well as
# under the stand-in: the number of planned tests, what every block asserts of
# the logs, defaults, and three sections of our own:
#
#   --- after eval: [sub { ... }, undef, ...]   run after the n-th reply, with
#                   its body
#   --- logged eval: [qr/.../, undef, ...]      is in error.log since the
#                   previous reply
#   --- redis eval: ['CMD arg' => expected, ...]   asked after the last reply;
#                   expected is text or a pattern, CMD arg may be a list
#
# To be loaded after Test::Nginx::Socket.

use strict;
use warnings;

use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVTIMEO);
use Test::More ();
use Time::HiRes qw(sleep time);

use TaskMQ::Redis;
use TaskMQ::Token;
use TaskMQ::Worker;

our @EXPORT = (qw(planned defaults queue ready get send_raw begin_request
                  reload_nginx is_leaving workers_of_nginx scratch write_file wait_until),
               @TaskMQ::Redis::EXPORT, @TaskMQ::Token::EXPORT,
               @TaskMQ::Worker::EXPORT);

# No spec may leave one of these in error.log.
our $Never = qr/\[alert\]|\[emerg\]|Sanitizer|runtime error:/;

my $defaults;
my %prepared;

if (my $allow = Test::Nginx::Socket->can('allow_sections')) {
    $allow->('Test::Nginx::Socket', qw(after logged redis));
}

Test::Nginx::Socket::no_shuffle();
Test::Nginx::Socket::master_on();
Test::Nginx::Socket::log_level('info');

# Nothing of the caller's environment may decide a test.
delete @ENV{grep { /^TASKMQ_/ } keys %ENV};

# A folder for this test file's own files; $TEST_NGINX_SCRATCH in sections.
sub scratch {
    return $ENV{TEST_NGINX_SCRATCH} //= tempdir('taskmq-t-XXXXXX',
                                                TMPDIR => 1, CLEANUP => 1);
}

# Writes a file in the scratch folder and returns its path.
sub write_file {
    my ($name, $bytes, $mode) = @_;

    my $path = scratch() . "/$name";

    open my $fh, '>:raw', $path or die "$path: $!\n";
    print $fh $bytes;
    close $fh or die "$path: $!\n";
    chmod $mode, $path if defined $mode;

    return $path;
}

# Asks until the code returns true; returns that, or dies after 10 s (60 s
# under valgrind).
sub wait_until {
    my ($what, $code, $seconds) = @_;

    my $deadline = time + ($seconds
                           // ($ENV{TEST_NGINX_USE_VALGRIND} ? 60 : 10));

    while (time < $deadline) {
        my $got = $code->();
        return $got if $got;
        sleep 0.005;
    }

    die "timed out waiting for $what\n";
}

# Sets sections that blocks may leave out: config, http_config, main_config …
sub defaults {
    $defaults = { @_ };
}

# The usual case: a Redis that is emptied before each block, a secret, and the
# TaskMQ API at the root. Blocks may replace any of it; what is given here
# replaces it for the whole file.
sub queue {
    my (%sections) = @_;

    redis();
    write_file('secret', $Secret);
    Test::Nginx::Socket::no_root_location();
    Test::Nginx::Socket::add_block_preprocessor(sub { redis()->flush });

    defaults(
        http_config => "taskmq_redis unix:\$TEST_NGINX_REDIS;\n"
            . "taskmq_jwt_secret_file \$TEST_NGINX_SCRATCH/secret;\n"
            # a busy machine is not what these files test
            . "taskmq_redis_timeout 10s;\n",
        config => 'location / { taskmq_api taskmq; }',
        init => '::ready()',
        %sections,
    );
}

# Waits until nginx has its Redis.
sub ready {
    my ($path) = @_;

    wait_until('nginx to be ready', sub {
        get($path // '/health') =~ m{^HTTP/1\.1 200 };
    });
}

# One plain GET; the reply's bytes.
sub get {
    my ($path, @headers) = @_;

    return send_raw(join "\r\n", "GET $path HTTP/1.1", 'Host: localhost',
                    'Connection: close', @headers, '', '');
}

# Sends a request's bytes and reads until nginx closes; '' when it does not
# answer. Where nginx speaks HTTP/2, curl translates.
sub send_raw {
    my ($bytes) = @_;

    return _by_curl($bytes) if _speaks_http2();

    my $finish = begin_request($bytes) or return '';

    return $finish->();
}

sub _speaks_http2 {
    open my $fh, '<', Test::Nginx::Socket::server_root() . '/conf/nginx.conf'
        or return 0;

    return scalar grep { /^\s*listen\s+\d+ http2;|^\s*http2 on;/ } <$fh>;
}

sub _by_curl {
    my ($bytes) = @_;

    my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
    my ($line, @headers) = split /\r\n/, $head;
    my ($method, $uri) = split / /, $line;
    my @cmd = ('curl', '-sS', '-i', '--http2-prior-knowledge', '-X', $method,
        map({ ('-H', $_) } grep { !/^(Connection|Host|Content-Length):/i }
            @headers));

    push @cmd, '-H', 'Content-Type:', '--data-binary',
        '@' . write_file('curl.body', $body) if $body ne '';

    open my $out, '-|', @cmd,
        "http://127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}$uri"
        or die "curl: $!\n";
    local $/;
    my $reply = <$out> // '';
    $reply =~ s{\AHTTP/2 }{HTTP/1.1 };

    return $reply;
}

# Sends bytes over HTTP/1.1, and returns a sub that reads the reply.
sub begin_request {
    my ($bytes) = @_;

    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $ENV{TEST_NGINX_SERVER_PORT}, Timeout => 2)
        or return undef;

    # an nginx whose workers end before they accept would never answer
    setsockopt $sock, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 30, 0)
        or die "SO_RCVTIMEO: $!\n" if !$ENV{TEST_NGINX_USE_VALGRIND};

    local $SIG{PIPE} = 'IGNORE';
    print $sock $bytes;
    $sock->flush;

    return sub {
        local $/;
        return <$sock> // '';
    };
}

sub workers_of_nginx {
    my $root = Test::Nginx::Socket::server_root();

    open my $fh, '<', "$root/logs/nginx.pid" or die "no nginx.pid: $!\n";
    my $master = <$fh> + 0;
    open $fh, '<', "/proc/$master/task/$master/children"
        or die "nginx is gone\n";

    return ($master, split ' ', <$fh> // '');
}

# Reloads nginx, and returns when the old workers take no new connections.
sub reload_nginx {
    my ($master, @old) = workers_of_nginx();

    kill 'HUP', $master;

    wait_until('nginx to reload', sub {
        my (undef, @now) = workers_of_nginx();
        my %is = map { $_ => 1 } @now;

        return 0 if !grep { my $w = $_; !grep { $_ == $w } @old } @now;

        return !grep { $is{$_} && !is_leaving($_) } @old;
    });
}

# Has a worker stopped to take connections?
sub is_leaving {
    my ($worker) = @_;

    return 1 if !-d "/proc/$worker";

    open my $fh, '<', Test::Nginx::Socket::server_root() . '/logs/error.log'
        or die "no error.log: $!\n";

    return scalar grep { / $worker#\d+: gracefully shutting down/ } <$fh>;
}

# How many tests the blocks of this file make.
sub planned {
    my $n = 0;

    for my $block (Test::Base::blocks()) {
        _prepare($block);
        $n += Test::Nginx::Socket::repeat_each() * _count($block)
            + @{ _list($block->shutdown_error_log) }
            + @{ _list($block->no_shutdown_error_log) };
    }

    return $n;
}

sub _prepare {
    my ($block) = @_;

    return if $prepared{$block}++;

    for my $section (keys %{ $defaults // {} }) {
        $block->set_value($section, $defaults->{$section})
            if !defined $block->$section;
    }

    if (defined $block->must_die) {
        $block->set_value('suppress_stderr', '');
        return;
    }

    for my $section (qw(no_error_log no_shutdown_error_log)) {
        $block->set_value($section, [ @{ _list($block->$section) }, $Never ]);
    }
}

# The patterns of a log section.
sub _list {
    my ($value) = @_;

    return [] if !defined $value;
    return [ grep { defined } @$value ] if ref $value eq 'ARRAY';
    return [$value] if ref $value;

    chomp $value;

    return [ split /\n+/, $value ];
}

sub _count {
    my ($block) = @_;

    my $logs = @{ _list($block->error_log) } + @{ _list($block->no_error_log) }
               + (defined $block->grep_error_log ? 1 : 0);

    return 1 + $logs if defined $block->must_die;

    my $replies = 1;

    for my $section (qw(pipelined_requests request)) {
        my $value = $block->$section;
        next if ref $value ne 'ARRAY';
        $replies = @$value;
        last;
    }

    return $replies * $logs if defined $block->ignore_response;

    my $n = $replies * ($logs + 1);         # the status

    $n += $replies for grep { defined $block->$_ }
        qw(raw_response_headers_like raw_response_headers_unlike);

    my $bodies = grep { defined $block->$_ }
        qw(response_body response_body_like response_body_unlike);
    $n += $replies if $bodies;

    my $headers = $block->response_headers // $block->response_headers_like;

    if (defined $headers) {
        my @texts = ref $headers ? @$headers[0 .. $replies - 1]
                                 : ($headers) x $replies;
        # A name that is expected twice is one test.
        for my $text (@texts) {
            my %names = map { /^\s*!?\s*([^:\s]+)/ ? ($1 => 1) : () }
                        split /\n/, $text;
            $n += keys %names;
        }
    }

    $n += grep { defined } @{ $block->logged } if defined $block->logged;
    $n += @{ $block->redis } / 2 if defined $block->redis;

    return $n;
}

# Test::Nginx 0.31 and 0.32 write "http2 on;" for nginx 1.19.9 and later,
# which is known from 1.25.1 on. Until then they must take nginx for older.
Test::Nginx::Socket::add_block_preprocessor(sub {
    no warnings 'once';
    my $version = $Test::Nginx::Util::NginxVersion // return;

    $Test::Nginx::Util::NginxVersion = '1.019008'
        if $version > 1.019008 && $version < 1.025001;
});

# ---- sections of our own ----

Test::Nginx::Socket::add_response_body_check(sub {
    my ($block, $body, $index, $repeat, $dry) = @_;

    _after($block, $body, $index) if !$dry && defined $block->after;
    _logged($block, $index, $dry) if defined $block->logged;
    _redis($block, $dry) if defined $block->redis && $index == _last($block);
});

# Number of the last reply.
sub _last {
    my ($block) = @_;

    my ($request, $pipelined) = ($block->request, $block->pipelined_requests);

    return ref $pipelined ? $#$pipelined
           : ref $request eq 'ARRAY' ? $#$request : 0;
}

sub _after {
    my ($block, $body, $index) = @_;

    my $code = $block->after->[$index] // return;

    eval { $code->($body); 1 }
        or Test::More::fail($block->name . " - after $index: $@");
}

my %read;

sub _logged {
    my ($block, $index, $dry) = @_;

    my $path = Test::Nginx::Socket::server_root() . '/logs/error.log';
    my $want = $block->logged->[$index];
    my $name = $block->name . " - logged $index";

    SKIP: {
        Test::More::skip("$name - $dry", 1) if $dry && defined $want;

        %read = () if !$read{$block};
        my $from = $read{$block} // 0;
        my $text;

        eval {
            wait_until('the log', sub {
                open my $fh, '<', $path or die "$path: $!\n";
                seek $fh, $from, 0;
                local $/;
                $text = <$fh> // '';
                $read{$block} = tell $fh;
                !defined $want || $text =~ $want;
            }, Test::Nginx::Socket::timeout());
        };

        Test::More::like($text, $want, $name) if defined $want;
    }
}

sub _redis {
    my ($block, $dry) = @_;

    my @want = @{ $block->redis };

    while (my ($command, $expected) = splice @want, 0, 2) {
        my @command = ref $command ? @$command : split / /, $command;
        my $name = $block->name . " - redis @command";

        SKIP: {
            Test::More::skip("$name - $dry", 1) if $dry;

            my $got = eval { TaskMQ::Redis::text(redis()->call(@command)) }
                      // $@;
            ref $expected ? Test::More::like($got, $expected, $name)
                          : Test::More::is($got, $expected, $name);
        }
    }
}

1;
