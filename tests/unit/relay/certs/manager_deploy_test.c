/* deploy_hook: run once for each certificate, whatever ends or goes meanwhile. */
#include "tests/unit/relay/certs/manager_bench.h"

#define DUE   "certs/a.com/deploy.due"
#define BEGUN "certs/a.com/deploy.begun"

/* It says that it has begun, and ends when there is a file `go`. */
static const char script[] = "#!/bin/sh\n"
                             "folder=${TUNNEL_CERT%%/certs/*}\n"
                             "echo $TUNNEL_DOMAIN >> $folder/told\n"
                             "while [ ! -e $folder/go ]; do sleep 0.05; done\n";

/* a.com has a certificate whose note is there, and the program is configured. */
static struct opt_conf *begin_with_hook(struct bench *b, struct temp *t)
{
    char text[300];
    struct opt_conf *conf;

    begin(b, t);
    fake.well = false; /* so that no further certificate comes */
    snprintf(text, sizeof text, "[acme]\ndirectory = https://ca.test/dir\ndeploy_hook = %s\n",
             temp_file(t, "hook", script, 0755));
    conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &(struct opt_errors){ 0 });
    assert_non_null(conf);
    manager_reload(b->m, conf);
    store_has(b, "a.com", KEY_ECDSA, 0, 90 * DAY);
    return conf;
}

static void end_with_hook(struct bench *b, struct opt_conf *conf)
{
    end(b); /* which waits for the program */
    opt_conf_free(conf);
}

static bool is_there(struct temp *t, const char *file)
{
    return access(temp_path(t, file), F_OK) == 0;
}

/* How often the program was begun. */
static size_t runs(struct temp *t)
{
    struct buf told = { 0 };
    size_t n;

    assert_int_equal(file_read(temp_path(t, "told"), 1000, &told, NULL), 0);
    n = told.len / strlen("a.com\n");
    buf_free(&told);
    return n;
}

/* Noted by an earlier start of the relay, which did not see its end. */
static void test_a_deployment_that_was_cut_off_is_made_up_for(void **state)
{
    struct bench b;
    struct opt_conf *conf = begin_with_hook(&b, *state);

    temp_file(*state, "go", "", 0600);
    assert_true(is_there(*state, DUE));
    publish(&b, SITES("a.com"));
    UNTIL(&b, !is_there(*state, DUE));
    end_with_hook(&b, conf);
    assert_int_equal(runs(*state), 1);
    assert_false(is_there(*state, DUE) || is_there(*state, BEGUN));
}

static void test_a_site_that_comes_back_is_not_deployed_twice_at_once(void **state)
{
    struct bench b;
    struct opt_conf *conf = begin_with_hook(&b, *state);

    publish(&b, SITES("a.com"));
    UNTIL(&b, is_there(*state, "told"));
    loop_settle(&b.loop); /* the site has no other job */
    publish(&b, NULL, 0);
    b.told[0] = 0;
    publish(&b, SITES("a.com"));
    UNTIL(&b, is_told(&b, "valid")); /* in the tick that would have begun it again */
    assert_true(is_there(*state, BEGUN));
    temp_file(*state, "go", "", 0600);
    UNTIL(&b, !is_there(*state, BEGUN));
    end_with_hook(&b, conf);
    assert_int_equal(runs(*state), 1);
}

/* The job notes it, and then puts the certificate there: the program must not run in between, or nobody would run it later. */
static void test_the_note_of_a_job_is_its_own(void **state)
{
    const struct http_request request = { .name = STR("a.com") };
    struct http_reply reply = { .status = 200 };
    struct bench b;
    struct opt_conf *conf = begin_with_hook(&b, *state);

    publish(&b, SITES("a.com"));
    UNTIL(&b, is_there(*state, "told"));
    fake.waits = true;
    manager_answer_renew(b.m, &request, &reply);
    assert_non_null(reply.later);
    *reply.later = (struct http_later){ 0 };
    UNTIL(&b, fake.runs > 0 && fake.at_once == 1);
    temp_file(*state, DUE, "", 0600); /* as the job does it */
    temp_file(*state, "go", "", 0600);
    UNTIL(&b, !is_there(*state, BEGUN));
    loop_settle(&b.loop);
    assert_true(is_there(*state, DUE));
    fake.waits = false;
    publish(&b, NULL, 0); /* which ends the job */
    publish(&b, SITES("a.com"));
    UNTIL(&b, !is_there(*state, DUE));
    end_with_hook(&b, conf);
    assert_int_equal(runs(*state), 2);
    assert_false(is_there(*state, BEGUN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_a_deployment_that_was_cut_off_is_made_up_for),
        IN_A_FOLDER(test_a_site_that_comes_back_is_not_deployed_twice_at_once),
        IN_A_FOLDER(test_the_note_of_a_job_is_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
