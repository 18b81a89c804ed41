package Test::Nginx::Standin::Server;

# One nginx in its own server root: writes its configuration, starts, reloads
# and stops it, reads its logs. There is at most one at a time; whoever calls
# start() has stopped the previous one.

use strict;
use warnings;

use Errno qw(ENOENT);
use File::Path qw(make_path remove_tree);
use File::Spec;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

use TaskMQ::Port qw(free_port);
use Test::Nginx::Standin::Client;

# For processes to start and to end, which a busy machine makes slow.
use constant WAIT_S => 30;

our $Version = 0;           # of the configuration, for reloads

# Options: root, port, binary, modules, timeout, valgrind.
sub new {
    my ($class, %o) = @_;

    return bless { scratch => tempdir(CLEANUP => 1), rand_ports => {}, %o },
                 $class;
}

sub pid_file  { "$_[0]{root}/logs/nginx.pid" }
sub error_log { "$_[0]{root}/logs/error.log" }
sub conf_file { "$_[0]{root}/conf/nginx.conf" }
sub html_dir  { "$_[0]{root}/html" }

# ---- text ----

# Replaces $TEST_NGINX_NAME by the environment's value;
# $TEST_NGINX_RAND_PORT_n is a free port, the same one within a block.
sub expand {
    my ($self, $text) = @_;

    return $text if !defined $text || ref $text;

    $text =~ s{\$(TEST_NGINX_[_A-Z0-9]+)}{
        my $name = $1;
        $name =~ /^TEST_NGINX_RAND_PORT_\d+$/
            ? ($self->{rand_ports}{$name} //= free_port())
            : $ENV{$name} // die "no $name in the environment\n"
    }ge;

    return $text;
}

# ---- files ----

sub prepare_root {
    my ($self, $reloading) = @_;

    my $root = $self->{root};

    if (-d $root) {
        die "$root is not a server root of these tests\n"
            if !-d "$root/conf" && glob("$root/*");
        remove_tree("$root/conf", "$root/html", glob("$root/*_temp"),
                    glob("$root/*_cache"));
        remove_tree("$root/logs") if !$reloading;
    }

    make_path("$root/conf", "$root/html", "$root/logs");
    Test::Nginx::Standin::Client::_put("$root/html/index.html",
        '<html><head><title>It works!</title></head>'
        . '<body>It works!</body></html>');
}

# user_files: text with ">>> name" lines, or [[name, content], …].
sub write_user_files {
    my ($self, $files) = @_;

    return if !defined $files;

    if (!ref $files) {
        my @found;

        for my $line (split /^/, $files) {
            if ($line =~ /^>>> (\S+)\s*$/) {
                push @found, [$1, ''];

            } elsif (@found) {
                $found[-1][1] .= $line;

            } else {
                die "user_files: content before the first \">>> name\"\n";
            }
        }

        $files = \@found;
    }

    for my $file (@$files) {
        my ($name, $content) = @$file;
        my $path = File::Spec->file_name_is_absolute($name)
                   ? $name : $self->html_dir . "/$name";

        make_path($1) if $path =~ m{(.*)/};
        Test::Nginx::Standin::Client::_put($path,
                                           $self->expand($content // ''));
    }
}

# Options: main, http, config (texts), workers, master, log_level, http2,
# connections, reloadable, root_location, env (names), server_name.
sub write_config {
    my ($self, %o) = @_;

    my $root = $self->{root};
    my $h2 = $o{http2} ? ' http2' : '';
    my $http2_on = '';

    if ($o{http2} && $self->nginx_version ge sprintf '%03d%03d%03d', 1, 25, 1) {
        ($h2, $http2_on) = ('', 'http2 on;');
    }

    my $load = join '', map { "load_module $_;\n" } @{ $self->{modules} };
    my $env = join '', map { "env $_;\n" }
              @{ $o{env} // [] }, 'ASAN_OPTIONS', 'UBSAN_OPTIONS',
              'LSAN_OPTIONS', 'LD_PRELOAD';
    my $user = $> == 0 ? "user root;\n" : '';
    my $daemon = $self->{valgrind} ? 'off' : 'on';
    my $temp = join '', map { "    ${_}_temp_path $root/${_}_temp;\n" }
               grep { $o{http} !~ /\b${_}_temp_path\b/ }
               qw(client_body proxy fastcgi scgi uwsgi);
    my $default = $o{root_location}
        ? "        location / { root $root/html; index index.html; }\n" : '';

    my $probe = '';

    if ($o{reloadable}) {
        $Version++;
        $probe = <<"CONF";
    server {
        listen $self->{port}$h2;
        $http2_on
        server_name standin-probe;
        access_log off;
        location = /version { return 200 "$$.$Version"; }
    }
CONF
    }

    Test::Nginx::Standin::Client::_put($self->conf_file, <<"CONF");
${load}${user}${env}worker_processes $o{workers};
daemon $daemon;
master_process $o{master};
error_log $root/logs/error.log $o{log_level};
pid $root/logs/nginx.pid;
$o{main}
events {
    worker_connections $o{connections};
    accept_mutex off;
}

http {
    access_log $root/logs/access.log;
    default_type text/plain;
    keepalive_timeout 68;
$temp
$o{http}
    server {
        listen $self->{port}$h2;
        $http2_on
        server_name '$o{server_name}';
        client_max_body_size 30M;

$o{config}
$default    }
$probe}
CONF
}

sub nginx_version {
    my ($self) = @_;

    return $self->{version} //= do {
        my $out = `$self->{binary} -v 2>&1`;
        $out =~ m{/(\d+)\.(\d+)\.(\d+)}
            or die "$self->{binary} -v: $out\n";
        sprintf '%03d%03d%03d', $1, $2, $3;
    };
}

# ---- process ----

# Starts it. Returns the exit status of the starting process: 0, or why it
# refused. Afterwards it accepts connections.
sub start {
    my ($self, $quiet) = @_;

    my $root = $self->{root};
    my @cmd = ($self->{binary}, '-e', $self->error_log, '-p', "$root/",
               '-c', $self->conf_file);

    unshift @cmd, 'valgrind', '-q', "--log-file=$root/logs/valgrind.%p",
        '--num-callers=30', '--leak-check=full', '--show-possibly-lost=no',
        map({ "--suppressions=$_" } grep { -f } 't/valgrind.suppress'),
        split(' ', $self->{valgrind_opts})
        if $self->{valgrind};

    my $pid = fork // die "cannot fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null' if $quiet;
        no warnings 'exec';
        exec { $cmd[0] } @cmd;
        print STDERR "$cmd[0]: $!\n";
        POSIX::_exit(127);
    }

    if ($self->{valgrind}) {
        $self->{child} = $pid;

    } else {
        waitpid $pid, 0;
        return $? >> 8 || $? if $?;
    }

    $self->_until('nginx to write its pid file', sub {
        if ($self->{valgrind} && waitpid($pid, WNOHANG) == $pid) {
            delete $self->{child};
            die "nginx ended at start: $?\n";
        }
        $self->pid && $self->_listening;
    });

    return 0;
}

sub pid {
    my ($self) = @_;

    open my $fh, '<', $self->pid_file or return undef;
    my $pid = <$fh> // return undef;

    return $pid =~ /^(\d+)\n/ ? $1 : undef;
}

sub _listening {
    my ($self) = @_;

    return !!IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Timeout => 1);
}

sub running {
    my ($self) = @_;

    my $pid = $self->pid or return 0;

    return _alive($pid);
}

sub _alive {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;
    my $stat = <$fh> // return 0;

    return $stat !~ /\) [ZX] /;
}

# Pids of the processes that serve requests.
sub workers {
    my ($self) = @_;

    my $master = $self->pid or return;
    my @children = _children($master);

    return @children ? @children : ($master);
}

sub _children {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/task/$pid/children" or return;

    return split ' ', <$fh> // '';
}

# Ends it the graceful way and waits until master and workers are gone.
# Returns a complaint when that took too long, else undef.
sub stop {
    my ($self) = @_;

    my $pid = $self->pid or return undef;
    my @all = ($pid, _children($pid));
    my $complaint;

    if (_alive($pid)) {
        my $gone = sub {
            waitpid($self->{child}, WNOHANG) if $self->{child};
            !grep { _alive($_) } @all;
        };

        kill 'QUIT', $pid;

        if (!eval { $self->_until('nginx to quit', $gone); 1 }) {
            $complaint = "nginx did not quit within " . WAIT_S . ' s';
            kill 'KILL', @all;
            $self->_until('nginx to be gone', $gone);
        }
    }

    delete $self->{child};
    unlink $self->pid_file;

    return $complaint;
}

# Tells the running nginx to take the written configuration, and waits until
# no old worker accepts connections.
sub reload {
    my ($self, $http2) = @_;

    my $pid = $self->pid;
    my %old = map { $_ => 1 } _children($pid);

    kill 'HUP', $pid;

    $self->_until('nginx to reload', sub {
        die "nginx ended in a reload\n" if !_alive($pid);

        my ($end, @log) = $self->log_from(0);

        for my $worker (grep { $old{$_} } _children($pid)) {
            next if grep { / $worker#\d+: gracefully shutting down/ } @log;
            open my $fh, '<', "/proc/$worker/cmdline" or next;
            return 0 if (<$fh> // '') !~ /shutting down/;
        }

        return $self->_answers_new($http2) == 5;
    });
}

# How many of five connections in a row were answered by the new workers.
sub _answers_new {
    my ($self, $http2) = @_;

    for my $n (1 .. 5) {
        my $request = { value => "GET /version HTTP/1.1\r\n"
            . "Host: standin-probe\r\nConnection: close\r\n\r\n" };
        my %o = (addr => '127.0.0.1', port => $self->{port}, timeout => 1,
                 scratch => $self->{scratch});
        my ($bytes) = $http2
            ? Test::Nginx::Standin::Client::converse_h2([$request], %o)
            : Test::Nginx::Standin::Client::converse([$request], %o);

        return $n - 1
            if Test::Nginx::Standin::Client::parse($bytes)->{body}
               ne "$$.$Version";
    }

    return 5;
}

# Asks until the condition holds; dies after WAIT_S.
sub _until {
    my ($self, $what, $holds) = @_;

    my $deadline = time + WAIT_S;
    my $pause = 0.001;

    until ($holds->()) {
        die "timed out waiting for $what\n" if time > $deadline;
        sleep $pause;
        $pause *= 1.5 if $pause < 0.02;
    }
}

# ---- logs ----

# Lines of error.log from a position; returns the new position and the lines.
sub log_from {
    my ($self, $pos) = @_;

    open my $fh, '<', $self->error_log or do {
        die $self->error_log . ": $!\n" if $! != ENOENT;
        return (0);
    };

    seek $fh, $pos, 0;
    my @lines = <$fh>;

    return (tell $fh, @lines);
}

# Lines after a position that no test may leave behind: of error.log and of
# valgrind's reports.
sub complaints {
    my ($self, $pos, $emerg_is_fine) = @_;

    my ($end, @lines) = $self->log_from($pos);
    my @bad = grep { /\[alert\]|Sanitizer|runtime error:|\bAssertion .*failed/
                     || !$emerg_is_fine && /\[emerg\]/ } @lines;

    for my $file (glob "$self->{root}/logs/valgrind.*") {
        open my $fh, '<', $file or next;
        push @bad, <$fh>;
    }

    return @bad;
}

1;
