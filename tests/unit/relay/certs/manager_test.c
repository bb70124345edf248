/* The certificates of sites over time. */
#include "tests/unit/relay/certs/manager_bench.h"

/* ---- tests ---- */

static void test_a_pair_that_ends_is_shown_no_more(void **state)
{
    struct bench b;
    SSL_CTX *tls;

    begin(&b, *state);
    fake.well = false;                                /* it cannot be renewed */
    store_has(&b, "a.com", KEY_RSA2048, 1, 90 * DAY); /* first: such a key takes its time */
    store_has(&b, "a.com", KEY_ECDSA, 1, 5);
    tls = publish(&b, SITES("a.com"));
    assert_int_equal(certificates_in(tls), 2);
    UNTIL(&b, publish(&b, SITES("a.com")) != tls);
    assert_true(b.changes > 0);
    tls = publish(&b, SITES("a.com"));
    assert_int_equal(certificates_in(tls), 1);
    assert_int_equal(EVP_PKEY_base_id(X509_get0_pubkey(SSL_CTX_get0_certificate(tls))), EVP_PKEY_RSA);
    end(&b);
}

static void test_who_comes_back_has_one_job(void **state)
{
    struct bench b;

    begin(&b, *state);
    fake.waits = true;
    publish(&b, SITES("a.com"));
    UNTIL(&b, fake.runs == 1);
    publish(&b, SITES("b.com")); /* a.com's agent has gone */
    fake.waits = false;
    publish(&b, SITES("a.com", "b.com"));
    UNTIL(&b, publish(&b, SITES("b.com", "a.com")) != NULL);
    assert_int_equal(fake.runs, 3); /* of a.com the one that was cancelled, and one more */
    assert_true(fake.most_at_once <= 2);
    end(&b);
}

/* What a wildcard covers relies on its certificate as long as that will be renewed in time. */
static void test_who_is_covered_gets_his_own_in_good_time(void **state)
{
    struct bench b;
    SSL_CTX *wildcard, *own;

    begin(&b, *state);
    store_has(&b, "*.a.com", KEY_ECDSA, 0, 90 * DAY);
    publish(&b, SITES("*.a.com", "x.a.com"));
    loop_settle(&b.loop);
    assert_string_equal(b.told, "valid");
    wildcard = publish(&b, SITES("x.a.com", "*.a.com"));
    assert_ptr_equal(publish(&b, SITES("*.a.com", "x.a.com")), wildcard);
    assert_int_equal(fake.runs, 0);
    end(&b);

    temp_remove(state);
    temp_make(state);
    begin(&b, *state);
    fake.well = false;
    store_has(&b, "*.a.com", KEY_ECDSA, 80 * DAY,
              90 * DAY); /* since 20 days ago it should have been renewed */
    wildcard = publish(&b, SITES("x.a.com", "*.a.com"));
    assert_ptr_equal(publish(&b, SITES("*.a.com", "x.a.com")), wildcard); /* until there is another one */
    UNTIL(&b, fake.runs >= 2);
    assert_ptr_equal(publish(&b, SITES("*.a.com", "x.a.com")), wildcard);
    fake.well = true;
    reload_changed(&b);
    UNTIL(&b, (own = publish(&b, SITES("*.a.com", "x.a.com"))) != wildcard);
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(own), "x.a.com", 0, 0, NULL), 1);
    end(&b);
}

static void ask(struct bench *b,
                void (*answer)(struct manager *, const struct http_request *, struct http_reply *),
                int *status, char *text, size_t room)
{
    const struct http_request request = { .name = STR("a.com") };
    struct http_reply reply = { .status = 200 };

    answer(b->m, &request, &reply);
    *status = reply.later ? 0 : reply.status;
    snprintf(text, room, "%s", buf_text(&reply.body));
    buf_free(&reply.body);
}

/* An answer that comes later. */
struct heard {
    bool done;
    int status;
    char text[400];
};

static void on_answered(void *conn, const struct http_reply *reply)
{
    struct heard *h = conn;

    *h = (struct heard){ .done = true, .status = reply->status };
    snprintf(h->text, sizeof h->text, "%.*s", (int)reply->body.len, buf_bytes(&reply->body));
}

static void import(struct bench *b, const char *name, struct heard *h)
{
    const struct made_order o = { &name, 1, time(NULL) - 60, 30 * DAY, KEY_RSA2048 };
    struct made made = maker_issue(fake.maker, &o);
    struct http_request request = { 0 };
    struct http_reply reply = { .status = 200 };
    struct buf key = { 0 };
    json_t *content;

    assert_int_equal(signer_save(made.key, temp_path(b->temp, "imported.pem"), NULL), 0);
    assert_int_equal(file_read(temp_path(b->temp, "imported.pem"), 10000, &key, NULL), 0);
    content = json_pack("{s:s, s:s, s:s}", "chain", made.pem, "key", buf_text(&key), "origin", "elsewhere");
    request.json = content;
    *h = (struct heard){ 0 };
    manager_answer_import(b->m, &request, &reply);
    if (reply.later)
        *reply.later = (struct http_later){ .finished = on_answered, .conn = h };
    else
        on_answered(h, &reply);
    json_decref(content);
    buf_free(&reply.body);
    buf_free(&key);
    made_free(&made);
}

/* The order that is under way ends for it, and what is brought does. */
static void test_an_import_waits_for_the_order_under_way(void **state)
{
    struct bench b;
    struct heard heard;
    SSL_CTX *tls;

    begin(&b, *state);
    fake.waits = true;
    publish(&b, SITES("a.com"));
    UNTIL(&b, fake.runs == 1);
    import(&b, "a.com", &heard);
    assert_false(heard.done);
    loop_until(&b.loop, &heard.done);
    assert_int_equal(heard.status, 200);
    assert_non_null(strstr(heard.text, "\"taken\""));
    tls = publish(&b, SITES("a.com"));
    assert_int_equal(EVP_PKEY_base_id(X509_get0_pubkey(SSL_CTX_get0_certificate(tls))), EVP_PKEY_RSA);
    end(&b);
}

static void test_an_import_does_not_stop_what_a_person_waits_for(void **state)
{
    struct bench b;
    struct heard asked = { 0 }, heard;
    const struct http_request request = { .name = STR("a.com") };
    struct http_reply reply = { .status = 200 };

    begin(&b, *state);
    store_has(&b, "a.com", KEY_ECDSA, 0, 90 * DAY);
    publish(&b, SITES("a.com"));
    fake.waits = true;
    manager_answer_renew(b.m, &request, &reply);
    assert_non_null(reply.later);
    *reply.later = (struct http_later){ .finished = on_answered, .conn = &asked };
    UNTIL(&b, fake.runs > 0 && fake.at_once == 1);
    import(&b, "a.com", &heard);
    assert_true(heard.done && !asked.done);
    assert_non_null(strstr(heard.text, "tunnelctl certs renew or revoke is at work for it"));
    end(&b); /* which ends both */
    assert_int_equal(asked.status, 502);
}

static void test_folders_of_sites_that_are_no_more_go(void **state)
{
    struct bench b;

    begin(&b, *state);
    store_has(&b, "lately.com", KEY_ECDSA, 0, 3600);
    store_has(&b, "a.com", KEY_ECDSA, 0, 90 * DAY);
    assert_int_equal(mkdir(temp_path(*state, "certs/long.com"), 0700), 0);
    assert_int_equal(
        utimes(temp_path(*state, "certs/long.com"),
               (struct timeval[2]){ { time(NULL) - 31 * DAY, 0 }, { time(NULL) - 31 * DAY, 0 } }),
        0);
    publish(&b, SITES("a.com"));
    UNTIL(&b, access(temp_path(*state, "certs/long.com"), F_OK) != 0);
    end(&b);
    assert_int_equal(access(temp_path(*state, "certs/lately.com/fullchain.pem"), F_OK), 0);
    assert_int_equal(access(temp_path(*state, "certs/a.com/fullchain.pem"), F_OK), 0);
}

static void test_trouble_is_told_when_it_begins(void **state)
{
    struct bench b;
    char text[400];
    int status;

    begin(&b, *state);
    store_has(&b, "a.com", KEY_ECDSA, 1, 90 * DAY);
    assert_int_equal(mkdir(temp_path(*state, "acme"), 0700), 0);
    temp_file(*state, "acme/limits.json", "{", 0600);
    assert_non_null(publish(&b, SITES("a.com")));
    UNTIL(&b, b.told[0]);
    assert_string_equal(b.told, "failing");
    assert_non_null(strstr(b.error, "limits.json"));
    assert_int_equal(fake.runs, 0);
    ask(&b, manager_answer_renew, &status, text, sizeof text);
    assert_int_equal(status, 500);
    assert_non_null(strstr(text, "limits.json"));
    end(&b);
}

static void test_an_end_is_told(void **state)
{
    struct bench b;

    begin(&b, *state);
    fake.waits = true;
    store_has(&b, "a.com", KEY_ECDSA, 80 * DAY, 80 * DAY + 3);
    publish(&b, SITES("a.com"));
    fake.waits = fake.well = false;
    UNTIL(&b, is_told(&b, "failing"));
    UNTIL(&b, is_told(&b, "expired"));
    assert_string_equal(b.error, "no");
    end(&b);
}

static void test_what_cannot_be_written_is_served_from_memory(void **state)
{
    struct bench b;
    SSL_CTX *tls;

    begin(&b, *state);
    fake.disk_full = true;
    assert_null(publish(&b, SITES("a.com")));
    UNTIL(&b, is_told(&b, "failing"));
    assert_string_equal(b.error,
                        "no room; it is served from memory, and written as soon as that can be done");
    tls = publish(&b, SITES("a.com"));
    SSL_CTX_up_ref(tls); /* so that no other one has its place in memory */
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(tls), "a.com", 0, 0, NULL), 1);
    fake.disk_full = false;
    manager_reload(b.m, b.conf); /* else it is tried again in a minute */
    UNTIL(&b, is_told(&b, "valid"));
    assert_ptr_not_equal(publish(&b, SITES("a.com")), tls);
    SSL_CTX_free(tls);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_a_pair_that_ends_is_shown_no_more),
        IN_A_FOLDER(test_who_comes_back_has_one_job),
        IN_A_FOLDER(test_who_is_covered_gets_his_own_in_good_time),
        IN_A_FOLDER(test_trouble_is_told_when_it_begins),
        IN_A_FOLDER(test_an_end_is_told),
        IN_A_FOLDER(test_an_import_waits_for_the_order_under_way),
        IN_A_FOLDER(test_an_import_does_not_stop_what_a_person_waits_for),
        IN_A_FOLDER(test_folders_of_sites_that_are_no_more_go),
        IN_A_FOLDER(test_what_cannot_be_written_is_served_from_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
