package TaskMQ::Worker;

# Plays the worker's part by calling the queue's own scripts, so that a spec
# can bring a job into any state without a worker process.

use strict;
use warnings;

use Exporter qw(import);

use TaskMQ::Redis;

our @EXPORT = qw(script claim complete fail_job);

my %text;
my $id = 'feedc0ffee012345';
my $claims = 0;

# Calls one of libtaskmq/lua/ in a namespace.
sub script {
    my ($name, @args) = @_;

    my $ns = $name =~ s/^(.*):// ? $1 : 'taskmq';

    $text{$name} //= do {
        open my $out, '-|', 'sh', 'libtaskmq/embed.sh', 'libtaskmq/lua', $name
            or die "embed.sh: $!\n";
        local $/;
        my $text = <$out>;
        close $out or die "embed.sh $name failed\n";
        $text;
    };

    return redis()->call('EVAL', $text{$name}, 1, "{$ns}:", @args);
}

# Takes waiting jobs of a handler; a list of { id, token, attempts, record }.
sub claim {
    my ($handler, $n) = @_;

    my $token = sprintf('%012x', ++$claims) . $id;
    my ($now, $due, @rest) = @{ script('claim', $token, 'spec:1', 60000,
        $n // 1, 0, $handler, $n // 1) };
    my @jobs;

    while (my ($job, $attempts, $record) = splice @rest, 0, 3) {
        push @jobs, { id => $job, attempts => $attempts, record => $record,
                      token => $token };
    }

    return wantarray ? @jobs : $jobs[0];
}

sub complete {
    my ($job, $result, $log) = @_;

    return script('complete', "l$job->{token}", $job->{id}, $result // 'null',
                  $log // '');
}

# For good, unless $retryable.
sub fail_job {
    my ($job, $error, $retryable, $log) = @_;

    return script('fail', 0, $job->{id}, $job->{token}, $retryable ? 1 : 0,
                  $error, $log // '', -1);
}

1;
