#include "relay/lanes/lanes_parts.h"

#include <arpa/inet.h>
#include <string.h>

/* Of one machine: an agent keeps 8 at most, those that it has lost may not have ended yet, and sshd lets each listen on
 * up to a thousand of this machine's 28,000 free ports. */
enum { LANES_OF_AGENT = 24, LOWEST_PORT = 1024 };

static bool port_is_ours(const struct lanes *l, int64_t port)
{
    const struct opt_addresses *listen = &relay_conf_of(l->conf)->listen_https;

    if (port == relay_conf_of(l->conf)->ssh_port || ports_have(l->ports, (unsigned)port))
        return true;
    for (size_t i = 0; i < listen->n; i++) {
        const struct sockaddr_in *addr =
            (const void *)&listen->list[i].addr; /* the port lies alike in both families */

        if (ntohs(addr->sin_port) == port)
            return true;
    }
    return false;
}

bool lane_is_up(const struct lane_facts *f)
{
    return f->state == LANE_S_UP || f->state == LANE_S_BUSY;
}

/* A port belongs to the lane that was proved there: who only names it has no right to it. */
const char *lanes_refuses_port(void *user, const struct lane *lane, int64_t port)
{
    const struct lanes *l = user;
    struct lane_facts facts, f;

    if (port < LOWEST_PORT || port_is_ours(l, port))
        return "the port that this lane names cannot be a lane's";
    lane_facts(lane, &facts);
    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (f.port == port && lane_is_up(&f) && strcmp(f.agent, facts.agent) != 0)
            return "the port that this lane names is another agent's";
    }
    return NULL;
}

bool lanes_boot_is_there(void *user, const char *agent, const char *boot)
{
    const struct lanes *l = user;
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (f.state != LANE_S_DEAD && strcmp(f.agent, agent) == 0 && strcmp(f.boot, boot) == 0)
            return true;
    }
    return false;
}

int64_t lanes_instances_of(const struct lanes *l, const char *agent)
{
    const struct roster_agent *found = roster_find(&l->roster, agent);

    return found ? found->instances : 1;
}

size_t lanes_of_agent(void *user, const char *agent)
{
    const struct lanes *l = user;
    struct lane_facts facts;
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &facts);
        n += facts.state != LANE_S_DEAD && strcmp(facts.agent, agent) == 0;
    }
    return n;
}

const char *lanes_refuses(void *user, const struct lane *lane)
{
    struct lanes *l = user;
    struct lane_facts facts;

    lane_facts(lane, &facts);
    return (int64_t)lanes_of_agent(l, facts.agent) > LANES_OF_AGENT * lanes_instances_of(l, facts.agent)
               ? "this agent has too many lanes already"
               : NULL;
}

/* A restarted agent need not wait until its former self has timed out. */
bool lanes_admits(void *user, struct lane *lane, const char *boot)
{
    struct lanes *l = user;
    char displaced[BOOT_BYTES];
    struct lane_facts facts, f;

    lane_facts(lane, &facts);
    if (boots_admit(&l->boots, facts.agent, boot, lanes_instances_of(l, facts.agent), lanes_boot_is_there, l,
                    displaced) == BOOTS_TWIN) {
        boots_note_twin(&l->boots, facts.agent, boot, facts.seen_from, loop_now_ms(l->loop));
        return false;
    }
    for (size_t i = 0; i < l->n && displaced[0]; i++) {
        lane_facts(l->list[i], &f);
        if (l->list[i] != lane && f.state != LANE_S_DEAD && strcmp(f.agent, facts.agent) == 0 &&
            strcmp(f.boot, displaced) == 0)
            lane_end(l->list[i], "the agent has been started anew");
    }
    return true;
}

/* The agent has come by another session, so the one that this lane had before is dead, though it may not have ended: as
 * when the house has another address. */
void lanes_end_predecessors(struct lanes *l, const struct lane *lane)
{
    struct lane_facts facts, f;

    lane_facts(lane, &facts);
    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (l->list[i] != lane && f.state != LANE_S_DEAD && f.number == facts.number &&
            strcmp(f.agent, facts.agent) == 0 && strcmp(f.boot, facts.boot) == 0)
            lane_end(l->list[i], "the agent has opened this lane anew");
    }
}

/* Before this lane was proved, another agent may have guessed its port. */
void lanes_refuse_guessers(struct lanes *l, const struct lane *proved)
{
    struct lane_facts facts, f;

    lane_facts(proved, &facts);
    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (f.state == LANE_S_OPENING && f.port == facts.port && strcmp(f.agent, facts.agent) != 0)
            lane_refuse(l->list[i], "the port that this lane names is another agent's");
    }
}
