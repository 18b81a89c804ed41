package Test::Nginx::Standin::Check;

# What a block expects, held against what came: one Test::More result per
# expectation, in the order and number that Test::Nginx documents.

use strict;
use warnings;

use Test::More ();
use Time::HiRes qw(sleep time);

use Test::Nginx::Standin::Client;

# A section's value for one of several requests.
sub _value {
    my ($c, $value) = @_;

    return $value->[ $c->{index} ] if ref $value eq 'ARRAY';

    die "several requests need a list of expectations\n" if $c->{many};

    return $value;
}

# Runs or skips one check.
sub _check {
    my ($c, $what, $test) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 2;

    my $name = "$c->{name} - $what";

    SKIP: {
        Test::More::skip("$name - $c->{skip}", 1) if $c->{skip};
        $test->($name);
    }
}

# The reply to one request. $c: block, name, reply, index, many, repeat,
# skip (a reason, or undef), server, port.
sub reply {
    my ($c) = @_;

    my $block = $c->{block};

    _status($c, $block);
    _raw_headers($c, $block);
    _headers($c, $block);
    _body($c, $block);
}

sub _status {
    my ($c, $block) = @_;

    my $code = $c->{reply}{code};

    if (defined $block->error_code_like) {
        my $want = _value($c, $block->error_code_like);
        _check($c, 'status code ok',
               sub { Test::More::like($code, qr/$want/sm, $_[0]) });
        return;
    }

    my $want = defined $block->error_code
               ? _value($c, $block->error_code) : 200;
    _check($c, 'status code ok', sub { Test::More::is($code, $want, $_[0]) });
}

sub _raw_headers {
    my ($c, $block) = @_;

    my $got = $c->{reply}{raw_headers};

    if (defined $block->raw_response_headers_like) {
        my $want = _value($c, $block->raw_response_headers_like);
        _check($c, 'raw response headers match',
               sub { Test::More::like($got, qr/$want/s, $_[0]) });
    }

    if (defined $block->raw_response_headers_unlike) {
        my $want = _value($c, $block->raw_response_headers_unlike);
        _check($c, 'raw response headers do not match',
               sub { Test::More::unlike($got, qr/$want/s, $_[0]) });
    }
}

# [name, value or undef for "!name"] per line.
sub _header_lines {
    my ($text) = @_;

    my @out;

    for my $line (split /\n/, $text) {
        $line =~ s/^\s+|\s+$//g;
        next if $line eq '';
        push @out, $line =~ s/^!\s*// ? [$line, undef]
                                      : [ split /\s*:\s*/, $line, 2 ];
    }

    return @out;
}

sub _headers {
    my ($c, $block) = @_;

    if (defined $block->response_headers) {
        for my $line (_header_lines(_value($c, $block->response_headers))) {
            my ($name, $want) = @$line;
            my $got = Test::Nginx::Standin::Client::header($c->{reply}, $name);

            if (!defined $want) {
                _check($c, "no header $name",
                       sub { Test::More::is($got, undef, $_[0]) });
                next;
            }

            $want =~ s/\$ServerPort(?:ForClient)?\b/$c->{port}/g;
            _check($c, "header $name",
                   sub { Test::More::is($got // '', $want, $_[0]) });
        }

    } elsif (defined $block->response_headers_like) {
        for my $line (_header_lines(_value($c,
                                           $block->response_headers_like)))
        {
            my ($name, $want) = @$line;
            my $got = Test::Nginx::Standin::Client::header($c->{reply}, $name);
            _check($c, "header $name matches",
                   sub { Test::More::like($got // '', qr/^$want$/, $_[0]) });
        }
    }
}

sub _body {
    my ($c, $block) = @_;

    my $got = $c->{reply}{body};

    if (defined $block->response_body) {
        my $want = _value($c, $block->response_body);

        if (ref $want) {
            _check($c, 'response body matches',
                   sub { Test::More::like($got, $want, $_[0]) });
            return;
        }

        if (defined $want) {
            $want =~ s/\$ServerPort(?:ForClient)?\b/$c->{port}/g;
            $want = $c->{server}->expand($want);
        }

        _check($c, 'response body',
               sub { Test::More::is($got, $want, $_[0]) });
        return;
    }

    for my $kind (qw(like unlike)) {
        my $section = "response_body_$kind";
        next if !defined $block->$section;

        my $want = _value($c, $block->$section);
        $want =~ s/\$ServerPort(?:ForClient)?\b/$c->{port}/g;
        _check($c, "response body, $kind",
               sub { Test::More->can($kind)->($got, qr/$want/s, $_[0]) });
        return;
    }
}

# ---- logs ----

# Patterns of a log section: lines of text, or what a list holds.
sub _patterns {
    my ($value) = @_;

    return [] if !defined $value;
    return [ grep { defined } @$value ] if ref $value eq 'ARRAY';
    return [$value] if ref $value;

    chomp $value;

    return [ split /\n+/, $value ];
}

sub _matches {
    my ($line, $pattern) = @_;

    return ref $pattern ? $line =~ /$pattern/ : index($line, $pattern) >= 0;
}

# The log since the previous check. $c->{pos} is moved to its end. Lines that
# are expected are waited for: nginx may write them after the reply.
sub logs {
    my ($c) = @_;

    my $block = $c->{block};
    my $wanted = _patterns($block->error_log);
    my $deadline = time + ($c->{skip} ? 0 : $c->{timeout});
    my ($end, @lines);

    while (1) {
        ($end, @lines) = $c->{server}->log_from($c->{pos});
        last if time >= $deadline;

        my @missing = grep {
            my $p = $_;
            !grep { _matches($_, $p) } @lines
        } @$wanted;
        last if !@missing && (!@lines || $lines[-1] =~ /\n\z/);

        sleep 0.005;
    }

    $c->{pos} = $end;

    _grep($c, $block, @lines) if defined $block->grep_error_log
                              || defined $block->grep_error_log_out;
    _found($c, \@lines, $wanted, 'error.log');
    _not_found($c, \@lines, _patterns($block->no_error_log), 'error.log');

    for my $line (grep { /\bAssertion .*?failed\b/ } @lines) {
        Test::More::fail("$c->{name} - $line");
    }
}

# After nginx has ended.
sub shutdown_logs {
    my ($c) = @_;

    my $block = $c->{block};
    my ($end, @lines) = $c->{server}->log_from($c->{pos});

    _found($c, \@lines, _patterns($block->shutdown_error_log),
           'error.log at shutdown');
    _not_found($c, \@lines, _patterns($block->no_shutdown_error_log),
               'error.log at shutdown');
}

sub _grep {
    my ($c, $block, @lines) = @_;

    my ($pattern, $want) = ($block->grep_error_log,
                            $block->grep_error_log_out);

    die "grep_error_log and grep_error_log_out go together\n"
        if !defined $pattern || !defined $want;

    $_ = ref $_ eq 'ARRAY' ? $_->[ $c->{repeat} ] : $_ for $pattern, $want;
    return if !defined $pattern;

    chomp $pattern if !ref $pattern;
    my $got = '';

    for my $line (@lines) {
        if (ref $pattern ? $line =~ /($pattern)/ : $line =~ /(\Q$pattern\E)/) {
            $got .= "$1\n" if $1 !~ /\n/;
        }
    }

    if (ref $want) {
        _check($c, 'grep_error_log_out',
               sub { Test::More::like($got, $want, $_[0]) });

    } else {
        $want = $c->{server}->expand($want);
        _check($c, 'grep_error_log_out',
               sub { Test::More::is($got, $want, $_[0]) });
    }
}

sub _found {
    my ($c, $lines, $patterns, $where) = @_;

    for my $p (@$patterns) {
        _check($c, "\"$p\" is in $where", sub {
            Test::More::ok(scalar(grep { _matches($_, $p) } @$lines), $_[0])
        });
    }
}

sub _not_found {
    my ($c, $lines, $patterns, $where) = @_;

    for my $p (@$patterns) {
        my @bad = grep { _matches($_, $p) } @$lines;

        _check($c, "\"$p\" is not in $where", sub {
            Test::More::ok(!@bad, $_[0]) or Test::More::diag(@bad);
        });
    }
}

1;
