#include "shared/doctor/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fault_table.h"

#define NOW "\"now_s\": 1796000000"

static void test_well(void **state)
{
    (void)state;
    check_state(host_judge,
                "{" NOW ", \"memory\": {\"available_kb\": 500000}, \"secrets\": [], "
                "\"disk\": {\"path\": \"/s\", \"error\": \"\", \"full\": false, \"free_bytes\": 1000000000}}",
                STEP_PASS);
}

static void test_faults(void **state)
{
    static const struct fault rows[] = {
        { "clock at 1970", "{\"now_s\": 1000}", "clock", STEP_FAIL, "1970-01-01 00:16:40",
          "timedatectl set-ntp true" },
        { "clock of another year", "{\"now_s\": 1000000000}", "clock", STEP_FAIL, "2001-09-09",
          "timedatectl" },
        { "clock behind an authority's",
          "{" NOW ", \"other_clock\": {\"who\": \"acme\", \"ahead_s\": -4000}}", "clock", STEP_WARN,
          "4000 s behind that of acme", "timedatectl" },
        { "disk full",
          "{" NOW ", \"disk\": {\"path\": \"/s\", \"error\": \"No space left on device\", \"full\": true}}",
          "disk", STEP_FAIL, "the disk is full: nothing more can be written to /s", "make room" },
        { "no inode left",
          "{" NOW ", \"disk\": {\"path\": \"/s\", \"error\": \"No space left on device\", \"full\": true, "
          "\"free_files\": 0}}",
          "disk", STEP_FAIL, "the disk is full", "df -i /s" },
        { "a card that has become read-only",
          "{" NOW ", \"disk\": {\"path\": \"/s\", \"error\": \"Read-only file system\", \"full\": false}}",
          "disk", STEP_FAIL, "Read-only file system", "dmesg" },
        { "disk almost full",
          "{" NOW ", \"disk\": {\"path\": \"/s\", \"error\": \"\", \"full\": false, \"free_bytes\": 1000}}",
          "disk", STEP_WARN, "almost full", "make room" },
        { "loose secret mode",
          "{" NOW ", \"secrets\": [{\"path\": \"/s/key\", \"why\": \"/s/key has mode 0644\"}]}", "secrets",
          STEP_FAIL, "/s/key has mode 0644", "chmod 600 /s/key" },
        { "memory", "{" NOW ", \"memory\": {\"available_kb\": 9000}}", "memory", STEP_WARN, "8 MB", "swap" },
    };

    (void)state;
    check_faults(host_judge, rows, sizeof rows / sizeof rows[0]);
}

static void test_a_machine_is_looked_at(void **state)
{
    char folder[] = "/tmp/unit-doctor-XXXXXX", key[64];
    json_t *facts = json_object();
    const json_t *disk;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(key, sizeof key, "%s/key", folder);
    f = fopen(key, "w");
    assert_non_null(f);
    fclose(f);
    host_look(facts, folder);
    assert_true(fact_number(facts, "now_s", 0) > 1700000000);
    disk = json_object_get(facts, "disk");
    assert_true(fact_is(disk, "error", "") && fact_is(disk, "path", folder));
    assert_int_equal(chmod(key, 0644), 0);
    host_look_at_secret(facts, key);
    assert_int_equal(chmod(key, 0600), 0);
    host_look_at_secret(facts, key);
    host_look_at_secret(facts, "/tmp/unit-doctor-none");
    assert_int_equal(json_array_size(json_object_get(facts, "secrets")), 1);
    assert_int_equal(unlink(key), 0);
    assert_int_equal(rmdir(folder), 0);
    json_decref(facts);
    facts = json_object();
    host_look(facts, folder);
    assert_true(fact_is(json_object_get(facts, "disk"), "error", "No such file or directory"));
    json_decref(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_a_machine_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
