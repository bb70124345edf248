#include "shared/http/fetch.h"

#include "shared/http/libcurl.h"
#include "shared/value.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* What one request needs while libcurl runs it. */
struct run {
    const struct libcurl *lib;
    CURL *curl;
    struct curl_slist *headers, *connect_to;
    const struct fetch_request *request;
    struct fetch_reply *reply;
    size_t max_bytes;
    bool too_large;
    char why[CURL_ERROR_SIZE];
};

/* ---- what libcurl calls ---- */

static size_t on_body(char *bytes, size_t one, size_t n, void *user)
{
    struct run *r = user;

    (void)one;
    if (buf_add_max(&r->reply->body, bytes, n, r->max_bytes, NULL) == 0)
        return n;
    r->too_large = true;
    return 0;
}

/* Each head begins with its status line: only the last one's fields stay (100 Continue and a proxy's own go before). */
static size_t on_head(char *bytes, size_t one, size_t n, void *user)
{
    struct run *r = user;

    (void)one;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0)
        buf_free(&r->reply->head);
    if (buf_add_max(&r->reply->head, bytes, n, r->max_bytes, NULL) == 0)
        return n;
    r->too_large = true;
    return 0;
}

static int on_progress(void *user, curl_off_t down_n, curl_off_t down, curl_off_t up_n, curl_off_t up)
{
    const struct run *r = user;

    (void)down_n;
    (void)down;
    (void)up_n;
    (void)up;
    return job_cancelled(r->request->job);
}

/* ---- before ---- */

static void set_protocols(const struct run *r)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    r->lib->easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    r->lib->easy_setopt(r->curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_method(struct run *r)
{
    const struct fetch_request *q = r->request;

    if (q->body) {
        r->lib->easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_n);
        r->lib->easy_setopt(r->curl, CURLOPT_POSTFIELDS, q->body);
    }
    r->lib->easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, q->method);
    r->lib->easy_setopt(r->curl, CURLOPT_NOBODY, (long)(strcmp(q->method, "HEAD") == 0));
}

/* "::ADDRESS:" is for every host and port of a URL, and leaves the port as it is. */
static void set_address(struct run *r)
{
    const char *at = r->request->at;
    bool v6 = at && strchr(at, ':');
    char text[96];

    if (!at)
        return;
    snprintf(text, sizeof text, "::%s%s%s:", v6 ? "[" : "", at, v6 ? "]" : "");
    r->connect_to = r->lib->slist_append(NULL, text);
}

static void set_where(struct run *r)
{
    const struct fetch_request *q = r->request;

    if (q->ca_file && *q->ca_file)
        r->lib->easy_setopt(r->curl, CURLOPT_CAINFO, q->ca_file);
    if (r->connect_to)
        r->lib->easy_setopt(r->curl, CURLOPT_CONNECT_TO, r->connect_to);
    if (q->direct)
        r->lib->easy_setopt(r->curl, CURLOPT_PROXY, "");
    if (q->device)
        r->lib->easy_setopt(r->curl, CURLOPT_INTERFACE, q->device);
    r->lib->easy_setopt(r->curl, CURLOPT_IPRESOLVE,
                        (long)(q->family == AF_INET    ? CURL_IPRESOLVE_V4
                               : q->family == AF_INET6 ? CURL_IPRESOLVE_V6
                                                       : CURL_IPRESOLVE_WHATEVER));
}

static void set_options(struct run *r)
{
    const struct fetch_request *q = r->request;
    const struct libcurl *lib = r->lib;
    CURL *c = r->curl;

    lib->easy_setopt(c, CURLOPT_URL, q->url);
    lib->easy_setopt(c, CURLOPT_ERRORBUFFER, r->why);
    lib->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    lib->easy_setopt(c, CURLOPT_SSL_VERIFYPEER, r->request->any_certificate ? 0L : 1L);
    lib->easy_setopt(c, CURLOPT_SSL_VERIFYHOST, r->request->any_certificate ? 0L : 2L);
    lib->easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    lib->easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(q->timeout_ms > 0 ? q->timeout_ms : FETCH_TIMEOUT_MS));
    lib->easy_setopt(c, CURLOPT_USERAGENT, q->user_agent ? q->user_agent : FETCH_USER_AGENT);
    lib->easy_setopt(c, CURLOPT_HTTPHEADER, r->headers);
    lib->easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    lib->easy_setopt(c, CURLOPT_WRITEDATA, r);
    lib->easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
    lib->easy_setopt(c, CURLOPT_HEADERDATA, r);
    lib->easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    lib->easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    lib->easy_setopt(c, CURLOPT_XFERINFODATA, r);
    /* A name that is still looked up when the job is cancelled holds nobody up. */
    lib->easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    set_protocols(r);
    set_method(r);
    set_where(r);
}

/* ---- after ---- */

/* "HOST" of scheme://USER@HOST/…, the only part of a URL that may be shown. */
static void host_of(const char *url, char out[256])
{
    const char *at, *host = strstr(url, "://");
    size_t n;

    host = host ? host + 3 : url;
    n = strcspn(host, "/?#");
    if ((at = memrchr(host, '@', n))) {
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    snprintf(out, 256, "%.*s", (int)(n < 255 ? n : 255), host);
}

/* libcurl calls it HTTP/0.9, which it does not support; the same code says that it does not know a URL's scheme. */
static bool is_no_http(const struct run *r, CURLcode rc)
{
    const char *url = r->request->url;

    return rc == CURLE_UNSUPPORTED_PROTOCOL &&
           (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0);
}

static enum err_code code_of(const struct run *r, CURLcode rc)
{
    if (r->too_large)
        return ERR_LIMIT;
    if (is_no_http(r, rc))
        return ERR_PEER;
    switch (rc) {
    case CURLE_ABORTED_BY_CALLBACK: return ERR_STOPPED;
    case CURLE_OPERATION_TIMEDOUT: return ERR_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return ERR_INPUT;
    case CURLE_SSL_CACERT_BADFILE: return ERR_MISSING;
    default: return ERR_PEER;
    }
}

static int explain(const struct run *r, CURLcode rc, struct err *e)
{
    enum err_code code = code_of(r, rc);
    char host[256];

    host_of(r->request->url, host);
    switch (code) {
    case ERR_LIMIT:
        return err_set(e, code, "%s answers with more than %zu bytes; is this the right server?", host,
                       r->max_bytes);
    case ERR_STOPPED: return err_set(e, code, "the request to %s was given up, as asked", host);
    case ERR_INPUT: return err_set(e, code, "the URL for %s cannot be used; write https://HOST/PATH", host);
    case ERR_MISSING:
        return err_set(e, code, "cannot use %s, whom to trust for %s; is it a file of PEM certificates?",
                       r->request->ca_file, host);
    default:
        return err_set(e, code, "cannot ask %s: %s", host,
                       is_no_http(r, rc) ? "what answers there does not speak HTTP"
                       : r->why[0]       ? r->why
                                         : r->lib->easy_strerror(rc));
    }
}

static int finish(struct run *r, CURLcode rc, struct err *e)
{
    const char *address = NULL;
    long status = 0;

    r->lib->easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    r->reply->status = (int)status;
    if (rc != CURLE_OK)
        return explain(r, rc, e);
    if (r->lib->easy_getinfo(r->curl, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address)
        snprintf(r->reply->address, sizeof r->reply->address, "%s", address);
    return 0;
}

int fetch(const struct fetch_request *request, struct fetch_reply *reply, struct err *e)
{
    struct run r = { .request = request, .reply = reply };
    struct curl_slist *more;
    int rc;

    r.max_bytes = request->max_bytes ? request->max_bytes : FETCH_MAX_BYTES;
    if (request->ca_file && *request->ca_file && access(request->ca_file, R_OK) != 0)
        return explain(&r, CURLE_SSL_CACERT_BADFILE, e);
    r.lib = libcurl_get(e);
    if (!r.lib)
        return -1;
    r.curl = r.lib->easy_init();
    if (!r.curl)
        return err_set(e, ERR_SYSTEM, "libcurl makes no handle");
    for (size_t i = 0; request->headers && request->headers[i]; i++) {
        more = r.lib->slist_append(r.headers, request->headers[i]);
        r.headers = more ? more : r.headers;
    }
    set_address(&r);
    set_options(&r);
    rc = finish(&r, r.lib->easy_perform(r.curl), e);
    r.lib->easy_cleanup(r.curl);
    for (struct curl_slist *i = r.headers; i; i = i->next)
        explicit_bzero(i->data, strlen(i->data)); /* one of them may be a credential */
    r.lib->slist_free_all(r.headers);
    r.lib->slist_free_all(r.connect_to);
    return rc;
}

void fetch_rest(void)
{
    libcurl_rest();
}

void fetch_reply_free(struct fetch_reply *reply)
{
    buf_free(&reply->head);
    buf_free(&reply->body);
    *reply = (struct fetch_reply){ 0 };
}

/* ---- the head ---- */

struct str fetch_field(const struct fetch_reply *reply, const char *name)
{
    return fetch_field_nth(reply, name, 0);
}

struct str fetch_field_nth(const struct fetch_reply *reply, const char *name, size_t before)
{
    const char *line = buf_bytes(&reply->head), *end = line + reply->head.len;
    size_t n = strlen(name);

    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        struct str whole = { line, (size_t)((next ? next : end) - line) };

        if (whole.n > 0 && whole.p[whole.n - 1] == '\r')
            whole.n--;
        if (whole.n > n && whole.p[n] == ':' && str_eq_nocase((struct str){ whole.p, n }, name) &&
            before-- == 0)
            return str_trim((struct str){ whole.p + n + 1, whole.n - n - 1 });
        line += (size_t)((next ? next + 1 : end) - line);
    }
    return (struct str){ NULL, 0 };
}

/* -1 when text is no date in one of the three forms that HTTP has. By libc, not by libcurl: where time_t of a library may
 * have 32 bits, ours has 64. */
static int64_t read_date(struct str text)
{
    static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                         "%a %b %d %H:%M:%S %Y" };
    char date[64];

    if (!text.p || text.n >= sizeof date)
        return -1;
    snprintf(date, sizeof date, "%.*s", STR_ARG(text));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm utc = { 0 };
        const char *end = strptime(date, forms[i], &utc);

        if (end && !*end)
            return timegm(&utc) < 0 ? -1 : timegm(&utc); /* there was no HTTP before 1970 */
    }
    return -1;
}

int64_t fetch_date_s(const struct fetch_reply *reply)
{
    return read_date(fetch_field(reply, "date"));
}

int64_t fetch_retry_after_ms(const struct fetch_reply *reply, int64_t now_s)
{
    enum { MOST_S = 7 * 24 * 3600 };
    struct str text = fetch_field(reply, "retry-after");
    int64_t s, at;

    if (!text.p)
        return -1;
    if (value_number(text, 0, INT64_MAX, &s, NULL) != 0) {
        at = read_date(text);
        if (at < 0)
            return -1;
        s = at > now_s ? at - now_s : 0;
    }
    return (s < MOST_S ? s : MOST_S) * 1000;
}
