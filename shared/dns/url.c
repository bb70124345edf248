/* Any service that is told addresses by one URL: a template of the user's, and the words that mean that all went well. */
#include "shared/dns/dyn.h"
#include "shared/dns/list.h"
#include "shared/value.h"

#include <string.h>

enum { SHOWN_CHARS = 60 };

struct filling {
    struct dns_client *c;
    const char *name, *v4, *v6;
};

static const char *const places[] = { "{ip}", "{ip6}", "{name}", "{zone}", "{token}" };
enum place { IP, IP6, NAME, ZONE, TOKEN, PLACES };

static enum place place_at(const char *text)
{
    int i = 0;

    while (i < PLACES && strncmp(text, places[i], strlen(places[i])) != 0)
        i++;
    return (enum place)i;
}

static bool has(const struct dns_conf *conf, enum place place)
{
    return strstr(conf->url, places[place]) != NULL;
}

static const char *conf_wrong(const struct dns_conf *conf)
{
    const char *question = strchr(conf->url, '?');

    for (const char *at = strpbrk(conf->url, "{}"); at; at = strpbrk(at, "{}")) {
        if (place_at(at) == PLACES)
            return "has something in braces in its url that is none of {ip}, {ip6}, {name}, {zone} and {token}";
        if (place_at(at) <= IP6 && !(question && at > question))
            return "has {ip} or {ip6} in front of the ? of its url; it has to be in a parameter behind it, which is "
                   "left out when there is no such address";
        at += strlen(places[place_at(at)]);
    }
    if (!has(conf, IP) && !has(conf, IP6))
        return "has neither {ip} nor {ip6} in its url; write the address's place into it";
    if (has(conf, TOKEN) != (*conf->token_file != 0))
        return "has {token} in its url but no token_file, or the other way round; both belong together";
    if (has(conf, ZONE) && !*conf->zone)
        return "has {zone} in its url but no zone; add zone = NAME";
    if ((*conf->user != 0) != (*conf->password_file != 0))
        return "has user without password_file, or the other way round; both belong together";
    return NULL;
}

static void fill_place(struct buf *out, const struct filling *f, enum place place)
{
    switch (place) {
    case IP: buf_add_text(out, f->v4); break;
    case IP6: buf_add_text(out, f->v6); break;
    case NAME: dns_escape(out, f->name); break;
    case ZONE: dns_escape(out, f->c->conf.zone); break;
    default: dns_escape_secret(out, &f->c->token);
    }
}

/* False when an address that is not there is asked for. */
static bool fill(struct buf *out, const struct filling *f, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        enum place place = text.p[i] == '{' ? place_at(text.p + i) : PLACES;

        if ((place == IP && !f->v4) || (place == IP6 && !f->v6))
            return false;
        if (place == PLACES) {
            buf_add(out, &text.p[i++], 1);
            continue;
        }
        fill_place(out, f, place);
        i += strlen(places[place]);
    }
    return true;
}

/* A parameter whose address is not there is left out: an empty one would mean something else to many services. */
static void fill_url(struct buf *out, const struct filling *f)
{
    const char *template = f->c->conf.url, *question = strchr(template, '?');
    const char *between = "?";
    struct str rest, parameter;

    fill(out, f, (struct str){ template, question ? (size_t)(question - template) : strlen(template) });
    rest = str_of(question ? question + 1 : "");
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '&', rest.n);
        struct buf text = { 0 };

        parameter = (struct str){ rest.p, end ? (size_t)(end - rest.p) : rest.n };
        rest.p += parameter.n + (end != NULL);
        rest.n -= parameter.n + (end != NULL);
        if (fill(&text, f, parameter)) {
            buf_add_text(out, between);
            buf_add(out, buf_bytes(&text), text.len);
            between = "&";
        }
        if (text.mem)
            explicit_bzero(text.mem, text.room);
        buf_free(&text);
    }
}

static bool is_success(const char *list, struct str word)
{
    struct str rest = str_of(list), next;

    while (value_next(&rest, &next))
        if (next.n == word.n && memcmp(next.p, word.p, word.n) == 0)
            return true;
    return false;
}

/* The words of `success` come first; the words of dyndns2 are known where they mean a failure. */
static enum dns_class judge(struct dns_client *c, const struct fetch_reply *reply, struct dns_why *why)
{
    struct str body = { buf_bytes(&reply->body), reply->body.len }, rest = body, first = { 0 };
    enum dns_class class = dns_judge_status(c, reply->status, NULL, why);

    if (class != DNS_OK)
        return class;
    if (!str_next_word(&rest, "\r\n", &first))
        return reply->status == 204 && is_success(c->conf.success, STR("204"))
                   ? DNS_OK
                   : dns_bad_reply(c, why, "it is empty, and success does not say 204");
    if (is_success(c->conf.success, first))
        return str_eq(first, "nochg") ? DNS_NOCHANGE : DNS_OK;
    class = dns_dyn_judge(c, body, "", NULL, why);
    if (class <= DNS_NOCHANGE || class == DNS_BADREPLY) {
        struct buf shown = { 0 };

        value_show(&shown, first, SHOWN_CHARS);
        class = dns_fail(c, why, DNS_BADREPLY, "its answer begins with \"%s\", which success does not name",
                         buf_text(&shown));
        buf_free(&shown);
    }
    return class;
}

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    if (*c->conf.user)
        dns_header_basic(r, c->conf.user, &c->password);
    return DNS_OK;
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    struct fetch_reply reply;
    enum dns_class class;

    if ((v4 && !has(&c->conf, IP)) || (v6 && !has(&c->conf, IP6)))
        return dns_fail(c, why, DNS_CONFIG, "its url has no %s; write it in, or families = %s for this site",
                        v4 && !has(&c->conf, IP) ? "{ip}" : "{ip6}",
                        v4 && !has(&c->conf, IP) ? "ipv6" : "ipv4");
    if (!has(&c->conf, NAME) && strcmp(name, c->conf.zone) != 0)
        return dns_fail(
            c, why, DNS_CONFIG,
            "its url has no {name}, so it can be for one name alone, and zone = %s does not say that it is %s",
            *c->conf.zone ? c->conf.zone : "(nothing)", name);
    fill_url(&r.url, &(struct filling){ c, name, v4, v6 });
    class = dns_send(c, &r, &reply, why);
    if (class == DNS_OK)
        class = judge(c, &reply, why);
    fetch_reply_free(&reply);
    return class;
}

const struct dns_provider dns_url = {
    .type = "url",
    .title = "URL",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_AAAA | DNS_CAN_WILDCARD,
    .keys = DNS_KEY_URL | DNS_KEY_SUCCESS | DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_USER | DNS_KEY_PASSWORD |
            DNS_KEY_CA,
    .needs = DNS_KEY_URL | DNS_KEY_SUCCESS,
    .min_interval_ms = 1000,
    .credential = "The service's own pages; where it has a token for one name, take that one.",
    .sample = "url        = https://dyn.example.net/update?host={name}&ip={ip}&ip6={ip6}&key={token}\n"
              "token_file = /etc/tunnel/dyn.token\n"
              "success    = OK UPDATED\n",
    .notes =
        "GET of url with {ip}, {ip6}, {name}, {zone} and {token} filled in; a parameter whose address is not there is left "
        "out. user and password_file log in by Basic. success: first words of an answer that mean that all went well, or 204 "
        "for an empty one; anything else is a failure, where the words of dyndns2 say which.",
    .conf_wrong = conf_wrong,
    .authorize = authorize,
    .update = update,
};
