#include "agent/certs/told.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

static const char item_prefix[] = "domain:";

/* ---- certificates ---- */

static void free_cert(struct told_cert *c)
{
    free(c->relay);
    free(c->item);
    free(c->state);
    free(c->not_after);
    free(c->why);
}

static struct told_cert *cert_of(struct told *t, const char *relay, const char *item)
{
    for (size_t i = 0; i < t->certs_n; i++)
        if (strcmp(t->certs[i].relay, relay) == 0 && strcmp(t->certs[i].item, item) == 0)
            return &t->certs[i];
    if (t->certs_n == TOLD_CERTS)
        return NULL;
    t->certs = mem_grow(t->certs, (t->certs_n + 1) * sizeof *t->certs);
    t->certs[t->certs_n] = (struct told_cert){ 0 };
    return &t->certs[t->certs_n++];
}

static void forget(struct told *t, struct told_cert *c)
{
    free_cert(c);
    *c = t->certs[--t->certs_n];
}

/* "none": it has none from an authority, or not any more. */
void told_cert(struct told *t, const char *relay, const struct lane_msg *m)
{
    struct told_cert *c = cert_of(t, relay, m->cert.item);
    time_t since = time(NULL);

    if (!c)
        return;
    if (strcmp(m->cert.state, "none") == 0) {
        forget(t, c);
        return;
    }
    if (c->state && strcmp(c->state, m->cert.state) == 0)
        since = c->since;
    free_cert(c);
    *c = (struct told_cert){ mem_copy(relay),         mem_copy(m->cert.item),
                             mem_copy(m->cert.state), mem_copy(m->cert.not_after),
                             mem_copy(m->cert.why),   since };
}

void told_keep(struct told *t, bool (*keep)(void *user, const char *relay, const char *item), void *user)
{
    for (size_t i = t->certs_n; i > 0; i--) {
        struct told_cert *c = &t->certs[i - 1];

        if (!keep(user, c->relay, c->item))
            forget(t, c);
    }
}

static bool is_of_site(const struct told_cert *c, const char *site)
{
    return strncmp(c->item, item_prefix, sizeof item_prefix - 1) == 0 &&
           strcmp(c->item + sizeof item_prefix - 1, site) == 0;
}

/* One whose renewal fails is good until it ends. */
enum told_state told_state(const struct told *t, const char *relay, const char *site)
{
    for (size_t i = 0; i < t->certs_n; i++) {
        const struct told_cert *c = &t->certs[i];

        if (is_of_site(c, site) && strcmp(c->relay, relay) == 0)
            return *c->not_after && strcmp(c->state, "expired") != 0 ? TOLD_GOOD : TOLD_MISSING;
    }
    return TOLD_NOTHING;
}

static bool is_of(const char *name, const char *site, const struct opt_words *aliases)
{
    bool found = strcmp(name, site) == 0;

    for (size_t i = 0; aliases && !found && i < aliases->n; i++)
        found = strcmp(name, aliases->words[i]) == 0;
    return found;
}

json_t *told_certs_status(const struct told *t, const char *site, const struct opt_words *aliases)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->certs_n; i++) {
        const struct told_cert *c = &t->certs[i];
        const char *name = c->item + sizeof item_prefix - 1;

        if (strncmp(c->item, item_prefix, sizeof item_prefix - 1) == 0 && is_of(name, site, aliases))
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", name, "relay", c->relay,
                                            "state", c->state, "since", json_time(c->since), "not_after",
                                            *c->not_after ? json_string(c->not_after) : json_null(),
                                            "last_error", *c->why ? json_any_text(c->why) : json_null()));
    }
    return list;
}

/* ---- notices ---- */

static void free_notice(struct told_notice *n)
{
    free(n->relay);
    free(n->level);
    free(n->text);
}

void told_notice(struct told *t, const char *relay, const struct lane_msg *m, time_t now)
{
    if (t->notices_n == TOLD_NOTICES) {
        free_notice(&t->notices[0]);
        memmove(&t->notices[0], &t->notices[1], (TOLD_NOTICES - 1) * sizeof t->notices[0]);
        t->notices_n--;
    }
    t->notices[t->notices_n++] =
        (struct told_notice){ mem_copy(relay), mem_copy(m->notice.level), mem_copy(m->notice.text), now };
}

json_t *told_notices_status(const struct told *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->notices_n; i++) {
        const struct told_notice *n = &t->notices[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "relay", n->relay, "level", n->level,
                                              "text", json_any_text(n->text), "at", json_time(n->at)));
    }
    return list;
}

void told_free(struct told *t)
{
    for (size_t i = 0; i < t->certs_n; i++)
        free_cert(&t->certs[i]);
    free(t->certs);
    for (size_t i = 0; i < t->notices_n; i++)
        free_notice(&t->notices[i]);
    *t = (struct told){ 0 };
}
