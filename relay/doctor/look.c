/* The path from this machine, in order: itself, its lane socket, its sshd, the authorities, and each site from outside. */
#include "relay/doctor/look.h"

#include "relay/certs/preflight.h"
#include "shared/doctor/host.h"
#include "shared/doctor/reach.h"
#include "shared/doctor/visit.h"
#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CA_MS = 10000, WORDS = 8, PUBLISHED = 16, LOOKUPS_MS = 15 * 1000 };

_Static_assert(VISIT_LOOK_MS + LOOKUPS_MS + PREFLIGHT_SEE_MORE_MS < VISIT_ANSWER_S * 1000,
               "tunnelctl waits for an agent that hangs while the last site is looked at");

struct round {
    json_t *facts;
    struct job *job;
    struct ways *ways;
    struct errands *errands;
    struct lookup resolvers;
    struct err no_resolvers;
    const char *words[WORDS], *published[PUBLISHED];
    size_t published_n;
    int64_t until_s;
};

/* ---- this machine ---- */

static void look_at_lane_socket(json_t *facts)
{
    struct stat st;
    const char *wrong = "";

    if (stat(fact_text(facts, "lane_socket"), &st) != 0)
        wrong = strerror(errno);
    else if (!S_ISSOCK(st.st_mode))
        wrong = "it is no socket";
    json_object_set_new(facts, "lane_socket_wrong", json_string(wrong));
}

static void look_at_sshd(const struct round *r)
{
    static const char *const addresses[] = { "127.0.0.1", "::1" };
    unsigned port = (unsigned)fact_number(r->facts, "ssh_port", 22);
    json_t *seen = NULL;

    for (size_t i = 0; i < 2 && (!seen || fact_is(seen, "state", "refused")); i++) {
        json_t *next = reach_port(addresses[i], port, REACH_GREETING, r->job);

        if (seen && !fact_is(next, "state", "greeted")) {
            json_decref(next); /* the usual address says more */
            continue;
        }
        json_decref(seen);
        seen = next;
    }
    json_object_set_new(r->facts, "sshd", seen);
}

static void look_at_secrets(json_t *facts)
{
    static const char *const patterns[] = { "internal/*.key", "acme/*/account.key*", "certs/*/privkey*.pem" };

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        char *pattern = mem_format("%s/%s", fact_text(facts, "state_dir"), patterns[i]);
        glob_t found = { 0 };

        if (glob(pattern, 0, NULL, &found) == 0)
            for (size_t j = 0; j < found.gl_pathc; j++)
                host_look_at_secret(facts, found.gl_pathv[j]);
        globfree(&found);
        free(pattern);
    }
}

/* ---- authorities ---- */

static void look_at_authority(const struct round *r, json_t *authority)
{
    const struct fetch_request request = { .method = "GET",
                                           .url = fact_text(authority, "directory"),
                                           .ca_file = fact_text(authority, "ca_file"),
                                           .user_agent = "tunnel-relay/" TUNNEL_VERSION,
                                           .timeout_ms = CA_MS,
                                           .job = r->job };
    struct fetch_reply reply = { 0 };
    struct err why = { 0 };
    int rc = fetch(&request, &reply, &why);
    int64_t date_s = rc == 0 ? fetch_date_s(&reply) : -1;

    json_object_set_new(authority, "status", json_integer(reply.status));
    json_object_set_new(authority, "why", json_any_text(rc == 0 ? "" : why.text));
    if (date_s > 0)
        json_object_set_new(r->facts, "other_clock",
                            json_pack("{s:s, s:I}", "who", fact_text(authority, "name"), "ahead_s",
                                      (json_int_t)(time(NULL) - date_s)));
    fetch_reply_free(&reply);
}

/* ---- sites ---- */

static void open_resolvers(struct round *r)
{
    const json_t *first = json_array_get(json_object_get(r->facts, "authorities"), 0),
                 *list = json_object_get(first, "resolvers");
    struct opt_words words = { 0, r->words };

    for (size_t i = 0; i < json_array_size(list) && i < WORDS; i++)
        r->words[words.n++] = json_string_value(json_array_get(list, i));
    if (words.n == 0)
        r->words[words.n++] = "system";
    if (lookup_open(&r->resolvers, &words, &r->no_resolvers) == 0)
        r->resolvers.job = r->job;
}

static void read_published(struct round *r)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(r->facts, "published"), i, one)
    {
        if (r->published_n < PUBLISHED)
            r->published[r->published_n++] = json_string_value(one);
    }
}

static void look_at_site(const struct round *r, json_t *site)
{
    const char *name = fact_text(site, "name");
    const struct preflight_ask ask = { .name = name,
                                       .resolvers = &r->resolvers,
                                       .publish = r->published,
                                       .publish_n = r->published_n,
                                       .ways = r->ways,
                                       .errands = r->errands,
                                       .job = r->job };
    unsigned ports[2];
    size_t n = 0;

    if (json_is_true(json_object_get(site, "local")) || strncmp(name, "*.", 2) == 0)
        return; /* its name is not the public's; or stands for any other */
    if (json_is_true(json_object_get(r->facts, "listens_http")))
        ports[n++] = 80;
    if (json_is_true(json_object_get(r->facts, "listens_https")))
        ports[n++] = 443;
    if (r->no_resolvers.code == ERR_NONE)
        json_object_set_new(site, "sight",
                            preflight_see(&ask, ports, n, (r->until_s - visit_now_s()) * 1000));
}

void relay_doctor_look(json_t *facts, struct ways *ways, struct errands *errands, struct job *job)
{
    struct round r = { .facts = facts,
                       .job = job,
                       .ways = ways,
                       .errands = errands,
                       .until_s = visit_now_s() + VISIT_LOOK_MS / 1000 };
    json_t *one;
    size_t i;

    host_look(facts, fact_text(facts, "state_dir"));
    look_at_secrets(facts);
    look_at_lane_socket(facts);
    look_at_sshd(&r);
    open_resolvers(&r);
    read_published(&r);
    json_array_foreach(json_object_get(facts, "authorities"), i, one)
    {
        if (!visit_is_over(r.job, r.until_s))
            look_at_authority(&r, one);
    }
    json_array_foreach(json_object_get(facts, "domains"), i, one)
    {
        if (visit_is_over(r.job, r.until_s))
            json_object_set_new(one, "skipped", json_true());
        else
            look_at_site(&r, one);
    }
}
