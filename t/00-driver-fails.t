# Each check of the driver, shown to fail: small specs that are wrong, run in a
# process of their own by the driver that runs this file.

use strict;
use warnings;

use File::Spec;
use File::Temp qw(tempdir);
use Test::More;

require Test::Nginx::Socket;
my $standin = defined &Test::Nginx::Socket::allow_sections;

my $location = 'location /a { add_header X-A 1; return 200 "body"; }';
my $base = "--- config\n$location\n--- request\nGET /a\n";

# What is wrong, the block, what the output must say.
my @wrong = (
    ['status', "$base--- error_code: 201", 'status code ok'],
    ['status pattern', "$base--- error_code_like: ^4", 'status code ok'],
    ['body', "$base--- response_body: other", 'not ok'],
    ['body pattern', "$base--- response_body_like: ^other", 'not ok'],
    ['body, not like', "$base--- response_body_unlike: body", 'not ok'],
    ['header', "$base--- response_headers\nX-A: 2", "'2'"],
    ['header that is there', "$base--- response_headers\n!X-A", 'X-A'],
    ['header pattern', "$base--- response_headers_like\nX-A: [2-9]", 'X-A'],
    ['raw headers', "$base--- raw_response_headers_like: nothing", 'not ok'],
    ['raw headers, not like', "$base--- raw_response_headers_unlike: X-A",
     'not ok'],
    ['a line that is not logged', "$base--- error_log\nno such line",
     'no such line'],
    ['a line that is logged',
     "--- config\nlocation /a { root /nowhere; }\n--- request\nGET /a\n"
     . "--- error_code: 404\n--- no_error_log\n[error]", '\[error\]'],
    ['grep', "$base--- grep_error_log: a\n--- grep_error_log_out\nb\n",
     'grep_error_log_out'],
    ['a timeout',
     "--- config\nlocation /a { limit_rate 1; return 200 \"bodybody\"; }\n"
     . "--- request\nGET /a\n--- timeout: 0.1", 'time'],
    ['nginx does not refuse', "--- config\n$location\n--- must_die: 1",
     'exit code|that status'],
    ['a section of ours', "$base--- logged eval: [qr/no such line/]",
     'no such line'],
    ['code of ours', "$base--- after eval: [sub { die 'as planned' }]",
     'as planned'],
    ['an alert while it runs', "$base--- init\n"
     . 'open my $log, ">>", $ENV{TEST_NGINX_SERVER_ROOT} . "/logs/error.log"; '
     . 'print $log "[alert] x\n"', '\[alert\] x|not ok'],
    ['an alert at shutdown', $base, 'not ok', 'add_test_cleanup_handler(sub {
      open my $log, ">>", "$ENV{TEST_NGINX_SERVER_ROOT}/logs/error.log";
      print $log "[alert] late\n" });'],
);

push @wrong, ['a section that is unknown', "$base--- stream_config\nx",
              'section "stream_config" is unknown'] if $standin;

# The right ones, so that a failure above has the reason it should have.
my @right = (
    ['all is well', "$base--- response_body: body\n--- response_headers\n"
     . "X-A: 1\n!X-B"],
    ['refused', "--- config\nnonsense;\n--- must_die: 1\n--- error_log\n"
     . 'unknown directive'],
);

plan tests => 2 * @wrong + @right + ($standin ? 3 : 0);

# The leak check's line through samples, in KiB per sample.
if ($standin) {
    my $slope = \&Test::Nginx::Socket::_slope;

    is($slope->((4096) x 100), 0, 'a flat line');
    is($slope->(map { 12 * $_ } 1 .. 100), 12, 'a steady growth');
    cmp_ok($slope->(map { 4096 + 20 * ($_ % 2) } 1 .. 100), '<', 1,
           'up and down is no growth');
}

# What is shown does not depend on the mode of this run.
delete @ENV{grep { /^TEST_NGINX_(USE|CHECK)_/ } keys %ENV};

my $dir = tempdir(CLEANUP => 1);
mkdir "$dir/t";

# By prove: what counts is what the TAP says.
sub run_spec {
    my ($block, $code) = @_;

    open my $fh, '>', "$dir/spec.t" or die "$dir/spec.t: $!\n";
    print $fh "use Test::Nginx::Socket; use TaskMQ::Spec;\n",
        'no_root_location(); ', $code // '', "\n",
        "plan tests => planned(); run_tests();\n",
        "__DATA__\n\n=== TEST 1: x\n$block\n";
    close $fh;

    local $ENV{TEST_NGINX_TIMEOUT} = 1;
    my $include = join ' ', map { '-I' . File::Spec->rel2abs($_) }
                  grep { !ref } @INC;
    my $out = `cd $dir && prove -v $include spec.t 2>&1`;

    return ($?, $out);
}

for my $case (@wrong) {
    my ($name, $block, $says, $code) = @$case;
    my ($status, $out) = run_spec($block, $code);

    isnt($status, 0, "$name: fails");
    like($out, qr/$says/, "$name: says so");
}

for my $case (@right) {
    my ($name, $block) = @$case;
    my ($status, $out) = run_spec($block);

    is($status, 0, "$name: passes") or diag($out);
}
