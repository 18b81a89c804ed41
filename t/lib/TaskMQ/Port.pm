package TaskMQ::Port;

# TCP ports for the specs, none of which is given twice: tests/e2e/ports.py says
# how, and claims by the same names.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::INET;
use IO::Socket::UNIX;

our @EXPORT_OK = qw(free_port);

my @Claims;

# A port that nobody has, below those that the kernel gives to connections. It
# is ours until this process ends.
sub free_port {
    open my $fh, '<', '/proc/sys/net/ipv4/ip_local_port_range' or die "$!\n";
    my ($end) = <$fh> =~ /(\d+)/;

    $end = 11000 if $end < 11000;

    while (1) {
        my $port = 10000 + int rand($end - 10000);
        my $claim = IO::Socket::UNIX->new(Local => "\0taskmq-port-$port",
                                          Listen => 1) or next;
        IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
                              Listen => 1) or next;
        push @Claims, $claim;
        return $port;
    }
}

1;
