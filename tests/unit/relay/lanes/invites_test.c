#include "relay/lanes/invites.h"
#include "shared/file.h"
#include "shared/ssh_key.h"
#include "tests/unit/temp.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { NOW = 1795231465 };

static const char *key_of(unsigned char n)
{
    static char lines[4][SSH_KEY_LINE_BYTES];
    unsigned char seed[SSH_KEY_SEED_BYTES] = { n };

    ssh_key_of_seed(seed, lines[n % 4]);
    return lines[n % 4];
}

static struct invites *load(struct temp *t)
{
    struct err e = { 0 };
    struct invites *inv = invites_load(t->folder, &e);

    if (!inv)
        fail_msg("%s", e.text);
    return inv;
}

static int add(struct invites *inv, const char *id, const char *name, const char *domain, time_t expires)
{
    json_t *domains = json_pack("[s]", domain);
    struct invite invite = { id, name, key_of(1), domains, expires };
    int rc = invites_add(inv, &invite, NULL);

    json_decref(domains);
    return rc;
}

static size_t count_open(const struct invites *inv)
{
    struct invite invite;
    size_t n = 0;

    while (invites_open(inv, n, &invite))
        n++;
    return n;
}

#define ID "0123456789abcdef"

static void test_an_invitation_and_its_use_outlive_a_restart(void **state)
{
    struct invites *inv = load(*state);
    struct enrolled agent;
    struct invite invite;

    assert_int_equal(add(inv, ID, "pi", "*.a.com", NOW + 60), 0);
    invites_free(inv);
    assert_int_equal(temp_mode(temp_path(*state, "agents.json")), 0600);

    inv = load(*state);
    assert_true(invites_find(inv, ID, NOW, &invite));
    assert_string_equal(invite.name, "pi");
    assert_string_equal(invite.key, key_of(1));
    assert_string_equal(json_string_value(json_array_get(invite.domains, 0)), "*.a.com");
    assert_int_equal(invite.expires, NOW + 60);
    assert_int_equal(invites_use(inv, ID, key_of(2), NOW + 1, NULL), 0);
    invites_free(inv);

    inv = load(*state);
    assert_false(invites_find(inv, ID, NOW, &invite));
    assert_int_equal(count_open(inv), 0);
    assert_true(invites_find_enrolled(inv, "pi", &agent));
    assert_string_equal(agent.id, ID);
    assert_string_equal(agent.key, key_of(2));
    assert_int_equal(agent.since, NOW + 1);
    assert_string_equal(json_string_value(json_array_get(agent.domains, 0)), "*.a.com");
    invites_free(inv);
    assert_int_equal(temp_count(*state), 1); /* no temporary file is left */
}

static void test_it_is_used_once(void **state)
{
    struct invites *inv = load(*state);
    struct err e = { 0 };
    struct enrolled agent;

    assert_int_equal(add(inv, ID, "pi", "a.com", NOW + 60), 0);
    assert_int_equal(invites_use(inv, ID, key_of(2), NOW, &e), 0);
    assert_int_equal(invites_use(inv, ID, key_of(3), NOW, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_false(invites_enrolled(inv, 1, &agent));
    assert_true(invites_enrolled(inv, 0, &agent));
    assert_string_equal(agent.key, key_of(2));
    invites_free(inv);
}

static void test_it_expires(void **state)
{
    struct invites *inv = load(*state);
    struct invite invite;

    assert_int_equal(add(inv, ID, "pi", "a.com", NOW + 60), 0);
    assert_int_equal(add(inv, "00000000000000aa", "shed", "b.com", NOW + 90), 0);
    assert_true(invites_find(inv, ID, NOW + 59, &invite));
    assert_false(invites_find(inv, ID, NOW + 60, &invite));
    assert_false(invites_expire(inv, NOW + 59));
    assert_true(invites_expire(inv, NOW + 60));
    assert_false(invites_expire(inv, NOW + 60));
    assert_int_equal(count_open(inv), 1);
    invites_free(inv);
    inv = load(*state);
    assert_int_equal(count_open(inv), 1);
    assert_true(invites_open(inv, 0, &invite));
    assert_string_equal(invite.name, "shed");
    invites_free(inv);
}

static void test_a_newer_one_replaces_it(void **state)
{
    struct invites *inv = load(*state);
    struct invite invite;

    assert_int_equal(add(inv, ID, "pi", "a.com", NOW + 60), 0);
    assert_int_equal(add(inv, "00000000000000aa", "pi", "b.com", NOW + 60), 0);
    assert_int_equal(count_open(inv), 1);
    assert_false(invites_find(inv, ID, NOW, &invite));
    assert_true(invites_find(inv, "00000000000000aa", NOW, &invite));
    invites_free(inv);
}

static void test_removed(void **state)
{
    struct invites *inv = load(*state);
    struct err e = { 0 };
    struct enrolled agent;

    assert_int_equal(invites_remove(inv, "pi", &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_int_equal(add(inv, ID, "pi", "a.com", NOW + 60), 0);
    assert_int_equal(invites_remove(inv, "pi", NULL), 0);
    assert_int_equal(count_open(inv), 0);
    assert_int_equal(add(inv, ID, "pi", "a.com", NOW + 60), 0);
    assert_int_equal(invites_use(inv, ID, key_of(2), NOW, NULL), 0);
    assert_int_equal(invites_remove(inv, "pi", NULL), 0);
    assert_false(invites_find_enrolled(inv, "pi", &agent));
    invites_free(inv);
}

/* A folder in the place of the file makes every rename fail. */
static void test_what_cannot_be_written_has_not_happened(void **state)
{
    struct invites *inv = load(*state);
    const char *path = temp_path(*state, "agents.json");
    struct enrolled agent;
    struct invite invite;

    assert_int_equal(add(inv, ID, "pi", "a.com", NOW + 60), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(invites_use(inv, ID, key_of(2), NOW, NULL), -1);
    assert_int_equal(invites_remove(inv, "pi", NULL), -1);
    assert_int_equal(add(inv, "00000000000000aa", "shed", "a.com", NOW + 60), -1);
    assert_false(invites_expire(inv, NOW + 60));
    assert_int_equal(count_open(inv), 1);
    assert_false(invites_find(inv, ID, NOW + 60, &invite)); /* dead all the same */
    assert_true(invites_find(inv, ID, NOW, &invite));
    assert_false(invites_find_enrolled(inv, "pi", &agent));
    invites_free(inv);
}

/* Killed at any moment while it writes: what is read then is one of the states there were, whole. */
static void test_a_kill_leaves_old_or_new(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct invites *inv;
        struct invite invite;
        pid_t child = fork();
        int status;

        if (child == 0) {
            inv = invites_load(((struct temp *)*state)->folder, NULL);
            for (int i = 0; inv; i++)
                if (add(inv, i % 2 ? ID : "00000000000000aa", "pi", i % 2 ? "a.com" : "b.com", NOW + 60) != 0)
                    _exit(1);
            _exit(1);
        }
        usleep((useconds_t)(500 + 700 * round));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        inv = load(*state);
        if (invites_open(inv, 0, &invite))
            assert_string_equal(json_string_value(json_array_get(invite.domains, 0)),
                                strcmp(invite.id, ID) == 0 ? "a.com" : "b.com");
        invites_free(inv);
    }
}

static void test_files_that_are_not_ours(void **state)
{
    static const char entry[] =
        "{\"id\":\"" ID "\",\"name\":\"%s\",\"key\":\"%s\",\"domains\":[\"%s\"],\"%s\":%s}";
    static const struct {
        const char *name, *key, *domain, *time_key, *time;
        bool well;
    } rows[] = {
        { "pi", NULL, "a.com", "since", "1", true },
        { "Pi", NULL, "a.com", "since", "1", false },
        { "pi", "ssh-ed25519 AAAA", "a.com", "since", "1", false },
        { "pi", NULL, "nas", "since", "1", true },
        { "pi", NULL, "*.a", "since", "1", false },
        { "pi", NULL, "a.com\\nx", "since", "1", false },
        { "pi", NULL, "a.com", "expires", "1", false },
        { "pi", NULL, "a.com", "since", "\"1\"", false },
        { "pi", NULL, "a.com", "since", "-1", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char one[512], text[1200];
        struct invites *inv;
        struct err e = { 0 };

        snprintf(one, sizeof one, entry, rows[i].name, rows[i].key ? rows[i].key : key_of(1), rows[i].domain,
                 rows[i].time_key, rows[i].time);
        snprintf(text, sizeof text, "{\"v\":1,\"agents\":[%s],\"invites\":[]}", one);
        temp_file(*state, "agents.json", text, 0600);
        inv = invites_load(((struct temp *)*state)->folder, &e);
        assert_int_equal(inv != NULL, rows[i].well);
        if (!inv && !strstr(e.text, "agents.json: "))
            fail_msg("%s", e.text);
        invites_free(inv);
        snprintf(text, sizeof text, "{\"v\":1,\"agents\":[%s,%s],\"invites\":[]}", one, one); /* twice */
        temp_file(*state, "agents.json", text, 0600);
        assert_null(invites_load(((struct temp *)*state)->folder, NULL));
    }
    for (const char *const *bad =
             (const char *const[]){ "", "{}", "[]", "{\"v\":2,\"agents\":[],\"invites\":[]}",
                                    "{\"v\":1,\"agents\":[]}", NULL };
         *bad; bad++) {
        temp_file(*state, "agents.json", *bad, 0600);
        assert_null(invites_load(((struct temp *)*state)->folder, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_invitation_and_its_use_outlive_a_restart, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_it_is_used_once, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_it_expires, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_newer_one_replaces_it, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_removed, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_written_has_not_happened, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_kill_leaves_old_or_new, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_files_that_are_not_ours, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
