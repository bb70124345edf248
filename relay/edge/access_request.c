#include "relay/edge/access_request.h"

#include "shared/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

struct access_request {
    struct access_log *log;
    const struct snap_site *site;
    uint64_t began_ms, sent_ms; /* of the monotonic clock */
    struct access_entry entry;
    char *domain, *agent; /* once they are our own */
    char client[INET6_ADDRSTRLEN], request_id[REQUEST_ID_BYTES];
    char texts[]; /* the visitor's, that entry points to */
};

/* The visitor's texts, and how much of each may stand on a line. */
enum { METHOD, TARGET, HOST, REFERER, USER_AGENT, TEXTS };
static const size_t most[TEXTS] = { H1_MAX_METHOD, ACCESS_TARGET_BYTES, ACCESS_HOST_BYTES,
                                    ACCESS_REFERER_BYTES, ACCESS_AGENT_BYTES };

/* ---- start ---- */

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct str field_text(const struct h1_head *head, const char *name)
{
    int i = h1_field_find(head, name, 0);

    return i < 0 ? (struct str){ "", 0 } : h1_text(head, head->fields[i].value);
}

/* A line shows that a text was cut, so one byte more than fits is kept. */
static void find_texts(struct str texts[TEXTS], const struct h1_head *head)
{
    texts[METHOD] = h1_text(head, head->method);
    texts[TARGET] = h1_text(head, head->target);
    texts[HOST] = h1_text(head, head->authority);
    texts[REFERER] = field_text(head, "referer");
    texts[USER_AGENT] = field_text(head, "user-agent");
    for (size_t i = 0; i < TEXTS; i++)
        if (texts[i].n > most[i] + 1)
            texts[i].n = most[i] + 1;
}

/* Makes the object, with room for them behind it. */
static struct access_request *copy_texts(struct str texts[TEXTS])
{
    struct access_request *a;
    size_t size = 0, at = 0;

    for (size_t i = 0; i < TEXTS; i++)
        size += texts[i].n;
    a = mem_new(sizeof *a + size);
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy(a->texts + at, texts[i].p, texts[i].n);
        texts[i].p = a->texts + at;
        at += texts[i].n;
    }
    return a;
}

/* Of a refused head the version is only known when something behind its line was read. */
static const char *protocol_of(const struct h1_head *head, bool http2)
{
    if (http2)
        return "HTTP/2.0";
    if (head->why && head->field_count == 0)
        return "";
    return head->minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

struct access_request *access_request_new(struct access_log *log, const struct snap_site *site,
                                          const struct h1_head *head, const struct headers_visitor *visitor,
                                          const char *tls)
{
    struct str texts[TEXTS];
    struct access_request *a;

    if (!access_log_on(log) || (site && !site->policy.access_log))
        return NULL;
    find_texts(texts, head);
    a = copy_texts(texts);
    a->log = log;
    a->site = site;
    a->began_ms = now_ms();
    headers_address_text(&visitor->addr, a->client, sizeof a->client);
    memcpy(a->request_id, visitor->request_id, sizeof a->request_id);
    a->entry = (struct access_entry){ .began_ms = wall_clock_ms(),
                                      .status = ACCESS_NO_ANSWER,
                                      .service_ms = -1,
                                      .request_id = a->request_id,
                                      .client = a->client,
                                      .protocol = protocol_of(head, visitor->http2),
                                      .tls = tls,
                                      .agent = "",
                                      .domain = site ? site->name : "",
                                      .method = texts[METHOD],
                                      .target = texts[TARGET],
                                      .host = texts[HOST],
                                      .referer = texts[REFERER],
                                      .user_agent = texts[USER_AGENT] };
    return a;
}

/* ---- on its way ---- */

void access_request_sent(struct access_request *a)
{
    if (a)
        a->sent_ms = now_ms();
}

void access_request_answered(struct access_request *a, int status)
{
    if (!a)
        return;
    a->entry.status = status;
    a->entry.service_ms = (int64_t)(now_ms() - a->sent_ms);
}

void access_request_page(struct access_request *a, int status, struct str page)
{
    const char *body;

    if (!a)
        return;
    body = memmem(page.p, page.n, "\r\n\r\n", 4);
    a->entry.status = status;
    a->entry.bytes_out = body ? page.n - (size_t)(body + 4 - page.p) : 0;
}

void access_request_in(struct access_request *a, size_t n)
{
    if (a)
        a->entry.bytes_in += n;
}

void access_request_out(struct access_request *a, size_t n)
{
    if (a)
        a->entry.bytes_out += n;
}

/* ---- end ---- */

/* A plain lane has no agent, and a number that nobody knows. */
static void name_lane(struct access_request *a, uint64_t lane)
{
    for (size_t i = 0; a->site && i < a->site->own.lanes_n; i++)
        if (a->site->own.lanes[i].lane->id == lane && !snap_lane_is_plain(a->site->own.lanes[i].lane)) {
            a->entry.lane = lane;
            a->entry.agent = a->site->own.lanes[i].lane->agent;
        }
}

static void keep(char **own, const char **text)
{
    char *before = *own;

    *text = *own = mem_copy(*text);
    free(before);
}

void access_request_detach(struct access_request *a, uint64_t lane)
{
    if (!a)
        return;
    name_lane(a, lane);
    a->site = NULL;
    keep(&a->domain, &a->entry.domain);
    keep(&a->agent, &a->entry.agent);
}

void access_request_attach(struct access_request *a, const struct snap_site *site)
{
    if (!a)
        return;
    a->site = site;
    a->entry.domain = site->name;
}

void access_request_end(struct access_request *a, uint64_t lane, bool complete)
{
    if (!a)
        return;
    name_lane(a, lane);
    a->entry.complete = complete;
    a->entry.duration_ms = now_ms() - a->began_ms;
    access_log_add(a->log, &a->entry);
    free(a->domain);
    free(a->agent);
    free(a);
}
