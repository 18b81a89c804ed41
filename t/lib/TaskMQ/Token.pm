package TaskMQ::Token;

# JSON Web Tokens, right and wrong ones, made with Perl's own Digest::SHA.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

our @EXPORT = qw($Secret token auth admin worker b64);

our $Secret = 'a-secret-of-the-tests-with-32-bytes-or-more';

my $json = JSON::PP->new->canonical;
my %sign = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384,
            HS512 => \&hmac_sha512);

sub b64 { return encode_base64url($_[0]) }

# token(claims, options): claims is a hash, or the payload's text as it is.
# A hash gets sub, role and exp where it has none; a value of undef leaves the
# claim out. Options: alg (HS256), secret, header (a hash or text), key (file
# of a private key, for RS256 and ES256).
sub token {
    my ($claims, %o) = @_;

    if (ref $claims eq 'HASH') {
        my %c = (sub => 'tester', role => 'admin', exp => time + 3600,
                 %$claims);
        delete @c{ grep { !defined $c{$_} } keys %c };
        $claims = $json->encode(\%c);
    }

    my $alg = $o{alg} // 'HS256';
    my $header = $o{header} // { alg => $alg, typ => 'JWT' };
    $header = $json->encode($header) if ref $header;

    my $signed = b64($header) . '.' . b64($claims);

    return "$signed." if $alg eq 'none';

    my $signature = $sign{$alg}
        ? $sign{$alg}->($signed, $o{secret} // $Secret)
        : _by_openssl($signed, $alg, $o{key});

    return "$signed." . b64($signature);
}

# The header line for a token, or for claims.
sub auth {
    my ($token, @options) = @_;

    $token = token($token, @options) if $token !~ /^[\w-]+\.[\w-]*\.[\w-]*$/;

    return "Authorization: Bearer $token";
}

sub admin  { return auth({ role => 'admin' }) }
sub worker { return auth({ role => 'worker' }) }

sub _by_openssl {
    my ($text, $alg, $key) = @_;

    require File::Temp;
    my $file = File::Temp->new;
    print $file $text;
    close $file;

    open my $out, '-|', 'openssl', 'dgst', '-sha256', '-sign', $key,
        "$file" or die "openssl: $!\n";
    binmode $out;
    my $bytes = do { local $/; <$out> };
    close $out or die "openssl failed: $?\n";

    return $alg =~ /^ES/ ? _raw_ecdsa($bytes) : $bytes;
}

# DER's two integers as 2 x 32 bytes.
sub _raw_ecdsa {
    my ($der) = @_;

    my ($r, $s) = unpack 'x x x C/a x C/a', $der;

    for ($r, $s) {
        s/\A\0+//;
        $_ = ("\0" x (32 - length)) . $_;
    }

    return $r . $s;
}

1;
