package TaskMQ::Redis;

# A private redis-server on a unix socket, and a small client for it. The
# server ends with the object or with the process.

use strict;
use warnings;

use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(redis);

my ($shared, @all);
my $owner = $$;

# The server of this test file, started when first asked for.
# $TEST_NGINX_REDIS in sections is its socket.
sub redis {
    return $shared //= do {
        my $r = TaskMQ::Redis->new;
        $ENV{TEST_NGINX_REDIS} = $r->socket;
        $r;
    };
}

# Options are redis-server's: new(requirepass => 'x', maxmemory => '1mb').
sub new {
    my ($class, %options) = @_;

    my $self = bless {
        dir => tempdir('taskmq-redis-XXXXXX', TMPDIR => 1, CLEANUP => 1),
        options => \%options,
    }, $class;

    push @all, $self;
    $self->start;

    return $self;
}

sub socket { return "$_[0]{dir}/redis.sock" }

sub start {
    my ($self) = @_;

    my %o = (port => 0, unixsocket => $self->socket, dir => $self->{dir},
             save => '', appendonly => 'no', daemonize => 'no',
             'maxmemory-policy' => 'noeviction', %{ $self->{options} });
    my @cmd = ('redis-server', map { ("--$_", $o{$_}) } sort keys %o);

    # A killed server leaves its socket behind.
    unlink $self->socket;

    $self->{pid} = fork // die "cannot fork: $!\n";

    if ($self->{pid} == 0) {
        open STDOUT, '>>', "$self->{dir}/log";
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec { $cmd[0] } @cmd;
        POSIX::_exit(127);
    }

    my $deadline = time + 10;

    until ($self->_connect) {
        die "redis-server does not start\n"
            if time > $deadline || waitpid($self->{pid}, WNOHANG);
        sleep 0.003;
    }

    # A password is part of what is tested, not of the test's own access.
    $self->call('AUTH', $o{requirepass}) if $o{requirepass};

    return $self;
}

# Ends the server; 'KILL' to leave it no time.
sub stop {
    my ($self, $signal) = @_;

    my $pid = delete $self->{pid} or return;

    # A paused server can be killed, but not asked to end.
    kill 'CONT', $pid if !defined $signal;
    kill $signal // 'TERM', $pid;
    waitpid $pid, 0;
    delete $self->{conn};
}

sub pause    { kill 'STOP', $_[0]{pid} }
sub continue { kill 'CONT', $_[0]{pid} }

sub flush {
    my ($self) = @_;

    $self->start if !$self->{pid};
    $self->continue;
    $self->call('FLUSHALL');
}

sub _connect {
    my ($self) = @_;

    return $self->{conn} = IO::Socket::UNIX->new(Peer => $self->socket);
}

# Sends one command, returns its reply: text, undef for nil, an array; dies
# on an error reply.
sub call {
    my ($self, @args) = @_;

    my $conn = $self->{conn} // $self->_connect // die "no Redis: $!\n";

    print $conn '*', scalar @args, "\r\n",
                map { '$' . length($_) . "\r\n$_\r\n" } @args;
    $conn->flush;

    return $self->_reply;
}

sub _reply {
    my ($self) = @_;

    local $/ = "\r\n";

    my $line = readline $self->{conn};

    if (!defined $line) {
        delete $self->{conn};
        die "Redis closed the connection\n";
    }

    chomp $line;
    my ($type, $rest) = (substr($line, 0, 1), substr $line, 1);

    return $rest if $type eq '+' || $type eq ':';
    die "$rest\n" if $type eq '-';
    return undef if $rest == -1;
    return [ map { $self->_reply } 1 .. $rest ] if $type eq '*';

    read $self->{conn}, my $bytes, $rest + 2;

    return substr $bytes, 0, $rest;
}

# A reply as one text: (nil), or elements separated by spaces.
sub text {
    my ($reply) = @_;

    return '(nil)' if !defined $reply;
    return join ' ', map { text($_) } @$reply if ref $reply;
    return $reply;
}

END {
    if ($$ == $owner) {
        local $?;
        $_->stop('KILL') for @all;
    }
}

1;
