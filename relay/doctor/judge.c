#include "relay/doctor/judge.h"

#include "shared/doctor/alerts.h"
#include "shared/doctor/host.h"
#include "shared/doctor/records.h"
#include "shared/status/cert_state.h"

#include <string.h>

/* ---- this machine ---- */

static void judge_lane_socket(struct steps *s, const json_t *facts)
{
    const char *path = fact_text(facts, "lane_socket"), *wrong = fact_text(facts, "lane_socket_wrong");

    if (!*wrong) {
        steps_add(s, "lane socket", STEP_PASS, "%s is there", path);
        return;
    }
    steps_add(s, "lane socket", STEP_FAIL, "the lane socket %s is missing, so no lane can begin: %s", path,
              wrong);
    steps_remedy(s,
                 "start the relay again, which makes it anew (systemctl restart tunnel-relay; tunnels stay), "
                 "and find out what cleans that folder");
}

static void judge_listeners(struct steps *s, const json_t *facts)
{
    const json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(facts, "listeners"), i, listener)
    {
        const char *at = fact_text(listener, "listen"), *error = fact_text(listener, "last_error");

        if (!*error)
            continue;
        steps_add(s, "listeners", STEP_FAIL, "%s (%s) is not served: %s", at, fact_text(listener, "kind"),
                  error);
        steps_remedy(
            s,
            "end who holds it (ss -ltnp says who), or keep that one in front: listen elsewhere and name "
            "it in trusted_proxies; the relay takes %s as soon as it is free",
            at);
    }
}

static void judge_sshd(struct steps *s, const json_t *facts)
{
    const json_t *sshd = json_object_get(facts, "sshd");
    int port = (int)fact_number(facts, "ssh_port", 22);

    if (fact_is(sshd, "state", "greeted")) {
        steps_add(s, "sshd", STEP_PASS, "port %d: %s", port, fact_text(sshd, "said"));
    } else if (fact_is(sshd, "state", "busy")) {
        steps_add(s, "sshd", STEP_FAIL, "sshd turns callers away: %s", fact_text(sshd, "said"));
        steps_remedy(s,
                     "raise MaxStartups in sshd_config (MaxStartups 100:30:200), reload sshd, and see who is "
                     "knocking: journalctl -u ssh");
    } else {
        steps_add(s, "sshd", STEP_FAIL, "no sshd answers at 127.0.0.1 port %d (%s %s)", port,
                  fact_text(sshd, "state"), fact_text(sshd, "why"));
        steps_remedy(s,
                     "start it (systemctl start ssh), let it listen on loopback, too, and have ssh_port in "
                     "relay.ini name its port");
    }
}

static void judge_authorities(struct steps *s, const json_t *facts)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(facts, "authorities"), i, one)
    {
        const char *name = fact_text(one, "name"), *directory = fact_text(one, "directory");
        int64_t status = fact_number(one, "status", 0);

        if (status == 200) {
            steps_add(s, "authority", STEP_PASS, "[%s] answers: %s", name, directory);
            continue;
        }
        if (status > 0)
            steps_add(s, "authority", STEP_FAIL, "[%s] is no CA: %s answers with HTTP status %lld", name,
                      directory, (long long)status);
        else
            steps_add(s, "authority", STEP_FAIL, "the CA of [%s] cannot be reached at %s: %s", name,
                      directory, fact_text(one, "why"));
        steps_remedy(s,
                     "let this machine reach it by HTTPS (curl -I %s): its name server, its firewall, its "
                     "clock; for a private CA also ca_file",
                     directory);
    }
}

/* ---- a site's house ---- */

/* Whoever may serve it is here, and does not: as it should be for a wildcard, which is for sites to come. */
static void judge_pending(struct steps *s, const char *agent)
{
    bool wildcard = *s->about == '*';

    steps_add(s, "house", wildcard ? STEP_PASS : STEP_WARN, "agent %s may serve it, and does not yet", agent);
    if (!wildcard)
        steps_remedy(s, "on the machine of agent %s: tunnelctl add %s SERVICE", agent, s->about);
}

static void judge_house(struct steps *s, const json_t *site)
{
    const char *state = fact_text(site, "state"), *agent;
    const json_t *agents = json_object_get(site, "agents");

    if (strcmp(state, "up") == 0) {
        steps_add(s, "house", STEP_PASS, "up since %s", fact_text(site, "since"));
    } else if (json_array_size(agents) > 0) {
        agent = json_string_value(json_array_get(agents, 0));
        if (strcmp(state, "pending") == 0) {
            judge_pending(s, agent);
            return;
        }
        steps_add(s, "house", STEP_FAIL, "%s: agent %s is not connected, or does not serve it (since %s)",
                  state, agent, fact_text(site, "since"));
        steps_remedy(s, "on the machine of agent %s: tunnelctl doctor", agent);
    } else {
        steps_add(s, "house", STEP_FAIL, "%s: nobody serves it", state);
        steps_remedy(s,
                     "tunnelctl agents; the agent that is to serve it needs the name in its domains, and a "
                     "section [domain %s]",
                     s->about);
    }
}

static void judge_service(struct steps *s, const json_t *site)
{
    static const struct {
        const char *state, *words, *remedy;
    } rows[] = {
        { "refused", "the service refuses connections", "start the service on the house's side" },
        { "unreachable", "the service cannot be reached", "see that the machine of the service is on" },
        { "silent", "the service is silent", "start the service again, and look into its log" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (fact_is(site, "service_state", rows[i].state)) {
            steps_add(s, "service", STEP_FAIL, "%s%s%s", rows[i].words,
                      *fact_text(site, "last_error") ? ": " : "", fact_text(site, "last_error"));
            steps_remedy(s, "%s; tunnelctl doctor %s on the agent's machine looks at it", rows[i].remedy,
                         s->about);
        }
}

/* ---- certificate ---- */

static void judge_certificate(struct steps *s, const json_t *site)
{
    const json_t *cert = json_object_get(site, "cert");
    const char *state = fact_text(cert, "state"), *error = fact_text(cert, "last_error");

    if (strcmp(state, "expired") == 0) {
        steps_add(s, "certificate", STEP_FAIL, "the certificate has expired, on %s%s%s",
                  fact_text(cert, "not_after"), *error ? ": " : "", error);
        steps_remedy(s,
                     fact_is(cert, "issuer", "files")
                         ? "see to whoever renews cert_file of [domain %s]; a new file is taken at once"
                         : "mend what stands here, then: tunnelctl certs renew %s",
                     s->about);
    } else if (*error && fact_is(cert, "issuer", "files")) {
        steps_add(s, "certificate",
                  *fact_text(cert, "not_after") && cert_state_covers(cert, s->about) ? STEP_WARN : STEP_FAIL,
                  "%s", error);
        steps_remedy(
            s, "see to what stands in cert_file and key_file of [domain %s]; a new file is taken at once",
            s->about);
    } else if (*error) {
        steps_add(s, "certificate", *fact_text(cert, "not_after") ? STEP_WARN : STEP_FAIL, "%s: %s", state,
                  error);
        steps_remedy(s, "mend what stands here, then: tunnelctl certs renew %s", s->about);
    } else if (*fact_text(cert, "not_after")) {
        steps_add(s, "certificate", STEP_PASS, "%s until %s, by %s", state, fact_text(cert, "not_after"),
                  fact_text(cert, "issuer"));
    } else if (strcmp(state, "none") != 0) {
        steps_add(s, "certificate", STEP_WARN, "%s", state);
        steps_remedy(s, "wait a moment: tunnelctl certs shows how far it is");
    }
}

/* ---- from outside ---- */

static bool is_of(const char *address, const char *type)
{
    return (strchr(address, ':') != NULL) == (strcmp(type, "AAAA") == 0);
}

/* Those of this type; with led_here, those alone through which this relay was found. */
static json_t *addresses_of(const json_t *sight, const char *type, bool led_here)
{
    const json_t *one;
    json_t *list = json_array();
    size_t i;

    json_array_foreach(json_object_get(sight, "looks"), i, one)
    {
        const char *address = fact_text(one, "address");

        if (is_of(address, type) && !records_have(list, address) &&
            (!led_here || json_is_true(json_object_get(one, "ok"))))
            json_array_append_new(list, json_string(address));
    }
    return list;
}

static json_t *wanted_of(const json_t *published, const char *type)
{
    const json_t *one;
    json_t *list = json_array();
    size_t i;

    json_array_foreach(published, i, one)
    {
        if (is_of(json_string_value(one), type))
            json_array_append(list, (json_t *)(uintptr_t)one);
    }
    return list;
}

/* Of an IPv4 address that a provider's NAT hides, agents alone know. */
static bool knows_own(const json_t *published, const json_t *wanted, const char *type)
{
    return json_array_size(wanted) > 0 || (json_array_size(published) > 0 && strcmp(type, "A") != 0);
}

static void judge_records(struct steps *s, const json_t *sight, const json_t *published, const char *type)
{
    json_t *found = addresses_of(sight, type, false), *through = addresses_of(sight, type, true),
           *wanted = wanted_of(published, type);
    const struct records r = { .name = s->about,
                               .type = type,
                               .holder = "",
                               .wanted = knows_own(published, wanted, type) ? wanted : NULL,
                               .found = found,
                               .through = through };

    records_judge(s, &r);
    json_decref(found);
    json_decref(through);
    json_decref(wanted);
}

static void judge_look(struct steps *s, const json_t *look)
{
    const char *address = fact_text(look, "address"), *by = fact_text(look, "by");
    long long port = (long long)fact_number(look, "port", 0);

    if (json_is_true(json_object_get(look, "ok"))) {
        steps_add(s, "outside", STEP_PASS, "port %lld of %s leads here, as %s%s sees it%s", port, address,
                  *by ? "agent " : "this machine", by,
                  *by ? "" : " by itself (a firewall in front of it was not tested)");
        return;
    }
    steps_add(s, "outside", STEP_FAIL, "port %lld of %s is closed from outside, or leads elsewhere: %s", port,
              address, fact_text(look, "why"));
    steps_remedy(s,
                 "open port %lld/tcp in this machine's firewall (ufw allow %lld/tcp) and in its provider's "
                 "(security group)",
                 port, port);
}

/* What is no address of ours, and leads to us nowhere, is a matter of DNS. */
static bool is_meant(const json_t *sight, const json_t *published, const char *address)
{
    json_t *through = addresses_of(sight, strchr(address, ':') ? "AAAA" : "A", true);
    bool meant =
        json_array_size(published) == 0 || records_have(published, address) || records_have(through, address);

    json_decref(through);
    return meant;
}

static void judge_sight(struct steps *s, const json_t *site, const json_t *facts)
{
    const json_t *sight = json_object_get(site, "sight"), *published = json_object_get(facts, "published"),
                 *look;
    bool is_public = json_array_size(json_object_get(facts, "authorities")) > 0;
    size_t i;

    if (!sight)
        return;
    if (*fact_text(sight, "error")) {
        /* Where nobody but our own root issues, a name may be known in one network alone. */
        steps_add(s, "DNS", is_public ? STEP_FAIL : STEP_WARN, "%s", fact_text(sight, "error"));
        if (json_is_true(json_object_get(
                sight, "unknown"))) /* nobody has answered: that says nothing of the records */
            steps_remedy(
                s,
                "name resolvers that answer in resolvers of [acme] (system: this machine's own); where they "
                "do, the name servers of its zone do not: dig +trace %s",
                s->about);
        else
            steps_remedy(
                s,
                "have its records lead here: dns = PROVIDER or manual in [domain %s] at the agent, and "
                "tunnelctl dns there",
                s->about);
        return;
    }
    if (json_is_true(json_object_get(sight, "late"))) {
        steps_add(s, "outside", STEP_WARN, "not all of its addresses and ports were looked at in time");
        steps_remedy(s, "mend what stands here, then: tunnelctl doctor %s", s->about);
    }
    judge_records(s, sight, published, "A");
    judge_records(s, sight, published, "AAAA");
    json_array_foreach(json_object_get(sight, "looks"), i, look)
    {
        if (is_meant(sight, published, fact_text(look, "address")))
            judge_look(s, look);
    }
}

/* ---- all of it ---- */

static void judge_site(struct steps *s, const json_t *site, const json_t *facts)
{
    s->about = fact_text(site, "name");
    if (json_is_true(json_object_get(site, "skipped"))) {
        steps_add(s, "site", STEP_WARN, "not looked at: the others took all the time");
        steps_remedy(s, "tunnelctl doctor %s", s->about);
    } else {
        judge_house(s, site);
        judge_service(s, site);
        judge_certificate(s, site);
        judge_sight(s, site, facts);
    }
    s->about = "";
}

void relay_doctor_judge(struct steps *s, const json_t *facts)
{
    const json_t *one;
    size_t i;

    host_judge(s, facts);
    judge_lane_socket(s, facts);
    judge_listeners(s, facts);
    judge_sshd(s, facts);
    judge_authorities(s, facts);
    alerts_judge(s, facts, "relay");
    json_array_foreach(json_object_get(facts, "domains"), i, one) judge_site(s, one, facts);
}
