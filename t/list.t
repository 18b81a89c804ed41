# GET /jobs and GET /queues.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

# Adds jobs of a handler to Redis, $n of them, in one go.
sub add {
    my ($handler, $n) = @_;
    script('enqueue', "g$n 0 0 ",
           map { ("1- 000 f t-- 0 $handler", " $handler\n{}") } 1 .. $n);
}

# Follows the cursors, and returns all ids.
sub walk {
    my ($query) = @_;
    my (@ids, $cursor);
    my $pages = 0;

    do {
        my $reply = get("/jobs?$query" . ($cursor ? "&cursor=$cursor" : ''),
                        admin());
        my ($body) = $reply =~ m{^HTTP/1\.1 200 .*\r\n\r\n(.*)}s
            or die "got $reply\n";
        push @ids, $body =~ /\{"id":(\d+),/g;
        ($cursor) = $body =~ /"next_cursor":(?:"(\d+)"|null)\}$/
            or die "no next_cursor in $body\n";
        die "too many pages\n" if ++$pages > 200;
    } while ($cursor);

    return @ids;
}

sub same {
    my ($got, $want) = @_;
    my ($g, $w) = ("@$got", "@$want");
    die "got $g\nnot $w\n" if $g ne $w;
}

our @Bad = (
    ['limit=0', 'limit'], ['limit=101', 'limit'], ['limit=-1', 'limit'],
    ['limit=x', 'limit'], ['limit=', 'limit'], ['limit=1.0', 'limit'],
    ['limit=99999999999999999999', 'limit'], ['status=pending', 'status'],
    ['status=', 'status'], ['status=DONE', 'status'],
    ['handler=a%20b', 'handler'], ['handler=', 'handler'],
    ['handler=' . 'x' x 65, 'handler'], ['cursor=0', 'cursor'],
    ['cursor=x', 'cursor'], ['cursor=01', 'cursor'], ['cursor=', 'cursor'],
);

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: nothing
--- request eval
['GET /jobs', 'GET /queues']
--- more_headers eval: ::worker()
--- response_headers eval
[('Content-Type: application/json') x 2]
--- response_body eval
['{"jobs":[],"next_cursor":null}', '{"queues":[]}']



=== TEST 2: newest first, 20 by default
--- init
::ready(); ::add('h', 30)
--- request eval
['GET /jobs', 'GET /jobs?limit=3', 'GET /jobs?limit=3&cursor=28', 'GET /jobs?cursor=3', 'GET /jobs?limit=100']
--- more_headers eval: ::admin()
--- after eval
[map { my $want = $_; sub { ::same([$_[0] =~ /\{"id":(\d+),/g], $want) } }
 [CORE::reverse 11 .. 30], [30, 29, 28], [27, 26, 25], [2, 1], [CORE::reverse 1 .. 30]]
--- response_body_like eval
['\],"next_cursor":"11"\}$', '\],"next_cursor":"28"\}$', '\],"next_cursor":"25"\}$', '\],"next_cursor":null\}$', '\],"next_cursor":null\}$']



=== TEST 3: an entry is the job as /job/{id} shows it
--- init
::ready(); ::add('h', 1)
--- request eval
['GET /job/1', 'GET /jobs']
--- more_headers eval: ::admin()
--- after eval
[sub { $::job = shift }, sub { $_[0] eq "{\"jobs\":[$::job],\"next_cursor\":null}" or die "got $_[0]" }]
--- error_code eval
[200, 200]



=== TEST 4: filters
--- init
::ready(); ::add('a', 3); ::add('b', 3); ::complete(scalar ::claim('a')); ::fail_job(scalar ::claim('a'), 'x');
::claim('b'); ::script('change', 5, 'cancel')
--- request eval
[map { "GET /jobs?$_" } 'handler=a', 'handler=c', 'status=PENDING', 'status=RUNNING', 'status=SUCCESS',
 'status=FAILED', 'status=CANCELLED', 'status=PENDING&handler=a', 'handler=a&status=CANCELLED', 'other=1']
--- more_headers eval: ::admin()
--- after eval
[map { my $want = $_; sub { ::same([$_[0] =~ /\{"id":(\d+),/g], $want) } }
 [3, 2, 1], [], [6, 3], [4], [1], [2], [5], [3], [], [6, 5, 4, 3, 2, 1]]
--- error_code eval
[(200) x 10]



=== TEST 5: wrong arguments, each named
--- request eval
[map { "GET /jobs?$_->[0]" } @::Bad]
--- more_headers eval: ::admin()
--- error_code eval
[map { 422 } @::Bad]
--- response_body_like eval
[map { '^\{"detail":\[\{"loc":\["query","' . $_->[1] . '"\],"msg":"[^"]+' } @::Bad]



=== TEST 6: all pages, while jobs arrive and go
--- init
::ready(); ::add('h', 250)
--- request
GET /health
--- after eval
[sub {
    ::same([::walk('limit=100')], [CORE::reverse 1 .. 250]);
    ::same([::walk('limit=7')], [CORE::reverse 1 .. 250]);
    ::script('change', $_, 'delete') for 100 .. 199;
    ::same([::walk('limit=50')], [CORE::reverse 1 .. 99, 200 .. 250]);
}]
--- error_code: 200



=== TEST 7: a filter that only the oldest matches
--- init
::ready(); ::add('old', 1); ::add('new', 1000) for 1 .. 5
--- request
GET /health
--- after eval
[sub { ::same([::walk('handler=old')], [1]); ::same([::walk('status=FAILED')], []) }]
--- error_code: 200



=== TEST 8: a page stops at 1 MiB
--- request eval
[map({ "POST /add-job\n" . '{"handler":"h","payload":{"a":"' . 'x' x 400_000 . '"}}' } 1 .. 4),
 'GET /jobs']
--- more_headers eval: ::admin()
--- after eval
[undef, undef, undef, undef, sub { ::same([$_[0] =~ /\{"id":(\d+),/g], $_[0] =~ /"id":2/ ? [4, 3, 2] : [4, 3]); ::same([::walk('')], [4, 3, 2, 1]) }]
--- error_code eval
[(200) x 5]



=== TEST 9: queues
--- init
::ready(); ::add('a', 3); ::add('b', 1); ::claim('a'); ::fail_job(scalar ::claim('a'), 'x'); ::fail_job(scalar ::claim('b'), 'x', 1)
--- request
GET /queues
--- more_headers eval: ::worker()
--- response_body_like: ^\{"queues":\[\{"handler":"a","waiting":1,"scheduled":0,"running":1,"dead":1,"oldest":"20[^"]+Z"\},\{"handler":"b","waiting":0,"scheduled":1,"running":0,"dead":0,"oldest":null\}\]\}$



=== TEST 10: roles and methods
--- request eval
['GET /jobs', 'GET /queues', 'GET /jobs', 'POST /jobs', 'DELETE /queues', 'HEAD /jobs']
--- more_headers eval
['', '', ::auth({ role => 'x' }), ::admin(), ::admin(), ::admin()]
--- error_code eval
[401, 401, 403, 405, 405, 200]
