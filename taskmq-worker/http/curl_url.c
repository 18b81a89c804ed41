/* curl_url.c: see curl_url.h. */

#include <strings.h>

#include "curl_load.h"
#include "curl_url.h"

char *
tw_curl_plain_url(const char *url, CURL *e)
{
    char   *plain = NULL, *user = NULL, *password = NULL;
    CURLU  *u = url != NULL ? tw_curl.url() : NULL;

    if (u != NULL && tw_curl.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
        (void) tw_curl.url_get(u, CURLUPART_USER, &user, CURLU_URLDECODE);
        (void) tw_curl.url_get(u, CURLUPART_PASSWORD, &password,
            CURLU_URLDECODE);
        (void) tw_curl.url_set(u, CURLUPART_USER, NULL, 0);
        (void) tw_curl.url_set(u, CURLUPART_PASSWORD, NULL, 0);
        (void) tw_curl.url_get(u, CURLUPART_URL, &plain, 0);
    }

    if (e != NULL && (user != NULL || password != NULL)) {
        (void) tw_curl.easy_setopt(e, CURLOPT_USERNAME,
            user != NULL ? user : "");
        (void) tw_curl.easy_setopt(e, CURLOPT_PASSWORD,
            password != NULL ? password : "");
    }

    tw_curl.free(user);
    tw_curl.free(password);
    tw_curl.url_cleanup(u);

    return plain;
}

static int
same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    int    same;
    char  *x = NULL, *y = NULL;

    (void) tw_curl.url_get(a, part, &x, CURLU_DEFAULT_PORT);
    (void) tw_curl.url_get(b, part, &y, CURLU_DEFAULT_PORT);
    same = x != NULL && y != NULL && strcasecmp(x, y) == 0;
    tw_curl.free(x);
    tw_curl.free(y);

    return same;
}

int
tw_curl_same_host(const char *from, const char *to)
{
    int     same;
    CURLU  *a = tw_curl.url(), *b = tw_curl.url();

    same = a != NULL && b != NULL
           && tw_curl.url_set(a, CURLUPART_URL, from, 0) == CURLUE_OK
           && tw_curl.url_set(b, CURLUPART_URL, to, 0) == CURLUE_OK
           && same_part(a, b, CURLUPART_SCHEME)
           && same_part(a, b, CURLUPART_HOST)
           && same_part(a, b, CURLUPART_PORT);
    tw_curl.url_cleanup(a);
    tw_curl.url_cleanup(b);

    return same;
}
