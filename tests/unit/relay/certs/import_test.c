#include "relay/certs/import.h"

#include "shared/file.h"
#include "tests/unit/relay/certs/store_bench.h"

/* The relay's sites: a.com with an alias, b.com, and one for which an order is under way. */
struct sites {
    bool none;       /* there are no sites at all */
    char taken[200]; /* those that were told of */
};

static size_t names_of(void *user, const char *name, const char *const **names)
{
    static const char *const a[] = { "a.com", "www.a.com", "new.a.com" }, *const b[] = { "b.com" },
                             *const busy[] = { "busy.com" };
    const struct sites *s = user;

    *names = strstr(name, "a.com") ? a : strcmp(name, "b.com") == 0 ? b : busy;
    if (s->none || name[0] == '*' || strcmp(name, "free.com") == 0)
        return 0;
    return *names == a ? 3 : 1;
}

static bool is_busy(void *user, const char *site)
{
    (void)user;
    return strcmp(site, "busy.com") == 0;
}

static bool interrupt(void *user, const char *site)
{
    (void)user;
    (void)site;
    return false; /* a person waits for what is under way */
}

static void on_taken(void *user, const char *site)
{
    struct sites *s = user;

    strcat(strcat(s->taken, site), ";");
}

static char *key_pem_of(const struct temp *t, const struct signer *key)
{
    char path[64];
    struct buf text = { 0 };
    char *pem;

    snprintf(path, sizeof path, "%s/key", t->folder);
    assert_int_equal(signer_save(key, path, NULL), 0);
    assert_int_equal(file_read(path, 10000, &text, NULL), 0);
    pem = mem_copy(buf_text(&text));
    buf_free(&text);
    return pem;
}

static json_t *content_of(const struct temp *t, const struct made *cert, const struct signer *key)
{
    char *pem = key_pem_of(t, key);
    json_t *content = json_pack("{s:s, s:s, s:s}", "chain", cert->pem, "key", pem, "origin", "/etc/x.pem");

    free(pem);
    return content;
}

/* "a.com taken: why; …", or the error. */
static const char *take(struct bench *b, const struct temp *t, struct sites *sites,
                        const struct made_order *order)
{
    static char text[600];
    struct made made = maker_issue(b->maker, order);
    const struct import_sites asked = { names_of, is_busy, interrupt, on_taken, NULL, sites };
    json_t *content = content_of(t, &made, made.key), *reply, *item;
    struct err e = { 0 };
    size_t i;

    reply = import_take(b->store, &asked, content, start, &e);
    snprintf(text, sizeof text, "%s", e.text);
    json_array_foreach(json_object_get(reply, "results"), i, item)
    {
        const char *why = json_string_value(json_object_get(item, "why"));

        snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s%s%s; ",
                 json_string_value(json_object_get(item, "name")),
                 json_string_value(json_object_get(item, "state")), why ? ": " : "", why ? why : "");
    }
    json_decref(reply);
    json_decref(content);
    made_free(&made);
    return text;
}

#define ORDER(life, ...)                                                                                     \
    {                                                                                                        \
        (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), \
            start - 3600, life, KEY_ECDSA                                                                    \
    }

static void test_each_site_gets_what_covers_it(void **state)
{
    const struct made_order order = ORDER(90 * DAY, "www.a.com", "a.com", "b.com");
    const struct made_order shorter = ORDER(80 * DAY, "b.com");
    struct sites sites = { 0 };
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(take(&b, *state, &sites, &order),
                        "a.com taken: it does not cover new.a.com; one that does is ordered; b.com taken; ");
    assert_string_equal(sites.taken, "a.com;b.com;");
    bench_load(&b, "a.com");
    assert_string_equal(b.meta.certs[META_ECDSA].issuer, "import");
    assert_string_equal(b.meta.certs[META_ECDSA].origin, "/etc/x.pem");
    assert_non_null(
        strstr(take(&b, *state, &sites, &shorter), "b.com kept: the one in the store is good for longer; "));
    bench_end(&b);
}

static void test_what_no_site_has_waits_for_one(void **state)
{
    const struct made_order order =
        ORDER(90 * DAY, "a.com", "www.a.com", "*.a.com", "www.lonely.com", "192.0.2.7");
    struct sites sites = { .none = true };
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(take(&b, *state, &sites, &order),
                        "a.com taken; *.a.com taken; www.lonely.com taken; 192.0.2.7 taken; ");
    bench_load(&b, "*.a.com");
    assert_true(b.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

static void test_a_site_is_called_by_its_own_name(void **state)
{
    const struct made_order order = ORDER(90 * DAY, "new.a.com");
    struct sites sites = { 0 };
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(take(&b, *state, &sites, &order),
                        "new.a.com refused: it is an alias of a.com, which the certificate does not cover; ");
    bench_end(&b);
}

/* A certificate that its own key has signed is of use where there is none, but its owner is told. */
static void test_tells_what_its_owner_should_know(void **state)
{
    struct import_sites asked = { names_of, is_busy,          interrupt,
                                  on_taken, "nobody sees it", &(struct sites){ 0 } };
    static const char *const names[] = { "b.com" };
    struct signer *key = signer_new();
    X509 *cert = own_cert_new(key, start, 30);
    struct made made = { NULL, key };
    struct bench b = { 0 };
    json_t *content, *reply;

    bench_begin(&b, *state, "R10");
    assert_int_equal(own_cert_extend_names(cert, "", names, 1, NULL), 0);
    assert_int_equal(signer_sign(key, cert, NULL), 0);
    made.pem = maker_pem(cert, NULL);
    content = content_of(*state, &made, key);
    reply = import_take(b.store, &asked, content, start, NULL);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(reply, "results"), 0), "why")),
        "it is self-signed, so that browsers warn; tunnelctl certs renew orders another one; nobody sees it");
    json_decref(content);
    json_decref(reply);
    X509_free(cert);
    made_free(&made);
    bench_end(&b);
}

static void test_says_why_it_does_not_take_one(void **state)
{
    const struct made_order busy = ORDER(90 * DAY, "busy.com", "free.com"), old = ORDER(3000, "a.com");
    struct maker *staging = maker_new("(STAGING) Wannabe Watercress R11"), *real;
    const struct made_order good = ORDER(90 * DAY, "a.com");
    struct sites sites = { 0 };
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(
        take(&b, *state, &sites, &busy),
        "busy.com refused: tunnelctl certs renew or revoke is at work for it; import again when that has ended; free.com taken; ");
    assert_string_equal(take(&b, *state, &sites, &old),
                        "/etc/x.pem: the certificate has expired at 2027-01-15T07:50:00Z");
    real = b.maker;
    b.maker = staging;
    assert_string_equal(
        take(&b, *state, &sites, &good),
        "a.com refused: it is from a staging environment ((STAGING) Wannabe Watercress R11), which "
        "no browser trusts; ");
    b.maker = real;
    maker_free(staging);
    bench_end(&b);
}

static void test_says_what_is_wrong_with_the_content(void **state)
{
    const struct made_order order = ORDER(90 * DAY, "a.com");
    struct bench b = { 0 };
    struct made made, other;
    static const struct {
        const char *member, *value, *why;
    } rows[] = {
        { "chain", NULL, "\"chain\" is missing" },
        { "chain", "hello", "/etc/x.pem: what was sent is no chain" },
        { "key", NULL, "\"key\" is missing" },
        { "key", "hello", "/etc/x.pem: not a private key without a passphrase" },
        { "origin", NULL, "\"origin\" is missing" },
        { "more", "x", "more" },
        { "", "", "/etc/x.pem: the key does not belong to the certificate" },
    };

    bench_begin(&b, *state, "R10");
    made = maker_issue(b.maker, &order);
    other = maker_issue(b.maker, &order);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *content = content_of(*state, &made, rows[i].member[0] ? made.key : other.key);
        struct err e = { 0 };

        if (rows[i].value && rows[i].member[0])
            json_object_set_new(content, rows[i].member, json_string(rows[i].value));
        else
            json_object_del(content, rows[i].member);
        assert_null(import_take(b.store,
                                &(struct import_sites){ names_of, is_busy, interrupt, on_taken, NULL, NULL },
                                content, start, &e));
        if (!strstr(e.text, rows[i].why))
            fail_msg("%s: %s", rows[i].why, e.text);
        json_decref(content);
    }
    made_free(&made);
    made_free(&other);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_each_site_gets_what_covers_it),
        IN_A_FOLDER(test_what_no_site_has_waits_for_one),
        IN_A_FOLDER(test_a_site_is_called_by_its_own_name),
        IN_A_FOLDER(test_tells_what_its_owner_should_know),
        IN_A_FOLDER(test_says_why_it_does_not_take_one),
        IN_A_FOLDER(test_says_what_is_wrong_with_the_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
