# Paths are what follows the name of the location.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

our $Add = '{"payload":{},"handler":"h"}';

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: below a prefix
--- config
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /jobs/add-job\n$::Add", 'GET /jobs/job/1', 'GET /jobs/health',
 "POST /add-job\n$::Add", 'GET /jobs/', 'GET /jobs/jobs/health']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200, 404, 404, 404]



=== TEST 2: a prefix without a slash at its end
--- config
    location /jobs { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /jobs/add-job\n$::Add", 'GET /jobs/job/1', 'GET /jobsx/health', 'GET /jobs', 'GET /jobshealth']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 404, 404, 404]



=== TEST 3: deep, with ^~, beside others
--- config
    location /a/b/ { return 200 "other"; }
    location ^~ /a/b/c/ { taskmq_api taskmq; }
    location ~ \.php$ { return 403; }
--- init
::ready('/a/b/c/health')
--- request eval
["POST /a/b/c/add-job\n$::Add", 'GET /a/b/health', 'GET /a/b/c/x.php']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 404]



=== TEST 4: escaped and unusual spellings of a path
--- config
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
['GET /jobs/%68ealth', 'GET /x/../jobs/health', 'GET //jobs//health', 'GET /jobs/health?x=1',
 'GET /jobs/health%00', 'GET /jobs/health/', 'GET /jobs/health%20']
--- error_code_like eval
['200', '200', '200', '200', '40[04]', '404', '404']



=== TEST 5: after a rewrite
--- config
    location /old { rewrite ^/old/(.*)$ /jobs/$1 last; }
    location /jobs/ { taskmq_api taskmq; }
--- init
::ready('/jobs/health')
--- request eval
["POST /old/add-job\n$::Add", 'GET /old/job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200]



=== TEST 6: two APIs, two namespaces, one server
--- config
    location /a/ { taskmq_api taskmq; taskmq_namespace a; }
    location /b/ { taskmq_api taskmq; taskmq_namespace b; }
--- init
::ready('/a/health'); ::ready('/b/health')
--- request eval
["POST /a/add-job\n$::Add", "POST /a/add-job\n$::Add", "POST /b/add-job\n$::Add", 'GET /b/job/2', 'GET /a/job/2']
--- more_headers eval: ::admin()
--- error_code eval
[200, 200, 200, 404, 200]
--- redis eval
['GET {a}:seq' => 2, 'GET {b}:seq' => 1, 'EXISTS {taskmq}:seq' => 0]



=== TEST 7: inside if and limit_except
--- config
    location / {
        taskmq_api taskmq;
        if ($http_x_a) { add_header X-A $http_x_a; }
        limit_except GET { allow all; }
    }
--- request eval
["POST /add-job\n$::Add", 'GET /job/1']
--- more_headers eval: ::admin() . "\nX-A: 1"
--- error_code eval
[200, 200]
