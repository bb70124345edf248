#include "agent/dns/reconcile.h"

#include "shared/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define NAME "www.a.test"

/* A provider that keeps three sets of one name in memory. */
struct world {
    struct dns_client *c;
    struct dns_name *n;
    struct dns_rrset there, cname, owner;
    int reads, writes;
    enum dns_class broken; /* DNS_OK, or what each write says */
    bool forgets;          /* a write is accepted, and nothing is there afterwards */
};

static enum dns_class fake_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                                struct dns_why *why)
{
    (void)c;
    (void)why;
    if (strcmp(name, "a.test") == 0)
        assert_true(dns_zone_set(zone, str_of(name), "7"));
    return DNS_OK;
}

static struct dns_rrset *set_of(struct world *w, const struct dns_rrset *set)
{
    if (strcmp(set->name, NAME) != 0)
        return &w->owner;
    return set->type == DNS_TYPE_A ? &w->there : set->type == DNS_TYPE_CNAME ? &w->cname : NULL;
}

static void take(struct dns_rrset *to, const struct dns_rrset *from)
{
    for (size_t i = 0; i < from->n; i++)
        assert_true(dns_rrset_add(to, str_of(from->values[i].text), NULL));
    to->ttl_s = from->ttl_s;
}

static enum dns_class fake_read(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                                struct dns_why *why)
{
    struct world *w = c->own;

    (void)why;
    assert_string_equal(zone->id, "7");
    w->reads++;
    if (set_of(w, set))
        take(set, set_of(w, set));
    return DNS_OK;
}

static enum dns_class fake_write(struct dns_client *c, const struct dns_zone *zone,
                                 const struct dns_rrset *have, const struct dns_rrset *want,
                                 struct dns_why *why)
{
    struct world *w = c->own;

    (void)zone;
    w->writes++;
    assert_true(dns_rrset_same(have, set_of(w, have)));
    if (w->broken != DNS_OK)
        return dns_fail(c, why, w->broken, "the provider says so");
    dns_rrset_free(set_of(w, want));
    if (!w->forgets)
        take(set_of(w, want), want);
    return DNS_OK;
}

static const struct dns_provider fake = { .type = "fake",
                                          .title = "Fake",
                                          .kind = DNS_RRSET,
                                          .can = DNS_CAN_USUAL,
                                          .min_ttl_s = 60,
                                          .default_ttl_s = 300,
                                          .has_zone = fake_zone,
                                          .read = fake_read,
                                          .write = fake_write };

static void add_words(struct dns_rrset *set, const char *words)
{
    struct str rest = str_of(words), word;

    while (str_next_word(&rest, "", &word))
        assert_true(dns_rrset_add(set, word, NULL));
}

/* What is there, what of it is ours, and what is wanted: words. */
static void world_make(struct world *w, const char *there, const char *made, const char *want)
{
    const struct dns_conf conf = { .token_file = "" };
    struct name_family *f;

    *w = (struct world){ .c = dns_client_new(&conf), .n = name_new(NAME, "a.test", "p") };
    w->c->provider = &fake;
    w->c->own = w;
    dns_rrset_init(&w->there, NAME, DNS_TYPE_A);
    dns_rrset_init(&w->cname, NAME, DNS_TYPE_CNAME);
    dns_rrset_init(&w->owner, "_tunnel-owner." NAME, DNS_TYPE_TXT);
    add_words(&w->there, there);
    f = &w->n->families[NAME_V4];
    f->managed = f->known = true;
    f->created = *made;
    add_words(&f->made, made);
    add_words(&f->want, want);
}

static void world_end(struct world *w)
{
    dns_client_free(w->c);
    name_free(w->n);
    dns_rrset_free(&w->there);
    dns_rrset_free(&w->cname);
    dns_rrset_free(&w->owner);
}

static void assert_there(const struct world *w, const char *words)
{
    struct dns_rrset set;

    dns_rrset_init(&set, NAME, DNS_TYPE_A);
    add_words(&set, words);
    if (!dns_rrset_same(&set, &w->there))
        fail_msg("%zu values are there, not %s", w->there.n, words);
    dns_rrset_free(&set);
}

static void test_whose_values_they_are(void **state)
{
    static const struct {
        const char *what, *there, *made, *want, *after, *made_after;
        enum name_state state;
        int writes;
    } rows[] = {
        { "a new one", "", "", "1.1.1.1", "1.1.1.1", "1.1.1.1", NAME_OK, 1 },
        { "it is right", "1.1.1.1", "", "1.1.1.1", "1.1.1.1", "", NAME_OK, 0 },
        { "ours is another one", "1.1.1.1", "1.1.1.1", "2.2.2.2", "2.2.2.2", "2.2.2.2", NAME_OK, 1 },
        { "theirs gives way", "9.9.9.9", "", "2.2.2.2", "2.2.2.2", "2.2.2.2", NAME_OK, 1 },
        { "theirs, one for one", "8.8.8.8 9.9.9.9", "", "1.1.1.1 2.2.2.2", "1.1.1.1 2.2.2.2",
          "1.1.1.1 2.2.2.2", NAME_OK, 1 },
        { "more of theirs", "8.8.8.8 9.9.9.9", "", "1.1.1.1", "8.8.8.8 9.9.9.9", "", NAME_FOREIGN, 0 },
        { "one is right, one is theirs", "1.1.1.1 9.9.9.9", "", "1.1.1.1", "1.1.1.1 9.9.9.9", "",
          NAME_FOREIGN, 0 },
        { "theirs beside ours", "1.1.1.1 9.9.9.9", "1.1.1.1", "2.2.2.2", "2.2.2.2 9.9.9.9", "2.2.2.2",
          NAME_FOREIGN, 1 },
        { "theirs beside ours, nothing to do", "1.1.1.1 9.9.9.9", "1.1.1.1", "1.1.1.1", "1.1.1.1 9.9.9.9",
          "1.1.1.1", NAME_FOREIGN, 0 },
        { "none is wanted of ours", "1.1.1.1", "1.1.1.1", "", "", "", NAME_OK, 1 },
        { "none is wanted, and one is theirs", "1.1.1.1 9.9.9.9", "1.1.1.1", "", "9.9.9.9", "", NAME_FOREIGN,
          1 },
        { "none is wanted, and all are theirs", "9.9.9.9", "", "", "9.9.9.9", "", NAME_FOREIGN, 0 },
        { "none is wanted, and none is there", "", "1.1.1.1", "", "", "", NAME_OK, 0 },
        { "somebody deleted ours", "", "1.1.1.1", "1.1.1.1", "1.1.1.1", "1.1.1.1", NAME_OK, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_rrset made;
        struct name_family *f;
        struct world w;

        world_make(&w, rows[i].there, rows[i].made, rows[i].want);
        f = &w.n->families[NAME_V4];
        assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
        if (f->state != rows[i].state || w.writes != rows[i].writes)
            fail_msg("%s: %s after %d writes", rows[i].what, name_state_text(f->state), w.writes);
        assert_there(&w, rows[i].after);
        dns_rrset_init(&made, NAME, DNS_TYPE_A);
        add_words(&made, rows[i].made_after);
        if (!dns_rrset_same(&made, &f->made) || !dns_rrset_same(&f->have, &w.there) || !f->seen)
            fail_msg("%s: what is ours is not known", rows[i].what);
        assert_true(f->state == NAME_OK || strstr(f->why, "9.9.9.9"));
        dns_rrset_free(&made);
        w.writes = 0;
        assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK); /* and then there is nothing left to do */
        assert_int_equal(w.writes, 0);
        world_end(&w);
    }
}

static void test_a_plan_changes_nothing(void **state)
{
    json_t *plan = json_array();
    struct world w;

    (void)state;
    world_make(&w, "9.9.9.9", "", "1.1.1.1");
    assert_int_equal(reconcile(w.c, w.n, "pi", plan), DNS_OK);
    assert_int_equal(json_array_size(plan), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(plan, 0), "action")), "change");
    assert_there(&w, "9.9.9.9");
    assert_int_equal(w.writes, 0);
    json_decref(plan);
    world_end(&w);
}

static void test_a_cname_in_the_way(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, "", "", "1.1.1.1");
    add_words(&w.cname, "elsewhere.test");
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    assert_int_equal(w.n->families[NAME_V4].state, NAME_FOREIGN);
    assert_non_null(strstr(w.n->families[NAME_V4].why, "a CNAME record to elsewhere.test"));
    assert_int_equal(w.writes, 0);
    world_end(&w);
}

static void test_it_is_asked_again(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, "", "", "1.1.1.1");
    w.forgets = true;
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_TRANSIENT);
    assert_int_equal(w.n->families[NAME_V4].state, NAME_FAILED);
    assert_non_null(strstr(w.n->families[NAME_V4].why, "is not there when asked again"));
    world_end(&w);
}

static void test_refusals_are_passed_on(void **state)
{
    (void)state;
    for (int class = DNS_AUTH; class <= DNS_STOPPED; class ++) {
        struct world w;

        world_make(&w, "9.9.9.9", "", "1.1.1.1");
        w.broken = (enum dns_class) class;
        assert_int_equal(reconcile(w.c, w.n, "pi", NULL), class);
        assert_int_equal(w.n->families[NAME_V4].state, NAME_FAILED);
        assert_non_null(strstr(w.n->families[NAME_V4].why, "the provider says so"));
        assert_there(&w, "9.9.9.9");
        assert_int_equal(w.n->families[NAME_V4].made.n, 0);
        world_end(&w);
    }
}

static void test_whose_name_it_is(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, "", "", "1.1.1.1");
    w.n->owner_txt = true;
    add_words(&w.owner, "v=something");
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    assert_true(w.owner.n == 2 && dns_rrset_has(&w.owner, "heritage=tunnel,agent=pi"));
    assert_there(&w, "1.1.1.1");
    assert_int_equal(reconcile(w.c, w.n, "other", NULL), DNS_CONFIG);
    assert_int_equal(w.n->families[NAME_V4].state, NAME_FOREIGN);
    name_take_leave(w.n);
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    assert_true(w.owner.n == 1 && dns_rrset_has(&w.owner, "v=something"));
    assert_there(&w, "");
    world_end(&w);
}

/* A zone of NAME itself, whose addresses are told: both families, by one call where both are wrong. */
struct own {
    struct dns_rrset there[NAME_FAMILIES];
    char told[64]; /* the last call: v4, v6; "-" for none, "." for not named */
    int updates;
    enum dns_class broken;
};

static enum dns_class own_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    (void)c;
    (void)why;
    return dns_zone_set(zone, str_of(name), "7") ? DNS_OK : DNS_CONFIG;
}

static enum dns_class own_read(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    struct own *o = c->own;

    (void)zone;
    (void)why;
    if (set->type == DNS_TYPE_A || set->type == DNS_TYPE_AAAA)
        take(set, &o->there[set->type == DNS_TYPE_A ? NAME_V4 : NAME_V6]);
    return DNS_OK;
}

static void own_take(struct dns_rrset *there, const char *value)
{
    if (!value)
        return;
    dns_rrset_free(there);
    add_words(there, value);
}

static const char *shown(const char *value)
{
    return !value ? "." : *value ? value : "-";
}

static enum dns_class own_update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                                 struct dns_why *why)
{
    struct own *o = c->own;

    assert_string_equal(name, NAME);
    o->updates++;
    snprintf(o->told, sizeof o->told, "%s %s", shown(v4), shown(v6));
    if (o->broken != DNS_OK)
        return dns_fail(c, why, o->broken, "the provider says so");
    own_take(&o->there[NAME_V4], v4);
    own_take(&o->there[NAME_V6], v6);
    return DNS_OK;
}

static const struct dns_provider own = { .type = "own",
                                         .title = "Own",
                                         .kind = DNS_RECORD,
                                         .can = DNS_CAN_USUAL,
                                         .find_zone = own_zone,
                                         .read = own_read,
                                         .update = own_update };

static void own_make(struct world *w, struct own *o, const char *v4, const char *v6, const char *want4,
                     const char *want6)
{
    struct name_family *f;

    world_make(w, "", "", "");
    *o = (struct own){ .updates = 0 };
    w->c->provider = &own;
    w->c->own = o;
    f = w->n->families;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        dns_rrset_init(&o->there[i], NAME, i == NAME_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA);
        f[i].managed = f[i].known = true;
    }
    add_words(&o->there[NAME_V4], v4);
    add_words(&o->there[NAME_V6], v6);
    add_words(&f[NAME_V4].want, want4);
    add_words(&f[NAME_V6].want, want6);
}

static void own_end(struct world *w, struct own *o)
{
    dns_rrset_free(&o->there[NAME_V4]);
    dns_rrset_free(&o->there[NAME_V6]);
    world_end(w);
}

static void test_what_is_told_of_a_zone(void **state)
{
    static const struct {
        const char *v4, *v6, *want4, *want6, *told;
        int updates;
        size_t left_out;
    } rows[] = {
        { "", "", "1.1.1.1", "2001:db8::1", "1.1.1.1 2001:db8::1", 1, 0 },
        { "9.9.9.9", "2001:db8::9", "1.1.1.1", "2001:db8::1", "1.1.1.1 2001:db8::1", 1, 0 },
        { "1.1.1.1", "2001:db8::9", "1.1.1.1", "2001:db8::1", ". 2001:db8::1", 1, 0 },
        { "9.9.9.9", "2001:db8::1", "1.1.1.1", "2001:db8::1", "1.1.1.1 .", 1, 0 },
        { "1.1.1.1", "2001:db8::1", "1.1.1.1", "2001:db8::1", "", 0, 0 },
        { "", "", "1.1.1.1 2.2.2.2", "2001:db8::1", "1.1.1.1 2001:db8::1", 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct own o;

        own_make(&w, &o, rows[i].v4, rows[i].v6, rows[i].want4, rows[i].want6);
        assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
        if (strcmp(o.told, rows[i].told) != 0 || o.updates != rows[i].updates)
            fail_msg("row %zu: told \"%s\" by %d calls", i, o.told, o.updates);
        assert_true(w.n->families[NAME_V4].state == NAME_OK && w.n->families[NAME_V6].state == NAME_OK);
        assert_int_equal(w.n->families[NAME_V4].left_out, rows[i].left_out);
        assert_false(name_differs(w.n, &own));
        assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
        assert_int_equal(o.updates, rows[i].updates);
        own_end(&w, &o);
    }
}

static void test_a_zones_own_addresses_are_taken_away(void **state)
{
    struct world w;
    struct own o;

    (void)state;
    own_make(&w, &o, "9.9.9.9", "", "1.1.1.1", "2001:db8::1");
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    name_take_leave(w.n); /* the address of others gave way, and is none that we made alone */
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    assert_string_equal(o.told, ". -");
    own_end(&w, &o);
    own_make(&w, &o, "", "", "1.1.1.1", "2001:db8::1");
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    name_take_leave(w.n);
    assert_int_equal(reconcile(w.c, w.n, "pi", NULL), DNS_OK);
    assert_string_equal(o.told, "- -");
    assert_int_equal(o.updates, 2);
    own_end(&w, &o);
}

static void test_a_refusal_of_both(void **state)
{
    (void)state;
    for (int class = DNS_AUTH; class <= DNS_STOPPED; class ++) {
        struct world w;
        struct own o;

        own_make(&w, &o, "9.9.9.9", "", "1.1.1.1", "2001:db8::1");
        o.broken = (enum dns_class) class;
        assert_int_equal(reconcile(w.c, w.n, "pi", NULL), class);
        assert_int_equal(o.updates, 1);
        for (int i = 0; i < NAME_FAMILIES; i++) {
            assert_int_equal(w.n->families[i].state, NAME_FAILED);
            assert_non_null(strstr(w.n->families[i].why, "the provider says so"));
            assert_int_equal(w.n->families[i].made.n, 0);
        }
        own_end(&w, &o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_told_of_a_zone),
        cmocka_unit_test(test_a_zones_own_addresses_are_taken_away),
        cmocka_unit_test(test_a_refusal_of_both),
        cmocka_unit_test(test_whose_values_they_are),
        cmocka_unit_test(test_a_plan_changes_nothing),
        cmocka_unit_test(test_a_cname_in_the_way),
        cmocka_unit_test(test_it_is_asked_again),
        cmocka_unit_test(test_refusals_are_passed_on),
        cmocka_unit_test(test_whose_name_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
