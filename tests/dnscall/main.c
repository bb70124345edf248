/* dnscall: one call to a DNS provider, for tests: what the daemons do, without a daemon.
 *
 *   dnscall TYPE KEY=VALUE... zone NAME | read NAME T | set NAME T TTL PROXIED VALUE... | clear NAME T |
 *                             add-txt NAME VALUE | remove-txt NAME VALUE | update NAME V4 V6
 *
 * KEYs are those of [provider NAME]. TTL and PROXIED may be -1, V4 and V6 "-" (not ours). Several calls in one process, each
 * behind a "then". Prints one line of JSON for each: class, and what there is to say. Ends with 0 unless used wrongly. */
#include "shared/dns/client.h"
#include "shared/http/fetch.h"
#include "shared/json.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF(name, field)                      \
    {                                          \
        name, offsetof(struct dns_conf, field) \
    }

static const struct {
    const char *key;
    size_t offset;
} keys[] = {
    CONF("token_file", token_file),
    CONF("key_file", key_file),
    CONF("secret_file", secret_file),
    CONF("password_file", password_file),
    CONF("user", user),
    CONF("id", id),
    CONF("zone", zone),
    CONF("server", server),
    CONF("url", url),
    CONF("key_name", key_name),
    CONF("ca_file", ca_file),
    CONF("success", success),
    CONF("command", command),
};

static void usage(const char *why)
{
    fprintf(stderr, "dnscall: %s; see the top of tests/dnscall/main.c\n", why);
    exit(2);
}

static int index_of(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    usage(word);
    return -1;
}

static void set_key(struct dns_conf *conf, const char *arg)
{
    size_t n = strcspn(arg, "=");

    if (strncmp(arg, "key_algorithm=", 14) == 0) {
        conf->key_algorithm = index_of(dns_algorithms, arg + 14);
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strlen(keys[i].key) == n && strncmp(arg, keys[i].key, n) == 0) {
            *(const char **)(void *)((char *)conf + keys[i].offset) = arg + n + 1;
            return;
        }
    usage(arg);
}

static enum dns_type type_of(const char *text)
{
    for (int i = DNS_TYPE_A; i <= DNS_TYPE_ALIAS; i++)
        if (strcmp(dns_type_text((enum dns_type)i), text) == 0)
            return (enum dns_type)i;
    usage(text);
    return DNS_TYPE_A;
}

static void add_set(json_t *out, const struct dns_rrset *set)
{
    json_t *values = json_array();

    for (size_t i = 0; i < set->n; i++)
        json_array_append_new(values, json_string(set->values[i].text));
    json_object_set_new(out, "values", values);
    json_object_set_new(out, "ttl", json_integer(set->ttl_s));
    json_object_set_new(out, "proxied", json_integer(set->proxied));
}

static enum dns_class set_values(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *have,
                                 int argc, char **argv, struct dns_why *why)
{
    struct dns_rrset want;
    enum dns_class class;

    dns_rrset_init(&want, have->name, have->type);
    if (argc >= 2) {
        want.ttl_s = atoll(argv[0]);
        want.proxied = atoi(argv[1]);
    }
    for (int i = 2; i < argc; i++)
        if (!dns_rrset_add(&want, str_of(argv[i]), NULL))
            usage(argv[i]);
    class = dns_write(c, zone, have, &want, why);
    dns_rrset_free(&want);
    return class;
}

static enum dns_class sets(struct dns_client *c, const struct dns_zone *zone, int argc, char **argv,
                           json_t *out, struct dns_why *why)
{
    struct dns_rrset have;
    enum dns_class class;

    dns_rrset_init(&have, argv[1], type_of(argv[2]));
    class = dns_read(c, zone, &have, why);
    if (class == DNS_OK && strcmp(argv[0], "read") == 0)
        add_set(out, &have);
    else if (class == DNS_OK)
        class = set_values(c, zone, &have, argc - 3, argv + 3, why);
    dns_rrset_free(&have);
    return class;
}

static enum dns_class call(struct dns_client *c, int argc, char **argv, json_t *out, struct dns_why *why)
{
    struct dns_zone zone = { 0 };
    enum dns_class class;

    if (strcmp(argv[0], "update") == 0 && argc == 4)
        return dns_update(c, argv[1], strcmp(argv[2], "-") == 0 ? NULL : argv[2],
                          strcmp(argv[3], "-") == 0 ? NULL : argv[3], why);
    if (argc < 2)
        usage(argv[0]);
    class = c->provider->kind == DNS_DYN ? DNS_OK : dns_find_zone(c, argv[1], &zone, why);
    json_object_set_new(out, "zone", json_string(zone.name));
    if (class != DNS_OK || strcmp(argv[0], "zone") == 0)
        return class;
    if (argc == 3 && strcmp(argv[0], "add-txt") == 0)
        return dns_txt_add(c, &zone, argv[1], argv[2], why);
    if (argc == 3 && strcmp(argv[0], "remove-txt") == 0)
        return dns_txt_remove(c, &zone, argv[1], argv[2], why);
    if (argc >= 3 &&
        (strcmp(argv[0], "read") == 0 || strcmp(argv[0], "set") == 0 || strcmp(argv[0], "clear") == 0))
        return sets(c, &zone, argc, argv, out, why);
    usage(argv[0]);
    return DNS_OK;
}

static void one(struct dns_client *c, int argc, char **argv)
{
    struct dns_why why = { .retry_after_ms = -1 };
    json_t *out = json_object();
    enum dns_class class = call(c, argc, argv, out, &why);
    struct buf line = { 0 };

    json_object_set_new(out, "class", json_string(dns_class_text(class)));
    json_object_set_new(out, "text", json_any_text(why.err.text));
    json_object_set_new(out, "retry_after_ms", json_integer(why.retry_after_ms));
    json_write(&line, out);
    fputs(buf_text(&line), stdout);
    fflush(stdout);
    buf_free(&line);
    json_decref(out);
}

int main(int argc, char **argv)
{
    struct dns_conf conf = { .key_algorithm = -1 };
    struct dns_client *c;
    int at = 2, end;

    if (argc < 3)
        usage("arguments are missing");
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        *(const char **)(void *)((char *)&conf + keys[i].offset) = "";
    conf.type = index_of(dns_types, argv[1]);
    for (; at < argc && strchr(argv[at], '='); at++)
        set_key(&conf, argv[at]);
    c = dns_client_new(&conf);
    for (; at < argc; at = end + 1) {
        for (end = at; end < argc && strcmp(argv[end], "then") != 0; end++)
            ;
        if (end > at)
            one(c, end - at, argv + at);
    }
    dns_client_free(c);
    return 0;
}
