# Metrics of both APIs: one text, totals of the whole namespace.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'location / { taskmq_api taskmq; }
                 location /td/ { taskmq_api taskdaemon; }');

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';

# What TYPE says of every family that must be there.
our %Type = (
    taskmq_jobs_total => 'counter', taskmq_job_duration_seconds => 'histogram',
    taskmq_queue_depth => 'gauge', taskmq_oldest_pending_seconds => 'gauge',
    taskmq_retries_total => 'counter', taskmq_workers => 'gauge',
    taskmq_http_requests_total => 'counter',
    taskmq_redis_calls_total => 'counter',
    taskmq_redis_call_seconds => 'histogram',
    taskmq_redis_errors_total => 'counter', taskmq_accepting => 'gauge',
    taskmq_redis_noeviction => 'gauge',
    tasks_received_total => 'counter', tasks_processed_total => 'counter',
    task_processing_seconds => 'histogram', queue_size => 'gauge',
    daemon_health => 'gauge',
);

# The text as { 'name{labels}' => value }; dies where it is not exposition
# format.
sub samples {
    my ($text) = @_;
    my (%value, %type, %seen);

    die "no newline at the end\n" if $text !~ /\n\z/;

    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP ([a-z_]+) \S/) {
            die "two families $1\n" if $seen{$1}++;
            next;
        }
        if ($line =~ /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/) {
            $type{$1} = $2;
            next;
        }
        $line =~ /^(([a-z_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})?) (-?[0-9.eE+]+|\+Inf|NaN)$/
            or die "not a sample: $line\n";
        my ($sample, $name, $v) = ($1, $2, $5);
        (my $family = $name) =~ s/_(bucket|sum|count)$//;
        die "$name has no TYPE\n" if !$type{$name} && !$type{$family};
        die "$sample twice\n" if exists $value{$sample};
        $value{$sample} = $v;
    }

    for my $family (keys %Type) {
        ($type{$family} // '') eq $Type{$family}
            or die "$family is not a $Type{$family}\n";
    }

    return \%value;
}

# Dies unless the samples are as said.
sub values_are {
    my ($text, %want) = @_;
    my $got = samples($text);

    for my $name (sort keys %want) {
        my $v = $got->{$name} // 'absent';
        die "$name is $v, not $want{$name}\n" if $v ne $want{$name};
    }
}

# nginx's own counters go on when it reloads: what they have grown by.
our $Before;

sub note_samples {
    my $reply = get('/monitor/metrics');
    $Before = samples($reply =~ s/.*?\r\n\r\n//sr);
}

sub values_grew {
    my ($text, %by) = @_;
    values_are($text, map { $_ => $by{$_} + ($Before->{$_} // 0) } keys %by);
}

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: nothing yet, no token needed
--- request eval
['GET /monitor/metrics', 'GET /td/metrics']
--- after eval
[(sub { ::values_are($_[0], 'taskmq_jobs_total{status="success"}' => 0, 'taskmq_workers' => 0, 'queue_size' => 0) }) x 2]
--- response_headers_like eval
[('Content-Type: text/plain.*') x 2]
--- error_code eval
[200, 200]



=== TEST 2: jobs of every kind
--- request eval
[($::Add) x 6, 'GET /monitor/metrics', 'GET /td/metrics', 'GET /td/api/metrics']
--- more_headers eval: ::admin()
--- after eval
my %want = ('taskmq_jobs_total{status="success"}' => 1, 'taskmq_jobs_total{status="failed"}' => 1,
    'taskmq_jobs_total{status="cancelled"}' => 1, 'taskmq_retries_total' => 1,
    'taskmq_queue_depth{handler="h",state="waiting"}' => 1, 'taskmq_queue_depth{handler="h",state="running"}' => 1,
    'taskmq_queue_depth{handler="h",state="scheduled"}' => 1, 'taskmq_queue_depth{handler="h",state="dead"}' => 1,
    'taskmq_job_duration_seconds_count' => 1, 'taskmq_job_duration_seconds_bucket{le="+Inf"}' => 1,
    'tasks_received_total' => 6, 'tasks_processed_total{status="success"}' => 1, 'tasks_processed_total{status="failed"}' => 1,
    'task_processing_seconds_count' => 1);
[undef, undef, undef, undef, undef, sub {
    ::complete(scalar ::claim('h')); ::fail_job(scalar ::claim('h'), 'x'); ::fail_job(scalar ::claim('h'), 'x', 1);
    ::script('change', 4, 'cancel'); ::claim('h');
 }, sub { ::values_are($_[0], %want) }, sub { ::values_are($_[0], %want) }]
--- error_code eval
[(200) x 9]
--- response_body_like eval
[('.') x 8, '^\{"tasks_received":6,"tasks_processed_success":1,"tasks_processed_failed":1,"queue_size":\d,"daemon_healthy":true\}$']



=== TEST 3: requests are counted by endpoint and code
--- init
::ready(); ::note_samples()
--- request eval
[$::Add, 'GET /job/1', 'GET /job/9', 'GET /job/1', 'GET /nothing', 'GET /monitor/metrics']
--- more_headers eval
[::admin(), ::admin(), ::admin(), '', ::admin(), '']
--- after eval
[undef, undef, undef, undef, undef, sub { ::values_grew($_[0],
    'taskmq_http_requests_total{endpoint="/add-job",code="200"}' => 1,
    'taskmq_http_requests_total{endpoint="/job/{id}",code="200"}' => 1,
    'taskmq_http_requests_total{endpoint="/job/{id}",code="404"}' => 1,
    'taskmq_http_requests_total{endpoint="/job/{id}",code="401"}' => 1,
    'taskmq_http_requests_total{endpoint="other",code="404"}' => 1) }]
--- error_code eval
[200, 200, 404, 401, 404, 200]



=== TEST 4: Redis away: 503, in each API's words
--- request eval
['GET /health', 'GET /monitor/metrics', 'GET /td/metrics', 'GET /td/api/metrics']
--- after eval
[sub { ::redis()->stop; ::wait_until('503', sub { ::get('/health') =~ / 503 / }) }]
--- error_code eval
[200, 503, 503, 503]
--- response_body_like eval
['.', '^\{"detail":"', '^\{"error":"', '^\{"error":"']



=== TEST 5: counters survive a reload
--- init
::ready(); ::note_samples()
--- request eval
[$::Add, 'GET /monitor/metrics']
--- more_headers eval: ::admin()
--- after eval
[sub { ::reload_nginx(); ::ready() }, sub { ::values_grew($_[0], 'taskmq_http_requests_total{endpoint="/add-job",code="200"}' => 1) }]
--- error_code eval
[200, 200]



=== TEST 6: nginx compresses them
--- config
    gzip on;
    gzip_types text/plain;
    location / { taskmq_api taskmq; }
    location /td/ { taskmq_api taskdaemon; }
--- request eval
['GET /monitor/metrics', 'GET /td/metrics', 'GET /monitor/metrics']
--- more_headers eval
['Accept-Encoding: gzip', 'Accept-Encoding: gzip', '']
--- response_headers eval
[(map { "$_\nContent-Type: text/plain; version=0.0.4; charset=utf-8" } ('Content-Encoding: gzip') x 2, '!Content-Encoding')]
--- error_code eval
[200, 200, 200]



=== TEST 7: with a slash at the end, as the reference writes it
--- request eval
['GET /monitor/metrics/', 'HEAD /monitor/metrics/', 'POST /monitor/metrics/', 'OPTIONS /monitor/metrics/', 'GET /monitor/metrics//', 'GET /monitor/metrics/x']
--- after eval
[sub { ::values_are($_[0], 'taskmq_workers' => 0) }, (undef) x 5]
--- error_code eval
[200, 200, 405, 204, 200, 404]
--- response_headers eval
['Content-Type: text/plain; version=0.0.4; charset=utf-8', '', 'Allow: GET, HEAD, OPTIONS', 'Allow: GET, HEAD, OPTIONS', '', '']
