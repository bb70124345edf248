#include "agent/dns/address.h"

#include "shared/cidr.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char fixed[] = "fixed:", relay_word[] = "relay";

struct address {
    const struct opt_conf *conf;
    struct address_view now;
    char relay[64];                 /* which relay has told the two below */
    char seen[2][INET6_ADDRSTRLEN]; /* IPv4, IPv6 */
    void (*changed)(void *user);
    void (*ended)(void *user);
    void *user;
    uv_timer_t timer; /* tells of changes from the loop; its closing is what ends us */
};

static bool read_address(const char *text, int *family)
{
    struct sockaddr_storage addr;

    if (!cidr_address(str_of(text), &addr))
        return false;
    *family = addr.ss_family;
    return true;
}

static void set(struct address_family *f, const char *text, const char *family)
{
    snprintf(f->text, sizeof f->text, "%s", text);
    f->known = *text;
    if (*text)
        f->why[0] = 0;
    else
        snprintf(f->why, sizeof f->why, "no source of [address] has told the house's %s address yet", family);
}

static void on_timer(uv_timer_t *timer)
{
    const struct address *a = timer->data;

    a->changed(a->user);
}

/* The first source that knows a family counts. */
static void find_out(struct address *a)
{
    const struct address_conf *conf = opt_values(a->conf, "address", NULL);
    const struct address_view before = a->now;
    const char *v4 = "", *v6 = "";
    int family;

    for (size_t i = 0; i < conf->sources.n; i++) {
        const char *word = conf->sources.words[i];
        bool is_relay = strcmp(word, relay_word) == 0;

        if (is_relay && !*v4)
            v4 = a->seen[0];
        if (is_relay && !*v6)
            v6 = a->seen[1];
        if (is_relay || !read_address(word + sizeof fixed - 1, &family))
            continue;
        if (family == AF_INET && !*v4)
            v4 = word + sizeof fixed - 1;
        if (family == AF_INET6 && !*v6)
            v6 = word + sizeof fixed - 1;
    }
    set(&a->now.v4, v4, "IPv4");
    set(&a->now.v6, v6, "IPv6");
    if (strcmp(before.v4.text, v4) != 0 || strcmp(before.v6.text, v6) != 0)
        uv_timer_start(&a->timer, on_timer, 0, 0);
}

struct address *address_start(struct loop *loop, const struct opt_conf *conf, void (*changed)(void *user),
                              void (*ended)(void *user), void *user)
{
    struct address *a = mem_new(sizeof *a);

    a->conf = conf;
    a->changed = changed;
    a->ended = ended;
    a->user = user;
    uv_timer_init(&loop->uv, &a->timer);
    a->timer.data = a;
    find_out(a);
    return a;
}

void address_reload(struct address *a, const struct opt_conf *conf)
{
    a->conf = conf;
    find_out(a);
}

void address_relay_says(struct address *a, const char *relay, const char *seen_from)
{
    int family;

    if (!read_address(seen_from, &family)) {
        if (strcmp(relay, a->relay) == 0)
            a->seen[0][0] = a->seen[1][0] = 0;
    } else {
        snprintf(a->relay, sizeof a->relay, "%s", relay);
        snprintf(a->seen[family == AF_INET6], sizeof a->seen[0], "%s", seen_from);
    }
    find_out(a);
}

void address_look(struct address *a)
{
    find_out(a);
}

const struct address_view *address_now(const struct address *a)
{
    return &a->now;
}

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

json_t *address_status(const struct address *a)
{
    return json_pack("{s:o, s:o, s:[]}", "v4", text_or_null(a->now.v4.text), "v6",
                     text_or_null(a->now.v6.text), "sources");
}

static void on_closed(uv_handle_t *handle)
{
    struct address *a = handle->data;
    void (*ended)(void *user) = a->ended;
    void *user = a->user;

    free(a);
    ended(user);
}

void address_stop(struct address *a)
{
    uv_close((uv_handle_t *)&a->timer, on_closed);
}

void address_check(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct address_conf *c = opt_values(conf, "address", NULL);
    int family;

    for (size_t i = 0; c && i < c->sources.n; i++) {
        const char *word = c->sources.words[i];

        if (strcmp(word, relay_word) != 0 &&
            (strncmp(word, fixed, sizeof fixed - 1) != 0 || !read_address(word + sizeof fixed - 1, &family)))
            opt_errors_add_at(errors, conf, "address", NULL, "sources",
                              "%.60s is neither relay nor fixed:ADDRESS (such as fixed:192.0.2.7)", word);
    }
}
