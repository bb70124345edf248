/* tunnelctl: shows, checks and steers the daemon on this machine. */
#include "shared/ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *arguments, *help;
    enum ctl_exit (*run)(struct ctl *c);
    enum client_side asks;
} commands[] = {
    { "status", "[NAME]", "what is up, what is not, since when, and the remedy", ctl_status, CLIENT_ANY },
    { "check", "[FILE]", "everything that is wrong with a configuration", ctl_check, CLIENT_ANY },
    { "invite", "NAME", "let an agent in: prints the line to run on its machine (relay)", ctl_invite,
      CLIENT_RELAY },
    { "join", "TOKEN", "pair this agent with the relay that made the token (agent)", ctl_join, CLIENT_AGENT },
    { "agents", "", "who may connect, and which invitations are open (relay)", ctl_agents, CLIENT_RELAY },
    { "revoke", "NAME", "take an agent's or an invitation's leave away, at once (relay)", ctl_revoke,
      CLIENT_RELAY },
    { "add", "SITE", "serve a site: writes its file, and reloads; see below (agent)", ctl_add, CLIENT_AGENT },
    { "remove", "DOMAIN", "serve it no longer, if add wrote its file (agent)", ctl_remove, CLIENT_AGENT },
    { "certs", "[WHAT]", "certificates: whom they cover, until when; see below (relay)", ctl_certs,
      CLIENT_RELAY },
    { "dns", "[WHAT]", "records: wanted, at the provider, public; see below (agent)", ctl_dns, CLIENT_AGENT },
    { "doctor", "[NAME]", "the whole path, step by step, with a remedy for each fault", ctl_doctor,
      CLIENT_ANY },
    { "log", "[-f]", "last lines of the access log; -f: as it happens (relay)", ctl_log, CLIENT_RELAY },
    { "top", "", "live traffic by domain, lane and port", ctl_top, CLIENT_ANY },
    { "ban", "[ADDR]", "refuse a visitor's address; without one, who is refused", ctl_ban, CLIENT_ANY },
    { "unban", "ADDRESS", "refuse it no longer", ctl_unban, CLIENT_ANY },
    { "backup", "FILE", "keys, enrolments, certificates, state and ini files: one file", ctl_backup,
      CLIENT_ANY },
    { "restore", "FILE", "put all of that where it was, on this machine or a new one", ctl_restore,
      CLIENT_ANY },
    { "reload", "", "read the configuration again, as a whole or not at all", ctl_reload, CLIENT_ANY },
    { "version", "", "versions of tunnelctl and of the daemon", ctl_version, CLIENT_ANY },
};

static void print_help(void)
{
    printf("usage: tunnelctl [--socket PATH | --relay | --agent] [--json] COMMAND\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  %-8s%-8s%s\n", commands[i].name, commands[i].arguments, commands[i].help);
    printf("\n"
           "      add DOMAIN SERVICE [--dns P]   such as: add a.com http://127.0.0.1:80\n"
           "      certs renew DOMAIN             order another one now\n"
           "      certs revoke DOMAIN            have its authority take it back\n"
           "      certs import DIR               take certificates over from another program\n"
           "      dns sync [DOMAIN] [--dry-run]  make records right now, or say what that is\n"
           "      dns providers [TYPE]           what DNS providers can do, with a sample\n"
           "      dns import FILE [--out FOLDER] inadyn.conf or ddclient.conf in our words\n"
           "\n"
           "      --before       for doctor: this machine, before anything is set up on it\n"
           "      --dns NAME     for add: the [provider] that keeps its records; or manual\n"
           "      --domains LIST for invite: names that the agent may serve, in quotes\n"
           "      --for TIME     for invite: how long the token is good, 1s to 7d; 1h\n"
           "                     for ban: how long it holds, such as 30d; 1d\n"
           "      --host HOST    for invite: where agents reach this machine, when it is\n"
           "                     not its first public address\n"
           "      --reason WHY   for certs revoke: unspecified, key-compromise, superseded\n"
           "                     or ceased\n"
           "      --watch        for status: again every two seconds, until ctrl-C\n"
           "      --config FILE  for restore: where its configuration is, when that is not\n"
           "                     /etc/tunnel; with --state-dir, the folder of its state\n"
           "      --force        for restore: overwrite what is there\n"
           "      --socket PATH  the daemon's control socket; also $TUNNEL_SOCKET\n"
           "      --relay        the relay at %s\n"
           "      --agent        the agent at %s\n"
           "                     (default: whichever is there)\n"
           "      --json         print the daemon's own answer, for scripts\n"
           "      --version      of tunnelctl alone: no daemon is asked\n"
           "  -h, --help         this text\n"
           "\n"
           "Ends with 0 when all is well, 1 when something is down, failing or refused,\n"
           "2 when used wrongly, 3 when no daemon answers.\n",
           CLIENT_RELAY_SOCKET, CLIENT_AGENT_SOCKET);
}

static enum ctl_exit run_command(struct ctl *c)
{
    const char *name = c->argv[0];

    c->argc--;
    c->argv++;
    if ((c->domains || c->host) && strcmp(name, "invite") != 0)
        return ctl_wrong_usage("--domains and --host are for invite, not for %s", name);
    if (c->lasts && strcmp(name, "invite") != 0 && strcmp(name, "ban") != 0)
        return ctl_wrong_usage("--for is for invite and ban, not for %s", name);
    if (c->dns && strcmp(name, "add") != 0)
        return ctl_wrong_usage("--dns is for add, not for %s", name);
    if (c->out && strcmp(name, "dns") != 0)
        return ctl_wrong_usage("--out is for dns import, not for %s", name);
    if (c->reason && strcmp(name, "certs") != 0)
        return ctl_wrong_usage("--reason is for certs revoke, not for %s", name);
    if (c->before && strcmp(name, "doctor") != 0)
        return ctl_wrong_usage("--before is for doctor, not for %s", name);
    if (c->dry_run && strcmp(name, "dns") != 0)
        return ctl_wrong_usage("--dry-run is for dns sync, not for %s", name);
    if ((c->config || c->state_dir || c->force) && strcmp(name, "restore") != 0)
        return ctl_wrong_usage("--config, --state-dir and --force are for restore, not for %s", name);
    if (c->watch && strcmp(name, "status") != 0)
        return ctl_wrong_usage("--watch is for status, not for %s", name);
    if (c->follow && strcmp(name, "log") != 0)
        return ctl_wrong_usage("-f is for log, not for %s", name);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0) {
            c->command = name;
            c->asks = commands[i].asks;
            return commands[i].run(c);
        }
    return ctl_wrong_usage("there is no command %s", name);
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* What nobody could read is not well. What was printed and flushed before may have failed, too. */
static int written(int result)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return result;
    fprintf(stderr, "tunnelctl: cannot write the output%s%s\n", errno ? ": " : "",
            errno ? strerror(errno) : "");
    return CTL_FAILING;
}

/* Where the text of an option goes; NULL: it has none. */
static const char **text_of(struct ctl *c, int given)
{
    switch (given) {
    case 's': return &c->socket;
    case 'd': return &c->domains;
    case 'l': return &c->lasts;
    case 'c': return &c->config;
    case 'S': return &c->state_dir;
    case 't': return &c->out;
    case 'p': return &c->dns;
    case 'o': return &c->host;
    case 'w': return &c->reason;
    default: return NULL;
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        { "socket", required_argument, NULL, 's' },  { "relay", no_argument, NULL, 'r' },
        { "agent", no_argument, NULL, 'a' },         { "json", no_argument, NULL, 'j' },
        { "domains", required_argument, NULL, 'd' }, { "for", required_argument, NULL, 'l' },
        { "host", required_argument, NULL, 'o' },    { "help", no_argument, NULL, 'h' },
        { "dry-run", no_argument, NULL, 'n' },       { "out", required_argument, NULL, 't' },
        { "dns", required_argument, NULL, 'p' },     { "reason", required_argument, NULL, 'w' },
        { "version", no_argument, NULL, 'v' },       { "before", no_argument, NULL, 'b' },
        { "follow", no_argument, NULL, 'f' },        { "force", no_argument, NULL, 'F' },
        { "config", required_argument, NULL, 'c' },  { "state-dir", required_argument, NULL, 'S' },
        { "watch", no_argument, NULL, 'W' },         { 0 },
    };
    struct ctl c = { .colour = wants_colour() };
    int given, which = 0;

    while ((given = getopt_long(argc, argv, "hf", known, &which)) != -1) {
        const char **text = text_of(&c, given);

        if (text && *text)
            return ctl_wrong_usage("--%s is given twice, with %s and with %s; give it once",
                                   known[which].name, *text, optarg);
        if (text) {
            *text = optarg;
            continue;
        }
        switch (given) {
        case 'r':
        case 'a':
            if (c.side != CLIENT_ANY)
                return ctl_wrong_usage("give --relay or --agent, not both");
            c.side = given == 'r' ? CLIENT_RELAY : CLIENT_AGENT;
            break;
        case 'j': c.json = true; break;
        case 'W': c.watch = true; break;
        case 'F': c.force = true; break;
        case 'f': c.follow = true; break;
        case 'n': c.dry_run = true; break;
        case 'b': c.before = true; break;
        case 'h': print_help(); return written(CTL_WELL);
        case 'v': printf("tunnelctl %s\n", TUNNEL_VERSION); return written(CTL_WELL);
        default: return ctl_wrong_usage("see the line above");
        }
    }
    if (optind == argc)
        return ctl_wrong_usage("a command is missing");
    c.argc = argc - optind;
    c.argv = argv + optind;
    return written((int)run_command(&c));
}
