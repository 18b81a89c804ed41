# error_log … debug: what each turn of a request says, and that it says no
# secret of ours.

use lib 't/lib';
use Test::Nginx::Socket;
use TaskMQ::Spec;

queue();

plan tests => planned();
run_tests();

__DATA__

=== TEST 1: a job is added
--- log_level: debug
--- request
POST /add-job
{"handler":"h","payload":{"word":"kept-out"}}
--- more_headers eval: ::admin()
--- response_body_like: "job_id":1
--- error_log
taskmq endpoint: /add-job
taskmq token: verified, roles:1
taskmq body: 45 bytes
taskmq batch: 1 jobs of 1 requests
taskmq redis writev:
taskmq finalize:



=== TEST 2: each time, and a route that has no body
--- log_level: debug
--- request eval
['GET /jobs', 'GET /job/1']
--- more_headers eval: ::admin()
--- error_code eval
[200, 404]
--- error_log eval
[qr/taskmq endpoint: \/job/, qr/taskmq token: (?:verified|known), roles:1/, qr/taskmq call \w+ ended: 0/]



=== TEST 3: neither payloads nor passwords
--- log_level: debug
--- request
POST /add-job
{"handler":"h","payload":{"word":"kept-out"}}
--- more_headers eval: ::admin()
--- response_body_like: "job_id":1
--- no_error_log eval
[qr/taskmq .*kept-out/]
