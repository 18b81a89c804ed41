/* curl_loop.c: when libcurl gets its turn, and that others get theirs. */

#include "unit.h"

#include "../../taskmq-worker/http/curl_loop.c"

tw_curl_t  tw_curl;

static uv_loop_t  uv;
static int        turns;      /* that libcurl had */
static int        again;      /* how often it will ask for 0 ms */

static CURLcode
fake_global_init(long flags)
{
    (void) flags;
    return CURLE_OK;
}

static CURLM *
fake_multi_init(void)
{
    return (CURLM *) &uv;
}

static CURLMcode
fake_setopt(CURLM *m, CURLMoption option, ...)
{
    (void) m;
    (void) option;
    return CURLM_OK;
}

static CURLMcode
fake_action(CURLM *m, curl_socket_t fd, int flags, int *running)
{
    assert_int_equal(fd, CURL_SOCKET_TIMEOUT);
    assert_int_equal(flags, 0);
    turns++;
    *running = 1;

    if (again > 0) {
        again--;
        assert_int_equal(set_timer(m, 0, NULL), 0);
    }

    return CURLM_OK;
}

static CURLMsg *
fake_info(CURLM *m, int *left)
{
    (void) m;
    *left = 0;
    return NULL;
}

static CURLMcode
fake_cleanup(CURLM *m)
{
    (void) m;
    return CURLM_OK;
}

static void
fake_global_cleanup(void)
{
}

static void
done(void *private, CURLcode code)
{
    (void) private;
    (void) code;
    fail();
}

static int
setup(void **state)
{
    (void) state;
    tw_curl.global_init = fake_global_init;
    tw_curl.multi_init = fake_multi_init;
    /* a macro of that name checks arguments that are constants */
    *(void **) &tw_curl.multi_setopt = (void *) fake_setopt;
    tw_curl.multi_socket_action = fake_action;
    tw_curl.multi_info_read = fake_info;
    tw_curl.multi_cleanup = fake_cleanup;
    tw_curl.global_cleanup = fake_global_cleanup;
    turns = again = 0;

    return uv_loop_init(&uv) || tw_curl_loop_init(&uv, done);
}

static int
teardown(void **state)
{
    (void) state;
    tw_curl_loop_close();
    (void) uv_run(&uv, UV_RUN_DEFAULT);

    return uv_loop_close(&uv);
}

/* It may ask for 0 ms as often as it likes. */
static void
test_fast_peer(void **state)
{
    int  i;

    (void) state;
    again = 1000;
    set_timer(NULL, 0, NULL);

    for (i = 1; i <= 5; i++) {
        (void) uv_run(&uv, UV_RUN_NOWAIT);
        assert_int_equal(turns, i);
    }
}

static void
test_times(void **state)
{
    uint64_t  from;

    (void) state;
    uv_update_time(&uv);
    from = uv_now(&uv);
    set_timer(NULL, 0, NULL);
    set_timer(NULL, 20, NULL);
    (void) uv_run(&uv, UV_RUN_ONCE);
    assert_int_equal(turns, 1);
    assert_true(uv_now(&uv) - from >= 20);

    set_timer(NULL, 20, NULL);
    set_timer(NULL, 0, NULL);
    (void) uv_run(&uv, UV_RUN_NOWAIT);
    assert_int_equal(turns, 2);

    set_timer(NULL, 0, NULL);
    set_timer(NULL, -1, NULL);
    set_timer(NULL, 20, NULL);
    set_timer(NULL, -1, NULL);
    assert_false(uv_loop_alive(&uv));
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_fast_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
