package TaskMQ::Beside;

# For specs of other modules in the same nginx: which modules are loaded, and
# in which order, is the block's main_config. To be used before Test::Nginx,
# which would load ours first.

use strict;
use warnings;

use Exporter qw(import);
use TaskMQ::Port qw(free_port);

our @EXPORT = qw($Add $Ours $Http beside load nchan);

our ($Ours, $Nchan);

# A job with enough text to be compressed.
our $Add = "POST /add-job\n" . '{"payload":{"a":"' . 'x' x 50
    . '"},"handler":"h"}';

# What TaskMQ::Spec's queue() has as http_config, for blocks with more of it.
our $Http = 'taskmq_redis unix:$TEST_NGINX_REDIS; taskmq_redis_timeout 10s;'
    . 'taskmq_jwt_secret_file $TEST_NGINX_SCRATCH/secret;';

$Ours = $ENV{TEST_NGINX_LOAD_MODULES};
$ENV{TEST_NGINX_LOAD_MODULES} = '';

# load_module lines: "taskmq" is ours, foreign_… is made of t/lib/beside, others
# are Debian's, by their files' names: what is enabled in /etc/nginx does not
# matter.
sub load {
    my ($built) = $Ours =~ m{(.*)/};

    return join '', map {
        'load_module ' . ($_ eq 'taskmq' ? $Ours
            : /^foreign_/ ? "$built/t/$_.so"
            : "/usr/lib/nginx/modules/$_.so") . ";\n"
    } @_;
}

# queue(), with requests that show that ours does its work: a token is checked,
# Redis answers. more: requests with a token that come after these, and are
# answered with 200. Blocks may replace any of it, and other sections may be
# given.
sub beside {
    my (%o) = @_;
    my @more = @{ delete $o{more} // [] };
    my $admin = TaskMQ::Token::admin();

    main::queue(
        main_config => load('taskmq'),
        request => [$Add, 'GET /job/1', 'GET /job/1', @more],
        more_headers => [$admin, '', $admin, map { $admin } @more],
        error_code => [200, 401, 200, map { 200 } @more],
        %o,
    );
}

# Starts a Redis for nchan, which knows no unix sockets; the upstream that
# nchan_redis_pass names.
sub nchan {
    my $port = free_port();

    $Nchan = TaskMQ::Redis->new(port => $port, bind => '127.0.0.1');

    return "upstream nchan_redis {"
           . " nchan_redis_server redis://127.0.0.1:$port; }";
}

1;
