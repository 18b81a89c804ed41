# taskmq_allowed_origins: which browsers' pages may use an API. What a browser
# says of a page is Sec-Fetch-Site, or else Origin against Host.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue(config => 'location / { taskmq_api taskmq; taskmq_auth off; }
                 location /td/ { taskmq_api taskdaemon; taskmq_auth off; }
                 location /jwt/ { taskmq_api taskmq; }');

our $Add = "POST /add-job\n" . '{"payload":{},"handler":"h"}';
our $Queue = "POST /td/queue\n" . '{"type":"h","data":{}}';
our $Jwt = $Add =~ s{/}{/jwt/}r;

# Header lines of pages that are elsewhere.
our @Elsewhere = (
    "Origin: http://evil.example",
    "Origin: https://evil.example\nContent-Type: text/plain",
    "Origin: null",
    "Origin: ",
    "Origin: localhost",
    "Origin: http://localhost:1",
    "Origin: http://localhost.evil.example",
    "Origin: http://evil.example/localhost",
    "Origin: https://localhost:80",
    "Origin: http://localhost, http://evil.example",
    "Origin: http://localhost\nOrigin: http://evil.example",
    "Origin: http://evil.example\nOrigin: http://localhost",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Site: ",
    "Sec-Fetch-Site: Same-Origin",
    "Sec-Fetch-Site: something-new",
    "Sec-Fetch-Site: cross-site\nOrigin: http://localhost",
    "Sec-Fetch-Site: same-origin\nSec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: no-cors\nOrigin: http://localhost:3000",
);

# Of this origin, of its user, or of no browser at all.
our @Here = (
    "", "X-Origin: http://evil.example",
    "Origin: http://localhost", "Origin: https://localhost", "Origin: HTTP://LOCALHOST",
    "Origin: http://localhost:80", "Origin: https://localhost:443",
    "Origin: http://localhost:81\nHost: localhost:81",
    "Origin: http://127.0.0.1:8000\nHost: 127.0.0.1:8000",
    "Origin: http://[::1]:8000\nHost: [::1]:8000",
    "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "sec-fetch-site: none",
    # a proxy before this has given it another name
    "Sec-Fetch-Site: same-origin\nOrigin: https://queue.example",
);

# With the two allowed below.
our @Named = map { ("Origin: $_", "Origin: $_\nSec-Fetch-Site: cross-site") }
    'https://app.example', 'HTTPS://App.Example', 'http://localhost:3000', 'https://a.pages.example',
    'https://a.b.pages.example', 'chrome-extension://abc';
our @Unnamed = map { "Origin: $_\nSec-Fetch-Site: cross-site" }
    'http://app.example', 'https://app.example:8443', 'https://app.example.evil', 'https://evilapp.example',
    'http://localhost:3001', 'https://pages.example', 'https://.pages.example', 'http://a.pages.example',
    'https://a.pages.example:1', 'https://apages.example', 'null';

our @Read = ('/jobs', '/queues', '/job/1', '/td/api/tasks', '/td/api/tasks/x');
our @Public = ('/health', '/monitor/metrics', '/openapi.json', '/td/health', '/td/metrics', '/td/api/metrics');

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a page of another origin adds nothing
--- no_http2
--- request eval
[map { ($::Add, $::Queue) } @::Elsewhere]
--- more_headers eval
[map { ($_, $_) } @::Elsewhere]
--- error_code eval
[map { (403, 403) } @::Elsewhere]
--- response_body_like eval
[map { ('^\{"detail":"Pages of another origin [^"]*taskmq_allowed_origins"\}$', '^\{"error":"Pages of another origin ') } @::Elsewhere]
--- logged eval
[map { (qr/request refused: a browser sent it/) x 2 } @::Elsewhere]
--- redis eval
['EXISTS {taskmq}:seq' => 0]



=== TEST 2: one of this origin does, and a program
--- no_http2
--- request eval
[map { $::Add } @::Here]
--- more_headers eval
[@::Here]
--- error_code eval
[map { 200 } @::Here]
--- redis eval
['GET {taskmq}:seq' => scalar @::Here]



=== TEST 3: no other change either, and nothing is read
--- no_http2
--- request eval
["POST /cancel\n{\"job_id\":1}", "POST /retry\n{\"job_id\":1}", 'DELETE /job/1', "POST /add-jobs\n[]",
 'DELETE /td/api/tasks/x', 'POST /td/api/tasks/x/redrive', map { "GET $_" } @::Read]
--- more_headers
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: cors
--- error_code eval
[(403) x (6 + @::Read)]



=== TEST 4: what everybody may ask, any page may; a link works
--- request eval
[(map { "GET $_" } @::Public), 'OPTIONS /add-job', 'GET /jobs', 'HEAD /jobs', 'GET /td/api/tasks']
--- more_headers eval
[(map { "Origin: http://evil.example\nSec-Fetch-Site: cross-site" } 0 .. @::Public),
 ("Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document") x 3]
--- error_code_like eval
[(map { /openapi/ ? '200|404' : '200' } @::Public), '204', ('200') x 3]



=== TEST 5: with tokens, too, and before them
--- no_http2
--- request eval
[$::Jwt, $::Jwt, $::Jwt]
--- more_headers eval
[::admin() . "\nOrigin: http://evil.example", "Origin: http://evil.example", ::admin()]
--- error_code eval
[403, 403, 200]



=== TEST 6: origins that are named
--- no_http2
--- config
    taskmq_allowed_origins https://App.example:443 http://localhost:3000 https://*.pages.example chrome-extension://abc;
    location / { taskmq_api taskmq; taskmq_auth off; }
--- request eval
[map { $::Add } @::Named, @::Unnamed]
--- more_headers eval
[@::Named, @::Unnamed]
--- error_code eval
[(map { 200 } @::Named), map { 403 } @::Unnamed]



=== TEST 7: named is not enough for an Origin that came twice
--- no_http2
--- config
    taskmq_allowed_origins https://app.example;
    location / { taskmq_api taskmq; taskmq_auth off; }
--- request eval: $::Add
--- more_headers
Origin: https://app.example
Origin: https://app.example
--- error_code: 403



=== TEST 8: all; a location takes it back
--- config
    taskmq_allowed_origins all;
    location / { taskmq_api taskmq; taskmq_auth off; }
    location /n/ { taskmq_api taskmq; taskmq_auth off; taskmq_allowed_origins none; }
    location /o/ { taskmq_api taskmq; taskmq_auth off; taskmq_allowed_origins https://app.example; }
--- init
::ready(); ::ready('/n/health')
--- request eval
[$::Add, $::Add =~ s{/}{/n/}r, $::Add =~ s{/}{/o/}r]
--- more_headers
Origin: http://evil.example
--- error_code eval
[200, 403, 403]



=== TEST 9: nginx's own CORS headers, as docs/directives.md shows them
--- config
    location / {
        taskmq_api taskmq;
        taskmq_allowed_origins https://app.example;
        add_header Access-Control-Allow-Origin  https://app.example always;
        add_header Access-Control-Allow-Headers "Authorization, Content-Type, Idempotency-Key" always;
        add_header Access-Control-Allow-Methods "GET, POST, DELETE" always;
    }
--- request eval
['OPTIONS /add-job', $::Add]
--- more_headers eval
["Origin: https://app.example\nAccess-Control-Request-Method: POST", ::admin() . "\nOrigin: https://app.example"]
--- error_code eval
[204, 200]
--- response_headers eval
[map { "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Allow-Methods: GET, POST, DELETE" } 1, 2]
