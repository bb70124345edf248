#include "relay/troubles.h"

#include "shared/json.h"
#include "shared/mem.h"
#include "shared/status/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    FAILING = 1,
    EXPIRED = 2,
    REPEATED = 2, /* failures in a row: a single one is nothing */
    SOON_S = 7 * 86400,
    SOON_FOR_MS = 10 * 60 * 1000,    /* a certificate that is good for days is never far from its end */
    FAILING_FOR_MS = 60 * 60 * 1000, /* whatever it is, it should have passed */
};

static bool is(const json_t *object, const char *key, const char *word)
{
    return strcmp(status_text(object, key), word) == 0;
}

static int64_t time_of(const json_t *object, const char *key)
{
    int64_t at;

    return json_get_time(object, key, &at, NULL) == 0 ? at : 0;
}

static void add_agent(const json_t *agent, struct troubles *seen)
{
    const char *why = status_text(agent, "last_error");

    troubles_add(seen,
                 &(struct trouble){
                     .kind = EVENT_AGENT,
                     .subject = status_text(agent, "agent"),
                     .grade = is(agent, "state", "down"),
                     .unsure = is(agent, "state", "new"),
                     .damp_ms = DAMPING_USUAL_MS,
                     .since_s = time_of(agent, "since"),
                     .why = *why ? why : "no lane of it is up",
                     .remedy = "is its machine switched on, and on the net? tunnelctl status there says "
                               "what is in the way",
                 });
}

/* Of an authority's alone another can be ordered. */
static char *cert_remedy(struct troubles *seen, const char *site, const json_t *cert)
{
    bool ordered = !is(cert, "issuer", "internal") && !is(cert, "issuer", "files");
    char *text = mem_format("tunnelctl doctor %s on the relay's machine says what is in the way%s%s%s", site,
                            ordered ? "; tunnelctl certs renew " : "", ordered ? site : "",
                            ordered ? " tries again at once" : "");
    char *copy = arena_copy(&seen->texts, text);

    free(text);
    return copy;
}

static char *cert_why(struct troubles *seen, const json_t *cert)
{
    const char *why = status_text(cert, "last_error"), *ends = status_text(cert, "not_after");
    char *text = mem_format("%s%s%s%s", is(cert, "state", "expired") ? "it has expired; " : "", why,
                            *ends ? "; it is good until " : "", ends);
    char *copy = arena_copy(&seen->texts, text);

    free(text);
    return copy;
}

/* The certificate is good; what takes it further, such as to a mail server, did not. */
static void add_undeployed(const char *site, const json_t *cert, struct troubles *seen)
{
    troubles_add(seen, &(struct trouble){
                           .kind = EVENT_CERTIFICATE,
                           .subject = site,
                           .grade = FAILING,
                           .since_s = time_of(cert, "deploy_failing_since"),
                           .why = status_text(cert, "deploy_error"),
                           .remedy = "mend the program; tunnelctl reload runs it again",
                       });
}

static void add_cert(const char *site, const json_t *cert, time_t now, struct troubles *seen)
{
    int64_t ends = time_of(cert, "not_after");
    bool expired = is(cert, "state", "expired"), failing = is(cert, "state", "failing");
    bool serious = expired || json_integer_value(json_object_get(cert, "failures")) >= REPEATED;
    bool soon = ends != 0 && ends - now < SOON_S;

    if (is(cert, "state", "valid") && *status_text(cert, "deploy_error")) {
        add_undeployed(site, cert, seen);
        return;
    }
    troubles_add(seen, &(struct trouble){
                           .kind = EVENT_CERTIFICATE,
                           .subject = site,
                           .grade = expired   ? EXPIRED
                                    : failing ? FAILING
                                              : 0,
                           .unsure = is(cert, "state", "ordering"),
                           .since_s = time_of(cert, "failing_since"),
                           .damp_ms = serious ? 0
                                      : soon  ? SOON_FOR_MS
                                              : FAILING_FOR_MS,
                           .why = expired || failing ? cert_why(seen, cert) : "",
                           .remedy = expired || failing ? cert_remedy(seen, site, cert) : "",
                       });
}

/* Its own, and those of aliases apart from it. */
static void add_certs(const json_t *domain, time_t now, struct troubles *seen)
{
    const json_t *cert;
    size_t i;

    add_cert(status_text(domain, "name"), json_object_get(domain, "cert"), now, seen);
    json_array_foreach(json_object_get(domain, "certs"), i, cert)
        add_cert(status_text(cert, "name"), cert, now, seen);
}

void relay_add_troubles_at(const json_t *status, time_t now, struct troubles *seen)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(status, "agents"), i, entry) add_agent(entry, seen);
    json_array_foreach(json_object_get(status, "domains"), i, entry) add_certs(entry, now, seen);
}

void relay_add_troubles(const json_t *status, struct troubles *seen)
{
    relay_add_troubles_at(status, time(NULL), seen);
}
