/* What is kept of an account: its key, its URL, when accounts were made. */
#include "relay/certs/account.h"

#include "relay/certs/acme_parts.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 65536 };

/* ---- on disk ---- */

char *account_path(const struct acme_ca *ca, const char *name)
{
    return mem_format("%s/%s", ca->conf.folder, name);
}

static int make_folders(const struct acme_ca *ca, struct err *e)
{
    char *parent = mem_copy(ca->conf.folder), *slash = strrchr(parent, '/');
    int rc = 0;

    if (slash && slash > parent) {
        *slash = '\0';
        rc = file_make_folder(parent, 0700, e);
    }
    free(parent);
    return rc == 0 ? file_make_folder(ca->conf.folder, 0700, e) : rc;
}

int account_save(struct acme_ca *ca, struct acme_why *why)
{
    const struct account *a = &ca->account;
    json_t *made = json_array(), *json;
    char *path = account_path(ca, "account.json");
    struct buf text = { 0 };
    struct err e = { 0 };
    int rc;

    for (size_t i = 0; i < a->made_n; i++)
        json_array_append_new(made, json_integer(a->made_at[i]));
    json = json_pack("{s:s,s:s?,s:b,s:o}", "directory", ca->conf.directory, "kid", a->kid, "deactivated",
                     a->deactivated, "made_at", made);
    json_write(&text, json);
    rc = file_write(path, buf_bytes(&text), text.len, 0600, &e);
    json_decref(json);
    buf_free(&text);
    free(path);
    return rc == 0 ? 0 : acme_fail_err(why, ACME_LATER, &e);
}

static void take_made_at(struct account *a, const json_t *made)
{
    for (size_t i = 0; i < json_array_size(made) && i < ACCOUNT_MADE_AT_MOST; i++)
        a->made_at[a->made_n++] = json_integer_value(json_array_get(made, i));
}

/* What is known of another directory's account is of no use here, but for when it was made. */
static int read_state(struct acme_ca *ca, const char *path, struct err *e)
{
    struct account *a = &ca->account;
    struct buf text = { 0 };
    const char *directory;
    json_t *json = NULL;
    int rc = file_read(path, MAX_FILE_BYTES, &text, e);

    if (rc == 0 && !(json = json_read(buf_bytes(&text), text.len, e)))
        rc = err_wrap(e, "%s", path);
    if (rc == 0 && json_get_text(json, "directory", MAX_FILE_BYTES, &directory, e) != 0)
        rc = err_wrap(e, "%s", path);
    if (rc == 0) {
        take_made_at(a, json_object_get(json, "made_at"));
        if (strcmp(directory, ca->conf.directory) == 0) {
            a->kid = mem_copy(json_string_value(json_object_get(json, "kid")));
            a->deactivated = json_is_true(json_object_get(json, "deactivated"));
        }
    }
    json_decref(json);
    buf_free(&text);
    return rc;
}

int account_load(struct acme_ca *ca, struct acme_why *why)
{
    struct account *a = &ca->account;
    char *state = account_path(ca, "account.json"), *key = account_path(ca, "account.key"),
         *next = account_path(ca, "account.key.next");
    struct err e = { 0 };
    int rc = make_folders(ca, &e);

    /* A new key is no old account's. */
    if (rc == 0 && access(state, F_OK) == 0 && access(key, F_OK) == 0)
        rc = read_state(ca, state, &e);
    if (rc == 0 && !(a->key = signer_open(key, &e)))
        rc = -1;
    a->unsettled = access(next, F_OK) == 0;
    a->loaded = rc == 0;
    if (rc != 0) {
        free(a->kid);
        a->kid = NULL;
        a->made_n = 0;
    }
    free(state);
    free(key);
    free(next);
    return rc == 0 ? 0 : acme_fail_err(why, ACME_CONFIG, &e);
}

/* ---- how many were made ---- */

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

/* CAs allow ten accounts in three hours; whatever goes wrong, we stop before. */
int account_count(struct acme_ca *ca, struct acme_why *why)
{
    struct account *a = &ca->account;

    if (a->made_n == ACCOUNT_MADE_AT_MOST) {
        int64_t again_s = a->made_at[0] + ACCOUNT_MADE_IN_S - now_s();

        if (again_s > 0 && again_s <= ACCOUNT_MADE_IN_S) {
            why->retry_after_ms = again_s * 1000;
            return acme_fail(
                why, ACME_LATER,
                "%d accounts were made at %.120s in three hours, which is enough: it keeps losing "
                "them, or %s/account.json is lost; the next is made in %" PRId64 " s",
                (int)ACCOUNT_MADE_AT_MOST, ca->conf.directory, ca->conf.folder, again_s);
        }
        memmove(a->made_at, a->made_at + 1, --a->made_n * sizeof a->made_at[0]);
    }
    a->made_at[a->made_n++] = now_s();
    return account_save(ca, why);
}

void account_uncount(struct acme_ca *ca)
{
    struct acme_why unused;

    acme_why_init(&unused);
    ca->account.made_n--;
    if (account_save(ca, &unused) != 0)
        ca->account.made_n++; /* counted once too often does no harm */
}
