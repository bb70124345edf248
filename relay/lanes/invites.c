#include "relay/lanes/invites.h"

#include "shared/buf.h"
#include "shared/domain.h"
#include "shared/idn.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/ssh_key.h"
#include "shared/token.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 16 * 1024 * 1024, FILE_VERSION = 1, LIST_MAX = 100000 };

/* {"v": 1, "agents": [{id, name, key, domains, since}], "invites": [{id, name, key, domains, expires}]}; times are
 * seconds since 1970. */
struct invites {
    char *path;
    json_t *doc;
};

/* ---- read ---- */

json_t *invites_domains(const json_t *list, struct err *e)
{
    json_t *made = json_array();
    const json_t *item;
    size_t i, j;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > INVITES_DOMAINS) {
        err_set(e, ERR_INPUT, "domains is not a list of 1 to %d names", INVITES_DOMAINS);
        json_decref(made);
        return NULL;
    }
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        char ascii[DOMAIN_BYTES];
        int rc = 0;

        if (name && idn_is_needed(str_of(name))) {
            rc = idn_to_ascii(str_of(name), ascii, e) == 0 ? 0 : err_wrap(e, "%.80s", name);
            name = ascii;
        }
        if (rc == 0)
            rc = name ? domain_check(name, DOMAIN_SITE, e) : err_set(e, ERR_INPUT, "domains holds no text");

        for (j = 0; rc == 0 && j < i; j++)
            if (strcmp(name, json_string_value(json_array_get(made, j))) == 0)
                rc = err_set(e, ERR_INPUT, "%s stands twice in domains", name);
        if (rc != 0) {
            json_decref(made);
            return NULL;
        }
        json_array_append_new(made, json_string(name));
    }
    return made;
}

static int check_entry(const json_t *entry, const char *time_key, struct err *e)
{
    const char *id, *name, *key;
    char again[SSH_KEY_LINE_BYTES];
    json_t *domains;
    int64_t at;

    if (json_get_text(entry, "id", TOKEN_ID_CHARS, &id, e) != 0 ||
        json_get_text(entry, "name", TOKEN_NAME_BYTES - 1, &name, e) != 0 ||
        value_name(str_of(name), e) != 0 || json_get_text(entry, "key", SSH_KEY_LINE_BYTES, &key, e) != 0 ||
        ssh_key_parse(key, again, e) != 0 || json_get_int(entry, time_key, 0, INT64_MAX, &at, e) != 0)
        return -1;
    if (!token_is_id(id) || strcmp(key, again) != 0)
        return err_set(e, ERR_INPUT, "its id or its key is not written as it should be");
    domains = invites_domains(json_object_get(entry, "domains"), e);
    json_decref(domains);
    return domains ? 0 : -1;
}

static int check_list(const json_t *doc, const char *list_key, const char *time_key, struct err *e)
{
    const json_t *list;
    size_t n;

    if (json_get_list(doc, list_key, LIST_MAX, &list, e) != 0)
        return -1;
    n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(list, i);

        if (check_entry(entry, time_key, e) != 0)
            return err_wrap(e, "%s, number %zu", list_key, i + 1);
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_object_get(json_array_get(list, j), "name"), json_object_get(entry, "name")))
                return err_set(e, ERR_INPUT, "%s, number %zu: its name stands there twice", list_key, i + 1);
    }
    return 0;
}

static int check_doc(const json_t *doc, struct err *e)
{
    int64_t version;

    if (json_get_int(doc, "v", 1, INT64_MAX, &version, e) != 0)
        return -1;
    if (version != FILE_VERSION)
        return err_set(e, ERR_INPUT, "it is of version %d; only %d is known here", (int)version,
                       FILE_VERSION);
    return check_list(doc, "agents", "since", e) == 0 ? check_list(doc, "invites", "expires", e) : -1;
}

static int read_doc(struct invites *inv, struct err *e)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    int rc = file_read(inv->path, FILE_BYTES, &text, &why);

    if (rc != 0 && why.code == ERR_MISSING) {
        inv->doc = json_pack("{s:i, s:[], s:[]}", "v", FILE_VERSION, "agents", "invites");
        rc = 0;
    } else if (rc == 0) {
        inv->doc = json_read(buf_bytes(&text), text.len, &why);
        rc = inv->doc ? check_doc(inv->doc, &why) : -1;
    }
    buf_free(&text);
    return rc == 0 ? 0
                   : err_set(e, why.code,
                             "%s: %s; restore it from a backup, or move it away and pair all agents anew",
                             inv->path, why.text);
}

struct invites *invites_load(const char *state_dir, struct err *e)
{
    struct invites *inv = mem_new(sizeof *inv);

    inv->path = mem_format("%s/agents.json", state_dir);
    if (read_doc(inv, e) == 0)
        return inv;
    invites_free(inv);
    return NULL;
}

void invites_free(struct invites *inv)
{
    if (!inv)
        return;
    json_decref(inv->doc);
    free(inv->path);
    free(inv);
}

const char *invites_path(const struct invites *inv)
{
    return inv->path;
}

/* ---- asked ---- */

static json_t *list_of(const json_t *doc, const char *key)
{
    return json_object_get(doc, key);
}

static const char *text_of(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

static time_t time_of(const json_t *entry, const char *key)
{
    return (time_t)json_integer_value(json_object_get(entry, key));
}

/* The place in the list, or its size. */
static size_t place_of(const json_t *list, const char *key, const char *text)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) if (strcmp(text_of(entry, key), text) == 0) break;
    return i;
}

bool invites_open(const struct invites *inv, size_t i, struct invite *invite)
{
    const json_t *entry = json_array_get(list_of(inv->doc, "invites"), i);

    if (!entry)
        return false;
    *invite = (struct invite){ text_of(entry, "id"), text_of(entry, "name"), text_of(entry, "key"),
                               json_object_get(entry, "domains"), time_of(entry, "expires") };
    return true;
}

bool invites_enrolled(const struct invites *inv, size_t i, struct enrolled *agent)
{
    const json_t *entry = json_array_get(list_of(inv->doc, "agents"), i);

    if (!entry)
        return false;
    *agent = (struct enrolled){ text_of(entry, "id"), text_of(entry, "name"), text_of(entry, "key"),
                                json_object_get(entry, "domains"), time_of(entry, "since") };
    return true;
}

bool invites_find(const struct invites *inv, const char *id, time_t now, struct invite *invite)
{
    return invites_open(inv, place_of(list_of(inv->doc, "invites"), "id", id), invite) &&
           now < invite->expires;
}

bool invites_find_enrolled(const struct invites *inv, const char *name, struct enrolled *agent)
{
    return invites_enrolled(inv, place_of(list_of(inv->doc, "agents"), "name", name), agent);
}

/* ---- changed ---- */

/* Takes the next document. */
static int commit(struct invites *inv, json_t *next, struct err *e)
{
    struct buf text = { 0 };
    int rc;

    json_write(&text, next);
    rc = file_write(inv->path, buf_bytes(&text), text.len, 0600, e);
    buf_free(&text);
    if (rc != 0) {
        json_decref(next);
        return -1;
    }
    json_decref(inv->doc);
    inv->doc = next;
    return 0;
}

int invites_add(struct invites *inv, const struct invite *invite, struct err *e)
{
    json_t *next = json_deep_copy(inv->doc), *list = list_of(next, "invites");

    json_array_remove(list, place_of(list, "name", invite->name));
    if (json_array_size(list) >= INVITES_OPEN) {
        json_decref(next);
        return err_set(e, ERR_LIMIT, "%d invitations are open; revoke some", INVITES_OPEN);
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:I}", "id", invite->id, "name", invite->name,
                                          "key", invite->key, "domains", json_deep_copy(invite->domains),
                                          "expires", (json_int_t)invite->expires));
    return commit(inv, next, e);
}

int invites_use(struct invites *inv, const char *id, const char *key, time_t now, struct err *e)
{
    json_t *next = json_deep_copy(inv->doc), *list = list_of(next, "invites");
    size_t at = place_of(list, "id", id);
    json_t *entry = json_incref(json_array_get(list, at));

    if (!entry) {
        json_decref(next);
        return err_set(e, ERR_MISSING, "there is no such invitation");
    }
    json_array_remove(list, at);
    json_object_del(entry, "expires");
    json_object_set_new(entry, "key", json_string(key));
    json_object_set_new(entry, "since", json_integer((json_int_t)now));
    json_array_append_new(list_of(next, "agents"), entry);
    return commit(inv, next, e);
}

int invites_remove(struct invites *inv, const char *name, struct err *e)
{
    json_t *next = json_deep_copy(inv->doc);
    int missing = 0;

    missing +=
        json_array_remove(list_of(next, "agents"), place_of(list_of(next, "agents"), "name", name)) != 0;
    missing +=
        json_array_remove(list_of(next, "invites"), place_of(list_of(next, "invites"), "name", name)) != 0;
    if (missing < 2)
        return commit(inv, next, e);
    json_decref(next);
    return err_set(e, ERR_MISSING, "there is neither an agent nor an invitation of that name");
}

bool invites_expire(struct invites *inv, time_t now)
{
    struct err why = { 0 };
    struct invite invite;
    json_t *next, *list;
    bool any = false;

    for (size_t i = 0; invites_open(inv, i, &invite); i++)
        any = any || now >= invite.expires;
    if (!any)
        return false;
    next = json_deep_copy(inv->doc);
    list = list_of(next, "invites");
    for (size_t i = json_array_size(list); i > 0; i--)
        if (now >= time_of(json_array_get(list, i - 1), "expires"))
            json_array_remove(list, i - 1);
    if (commit(inv, next, &why) != 0) {
        /* They are dead all the same: whoever looks one up asks for the time as well. */
        log_warn_limited("invitations", "cannot write", kv_str("error", why.text));
        return false;
    }
    return true;
}
