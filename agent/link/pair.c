#include "agent/link/pair.h"

#include "agent/link/keypair.h"
#include "agent/options.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pair_init(struct pair *p, struct loop *loop, void (*idle)(void *user), void *user)
{
    *p = (struct pair){ .loop = loop, .idle = idle, .user = user };
}

static void on_joined(void *user, const struct err *why)
{
    struct pair *p = user;

    p->join = NULL;
    if (why->code == ERR_NONE) {
        snprintf(p->joined, sizeof p->joined, "%s", json_string_value(json_object_get(p->reply, "joined")));
        log_info("enrolled", kv_str("relay", p->joined));
        http_later_json(p->later, 200, p->reply);
    } else {
        log_warn("joining a relay failed", kv_str("error", why->text));
        http_later_error(p->later, why->code == ERR_STOPPED ? 503 : 502, "%s", why->text);
        json_decref(p->reply);
    }
    p->later = NULL;
    p->reply = NULL;
    p->idle(p->user);
}

/* All that the relay's section in agent.ini needs. */
static json_t *joined_json(const struct token *t, const char *key, const char *key_file)
{
    char print[SSH_KEY_FINGERPRINT_BYTES], host_key[2 * SSH_KEY_FINGERPRINT_BYTES];

    ssh_key_fingerprint(key, print);
    snprintf(host_key, sizeof host_key, "ssh-ed25519 %s", t->host_key);
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:o, s:s}", "joined", t->relay, "name", t->name, "host",
                     t->host, "port", (int)t->port, "user", t->user, "host_key", host_key, "key_file",
                     json_any_text(key_file), "key", print);
}

static int read_token(const json_t *json, struct token *t, struct err *e)
{
    static const char *const members[] = { "token", NULL };
    const char *text;

    if (!json)
        return err_set(e, ERR_INPUT, "the request has no content; it needs {\"token\": …}");
    if (json_only(json, members, e) != 0 || json_get_text(json, "token", TOKEN_MAX_CHARS, &text, e) != 0)
        return -1;
    return token_read(t, str_of(text), e);
}

void pair_answer_join(struct pair *p, const struct opt_conf *conf, const struct http_request *request,
                      struct http_reply *reply)
{
    char *key_file = mem_format("%s/id_ed25519", agent_conf_of(conf)->base.state_dir);
    char key[SSH_KEY_LINE_BYTES];
    struct err why = { 0 };
    struct token token = { 0 };

    if (p->join) {
        http_reply_error(reply, 409, "another join is under way; wait for its end");
    } else if (read_token(request->json, &token, &why) != 0) {
        http_reply_error(reply, 400, "%s", why.text);
    } else if (keypair_take(key_file, token.name, key, &why) != 0) {
        http_reply_error(reply, 500, "%s", why.text);
    } else {
        p->reply = joined_json(&token, key, key_file);
        p->later = http_reply_later(reply);
        p->join = join_start(p->loop, &token, key, on_joined, p);
    }
    token_wipe(&token);
    free(key_file);
}

void pair_stop(struct pair *p)
{
    if (p->join)
        join_stop(p->join);
}

bool pair_idle(const struct pair *p)
{
    return !p->join;
}
