/* The life of an invitation, and of the agent that comes by it:
 *
 *   invite ── sshd's host key, on a thread ──▶ OPEN ── the agent's `enrol` ──▶ agent ── revoke ──▶ gone
 *                                               └── expires, revoke, a newer one for the name ──▶ gone */
#include "relay/lanes/enrol.h"

#include "relay/lanes/host_key.h"
#include "relay/lanes/publish.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/token.h"
#include "shared/value.h"

#include <openssl/rand.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOR_DEFAULT_S = 3600, FOR_MAX_S = 7 * 86400 };

struct enrol {
    struct loop *loop;
    const struct opt_conf *conf;
    const struct enrol_host *host;
    struct invites *invites;
    size_t asking; /* threads under way */
    bool stopping;
    struct err why; /* of the last answer to an agent */
};

struct asking {
    uv_work_t work;
    struct enrol *en;
    struct http_later *later;
    struct token token; /* what is known of it so far */
    json_t *domains;
    int64_t for_s;
    int rc;
    struct err why;
};

struct enrol *enrol_open(struct loop *loop, const struct opt_conf *conf, const struct enrol_host *host,
                         struct err *e)
{
    struct enrol *en = mem_new(sizeof *en);

    en->loop = loop;
    en->conf = conf;
    en->host = host;
    en->invites = invites_load(relay_conf_of(conf)->base.state_dir, e);
    if (!en->invites) {
        free(en);
        return NULL;
    }
    host_key_init();
    invites_expire(en->invites, time(NULL));
    return en;
}

void enrol_follow(struct enrol *en, const struct opt_conf *conf)
{
    struct enrolled enrolled;
    const char *name;

    en->conf = conf;
    for (size_t i = 0; opt_section(conf, "agent", i, &name); i++)
        if (invites_find_enrolled(en->invites, name, &enrolled))
            log_warn("an enrolled agent is left out: the configuration has one of that name",
                     kv_str("agent", name));
}

const struct invites *enrol_invites(const struct enrol *en)
{
    return en->invites;
}

bool enrol_tick(struct enrol *en)
{
    return invites_expire(en->invites, time(NULL));
}

/* ---- invite ---- */

/* Nobody else can be invited by this name then, and e says why. */
static bool name_is_taken(const struct enrol *en, const char *name, struct err *e)
{
    const struct roster_agent *agent = roster_find(en->host->roster(en->host->user), name);

    if (agent && agent->since == 0)
        err_set(e, ERR_TAKEN, "agent %s stands in the configuration already, at %s; take another name", name,
                agent->origin);
    else if (agent)
        err_set(
            e, ERR_TAKEN,
            "agent %s is enrolled already; take another name, or, if it is to be paired anew (its machine is another one, "
            "or its key is lost), first run: tunnelctl revoke %s",
            name, name);
    return agent != NULL;
}

static int read_host(const struct enrol *en, const json_t *json, struct token *t, struct err *e)
{
    const char *host = NULL;
    struct publish publish;

    if (json_object_get(json, "host")) {
        if (json_get_text(json, "host", sizeof t->host - 1, &host, e) != 0)
            return -1;
    } else {
        publish_find(&publish, &relay_conf_of(en->conf)->publish);
        if (publish.n == 0)
            return err_set(
                e, ERR_INPUT,
                "this machine has no public address of its own; say where agents reach it: --host NAME, or "
                "publish in relay.ini");
        host = publish.list[0];
    }
    snprintf(t->host, sizeof t->host, "%s", host);
    return 0;
}

static void set_user(const struct enrol *en, struct token *t)
{
    const char *wanted = relay_conf_of(en->conf)->lane_user;
    const struct passwd *user = getpwnam(wanted);

    if (!user)
        user = getpwuid(geteuid());
    snprintf(t->user, sizeof t->user, "%.32s", user ? user->pw_name : wanted);
}

/* What the token will say, as far as it is known before sshd is asked. */
static int read_request(const struct enrol *en, const json_t *json, struct asking *a, struct err *e)
{
    static const char *const members[] = { "name", "domains", "for_s", "host", NULL };
    const char *name;

    if (!json)
        return err_set(e, ERR_INPUT, "the request has no content; it needs {\"name\": …, \"domains\": […]}");
    a->for_s = FOR_DEFAULT_S;
    if (json_only(json, members, e) != 0 || json_get_text(json, "name", 255, &name, e) != 0)
        return -1;
    if (value_name(str_of(name), e) != 0)
        return err_wrap(e, "the agent's name");
    if (json_object_get(json, "for_s") && json_get_int(json, "for_s", 1, FOR_MAX_S, &a->for_s, e) != 0)
        return -1;
    a->domains = invites_domains(json_object_get(json, "domains"), e);
    if (!a->domains || read_host(en, json, &a->token, e) != 0)
        return -1;
    snprintf(a->token.name, sizeof a->token.name, "%s", name);
    snprintf(a->token.relay, sizeof a->token.relay, "%s", relay_conf_of(en->conf)->base.name);
    snprintf(a->token.host_key, sizeof a->token.host_key, "SHA256:%043d", 0); /* until sshd has been asked */
    snprintf(a->token.id, sizeof a->token.id, "%0*d", TOKEN_ID_CHARS, 0);
    a->token.port = (uint16_t)relay_conf_of(en->conf)->ssh_port;
    a->token.expires = 1;
    set_user(en, &a->token);
    return token_check(&a->token, e);
}

static void free_asking(struct asking *a)
{
    json_decref(a->domains);
    token_wipe(&a->token);
    free(a);
}

static void on_ask(uv_work_t *work)
{
    struct asking *a = work->data;

    a->rc = host_key_ask(a->token.port, a->token.host_key, &a->why);
}

/* Makes the one-time key, and opens the invitation. */
static int open_invitation(struct enrol *en, struct asking *a, struct err *e)
{
    unsigned char id[TOKEN_ID_BYTES];
    char key[SSH_KEY_LINE_BYTES];
    struct invite invite = { a->token.id, a->token.name, key, a->domains, time(NULL) + (time_t)a->for_s };

    if (name_is_taken(en, a->token.name, e)) /* since the request came */
        return -1;
    if (RAND_bytes(id, sizeof id) != 1 || RAND_bytes(a->token.seed, sizeof a->token.seed) != 1)
        return err_set(e, ERR_SYSTEM, "there is no randomness for a key");
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(a->token.id + 2 * i, 3, "%02x", id[i]);
    ssh_key_of_seed(a->token.seed, key);
    a->token.expires = invite.expires;
    if (invites_add(en->invites, &invite, e) != 0)
        return -1;
    if (en->host->changed(en->host->user, e) == 0)
        return 0;
    if (invites_remove(en->invites, a->token.name, NULL) != 0)
        log_warn("an invitation stays open that nobody has", kv_str("agent", a->token.name));
    return -1;
}

static json_t *invited_json(const struct asking *a)
{
    struct buf text = { 0 };
    json_t *json;

    token_write(&text, &a->token);
    json =
        json_pack("{s:s, s:s, s:O, s:s, s:i, s:s, s:s, s:o}", "token", buf_text(&text), "name", a->token.name,
                  "domains", a->domains, "host", a->token.host, "port", (int)a->token.port, "user",
                  a->token.user, "host_key", a->token.host_key, "expires", json_time(a->token.expires));
    explicit_bzero(text.mem, text.room);
    buf_free(&text);
    return json;
}

static void on_asked(uv_work_t *work, int cancelled)
{
    struct asking *a = work->data;
    struct enrol *en = a->en;

    en->asking--;
    if (cancelled || en->stopping) {
        http_later_error(a->later, 503, "the relay is stopping");
    } else if (a->rc != 0 || open_invitation(en, a, &a->why) != 0) {
        http_later_error(a->later, a->why.code == ERR_TAKEN ? 409 : 500, "%s", a->why.text);
    } else {
        log_info("invited", kv_str("agent", a->token.name));
        http_later_json(a->later, 200, invited_json(a));
    }
    free_asking(a);
    if (en->stopping && en->asking == 0)
        en->host->idle(en->host->user);
}

void enrol_answer_invite(struct enrol *en, const struct http_request *request, struct http_reply *reply)
{
    struct asking *a = mem_new(sizeof *a);
    int rc;

    a->en = en;
    a->work.data = a;
    rc = read_request(en, request->json, a, &a->why);
    if (rc == 0 && name_is_taken(en, a->token.name, &a->why))
        rc = -1;
    if (rc != 0) {
        http_reply_error(reply, a->why.code == ERR_TAKEN ? 409 : 400, "%s", a->why.text);
        free_asking(a);
        return;
    }
    a->later = http_reply_later(reply);
    en->asking++;
    uv_queue_work(&en->loop->uv, &a->work, on_ask, on_asked);
}

/* ---- enrol ---- */

const char *enrol_refusal(const struct enrol *en, const char *id)
{
    struct enrolled agent;
    struct invite invite;

    if (invites_find(en->invites, id, time(NULL), &invite))
        return NULL;
    for (size_t i = 0; invites_enrolled(en->invites, i, &agent); i++)
        if (strcmp(agent.id, id) == 0)
            return "this token was used already; an invitation is for one agent: ask for another one";
    return "this token has expired, or was revoked; ask for another one";
}

/* An answer that was lost with its connection, or with the relay that gave it. */
static bool came_already(const struct enrol *en, const char *id, const char *name, const char *key)
{
    struct enrolled agent;

    return invites_find_enrolled(en->invites, name, &agent) && strcmp(agent.id, id) == 0 &&
           strcmp(agent.key, key) == 0;
}

static int enrol(struct enrol *en, const char *id, const char *name, const char *key, struct err *e)
{
    const char *refusal = enrol_refusal(en, id);
    const struct roster_agent *other;
    struct invite invite;

    if (refusal || !invites_find(en->invites, id, time(NULL), &invite))
        return err_set(e, ERR_INPUT, "%s", refusal ? refusal : "this token has expired; ask for another one");
    if (strcmp(invite.name, name) != 0)
        return err_set(e, ERR_INPUT, "this token is for agent %s, not for %s", invite.name, name);
    if (strcmp(invite.key, key) == 0)
        return err_set(e, ERR_INPUT, "the token's own key cannot be the agent's");
    if (name_is_taken(en, name, e))
        return -1;
    other = roster_find_key(en->host->roster(en->host->user), key);
    if (other)
        return err_set(e, ERR_TAKEN, "this key is that of agent %s already; a key belongs to one name",
                       other->name);
    if (invites_use(en->invites, id, key, time(NULL), e) != 0 || en->host->changed(en->host->user, e) != 0)
        return err_wrap(e, "the relay cannot note it");
    return 0;
}

void enrol_take(struct enrol *en, const char *id, const struct lane_msg *msg, struct lane_msg *answer)
{
    const char *name = msg->enrol.name;
    char key[SSH_KEY_LINE_BYTES];
    int rc;

    en->why = (struct err){ 0 };
    rc = ssh_key_parse(msg->enrol.key, key, &en->why);
    if (rc == 0 && !came_already(en, id, name, key))
        rc = enrol(en, id, name, key, &en->why);
    if (rc == 0) {
        log_info("enrolled", kv_str("agent", name));
        *answer = (struct lane_msg){ .type = LANE_ENROLLED,
                                     .v = LANE_VERSION,
                                     .enrolled = { name, relay_conf_of(en->conf)->base.name } };
        return;
    }
    log_warn_limited("enrol", "an enrolment was refused", kv_str("agent", name),
                     kv_str("error", en->why.text));
    *answer = (struct lane_msg){ .type = LANE_ERROR, .v = LANE_VERSION, .why = { en->why.text } };
}

/* ---- who there is, and revoke ---- */

static json_t *words_json(const struct opt_words *words)
{
    json_t *list = json_array();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(list, json_any_text(words->words[i]));
    return list;
}

static json_t *agent_json(const struct enrol *en, const struct roster_agent *agent)
{
    char print[SSH_KEY_FINGERPRINT_BYTES];

    ssh_key_fingerprint(agent->key, print);
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:o, s:s}", "name", agent->name, "source",
                     agent->since ? "enrolled" : "configuration", "origin", json_any_text(agent->origin),
                     "since", agent->since ? json_time(agent->since) : json_null(), "lanes",
                     (json_int_t)en->host->lanes_of(en->host->user, agent->name), "domains",
                     words_json(&agent->domains), "key", print);
}

void enrol_answer_agents(struct enrol *en, struct http_reply *reply)
{
    const struct roster *roster = en->host->roster(en->host->user);
    json_t *agents = json_array(), *invites = json_array();
    struct invite invite;

    for (size_t i = 0; i < roster->n; i++)
        json_array_append_new(agents, agent_json(en, &roster->list[i]));
    for (size_t i = 0; invites_open(en->invites, i, &invite); i++)
        if (time(NULL) < invite.expires)
            json_array_append_new(invites, json_pack("{s:s, s:s, s:o, s:o}", "name", invite.name, "id",
                                                     invite.id, "domains", json_deep_copy(invite.domains),
                                                     "expires", json_time(invite.expires)));
    http_reply_json(reply, 200, json_pack("{s:o, s:o}", "agents", agents, "invites", invites));
}

static bool is_invited(const struct enrol *en, const char *name)
{
    struct invite invite;

    for (size_t i = 0; invites_open(en->invites, i, &invite); i++)
        if (strcmp(invite.name, name) == 0)
            return true;
    return false;
}

/* The configuration's section that has the key of an enrolled agent, which therefore could connect without the enrolment
 * as well. NULL: there is none. */
static const struct roster_agent *section_over(const struct enrol *en, const struct enrolled *enrolled)
{
    const struct roster_agent *agent = roster_find_key(en->host->roster(en->host->user), enrolled->key);

    return agent && agent->since == 0 ? agent : NULL;
}

/* The other way round: the enrolled agent that may connect again once the section is gone. */
static bool find_under(const struct enrol *en, const struct roster_agent *section, struct enrolled *found)
{
    if (invites_find_enrolled(en->invites, section->name, found))
        return true;
    for (size_t i = 0; invites_enrolled(en->invites, i, found); i++)
        if (strcmp(found->key, section->key) == 0)
            return true;
    return false;
}

static void refuse_section(const struct enrol *en, const char *name, const struct roster_agent *section,
                           struct http_reply *reply)
{
    const bool own = strcmp(name, section->name) == 0;
    struct buf more = { 0 };
    struct enrolled under;

    if (find_under(en, section, &under))
        buf_printf(&more, "then run tunnelctl revoke %s, because the enrolment of %s is in force again; ",
                   under.name, under.name);
    http_reply_error(
        reply, 409,
        "agent %s stands in the configuration, at %s%s; take %s section [agent %s] out of that file and "
        "run tunnelctl reload; %snothing was revoked",
        name, section->origin, own ? "" : ", by its key", own ? "its" : "the", section->name,
        more.len ? buf_text(&more) : "");
    buf_free(&more);
}

static void refuse_revoke(const struct enrol *en, const char *name, struct http_reply *reply)
{
    const struct roster_agent *agent = roster_find(en->host->roster(en->host->user), name);

    if (agent)
        refuse_section(en, name, agent, reply);
    else
        http_reply_error(reply, 404,
                         "there is neither an agent nor an invitation called %s; see tunnelctl agents", name);
}

/* An enrolled agent that the configuration has taken the name of is gone as well, and the lanes are not its own. */
static void take_away(struct enrol *en, const char *name, bool was_agent, struct http_reply *reply)
{
    const struct roster_agent *agent = roster_find(en->host->roster(en->host->user), name);
    size_t lanes =
        agent && agent->since ? en->host->lanes_of(en->host->user, name) : 0; /* they will be ended */
    struct err why = { 0 };

    if (invites_remove(en->invites, name, &why) != 0 || en->host->changed(en->host->user, &why) != 0) {
        http_reply_error(reply, 500, "%s", why.text);
        return;
    }
    log_info("revoked", kv_str("agent", name));
    http_reply_json(reply, 200,
                    json_pack("{s:s, s:s, s:I}", "revoked", name, "was", was_agent ? "agent" : "invitation",
                              "lanes", (json_int_t)lanes));
}

void enrol_answer_revoke(struct enrol *en, const struct http_request *request, struct http_reply *reply)
{
    const struct roster_agent *section;
    char name[TOKEN_NAME_BYTES] = "";
    struct enrolled enrolled;
    struct err why = { 0 };
    bool was_agent;

    if (value_name(request->name, &why) != 0) {
        http_reply_error(reply, 400, "the agent's name: %s", why.text);
        return;
    }
    snprintf(name, sizeof name, "%.*s", STR_ARG(request->name));
    was_agent = invites_find_enrolled(en->invites, name, &enrolled);
    section = was_agent ? section_over(en, &enrolled) : NULL;
    if (section)
        refuse_section(en, name, section, reply);
    else if (was_agent || is_invited(en, name))
        take_away(en, name, was_agent, reply);
    else
        refuse_revoke(en, name, reply);
}

/* ---- end ---- */

void enrol_stop(struct enrol *en)
{
    en->stopping = true;
}

bool enrol_idle(const struct enrol *en)
{
    return en->asking == 0;
}

void enrol_free(struct enrol *en)
{
    if (!en)
        return;
    invites_free(en->invites);
    free(en);
}
