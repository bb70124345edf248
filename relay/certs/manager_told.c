/* Who is told of a site's certificates without asking: its agents, and the log when one ends soon. */
#include "relay/certs/manager_parts.h"
#include "shared/log.h"

#include <string.h>
#include <time.h>

enum { DAY_S = 24 * 3600 };

void manager_tell(struct manager *m, struct managed *d)
{
    json_t *cert = manager_status(m, d->names[0]);

    if (d->told && json_equal(d->told, cert)) {
        json_decref(cert);
        return;
    }
    json_decref(d->told);
    d->told = cert;
    m->events.told(m->user, d->names[0], cert);
}

/* It is no authority's affair any more, or nobody's: whoever still serves the name need not wait for news of it. */
void manager_tell_gone(struct manager *m, const struct managed *d)
{
    json_t *none = d->told ? manager_status(m, d->names[0]) : NULL;

    if (none)
        m->events.told(m->user, d->names[0], none);
    json_decref(none);
}

/* What changes without a job: the disk fails or is mended, a certificate ends. */
void manager_tell_state(struct manager *m, struct managed *d, time_t now)
{
    const char *state = manager_state(m, d, now);

    if (!manager_last_error(d))
        d->wrong_since = 0;
    else if (d->wrong_since == 0)
        d->wrong_since = now;
    if (state == d->told_state)
        return;
    d->told_state = state;
    manager_tell(m, d);
    for (struct managed *other = m->first; other; other = other->next)
        if (other->covered && manager_shown(m, other) == d)
            manager_tell(m, other);
}

/* Whoever runs the site may not be who runs the relay. */
static void tell_agent(const struct manager *m, const struct managed *d, const char *hours)
{
    struct buf text = { 0 };

    buf_printf(&text, "the certificate of %s ends in %s hours, and cannot be renewed: %s", d->names[0], hours,
               manager_last_error(d));
    m->events.notice(m->user, d->agent, "error", buf_text(&text));
    buf_free(&text);
}

void manager_tell_left_out(const struct manager *m, const struct managed *d, const struct meta *next)
{
    for (size_t i = 0; d->agent && i < next->left_out_n; i++) {
        const struct meta_left_out *left = &next->left_out[i];
        struct buf text = { 0 };

        if (due_is_left_out(&d->meta, left->name))
            continue;
        buf_printf(&text, "%s is left out of the certificate of %s: %s", left->name, d->names[0],
                   left->why ? left->why : "it fails");
        m->events.notice(m->user, d->agent, "warn", buf_text(&text));
        buf_free(&text);
    }
}

/* Once a day, for each certificate that ends soon and whose renewal fails. */
void manager_shout(const struct manager *m, struct managed *d, time_t now)
{
    for (int slot = 0; slot < META_SLOTS; slot++) {
        const struct meta_cert *cert = &d->meta.certs[slot];
        char text[64];

        if (!cert->there || !d->meta.last_error || cert->facts.not_after - now > MANAGER_SHOUT_S ||
            (now >= d->shouted && now - d->shouted < DAY_S))
            continue;
        d->shouted = now;
        snprintf(text, sizeof text, "%lld",
                 (long long)(cert->facts.not_after > now ? (cert->facts.not_after - now) / 3600 : 0));
        log_error("a certificate ends soon, and cannot be renewed", kv_str("domain", d->names[0]),
                  kv_str("hours_left", text), kv_str("error", manager_last_error(d)));
        if (d->agent)
            tell_agent(m, d, text);
    }
}
