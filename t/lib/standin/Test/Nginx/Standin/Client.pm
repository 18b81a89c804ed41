package Test::Nginx::Standin::Client;

# The client side of the stand-in: turns a block's request sections into the
# bytes to send, sends them, and takes the reply apart. Knows nothing of
# checks, of nginx processes, or of Test::Base beyond a block's accessors.

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR);
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_ERROR);
use Time::HiRes qw(sleep time);

# Takes a block; returns a list of exchanges. An exchange is what goes over
# one connection: { packets => [ { value, delay_before } ], replies => N,
# heads => [ bool per reply ] }. $expand replaces $TEST_NGINX_ names.
sub exchanges {
    my ($block, $server_name, $expand) = @_;

    my $raw = $block->raw_request;

    if (defined $raw) {
        my @values = ref $raw ? @$raw : ($raw);
        return { packets => _delayed($block, map { { value => $_ } } @values),
                 replies => 1, heads => [ $values[0] =~ /^\s*HEAD\s/ ? 1 : 0 ] };
    }

    my $pipelined = $block->pipelined_requests;

    if (defined $pipelined) {
        die "pipelined_requests must be an array\n"
            if ref $pipelined ne 'ARRAY';

        my ($bytes, @heads) = ('');

        for my $i (0 .. $#$pipelined) {
            my $close = $i == $#$pipelined ? 'close' : 'keep-alive';
            my ($packet) = _render([ $expand->($pipelined->[$i]) ],
                                   _headers($block, $i), $close, $server_name);
            $bytes .= $packet;
            push @heads, $packet =~ /^HEAD / ? 1 : 0;
        }

        return { packets => [ { value => $bytes } ], heads => \@heads,
                 replies => scalar @$pipelined };
    }

    my $request = $block->request;
    die "no request, raw_request or pipelined_requests\n"
        if !defined $request;

    if (!ref $request) {
        # Leading empty and comment lines are not part of the request.
        1 while $request =~ s/\A\s*#[^\n]*\n\s*// || $request =~ s/\A\s+//;
        $request = [$request];
    }

    my @out;

    for my $i (0 .. $#$request) {
        my $one = $request->[$i];
        my @parts = map { ref $_ ? { %$_ } : { value => $_ } }
                    ref $one eq 'ARRAY' ? @$one : ($one);
        my @bytes = _render([ map { $_->{value} } @parts ],
                            _headers($block, $i), 'close', $server_name);

        $parts[$_]{value} = $bytes[$_] for 0 .. $#parts;
        push @out, { packets => _delayed($block, @parts), replies => 1,
                     heads => [ $bytes[0] =~ /^HEAD / ? 1 : 0 ] };
    }

    return @out;
}

sub _delayed {
    my ($block, @packets) = @_;

    my $delay = $block->raw_request_middle_delay;

    if (defined $delay) {
        $_->{delay_before} //= $delay for @packets[1 .. $#packets];
    }

    return \@packets;
}

# The i-th more_headers as lines with CRLF.
sub _headers {
    my ($block, $i) = @_;

    my $text = $block->more_headers // '';

    if (ref $text eq 'ARRAY') {
        $text = $text->[$i];
        die "more_headers has no entry for request $i\n" if !defined $text;
    }

    my $out = '';

    for my $line (split /\n+/, $text) {
        next if $line =~ /^\s*#/;
        my ($name, $value) = split /:\s*/, $line, 2;
        $out .= "$name: " . ($value // '') . "\r\n";
    }

    return $out;
}

# Completes a short request ("POST /x" + body) into HTTP, and cuts the result
# where the given packets were cut.
sub _render {
    my ($packets, $more, $connection, $server_name) = @_;

    my $text = join '', @$packets;

    $text =~ /\A(\s*)(\S+)([ ]*)(?:(\S+)([ ]*))?(?:(\S+)([ ]*))?([ \t\r]*(?:\n|\z))/
        or die "not a request line: \"" . substr($text, 0, 60) . "\"\n";

    my @part = map { $_ // '' } ($1, $2, $3, $4, $5, $6, $7, $8);
    my $body = substr $text, length join('', @part);
    my $sent = $body;

    my $headers = '';
    $headers .= "Host: $server_name\r\n" if $more !~ /^Host:/mi;
    $headers .= "Connection: $connection\r\n" if $more !~ /^Connection/mi;
    $headers .= $more;

    if ($body ne '' && $more !~ /^Transfer-Encoding: chunked\r?$/mi
        && $more !~ /^Content-Length:/m)
    {
        # (a pattern for the end would be slow on long bodies)
        $sent =~ s/\A\s+//;
        chop $sent while substr($sent, -1) =~ /\s/;
        $headers .= 'Content-Length: ' . length($sent) . "\r\n";
    }

    # What each piece of the text became, in order.
    my @map = (
        [ $part[0], '' ],
        [ $part[1], "$part[1] " ],
        [ $part[2], '' ],
        [ $part[3], ($part[3] eq '' ? '/' : $part[3]) . ' ' ],
        [ $part[4], '' ],
        [ $part[5], ($part[5] eq '' ? 'HTTP/1.1' : $part[5]) . "\r\n" ],
        [ $part[6] . $part[7], '' ],
        [ '', "$headers\r\n" ],
        [ $body, $sent ],
    );

    my $out = join '', map { $_->[1] } @map;
    my ($end, $from, @cut) = (0, 0);

    for my $i (0 .. $#$packets) {
        $end += length $packets->[$i];
        my $to = $i == $#$packets ? length $out : _moved($end, @map);
        push @cut, substr $out, $from, $to - $from;
        $from = $to;
    }

    return @cut;
}

# Where a position in the short text is in the completed one.
sub _moved {
    my ($pos, @map) = @_;

    my ($in, $out) = (0, 0);

    for my $m (@map) {
        my ($was, $is) = map { length } @$m;

        if ($pos < $in + $was) {
            my $rel = $pos - $in;
            return $out + ($rel < $is ? $rel : $is);
        }

        $in += $was;
        $out += $is;
    }

    return $out;
}

# Sends packets on a new connection and reads until the peer closes.
# Returns (bytes, error): error is undef, "timeout", or the reason why there
# was no connection.
sub converse {
    my ($packets, %o) = @_;

    my $sock = _connect(\%o) or return ('', "cannot connect: $!");

    local $SIG{PIPE} = 'IGNORE';

    my @todo = @$packets;
    my ($out, $in) = ('', '');
    my $select = IO::Select->new($sock);
    my $writing = 1;

    while (1) {
        if ($writing && $out eq '') {
            my $next = shift @todo;

            if (defined $next) {
                _read_some($sock, \$in) or return ($in, undef)
                    if $next->{delay_before};
                sleep $next->{delay_before} if $next->{delay_before};
                $out = $next->{value};

            } else {
                $writing = 0;
            }
        }

        my ($r, $w) = IO::Select->select($select,
            $writing && $out ne '' ? $select : undef, undef, $o{timeout});

        if (!defined $r && !defined $w) {
            next if $! == EINTR;
            return ($in, 'timeout');
        }

        if ($r && @$r) {
            _read_some($sock, \$in) or return ($in, undef);
        }

        if ($w && @$w) {
            my $n = syswrite $sock, $out;

            if (defined $n) {
                substr $out, 0, $n, '';

            } elsif ($! != EAGAIN && $! != EINTR) {
                # The peer may have answered before it stopped reading.
                ($writing, $out) = (0, '');
            }
        }
    }
}

# Reads what is there. False at the end of the stream.
sub _read_some {
    my ($sock, $in) = @_;

    while (1) {
        my $n = sysread $sock, $$in, 65536, length $$in;

        if (!defined $n) {
            return $! == EAGAIN || $! == EINTR;
        }

        return 0 if $n == 0;
    }
}

sub _connect {
    my ($o) = @_;

    my $deadline = time + $o->{timeout};

    while (1) {
        my $sock = IO::Socket::INET->new(
            PeerAddr => $o->{addr}, PeerPort => $o->{port}, Proto => 'tcp',
            Timeout => $o->{timeout});

        if ($sock) {
            $sock->blocking(0);
            return $sock;
        }

        return undef if time > $deadline;
        sleep 0.01;
    }
}

# The same exchange by curl over HTTP/2. Returns (bytes, error).
sub converse_h2 {
    my ($packets, %o) = @_;

    my $text = join '', map { $_->{value} } @$packets;
    my ($line, $headers, $body)
        = $text =~ /\A(.*?)\r\n(.*?)\r\n\r\n(.*)\z/s
        or return ('', 'not a request that curl can make');
    my ($method, $uri) = split / /, $line;

    my @cmd = ('curl', '-sS', '-i', '--http2-prior-knowledge',
               '--max-time', $o{timeout});

    push @cmd, '-H', $_ for 'User-Agent:', 'Accept:', 'Host:';
    push @cmd, '-H', $_ for grep { !/^Connection\s*:/i } split /\r\n/, $headers;

    if ($method eq 'HEAD') {
        push @cmd, '-I';

    } elsif ($method ne 'GET') {
        push @cmd, '-X', $method;
    }

    if ($body ne '') {
        push @cmd, '-H', 'Content-Type:' if $headers !~ /^Content-Type\s*:/mi;
        push @cmd, '--data-binary', "\@$o{scratch}/body";
        _put("$o{scratch}/body", $body);
    }

    push @cmd, "http://$o{addr}:$o{port}$uri";

    # Where nginx answers before it has read the body, and then resets the
    # stream without an error, curl 7.88 may lose the answer: ask again.
    for my $try (1 .. 10) {
        my ($out, $error) = _curl($o{scratch}, @cmd);
        return ($out, $error)
            if !defined $error || $error !~ /\(92\)/ || $out ne ''
               || $try == 10;
    }
}

sub _curl {
    my ($scratch, @cmd) = @_;

    my $pid = open my $pipe, '-|';
    return ('', "cannot fork: $!") if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>', "$scratch/curl.err";
        no warnings 'exec';
        exec { $cmd[0] } @cmd;
        require POSIX;
        POSIX::_exit(127);
    }

    binmode $pipe;
    my $out = do { local $/; <$pipe> } // '';
    close $pipe;

    return ($out, undef) if $? == 0;

    open my $err, '<', "$scratch/curl.err" or return ($out, "curl: $?");
    local $/;
    return ($out, 'curl: ' . (<$err> // $?));
}

sub _put {
    my ($path, $bytes) = @_;

    open my $fh, '>:raw', $path or die "$path: $!\n";
    print $fh $bytes;
    close $fh or die "$path: $!\n";
}

# Takes the first reply off the bytes. Returns a hash: code, raw_headers,
# headers (lower-case name => [values]), body, left (what follows), problem.
sub parse {
    my ($bytes, $head) = @_;

    my %r = (code => '', raw_headers => '', headers => {}, body => '',
             left => '');

    my ($raw, $rest) = $bytes =~ /\A(.*?\r\n)\r\n(.*)\z/s;

    if (!defined $raw) {
        $r{body} = $bytes;
        $r{problem} = $bytes eq '' ? 'no reply' : 'no reply header';
        return \%r;
    }

    $r{raw_headers} = $raw;
    $r{code} = $1 if $raw =~ m{\AHTTP/\d(?:\.\d)? (\d{3})};

    for my $line (split /\r\n/, $raw) {
        next if $line !~ /^([^\s:]+)[ \t]*:[ \t]*(.*?)[ \t]*$/;
        push @{ $r{headers}{ lc $1 } }, $2;
    }

    my $len = header(\%r, 'Content-Length');
    my $te = header(\%r, 'Transfer-Encoding') // '';

    if ($head || $r{code} eq '304' || $r{code} eq '101') {
        $r{left} = $rest;

    } elsif ($te eq 'chunked') {
        _unchunk(\%r, $rest);

    } elsif (defined $len && $len =~ /^\d+$/) {
        if (length $rest < $len) {
            $r{problem} = "body cut: $len bytes expected, "
                          . length($rest) . ' received';
        }
        $r{body} = substr $rest, 0, $len;
        $r{left} = length $rest > $len ? substr($rest, $len) : '';

    } else {
        $r{body} = $rest;
    }

    return \%r;
}

sub _unchunk {
    my ($r, $rest) = @_;

    while ($rest =~ s/\A[ \t]*([0-9A-Fa-f]+)[ \t]*\r\n//) {
        my $n = hex $1;

        if ($n == 0) {
            last if $rest !~ s/\A\r\n//;
            $r->{left} = $rest;
            return;
        }

        last if length $rest < $n + 2 || substr($rest, $n, 2) ne "\r\n";
        $r->{body} .= substr $rest, 0, $n;
        substr $rest, 0, $n + 2, '';
    }

    $r->{problem} = 'bad chunked body';
}

# All values of a header, joined, or undef.
sub header {
    my ($r, $name) = @_;

    my $values = $r->{headers}{ lc $name } or return undef;

    return join ', ', @$values;
}

1;
